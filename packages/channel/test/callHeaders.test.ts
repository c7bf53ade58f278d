import { randomBytes, SecretBytes, toBase64Url } from '@cloister/crypto';
import { describe, expect, test } from 'vitest';
import { checkAppFields, encodeCallHeaders, splitCallHeaders } from '../src/shared/callHeaders.ts';
import type { Field } from '../src/shared/fieldSection.ts';
import { keptAnswerId } from '../src/shared/keptAnswerId.ts';
import { someCall } from './sealedCall.ts';

const withField = (name: string, value: string): Field[] =>
  encodeCallHeaders(someCall()).map((field) => (field[0] === name ? [name, value] : field));

describe('call headers', () => {
  test('come back as they went in, apart from the app’s own', () => {
    for (const changes of [
      {},
      { voucher: 'v'.repeat(16_384) },
      { caller: 'c'.repeat(2_048) },
      { maxFee: 0n },
      { maxFee: 2n ** 128n - 1n },
    ]) {
      const call = someCall(changes);
      const fields: Field[] = [['accept', '*/*'], ...encodeCallHeaders(call), ['x-cloisters', 'not ours']];
      const { call: read, headers } = splitCallHeaders(fields);
      expect(headers).toEqual([
        ['accept', '*/*'],
        ['x-cloisters', 'not ours'],
      ]);
      expect({ ...read, clientKey: null }).toEqual({ ...call, clientKey: null });
      expect(read.clientKey.equals(call.clientKey)).toBe(true);
    }
  });

  test('the client key is in no error and in no text form', () => {
    const call = someCall();
    const key = toBase64Url(call.clientKey.reveal());
    expect(JSON.stringify(call, (_, value) => (typeof value === 'bigint' ? String(value) : value))).not.toContain(key);
    for (const bad of [`${key}A`, `${key.slice(1)}=`, key.slice(0, -2)])
      try {
        splitCallHeaders(withField('x-cloister-client-key', bad));
        expect.unreachable();
      } catch (error) {
        expect(error).toMatchObject({ code: 'CALL_HEADER_REFUSED' });
        expect(JSON.stringify(error)).not.toContain(bad.slice(0, 20));
      }
  });

  test.each([
    ['x-cloister-app', `0x${'A'.repeat(64)}`],
    ['x-cloister-app', '11'.repeat(32)],
    ['x-cloister-app', `0x${'1'.repeat(63)}`],
    ['x-cloister-call-id', toBase64Url(randomBytes(15))],
    ['x-cloister-call-id', 'AAAAAAAAAAAAAAAAAAAAAB'],
    ['x-cloister-call-id', `${'A'.repeat(22)}==`],
    ['x-cloister-client-key', toBase64Url(randomBytes(33))],
    ['x-cloister-context', '0x'],
    ['x-cloister-max-fee', '01'],
    ['x-cloister-max-fee', '-1'],
    ['x-cloister-max-fee', '1e3'],
    ['x-cloister-max-fee', '0x10'],
    ['x-cloister-max-fee', ' 1'],
    ['x-cloister-max-fee', ''],
    ['x-cloister-max-fee', (2n ** 128n).toString()],
    ['x-cloister-max-fee', '9'.repeat(4_000)],
    ['x-cloister-manifest', `0x${'g'.repeat(64)}`],
  ])('%s: "%s" is refused', (name, value) => {
    expect(() => splitCallHeaders(withField(name, value))).toThrow(
      expect.objectContaining({ code: 'CALL_HEADER_REFUSED' }),
    );
  });

  test('missing, repeated and unknown ones are refused', () => {
    const fields = encodeCallHeaders(someCall());
    for (const missing of fields)
      expect(() => splitCallHeaders(fields.filter((field) => field !== missing))).toThrow(
        expect.objectContaining({ code: 'CALL_HEADER_REFUSED' }),
      );
    for (const extra of [...fields, ['x-cloister-idempotent', 'yes'] as const, ['x-cloister-', ''] as const])
      expect(() => splitCallHeaders([...fields, extra])).toThrow(
        expect.objectContaining({ code: 'CALL_HEADER_REFUSED' }),
      );
  });

  test('values out of bounds are refused when written', () => {
    for (const changes of [
      { app: '0x00' as const },
      { callId: 'short' },
      { clientKey: new SecretBytes(randomBytes(31)) },
      { maxFee: -1n },
      { maxFee: 2n ** 128n },
      { voucher: '' },
      { voucher: 'a b' },
      { voucher: 'v'.repeat(16_385) },
      { caller: '' },
      { caller: 'a b' },
      { caller: 'c'.repeat(2_049) },
    ])
      expect(() => encodeCallHeaders(someCall(changes))).toThrow(
        expect.objectContaining({ code: 'CALL_HEADER_REFUSED' }),
      );
  });

  test('an app can’t set them', () => {
    expect(() => checkAppFields([['x-cloister-app', 'x']])).toThrow(
      expect.objectContaining({ code: 'CALL_HEADER_REFUSED' }),
    );
    expect(() => checkAppFields([['x-cloister', 'x']])).not.toThrow();
  });
});

test('a kept answer is found by app, call id and client key together', () => {
  const call = someCall();
  expect(keptAnswerId({ ...call, maxFee: 5n })).toBe(keptAnswerId(call));
  expect(keptAnswerId({ ...call, callId: toBase64Url(randomBytes(16)) })).not.toBe(keptAnswerId(call));
  expect(keptAnswerId({ ...call, clientKey: new SecretBytes(randomBytes(32)) })).not.toBe(keptAnswerId(call));
  expect(keptAnswerId({ ...call, app: someCall().app })).not.toBe(keptAnswerId(call));
});
