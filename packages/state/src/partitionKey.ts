import type { SecretBytes } from '@cloister/crypto';
import { deriveFromSignature } from '@cloister/threshold/combine';

/** The key of one partition, 32 bytes, from the committee's signature over the app's `stateIdentity` (core). */
export function partitionKey(signature: SecretBytes, partition: number): Promise<SecretBytes> {
  return deriveFromSignature(
    { class: 'state', signature },
    { purpose: 'state-partition', name: String(partition), version: 1 },
  );
}
