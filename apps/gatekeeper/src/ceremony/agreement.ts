import type { Address, Bytes32, Hex, RecordDomain } from '@cloister/core';
import type { X25519KeyPair } from '@cloister/crypto';
import type { Commitments } from '@cloister/threshold/dkg';
import type { SharePair } from '../shares/sharePair.ts';

/** The members that hold shares now, in their order; a first key has none. */
export type Previous = {
  readonly threshold: number;
  readonly signers: readonly Address[];
  /** Public shares of the member at an index (from 1), 48 bytes each. */
  readonly publicSharesAt: (index: number) => { readonly apps: Uint8Array; readonly beacon: Uint8Array };
  /** This member's own, where it has them. The caller's to wipe. */
  readonly shares: SharePair | undefined;
};

export type Receiver = { readonly signer: Address; readonly hpkeKey: Bytes32 };

export type CeremonyInit = {
  readonly domain: RecordDomain;
  /** Names generation, members and attempt: messages of another session are another ceremony's. */
  readonly session: Bytes32;
  readonly me: { readonly signer: Address; readonly sign: (digest: Bytes32) => Hex; readonly hpke: X25519KeyPair };
  readonly previous: Previous | undefined;
  readonly threshold: number;
  readonly receivers: readonly Receiver[];
  /** Says in this attempt whose dealings count. */
  readonly proposer: Address;
  /** How long a phase waits for the absent. */
  readonly phaseMs: number;
  /** The digest of the handover that these members would sign. */
  readonly digestOf: (made: Made) => Bytes32;
  /** Makes sure that the new shares outlive whatever comes: this member's signature says that it holds them. */
  readonly keep: (agreement: Agreement) => Promise<void>;
};

/** What a ceremony made: public, and the same for everybody who took part. */
export type Made = {
  /** Qualified dealers, in the dealers' order. */
  readonly dealers: readonly Address[];
  /** keccak256 over the digests of each qualified dealer's commit and dealing. */
  readonly transcriptHash: Bytes32;
  readonly apps: Commitments;
  readonly beacon: Commitments;
};

/** What this member is ready to sign. */
export type Agreement = {
  readonly made: Made;
  readonly digest: Bytes32;
  /** This member's new shares; undefined where it only hands on. */
  readonly shares: SharePair | undefined;
};

export type Agreed = Agreement & {
  /** By signer: of the new members that hold good shares, and of the old ones that agree. */
  readonly signatures: ReadonlyMap<Address, Hex>;
};
