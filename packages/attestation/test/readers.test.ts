import { fromHex, utf8 } from '@cloister/crypto';
import { describe, expect, test } from 'vitest';
import { der, integer, integerOfBytes, oid, time } from '../src/unsafe-simulated/derWriter.ts';
import { AttestationError, fromBase64, toBase64 } from '../src/verify/index.ts';
import { DerReader, tags } from '../src/verify/x509/der.ts';
import { readPemChain } from '../src/verify/x509/pem.ts';
import { parseIsoTime, readTime } from '../src/verify/x509/times.ts';

function codeOf(action: () => unknown): string {
  try {
    action();
    return 'ok';
  } catch (error) {
    if (error instanceof AttestationError) return error.code;
    throw error;
  }
}

const reader = (hex: string): DerReader => new DerReader(fromHex(hex), 'test');

describe('DerReader', () => {
  test.each([
    ['nothing', '', 'MALFORMED_DER'],
    ['a tag alone', '30', 'MALFORMED_DER'],
    ['another tag', '3100', 'MALFORMED_DER'],
    ['an indefinite length', '30800000', 'MALFORMED_DER'],
    ['a length that does not fit', '3001', 'MALFORMED_DER'],
    ['a huge length', '3084ffffffff', 'MALFORMED_DER'],
    ['a long form for a short length', '30810100', 'MALFORMED_DER'],
    ['a long form with a leading zero', `30820080${'00'.repeat(128)}`, 'MALFORMED_DER'],
    ['an empty sequence', '3000', 'ok'],
    ['a long form that is needed', `308180${'00'.repeat(128)}`, 'ok'],
  ])('%s', (_, hex, expected) => {
    expect(codeOf(() => reader(hex).enter(tags.sequence, 'it'))).toBe(expected);
  });

  test('nothing left over', () => {
    const outer = reader('3003020107');
    const inner = outer.enter(tags.sequence, 'it');
    expect(codeOf(() => outer.finish('it'))).toBe('ok');
    expect(codeOf(() => inner.finish('it'))).toBe('MALFORMED_DER');
    inner.read(tags.integer, 'it');
    expect(codeOf(() => inner.finish('it'))).toBe('ok');
    expect(codeOf(() => inner.read(tags.integer, 'it'))).toBe('MALFORMED_DER');
  });

  test('never beyond its own range', () => {
    const inner = new DerReader(fromHex('30020201050000'), 'test').enter(tags.sequence, 'it');
    expect(codeOf(() => inner.read(tags.integer, 'it'))).toBe('MALFORMED_DER');
    const short = new DerReader(fromHex('3005020107'), 'test', 0, 2);
    expect(codeOf(() => short.enter(tags.sequence, 'it'))).toBe('MALFORMED_DER');
    const cut = new DerReader(fromHex('0201'), 'test', 0, 1);
    expect(codeOf(() => cut.read(tags.integer, 'it'))).toBe('MALFORMED_DER');
    expect(codeOf(() => reader('30840000000100').enter(tags.sequence, 'it'))).toBe('MALFORMED_DER');
  });

  test('integers: no sign, no padding, no excess', () => {
    const read = (hex: string): string => codeOf(() => reader(hex).smallInteger(1000, 'it'));
    expect(reader('020100').smallInteger(1000, 'it')).toBe(0);
    expect(reader('020203e8').smallInteger(1000, 'it')).toBe(1000);
    expect(reader('02020080').smallInteger(1000, 'it')).toBe(128);
    for (const hex of ['0200', '0201ff', '02020001', '020203e9', '0205ffffffffff', '02050100000000'])
      expect(read(hex)).toBe('MALFORMED_DER');
  });

  test('booleans, object identifiers, bit strings', () => {
    expect(reader('0101ff').boolean('it')).toBe(true);
    for (const hex of ['010101', '0100', '0102ffff'])
      expect(codeOf(() => reader(hex).boolean('it'))).toBe('MALFORMED_DER');
    for (const hex of ['0600', '060180']) expect(codeOf(() => reader(hex).oid('it'))).toBe('MALFORMED_DER');
    for (const hex of ['0300', '03020100']) expect(codeOf(() => reader(hex).wholeBits('it'))).toBe('MALFORMED_DER');
  });

  test('the writer and the reader agree', () => {
    expect(new DerReader(integer(65_535), 'w').smallInteger(65_535, 'it')).toBe(65_535);
    expect(new DerReader(integerOfBytes(Uint8Array.of(0, 0, 0x80)), 'w').unsigned('it')).toEqual(Uint8Array.of(0x80));
    expect(new DerReader(oid('1.2.840.113741.1.13.1'), 'w').oid('it')).toBe('2a864886f84d010d01');
    for (const seconds of [0, 1_790_000_000, 2_524_607_999, 2_524_608_000, 4_000_000_000])
      expect(readTime(new DerReader(time(seconds), 'w'), 'it')).toBe(seconds);
  });

  test('times only in the form that X.509 allows', () => {
    const of = (tag: number, text: string): string =>
      codeOf(() => readTime(new DerReader(der(tag, utf8(text)), 't'), 'it'));
    expect(of(0x17, '260921120000Z')).toBe('ok');
    for (const text of [
      '2609211200Z',
      '260921120000+0100',
      '261321120000Z',
      '260230120000Z',
      '260921240000Z',
      '26092112000xZ',
      '260921120000Z0',
    ])
      expect(of(0x17, text)).toBe('MALFORMED_DER');
    expect(of(0x18, '20500101000000Z')).toBe('ok');
    for (const text of ['20490101000000Z', '20500101000000.5Z', '20500101000000'])
      expect(of(0x18, text)).toBe('MALFORMED_DER');
  });
});

test('ISO times', () => {
  expect(parseIsoTime('2025-06-19T10:16:03Z')).toBe(1_750_328_163);
  for (const text of [
    '',
    'x',
    '2025-06-19',
    '2025-06-19T10:16:03',
    '2025-06-19T10:16:03.0Z',
    '2025-06-31T10:16:03Z',
    '2025-06-19T25:16:03Z',
    ' 2025-06-19T10:16:03Z',
  ])
    expect(parseIsoTime(text)).toBeUndefined();
});

test('base64: one text for one value', () => {
  for (const length of [0, 1, 2, 3, 4, 5, 100]) {
    const bytes = Uint8Array.from({ length }, (_, index) => index * 37);
    const text = Buffer.from(bytes).toString('base64');
    expect(toBase64(bytes)).toBe(text);
    expect(fromBase64(text, 'it')).toEqual(bytes);
  }
  for (const text of [
    'A',
    'AA',
    'AAA',
    'A===',
    'AB==',
    'AAB=',
    'AA=A',
    '=',
    '====',
    'AA= =',
    'AAAA\n',
    'AA-_',
    'ÀAAA',
    'AAAA====',
    'Ā̈AA=',
  ])
    expect(codeOf(() => fromBase64(text, 'it'))).toBe('MALFORMED_BASE64');
});

describe('PEM chains', () => {
  const one = '-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n';
  test.each([
    ['one', one, 'ok'],
    ['with NUL at its end', `${one}\0`, 'ok'],
    ['with carriage returns', one.replaceAll('\n', '\r\n'), 'ok'],
    ['two where one may stand', one + one, 'CHAIN_LENGTH'],
    ['text before', `x${one}`, 'MALFORMED_PEM'],
    ['text after', `${one}x`, 'MALFORMED_PEM'],
    ['NUL between', `${one}\0${one}`, 'MALFORMED_PEM'],
    ['no end', '-----BEGIN CERTIFICATE-----\nAAAA\n', 'MALFORMED_PEM'],
    ['another label', one.replaceAll('CERTIFICATE', 'PUBLIC KEY'), 'MALFORMED_PEM'],
    ['spaces', one.replace('AAAA', 'AA AA'), 'MALFORMED_BASE64'],
    ['beyond ASCII', one.replace('AAAA', 'AA\u{100}A'), 'MALFORMED_PEM'],
    ['too long', 'A'.repeat(40_000), 'TOO_LARGE'],
  ])('%s', (_, text, expected) => {
    expect(codeOf(() => readPemChain(text, 1, 'pem'))).toBe(expected);
  });
});
