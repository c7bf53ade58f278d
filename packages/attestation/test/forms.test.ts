import { concatBytes, fromHex, utf8 } from '@cloister/crypto';
import { describe, expect, test } from 'vitest';
import {
  bitString,
  der,
  derTrue,
  enumerated,
  integer,
  integerOfBytes,
  octetString,
  oid,
  printableString,
  sequence,
  set,
  time,
  utf8String,
} from '../src/unsafe-simulated/derWriter.ts';
import { extension } from '../src/unsafe-simulated/index.ts';
import { readPckExtension } from '../src/verify/dcap/pckExtension.ts';
import { AttestationError } from '../src/verify/index.ts';
import { type Certificate, parseCertificate } from '../src/verify/x509/certificate.ts';
import { parseCrl } from '../src/verify/x509/crl.ts';

// Certificates and CRLs put together element by element: each case changes one element of a good one.

type Parts = { readonly [name: string]: Uint8Array };

const none = new Uint8Array(0);
const extra = der(0x05);
const ecdsaWithSha256 = sequence(oid('1.2.840.10045.4.3.2'));
const good = sequence(integer(5), integer(7));
const signature = bitString(good);
const commonName = (value: Uint8Array): Uint8Array => set(sequence(oid('2.5.4.3'), value));
const name = sequence(commonName(utf8String('somebody')));
const point = concatBytes(Uint8Array.of(4), new Uint8Array(64).fill(1));
const ecKey = sequence(oid('1.2.840.10045.2.1'), oid('1.2.840.10045.3.1.7'));
const keyUsage = extension('2.5.29.15', bitString(Uint8Array.of(0xc0), 6), true);
const constraints = extension('2.5.29.19', sequence(), true);
const extensions = (...list: readonly Uint8Array[]): Uint8Array => der(0xa3, sequence(...list));

const certificateParts: Parts = {
  version: der(0xa0, integer(2)),
  serial: integer(7),
  algorithm: ecdsaWithSha256,
  issuer: name,
  validity: sequence(time(1_700_000_000), time(1_800_000_000)),
  subject: name,
  key: sequence(ecKey, bitString(point)),
  extensions: extensions(keyUsage, constraints),
  afterSigned: none,
};

function certificate(changes: Parts): Uint8Array {
  const { outerAlgorithm = ecdsaWithSha256, signatureBits = signature, afterSignature = none, ...rest } = changes;
  const tbs = sequence(...Object.values({ ...certificateParts, ...rest }));
  return concatBytes(sequence(tbs, outerAlgorithm, signatureBits, afterSignature), changes.trailing ?? none);
}

function codeOf(action: () => unknown): string {
  try {
    action();
    return 'ok';
  } catch (error) {
    if (error instanceof AttestationError) return error.code;
    throw error;
  }
}

const withExtension = (...list: readonly Uint8Array[]): Parts => ({
  extensions: extensions(keyUsage, constraints, ...list),
});
const keyUsageOf = (bits: Uint8Array): Parts => ({ extensions: extensions(extension('2.5.29.15', bits), constraints) });
const constraintsOf = (value: Uint8Array): Parts => ({
  extensions: extensions(keyUsage, extension('2.5.29.19', value)),
});

describe('certificates', () => {
  const cases: readonly (readonly [string, Parts, string])[] = [
    ['good', {}, 'ok'],
    ['bytes after it', { trailing: extra }, 'MALFORMED_DER'],
    ['an element after the signature', { afterSignature: extra }, 'MALFORMED_DER'],
    ['an element at the end of the signed part', { afterSigned: extra }, 'MALFORMED_DER'],
    ['version 1', { version: der(0xa0, integer(0)) }, 'UNSUPPORTED_CERTIFICATE'],
    ['no version', { version: none }, 'MALFORMED_DER'],
    ['more than a version', { version: der(0xa0, integer(2), extra) }, 'MALFORMED_DER'],
    ['a negative serial', { serial: der(0x02, Uint8Array.of(0x80)) }, 'MALFORMED_DER'],
    ['a serial of zero', { serial: integer(0) }, 'MALFORMED_DER'],
    ['a serial of 21 bytes', { serial: der(0x02, new Uint8Array(21).fill(1)) }, 'MALFORMED_DER'],
    ['another algorithm inside', { algorithm: sequence(oid('1.2.840.10045.4.3.3')) }, 'UNSUPPORTED_CERTIFICATE'],
    ['another algorithm outside', { outerAlgorithm: sequence(oid('1.2.840.10045.4.3.3')) }, 'UNSUPPORTED_CERTIFICATE'],
    [
      'parameters of the algorithm',
      { outerAlgorithm: sequence(oid('1.2.840.10045.4.3.2'), extra) },
      'UNSUPPORTED_CERTIFICATE',
    ],
    ['a third date', { validity: sequence(time(1), time(2), time(3)) }, 'MALFORMED_DER'],
    [
      'RSA',
      { key: sequence(sequence(oid('1.2.840.113549.1.1.1'), extra), bitString(point)) },
      'UNSUPPORTED_CERTIFICATE',
    ],
    [
      'P-384',
      { key: sequence(sequence(oid('1.2.840.10045.2.1'), oid('1.3.132.0.34')), bitString(point)) },
      'UNSUPPORTED_CERTIFICATE',
    ],
    [
      'parameters in place of a named curve',
      { key: sequence(sequence(oid('1.2.840.10045.2.1'), sequence()), bitString(point)) },
      'UNSUPPORTED_CERTIFICATE',
    ],
    [
      'parameters beside the curve',
      { key: sequence(sequence(oid('1.2.840.10045.2.1'), oid('1.2.840.10045.3.1.7'), extra), bitString(point)) },
      'UNSUPPORTED_CERTIFICATE',
    ],
    [
      'a compressed point',
      { key: sequence(ecKey, bitString(concatBytes(Uint8Array.of(2), new Uint8Array(32)))) },
      'UNSUPPORTED_CERTIFICATE',
    ],
    [
      'a hybrid point',
      { key: sequence(ecKey, bitString(concatBytes(Uint8Array.of(6), new Uint8Array(64)))) },
      'UNSUPPORTED_CERTIFICATE',
    ],
    [
      'a point of 66 bytes',
      { key: sequence(ecKey, bitString(concatBytes(point, Uint8Array.of(0)))) },
      'UNSUPPORTED_CERTIFICATE',
    ],
    ['a point of broken bits', { key: sequence(ecKey, bitString(point, 1)) }, 'MALFORMED_DER'],
    ['more than a key', { key: sequence(ecKey, bitString(point), extra) }, 'MALFORMED_DER'],
    [
      'unique ids',
      { extensions: concatBytes(der(0x81, Uint8Array.of(0)), extensions(keyUsage, constraints)) },
      'MALFORMED_DER',
    ],
    ['no extensions', { extensions: none }, 'MALFORMED_DER'],
    ['no key usage', { extensions: extensions(constraints) }, 'MALFORMED_CERTIFICATE'],
    ['no basic constraints', { extensions: extensions(keyUsage) }, 'MALFORMED_CERTIFICATE'],
    [
      'more than a list of extensions',
      { extensions: der(0xa3, sequence(keyUsage, constraints), extra) },
      'MALFORMED_DER',
    ],
    ['key usage twice', withExtension(keyUsage), 'MALFORMED_CERTIFICATE'],
    ['an unknown extension', withExtension(extension('1.2.3', extra)), 'ok'],
    ['an unknown critical extension', withExtension(extension('1.2.3', extra, true)), 'UNSUPPORTED_CERTIFICATE'],
    [
      '"critical: false" written out',
      withExtension(sequence(oid('1.2.3'), der(0x01, Uint8Array.of(0)), octetString(extra))),
      'MALFORMED_DER',
    ],
    ['more than an extension', withExtension(sequence(oid('1.2.3'), octetString(extra), extra)), 'MALFORMED_DER'],
    ['key usage without bits', keyUsageOf(der(0x03, Uint8Array.of(0))), 'MALFORMED_DER'],
    ['key usage of 4 bytes', keyUsageOf(bitString(new Uint8Array(4).fill(1))), 'MALFORMED_DER'],
    ['key usage with 8 unused bits', keyUsageOf(bitString(Uint8Array.of(0x80), 8)), 'MALFORMED_DER'],
    ['more than key usage', keyUsageOf(concatBytes(bitString(Uint8Array.of(0x80), 7), extra)), 'MALFORMED_DER'],
    ['"CA: false" written out', constraintsOf(sequence(der(0x01, Uint8Array.of(0)))), 'MALFORMED_DER'],
    ['a path length without CA', constraintsOf(sequence(integer(0))), 'MALFORMED_DER'],
    ['a path length of 17', constraintsOf(sequence(derTrue, integer(17))), 'MALFORMED_DER'],
    ['a CA without limit', constraintsOf(sequence(derTrue)), 'ok'],
    ['more in basic constraints', constraintsOf(sequence(derTrue, integer(0), extra)), 'MALFORMED_DER'],
    ['more than basic constraints', constraintsOf(concatBytes(sequence(), extra)), 'MALFORMED_DER'],
    [
      'an authority key id with a serial',
      withExtension(extension('2.5.29.35', sequence(der(0x80, point), der(0x82, Uint8Array.of(1))))),
      'MALFORMED_DER',
    ],
    [
      'more than an authority key id',
      withExtension(extension('2.5.29.35', concatBytes(sequence(der(0x80, point)), extra))),
      'MALFORMED_DER',
    ],
    [
      'more than a subject key id',
      withExtension(extension('2.5.29.14', concatBytes(octetString(point), extra))),
      'MALFORMED_DER',
    ],
    [
      'a subject without a common name',
      { subject: sequence(set(sequence(oid('2.5.4.10'), utf8String('x')))) },
      'MALFORMED_CERTIFICATE',
    ],
    [
      'two common names',
      { subject: sequence(commonName(utf8String('a')), commonName(utf8String('b'))) },
      'MALFORMED_DER',
    ],
    ['a common name with a NUL', { subject: sequence(commonName(utf8String('a\0b'))) }, 'MALFORMED_DER'],
    ['a common name beyond ASCII', { subject: sequence(commonName(utf8String('Intel SGX Rооt CA'))) }, 'MALFORMED_DER'],
    ['a common name of 65 letters', { subject: sequence(commonName(utf8String('a'.repeat(65)))) }, 'MALFORMED_DER'],
    ['a printable common name', { subject: sequence(commonName(printableString('somebody'))) }, 'ok'],
    ['a common name in UTF-16', { subject: sequence(commonName(der(0x1e, utf8('ab')))) }, 'MALFORMED_DER'],
    ['a common name of bytes', { subject: sequence(commonName(octetString(utf8('ab')))) }, 'MALFORMED_DER'],
    [
      'two names in one part',
      { subject: sequence(set(sequence(oid('2.5.4.3'), utf8String('a')), sequence(oid('2.5.4.3'), utf8String('b')))) },
      'MALFORMED_DER',
    ],
    [
      'a name with more than a value',
      { subject: sequence(set(sequence(oid('2.5.4.3'), utf8String('a'), extra))) },
      'MALFORMED_DER',
    ],
    ['a signature of broken bits', { signatureBits: bitString(good, 1) }, 'MALFORMED_DER'],
    ['an empty signature', { signatureBits: der(0x03) }, 'MALFORMED_DER'],
    [
      'a signature of three parts',
      { signatureBits: bitString(sequence(integer(1), integer(2), integer(3))) },
      'MALFORMED_DER',
    ],
    ['more than a signature', { signatureBits: bitString(concatBytes(good, extra)) }, 'MALFORMED_DER'],
    [
      'a signature part of 33 bytes',
      { signatureBits: bitString(sequence(der(0x02, new Uint8Array(33).fill(1)), integer(2))) },
      'MALFORMED_DER',
    ],
    [
      'a negative signature part',
      { signatureBits: bitString(sequence(der(0x02, Uint8Array.of(0x80)), integer(2))) },
      'MALFORMED_DER',
    ],
  ];
  test.each(cases)('%s', (_, changes, expected) => {
    expect(codeOf(() => parseCertificate(certificate(changes), 'it'))).toBe(expected);
  });

  test('beyond every bound', () => {
    expect(codeOf(() => parseCertificate(new Uint8Array(40_000), 'it'))).toBe('TOO_LARGE');
  });

  test('says what it holds', () => {
    const bytes = certificate({
      serial: integerOfBytes(fromHex('80ff')),
      extensions: extensions(keyUsage, extension('2.5.29.19', sequence(derTrue, integer(1)), true)),
    });
    expect(parseCertificate(bytes, 'it')).toMatchObject({
      serial: '80ff',
      commonName: 'somebody',
      isCa: true,
      pathLength: 1,
      keyUsage: 0xc0,
      validity: { notBefore: 1_700_000_000, notAfter: 1_800_000_000 },
    });
  });
});

describe('CRLs', () => {
  const number = extension('2.5.29.20', integer(1));
  const reason = extension('2.5.29.21', enumerated(1));
  const entry = (...more: readonly Uint8Array[]): Uint8Array => sequence(integer(9), time(1_700_000_000), ...more);
  const crlParts: Parts = {
    version: integer(1),
    algorithm: ecdsaWithSha256,
    issuer: name,
    thisUpdate: time(1_700_000_000),
    nextUpdate: time(1_800_000_000),
    revoked: sequence(entry(sequence(reason))),
    extensions: der(0xa0, sequence(number)),
    afterSigned: none,
  };
  const crl = (changes: Parts): Uint8Array => {
    const { afterSignature = none, trailing = none, outerAlgorithm = ecdsaWithSha256, ...rest } = changes;
    const tbs = sequence(...Object.values({ ...crlParts, ...rest }));
    return concatBytes(sequence(tbs, outerAlgorithm, signature, afterSignature), trailing);
  };
  const cases: readonly (readonly [string, Parts, string])[] = [
    ['good', {}, 'ok'],
    ['nothing revoked', { revoked: none }, 'ok'],
    ['no extensions', { extensions: none }, 'ok'],
    ['an entry without extensions', { revoked: sequence(entry()) }, 'ok'],
    ['bytes after it', { trailing: extra }, 'MALFORMED_DER'],
    ['an element after the signature', { afterSignature: extra }, 'MALFORMED_DER'],
    ['an element at the end of the signed part', { afterSigned: extra }, 'MALFORMED_DER'],
    ['version 1', { version: integer(0) }, 'UNSUPPORTED_CRL'],
    ['no version', { version: none }, 'MALFORMED_DER'],
    ['another algorithm', { algorithm: sequence(oid('1.2.3')) }, 'UNSUPPORTED_CRL'],
    ['another algorithm outside', { outerAlgorithm: sequence(oid('1.2.3')) }, 'UNSUPPORTED_CRL'],
    ['no nextUpdate', { nextUpdate: none }, 'MALFORMED_DER'],
    ['an extension twice', { extensions: der(0xa0, sequence(number, number)) }, 'MALFORMED_CRL'],
    ['an unknown extension', { extensions: der(0xa0, sequence(extension('1.2.3', extra))) }, 'ok'],
    [
      'an unknown critical extension',
      { extensions: der(0xa0, sequence(extension('1.2.3', extra, true))) },
      'UNSUPPORTED_CRL',
    ],
    ['more than a list of extensions', { extensions: der(0xa0, sequence(number), extra) }, 'MALFORMED_DER'],
    [
      'an entry with a critical issuer',
      { revoked: sequence(entry(sequence(extension('2.5.29.29', extra, true)))) },
      'UNSUPPORTED_CRL',
    ],
    ['an entry with more', { revoked: sequence(entry(sequence(reason), extra)) }, 'MALFORMED_DER'],
    ['an entry without a date', { revoked: sequence(sequence(integer(9))) }, 'MALFORMED_DER'],
  ];
  test.each(cases)('%s', (_, changes, expected) => {
    expect(codeOf(() => parseCrl(crl(changes), 'it'))).toBe(expected);
  });

  test('beyond every bound', () => {
    expect(codeOf(() => parseCrl(new Uint8Array(1024 * 1024 + 1), 'it'))).toBe('TOO_LARGE');
  });

  test('finds a serial whatever zero byte leads it', () => {
    const serial = fromHex('efae6e9715fca13b87e333e8261ed6d990a926ad');
    const revoked = sequence(sequence(integerOfBytes(serial), time(1_700_000_000)));
    const listed = parseCrl(crl({ revoked }), 'it').revoked;
    const { serial: own } = parseCertificate(certificate({ serial: integerOfBytes(serial) }), 'it');
    expect(listed.has(own)).toBe(true);
  });
});

describe('the SGX extension', () => {
  const sgx = '1.2.840.113741.1.13.1';
  const field = (id: string, value: Uint8Array): Uint8Array => sequence(oid(`${sgx}.${id}`), value);
  const component = (index: number, value: Uint8Array = integer(index)): Uint8Array => field(`2.${index}`, value);
  const components = Array.from({ length: 16 }, (_, index) => component(index + 1));
  const pceSvn = component(17, integer(300));
  const cpuSvn = component(18, octetString(new Uint8Array(16)));
  const tcb = (...fields: readonly Uint8Array[]): Uint8Array => field('2', sequence(...fields));
  const parts: Parts = {
    ppid: field('1', octetString(new Uint8Array(16).fill(1))),
    tcb: tcb(...components, pceSvn, cpuSvn),
    pceId: field('3', octetString(fromHex('0102'))),
    fmspc: field('4', octetString(fromHex('010203040506'))),
    type: field('5', enumerated(0)),
    more: none,
  };
  const read = (changes: Parts): unknown => {
    const { trailing = none, ...rest } = changes;
    const sgxExtension = concatBytes(sequence(...Object.values({ ...parts, ...rest })), trailing);
    const otherExtensions = new Map([['2a864886f84d010d01', sgxExtension]]);
    return readPckExtension({ place: 'it', otherExtensions } as unknown as Certificate);
  };

  test('says what it holds', () => {
    expect(read({ more: field('6', octetString(new Uint8Array(16).fill(2))) })).toEqual({
      ppid: '01'.repeat(16),
      components: [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16],
      pceSvn: 300,
      pceId: '0102',
      fmspc: '010203040506',
      platformInstanceId: '02'.repeat(16),
    });
  });

  const cases: readonly (readonly [string, Parts, string])[] = [
    ['good', {}, 'ok'],
    ['bytes after it', { trailing: extra }, 'MALFORMED_DER'],
    ['an unknown field', { more: field('9', extra) }, 'MALFORMED_CERTIFICATE'],
    ['a field twice', { more: field('4', octetString(new Uint8Array(6))) }, 'MALFORMED_CERTIFICATE'],
    ['a field with more', { fmspc: sequence(oid(`${sgx}.4`), octetString(new Uint8Array(6)), extra) }, 'MALFORMED_DER'],
    ['no PPID', { ppid: none }, 'MALFORMED_CERTIFICATE'],
    ['no TCB', { tcb: none }, 'MALFORMED_CERTIFICATE'],
    ['no PCE id', { pceId: none }, 'MALFORMED_CERTIFICATE'],
    ['no FMSPC', { fmspc: none }, 'MALFORMED_CERTIFICATE'],
    ['an FMSPC of 5 bytes', { fmspc: field('4', octetString(new Uint8Array(5))) }, 'MALFORMED_DER'],
    [
      'components in another order',
      { tcb: tcb(...[...components].reverse(), pceSvn, cpuSvn) },
      'MALFORMED_CERTIFICATE',
    ],
    ['15 components', { tcb: tcb(...components.slice(1), pceSvn, cpuSvn) }, 'MALFORMED_CERTIFICATE'],
    ['no CPU SVN', { tcb: tcb(...components, pceSvn) }, 'MALFORMED_DER'],
    ['more than a TCB', { tcb: tcb(...components, pceSvn, cpuSvn, cpuSvn) }, 'MALFORMED_DER'],
    [
      'a component with more',
      { tcb: tcb(sequence(oid(`${sgx}.2.1`), integer(1), extra), ...components.slice(1), pceSvn, cpuSvn) },
      'MALFORMED_DER',
    ],
    [
      'a component of 256',
      { tcb: tcb(component(1, integer(256)), ...components.slice(1), pceSvn, cpuSvn) },
      'MALFORMED_DER',
    ],
  ];
  test.each(cases)('%s', (_, changes, expected) => {
    expect(codeOf(() => read(changes))).toBe(expected);
  });
});
