import type { Address, Bytes32, NetworkFile } from '@cloister/core';
import { ChainError, type ChainView } from './chainView.ts';
import { stakePoolsAbi, workerBondsAbi } from './generated/index.ts';

/** A pool as the contract has it. Amounts in PHA's smallest unit, times in unix seconds, parts in ten-thousandths. */
export type PoolStatus = {
  readonly pool: Address;
  /** It lost nearly all by slashes, and takes nothing any more. */
  readonly closed: boolean;
  readonly allowlistOn: boolean;
  readonly commissionBps: number;
  /** A raise that waits; null for none. */
  readonly nextCommission: { readonly bps: number; readonly from: bigint } | null;
  readonly capacity: bigint;
  /** What earns; `shares` are its parts. */
  readonly staked: bigint;
  readonly shares: bigint;
  /** Asked back, and not claimed yet; of the operator besides. */
  readonly leaving: bigint;
  readonly ownLeaving: bigint;
  /** Of the stake, set aside as bonds of workers. */
  readonly reserved: bigint;
  /** Earnings on their way. */
  readonly unstreamed: bigint;
  /** The operator's, to be collected. */
  readonly commission: bigint;
  /** Slashes that are not settled. */
  readonly openSlashes: number;
  /** Until when claims and transfers wait; null where they don't. */
  readonly pausedUntil: bigint | null;
  readonly runningWorkers: bigint;
};

/** A wish to leave that is not paid yet. */
export type UnstakeRequest = {
  readonly pool: Address;
  readonly id: bigint;
  /** What it is worth now. */
  readonly amount: bigint;
  /** Whether it would be paid now. */
  readonly claimable: boolean;
  /** Unix seconds before which it is not; it can take as long again where workers' bonds must come free. */
  readonly notBefore: bigint;
};

export const bondStates = ['none', 'running', 'stopping'] as const;

/** What a worker has at stake. */
export type WorkerBond = {
  readonly workerId: Bytes32;
  readonly pool: Address;
  readonly state: (typeof bondStates)[number];
  readonly bond: bigint;
  /** What it would be for a worker that starts now. */
  readonly required: bigint;
  /** Unix seconds; until then the bond of a worker that stopped can be slashed. Zero unless stopping. */
  readonly freeAt: bigint;
};

/** Typed reads of a network's pools and bonds through a {@link ChainView}. */
export class StakingReader {
  readonly view: ChainView;
  readonly #contracts: Pick<NetworkFile['contracts'], 'stakePools' | 'workerBonds'>;

  constructor(view: ChainView, contracts: Pick<NetworkFile['contracts'], 'stakePools' | 'workerBonds'>) {
    this.view = view;
    this.#contracts = contracts;
  }

  /** Undefined where there is none. */
  async pool(pool: Address, signal?: AbortSignal): Promise<PoolStatus | undefined> {
    const status = await this.view.read({ ...this.#pools('poolOf'), args: [pool] }, signal);
    if (!status.exists) return undefined;
    const [isPaused, [runningWorkers]] = await Promise.all([
      this.view.read({ ...this.#pools('isPaused'), args: [pool] }, signal),
      this.view.read({ ...this.#bonds('runningOf'), args: [pool] }, signal),
    ]);
    const { closed, allowlistOn, commissionBps, nextCommissionBps, nextCommissionAt, capacity, shares } = status;
    const { leaving, ownLeaving, reserved, unstreamed, commission, openSeizures, pausedUntil } = status;
    return {
      pool,
      closed,
      allowlistOn,
      commissionBps,
      nextCommission: nextCommissionAt === 0 ? null : { bps: nextCommissionBps, from: BigInt(nextCommissionAt) },
      capacity,
      staked: status.assets,
      shares,
      leaving,
      ownLeaving,
      reserved,
      unstreamed,
      commission,
      openSlashes: openSeizures,
      pausedUntil: isPaused ? BigInt(pausedUntil) : null,
      runningWorkers,
    };
  }

  /** Every pool, oldest first, as one RPC lists them. */
  async pools(signal?: AbortSignal): Promise<readonly Address[]> {
    const events = await this.#poolEvents('PoolCreated', {}, signal);
    return [...new Set(events.flatMap(({ pool }) => (typeof pool === 'string' ? [lower(pool)] : [])))];
  }

  sharesOf(pool: Address, account: Address, signal?: AbortSignal): Promise<bigint> {
    return this.view.read({ ...this.#pools('sharesOf'), args: [pool, account] }, signal);
  }

  /** What shares are worth now, rounded down. */
  worthOf(pool: Address, shares: bigint, signal?: AbortSignal): Promise<bigint> {
    return this.view.read({ ...this.#pools('convertToAssets'), args: [pool, shares] }, signal);
  }

  /** Shares of that worth, rounded down. */
  sharesFor(pool: Address, amount: bigint, signal?: AbortSignal): Promise<bigint> {
    return this.view.read({ ...this.#pools('convertToShares'), args: [pool, amount] }, signal);
  }

  /** Pools in which an account ever got shares, as one RPC lists them. */
  async poolsOf(account: Address, signal?: AbortSignal): Promise<readonly Address[]> {
    const [deposited, transferred] = await Promise.all([
      this.#poolEvents('Deposited', { receiver: account }, signal),
      this.#poolEvents('SharesTransferred', { to: account }, signal),
    ]);
    const pools = [...deposited, ...transferred].flatMap(({ pool }) => (typeof pool === 'string' ? [lower(pool)] : []));
    return [...new Set(pools)];
  }

  /** What an account asked back and was not paid, oldest first: as one RPC lists them, each read from the contract. */
  async requestsOf(owner: Address, signal?: AbortSignal): Promise<readonly UnstakeRequest[]> {
    const events = await this.#poolEvents('RedeemRequested', { owner }, signal);
    const delay = await this.unbonding(signal);
    const found = await Promise.all(
      events.map(async ({ pool, requestId }) => {
        if (typeof pool !== 'string' || typeof requestId !== 'bigint') return [];
        return this.#requestOf(lower(pool), requestId, owner, delay, signal);
      }),
    );
    return found.flat();
  }

  /** Seconds from a wish to its payment at the least. */
  async unbonding(signal?: AbortSignal): Promise<bigint> {
    return BigInt(await this.view.read({ ...this.#pools('unbonding'), args: [] }, signal));
  }

  async bond(workerId: Bytes32, signal?: AbortSignal): Promise<WorkerBond> {
    const [status, required] = await Promise.all([
      this.view.read({ ...this.#bonds('statusOf'), args: [workerId] }, signal),
      this.view.read({ ...this.#bonds('requiredBond'), args: [workerId] }, signal),
    ]);
    return {
      workerId,
      pool: lower(status.pool),
      state: bondStates[status.state] ?? 'none',
      bond: status.bond,
      required,
      freeAt: BigInt(status.freeAt),
    };
  }

  /** The bond of a worker of so many units of work. */
  bondFor(units: bigint, signal?: AbortSignal): Promise<bigint> {
    return this.view.read({ ...this.#bonds('bondFor'), args: [units] }, signal);
  }

  /** Whether a pool could bear so much more as a bond. */
  canReserve(pool: Address, amount: bigint, signal?: AbortSignal): Promise<boolean> {
    return this.view.read({ ...this.#pools('canReserve'), args: [pool, amount] }, signal);
  }

  /** Who says what workers do; the zero address: nobody. */
  async measurer(signal?: AbortSignal): Promise<Address> {
    return lower(await this.view.read({ ...this.#bonds('measurer'), args: [] }, signal));
  }

  /** Workers that ever started with a bond of this pool, and have one: as one RPC lists them, each read from the contract. */
  async bondsOf(pool: Address, signal?: AbortSignal): Promise<readonly WorkerBond[]> {
    const events = await this.view.events(
      { address: this.#contracts.workerBonds, abi: workerBondsAbi, eventName: 'WorkerStarted', args: { pool } },
      signal,
    );
    const ids = new Set(events.flatMap((event) => ('workerId' in event ? [event.workerId as Bytes32] : [])));
    const bonds = await Promise.all([...ids].map((workerId) => this.bond(workerId, signal)));
    return bonds.filter((bond) => bond.pool === pool && bond.state !== 'none');
  }

  async #requestOf(
    pool: Address,
    id: bigint,
    owner: Address,
    delay: bigint,
    signal: AbortSignal | undefined,
  ): Promise<readonly UnstakeRequest[]> {
    const request = await this.view
      .read({ ...this.#pools('requestOf'), args: [pool, id] }, signal)
      .catch((error: unknown) => {
        // It was paid: the contract knows it no more.
        if (error instanceof ChainError && error.meta.errorName === 'StakePoolsRequestUnknown') return undefined;
        throw error;
      });
    if (request === undefined || lower(request.owner) !== owner) return [];
    const worth = { ...this.#pools('claimableRedeem'), args: [pool, id] as const };
    const [amount, claimable] = await this.view.read(worth, signal);
    return [{ pool, id, amount, claimable, notBefore: BigInt(request.requestedAt) + delay }];
  }

  async #poolEvents(eventName: string, args: Record<string, unknown>, signal: AbortSignal | undefined) {
    const query = { address: this.#contracts.stakePools, abi: stakePoolsAbi, eventName, args };
    return (await this.view.events(query, signal)) as readonly Readonly<Record<string, unknown>>[];
  }

  #pools<const name extends string>(functionName: name) {
    return { address: this.#contracts.stakePools, abi: stakePoolsAbi, functionName } as const;
  }

  #bonds<const name extends string>(functionName: name) {
    return { address: this.#contracts.workerBonds, abi: workerBondsAbi, functionName } as const;
  }
}

function lower(address: string): Address {
  return address.toLowerCase() as Address;
}
