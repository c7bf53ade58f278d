import { type Address, type Hex, type NetworkFile, zeroAddress } from '@cloister/core';
import { encodeAbiParameters, keccak256, stringToHex } from 'viem';
import type { BlockId, ChainLog, Head } from './chainLog.ts';
import { ChainError, type ChainView } from './chainView.ts';
import { FinalLogs } from './finalLogs.ts';
import { actRulesAbi, cloisterGovernorAbi, phaTokenAbi, stakeDelegatesAbi, stakePoolsAbi } from './generated/index.ts';
import type { GovernedCall } from './govern.ts';

/** In the contract's order (`IGovernor.ProposalState`). */
export const proposalStates = [
  'pending',
  'active',
  'canceled',
  'defeated',
  'succeeded',
  'queued',
  'expired',
  'executed',
] as const;
export type ProposalState = (typeof proposalStates)[number];

/** One call that a proposal makes, with what the timelock sends along in wei. */
export type ProposedCall = GovernedCall & { readonly value: bigint };

/** What was proposed. Its id is the hash over calls and description. */
export type Proposal = {
  readonly id: bigint;
  readonly proposer: Address;
  readonly calls: readonly ProposedCall[];
  /** Whoever proposed it wrote this: not to be trusted. */
  readonly description: string;
  /** False for a description that is no UTF-8: its id can't be checked, and nothing here can queue it. */
  readonly isText: boolean;
};

/** How a proposal stands at a block. Votes in PHA's smallest unit, times in unix seconds. */
export type ProposalStatus = {
  readonly state: ProposalState;
  /** Votes are those of this moment. */
  readonly snapshot: bigint;
  readonly deadline: bigint;
  readonly votes: { readonly against: bigint; readonly for: bigint; readonly abstain: bigint };
  /** Whether it takes a super quorum of votes for it alone, and two thirds. */
  readonly dangerous: boolean;
  readonly needed: bigint;
  /** Seconds in the timelock, at the least. */
  readonly delaySeconds: bigint;
  /** From when on it may be executed; null before it was queued. */
  readonly eta: bigint | null;
};

/** What voting goes by now. */
export type GovernorRules = {
  readonly governor: Address;
  readonly timelock: Address;
  readonly actRules: Address;
  readonly stakeDelegates: Address;
  /** Seconds of a day of governance. */
  readonly daySeconds: bigint;
  readonly votingDelaySeconds: bigint;
  readonly votingPeriodSeconds: bigint;
  readonly voteExtensionSeconds: bigint;
  readonly proposalThreshold: bigint;
  readonly quorumBps: number;
  readonly superQuorumBps: number;
  /** Seconds that the heaviest acts wait at the least: the longest way out of stake and a day. */
  readonly heaviestDelaySeconds: bigint;
};

/** What an act asks for; a `refusal` where no proposal may have it. */
export type ActRule =
  | { readonly dangerous: boolean; readonly delaySeconds: bigint }
  | { readonly refusal: { readonly errorName: string; readonly args: readonly string[] } };

/** An account's stake in one pool. */
export type Stake = { readonly account: Address; readonly pool: Address };

/** Days in which a proposal that was accepted must be queued, and after which one that was queued may be cancelled (`CloisterGovernor`). */
export const queueDays = 14n;
export const executionDays = 14n;

/** Typed reads of a network's Governor through a {@link ChainView}. */
export class GovernorReader {
  readonly view: ChainView;
  readonly #contracts: Pick<NetworkFile['contracts'], 'governor' | 'phaToken' | 'stakePools'>;
  readonly #final: Proposal[] = [];
  readonly #finalLogs: FinalLogs;
  #rules: Pick<GovernorRules, 'actRules' | 'stakeDelegates'> | undefined;

  constructor(view: ChainView, contracts: Pick<NetworkFile['contracts'], 'governor' | 'phaToken' | 'stakePools'>) {
    this.view = view;
    this.#contracts = contracts;
    this.#finalLogs = new FinalLogs(view, this.#created, (log) => void this.#final.push(this.#proposalOf(log)));
  }

  /** Every proposal up to a block, oldest first; what is final is read once. Throws ChainError, CHAIN_SPLIT for one that its id denies. */
  async proposals(head: Head, signal?: AbortSignal): Promise<readonly Proposal[]> {
    const final = await this.view.finalized(signal);
    const read = final.number < head.number ? final : head;
    await this.#finalLogs.follow(read, signal);
    const recent = await this.view.logsUpTo({ ...this.#created, fromBlock: read.number + 1n }, head, signal);
    const known = new Map(this.#final.map((proposal) => [proposal.id, proposal]));
    for (const log of recent) {
      const proposal = this.#proposalOf(log);
      known.set(proposal.id, proposal);
    }
    return [...known.values()];
  }

  async status(id: bigint, { number: block }: BlockId, signal?: AbortSignal): Promise<ProposalStatus> {
    const of = <const name extends string>(functionName: name) => ({
      ...this.#governor(functionName),
      args: [id] as const,
      block,
    });
    const [state, snapshot, deadline, [against, inFavour, abstain], terms, eta] = await Promise.all([
      this.view.read(of('state'), signal),
      this.view.read(of('proposalSnapshot'), signal),
      this.view.read(of('proposalDeadline'), signal),
      this.view.read(of('proposalVotes'), signal),
      this.view.read(of('termsOf'), signal),
      this.view.read(of('proposalEta'), signal),
    ]);
    return {
      state: proposalStates[state] ?? 'canceled',
      snapshot,
      deadline,
      votes: { against, for: inFavour, abstain },
      dangerous: terms.dangerous,
      needed: terms.needed,
      delaySeconds: BigInt(terms.delay),
      eta: eta === 0n ? null : eta,
    };
  }

  async rules(signal?: AbortSignal): Promise<GovernorRules> {
    const { number: block } = await this.view.head(signal);
    const of = <const name extends string>(functionName: name) => ({
      ...this.#governor(functionName),
      args: [] as const,
      block,
    });
    const { actRules, stakeDelegates } = await this.#fixed(signal);
    const ofActs = <const name extends string>(functionName: name) =>
      ({ address: actRules, abi: actRulesAbi, functionName, args: [], block }) as const;
    const [timelock, delay, period, extension, proposalThreshold, quorumBps, superQuorumBps, day, exit] =
      await Promise.all([
        this.view.read(of('timelock'), signal),
        this.view.read(of('votingDelay'), signal),
        this.view.read(of('votingPeriod'), signal),
        this.view.read(of('lateQuorumVoteExtension'), signal),
        this.view.read(of('proposalThreshold'), signal),
        this.view.read(of('quorumBps'), signal),
        this.view.read(of('superQuorumBps'), signal),
        this.view.read(ofActs('day'), signal),
        this.view.read(ofActs('longestExit'), signal),
      ]);
    return {
      governor: this.#contracts.governor,
      timelock: lower(timelock),
      actRules,
      stakeDelegates,
      daySeconds: BigInt(day),
      votingDelaySeconds: delay,
      votingPeriodSeconds: period,
      voteExtensionSeconds: BigInt(extension),
      proposalThreshold,
      quorumBps,
      superQuorumBps,
      heaviestDelaySeconds: exit + BigInt(day),
    };
  }

  /** What a call asks for as an act of governance. */
  async ruleOf({ target, data }: GovernedCall, signal?: AbortSignal): Promise<ActRule> {
    const { actRules: address } = await this.#fixed(signal);
    const query = { address, abi: actRulesAbi, functionName: 'ruleOf', args: [target, data] } as const;
    try {
      const [dangerous, delaySeconds] = await this.view.read(query, signal);
      return { dangerous, delaySeconds };
    } catch (error) {
      if (!(error instanceof ChainError) || error.code !== 'CHAIN_READ_REVERTED') throw error;
      return { refusal: error.meta as { errorName: string; args: readonly string[] } };
    }
  }

  /** The votes of all PHA that is delegated to an account, at a past moment. */
  pastVotes(account: Address, timepoint: bigint, signal?: AbortSignal): Promise<bigint> {
    return this.view.read({ ...this.#token('getPastVotes'), args: [account, timepoint] }, signal);
  }

  /** The account that casts another's PHA outside of pools now; undefined for nobody. */
  async delegateOf(account: Address, signal?: AbortSignal): Promise<Address | undefined> {
    const delegate = lower(await this.view.read({ ...this.#token('delegates'), args: [account] }, signal));
    return delegate === zeroAddress ? undefined : delegate;
  }

  phaOf(account: Address, signal?: AbortSignal): Promise<bigint> {
    return this.view.read({ ...this.#token('balanceOf'), args: [account] }, signal);
  }

  /** What a stake was worth at a past moment. */
  pastStake({ account, pool }: Stake, timepoint: bigint, signal?: AbortSignal): Promise<bigint> {
    const query = { address: this.#contracts.stakePools, abi: stakePoolsAbi, functionName: 'getPastVotes' } as const;
    return this.view.read({ ...query, args: [account, pool, timepoint] }, signal);
  }

  isStakeCounted(id: bigint, { account, pool }: Stake, signal?: AbortSignal): Promise<boolean> {
    return this.view.read({ ...this.#governor('isStakeCounted'), args: [id, account, pool] }, signal);
  }

  /** Whether a voter has cast anything, and what of what it named so far it has not. */
  async ballotOf(id: bigint, voter: Address, signal?: AbortSignal): Promise<{ opened: boolean; left: bigint }> {
    const [opened, left] = await this.view.read({ ...this.#governor('ballotOf'), args: [id, voter] }, signal);
    return { opened, left };
  }

  /** Who casts the votes of an account's stake, now or at a past moment. */
  async voterOf(account: Address, timepoint?: bigint, signal?: AbortSignal): Promise<Address> {
    const { stakeDelegates: address } = await this.#fixed(signal);
    const of = { address, abi: stakeDelegatesAbi } as const;
    return lower(
      timepoint === undefined
        ? await this.view.read({ ...of, functionName: 'voterOf', args: [account] }, signal)
        : await this.view.read({ ...of, functionName: 'pastVoterOf', args: [account, timepoint] }, signal),
    );
  }

  /** Accounts that ever let another cast their stake, as one RPC lists them. */
  async delegatorsTo(voter: Address, signal?: AbortSignal): Promise<readonly Address[]> {
    const { stakeDelegates: address } = await this.#fixed(signal);
    const query = { address, abi: stakeDelegatesAbi, eventName: 'StakeDelegated', args: { voter } };
    const events = (await this.view.events(query, signal)) as readonly { readonly account?: string }[];
    return [...new Set(events.flatMap(({ account }) => (account === undefined ? [] : [lower(account)])))];
  }

  get #created() {
    return { address: this.#contracts.governor, abi: cloisterGovernorAbi, eventNames: ['ProposalCreated'] } as const;
  }

  /** What never changes. */
  async #fixed(signal: AbortSignal | undefined) {
    if (this.#rules !== undefined) return this.#rules;
    const [actRules, stakeDelegates] = await Promise.all([
      this.view.read({ ...this.#governor('actRules'), args: [] }, signal),
      this.view.read({ ...this.#governor('stakeDelegates'), args: [] }, signal),
    ]);
    this.#rules = { actRules: lower(actRules), stakeDelegates: lower(stakeDelegates) };
    return this.#rules;
  }

  #proposalOf({ args }: ChainLog): Proposal {
    const { proposalId, proposer, targets, values, calldatas, description } = args as {
      proposalId: bigint;
      proposer: string;
      targets: readonly string[];
      values: readonly bigint[];
      calldatas: readonly Hex[];
      description: string;
    };
    const calls = targets.map((target, index) => ({
      target: lower(target),
      value: values[index] ?? 0n,
      data: calldatas[index] ?? '0x',
    }));
    const isText = proposalIdOf(calls, description) === proposalId;
    // One bad description must not hide all other proposals.
    if (!isText && !description.includes('\ufffd'))
      throw new ChainError('CHAIN_SPLIT', `The RPCs list other calls than those of proposal "${proposalId}"`, {
        proposalId,
      });
    return { id: proposalId, proposer: lower(proposer), calls, description, isText };
  }

  #governor<const name extends string>(functionName: name) {
    return { address: this.#contracts.governor, abi: cloisterGovernorAbi, functionName } as const;
  }

  #token<const name extends string>(functionName: name) {
    return { address: this.#contracts.phaToken, abi: phaTokenAbi, functionName } as const;
  }
}

/** The id of a proposal (OpenZeppelin's `hashProposal`). */
export function proposalIdOf(calls: readonly ProposedCall[], description: string): bigint {
  const [targets, values, calldatas] = [
    calls.map(({ target }) => target),
    calls.map(({ value }) => value),
    calls.map(({ data }) => data),
  ];
  const parameters = [{ type: 'address[]' }, { type: 'uint256[]' }, { type: 'bytes[]' }, { type: 'bytes32' }] as const;
  return BigInt(
    keccak256(encodeAbiParameters(parameters, [targets, values, calldatas, keccak256(stringToHex(description))])),
  );
}

function lower(address: string): Address {
  return address.toLowerCase() as Address;
}
