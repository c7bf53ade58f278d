import { type Address, type Bytes32, type NetworkFile, zeroBytes32 } from '@cloister/core';
import type { BlockId, ChainLog } from './chainLog.ts';
import { ChainError, type ChainView } from './chainView.ts';
import { workerRegistryAbi } from './generated/index.ts';
import type { WorkerRecord } from './workerRecord.ts';

/** A worker as the registry had it at one block. */
export type PastWorker = {
  readonly workerId: Bytes32;
  readonly operator: Address;
  readonly receiptSigner: Address;
  readonly platformId: Bytes32;
  /** What the verdict on its TCB rests on, for `IEvidenceVerifier.recheck`. */
  readonly platformKey: Bytes32;
  readonly tcb: Bytes32;
  readonly imageId: Bytes32;
  readonly teeType: number;
  /** Bit 0 function, 1 wasm, 2 model, 3 container. */
  readonly kinds: number;
  /** Neither evicted nor retired; `leaseUntil` (unix seconds) is another question. */
  readonly active: boolean;
  readonly leaseUntil: bigint;
};

/** A signer that was evicted for cause. */
export type EvictedSigner = {
  readonly signer: Address;
  /** When the lease that it had last would end, unix seconds. */
  readonly leaseUntil: bigint;
};

const unknownLeaseEnd = (1n << 64n) - 1n;

/** What a past question rests on: the registry's own events, all of them, as the view gives them. */
type Change<T> = { readonly block: bigint; readonly value: T };

const eventNames = [
  'WorkerRegistered',
  'WorkerRenewed',
  'WorkerEvicted',
  'ReplacedSignerEvicted',
  'WorkerRetired',
  'NetworkKeysHashSet',
] as const;
/**
 * States kept of one worker, one a block. Of a worker that changes more often than anybody needs to, the older ones are forgotten: at those
 * blocks it was as good as not there, which harms nobody but its operator.
 */
const maxChanges = 1_024;

/**
 * The workers of a network at any past block, replayed from the registry's events, so that no RPC needs to keep old state. Each question
 * names its block by its hash too, and is answered from events of that block's own branch: what was read of another is read anew.
 */
export class RegistryHistory {
  readonly #view: ChainView;
  readonly #address: Address;
  readonly #workers = new Map<Bytes32, Change<PastWorker>[]>();
  #keysHashes: Change<Bytes32>[] = [];
  #evicted: Change<EvictedSigner>[] = [];
  /** Up to which block events were taken in; and up to which nothing is taken back any more. */
  #read: BlockId | undefined;
  #settled: BlockId | undefined;
  #following: Promise<void> = Promise.resolve();

  constructor(view: ChainView, contracts: Pick<NetworkFile['contracts'], 'workerRegistry'>) {
    this.#view = view;
    this.#address = contracts.workerRegistry;
  }

  /** Every worker that had ever registered by a block, as it stood after it. Throws ChainError. */
  async workersAt(block: BlockId, signal?: AbortSignal): Promise<readonly PastWorker[]> {
    await this.#follow(block, signal);
    return [...this.#workers.values()].flatMap((changes) => lastAt(changes, block.number) ?? []);
  }

  /** H(appsPublicKey, beaconPublicKey) after a block; zero before the committee existed. */
  async networkKeysHashAt(block: BlockId, signal?: AbortSignal): Promise<Bytes32> {
    await this.#follow(block, signal);
    return lastAt(this.#keysHashes, block.number) ?? zeroBytes32;
  }

  /** Every signer evicted for cause by a block, in that order, whether or not its lease would still run. Throws ChainError. */
  async evictedAt(block: BlockId, signal?: AbortSignal): Promise<readonly EvictedSigner[]> {
    await this.#follow(block, signal);
    return this.#evicted.filter((change) => change.block <= block.number).map(({ value }) => value);
  }

  /** One at a time, in the order of the questions. */
  #follow(block: BlockId, signal: AbortSignal | undefined): Promise<void> {
    const followed = this.#following.then(() => this.#readTo(block, signal));
    this.#following = followed.catch(() => {});
    return followed;
  }

  async #readTo(end: BlockId, signal: AbortSignal | undefined): Promise<void> {
    if (this.#read !== undefined && !(await this.#isOneBranch(this.#read, end, signal)))
      await this.#dropWhatIsGone(end, signal);
    const fromBlock = this.#read === undefined ? 0n : this.#read.number + 1n;
    if (end.number < fromBlock) return;
    const query = { address: this.#address, abi: workerRegistryAbi, eventNames, fromBlock };
    const logs = await this.#view.logsUpTo(query, end, signal);
    for (const log of logs) this.#take(log);
    this.#read = { number: end.number, hash: end.hash };
    const final = await this.#view.finalized(signal);
    if (final.number <= end.number && (await this.#isOneBranch(final, end, signal))) this.#settled = final;
  }

  /** Forgets what was read in blocks that are not on the branch of this one. */
  async #dropWhatIsGone(end: BlockId, signal: AbortSignal | undefined): Promise<void> {
    const isKeptUpTo = this.#settled !== undefined && (await this.#isOneBranch(this.#settled, end, signal));
    const kept = isKeptUpTo ? this.#settled : undefined;
    const isKept = ({ block }: Change<unknown>) => kept !== undefined && block <= kept.number;
    for (const [id, changes] of this.#workers) {
      const rest = changes.filter(isKept);
      if (rest.length === 0) this.#workers.delete(id);
      else this.#workers.set(id, rest);
    }
    this.#keysHashes = this.#keysHashes.filter(isKept);
    this.#evicted = this.#evicted.filter(isKept);
    this.#read = kept;
    this.#settled = kept;
  }

  /** Whether the later of two blocks is built on the other, or is it. */
  async #isOneBranch(left: BlockId, right: BlockId, signal: AbortSignal | undefined): Promise<boolean> {
    if (left.hash === right.hash) return true;
    const [early, late] = left.number < right.number ? [left, right] : [right, left];
    try {
      return (await this.#view.blockOn(late, early.number, signal)).hash === early.hash;
    } catch (error) {
      // The later of the two is itself no longer known: whatever was read may have gone with it.
      if (error instanceof ChainError && (error.code === 'CHAIN_BLOCK_UNKNOWN' || error.code === 'CHAIN_SPLIT'))
        return false;
      throw error;
    }
  }

  #take({ eventName, args, blockNumber: block }: ChainLog): void {
    if (eventName === 'NetworkKeysHashSet') {
      this.#keysHashes.push({ block, value: args.networkKeysHash as Bytes32 });
      return;
    }
    const workerId = args.workerId as Bytes32;
    const changes = this.#workers.get(workerId);
    const before = changes?.at(-1)?.value;
    if (eventName === 'WorkerEvicted' || eventName === 'ReplacedSignerEvicted') {
      const signer = (args.receiptSigner as string).toLowerCase() as Address;
      const last = changes?.findLast(({ value }) => value.receiptSigner === signer)?.value;
      // Of a worker that changed too often to be remembered nothing is known but that it is evicted.
      this.#evicted.push({ block, value: { signer, leaseUntil: last?.leaseUntil ?? unknownLeaseEnd } });
    }
    if (eventName === 'ReplacedSignerEvicted') return;
    if (eventName === 'WorkerRegistered') {
      const { operator, receiptSigner, platformId, platformKey, tcb, imageId, teeType, kinds } =
        args.record as WorkerRecord;
      this.#push(workerId, block, {
        workerId,
        operator: operator.toLowerCase() as Address,
        receiptSigner: receiptSigner.toLowerCase() as Address,
        platformId,
        platformKey,
        tcb,
        imageId,
        teeType,
        kinds,
        active: true,
        leaseUntil: args.leaseUntil as bigint,
      });
    } else if (before !== undefined) {
      if (eventName === 'WorkerRenewed')
        this.#push(workerId, block, { ...before, active: true, leaseUntil: args.leaseUntil as bigint });
      else if ((args.receiptSigner as string).toLowerCase() === before.receiptSigner)
        this.#push(workerId, block, { ...before, active: false });
    }
  }

  #push(workerId: Bytes32, block: bigint, value: PastWorker): void {
    const changes = this.#workers.get(workerId) ?? [];
    if (changes.at(-1)?.block === block) changes.pop();
    changes.push({ block, value });
    if (changes.length > maxChanges) changes.splice(0, changes.length - maxChanges);
    this.#workers.set(workerId, changes);
  }
}

function lastAt<T>(changes: readonly Change<T>[], block: bigint): T | undefined {
  return changes.findLast((change) => change.block <= block)?.value;
}
