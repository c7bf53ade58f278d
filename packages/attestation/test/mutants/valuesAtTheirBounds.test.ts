import { utf8 } from '@cloister/crypto';
import { describe, expect, test } from 'vitest';
import { der } from '../../src/unsafe-simulated/derWriter.ts';
import { mergeTcb, type TcbStatus, type TcbVerdict, tcbStatuses } from '../../src/verify/dcap/tcbStatus.ts';
import { BoundedCache } from '../../src/verify/index.ts';
import { JsonValue } from '../../src/verify/json.ts';
import { DerReader } from '../../src/verify/x509/der.ts';
import { readPemChain } from '../../src/verify/x509/pem.ts';
import { assertUnixTime, assertValidAt, parseIsoTime, readTime } from '../../src/verify/x509/times.ts';
import { messageOf } from './messageOf.ts';

describe('times', () => {
  test('the first second there is, and none before', () => {
    expect(messageOf(() => assertUnixTime(0))).toBe('ok');
    expect(messageOf(() => assertUnixTime(-1))).toContain('INVALID_TIME');
  });

  test('both ends of a validity hold', () => {
    const validity = { place: 'it', notBefore: 100, notAfter: 200 };
    const at = (now: number) => messageOf(() => assertValidAt([validity], now)).split(' ')[0];
    expect([99, 100, 200, 201].map(at)).toEqual(['NOT_YET_VALID', 'ok', 'ok', 'EXPIRED']);
  });

  test('two digits of a year are 1950 to 2049', () => {
    const of = (text: string) => readTime(new DerReader(der(0x17, utf8(text)), 't'), 'it');
    expect(of('491231235959Z')).toBe(Date.UTC(2049, 11, 31, 23, 59, 59) / 1000);
    expect(messageOf(() => of('500101000000Z'))).toContain('a date of the calendar');
  });

  test.each([
    ['before 1970', '1969-12-31T23:59:59Z'],
    ['month 0', '2025-00-10T10:16:03Z'],
    ['month 13', '2025-13-10T10:16:03Z'],
    ['minute 60', '2025-06-19T10:60:03Z'],
    ['second 60', '2025-06-19T10:16:60Z'],
  ])('%s', (_, text) => {
    expect(parseIsoTime(text)).toBeUndefined();
  });
});

describe('JSON', () => {
  const parse = (text: string) => JsonValue.parse(text, 'it', 'MALFORMED_COLLATERAL');
  const nested = (open: string, close: string, depth: number) => open.repeat(depth) + close.repeat(depth);

  test('16 levels are read, 17 are not, of lists and of objects', () => {
    expect(messageOf(() => parse(nested('[', ']', 16)))).toBe('ok');
    expect(messageOf(() => parse(nested('[', ']', 17)))).toContain('Expected at most 16 levels');
    expect(messageOf(() => parse('['.repeat(16)))).toContain('Expected JSON');
    expect(messageOf(() => parse(`${'{"a":'.repeat(16)}1${'}'.repeat(16)}`))).toBe('ok');
    expect(messageOf(() => parse(`${'{"a":'.repeat(17)}1${'}'.repeat(17)}`))).toContain('Expected at most 16 levels');
  });

  test('what is closed counts no longer', () => {
    expect(messageOf(() => parse(`[${Array(40).fill('[]').join()}]`))).toBe('ok');
    expect(messageOf(() => parse(`[${Array(40).fill('{}').join()}]`))).toBe('ok');
  });

  test('the largest integer that may be, and no half', () => {
    expect(parse('255').integer(255)).toBe(255);
    for (const text of ['256', '1.5', '-1', '"1"', 'null'])
      expect(messageOf(() => parse(text).integer(255))).toContain('Expected an integer of 0 to 255');
  });

  test('the longest list and the longest text', () => {
    expect(parse('[1,2]').items(2)).toHaveLength(2);
    expect(messageOf(() => parse('[1,2,3]').items(2))).toContain('at most 2 items');
    expect(parse('"ab"').text(2)).toBe('ab');
    expect(messageOf(() => parse('"abc"').text(2))).toContain('at most 2 characters');
  });

  test('null where bytes are expected', () => {
    expect(messageOf(() => parse('null').bytes(1))).toContain('Expected 1 bytes in hexadecimal');
    expect(messageOf(() => parse('null').prefixedHex(1))).toContain('Expected 0x and 1 bytes in hexadecimal');
  });

  test('what is no hexadecimal behind 0x', () => {
    expect(parse('"0xAb"').prefixedHex(1)).toBe('0xab');
    for (const text of ['"0xzz"', '"0xa"', '"abcd"'])
      expect(messageOf(() => parse(text).prefixedHex(1))).toContain('Expected 0x and 1 bytes in hexadecimal');
  });
});

describe('PEM', () => {
  test('a chain that ends within a certificate says where', () => {
    const text = '-----BEGIN CERTIFICATE-----\nAAAA\n';
    expect(messageOf(() => readPemChain(text, 1, 'pem'))).toContain(`at pem @ ${text.length}`);
  });

  test('the last character of ASCII is a character, the one behind it is none', () => {
    const of = (character: string) => `-----BEGIN CERTIFICATE-----\nAA${character}A\n-----END CERTIFICATE-----\n`;
    expect(messageOf(() => readPemChain(of('\x7f'), 1, 'pem'))).toContain('MALFORMED_BASE64');
    expect(messageOf(() => readPemChain(of('\x80'), 1, 'pem'))).toContain('MALFORMED_PEM at pem @ 30');
  });
});

describe('a bounded cache', () => {
  const filled = () => {
    const cache = new BoundedCache<number>(2);
    cache.set('a', 1);
    cache.set('b', 2);
    return cache;
  };

  test('holds as many as it may, and forgets the oldest then', () => {
    const cache = filled();
    expect([cache.size, cache.get('a'), cache.get('b')]).toEqual([2, 1, 2]);
    cache.set('c', 3);
    expect([cache.size, cache.get('a'), cache.get('b'), cache.get('c')]).toEqual([2, undefined, 2, 3]);
  });

  test('reading and writing again make young', () => {
    const read = filled();
    read.get('a');
    read.set('c', 3);
    expect([read.get('a'), read.get('b')]).toEqual([1, undefined]);
    const written = filled();
    written.set('a', 4);
    written.set('c', 3);
    expect([written.get('a'), written.get('b')]).toEqual([4, undefined]);
  });
});

describe('a platform and its part have one status', () => {
  const verdict = (status: TcbStatus): TcbVerdict => ({ status, advisories: [], tcbDate: 0, outOfDateSince: null });
  const merged = (platform: TcbStatus, part: TcbStatus) => mergeTcb(verdict(platform), verdict(part)).status;

  test('revoked in one is revoked', () => {
    for (const status of tcbStatuses) {
      expect(merged(status, 'Revoked')).toBe('Revoked');
      expect(merged('Revoked', status)).toBe('Revoked');
    }
  });

  test('an outdated part makes outdated, and the need of another configuration stays', () => {
    expect(tcbStatuses.map((status) => merged(status, 'OutOfDate'))).toEqual([
      'OutOfDate',
      'OutOfDate',
      'OutOfDateConfigurationNeeded',
      'OutOfDateConfigurationNeeded',
      'OutOfDate',
      'OutOfDateConfigurationNeeded',
      'Revoked',
    ]);
  });

  test('otherwise the worse one stands', () => {
    expect(tcbStatuses.map((status) => merged(status, 'UpToDate'))).toEqual(tcbStatuses);
    expect(merged('UpToDate', 'SWHardeningNeeded')).toBe('SWHardeningNeeded');
    expect(merged('ConfigurationNeeded', 'SWHardeningNeeded')).toBe('ConfigurationNeeded');
  });
});
