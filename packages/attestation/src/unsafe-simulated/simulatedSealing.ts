import type { TdxImage } from '@cloister/core';
import { tdxImageId } from '@cloister/core';
import { concatBytes, engine, fromHex, hkdfExpand, hkdfExtract, randomBytes, utf8 } from '@cloister/crypto';
import type { RestSealing } from '../attest/device.ts';
import { SimulatedError } from './errors.ts';
import { exportP256Key } from './p256Key.ts';
import type { SimulatedPlatform } from './simulatedPlatform.ts';

const nonceLength = 12;
const noBytes = new Uint8Array(0);

/** Sealing in the form of real hardware's: bound to platform and image, by a key that lies open in the platform's file. */
export function simulatedSealing(platform: SimulatedPlatform, image: TdxImage): RestSealing {
  const keyFor = async (purpose: string): Promise<Uint8Array> => {
    const secret = await hkdfExtract(
      utf8('cloister/unsafe-simulated-sealing: v1'),
      utf8(exportP256Key(platform.attestationKey)),
    );
    return hkdfExpand(secret, concatBytes(fromHex(tdxImageId(image)), utf8(purpose)), 32);
  };
  return {
    async seal(purpose, plaintext) {
      const nonce = randomBytes(nonceLength);
      return concatBytes(nonce, await engine.aes256GcmSeal(await keyFor(purpose), nonce, noBytes, plaintext));
    },
    async open(purpose, sealed) {
      try {
        const [nonce, body] = [sealed.subarray(0, nonceLength), sealed.subarray(nonceLength)];
        return await engine.aes256GcmOpen(await keyFor(purpose), nonce, noBytes, body);
      } catch (cause) {
        throw new SimulatedError({
          code: 'SEALED_ELSEWHERE',
          message: `What was sealed does not open for "${purpose}" on this platform with this image`,
          cause,
        });
      }
    },
  };
}
