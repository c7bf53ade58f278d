import { describe, expect, test } from 'vitest';
import { requestHeaders } from '../src/workload.ts';

const caller = `0x${'ca'.repeat(32)}`;
const request = { method: 'GET', path: '/', headers: [], body: new Uint8Array() };
/** Names and values that the handler will see, of those that can say who calls. */
const told = (changes: object) => {
  const flat = requestHeaders({ ...request, ...changes });
  const pairs = flat.flatMap((name, index) => (index % 2 === 0 ? [[name.toLowerCase(), flat[index + 1]]] : []));
  return pairs.filter(([name]) => name !== 'host' && name !== 'cloister-proto');
};

describe('the header that says which app calls', () => {
  test('is there where the worker knows it', () => {
    expect(told({ caller })).toEqual([['cloister-caller-app', caller]]);
  });

  test('is never what the request itself says', () => {
    const headers = [
      ['cloister-caller-app', `0x${'ff'.repeat(32)}`],
      ['Cloister-Caller-App', `0x${'ff'.repeat(32)}`],
      ['x-mine', '1'],
    ];
    expect(told({ headers })).toEqual([['x-mine', '1']]);
    expect(told({ headers, caller })).toEqual([
      ['cloister-caller-app', caller],
      ['x-mine', '1'],
    ]);
  });

  test.each(['', '0x', `${caller}\r\nx-more: 1`, caller.toUpperCase()])('carries nothing but an id: %j', (other) => {
    expect(() => requestHeaders({ ...request, caller: other })).toThrow(
      expect.objectContaining({ code: 'INVALID_REQUEST' }),
    );
  });
});
