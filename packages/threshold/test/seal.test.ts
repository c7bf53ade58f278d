import { hkdfSync } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { type KeyPurpose, type KeyUse, keyPurposes } from '@cloister/core';
import { fromHex, SecretBytes, toHex, utf8 } from '@cloister/crypto';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { combinePartials, deriveFromSignature } from '../src/combine/index.ts';
import { publicShareAt } from '../src/dkg/index.ts';
import { signWithShare } from '../src/native/index.ts';
import { openSealed, sealOverhead, sealToIdentity } from '../src/seal/index.ts';
import { sealWithSeed } from '../src/seal/sealToIdentity.ts';
import { makeKey } from './keyCeremony.ts';

const sharing = makeKey(3, 4);
const publicKey = publicShareAt(sharing.commitments, 0);
const identity = new Uint8Array(32).fill(7);
const aad = utf8('name');
const signatureOf = (message: Uint8Array): SecretBytes =>
  new SecretBytes(
    combinePartials(
      [1, 2, 4].map((index) => ({
        index,
        signature: signWithShare(sharing.shares[index - 1] as SecretBytes, message),
      })),
    ),
  );
const signature = signatureOf(identity);
const invalid = { code: 'SEAL_INVALID' };

describe('what is sealed to an identity', () => {
  test('opens with the signature over it, whatever its size', async () => {
    for (const size of [0, 1, 31, 32, 1000, 65_536]) {
      const text = new Uint8Array(size).fill(size);
      const sealed = await sealToIdentity(publicKey, identity, aad, text);
      expect(sealed.length).toBe(size + sealOverhead);
      expect(await openSealed(signature, identity, aad, sealed)).toEqual(text);
    }
  });

  test('is different each time', async () => {
    const [left, right] = [await sealed(), await sealed()];
    expect(left).not.toEqual(right);
  });

  test('does not open for another identity, under another name, or with another signature', async () => {
    const value = await sealed();
    const other = new Uint8Array(32).fill(8);
    await expect(openSealed(signature, other, aad, value)).rejects.toMatchObject(invalid);
    await expect(openSealed(signatureOf(other), identity, aad, value)).rejects.toMatchObject(invalid);
    await expect(openSealed(signature, identity, utf8('other'), value)).rejects.toMatchObject(invalid);
  });

  test('does not open when any byte is changed, or when cut', async () => {
    const value = await sealed();
    await fc.assert(
      fc.asyncProperty(fc.nat(value.length - 1), fc.integer({ min: 1, max: 255 }), async (at, by) => {
        const changed = value.slice();
        changed[at] = (changed[at] as number) ^ by;
        await expect(openSealed(signature, identity, aad, changed)).rejects.toMatchObject(invalid);
      }),
      { numRuns: 60 },
    );
    for (const length of [0, 47, 48, sealOverhead - 1, value.length - 1])
      await expect(openSealed(signature, identity, aad, value.subarray(0, length))).rejects.toMatchObject(invalid);
  });

  test('asks for an identity of 32 bytes', async () => {
    await expect(sealToIdentity(publicKey, new Uint8Array(31), aad, aad)).rejects.toMatchObject(invalid);
  });

  async function sealed(): Promise<Uint8Array> {
    return sealToIdentity(publicKey, identity, aad, utf8('a secret'));
  }
});

describe('keys of an identity', () => {
  const hex = async (purpose: KeyPurpose, name = 'main', version = 1, from = signature) => {
    const ofClass = { class: keyPurposes[purpose], signature: from };
    return toHex((await deriveFromSignature(ofClass, { purpose, name, version } as never)).reveal());
  };

  test('are the same for the same use, and others for another purpose, name, version or signature', async () => {
    expect(await hex('function-key')).toBe(await hex('function-key'));
    const purposes = Object.keys(keyPurposes) as KeyPurpose[];
    const all = await Promise.all([
      ...purposes.map((purpose) => hex(purpose)),
      ...['n', 'main1', 'Main'].map((name) => hex('function-key', name)),
      hex('function-key', 'main', 2),
      hex('function-key', 'main', 1, signatureOf(new Uint8Array(32).fill(8))),
      Promise.resolve(toHex(signature.reveal().slice(0, 32))),
    ]);
    expect(new Set(all).size).toBe(all.length);
  });

  test('of a purpose come from the class of that purpose alone', async () => {
    const use = { purpose: 'function-key', name: 'main', version: 1 } as const;
    await deriveFromSignature({ class: 'signing', signature }, use);
    // @ts-expect-error a purpose of another class
    const other = deriveFromSignature({ class: 'secrets', signature }, use);
    await expect(other).rejects.toMatchObject({ code: 'PURPOSE_OF_OTHER_CLASS' });
    // @ts-expect-error no purpose at all
    const misspelt = deriveFromSignature({ class: 'signing', signature }, { ...use, purpose: 'functionkey' });
    await expect(misspelt).rejects.toMatchObject({ code: 'KEY_PURPOSE_UNKNOWN' });
  });
});

describe('vectors/committee.json', () => {
  const { seal, keyUses } = JSON.parse(
    readFileSync(new URL('../../../vectors/committee.json', import.meta.url), 'utf8'),
  );

  test('what was sealed then is sealed so now, and opens', async () => {
    const sealedNow = await sealWithSeed(
      fromHex(seal.publicKey),
      fromHex(seal.identity),
      utf8(seal.aad),
      utf8(seal.plaintext),
      fromHex(seal.seed),
    );
    expect(toHex(sealedNow)).toBe(seal.sealed);
    const key = new SecretBytes(fromHex(seal.signature));
    expect(await openSealed(key, fromHex(seal.identity), utf8(seal.aad), fromHex(seal.sealed))).toEqual(
      utf8(seal.plaintext),
    );
  });

  test('keys of an identity are derived so', async () => {
    const from = new SecretBytes(fromHex(seal.signature));
    expect(keyUses.map(({ use }: { use: KeyUse }) => use.purpose)).toEqual(Object.keys(keyPurposes));
    for (const { use, class: of, info, key } of keyUses) {
      expect(keyPurposes[(use as KeyUse).purpose]).toBe(of);
      expect(toHex((await deriveFromSignature({ class: of as never, signature: from }, use as never)).reveal())).toBe(
        key,
      );
      // Once more by Node.js' own HKDF.
      const again = hkdfSync('sha256', from.reveal(), 'cloister/app-key: v1', fromHex(info), 32);
      expect(toHex(new Uint8Array(again))).toBe(key);
    }
  });
});
