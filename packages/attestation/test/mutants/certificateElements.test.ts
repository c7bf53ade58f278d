import { concatBytes } from '@cloister/crypto';
import { describe, expect, test } from 'vitest';
import {
  bitString,
  der,
  derTrue,
  enumerated,
  integer,
  oid,
  sequence,
  set,
  time,
  utf8String,
} from '../../src/unsafe-simulated/derWriter.ts';
import { extension } from '../../src/unsafe-simulated/index.ts';
import { parseCertificate } from '../../src/verify/x509/certificate.ts';
import { verifyIssued } from '../../src/verify/x509/chain.ts';
import { parseCrl } from '../../src/verify/x509/crl.ts';
import { makeWorld } from '../synthetic.ts';
import { laterMessageOf, messageOf } from './messageOf.ts';

const algorithm = sequence(oid('1.2.840.10045.4.3.2'));
const signature = bitString(sequence(integer(5), integer(7)));
const nameOf = (value: Uint8Array) => sequence(set(sequence(oid('2.5.4.3'), value)));
const point = concatBytes(Uint8Array.of(4), new Uint8Array(64).fill(1));
const keyUsage = extension('2.5.29.15', bitString(Uint8Array.of(0xc0), 6), true);
const constraints = extension('2.5.29.19', sequence(), true);

type Options = { readonly subject?: Uint8Array; readonly keyUsage?: Uint8Array; readonly signature?: Uint8Array };

function certificate(options: Options = {}): Uint8Array {
  const tbs = sequence(
    der(0xa0, integer(2)),
    integer(7),
    algorithm,
    nameOf(utf8String('somebody')),
    sequence(time(1_700_000_000), time(1_800_000_000)),
    options.subject ?? nameOf(utf8String('somebody')),
    sequence(sequence(oid('1.2.840.10045.2.1'), oid('1.2.840.10045.3.1.7')), bitString(point)),
    der(0xa3, sequence(options.keyUsage ?? keyUsage, constraints)),
  );
  return sequence(tbs, algorithm, options.signature ?? signature);
}

const read = (options: Options) => messageOf(() => parseCertificate(certificate(options), 'it'));

describe('a certificate', () => {
  test('with bytes behind it', () => {
    expect(read({})).toBe('ok');
    expect(messageOf(() => parseCertificate(concatBytes(certificate(), Uint8Array.of(5, 0)), 'it'))).toContain(
      'Expected the certificate to end here',
    );
  });

  test('with a common name in any form that is ASCII, up to 64 characters', () => {
    const ia5 = (text: string) => nameOf(der(0x16, Buffer.from(text, 'latin1')));
    expect(read({ subject: ia5('somebody') })).toBe('ok');
    expect(read({ subject: nameOf(utf8String('n'.repeat(64))) })).toBe('ok');
    expect(read({ subject: nameOf(utf8String('n'.repeat(65))) })).toContain('Expected one common name in ASCII');
    expect(read({ subject: nameOf(utf8String(' ~')) })).toBe('ok');
    for (const character of ['\x1f', '\x7f'])
      expect(read({ subject: nameOf(utf8String(`n${character}`)) })).toContain('Expected one common name in ASCII');
  });

  test('with a key usage of 1 to 9 bits', () => {
    const usage = (...contents: readonly number[]) => ({
      keyUsage: extension('2.5.29.15', der(0x03, Uint8Array.from(contents)), true),
    });
    expect(read(usage(7, 0x80))).toBe('ok');
    expect(read(usage(7, 0x00, 0x80))).toBe('ok');
    for (const contents of [[], [0], [8, 0x80], [7, 0, 0, 0x80]])
      expect(read(usage(...contents))).toContain('Expected key usage of 1 to 9 bits');
  });

  test('with a signature that has no bits, or half a byte', () => {
    for (const contents of [[], [1, 0x30, 0]])
      expect(read({ signature: der(0x03, Uint8Array.from(contents)) })).toContain(
        'Expected a signature of whole bytes',
      );
  });

  test('whose issuer has no subject key id, under an authority key id', async () => {
    const { platform, root } = makeWorld();
    const leaf = parseCertificate(platform.pck.certificate, 'leaf');
    const ca = parseCertificate(root.pckCa.certificate, 'ca');
    expect(leaf.authorityKeyId).toBeDefined();
    expect(await laterMessageOf(() => verifyIssued(leaf, ca, 0))).toBe('ok');
    expect(await laterMessageOf(() => verifyIssued(leaf, { ...ca, subjectKeyId: undefined }, 0))).toBe('ok');
  });
});

describe('a CRL', () => {
  const number = extension('2.5.29.20', integer(1), true);
  const crl = (entryExtensions: readonly Uint8Array[], extensions: readonly Uint8Array[] = []): Uint8Array => {
    const entry = sequence(integer(9), time(1_700_000_000), sequence(...entryExtensions));
    const tbs = sequence(
      integer(1),
      algorithm,
      nameOf(utf8String('somebody')),
      time(1_700_000_000),
      time(1_800_000_000),
      sequence(entry),
      der(0xa0, sequence(...extensions)),
    );
    return sequence(tbs, algorithm, signature);
  };
  const readCrl = (...arguments_: Parameters<typeof crl>) => messageOf(() => parseCrl(crl(...arguments_), 'it'));

  test('may mark what it explains of a revocation as critical, and what it counts', () => {
    expect(readCrl([extension('2.5.29.21', enumerated(1), true)])).toBe('ok');
    expect(readCrl([extension('2.5.29.24', time(1_700_000_000), true)])).toBe('ok');
    expect(readCrl([extension('1.2.3', derTrue)])).toBe('ok');
    expect(readCrl([extension('1.2.3', derTrue, true)])).toContain('no unknown critical extension of a revocation');
    expect(readCrl([extension('2.5.29.21', enumerated(1))], [number])).toBe('ok');
  });

  test('with bytes behind it', () => {
    const bytes = concatBytes(crl([extension('1.2.3', derTrue)]), Uint8Array.of(5, 0));
    expect(messageOf(() => parseCrl(bytes, 'it'))).toContain('Expected the CRL to end here');
  });
});
