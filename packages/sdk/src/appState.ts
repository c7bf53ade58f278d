import type { CommitteeMember, RegistryReader } from '@cloister/chain';
import {
  type Address,
  type Bytes32,
  type CertifiedStateHead,
  CloisterError,
  describeError,
  type Hex,
  hasStatePartition,
  hostsPartition,
  isHexOf,
  isLaterStateHead,
  MemberRefusedError,
  type NetworkFile,
  parseCertifiedStateHead,
  type StatePartition,
  stateHeadMessage,
  zeroAddress,
  zeroBytes32,
} from '@cloister/core';
import { fromHex } from '@cloister/crypto';
import { verifySignature } from '@cloister/threshold/combine';
import type { ServingApp } from './apps.ts';
import type { Committee } from './committee.ts';
import type { Storage, StorageStatus } from './storage/storage.ts';

/** What one gatekeeper says that it keeps of a partition. */
export type MemberWord = {
  readonly operator: Address;
  readonly endpoint: string;
  /** The highest head that it keeps, its signature verified; null where it keeps none, or gives no answer that holds. */
  readonly head: CertifiedStateHead | null;
  /** The fence that it has promised, and to whose receipt signer; null where it has promised none. */
  readonly fence: bigint | null;
  readonly holder: Address | null;
  /** Why it gives no answer that holds. */
  readonly failed: string | undefined;
};

/** What can be known of a partition without its key. */
export type PartitionState = {
  readonly partition: number;
  /** The highest head that any member shows, signed by the committee; null where nothing was written. */
  readonly head: CertifiedStateHead | null;
  /** Whether a threshold of members keeps it: from then on it stays. */
  readonly acknowledged: boolean;
  /** Who may write now, as a threshold of members has promised alike; null where nobody, or they differ. */
  readonly writer: {
    readonly signer: Address;
    /** The worker that registered that signer last. */
    readonly workerId: Bytes32 | null;
    readonly fence: bigint;
  } | null;
  readonly members: readonly MemberWord[];
};

export type AppState = {
  readonly app: Bytes32;
  readonly manifestId: Bytes32;
  readonly version: number;
  /** How many partitions its manifest gives it; that in which its hosts note what they do by themselves is none of these. */
  readonly partitionCount: number;
  readonly keyVersion: number;
  readonly minKeyVersion: number;
  /** Members of the committee, and how many of them make a threshold. */
  readonly committee: { readonly generation: bigint; readonly members: number; readonly threshold: number };
  readonly partitions: readonly PartitionState[];
  /** Bytes, epochs and claims: what gateways store of the app, and who pays. */
  readonly storage: StorageStatus;
};

export type AppStateComponents = {
  readonly network: NetworkFile;
  readonly registry: RegistryReader;
  readonly committee: Committee;
  readonly storage: Storage;
};

/** Partitions asked for at once, each of every member. */
const batch = 8;

/** Throws STATE_NO_COMMITTEE, STATE_PARTITION_UNKNOWN. */
export async function readAppState(
  components: AppStateComponents,
  { app, manifestId, version, manifest }: ServingApp,
  wanted: readonly number[] | undefined,
  signal?: AbortSignal,
): Promise<AppState> {
  const { network, registry, committee, storage } = components;
  if (network.networkKeys === null)
    throw new AppStateError('STATE_NO_COMMITTEE', 'The network file names no keys: this network has no committee');
  const partitionCount = manifest.state?.partitions ?? 0;
  const unknown = wanted?.find(
    (partition) => !(Number.isInteger(partition) && partition >= 0 && hasStatePartition(manifest, partition)),
  );
  if (unknown !== undefined)
    throw new AppStateError(
      'STATE_PARTITION_UNKNOWN',
      `App "${app}" has "${partitionCount}" partitions, counted from 0, and none numbered "${unknown}"`,
    );
  const [{ generation }, { fields }, stored] = await Promise.all([
    committee.status(signal),
    registry.currentApp(app, undefined, signal),
    storage.status(app, signal),
  ]);
  const isSigned = signatureCheck(network, network.networkKeys.beacon);
  const partitions: PartitionState[] = [];
  const numbers = wanted ?? [
    ...Array.from({ length: partitionCount }, (_, partition) => partition),
    ...(hasStatePartition(manifest, hostsPartition) ? [hostsPartition] : []),
  ];
  for (let from = 0; from < numbers.length; from += batch)
    partitions.push(
      ...(await Promise.all(
        numbers.slice(from, from + batch).map(async (partition) => {
          const place = { app, partition };
          const members = await Promise.all(
            generation.members.map((member) => wordOf(committee, member, place, isSigned, signal)),
          );
          return concluded(registry, partition, members, generation.threshold, signal);
        }),
      )),
    );
  const { keyVersion, minKeyVersion } = fields;
  const { number, threshold } = generation;
  return {
    app,
    manifestId,
    version,
    partitionCount,
    keyVersion,
    minKeyVersion,
    committee: { generation: number, members: generation.members.length, threshold },
    partitions,
    storage: stored,
  };
}

/** What follows from the members' words: none of them is believed alone. */
async function concluded(
  registry: RegistryReader,
  partition: number,
  members: readonly MemberWord[],
  threshold: number,
  signal: AbortSignal | undefined,
): Promise<PartitionState> {
  const heads = members.flatMap(({ head }) => (head === null ? [] : [head]));
  const head = heads.reduce<CertifiedStateHead | null>(
    (highest, one) => (highest === null || isLaterStateHead(one, highest) ? one : highest),
    null,
  );
  const keeping = heads.filter(({ fence, version, root }) =>
    head === null ? false : fence === head.fence && version === head.version && root === head.root,
  ).length;
  const promised = members.find(
    ({ fence, holder }) =>
      // Zero where a member has only seen that somebody writes.
      holder !== zeroAddress &&
      fence !== null &&
      members.filter((other) => other.fence === fence && other.holder === holder).length >= threshold,
  );
  if (promised === undefined || promised.fence === null || promised.holder === null)
    return { partition, head, acknowledged: keeping >= threshold, writer: null, members };
  const workerId = await registry.workerOfSigner(promised.holder, signal);
  const writer = {
    signer: promised.holder,
    workerId: workerId === zeroBytes32 ? null : workerId,
    fence: promised.fence,
  };
  return { partition, head, acknowledged: keeping >= threshold, writer, members };
}

async function wordOf(
  committee: Committee,
  { operator, endpoint }: CommitteeMember,
  place: StatePartition,
  isSigned: SignatureCheck,
  signal: AbortSignal | undefined,
): Promise<MemberWord> {
  const none = { operator, endpoint, head: null, fence: null, holder: null };
  try {
    if (endpoint === '') throw new Error('nobody says where it can be reached');
    const json = await committee.ask(endpoint, `/v1/state/${place.app}/${place.partition}`, signal);
    return { operator, endpoint, ...readWord(json, place, isSigned), failed: undefined };
  } catch (error) {
    signal?.throwIfAborted();
    // It keeps nothing of that partition.
    if (error instanceof MemberRefusedError && error.code === 'NOT_FOUND') return { ...none, failed: undefined };
    return { ...none, failed: describeError(error) };
  }
}

/** Throws where an answer has another form, is of another partition, or its head is not signed by the committee. */
function readWord(
  json: unknown,
  { app, partition }: StatePartition,
  isSigned: SignatureCheck,
): Pick<MemberWord, 'head' | 'fence' | 'holder'> {
  const { fence, holder, certified } = (json ?? {}) as Readonly<Record<string, unknown>>;
  if (typeof fence !== 'string' || !/^(0|[1-9][0-9]{0,19})$/.test(fence) || !isHexOf(holder, 20))
    throw new Error('its answer has another form');
  const promised = { fence: BigInt(fence), holder };
  if (certified === null) return { head: null, ...promised };
  const head = parseCertifiedStateHead(certified);
  if (head.app !== app || head.partition !== partition) throw new Error('its head is of another partition');
  if (!isSigned(head)) throw new Error("its head is not signed by the network's key");
  return { head, ...promised };
}

type SignatureCheck = (head: CertifiedStateHead) => boolean;

/** Whether the committee has signed a head. Members show the same one: it is verified once. */
function signatureCheck({ chainId, contracts }: NetworkFile, beaconKey: Hex): SignatureCheck {
  const verdicts = new Map<string, boolean>();
  return (head) => {
    const message = stateHeadMessage({ chainId, registry: contracts.workerRegistry }, head);
    const id = `${message}${head.signature}`;
    const holds = verdicts.get(id) ?? verifySignature(fromHex(beaconKey), fromHex(message), fromHex(head.signature));
    verdicts.set(id, holds);
    return holds;
  };
}

export class AppStateError extends CloisterError<'STATE_NO_COMMITTEE' | 'STATE_PARTITION_UNKNOWN'> {
  override readonly name = 'AppStateError';
  constructor(code: 'STATE_NO_COMMITTEE' | 'STATE_PARTITION_UNKNOWN', message: string) {
    super({ code, message });
  }
}
