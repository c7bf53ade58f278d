import { readFileSync } from 'node:fs';
import {
  type CodeReference,
  functionManifest,
  isCodeOf,
  type Manifest,
  manifestFromJson,
  maxCodeBytes,
  maxSealedCodeBytes,
  needsKeys,
  packCode,
  sealedCodeAad,
  sealedCodeDigest,
  unavailableFeature,
  unpackCode,
} from '@cloister/core';
import { sha256, toHex, utf8 } from '@cloister/crypto';
import fc from 'fast-check';
import { encodeAbiParameters, keccak256 } from 'viem';
import { describe, expect, test } from 'vitest';
import { b32 } from './helpers.ts';

const code = utf8('export default { fetch: () => new Response("hi") }');
const hash = toHex(sha256(code));
const header = 36;

describe('packed code', () => {
  test('is read back with its salt, whatever its length', () => {
    for (const length of [0, 1, 4_060, 4_061, 70_000, 1_000_000]) {
      const bytes = new Uint8Array(length).fill(length);
      const { salt, packed } = packCode(bytes);
      expect(unpackCode(packed)).toEqual({ salt, code: bytes });
    }
  });

  test('has another salt each time', () => {
    expect(packCode(code).salt).not.toBe(packCode(code).salt);
  });

  test('does not show its length beyond a bucket, and grows by at most 12 %', () => {
    const lengthOf = (length: number) => packCode(new Uint8Array(length)).packed.length;
    expect(lengthOf(0)).toBe(4_096);
    expect(lengthOf(4_096 - header)).toBe(4_096);
    expect(lengthOf(4_097 - header)).toBe(8_192);
    for (const length of [200_000, 1_234_567, 8_000_001]) {
      expect(lengthOf(length)).toBe(lengthOf(length + 1));
      expect(lengthOf(length)).toBeLessThanOrEqual((length + header) * 1.12);
    }
  });

  test('of the largest code fits what can be stored with the seal around it, and no byte more', () => {
    const { packed } = packCode(new Uint8Array(maxSealedCodeBytes).fill(1));
    expect(packed.length + 96).toBe(maxCodeBytes);
    expect(unpackCode(packed).code).toHaveLength(maxSealedCodeBytes);
    expect(() => packCode(new Uint8Array(maxSealedCodeBytes + 1))).toThrow(
      expect.objectContaining({ code: 'CODE_TOO_LARGE_TO_SEAL' }),
    );
  });

  const changed = (change: (packed: Uint8Array) => void) => {
    const { packed } = packCode(code);
    change(packed);
    return packed;
  };
  test.each<[string, Uint8Array]>([
    ['nothing', new Uint8Array()],
    ['less than a header', packCode(code).packed.subarray(0, header - 1)],
    ['a byte too few', packCode(code).packed.subarray(0, 4_095)],
    ['a bucket too many', new Uint8Array([...packCode(code).packed, ...new Uint8Array(4_096)])],
    ['more than can be stored', new Uint8Array(maxCodeBytes)],
    ['a length beyond its bytes', changed((packed) => packed.fill(0xff, 32, 36))],
    ['a length of another bucket', changed((packed) => packed.set([0, 0, 0x20, 0], 32))],
    ['something in its padding', changed((packed) => packed.fill(1, 4_095))],
    [
      'something right behind the code',
      changed((packed) => packed.fill(1, header + code.length, header + code.length + 1)),
    ],
  ])('%s is refused', (_, packed) => {
    expect(() => unpackCode(packed)).toThrow(expect.objectContaining({ code: 'CODE_MALFORMED' }));
  });

  test('of bytes that are none of ours only the one form is read', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 200 }), fc.nat(10_000), (bytes, zeros) => {
        const packed = new Uint8Array(bytes.length + zeros);
        packed.set(bytes);
        let read: ReturnType<typeof unpackCode>;
        try {
          read = unpackCode(packed);
        } catch (error) {
          expect(error).toMatchObject({ code: 'CODE_MALFORMED' });
          return;
        }
        // What was read is packed to the very same bytes.
        expect(packCode(read.code).packed.subarray(32)).toEqual(packed.subarray(32));
      }),
    );
  });
});

describe('what a manifest says of code', () => {
  const sealed = { digest: sealedCodeDigest(b32(5), hash), keyVersion: 2 };
  const reference: CodeReference = { sha256: b32(1), bytes: 4_192, sealed };

  test('sealed code is the one whose salt and hash it states', () => {
    expect(isCodeOf(reference, code, b32(5))).toBe(true);
    expect(isCodeOf(reference, code, b32(6))).toBe(false);
    expect(isCodeOf(reference, code, undefined)).toBe(false);
    expect(isCodeOf(reference, utf8('other'), b32(5))).toBe(false);
    // A public program by its own hash is not the sealed one.
    expect(isCodeOf({ ...reference, sha256: hash, bytes: code.length }, code, b32(6))).toBe(false);
    expect(isCodeOf({ sha256: hash, bytes: code.length }, code, undefined)).toBe(true);
    expect(isCodeOf({ sha256: hash, bytes: code.length + 1 }, code, undefined)).toBe(false);
  });

  test('an app with sealed code has keys, so its images are its owner’s choice', () => {
    const manifest = functionManifest({ name: 'x', code: reference });
    expect(manifest).toMatchObject({ imagePolicy: 'both', code: reference });
    expect(needsKeys(manifest)).toBe(true);
    expect(unavailableFeature(manifest)).toBeUndefined();
    expect(needsKeys({ ...manifest, code: { sha256: hash, bytes: 1 } })).toBe(false);
  });

  const manifest = functionManifest({ name: 'x', code: reference });
  test.each<[string, object, RegExp]>([
    ['sealed as nothing', { ...reference, sealed: null }, /\$\.code\.sealed/],
    ['sealed as a word', { ...reference, sealed: true }, /\$\.code\.sealed/],
    ['sealed without a digest', { ...reference, sealed: { keyVersion: 1 } }, /\$\.code\.sealed\.digest/],
    ['sealed without a key version', { ...reference, sealed: { digest: b32(1) } }, /\$\.code\.sealed\.keyVersion/],
    ['sealed to key version zero', { ...reference, sealed: { ...sealed, keyVersion: 0 } }, /keyVersion/],
    [
      'sealed to a key version beyond 32 bits',
      { ...reference, sealed: { ...sealed, keyVersion: 2 ** 32 } },
      /keyVersion/,
    ],
    ['with its salt beside it', { ...reference, sealed: { ...sealed, salt: b32(5) } }, /unknown field "salt"/],
    ['with an unknown field', { ...reference, plain: hash }, /unknown field "plain"/],
    ['larger than can be stored', { ...reference, bytes: maxCodeBytes + 1 }, /\$\.code\.bytes/],
  ])('code %s is refused', (_, stated, message) => {
    expect(() => manifestFromJson({ ...manifest, code: stated as Manifest['code'] })).toThrow(message);
  });
});

test('vectors/committee.json: digest and associated data of sealed code', () => {
  const text = readFileSync(new URL('../../../vectors/committee.json', import.meta.url), 'utf8');
  const { name, salt, codeSha256, digest, aad } = JSON.parse(text).sealedCode;
  expect(sealedCodeDigest(salt, codeSha256)).toBe(digest);
  expect(toHex(sealedCodeAad(name))).toBe(aad);
  const types = [{ type: 'string' }, { type: 'bytes32' }, { type: 'bytes32' }];
  expect(keccak256(encodeAbiParameters(types, ['cloister/sealed-code: v1', salt, codeSha256]))).toBe(digest);
});
