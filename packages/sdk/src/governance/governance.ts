import {
  type ActRule,
  ChainAccount,
  type ChainView,
  cloisterGovernorAbi,
  GovernorReader,
  type GovernorRules,
  type Head,
  type Proposal,
  type ProposedCall,
  phaTokenAbi,
  proposalIdOf,
  StakingReader,
  stakeDelegatesAbi,
  type TimelockHolders,
  TimelockReader,
} from '@cloister/chain';
import type { Address, NetworkFile } from '@cloister/core';
import { type Hex, keccak256, type LocalAccount, stringToHex } from 'viem';
import {
  type Cast,
  castAll,
  castParts,
  maxStakesOfVote,
  packStakes,
  type Support,
  type VoteAmounts,
  votesLeft,
} from './ballots.ts';
import { type Effect, effectOf } from './effect.ts';
import { GovernanceError } from './governanceError.ts';
import { type NamedContract, namedContracts } from './namedContracts.ts';
import { proposalIdText, type ShownProposal, showProposal } from './shownProposal.ts';
import { simulatedFork } from './simulatedFork.ts';
import { readStanding, type VoterStanding } from './standing.ts';

export type GovernanceComponents = {
  readonly network: Pick<NetworkFile, 'chainId' | 'contracts'>;
  readonly view: ChainView;
  /** Opens the account that sends; needed for what writes. */
  readonly account: (account: LocalAccount | Hex) => ChainAccount;
};
type By = { readonly account: LocalAccount | Hex; readonly signal?: AbortSignal };

export type VoteCast = { readonly casts: readonly Cast[]; readonly votes: bigint; readonly left: bigint };

/** Proposals and votes of the holders of PHA: what they would change, and every step of their way. */
export class Governance {
  readonly reader: GovernorReader;
  readonly timelock: TimelockReader;
  readonly #components: GovernanceComponents;
  readonly #staking: StakingReader;

  constructor(components: GovernanceComponents) {
    const { network, view } = components;
    this.#components = components;
    this.reader = new GovernorReader(view, network.contracts);
    this.timelock = new TimelockReader(view, network.contracts);
    this.#staking = new StakingReader(view, network.contracts);
  }

  /** The contracts that proposals are written for, by name. */
  contracts(signal?: AbortSignal): Promise<readonly NamedContract[]> {
    return namedContracts(this.#components.network, this.#components.view, signal);
  }

  /** What voting goes by, and who may propose to the timelock and execute what is due. */
  async rules(
    signal?: AbortSignal,
  ): Promise<GovernorRules & { readonly holders: TimelockHolders; readonly treasuryDelegate: Address | null }> {
    const head = await this.#components.view.head(signal);
    const [rules, holders, treasuryDelegate] = await Promise.all([
      this.reader.rules(signal),
      this.timelock.holders(head, signal),
      this.timelock.treasuryDelegate(signal),
    ]);
    return { ...rules, holders, treasuryDelegate: treasuryDelegate ?? null };
  }

  /** The newest proposals, newest first. */
  async list(limit = 20, signal?: AbortSignal): Promise<readonly ShownProposal[]> {
    const head = await this.#components.view.head(signal);
    const all = await this.reader.proposals(head, signal);
    const named = await this.#named(signal);
    const shown: ShownProposal[] = [];
    for (const proposal of all.slice(-limit).reverse())
      shown.push(showProposal(proposal, await this.reader.status(proposal.id, head, signal), head.timestamp, named));
    return shown;
  }

  /** One proposal by its id. Throws GOVERN_PROPOSAL_UNKNOWN. */
  async show(id: bigint, signal?: AbortSignal): Promise<ShownProposal> {
    const head = await this.#components.view.head(signal);
    const proposal = await this.#known(id, head, signal);
    const [status, named] = await Promise.all([this.reader.status(id, head, signal), this.#named(signal)]);
    return showProposal(proposal, status, head.timestamp, named);
  }

  /** What a call asks for as an act of governance. */
  ruleOf(call: ProposedCall, signal?: AbortSignal): Promise<ActRule> {
    return this.reader.ruleOf(call, signal);
  }

  /** The id that starts so; ids are written as 0x and 64 hexadecimal digits. Throws GOVERN_PROPOSAL_UNKNOWN for none and for several. */
  async idStartingWith(start: string, signal?: AbortSignal): Promise<bigint> {
    const head = await this.#components.view.head(signal);
    const ids = (await this.reader.proposals(head, signal)).map(({ id }) => id);
    const [found, ...others] = ids.filter((id) => proposalIdText(id).startsWith(start.toLowerCase()));
    if (found === undefined || others.length > 0)
      throw unknownProposal(start, others.length + (found === undefined ? 0 : 1));
    return found;
  }

  /** What an account can cast for a proposal, or, without one, could for one whose snapshot were now. */
  standing(voter: Address, id?: bigint, signal?: AbortSignal): Promise<VoterStanding> {
    return readStanding({ governor: this.reader, staking: this.#staking }, voter, id, signal);
  }

  /**
   * Proposes calls, by the account's PHA or, where that is too little, by its stake. Ends the description with the account's address, so that
   * nobody else can propose the same and withdraw it. Throws GOVERN_TOO_FEW_VOTES, GOVERN_PROPOSAL_REFUSED, TransactionError.
   */
  async propose(calls: readonly ProposedCall[], description: string, { account, signal }: By): Promise<ShownProposal> {
    const proposer = this.#components.account(account);
    for (const call of calls) await this.#assertProposable(call, signal);
    const [rules, { own, stakes }] = await Promise.all([
      this.reader.rules(signal),
      this.standing(proposer.address, undefined, signal),
    ]);
    const named = [...stakes].sort((left, right) => (left.worth > right.worth ? -1 : 1)).slice(0, maxStakesOfVote);
    const total = votesLeft({ own, opened: false, left: 0n, stakes: named });
    if (total < rules.proposalThreshold)
      throw new GovernanceError(
        'GOVERN_TOO_FEW_VOTES',
        `A proposal takes "${rules.proposalThreshold}" votes, "${proposer.address}" has "${total}"`,
        'PHA that nobody delegated votes nowhere: see "cloister govern delegate"',
        { needed: rules.proposalThreshold, votes: total },
      );
    const ending = `#proposer=${proposer.address}`;
    const text = description.endsWith(ending) ? description : `${description.trimEnd()}\n\n${ending}`;
    const id = proposalIdOf(calls, text);
    const args = [...listsOf(calls), text] as const;
    if (own >= rules.proposalThreshold)
      await proposer.write({ ...this.#governor, functionName: 'propose', args }, signal);
    else {
      const withStake = {
        ...this.#governor,
        functionName: 'proposeWithStake',
        args: [...args, packStakes(named)],
      } as const;
      await proposer.write(withStake, signal);
    }
    return this.show(id, signal);
  }

  /**
   * Casts votes of the account: all that it has left to one side, or these amounts and the rest later. Names stakes by itself, in as many
   * transactions as it takes. Throws GOVERN_NOT_NOW, GOVERN_NOTHING_TO_CAST, GOVERN_TOO_FEW_VOTES, TransactionError.
   */
  async vote(
    id: bigint,
    choice: Support | VoteAmounts,
    { account, signal, reason = '' }: By & { readonly reason?: string },
  ): Promise<VoteCast> {
    const voter = this.#components.account(account);
    const { state, times } = await this.show(id, signal);
    if (state !== 'active')
      throw notNow(
        id,
        `is ${state}`,
        `Votes are cast from ${timeText(times.voteFrom)} to ${timeText(times.voteUntil)}`,
      );
    const standing = await this.standing(voter.address, id, signal);
    const { total } = standing;
    if (total === 0n) throw await this.#nothingToCast(id, standing, signal);
    const wanted = typeof choice === 'string' ? total : choice.against + choice.for + choice.abstain;
    if (wanted > total || wanted === 0n)
      throw new GovernanceError(
        'GOVERN_TOO_FEW_VOTES',
        `"${voter.address}" has "${total}" votes left for this proposal, asked were "${wanted}"`,
        'Cast that many at the most',
        { votes: total },
      );
    const casts = typeof choice === 'string' ? castAll(standing, choice) : castParts(standing, choice);
    for (const { support, params } of casts) {
      const args = [id, support, reason, params] as const;
      await voter.write({ ...this.#governor, functionName: 'castVoteWithReasonAndParams', args }, signal);
    }
    return { casts, votes: wanted, left: total - wanted };
  }

  /** Whom an account lets vote: with its PHA, and with its stake in pools. Itself is undefined for PHA that nobody delegated. */
  async delegates(
    account: Address,
    signal?: AbortSignal,
  ): Promise<{ readonly pha: Address | null; readonly stake: Address }> {
    const [pha, stake] = await Promise.all([
      this.reader.delegateOf(account, signal),
      this.reader.voterOf(account, undefined, signal),
    ]);
    return { pha: pha ?? null, stake };
  }

  /** Lets an account vote with the caller's PHA, its stake, or both; its own address takes that back. Sends only what changes something. */
  async delegate(
    voter: Address,
    what: { readonly pha: boolean; readonly stake: boolean },
    { account, signal }: By,
  ): Promise<{ readonly pha: Address | null; readonly stake: Address }> {
    const owner = this.#components.account(account);
    const now = await this.delegates(owner.address, signal);
    const { phaToken } = this.#components.network.contracts;
    if (what.pha && now.pha !== voter)
      await owner.write({ address: phaToken, abi: phaTokenAbi, functionName: 'delegate', args: [voter] }, signal);
    if (what.stake && now.stake !== voter) {
      const { stakeDelegates: address } = await this.reader.rules(signal);
      await owner.write({ address, abi: stakeDelegatesAbi, functionName: 'delegate', args: [voter] }, signal);
    }
    return this.delegates(owner.address, signal);
  }

  /** Schedules an accepted proposal with the timelock, as anyone may. Throws GOVERN_NOT_NOW, TransactionError. */
  queue(id: bigint, by: By): Promise<ShownProposal> {
    return this.#step(id, 'queue', by, ({ state, times }) => {
      if (state === 'succeeded') return undefined;
      return `It can be queued once it is accepted, from ${timeText(times.voteUntil + 1n)} to ${timeText(times.queueUntil)}`;
    });
  }

  /** Executes a proposal whose delay is over, as anyone may. Throws GOVERN_NOT_NOW, TransactionError. */
  execute(id: bigint, by: By): Promise<ShownProposal> {
    return this.#step(id, 'execute', by, ({ state, eta, times }, { timestamp }) => {
      if (state === 'queued' && eta !== null && timestamp >= eta) return undefined;
      return state === 'queued'
        ? `It can be executed from ${timeText(eta ?? times.executeFrom)}`
        : 'Only what was accepted and queued is executed';
    });
  }

  /** Withdraws a proposal before its vote, as its proposer; or cancels one that lay too long, as anyone may. Throws GOVERN_NOT_NOW. */
  cancel(id: bigint, by: By): Promise<ShownProposal> {
    const caller = this.#components.account(by.account).address;
    return this.#step(id, 'cancel', by, ({ state, proposer, times }, { timestamp }) => {
      if (state === 'pending' && proposer === caller) return undefined;
      if (state === 'queued' && timestamp > times.staleFrom) return undefined;
      return `Its proposer can withdraw it before ${timeText(times.voteFrom)}; anyone can cancel what was queued and not executed by ${timeText(times.staleFrom)}`;
    });
  }

  /**
   * What a proposal, or calls that could become one, would change: made by the timelock on a fork of the present state, at the earliest time at
   * which they can be executed. Throws GOVERN_NO_PREVIEW where no RPC makes forks.
   */
  async preview(
    subject: bigint | readonly ProposedCall[],
    signal?: AbortSignal,
  ): Promise<Effect & { readonly block: bigint; readonly timestamp: bigint }> {
    const { network, view } = this.#components;
    const { timelock, governor, phaToken } = network.contracts;
    const head = await view.head(signal);
    const [contracts, holders] = await Promise.all([this.contracts(signal), this.timelock.holders(head, signal)]);
    const isProposal = typeof subject === 'bigint';
    const calls = isProposal ? (await this.#known(subject, head, signal)).calls : subject;
    const due = isProposal
      ? (await this.show(subject, signal)).times.executeFrom
      : await this.#executedFrom(calls, head, signal);
    const timestamp = due > head.timestamp ? due : head.timestamp + 1n;
    const fork = simulatedFork(view, { timelock, governor, block: head.number, timestamp }, signal);
    try {
      const effect = await effectOf(fork, { calls, contracts, holders, timelock, phaToken });
      return { ...effect, block: head.number, timestamp };
    } catch (error) {
      if ((error as { code?: unknown }).code !== 'CHAIN_NO_SIMULATION') throw error;
      throw new GovernanceError(
        'GOVERN_NO_PREVIEW',
        'No RPC of this network can simulate the calls (eth_simulateV1)',
        'Name one that can in the network file, or a fork of your own: anvil --fork-url RPC',
        {},
        error,
      );
    }
  }

  async #executedFrom(calls: readonly ProposedCall[], head: Head, signal: AbortSignal | undefined): Promise<bigint> {
    const rules = await this.reader.rules(signal);
    const acts = await Promise.all(calls.map((call) => this.reader.ruleOf(call, signal)));
    const delay = acts.reduce(
      (longest, act) => ('delaySeconds' in act && act.delaySeconds > longest ? act.delaySeconds : longest),
      0n,
    );
    return head.timestamp + rules.votingDelaySeconds + rules.votingPeriodSeconds + delay + 1n;
  }

  async #step(
    id: bigint,
    functionName: 'queue' | 'execute' | 'cancel',
    { account, signal }: By,
    why: (proposal: ShownProposal, head: Head) => string | undefined,
  ): Promise<ShownProposal> {
    const head = await this.#components.view.head(signal);
    const proposal = await this.show(id, signal);
    const hint = why(proposal, head);
    if (hint !== undefined) throw notNow(id, `is ${proposal.state}`, hint);
    const args = [...listsOf(proposal.calls), keccak256(stringToHex(proposal.description))] as const;
    await this.#components.account(account).write({ ...this.#governor, functionName, args }, signal);
    return this.show(id, signal);
  }

  async #assertProposable(call: ProposedCall, signal: AbortSignal | undefined): Promise<void> {
    const rule = await this.reader.ruleOf(call, signal);
    if ('refusal' in rule)
      throw new GovernanceError(
        'GOVERN_PROPOSAL_REFUSED',
        `No proposal may have this call: ${rule.refusal.errorName}(${rule.refusal.args.join(', ')})`,
        'See docs/governance.md',
        { target: call.target },
      );
  }

  async #nothingToCast(
    id: bigint,
    { opened, voter }: VoterStanding,
    signal: AbortSignal | undefined,
  ): Promise<GovernanceError> {
    const idle = opened ? undefined : await this.reader.delegateOf(voter, signal);
    return new GovernanceError(
      'GOVERN_NOTHING_TO_CAST',
      opened
        ? `"${voter}" has cast all its votes for proposal "${proposalIdText(id)}"`
        : `"${voter}" had no votes at the snapshot of proposal "${proposalIdText(id)}"`,
      opened || idle === voter
        ? 'What was moved, staked or delegated since the snapshot counts for later proposals'
        : 'PHA votes where it was delegated before the snapshot: "cloister govern delegate" for the next time',
    );
  }

  async #known(id: bigint, head: Head, signal: AbortSignal | undefined): Promise<Proposal> {
    const found = (await this.reader.proposals(head, signal)).find((proposal) => proposal.id === id);
    if (found === undefined) throw unknownProposal(proposalIdText(id), 0);
    return found;
  }

  async #named(signal: AbortSignal | undefined) {
    const [contracts, { daySeconds }] = await Promise.all([this.contracts(signal), this.reader.rules(signal)]);
    return { contracts, daySeconds };
  }

  get #governor() {
    return { address: this.#components.network.contracts.governor, abi: cloisterGovernorAbi } as const;
  }
}

/** Governance of the network that a client is open to. */
export function openGovernance(client: {
  readonly network: NetworkFile;
  readonly registry: { readonly view: ChainView };
}): Governance {
  const { network, registry } = client;
  const [rpc = ''] = network.rpcs;
  return new Governance({
    network,
    view: registry.view,
    account: (account) => new ChainAccount({ chainId: network.chainId, rpc, account }),
  });
}

function listsOf(calls: readonly ProposedCall[]) {
  return [calls.map(({ target }) => target), calls.map(({ value }) => value), calls.map(({ data }) => data)] as const;
}

function timeText(unixSeconds: bigint): string {
  return new Date(Number(unixSeconds) * 1_000).toISOString();
}

function unknownProposal(id: string, found: number): GovernanceError {
  return new GovernanceError(
    'GOVERN_PROPOSAL_UNKNOWN',
    found === 0 ? `There is no proposal "${id}"` : `"${found}" proposals start with "${id}"`,
    'See "cloister govern list"',
  );
}

function notNow(id: bigint, what: string, hint: string): GovernanceError {
  return new GovernanceError('GOVERN_NOT_NOW', `Proposal "${proposalIdText(id)}" ${what}`, hint);
}
