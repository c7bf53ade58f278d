import type { Bytes32, EnforcedFields, KeyIdentity, Manifest } from '@cloister/core';
import type { SecretBytes } from '@cloister/crypto';

/** An app as the loader has read it. */
export type AppVersion = {
  readonly app: Bytes32;
  readonly manifestId: Bytes32;
  readonly manifest: Pick<Manifest, 'kind' | 'placement' | 'secrets'>;
  readonly fields: Pick<EnforcedFields, 'keyVersion' | 'minKeyVersion'>;
};

/** The committee's signature over an identity: the key of everything that is sealed to it. */
export type KeySignature = (
  wish: KeyIdentity & { readonly manifest: Bytes32 },
  signal: AbortSignal,
) => Promise<SecretBytes>;
