import {
  type Address,
  type Bytes32,
  type CertifiedStateHead,
  certifiedStateHeadForm,
  type StatePartition,
  type StatePlace,
  statePartitionFields,
  schema as z,
  zeroAddress,
} from '@cloister/core';

/** What a member keeps of one partition: enough to sign one head of a version and fence, and none under a fence that is over. */
export type HeldState = StatePartition & {
  /** Under a lower one nothing is signed or kept any more. */
  readonly fence: bigint;
  /** Who may write under it; zero where this member has only seen that somebody does. */
  readonly holder: Address;
  /** The last head that this member signed. */
  readonly signed: StatePlace | null;
  /** The highest head that the committee has signed, as far as this member was told. */
  readonly certified: CertifiedStateHead | null;
};

/** The form of a {@link HeldState}. */
export const heldStateForm = z.strictObject({
  ...statePartitionFields,
  fence: z.uintString(64),
  holder: z.address,
  signed: z.nullable(z.strictObject({ version: z.uintString(64), fence: z.uintString(64), root: z.bytes32 })),
  certified: z.nullable(certifiedStateHeadForm),
});

/** What is kept of a partition that nobody has asked about. */
export function noState({ app, partition }: StatePartition): HeldState {
  return { app, partition, fence: 0n, holder: zeroAddress, signed: null, certified: null };
}

/** Where a partition stands among all: by app, then by number. */
export function stateKey(app: Bytes32, partition: number): string {
  return `${app}-${partition.toString(16).padStart(4, '0')}`;
}
