import type { Bytes32, KeyIdentity } from '@cloister/core';
import { zeroBytes32 } from '@cloister/core';
import type { SecretBytes } from '@cloister/crypto';
import { deriveFromSignature } from '@cloister/threshold/combine';

/** The identity of an app's state: its hosts get the signature over it, and nobody else. */
export function stateIdentity(app: Bytes32, keyVersion: number): KeyIdentity {
  return { app, keyVersion, class: 'state', context: zeroBytes32 };
}

/** The key of one partition, 32 bytes, from the committee's signature over the app's {@link stateIdentity}. */
export function partitionKey(signature: SecretBytes, partition: number): Promise<SecretBytes> {
  return deriveFromSignature(signature, 'state', String(partition));
}
