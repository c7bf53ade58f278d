import {
  type ChainAccount,
  onChainRecord,
  type PoolStatus,
  type RegistryReader,
  type SlashCase,
  type SlashingReader,
  type StakingReader,
  stakePoolsAbi,
  type UnstakeRequest,
  type WorkerBond,
  workerBondsAbi,
  workMeterAbi,
} from '@cloister/chain';
import { type Address, type Bytes32, type NetworkFile, zeroAddress } from '@cloister/core';
import { countedWorkOf, type MeasuredWorker } from '@cloister/economics';
import type { Hex, LocalAccount } from 'viem';
import type { Epochs } from '../epochs.ts';
import type { Equivocation } from '../equivocation/equivocation.ts';
import { signPhaPermit } from '../phaPermit.ts';
import { type MeasuredProof, measuredProofOf } from './measuredProof.ts';
import { type ReportableEquivocation, Slashes } from './slashes.ts';
import { StakingError } from './stakingError.ts';

/** An account's part of a pool. Amounts in PHA's smallest unit. */
export type StakePosition = {
  readonly pool: Address;
  readonly shares: bigint;
  /** What they are worth now. */
  readonly worth: bigint;
};

/** What `claim` paid, and what has to wait. */
export type Claimed =
  | { readonly what: 'unstaked'; readonly pool: Address; readonly id: bigint; readonly amount: bigint }
  | { readonly what: 'commission'; readonly pool: Address; readonly amount: bigint }
  | {
      readonly what: 'waits';
      readonly pool: Address;
      readonly id: bigint;
      readonly amount: bigint;
      /** Unix seconds. */
      readonly notBefore: bigint;
    };

/** What `stopBond` did: it takes two steps, `unbonding` apart. */
export type BondStep = {
  readonly step: 'stopped' | 'waits' | 'released';
  /** Unix seconds: until then it can be slashed. */
  readonly freeAt: bigint;
};

export type StakingComponents = {
  readonly network: Pick<NetworkFile, 'chainId' | 'contracts'>;
  readonly reader: StakingReader;
  readonly registry: Pick<RegistryReader, 'workerOfSigner'>;
  readonly slashing: SlashingReader;
  readonly epochs: Pick<Epochs, 'list' | 'leavesOf'>;
  readonly account: (account: LocalAccount | Hex) => ChainAccount;
};

/** Records in which a worker is looked for. */
const recordsLookedAt = 4;

type By = { readonly account: LocalAccount | Hex; readonly signal?: AbortSignal };

/** Pools, stakes, bonds and slashes: what operators put at stake, who backs them, and what became of it. */
export class Staking {
  readonly #components: StakingComponents;
  readonly #slashes: Slashes;

  constructor(components: StakingComponents) {
    this.#components = components;
    this.#slashes = new Slashes({ ...components, bonds: components.reader });
  }

  /** The contracts' own reads. */
  get reader(): StakingReader {
    return this.#components.reader;
  }

  /** Every pool of the network. */
  async pools(signal?: AbortSignal): Promise<readonly PoolStatus[]> {
    const all = await this.reader.pools(signal);
    return (await Promise.all(all.map((pool) => this.reader.pool(pool, signal)))).flatMap((pool) => pool ?? []);
  }

  /** One pool, by its operator. Throws STAKING_POOL_UNKNOWN. */
  async pool(operator: Address, signal?: AbortSignal): Promise<PoolStatus> {
    const found = await this.reader.pool(operator, signal);
    if (found === undefined)
      throw new StakingError('STAKING_POOL_UNKNOWN', `Operator "${operator}" has no pool`, 'See "cloister pool list"');
    return found;
  }

  /** Where an account has shares now. */
  async positions(account: Address, signal?: AbortSignal): Promise<readonly StakePosition[]> {
    const pools = await this.reader.poolsOf(account, signal);
    const found = await Promise.all(pools.map((pool) => this.position(pool, account, signal)));
    return found.filter(({ shares }) => shares > 0n);
  }

  async position(pool: Address, account: Address, signal?: AbortSignal): Promise<StakePosition> {
    const shares = await this.reader.sharesOf(pool, account, signal);
    return { pool, shares, worth: shares === 0n ? 0n : await this.reader.worthOf(pool, shares, signal) };
  }

  /** What an account asked back and was not paid. */
  requests(account: Address, signal?: AbortSignal): Promise<readonly UnstakeRequest[]> {
    return this.reader.requestsOf(account, signal);
  }

  /** Opens the account's own pool, once. Throws TransactionError. */
  async createPool(
    pool: { readonly commissionBps: number; readonly capacity: bigint; readonly allowlistOn?: boolean },
    { account, signal }: By,
  ): Promise<PoolStatus> {
    const operator = this.#components.account(account);
    const args = [pool.commissionBps, pool.capacity, pool.allowlistOn ?? false] as const;
    await operator.write({ ...this.#pools, functionName: 'createPool', args }, signal);
    return this.pool(operator.address, signal);
  }

  /** Stakes PHA of the account in a pool, in one transaction. Throws STAKING_POOL_UNKNOWN, TransactionError. */
  async stake(pool: Address, amount: bigint, { account, signal }: By): Promise<StakePosition> {
    const { network, account: open } = this.#components;
    await this.pool(pool, signal);
    const backer = open(account);
    const permit = { spender: network.contracts.stakePools, value: amount };
    const { deadline, v, r, s } = await signPhaPermit(network, this.reader.view, backer, permit, signal);
    const args = [pool, amount, backer.address, deadline, v, r, s] as const;
    await backer.write({ ...this.#pools, functionName: 'depositWithPermit', args }, signal);
    return this.position(pool, backer.address, signal);
  }

  /**
   * Asks stake back: it earns nothing from now on. What it is worth is paid by {@link claim} later, less what is slashed until then.
   * @param amount in PHA's smallest unit, or `all` shares
   * Throws STAKING_TOO_LITTLE, TransactionError.
   */
  async unstake(pool: Address, amount: bigint | 'all', { account, signal }: By): Promise<UnstakeRequest> {
    const backer = this.#components.account(account);
    const held = await this.position(pool, backer.address, signal);
    if (held.shares === 0n || (amount !== 'all' && amount > held.worth))
      throw new StakingError(
        'STAKING_TOO_LITTLE',
        `Your stake in pool "${pool}" is worth "${held.worth}", less than "${amount}"`,
        'See "cloister pool show", or ask for all',
      );
    const shares = amount === 'all' ? held.shares : await this.reader.sharesFor(pool, amount, signal);
    await backer.write({ ...this.#pools, functionName: 'requestRedeem', args: [pool, shares] }, signal);
    const mine = (await this.requests(backer.address, signal)).filter((request) => request.pool === pool);
    const newest = mine.reduce<UnstakeRequest | undefined>(
      (best, one) => (best === undefined || one.id > best.id ? one : best),
      undefined,
    );
    if (newest === undefined)
      throw new StakingError('STAKING_NOT_LISTED', 'The RPC does not list the request that was just made', 'Try later');
    return newest;
  }

  /** Pays the account all that is due: stake that it asked back, and the commission of its pool. Throws TransactionError. */
  async claim({ account, signal }: By): Promise<readonly Claimed[]> {
    const owner = this.#components.account(account);
    const done: Claimed[] = [];
    for (const { pool, id, amount, claimable, notBefore } of await this.requests(owner.address, signal)) {
      if (claimable) {
        const args = [pool, id, owner.address] as const;
        await owner.write({ ...this.#pools, functionName: 'claimRedeem', args }, signal);
        done.push({ what: 'unstaked', pool, id, amount });
      } else done.push({ what: 'waits', pool, id, amount, notBefore });
    }
    const own = await this.reader.pool(owner.address, signal);
    if (own !== undefined && own.commission > 0n) {
      await owner.write({ ...this.#pools, functionName: 'collectCommission', args: [owner.address] }, signal);
      done.push({ what: 'commission', pool: owner.address, amount: own.commission });
    }
    return done;
  }

  /** Puts a bond behind a worker of the account, out of its own pool: from then on it earns, and can be slashed. Throws TransactionError. */
  async startBond(workerId: Bytes32, { account, signal }: By): Promise<WorkerBond> {
    const operator = this.#components.account(account);
    await operator.write({ ...this.#bonds, functionName: 'start', args: [workerId] }, signal);
    return this.reader.bond(workerId, signal);
  }

  /**
   * Shows the chain what the newest record says of the account's worker, and raises its bond to what that work asks for: rewards count no work
   * beyond what the bond covers. Throws STAKING_NOT_MEASURED, EpochError, TransactionError, and STAKING_TOO_LITTLE where the pool does not
   * cover that: once it is shown, anybody could stop the worker for it.
   */
  async raiseBond(workerId: Bytes32, { account, signal }: By): Promise<WorkerBond> {
    const operator = this.#components.account(account);
    const address = await this.reader.measurer(signal);
    const { record, measured, proof } = await this.#measured(workerId, address, signal);
    await this.#assertCovered(workerId, measured, signal);
    const latencyMs = BigInt(measured.latencyMs);
    const args = [onChainRecord(record), { ...measured, latencyMs }, [...proof]] as const;
    await operator.write({ address, abi: workMeterAbi, functionName: 'show', args }, signal);
    const bond = await this.reader.bond(workerId, signal);
    if (bond.state !== 'running' || bond.required <= bond.bond) return bond;
    await operator.write({ ...this.#bonds, functionName: 'refresh', args: [workerId] }, signal);
    return this.reader.bond(workerId, signal);
  }

  /** Stops a worker's bond; once its time is over, gives it back to the pool. Throws STAKING_NO_BOND, TransactionError. */
  async stopBond(workerId: Bytes32, { account, signal }: By): Promise<BondStep> {
    const operator = this.#components.account(account);
    const { state, freeAt } = await this.reader.bond(workerId, signal);
    if (state === 'none')
      throw new StakingError(
        'STAKING_NO_BOND',
        `Worker "${workerId}" has no bond`,
        'Start it with "cloister worker start-bond"',
      );
    if (state === 'running') {
      await operator.write({ ...this.#bonds, functionName: 'stop', args: [workerId] }, signal);
      return { step: 'stopped', freeAt: (await this.reader.bond(workerId, signal)).freeAt };
    }
    const { timestamp } = await this.reader.view.head(signal);
    if (timestamp < freeAt) return { step: 'waits', freeAt };
    await operator.write({ ...this.#bonds, functionName: 'release', args: [workerId] }, signal);
    return { step: 'released', freeAt };
  }

  /** Every case of slashing, or those of one operator, with what each rests on. */
  slashes(operator?: Address, signal?: AbortSignal): Promise<readonly SlashCase[]> {
    return this.#slashes.list(operator, signal);
  }

  /** Whether the chain would take a proof of equivocation, and what it would cost whom. Throws NoEquivocationError, ChainError. */
  checkEquivocation(equivocation: Equivocation, signal?: AbortSignal): Promise<ReportableEquivocation> {
    return this.#slashes.check(equivocation, signal);
  }

  /**
   * Shows the chain two different receipts of one signer, channel and sequence, as anyone may: `equivocationOf(first, second)`, or what a
   * call's RECEIPT_EQUIVOCATION carries. Throws NoEquivocationError, TransactionError.
   */
  reportEquivocation(equivocation: Equivocation, by: By): Promise<SlashCase> {
    return this.#slashes.report(equivocation, by);
  }

  /** Ends a case whose window is over, as anyone may. Throws SLASH_UNKNOWN, SLASH_WINDOW_RUNS, SLASH_VETOED, TransactionError. */
  settleSlash(caseId: Bytes32, by: By): Promise<SlashCase> {
    return this.#slashes.settle(caseId, by);
  }

  async #assertCovered(workerId: Bytes32, measured: MeasuredWorker, signal: AbortSignal | undefined): Promise<void> {
    const { pool, bond, state } = await this.reader.bond(workerId, signal);
    if (state !== 'running') return;
    const wanted = await this.reader.bondFor(countedWorkOf(measured), signal);
    if (wanted <= bond || (await this.reader.canReserve(pool, wanted - bond, signal))) return;
    throw new StakingError(
      'STAKING_TOO_LITTLE',
      `The work of worker "${workerId}" asks for a bond of "${wanted}", and pool "${pool}" does not cover that`,
      'Stake more in your own pool first',
    );
  }

  /** What the newest record that says anything of a worker says of it: of the last ones, since it may have been away in one. */
  async #measured(workerId: Bytes32, measurer: Address, signal: AbortSignal | undefined): Promise<MeasuredProof> {
    const { epochs } = this.#components;
    const posted = measurer === zeroAddress ? [] : (await epochs.list(signal)).slice(-recordsLookedAt).reverse();
    for (const one of posted) {
      const leaves = await epochs.leavesOf(one, 'measurementsRoot', signal);
      const found = measuredProofOf(one.record, leaves, workerId);
      if (found !== undefined) return found;
    }
    throw new StakingError(
      'STAKING_NOT_MEASURED',
      `No record of the last "${recordsLookedAt}" says how much worker "${workerId}" does`,
      'Wait for the next: see "cloister epoch list"',
    );
  }

  get #pools() {
    return { address: this.#components.network.contracts.stakePools, abi: stakePoolsAbi } as const;
  }

  get #bonds() {
    return { address: this.#components.network.contracts.workerBonds, abi: workerBondsAbi } as const;
  }
}
