import { engine, type SecretBytes } from '@cloister/crypto';
import { type SealedRequest, type SealRequestOptions, sealRequestTo } from './sealRequest.ts';

/**
 * `sealRequest` with a fixed ephemeral secret, for test vectors only: no entry point of the package leads here.
 * Whoever knows or repeats the secret reads the request.
 */
export async function unsafeSealRequestWithEphemeral(
  options: SealRequestOptions,
  ephemeralSecret: SecretBytes,
): Promise<SealedRequest> {
  return sealRequestTo(options, {
    publicKey: await engine.x25519PublicKey(ephemeralSecret),
    secretKey: ephemeralSecret,
  });
}
