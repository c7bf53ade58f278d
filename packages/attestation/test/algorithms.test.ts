import { generateKeyPairSync } from 'node:crypto';
import { concatBytes, fromHex } from '@cloister/crypto';
import { describe, expect, test } from 'vitest';
import { bitString, der, integer, integerOfBytes, oid, sequence } from '../src/unsafe-simulated/derWriter.ts';
import { pssAlgorithm } from '../src/unsafe-simulated/vendorCertificate.ts';
import { AttestationError } from '../src/verify/errors.ts';
import { DerReader } from '../src/verify/x509/der.ts';
import { type KeyKind, readPublicKey } from '../src/verify/x509/publicKey.ts';
import {
  readAlgorithm,
  readSignature,
  type SignatureAlgorithm,
  verifySignature,
} from '../src/verify/x509/signature.ts';

const all: readonly KeyKind[] = ['p256', 'p384', 'rsa'];
const algorithms: readonly SignatureAlgorithm[] = ['ecdsa-sha256', 'ecdsa-sha384', 'rsa-pss-sha384'];

function codeOf(action: () => unknown): string {
  try {
    return String(action());
  } catch (error) {
    if (!(error instanceof AttestationError)) throw error;
    return error.code;
  }
}

const spkiOf = (kind: KeyKind | 'p521' | 'ed25519'): Uint8Array => {
  const curves = { p256: 'P-256', p384: 'P-384', p521: 'P-521' } as const;
  const { publicKey } =
    kind === 'rsa'
      ? generateKeyPairSync('rsa', { modulusLength: 2048 })
      : kind === 'ed25519'
        ? generateKeyPairSync('ed25519')
        : generateKeyPairSync('ec', { namedCurve: curves[kind] });
  return Uint8Array.from(publicKey.export({ format: 'der', type: 'spki' }));
};

describe('public keys', () => {
  const read = (bytes: Uint8Array, allowed: readonly KeyKind[] = all) =>
    codeOf(() => readPublicKey(new DerReader(bytes, 'it'), allowed).publicKey.kind);

  test.each(all)('%s is read, and only where it is allowed', (kind) => {
    const spki = spkiOf(kind);
    expect(read(spki)).toBe(kind);
    expect(read(spki, [kind])).toBe(kind);
    expect(
      read(
        spki,
        all.filter((other) => other !== kind),
      ),
    ).toBe('UNSUPPORTED_CERTIFICATE');
    expect(readPublicKey(new DerReader(spki, 'it'), all).spki).toEqual(spki);
  });

  test.each(['p521', 'ed25519'] as const)('%s is not', (kind) => {
    expect(read(spkiOf(kind))).toMatch(/^(UNSUPPORTED_CERTIFICATE|MALFORMED_DER)$/);
  });

  const rsa = oid('1.2.840.113549.1.1.1');
  const key = sequence(integerOfBytes(new Uint8Array(256).fill(0xf1)), integer(65_537));
  const ec = (...parameters: readonly Uint8Array[]): Uint8Array => sequence(oid('1.2.840.10045.2.1'), ...parameters);
  const p256 = oid('1.2.840.10045.3.1.7');
  const point = new Uint8Array(65).fill(4);

  test.each<[string, Uint8Array, string]>([
    ['an RSA key as it should be', sequence(sequence(rsa, der(0x05)), bitString(key)), 'rsa'],
    ['RSA without NULL', sequence(sequence(rsa), bitString(key)), 'MALFORMED_DER'],
    [
      'RSA with a NULL of a byte',
      sequence(sequence(rsa, der(0x05, Uint8Array.of(0))), bitString(key)),
      'UNSUPPORTED_CERTIFICATE',
    ],
    [
      'RSA with more parameters',
      sequence(sequence(rsa, der(0x05), der(0x05)), bitString(key)),
      'UNSUPPORTED_CERTIFICATE',
    ],
    [
      'RSA with bytes behind the key',
      sequence(sequence(rsa, der(0x05)), bitString(concatBytes(key, Uint8Array.of(0)))),
      'MALFORMED_DER',
    ],
    [
      'RSA with a third number',
      sequence(sequence(rsa, der(0x05)), bitString(sequence(integer(1), integer(3), integer(3)))),
      'MALFORMED_DER',
    ],
    [
      'RSA with a negative modulus',
      sequence(sequence(rsa, der(0x05)), bitString(sequence(der(0x02, Uint8Array.of(0xff)), integer(3)))),
      'MALFORMED_DER',
    ],
    ['RSA-PSS as a kind of key', sequence(pssAlgorithm(), bitString(key)), 'UNSUPPORTED_CERTIFICATE'],
    ['a curve as it should be', sequence(ec(p256), bitString(point)), 'p256'],
    ['a curve without a name', sequence(ec(), bitString(point)), 'UNSUPPORTED_CERTIFICATE'],
    ['a curve by parameters', sequence(ec(sequence()), bitString(point)), 'UNSUPPORTED_CERTIFICATE'],
    ['a curve with more parameters', sequence(ec(p256, der(0x05)), bitString(point)), 'UNSUPPORTED_CERTIFICATE'],
    ['a compressed point', sequence(ec(p256), bitString(new Uint8Array(33).fill(2))), 'UNSUPPORTED_CERTIFICATE'],
    ['a point of another curve', sequence(ec(p256), bitString(new Uint8Array(97).fill(4))), 'UNSUPPORTED_CERTIFICATE'],
    ['a hybrid point', sequence(ec(p256), bitString(new Uint8Array(65).fill(6))), 'UNSUPPORTED_CERTIFICATE'],
    ['bits that are no bytes', sequence(ec(p256), bitString(point, 1)), 'MALFORMED_DER'],
    ['more behind the key', sequence(ec(p256), bitString(point), der(0x05)), 'MALFORMED_DER'],
  ])('%s', (_, bytes, expected) => {
    expect(read(bytes)).toBe(expected);
  });
});

describe('signature algorithms', () => {
  const read = (bytes: Uint8Array, allowed: readonly SignatureAlgorithm[] = algorithms) =>
    codeOf(() => readAlgorithm(new DerReader(bytes, 'it'), allowed, 'UNSUPPORTED_CERTIFICATE').algorithm);
  const ecdsa256 = sequence(oid('1.2.840.10045.4.3.2'));
  const ecdsa384 = sequence(oid('1.2.840.10045.4.3.3'));
  const sha256 = sequence(oid('2.16.840.1.101.3.4.2.1'), der(0x05));
  const bareSha384 = sequence(oid('2.16.840.1.101.3.4.2.2'));
  const pss = oid('1.2.840.113549.1.1.10');

  test.each<[string, Uint8Array, string]>([
    ['ECDSA with SHA-256', ecdsa256, 'ecdsa-sha256'],
    ['ECDSA with SHA-384', ecdsa384, 'ecdsa-sha384'],
    ['PSS', pssAlgorithm(), 'rsa-pss-sha384'],
    ['PSS with its trailer left out', pssAlgorithm({ trailer: undefined }), 'rsa-pss-sha384'],
    ['PSS with a hash without NULL', pssAlgorithm({ hash: bareSha384 }), 'rsa-pss-sha384'],
    ['ECDSA with parameters', sequence(oid('1.2.840.10045.4.3.2'), der(0x05)), 'UNSUPPORTED_CERTIFICATE'],
    ['ECDSA with SHA-512', sequence(oid('1.2.840.10045.4.3.4')), 'UNSUPPORTED_CERTIFICATE'],
    ['PKCS #1 with SHA-384', sequence(oid('1.2.840.113549.1.1.12'), der(0x05)), 'UNSUPPORTED_CERTIFICATE'],
    ['PSS with SHA-256', pssAlgorithm({ hash: sha256 }), 'UNSUPPORTED_CERTIFICATE'],
    ['PSS with a short salt', pssAlgorithm({ saltLength: 47 }), 'UNSUPPORTED_CERTIFICATE'],
    ['PSS without a salt', pssAlgorithm({ saltLength: 0 }), 'UNSUPPORTED_CERTIFICATE'],
    ['PSS with another trailer', pssAlgorithm({ trailer: 0 }), 'UNSUPPORTED_CERTIFICATE'],
    ['PSS without parameters: SHA-1', sequence(pss), 'MALFORMED_DER'],
    ['PSS with empty parameters: SHA-1', sequence(pss, sequence()), 'MALFORMED_DER'],
    [
      'PSS with two hashes',
      sequence(
        pss,
        sequence(
          der(0xa0, bareSha384),
          der(0xa1, sequence(oid('1.2.840.113549.1.1.8'), sha256)),
          der(0xa2, integer(48)),
        ),
      ),
      'UNSUPPORTED_CERTIFICATE',
    ],
    [
      'PSS with another mask',
      sequence(
        pss,
        sequence(der(0xa0, bareSha384), der(0xa1, sequence(oid('1.2.3'), bareSha384)), der(0xa2, integer(48))),
      ),
      'UNSUPPORTED_CERTIFICATE',
    ],
    [
      'PSS with a hash of parameters',
      pssAlgorithm({ hash: sequence(oid('2.16.840.1.101.3.4.2.2'), integer(1)) }),
      'MALFORMED_DER',
    ],
    ['PSS with more behind', concatBytes(sequence(pss, sequence(), der(0x05))), 'MALFORMED_DER'],
  ])('%s', (_, bytes, expected) => {
    expect(read(bytes)).toBe(expected);
  });

  test('only those that are allowed', () => {
    expect(read(ecdsa256, ['ecdsa-sha384'])).toBe('UNSUPPORTED_CERTIFICATE');
    expect(read(pssAlgorithm(), ['ecdsa-sha256', 'ecdsa-sha384'])).toBe('UNSUPPORTED_CERTIFICATE');
  });

  test('a signature of ECDSA has parts of its curve', () => {
    const pair = (length: number) => bitString(sequence(integerOfBytes(new Uint8Array(length).fill(1)), integer(1)));
    const of = (bytes: Uint8Array, algorithm: SignatureAlgorithm) =>
      codeOf(() => readSignature(new DerReader(bytes, 'it'), algorithm).length);
    expect(of(pair(48), 'ecdsa-sha384')).toBe('96');
    expect(of(pair(32), 'ecdsa-sha256')).toBe('64');
    expect(of(pair(33), 'ecdsa-sha256')).toBe('MALFORMED_DER');
    expect(of(pair(49), 'ecdsa-sha384')).toBe('MALFORMED_DER');
    expect(of(bitString(new Uint8Array(256)), 'rsa-pss-sha384')).toBe('256');
    expect(of(bitString(new Uint8Array(256), 3), 'rsa-pss-sha384')).toBe('MALFORMED_DER');
  });

  test('a key of another kind than the algorithm is for verifies nothing', async () => {
    const keys = [
      { kind: 'p256', point: new Uint8Array(64) },
      { kind: 'p384', point: new Uint8Array(96) },
      { kind: 'rsa', modulus: new Uint8Array(256).fill(0xff), exponent: fromHex('010001') },
    ] as const;
    for (const key of keys)
      for (const algorithm of algorithms)
        await expect(
          verifySignature(key, algorithm, new Uint8Array(1), new Uint8Array(64), 'it'),
        ).rejects.toMatchObject({ code: 'SIGNATURE_INVALID' });
  });
});
