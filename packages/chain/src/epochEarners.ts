import type { Address, Bytes32, NetworkFile } from '@cloister/core';
import type { BondHistory } from './bondHistory.ts';
import type { BlockId } from './chainLog.ts';
import { ChainError, type ChainView } from './chainView.ts';
import { readWorkersBudget } from './epochBudget.ts';
import { evidenceVerifierAbi, workerBondsAbi, workerRegistryAbi } from './generated/index.ts';
import type { PastWorker } from './registryHistory.ts';

/** A worker that was active and leased, and ran with a bond. */
export type BondedWorker = {
  readonly workerId: Bytes32;
  readonly platformId: Bytes32;
  /** Whose pool bears the bond, and gets the rewards. */
  readonly operator: Address;
  /** In PHA's smallest unit; at least 1. */
  readonly bond: bigint;
  /** What its evidence is worth by the collateral of then (`EvidenceClaims.tcbStatus`); 0 where nothing says it. */
  readonly tcbStatus: number;
};

/** What an epoch's rewards follow from besides measurements. */
export type EpochEarners = {
  /** The most that workers may get together, in PHA's smallest unit; zero where none is bonded. */
  readonly budget: bigint;
  /** k: the bond of a worker of one unit of work, in PHA's smallest unit. */
  readonly bondFactor: bigint;
  readonly workers: readonly BondedWorker[];
};

/** Machines that a node is asked about at once. */
const verdictsAtOnce = 64;

/** Where nobody is bonded nothing is awarded, and nothing more is read. */
export const noEarners: EpochEarners = { budget: 0n, bondFactor: 0n, workers: [] };

export type EpochEarnersComponents = {
  readonly view: Pick<ChainView, 'read'>;
  readonly bonds: Pick<BondHistory, 'runningAt'>;
  readonly contracts: Pick<NetworkFile['contracts'], 'emission' | 'epochRecords' | 'workerBonds' | 'workerRegistry'>;
};

/**
 * Those of an epoch's workers that may earn, and how much in all. Bonds are replayed from events; what is decided by contracts (k, verdicts,
 * budget) is read after the epoch's block, so that it needs RPCs which still have that block's state. Throws ChainError.
 * @param workers active and leased at the block
 */
export async function readEpochEarners(
  { view, bonds, contracts }: EpochEarnersComponents,
  { epoch, epochLength, block }: { readonly epoch: bigint; readonly epochLength: bigint; readonly block: BlockId },
  workers: readonly PastWorker[],
  signal?: AbortSignal,
): Promise<EpochEarners> {
  const running = await bonds.runningAt(block, signal);
  const bonded = workers.filter(({ workerId }) => running.has(workerId));
  if (bonded.length === 0) return noEarners;
  const at = { block: block.number };
  const verdictOf = verdicts(view, contracts.workerRegistry, block.number, signal);
  const [bondFactor, budget, statuses] = await Promise.all([
    view.read({ address: contracts.workerBonds, abi: workerBondsAbi, functionName: 'k', args: [], ...at }, signal),
    readWorkersBudget(view, contracts, { epoch, epochLength, block: block.number }, signal),
    verdictsOf(bonded, verdictOf),
  ]);
  return {
    budget,
    bondFactor,
    workers: bonded.flatMap(({ workerId, platformId }, index) => {
      const { pool, bond } = running.get(workerId) ?? { pool: undefined, bond: 0n };
      return pool === undefined
        ? []
        : [{ workerId, platformId, operator: pool, bond, tcbStatus: statuses[index] ?? 0 }];
    }),
  };
}

/** In their order, some at a time. */
async function verdictsOf(
  workers: readonly PastWorker[],
  verdictOf: (worker: PastWorker) => Promise<number>,
): Promise<readonly number[]> {
  const statuses: number[] = [];
  for (let from = 0; from < workers.length; from += verdictsAtOnce)
    statuses.push(...(await Promise.all(workers.slice(from, from + verdictsAtOnce).map(verdictOf))));
  return statuses;
}

/** Each machine's verdict once, however many workers it has. */
function verdicts(
  view: Pick<ChainView, 'read'>,
  workerRegistry: Address,
  block: bigint,
  signal: AbortSignal | undefined,
): (worker: PastWorker) => Promise<number> {
  const verifiers = new Map<number, Promise<Address>>();
  const known = new Map<string, Promise<number>>();
  const verifierOf = async (teeType: number): Promise<Address> => {
    const registry = { address: workerRegistry, abi: workerRegistryAbi } as const;
    return (await view.read({ ...registry, functionName: 'teePolicyOf', args: [teeType], block }, signal)).verifier;
  };
  const ask = async ({ teeType, platformKey, tcb }: PastWorker): Promise<number> => {
    const asked = verifiers.get(teeType) ?? verifierOf(teeType);
    verifiers.set(teeType, asked);
    const address = await asked;
    // A type that takes no registrations any more: nothing says how far it is trusted.
    if (BigInt(address) === 0n) return 0;
    try {
      const recheck = { address, abi: evidenceVerifierAbi, functionName: 'recheck' } as const;
      const [status] = await view.read({ ...recheck, args: [platformKey, tcb], block }, signal);
      return status;
    } catch (error) {
      // The verifier has no collateral for it: as all RPCs say, or as it was proven.
      if (error instanceof ChainError && error.code === 'CHAIN_READ_REVERTED') return 0;
      throw error;
    }
  };
  return (worker) => {
    const key = `${worker.teeType} ${worker.platformKey} ${worker.tcb}`;
    const verdict = known.get(key) ?? ask(worker);
    known.set(key, verdict);
    return verdict;
  };
}
