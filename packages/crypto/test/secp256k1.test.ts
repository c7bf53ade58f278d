import { describe, expect, test } from 'vitest';
import { fromHex, toHex } from '../src/bytes.ts';
import * as native from '../src/nativeSecp256k1.node.ts';
import { randomBytes } from '../src/random.ts';
import * as portable from '../src/secp256k1.ts';
import { SecretBytes } from '../src/secretBytes.ts';

const order = 0xfffffffffffffffffffffffffffffffebaaedce6af48a03bbfd25e8cd0364141n;

describe.each([
  { name: 'noble', curve: portable },
  { name: 'native', curve: native },
])('secp256k1 by $name', ({ curve }) => {
  test('the first development account of Anvil and Hardhat has its known address', () => {
    const secret = new SecretBytes(fromHex('0xac0974bec39a17e36ba4a6b4d238ff944bacb478cbed5efcae784d7bf4f2ff80'));
    expect(curve.addressOf(secret)).toBe('0xf39fd6e51aad88f6f4ce6ab8827279cfffb92266');
  });

  test('the signer is recovered', () => {
    for (let i = 0; i < 20; i++) {
      const secret = portable.generateSecp256k1();
      const digest = randomBytes(32);
      const signature = curve.signDigest(secret, digest);
      expect(signature.length).toBe(65);
      expect(curve.recoverAddress(digest, signature)).toBe(curve.addressOf(secret));
    }
  });

  test('the malleable form, another v and an empty signature are refused', () => {
    const digest = randomBytes(32);
    const signature = curve.signDigest(portable.generateSecp256k1(), digest);
    const highS = signature.slice();
    const s = order - BigInt(toHex(signature.subarray(32, 64)));
    highS.set(fromHex(s.toString(16).padStart(64, '0')), 32);
    highS[64] = signature[64] === 27 ? 28 : 27;
    const otherV = signature.slice();
    otherV[64] = (signature[64] as number) - 27;
    for (const bad of [highS, otherV, new Uint8Array(65).fill(27, 64)])
      expect(() => curve.recoverAddress(digest, bad)).toThrow(expect.objectContaining({ code: 'INVALID_SIGNATURE' }));
    expect(() => curve.recoverAddress(digest, signature.subarray(1))).toThrow(
      expect.objectContaining({ code: 'INVALID_LENGTH' }),
    );
    expect(() => curve.recoverAddress(digest.subarray(1), signature)).toThrow(
      expect.objectContaining({ code: 'INVALID_LENGTH' }),
    );
  });

  test('a digest with a changed bit gives another signer', () => {
    const secret = portable.generateSecp256k1();
    const digest = randomBytes(32);
    const signature = curve.signDigest(secret, digest);
    digest[31] = (digest[31] as number) ^ 1;
    expect(curve.recoverAddress(digest, signature)).not.toBe(curve.addressOf(secret));
  });

  test('bytes that are no secret key are refused', () => {
    for (const bad of [new Uint8Array(32), fromHex(order.toString(16)), new Uint8Array(31).fill(1)])
      expect(() => curve.signDigest(new SecretBytes(bad), new Uint8Array(32))).toThrow(
        expect.objectContaining({ code: 'INVALID_KEY' }),
      );
  });
});

test('both give the same signature', () => {
  for (let i = 0; i < 20; i++) {
    const secret = portable.generateSecp256k1();
    const digest = randomBytes(32);
    expect(native.signDigest(secret, digest)).toEqual(portable.signDigest(secret, digest));
  }
});
