import {
  type BlockId,
  type ChainLog,
  type ChainView,
  depositBondAbi,
  emissionAbi,
  epochRewardsAbi,
  gatekeeperCommitteeAbi,
  paymentsAbi,
  phaTokenAbi,
  slashingAbi,
  stakePoolsAbi,
  storageRentAbi,
} from '@cloister/chain';
import { type Address, type NetworkFile, zeroAddress } from '@cloister/core';
import type { Abi } from 'viem';

/** One contract that holds PHA for others. Amounts in PHA's smallest unit. */
export type Custody = {
  readonly name: string;
  readonly address: Address;
  /** What the token says that it has. */
  readonly balance: bigint;
  /** What it owes, by what it is for. */
  readonly owed: Readonly<Record<string, bigint>>;
  /** Sent there by mistake: belongs to nobody. */
  readonly surplus: bigint;
  /** Whether all that is owed is there, and the contract's own sum is that of its parts. */
  readonly holds: boolean;
};

export type Reconciliation = {
  /** All of it as of this block. */
  readonly block: bigint;
  readonly supply: {
    readonly genesis: bigint;
    /** By epochs' emission: to workers, treasury and gatekeepers. */
    readonly emitted: { readonly workers: bigint; readonly treasury: bigint; readonly gatekeepers: bigint };
    /** For good: not what went to other chains. */
    readonly burnt: bigint;
    /** On other chains, by every route: burnt here, and minted again when it comes back. */
    readonly outstanding: bigint;
    readonly total: bigint;
    readonly issuedEver: bigint;
    /** What all accounts have together, by every transfer since the beginning. */
    readonly held: bigint;
    readonly holds: boolean;
  };
  readonly custody: readonly Custody[];
  /** What fees that were claimed came to, by who got them or is owed them. */
  readonly fees: {
    readonly claimed: bigint;
    readonly operators: bigint;
    readonly gateways: bigint;
    readonly gatekeepers: bigint;
    readonly treasury: bigint;
    readonly undistributed: bigint;
    readonly holds: boolean;
  };
  readonly holds: boolean;
};

type Components = { readonly network: NetworkFile; readonly view: ChainView };

/**
 * Adds up every unit of PHA, from all events since the network's first block and the contracts' own sums at one block: what was issued is what
 * accounts have, each contract has what it owes, and what payers paid is what others got. Throws ChainError.
 */
export async function reconcile({ network, view }: Components, signal?: AbortSignal): Promise<Reconciliation> {
  const books = new Books(network, view, await view.head(signal), signal);
  const supply = await books.supply();
  const fees = await books.fees();
  const custody = await Promise.all([
    books.payments(),
    books.stakePools(),
    books.slashing(),
    books.epochRewards(),
    books.depositBond(),
    books.storageRent(),
  ]);
  const holds = supply.holds && fees.holds && custody.every((one) => one.holds);
  return { block: books.block, supply, custody, fees, holds };
}

/** Reads and sums at one block. */
class Books {
  readonly #end: BlockId;
  readonly #contracts: NetworkFile['contracts'];
  readonly #view: ChainView;
  readonly #signal: AbortSignal | undefined;

  constructor(network: NetworkFile, view: ChainView, end: BlockId, signal: AbortSignal | undefined) {
    this.#contracts = network.contracts;
    this.#view = view;
    this.#end = end;
    this.#signal = signal;
  }

  get block(): bigint {
    return this.#end.number;
  }

  async supply(): Promise<Reconciliation['supply']> {
    const { phaToken, emission } = this.#contracts;
    const token = { address: phaToken, abi: phaTokenAbi } as const;
    const [total, issuedEver, outstanding] = await Promise.all([
      this.#view.read({ ...token, functionName: 'totalSupply', args: [], block: this.block }, this.#signal),
      this.#view.read({ ...token, functionName: 'issuedEver', args: [], block: this.block }, this.#signal),
      this.#view.read({ ...token, functionName: 'outstanding', args: [], block: this.block }, this.#signal),
    ]);
    // Both also stand among the transfers.
    const wentOut = amounts(await this.#logs(phaToken, phaTokenAbi, 'CrosschainBurn'), 'amount');
    const cameBack = amounts(await this.#logs(phaToken, phaTokenAbi, 'CrosschainMint'), 'amount');
    let [minted, burnt] = [-cameBack, -wentOut];
    const balances = new Map<string, bigint>();
    for (const { args } of await this.#logs(phaToken, phaTokenAbi, 'Transfer')) {
      const { from, to, value } = args as { from: Address; to: Address; value: bigint };
      if (from === zeroAddress) minted += value;
      else balances.set(from, (balances.get(from) ?? 0n) - value);
      if (to === zeroAddress) burnt += value;
      else balances.set(to, (balances.get(to) ?? 0n) + value);
    }
    const emitted = { workers: 0n, treasury: 0n, gatekeepers: 0n };
    for (const { args } of await this.#logs(emission, emissionAbi, 'EpochMinted')) {
      const { toWorkers, toTreasury, toGatekeepers } = args as Record<string, bigint>;
      emitted.workers += toWorkers ?? 0n;
      emitted.treasury += toTreasury ?? 0n;
      emitted.gatekeepers += toGatekeepers ?? 0n;
    }
    const byEpochs = emitted.workers + emitted.treasury + emitted.gatekeepers;
    const held = sum(balances.values());
    const isWhole = [...balances.values()].every((balance) => balance >= 0n);
    const isIssued = minted === issuedEver && total + outstanding + burnt === issuedEver;
    const holds = isWhole && held === total && isIssued && outstanding === wentOut - cameBack;
    return { genesis: minted - byEpochs, emitted, burnt, outstanding, total, issuedEver, held, holds };
  }

  async fees(): Promise<Reconciliation['fees']> {
    const { payments } = this.#contracts;
    const claimed = amounts(await this.#logs(payments, paymentsAbi, 'ChannelClaimed'), 'paid');
    const split = await this.#logs(payments, paymentsAbi, 'FeesDistributed');
    const parts = {
      operators: amounts(split, 'toOperator'),
      gateways: amounts(split, 'toGateway'),
      gatekeepers: amounts(split, 'toGatekeepers'),
      treasury: amounts(split, 'toTreasury'),
    };
    const undistributed = await this.#undistributed();
    const all = parts.operators + parts.gateways + parts.gatekeepers + parts.treasury + undistributed;
    return { claimed, ...parts, undistributed, holds: all === claimed };
  }

  async payments(): Promise<Custody> {
    const { payments: address } = this.#contracts;
    const contract = { address, abi: paymentsAbi } as const;
    const opened = await this.#logs(address, paymentsAbi, 'ChannelOpened');
    const channels = await this.#each(
      opened.map(({ args }) => args.channel as Address),
      (id) => this.#view.read({ ...contract, functionName: 'channelOf', args: [id], block: this.block }, this.#signal),
    );
    const unclaimed = sum(channels.map(({ deposited, claimed }) => deposited - claimed));
    const split = await this.#logs(address, paymentsAbi, 'FeesDistributed');
    const recipients = await this.#logs(address, paymentsAbi, 'FeeRecipientsSet');
    const accounts = new Set<Address>([
      ...split.map(({ args }) => args.gateway as Address),
      ...recipients.flatMap(({ args }) => [args.gatekeepers as Address, args.treasury as Address]),
    ]);
    const owed = await this.#each([...accounts], (account) =>
      this.#view.read({ ...contract, functionName: 'owed', args: [account], block: this.block }, this.#signal),
    );
    const operators = new Set(split.map(({ args }) => args.operator as Address));
    const toOperators = await this.#each([...operators], (operator) =>
      this.#view.read(
        { ...contract, functionName: 'owedToOperator', args: [operator], block: this.block },
        this.#signal,
      ),
    );
    const parts = {
      'in channels': unclaimed,
      'claimed and unsplit': await this.#undistributed(),
      'owed to gateways and others': sum(owed),
      'owed to operators': sum(toOperators),
    };
    const own = await this.#view.read(
      { ...contract, functionName: 'totalHeld', args: [], block: this.block },
      this.#signal,
    );
    return this.#custody('Payments', address, parts, own);
  }

  async stakePools(): Promise<Custody> {
    const { stakePools: address } = this.#contracts;
    const contract = { address, abi: stakePoolsAbi } as const;
    const created = await this.#logs(address, stakePoolsAbi, 'PoolCreated');
    const pools = await this.#each(
      created.map(({ args }) => args.pool as Address),
      (pool) => this.#view.read({ ...contract, functionName: 'poolOf', args: [pool], block: this.block }, this.#signal),
    );
    const parts = {
      staked: sum(pools.map(({ assets }) => assets)),
      leaving: sum(pools.map(({ leaving, ownLeaving }) => leaving + ownLeaving)),
      'flowing in': sum(pools.map(({ unstreamed }) => unstreamed)),
      'of commissions': sum(pools.map(({ commission }) => commission)),
    };
    const own = await this.#view.read(
      { ...contract, functionName: 'totalHeld', args: [], block: this.block },
      this.#signal,
    );
    return this.#custody('StakePools', address, parts, own);
  }

  async slashing(): Promise<Custody> {
    const { slashing: address } = this.#contracts;
    const opened = await this.#logs(address, slashingAbi, 'CaseOpened');
    const open = await this.#each(
      opened.map(({ args }) => args.caseId as Address),
      (id) =>
        this.#view.read(
          { address, abi: slashingAbi, functionName: 'caseOf', args: [id], block: this.block },
          this.#signal,
        ),
    );
    const escrow = sum(open.filter(({ state }) => state === openCase).map(({ amount }) => amount));
    return this.#custody('Slashing', address, { 'in escrow': escrow });
  }

  async epochRewards(): Promise<Custody> {
    const { epochRewards: address } = this.#contracts;
    const opened = await this.#logs(address, epochRewardsAbi, 'EpochOpened');
    const pots = await this.#each(
      opened.map(({ args }) => args.epoch as bigint),
      (epoch) =>
        this.#view.read(
          { address, abi: epochRewardsAbi, functionName: 'potOf', args: [epoch], block: this.block },
          this.#signal,
        ),
    );
    return this.#custody('EpochRewards', address, { 'of unclaimed awards': sum(pots.map(({ left }) => left)) });
  }

  async storageRent(): Promise<Custody> {
    const { storageRent: address } = this.#contracts;
    const contract = { address, abi: storageRentAbi, block: this.block } as const;
    const [now, own] = await Promise.all([
      this.#view.read({ ...contract, functionName: 'epoch', args: [] }, this.#signal),
      this.#view.read({ ...contract, functionName: 'totalHeld', args: [] }, this.#signal),
    ]);
    const bought = await this.#logs(address, storageRentAbi, 'Prepaid');
    const rentals = await this.#each(
      bought.map(({ args }) => args.rental as bigint),
      (id) => this.#view.read({ ...contract, functionName: 'rentalOf', args: [id] }, this.#signal),
    );
    const parts = rentals.map(({ collectedUntil, untilEpoch, pricePerEpoch }) => {
      const past = Math.max(collectedUntil, Math.min(now, untilEpoch));
      return {
        earned: BigInt(past - collectedUntil) * pricePerEpoch,
        later: BigInt(untilEpoch - past) * pricePerEpoch,
      };
    });
    const owed = {
      'earned by gateways': sum(parts.map(({ earned }) => earned)),
      'of epochs to come': sum(parts.map(({ later }) => later)),
    };
    return this.#custody('StorageRent', address, owed, own);
  }

  /** The gatekeepers' bonds: the committee says in which contract they are. */
  async depositBond(): Promise<Custody> {
    const { gatekeeperCommittee } = this.#contracts;
    const address = (
      await this.#view.read(
        {
          address: gatekeeperCommittee,
          abi: gatekeeperCommitteeAbi,
          functionName: 'bond',
          args: [],
          block: this.block,
        },
        this.#signal,
      )
    ).toLowerCase() as Address;
    if (address === zeroAddress) return this.#custody('DepositBond', address, {}, 0n);
    const put = amounts(await this.#logs(address, depositBondAbi, 'Deposited'), 'amount');
    const out = amounts(await this.#logs(address, depositBondAbi, 'Withdrawn'), 'amount');
    const slashed = amounts(await this.#logs(address, depositBondAbi, 'Slashed'), 'amount');
    return this.#custody('DepositBond', address, { 'of bonds': put - out - slashed });
  }

  async #undistributed(): Promise<bigint> {
    const { payments: address } = this.#contracts;
    const opened = await this.#logs(address, paymentsAbi, 'ChannelOpened');
    const pairs = new Map<string, { operator: Address; gateway: Address }>();
    for (const { args } of opened) {
      const { operator, gateway } = (args as { parties: { operator: Address; gateway: Address } }).parties;
      pairs.set(`${operator} ${gateway}`, { operator, gateway });
    }
    const all = await this.#each([...pairs.values()], ({ operator, gateway }) =>
      this.#view.read(
        { address, abi: paymentsAbi, functionName: 'undistributed', args: [operator, gateway], block: this.block },
        this.#signal,
      ),
    );
    return sum(all);
  }

  async #custody(name: string, address: Address, owed: Record<string, bigint>, ownSum?: bigint): Promise<Custody> {
    const balance = await this.#view.read(
      {
        address: this.#contracts.phaToken,
        abi: phaTokenAbi,
        functionName: 'balanceOf',
        args: [address],
        block: this.block,
      },
      this.#signal,
    );
    const all = sum(Object.values(owed));
    const holds = balance >= all && (ownSum === undefined || ownSum === all);
    return { name, address, balance, owed, surplus: balance - all, holds };
  }

  #logs(address: Address, abi: Abi, eventName: string): Promise<readonly ChainLog[]> {
    return this.#view.logsUpTo({ address, abi, eventNames: [eventName], fromBlock: 0n }, this.#end, this.#signal);
  }

  /** In portions: RPCs bound what they answer at once. */
  async #each<In, Out>(items: readonly In[], read: (item: In) => Promise<Out>): Promise<Out[]> {
    const all: Out[] = [];
    for (let from = 0; from < items.length; from += portion)
      all.push(...(await Promise.all(items.slice(from, from + portion).map(read))));
    return all;
  }
}

const portion = 32;
/** `CaseState.Open` of the contract. */
const openCase = 1;
function amounts(logs: readonly ChainLog[], field: string): bigint {
  return sum(logs.map(({ args }) => args[field] as bigint));
}

function sum(values: Iterable<bigint>): bigint {
  let all = 0n;
  for (const value of values) all += value;
  return all;
}
