import { describe, expect, test } from 'vitest';
import { concatBytes, fromHex, toHex } from '../src/bytes.ts';
import { engine as nodeEngine } from '../src/engine.node.ts';
import { engine as webEngine } from '../src/engine.web.ts';
import { CryptoError } from '../src/errors.ts';
import { SecretBytes } from '../src/secretBytes.ts';
import { haveFixtures, readWycheproof } from './wycheproof.ts';

describe.skipIf(!haveFixtures).each([nodeEngine, webEngine])('wycheproof vectors, $name engine', (engine) => {
  test('x25519: gives the shared secret, refuses every all-zero one', async () => {
    const file = readWycheproof<object, { public: string; private: string; shared: string }>('x25519_test');
    const seen = { agreed: 0, refused: 0 };
    for (const vector of file.testGroups.flatMap((group) => group.tests)) {
      const agree = async () => await engine.x25519(new SecretBytes(fromHex(vector.private)), fromHex(vector.public));
      const flags = vector.flags.join();
      if (vector.flags.includes('ZeroSharedSecret')) {
        await expect(agree(), `${vector.tcId} ${flags}`).rejects.toMatchObject({ code: 'X25519_ZERO_RESULT' });
        seen.refused++;
      } else {
        expect(toHex(await agree()), `${vector.tcId} ${flags}`).toBe(`0x${vector.shared}`);
        seen.agreed++;
      }
    }
    expect(seen.agreed + seen.refused).toBe(file.numberOfTests);
    expect(seen.refused).toBeGreaterThan(20);
  });

  test('aes-256-gcm: opens what is valid, refuses every changed tag and every nonce but 96 bits', async () => {
    const file = readWycheproof<
      { keySize: number; ivSize: number },
      { key: string; iv: string; aad: string; msg: string; ct: string; tag: string }
    >('aes_gcm_test');
    const seen = { valid: 0, modified: 0, otherNonce: 0 };
    for (const group of file.testGroups.filter((group) => group.keySize === 256)) {
      for (const vector of group.tests) {
        const [key, nonce, aad, message] = [vector.key, vector.iv, vector.aad, vector.msg].map(fromHex) as [
          Uint8Array,
          Uint8Array,
          Uint8Array,
          Uint8Array,
        ];
        const sealed = concatBytes(fromHex(vector.ct), fromHex(vector.tag));
        const open = async () => await engine.aes256GcmOpen(key, nonce, aad, sealed);
        if (group.ivSize !== 96) {
          await expect(open(), `${vector.tcId}`).rejects.toMatchObject({ code: 'INVALID_LENGTH' });
          seen.otherNonce++;
        } else if (vector.result === 'valid') {
          expect(toHex(await open()), `${vector.tcId}`).toBe(`0x${vector.msg}`);
          expect(toHex(await engine.aes256GcmSeal(key, nonce, aad, message)), `${vector.tcId}`).toBe(toHex(sealed));
          seen.valid++;
        } else {
          expect(vector.flags).toEqual(['ModifiedTag']);
          await expect(open(), `${vector.tcId}`).rejects.toMatchObject({ code: 'AEAD_OPEN_FAILED' });
          seen.modified++;
        }
      }
    }
    expect(Math.min(seen.valid, seen.modified, seen.otherNonce)).toBeGreaterThan(20);
  });

  test('ecdsa p-256, p1363 form: exactly the valid signatures hold', async () => {
    const file = readWycheproof<{ publicKey: { uncompressed: string } }, { msg: string; sig: string }>(
      'ecdsa_secp256r1_sha256_p1363_test',
    );
    let count = 0;
    for (const group of file.testGroups) {
      const publicKey = fromHex(group.publicKey.uncompressed).subarray(1);
      for (const vector of group.tests) {
        const holds = await engine.verifyP256(publicKey, fromHex(vector.msg), fromHex(vector.sig));
        expect(holds, `${vector.tcId} ${vector.flags.join()} ${vector.comment}`).toBe(vector.result === 'valid');
        count++;
      }
    }
    expect(count).toBe(file.numberOfTests);
  });

  test('errors are of one class', async () => {
    await expect(
      (async () => await engine.x25519(new SecretBytes(new Uint8Array(32)), new Uint8Array(31)))(),
    ).rejects.toThrow(CryptoError);
  });
});
