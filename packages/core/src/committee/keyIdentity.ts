import { tagHash } from '../abi.ts';
import type { RecordDomain } from '../eip712.ts';
import type { Bytes32 } from '../hex.ts';
import { zeroBytes32 } from '../hex.ts';

/** What a key is for. A release for one class says nothing about another. */
export const keyClasses = { state: 0, secrets: 1, signing: 2, job: 3, time: 4 } as const;
export type KeyClass = keyof typeof keyClasses;

/** Whose key, which version of it, for what. */
export type KeyIdentity = {
  readonly app: Bytes32;
  readonly keyVersion: number;
  readonly class: KeyClass;
  /** Zero for state, secrets and signing; for a job its hash, for time {@link timeContext}. */
  readonly context: Bytes32;
};

/** I = H("cloister/id: v1", chainId, registry, app, keyVersion, class, context): what the committee's apps key signs. */
export function keyIdentityHash(domain: RecordDomain, identity: KeyIdentity): Bytes32 {
  const { app, keyVersion, context } = identity;
  return tagHash(
    'cloister/id: v1',
    domain.chainId,
    domain.registry,
    app,
    keyVersion,
    keyClasses[identity.class],
    context,
  );
}

/** The identity of an app's secrets. */
export function secretsIdentity(app: Bytes32, keyVersion: number): KeyIdentity {
  return { app, keyVersion, class: 'secrets', context: zeroBytes32 };
}

/** The identity of an app's state: its hosts derive each partition's key from the signature over it. */
export function stateIdentity(app: Bytes32, keyVersion: number): KeyIdentity {
  return { app, keyVersion, class: 'state', context: zeroBytes32 };
}

/** The identity of an app's own keys: what its code signs with, and what it derives for itself. */
export function signingIdentity(app: Bytes32, keyVersion: number): KeyIdentity {
  return { app, keyVersion, class: 'signing', context: zeroBytes32 };
}

/** The context of a time key: abi.encode(uint64 round). */
export function timeContext(round: bigint): Bytes32 {
  return `0x${round.toString(16).padStart(64, '0')}`;
}

/** The round that a time key's context names; undefined where it names none. */
export function roundOfTimeContext(context: Bytes32): bigint | undefined {
  const round = BigInt(context);
  return round >> 64n === 0n ? round : undefined;
}

/** The identity of what an app may open from a round on. */
export function timeIdentity(app: Bytes32, keyVersion: number, round: bigint): KeyIdentity {
  return { app, keyVersion, class: 'time', context: timeContext(round) };
}
