import { type KeyClass, type KeyPurposeOf, type KeyUse, keyPurposes, keyUseInfo } from '@cloister/core';
import { hkdfExpand, hkdfExtract, SecretBytes, utf8 } from '@cloister/crypto';
import { ThresholdError } from '../shared/thresholdError.ts';

const salt = utf8('cloister/app-key: v1');

/**
 * A key of 32 bytes from the signature over an identity of one class: HKDF-SHA256 with the salt "cloister/app-key: v1" and
 * {@link keyUseInfo} as info. Keys of different uses say nothing of each other, nor of the signature. Throws PURPOSE_OF_OTHER_CLASS,
 * KeyUseError.
 */
export async function deriveFromSignature<Class extends KeyClass>(
  from: { readonly class: Class; readonly signature: SecretBytes },
  use: KeyUse<KeyPurposeOf<NoInfer<Class>>>,
): Promise<SecretBytes> {
  const info = keyUseInfo(use);
  const wanted: KeyClass = keyPurposes[use.purpose];
  if (wanted !== from.class)
    throw new ThresholdError(
      'PURPOSE_OF_OTHER_CLASS',
      `Keys for "${use.purpose}" come from class "${wanted}", not from "${from.class}"`,
    );
  const extracted = await hkdfExtract(salt, from.signature.reveal());
  const key = await hkdfExpand(extracted, info, 32);
  extracted.fill(0);
  return new SecretBytes(key);
}
