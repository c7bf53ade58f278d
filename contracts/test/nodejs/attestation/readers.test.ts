import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { mintCollateral } from '@cloister/attestation/unsafe-simulated';
import { AttestationError } from '@cloister/attestation/verify';
import { concatBytes, toHex, utf8 } from '@cloister/crypto';
import { network } from 'hardhat';
import { type Hex, keccak256 } from 'viem';
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
} from '../../../../packages/attestation/src/unsafe-simulated/derWriter.ts';
import { extension } from '../../../../packages/attestation/src/unsafe-simulated/issueCertificate.ts';
import { readPckExtension } from '../../../../packages/attestation/src/verify/dcap/pckExtension.ts';
import { parseQeIdentity } from '../../../../packages/attestation/src/verify/dcap/qeIdentity.ts';
import { parseTcbInfo } from '../../../../packages/attestation/src/verify/dcap/tcbInfo.ts';
import { type Certificate, parseCertificate } from '../../../../packages/attestation/src/verify/x509/certificate.ts';
import { parseCrl } from '../../../../packages/attestation/src/verify/x509/crl.ts';
import { now, sharedRoot } from '../../support/attestation.ts';
import { refusalOf } from '../../support/refused.ts';

// The contracts' readers and those off chain read the same documents, put together element by element: each case changes
// one element of a good one, and both take it or both refuse it. Where they differ, the case says so.

const connection = await network.create();
const harness = await connection.viem.deployContract('ReaderHarness', []);

type Parts = { readonly [name: string]: Uint8Array };
/** What is changed, what the chain says, and what is said off chain where that is not the same verdict. */
type Case = readonly [name: string, changes: Parts, onChain: string, offChain?: 'ok' | 'refused'];

const none = new Uint8Array(0);
const extra = der(0x05);
const ecdsaWithSha256 = sequence(oid('1.2.840.10045.4.3.2'));
const pair = sequence(integer(5), integer(7));
const signature = bitString(pair);
const part = (id: string, value: Uint8Array) => set(sequence(oid(id), value));
const commonName = (value: Uint8Array) => part('2.5.4.3', value);
const name = sequence(commonName(utf8String('somebody')), part('2.5.4.6', printableString('US')));
const point = concatBytes(Uint8Array.of(4), new Uint8Array(64).fill(1));
const ecKey = sequence(oid('1.2.840.10045.2.1'), oid('1.2.840.10045.3.1.7'));
const keyUsage = extension('2.5.29.15', bitString(Uint8Array.of(0xc0), 6), true);
const constraints = extension('2.5.29.19', sequence(), true);
const extensions = (...list: readonly Uint8Array[]) => der(0xa3, sequence(...list));
const bytes = (...values: readonly number[]) => Uint8Array.of(...values);

/** `ok`, or the code of the refusal. */
function offChainVerdict(read: () => unknown): string {
  try {
    read();
    return 'ok';
  } catch (error) {
    if (error instanceof AttestationError) return error.code;
    throw error;
  }
}

async function onChainVerdict(read: Promise<unknown>): Promise<string> {
  return (await refusalOf(read)) ?? 'ok';
}

function compare(title: string, cases: readonly Case[], read: (changes: Parts) => [Promise<unknown>, () => unknown]) {
  describe(title, () => {
    for (const [what, changes, onChain, offChain] of cases)
      it(what, async () => {
        const [chain, here] = read(changes);
        assert.equal(await onChainVerdict(chain), onChain);
        const verdict = offChainVerdict(here) === 'ok' ? 'ok' : 'refused';
        assert.equal(verdict, offChain ?? (onChain === 'ok' ? 'ok' : 'refused'));
      });
  });
}

const malformed = 'DerReaderMalformed';
const unsupported = 'X509Unsupported';
const otherAlgorithm = sequence(oid('1.2.840.10045.4.3.3'));

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
  const { trailing = none, lessThanAll = none, ...inner } = rest;
  const tbs = sequence(...Object.values({ ...certificateParts, ...inner }));
  const whole = concatBytes(sequence(tbs, outerAlgorithm, signatureBits, afterSignature), trailing);
  return lessThanAll === none ? whole : shortened(whole);
}

/** The same bytes, of which the outermost length says one less. */
function shortened(whole: Uint8Array): Uint8Array {
  const last = 1 + ((whole[1] ?? 0) & 0x7f);
  assert.ok((whole[1] ?? 0) > 0x80 && (whole[last] ?? 0) > 0);
  return whole.map((byte, index) => (index === last ? byte - 1 : byte));
}

const subject = (...parts: readonly Uint8Array[]): Parts => ({ subject: sequence(...parts) });
const validity = (...times: readonly Uint8Array[]): Parts => ({ validity: sequence(...times) });
const withExtension = (...list: readonly Uint8Array[]): Parts => ({
  extensions: extensions(keyUsage, constraints, ...list),
});
const keyUsageOf = (value: Uint8Array): Parts => ({
  extensions: extensions(extension('2.5.29.15', value), constraints),
});
const constraintsOf = (value: Uint8Array): Parts => ({
  extensions: extensions(keyUsage, extension('2.5.29.19', value)),
});
const signed = (...parts: readonly Uint8Array[]): Parts => ({ signatureBits: bitString(sequence(...parts)) });
const longText = (length: number) => utf8String('a'.repeat(length));

compare(
  'certificates',
  [
    ['good', {}, 'ok'],
    ['bytes after it', { trailing: extra }, malformed],
    ['a length that ends before it does', { lessThanAll: extra }, malformed],
    ['an element after the signature', { afterSignature: extra }, malformed],
    ['an element at the end of the signed part', { afterSigned: extra }, malformed],
    ['version 1', { version: der(0xa0, integer(0)) }, unsupported],
    ['no version', { version: none }, malformed],
    ['more than a version', { version: der(0xa0, integer(2), extra) }, malformed],
    ['a negative serial', { serial: der(0x02, bytes(0x80)) }, malformed],
    ['a serial of zero', { serial: integer(0) }, malformed],
    ['a serial with a zero too many', { serial: der(0x02, bytes(0, 7)) }, malformed],
    ['a serial of 20 bytes', { serial: der(0x02, new Uint8Array(20).fill(1)) }, 'ok'],
    ['a serial of 21 bytes', { serial: der(0x02, new Uint8Array(21).fill(1)) }, malformed],
    ['a serial of no bytes', { serial: der(0x02) }, malformed],
    ['another algorithm inside', { algorithm: otherAlgorithm }, unsupported],
    ['another algorithm outside', { outerAlgorithm: otherAlgorithm }, unsupported],
    ['parameters of the algorithm', { outerAlgorithm: sequence(oid('1.2.840.10045.4.3.2'), extra) }, unsupported],
    ['no signature', { signatureBits: none }, malformed],
    [
      'a signed part that ends where the algorithm behind it would be its own',
      { algorithm: none, issuer: none, validity: none, subject: none, key: none, extensions: none },
      unsupported,
    ],
    ['a third date', validity(time(1), time(2), time(3)), malformed],
    ['one date', validity(time(1)), malformed],
    ['dates from 2050 on', validity(time(1_700_000_000), time(2_600_000_000)), 'ok'],
    ['2049 with a century', validity(time(1), der(0x18, utf8('20491231235959Z'))), malformed],
    ['2050 with a century', validity(time(1), der(0x18, utf8('20500101000000Z'))), 'ok'],
    ['1950 without one', validity(der(0x17, utf8('500101000000Z')), time(1)), malformed],
    ['1970 without one', validity(der(0x17, utf8('700101000000Z')), time(1)), 'ok'],
    ['1969 without one', validity(der(0x17, utf8('691231235959Z')), time(1)), malformed],
    ['29 February of a year that has none', validity(time(1), der(0x17, utf8('230229000000Z'))), malformed],
    ['29 February of a leap year', validity(time(1), der(0x17, utf8('240229000000Z'))), 'ok'],
    ['29 February 2100', validity(time(1), der(0x18, utf8('21000229000000Z'))), malformed],
    ['31 June', validity(time(1), der(0x17, utf8('230631000000Z'))), malformed],
    ['month 13', validity(time(1), der(0x17, utf8('231301000000Z'))), malformed],
    ['a leap second', validity(time(1), der(0x17, utf8('161231235960Z'))), malformed],
    ['hour 24', validity(time(1), der(0x17, utf8('161231240000Z'))), malformed],
    ['a date without seconds', validity(time(1), der(0x17, utf8('2301010000Z'))), malformed],
    ['a date in another zone', validity(time(1), der(0x17, utf8('230101000000+0100'))), malformed],
    ['a date that ends in no Z', validity(time(1), der(0x17, utf8('230101000000z'))), malformed],
    ['a date with a letter', validity(time(1), der(0x17, utf8('23010100000:Z'))), malformed],
    ['a date with fractions', validity(time(1), der(0x18, utf8('20600101000000.5Z'))), malformed],
    ['a date as a string', validity(time(1), utf8String('230101000000Z')), malformed],
    ['RSA', { key: sequence(sequence(oid('1.2.840.113549.1.1.1'), extra), bitString(point)) }, unsupported],
    [
      'P-384',
      { key: sequence(sequence(oid('1.2.840.10045.2.1'), oid('1.3.132.0.34')), bitString(point)) },
      unsupported,
    ],
    ['a compressed point', { key: sequence(ecKey, bitString(concatBytes(bytes(2), new Uint8Array(32)))) }, unsupported],
    ['a hybrid point', { key: sequence(ecKey, bitString(concatBytes(bytes(6), new Uint8Array(64)))) }, unsupported],
    ['a point of 66 bytes', { key: sequence(ecKey, bitString(concatBytes(point, bytes(0)))) }, unsupported],
    ['a point of broken bits', { key: sequence(ecKey, bitString(point, 1)) }, unsupported],
    ['more than a key', { key: sequence(ecKey, bitString(point), extra) }, unsupported],
    ['unique ids', { extensions: concatBytes(der(0x81, bytes(0)), extensions(keyUsage, constraints)) }, malformed],
    ['no extensions', { extensions: none }, malformed],
    ['no key usage', { extensions: extensions(constraints) }, malformed],
    ['no basic constraints', { extensions: extensions(keyUsage) }, malformed],
    ['more than a list of extensions', { extensions: der(0xa3, sequence(keyUsage, constraints), extra) }, malformed],
    ['key usage twice', withExtension(keyUsage), malformed],
    ['an extension behind their list', { extensions: der(0xa3, sequence(keyUsage), constraints) }, malformed],
    [
      'an authority key id twice',
      withExtension(
        extension('2.5.29.35', sequence(der(0x80, point))),
        extension('2.5.29.35', sequence(der(0x80, point))),
      ),
      malformed,
    ],
    ['basic constraints twice', withExtension(constraints), malformed],
    [
      'a subject key id twice',
      withExtension(extension('2.5.29.14', octetString(point)), extension('2.5.29.14', octetString(point))),
      malformed,
    ],
    ['an unknown extension', withExtension(extension('1.2.3', extra)), 'ok'],
    ['an unknown extension of RFC 5280', withExtension(extension('2.5.29.31', extra)), 'ok'],
    ['a long one', withExtension(extension('2.5.29.31', octetString(new Uint8Array(300)))), 'ok'],
    [
      'an unknown extension twice',
      withExtension(extension('1.2.3', extra), extension('1.2.3', extra)),
      'ok',
      'refused',
    ],
    ['an unknown critical extension', withExtension(extension('1.2.3', extra, true)), unsupported],
    ['one of RFC 5280', withExtension(extension('2.5.29.31', extra, true)), unsupported],
    ['a critical SGX extension', withExtension(extension('1.2.840.113741.1.13.1', extra, true)), unsupported],
    [
      'an SGX extension twice',
      withExtension(extension('1.2.840.113741.1.13.1', extra), extension('1.2.840.113741.1.13.1', extra)),
      malformed,
    ],
    [
      '"critical: false" written out',
      withExtension(sequence(oid('1.2.3'), der(0x01, bytes(0)), octetString(extra))),
      malformed,
    ],
    [
      '"critical: false" of RFC 5280 written out',
      withExtension(sequence(oid('2.5.29.31'), der(0x01, bytes(0)), octetString(extra))),
      malformed,
    ],
    [
      '"critical" that is neither',
      withExtension(sequence(oid('2.5.29.31'), der(0x01, bytes(1)), octetString(extra))),
      malformed,
    ],
    ['more than an extension', withExtension(sequence(oid('1.2.3'), octetString(extra), extra)), malformed],
    ['more than one of RFC 5280', withExtension(sequence(oid('2.5.29.31'), octetString(extra), extra)), malformed],
    ['an extension without a value', withExtension(sequence(oid('2.5.29.31'))), malformed],
    ['an extension of another type', withExtension(sequence(oid('2.5.29.31'), utf8String('x'))), malformed],
    ['an extension without an id', withExtension(sequence(der(0x06), octetString(extra))), malformed],
    ['an id that does not end', withExtension(sequence(der(0x06, bytes(0x55, 0x9d)), octetString(extra))), malformed],
    ['key usage without bits', keyUsageOf(der(0x03, bytes(0))), malformed],
    ['key usage of 9 bits', keyUsageOf(bitString(bytes(0x80, 0x80), 7)), 'ok'],
    ['key usage of one bit', keyUsageOf(bitString(bytes(0x80), 7)), 'ok'],
    ['key usage of 4 bytes', keyUsageOf(bitString(new Uint8Array(4).fill(1))), malformed],
    ['key usage with 8 unused bits', keyUsageOf(bitString(bytes(0x80), 8)), malformed],
    ['more than key usage', keyUsageOf(concatBytes(bitString(bytes(0x80), 7), extra)), malformed],
    ['"CA: false" written out', constraintsOf(sequence(der(0x01, bytes(0)))), malformed],
    ['a path length without CA', constraintsOf(sequence(integer(0))), malformed],
    ['a path length of 16', constraintsOf(sequence(derTrue, integer(16))), 'ok'],
    ['a path length of 17', constraintsOf(sequence(derTrue, integer(17))), malformed],
    ['a CA without limit', constraintsOf(sequence(derTrue)), 'ok'],
    ['more in basic constraints', constraintsOf(sequence(derTrue, integer(0), extra)), malformed],
    ['more than basic constraints', constraintsOf(concatBytes(sequence(), extra)), malformed],
    ['"CA" behind the basic constraints', constraintsOf(concatBytes(sequence(), derTrue)), malformed],
    [
      'an authority key id behind its sequence',
      withExtension(extension('2.5.29.35', concatBytes(sequence(), der(0x80, point)))),
      malformed,
    ],
    [
      'an authority key id with a serial',
      withExtension(extension('2.5.29.35', sequence(der(0x80, point), der(0x82, bytes(1))))),
      malformed,
    ],
    [
      'more than an authority key id',
      withExtension(extension('2.5.29.35', concatBytes(sequence(der(0x80, point)), extra))),
      malformed,
    ],
    [
      'more than a subject key id',
      withExtension(extension('2.5.29.14', concatBytes(octetString(point), extra))),
      malformed,
    ],
    ['a subject without a common name', subject(part('2.5.4.10', utf8String('x'))), malformed],
    ['an empty subject', subject(), malformed],
    ['two common names', subject(commonName(utf8String('a')), commonName(utf8String('b'))), malformed],
    ['a common name in ASCII of another tag', subject(commonName(der(0x16, utf8('somebody')))), 'ok'],
    ['a common name in UTF-16', subject(commonName(der(0x1e, utf8('ab')))), malformed],
    ['a common name of bytes', subject(commonName(octetString(utf8('ab')))), malformed],
    [
      'two names in one part',
      subject(set(sequence(oid('2.5.4.3'), utf8String('a')), sequence(oid('2.5.4.3'), utf8String('b')))),
      malformed,
    ],
    ['a name with more than a value', subject(set(sequence(oid('2.5.4.3'), utf8String('a'), extra))), malformed],
    ['a name without a value', subject(set(sequence(oid('2.5.4.3')))), malformed],
    // Roles compare common names whole: these are no role's.
    ['a common name with a NUL', subject(commonName(utf8String('a\0b'))), 'ok', 'refused'],
    ['a common name of 65 letters', subject(commonName(longText(65))), 'ok', 'refused'],
    ['a common name of 119 letters', subject(commonName(longText(119))), malformed],
    // Intel's names have parts of X.520 only.
    ['a mail address', subject(commonName(longText(8)), part('1.2.840.113549.1.9.1', longText(3))), malformed, 'ok'],
    ['a name of 118 letters', subject(commonName(longText(8)), part('2.5.4.10', longText(118))), 'ok'],
    ['a name of 119 letters', subject(commonName(longText(8)), part('2.5.4.10', longText(119))), malformed, 'ok'],
    ['a signature of broken bits', { signatureBits: bitString(pair, 1) }, malformed],
    ['an empty signature', { signatureBits: der(0x03) }, malformed],
    ['a signature of three parts', signed(integer(1), integer(2), integer(3)), malformed],
    [
      'a signature of which a part stands behind the other',
      { signatureBits: bitString(concatBytes(sequence(integer(5)), integer(7))) },
      malformed,
    ],
    ['more than a signature', { signatureBits: bitString(concatBytes(pair, extra)) }, malformed],
    ['a signature part of 33 bytes', signed(der(0x02, new Uint8Array(33).fill(1)), integer(2)), malformed],
    ['one of 32 bytes after its sign', signed(integerOfBytes(new Uint8Array(32).fill(0xff)), integer(2)), 'ok'],
    ['a negative signature part', signed(der(0x02, bytes(0x80)), integer(2)), malformed],
    ['beyond every bound', withExtension(extension('1.2.3', octetString(new Uint8Array(4096)))), 'X509TooLarge', 'ok'],
  ],
  (changes) => {
    const bytes = certificate(changes);
    return [harness.read.certificate([toHex(bytes)]), () => parseCertificate(bytes, 'it')];
  },
);

const crlNumber = extension('2.5.29.20', integer(1));
const reason = extension('2.5.29.21', enumerated(1));
const criticalReason = extension('2.5.29.21', enumerated(1), true);
const criticalDate = extension('2.5.29.24', der(0x18, utf8('20260101000000Z')), true);
const authorityKeyId = extension('2.5.29.35', sequence(der(0x80, point)));
const entry = (...more: readonly Uint8Array[]) => sequence(integer(9), time(1_700_000_000), ...more);
const crlParts: Parts = {
  version: integer(1),
  algorithm: ecdsaWithSha256,
  issuer: name,
  thisUpdate: time(1_700_000_000),
  nextUpdate: time(1_800_000_000),
  revoked: sequence(entry(sequence(reason))),
  extensions: der(0xa0, sequence(crlNumber)),
  afterSigned: none,
};

function crl(changes: Parts): Uint8Array {
  const { afterSignature = none, trailing = none, outerAlgorithm = ecdsaWithSha256, ...rest } = changes;
  const tbs = sequence(...Object.values({ ...crlParts, ...rest }));
  return concatBytes(sequence(tbs, outerAlgorithm, signature, afterSignature), trailing);
}

compare(
  'revocation lists',
  [
    ['good', {}, 'ok'],
    ['nothing revoked', { revoked: none }, 'ok'],
    ['an empty list of revocations', { revoked: sequence() }, 'ok'],
    ['no extensions', { extensions: none }, 'ok'],
    ['an entry without extensions', { revoked: sequence(entry()) }, 'ok'],
    ['neither revocations nor extensions', { revoked: none, extensions: none }, 'ok'],
    ['an entry with a critical reason', { revoked: sequence(entry(sequence(criticalReason))) }, 'ok'],
    ['an entry with a critical date', { revoked: sequence(entry(sequence(criticalDate))) }, 'ok'],
    ['an entry with something unknown', { revoked: sequence(entry(sequence(extension('1.2.3', extra)))) }, 'ok'],
    ['a critical number', { extensions: der(0xa0, sequence(extension('2.5.29.20', integer(1), true))) }, 'ok'],
    ['an extension behind their list', { extensions: der(0xa0, sequence(), crlNumber) }, malformed],
    ['an authority key id twice', { extensions: der(0xa0, sequence(authorityKeyId, authorityKeyId)) }, malformed],
    ['the same entry twice', { revoked: sequence(entry(), entry()) }, 'ok'],
    ['bytes after it', { trailing: extra }, malformed],
    ['an element after the signature', { afterSignature: extra }, malformed],
    ['an element at the end of the signed part', { afterSigned: extra }, malformed],
    ['version 1', { version: integer(0) }, unsupported],
    ['no version', { version: none }, malformed],
    ['another algorithm', { algorithm: sequence(oid('1.2.3')) }, unsupported],
    ['another algorithm outside', { outerAlgorithm: sequence(oid('1.2.3')) }, unsupported],
    ['no nextUpdate', { nextUpdate: none }, malformed],
    ['the number twice', { extensions: der(0xa0, sequence(crlNumber, crlNumber)) }, 'ok', 'refused'],
    ['an unknown extension', { extensions: der(0xa0, sequence(extension('1.2.3', extra))) }, 'ok'],
    [
      'an unknown critical extension',
      { extensions: der(0xa0, sequence(extension('1.2.3', extra, true))) },
      unsupported,
    ],
    ['a delta list', { extensions: der(0xa0, sequence(extension('2.5.29.27', integer(1), true))) }, unsupported],
    ['an indirect list', { extensions: der(0xa0, sequence(extension('2.5.29.28', sequence(), true))) }, unsupported],
    ['more than a list of extensions', { extensions: der(0xa0, sequence(crlNumber), extra) }, malformed],
    [
      'an entry with a critical issuer',
      { revoked: sequence(entry(sequence(extension('2.5.29.29', extra, true)))) },
      unsupported,
    ],
    ['an entry with more', { revoked: sequence(entry(sequence(reason), extra)) }, malformed],
    ['an entry without a date', { revoked: sequence(sequence(integer(9))) }, malformed],
    ['an entry of serial zero', { revoked: sequence(sequence(integer(0), time(1))) }, malformed],
    ['an entry that is none', { revoked: sequence(integer(9)) }, malformed],
  ],
  (changes) => {
    const bytes = crl(changes);
    return [harness.read.crl([toHex(bytes)]), () => parseCrl(bytes, 'it')];
  },
);

const sgx = '1.2.840.113741.1.13.1';
const field = (id: string, ...value: readonly Uint8Array[]) => sequence(oid(`${sgx}.${id}`), ...value);
const component = (index: number, value: Uint8Array = integer(index)) => field(`2.${index}`, value);
const components = Array.from({ length: 16 }, (_, index) => component(index + 1));
const withComponent = (index: number, value: Uint8Array) =>
  components.map((each, at) => (at === index - 1 ? component(index, value) : each));
const pceSvn = component(17, integer(13));
const cpuSvn = component(18, octetString(new Uint8Array(16)));
const tcb = (...fields: readonly Uint8Array[]): Parts => ({ tcb: field('2', sequence(...fields)) });
const sgxParts: Parts = {
  ppid: field('1', octetString(new Uint8Array(16).fill(1))),
  tcb: field('2', sequence(...components, pceSvn, cpuSvn)),
  pceId: field('3', octetString(bytes(1, 2))),
  fmspc: field('4', octetString(bytes(1, 2, 3, 4, 5, 6))),
  type: field('5', enumerated(1)),
  instance: field('6', octetString(new Uint8Array(16))),
  configuration: field('7', sequence(field('7.1', der(0x01, bytes(0xff))))),
};

compare(
  'the SGX extension',
  [
    ['good', {}, 'ok'],
    ['of a processor', { instance: none, configuration: none }, 'ok'],
    ['in another order', { ppid: none, configuration: sgxParts.ppid ?? none }, 'ok'],
    ['without PPID', { ppid: none }, malformed],
    ['without TCB', { tcb: none }, malformed],
    ['without PCE id', { pceId: none }, malformed],
    ['without FMSPC', { fmspc: none }, malformed],
    ['without a type', { type: none }, 'ok'],
    ['the PPID twice', { type: sgxParts.ppid ?? none }, malformed],
    ['the TCB twice', { type: sgxParts.tcb ?? none }, malformed],
    ['an unknown field', { type: field('8', enumerated(1)) }, malformed],
    ['field 0', { type: field('0', none) }, malformed],
    ['field 0 of no bytes', { type: field('0', der(0)) }, malformed],
    ['field 2 of no bytes', { type: field('2', der(0)) }, malformed],
    ['a field of another arc', { type: sequence(oid('1.2.840.113741.1.13.2.5'), enumerated(1)) }, malformed],
    ['a PPID of 15 bytes', { ppid: field('1', octetString(new Uint8Array(15))) }, malformed],
    ['a PPID as text', { ppid: field('1', der(0x0c, new Uint8Array(16))) }, malformed],
    ['a PPID and more', { ppid: field('1', octetString(new Uint8Array(16)), extra) }, malformed],
    ['a PCE id of 3 bytes', { pceId: field('3', octetString(new Uint8Array(3))) }, malformed],
    ['an FMSPC of 5 bytes', { fmspc: field('4', octetString(new Uint8Array(5))) }, malformed],
    ['an instance id of 17 bytes', { instance: field('6', octetString(new Uint8Array(17))) }, malformed],
    ['a type that is an integer', { type: field('5', integer(1)) }, malformed],
    ['a negative type', { type: field('5', enumerated(0x80)) }, malformed],
    ['a configuration that is none', { configuration: field('7', octetString(bytes(1))) }, malformed],
    ['a configuration of 113 bytes', { configuration: field('7', sequence(octetString(new Uint8Array(111)))) }, 'ok'],
    ['a component of 128', tcb(...withComponent(3, integer(128)), pceSvn, cpuSvn), 'ok'],
    ['a component of 255', tcb(...withComponent(16, integer(255)), pceSvn, cpuSvn), 'ok'],
    ['a component of 256', tcb(...withComponent(3, integer(256)), pceSvn, cpuSvn), malformed],
    ['a negative component', tcb(...withComponent(3, der(2, bytes(0x80))), pceSvn, cpuSvn), malformed],
    ['a component with a zero too many', tcb(...withComponent(3, der(2, bytes(0, 1))), pceSvn, cpuSvn), malformed],
    ['a component and more', tcb(...withComponent(3, concatBytes(integer(1), extra)), pceSvn, cpuSvn), malformed],
    ['15 components', tcb(...components.slice(0, 15), pceSvn, cpuSvn), malformed],
    ['components in another order', tcb(...[...components].reverse(), pceSvn, cpuSvn), malformed],
    ['no PCE SVN', tcb(...components, cpuSvn), malformed],
    ['a PCE SVN of 200', tcb(...components, component(17, integer(200)), cpuSvn), 'ok'],
    ['a PCE SVN of 300', tcb(...components, component(17, integer(300)), cpuSvn), 'ok'],
    ['a PCE SVN of 65535', tcb(...components, component(17, integer(65_535)), cpuSvn), 'ok'],
    ['a PCE SVN of 65536', tcb(...components, component(17, integer(65_536)), cpuSvn), malformed],
    ['a negative PCE SVN', tcb(...components, component(17, der(2, bytes(0x80))), cpuSvn), malformed],
    ['no CPU SVN', tcb(...components, pceSvn), malformed],
    ['a CPU SVN of 15 bytes', tcb(...components, pceSvn, component(18, octetString(new Uint8Array(15)))), malformed],
    ['a 19th field', tcb(...components, pceSvn, cpuSvn, component(19)), malformed],
    ['a TCB and more', { tcb: field('2', sequence(...components, pceSvn, cpuSvn), extra) }, malformed],
    [
      'a field within the one before',
      { tcb: field('2', sequence(...components, pceSvn, cpuSvn), field('5', enumerated(1))), type: none },
      malformed,
    ],
    ['a field behind the extension', { type: none, trailing: field('5', enumerated(1)) }, malformed],
    ['a TCB by another number', { tcb: field('7', sequence(...components, pceSvn, cpuSvn)) }, malformed],
    [
      'a high component by another number',
      tcb(...components.map((each, at) => (at === 2 ? component(4, integer(200)) : each)), pceSvn, cpuSvn),
      malformed,
    ],
    [
      'a CPU SVN by another number',
      tcb(...components, pceSvn, component(19, octetString(new Uint8Array(16)))),
      malformed,
    ],
    ['a PCE SVN by another number', tcb(...components, component(19, integer(300)), cpuSvn), malformed],
    ['a PCE SVN and more', tcb(...components, field('2.17', integer(300), extra), cpuSvn), malformed],
    ['more than the extension', { trailing: extra }, malformed],
  ],
  (changes) => {
    const { trailing = none, ...rest } = changes;
    const bytes = concatBytes(sequence(...Object.values({ ...sgxParts, ...rest })), trailing);
    const of = { place: 'it', otherExtensions: new Map([['2a864886f84d010d01', bytes]]) };
    return [harness.read.sgxExtension([toHex(bytes)]), () => readPckExtension(of as unknown as Certificate)];
  },
);

it('the SGX extension, whose last field reaches beyond it', async () => {
  const good = sequence(...Object.values({ ...sgxParts, configuration: none }));
  // The last byte is zero, as is what lies behind the call's data.
  const cut = good.slice(0, -1);
  assert.deepEqual([cut[1], (cut[3] ?? 0) > 0], [0x82, true]);
  cut[3] = (cut[3] ?? 0) - 1;
  assert.equal(await onChainVerdict(harness.read.sgxExtension([toHex(cut)])), malformed);
  const of = { place: 'it', otherExtensions: new Map([['2a864886f84d010d01', cut]]) };
  assert.notEqual(
    offChainVerdict(() => readPckExtension(of as unknown as Certificate)),
    'ok',
  );
});

const { tcb_info: tcbInfo, qe_identity: qeIdentity } = mintCollateral(sharedRoot, { issuedAt: now });

type TextCase = readonly [
  name: string,
  of: 'tcbInfo' | 'qeIdentity',
  from: string | RegExp,
  to: string,
  onChain: 'ok' | 'refused',
  offChain?: 'ok' | 'refused',
];

describe('statements', () => {
  const advisories = (count: number) => Array.from({ length: count }, () => '"DEV"').join(',');
  const level = ',"tcbDate":"2026-01-01T00:00:00Z","tcbStatus":"UpToDate"}';
  const cases: readonly TextCase[] = [
    ['good TCB info', 'tcbInfo', '', '', 'ok'],
    ['a good QE identity', 'qeIdentity', '', '', 'ok'],
    ['letters in lower case', 'tcbInfo', 'DE51', 'de51', 'ok'],
    ['what Intel says of a component', 'tcbInfo', '{"svn":3}', '{"svn":3,"category":"BIOS","type":"Late"}', 'ok'],
    ['only its type', 'tcbInfo', '{"svn":3}', '{"svn":3,"type":"Late"}', 'ok'],
    ['no module identities', 'tcbInfo', /,"tdxModuleIdentities":\[.*?\]\}\]\}\]/, '', 'ok'],
    ['an empty list of them', 'tcbInfo', /"tdxModuleIdentities":\[.*?\]\}\]\}\]/, '"tdxModuleIdentities":[]', 'ok'],
    ['no levels', 'qeIdentity', /"tcbLevels":\[.*\]/, '"tcbLevels":[]', 'ok'],
    ['no advisories', 'tcbInfo', /,"advisoryIDs":\["DEV-SA-00001"\]/, ',"advisoryIDs":[]', 'ok'],
    ['several advisories', 'tcbInfo', '"DEV-SA-00001"', '"DEV-SA-00001","DEV-SA-00002"', 'ok'],
    ['an SVN of 255', 'tcbInfo', '{"svn":3}', '{"svn":255}', 'ok'],
    ['an SVN of 256', 'tcbInfo', '{"svn":3}', '{"svn":256}', 'refused'],
    ['a negative SVN', 'tcbInfo', '{"svn":3}', '{"svn":-3}', 'refused'],
    ['an SVN with a fraction', 'tcbInfo', '{"svn":3}', '{"svn":3.5}', 'refused'],
    ['an SVN that begins with zero', 'tcbInfo', '{"svn":3}', '{"svn":03}', 'refused'],
    ['an SVN as text', 'tcbInfo', '{"svn":3}', '{"svn":"3"}', 'refused'],
    ['15 components', 'tcbInfo', ',{"svn":0}]', ']', 'refused'],
    ['17 components', 'tcbInfo', ',{"svn":0}]', ',{"svn":0},{"svn":0}]', 'refused'],
    ['a PCE SVN of 65536', 'tcbInfo', '"pcesvn":13', '"pcesvn":65536', 'refused'],
    ['a status that Intel does not have', 'tcbInfo', '"UpToDate"', '"Fine"', 'refused'],
    ['a status of the same length', 'tcbInfo', '"UpToDate"', '"UpToDote"', 'refused'],
    ['an FMSPC of 5 bytes', 'tcbInfo', 'DE5100000000', 'DE51000000', 'refused'],
    ['an FMSPC that is no hexadecimal', 'tcbInfo', 'DE51', 'DG51', 'refused'],
    ['another version', 'tcbInfo', '"version":3', '"version":2', 'refused'],
    ['another TCB type', 'tcbInfo', '"tcbType":0', '"tcbType":1', 'refused'],
    ['another id', 'tcbInfo', '"id":"TDX"', '"id":"SEV"', 'refused'],
    ['a date that is none', 'tcbInfo', /"issueDate":".*?"/, '"issueDate":"2026-02-30T00:00:00Z"', 'refused'],
    ['a date in another form', 'tcbInfo', /"issueDate":".*?"/, '"issueDate":"2026-02-03"', 'refused'],
    ['the date of a level that is none', 'tcbInfo', level, level.replace('01-01', '13-01'), 'refused'],
    ['a module twice', 'tcbInfo', /(\{"id":"TDX_01".*?\]\}\]\})\]/, '$1,$1]', 'refused'],
    ['no module', 'tcbInfo', /"tdxModule":\{.*?\},/, '', 'refused'],
    ['a signer of 47 bytes', 'tcbInfo', '"mrsigner":"00', '"mrsigner":"', 'refused'],
    ['no levels at all', 'tcbInfo', /,"tcbLevels":\[\{"tcb":\{"sgx.*\]/, '', 'refused'],
    ['an end too early', 'tcbInfo', /\]\}$/, ']', 'refused'],
    ['something behind it', 'tcbInfo', /$/, '{}', 'refused'],
    ['something behind the QE identity', 'qeIdentity', /$/, '{}', 'refused'],
    ['a list that ends in another sign', 'tcbInfo', '"DEV-SA-00001"]', '"DEV-SA-00001";', 'refused'],
    ['text without its first quote', 'tcbInfo', '{"svn":3}', '{"svn":3,"type":xLate"}', 'refused'],
    ['256 advisories', 'tcbInfo', '"DEV-SA-00001"', advisories(256), 'ok'],
    ['257 advisories', 'tcbInfo', '"DEV-SA-00001"', advisories(257), 'refused'],
    ['another version of the QE identity', 'qeIdentity', '"version":2', '"version":3', 'refused'],
    ['a product of 65536', 'qeIdentity', '"isvprodid":2', '"isvprodid":65536', 'refused'],
    ['attributes of 15 bytes', 'qeIdentity', '"attributes":"11', '"attributes":"', 'refused'],
    ['an SVN of 65536', 'qeIdentity', '"isvsvn":4', '"isvsvn":65536', 'refused'],
    // The chain reads what Intel signs, in the form in which it does.
    ['white space', 'tcbInfo', '"version":3', '"version": 3', 'refused', 'ok'],
    ['a line break at the end', 'tcbInfo', /$/, '\n', 'refused', 'ok'],
    ['another order', 'tcbInfo', /("id":"TDX"),("version":3)/, '$2,$1', 'refused', 'ok'],
    ['an unknown member', 'tcbInfo', '"tcbType":0', '"tcbType":0,"more":1', 'refused', 'ok'],
    ['an escape', 'tcbInfo', 'DEV-SA-00001', '\\u0044EV', 'refused', 'ok'],
    ['a component with an unknown member', 'tcbInfo', '{"svn":3}', '{"svn":3,"more":1}', 'refused', 'ok'],
    ['an evaluation number of 65536', 'tcbInfo', 'DataNumber":20', 'DataNumber":65536', 'refused', 'ok'],
    ['a module of version 1a', 'tcbInfo', 'TDX_01', 'TDX_1a', 'ok'],
    ['a module of version 1A', 'tcbInfo', 'TDX_01', 'TDX_1A', 'ok'],
    [
      'a module twice, by either case',
      'tcbInfo',
      /\{"id":"TDX_01"(.*?\]\}\]\})\]/,
      '{"id":"TDX_1a"$1,{"id":"TDX_1A"$1]',
      'refused',
    ],
    ['a module of another name', 'tcbInfo', 'TDX_01', 'TDX_X1', 'refused', 'ok'],
  ];
  for (const [what, of, from, to, onChain, offChain = onChain] of cases)
    it(what, async () => {
      const good = of === 'tcbInfo' ? tcbInfo : qeIdentity;
      const text = good.replace(from, to);
      assert.ok(text !== good || from === '', 'Expected a changed document');
      const argument = [toHex(utf8(text))] as const;
      const read = of === 'tcbInfo' ? harness.read.tcbInfo(argument) : harness.read.qeIdentity(argument);
      const refusal = onChain === 'ok' ? 'ok' : 'JsonReaderMalformed';
      assert.equal(await onChainVerdict(read), refusal);
      const parse = of === 'tcbInfo' ? parseTcbInfo : parseQeIdentity;
      assert.equal(offChainVerdict(() => parse(text, 'it')) === 'ok' ? 'ok' : 'refused', offChain);
    });

  const statuses = ['UpToDate', 'SWHardeningNeeded', 'ConfigurationNeeded', 'ConfigurationAndSWHardeningNeeded'];
  for (const status of [...statuses, 'OutOfDate', 'OutOfDateConfigurationNeeded', 'Revoked'])
    it(`"${status}" is a status, and nothing else of its length`, async () => {
      const read = (word: string) => {
        const text = qeIdentity.replace(/"tcbStatus":"\w+"/, `"tcbStatus":"${word}"`);
        return onChainVerdict(harness.read.qeIdentity([toHex(utf8(text))]));
      };
      assert.equal(await read(status), 'ok');
      assert.equal(await read(`${status.slice(0, -1)}x`), 'JsonReaderMalformed');
      assert.equal(await read(`x${status.slice(1)}`), 'JsonReaderMalformed');
    });

  it('of more than 255 levels are refused, and of more than 32 kB', async () => {
    const one = '{"tcb":{"isvsvn":4},"tcbDate":"2026-01-01T00:00:00Z","tcbStatus":"UpToDate"}';
    const of = (count: number) =>
      qeIdentity.replace(/"tcbLevels":\[.*\]/, `"tcbLevels":[${Array.from({ length: count }, () => one).join(',')}]`);
    const read = (text: string) => onChainVerdict(harness.read.qeIdentity([toHex(utf8(text))]));
    assert.equal(await read(of(255)), 'ok');
    assert.equal(await read(of(256)), 'JsonReaderMalformed');
    assert.equal(await read(of(500)), 'IntelJsonTooLarge');
  });
});

describe('what is read', () => {
  it('is the same', async () => {
    const made = certificate({
      serial: integerOfBytes(new Uint8Array(20).fill(0x80)),
      extensions: extensions(
        keyUsage,
        extension('2.5.29.19', sequence(derTrue, integer(1)), true),
        extension('2.5.29.14', octetString(point)),
        extension('2.5.29.35', sequence(der(0x80, point))),
      ),
    });
    const ours = parseCertificate(made, 'it');
    const argument = [toHex(made)] as const;
    const read = await harness.read.certificate(argument);
    const hash = (value: Uint8Array): Hex => keccak256(toHex(value));
    assert.deepEqual(
      [read.issuer, read.subjectName, read.authorityKeyId, read.subjectKeyId, read.isCa, read.keyUsage],
      [hash(ours.issuer), hash(utf8(ours.commonName)), hash(point), hash(point), ours.isCa, BigInt(ours.keyUsage)],
    );
    assert.equal(await harness.read.issuerName(argument), read.subjectName);
    assert.equal(read.serialTag, hash(new Uint8Array(20).fill(0x80)).slice(0, 34));
    assert.deepEqual([read.notBefore, read.notAfter].map(Number), [ours.validity.notBefore, ours.validity.notAfter]);
    assert.deepEqual([read.signatureR, read.signatureS], [5n, 7n]);

    const svns = [0, 1, 127, 128, 129, 200, 254, 255, 0, 0, 0, 0, 0, 0, 0, 77];
    const fields = svns.map((svn, index) => component(index + 1, integer(svn)));
    const platform = sequence(
      ...Object.values({ ...sgxParts, ...tcb(...fields, component(17, integer(40_000)), cpuSvn) }),
    );
    assert.deepEqual(await harness.read.sgxExtension([toHex(platform)]), {
      ppid: `0x${'01'.repeat(16)}`,
      components: toHex(Uint8Array.from(svns)),
      pceSvn: 40_000,
      pceId: '0x0102',
      fmspc: '0x010203040506',
    });
  });
});
