import { executionDays, type GovernorRules, type Proposal, type ProposalStatus, queueDays } from '@cloister/chain';
import type { Hex } from 'viem';
import type { NamedContract } from './namedContracts.ts';
import { type ShownCall, showCall } from './shownCalls.ts';

/** Unix seconds at which each step of a proposal can be done; null where it does not come to it. */
export type ProposalTimes = {
  readonly voteFrom: bigint;
  readonly voteUntil: bigint;
  /** The last second in which it can be queued. */
  readonly queueUntil: bigint;
  /** At the earliest, if it is queued as soon as it can be. */
  readonly executeFrom: bigint;
  /** From when on anyone may cancel it, if it is queued. */
  readonly staleFrom: bigint;
};

export type ShownProposal = Omit<Proposal, 'calls'> &
  ProposalStatus & {
    readonly title: string;
    readonly calls: readonly ShownCall[];
    readonly times: ProposalTimes;
    /** Votes that count toward `needed`: for alone where it is dangerous, else for and abstain. */
    readonly counted: bigint;
    /** Whether it would be accepted if the vote ended now. */
    readonly isAhead: boolean;
  };

/** A proposal as it stands at a moment (unix seconds) of its chain. */
export function showProposal(
  proposal: Proposal,
  status: ProposalStatus,
  now: bigint,
  { contracts, daySeconds }: Pick<GovernorRules, 'daySeconds'> & { readonly contracts: readonly NamedContract[] },
): ShownProposal {
  const { votes, dangerous, needed, snapshot, deadline, delaySeconds, eta, state } = status;
  // What can still be queued is queued now at the earliest.
  const queuedFrom = state === 'succeeded' && now > deadline ? now : deadline + 1n;
  const executeFrom = eta ?? queuedFrom + delaySeconds;
  const counted = dangerous ? votes.for : votes.for + votes.abstain;
  const isAhead = counted >= needed && votes.for > votes.against && (!dangerous || votes.for >= 2n * votes.against);
  return {
    ...proposal,
    ...status,
    title: titleOf(proposal.description),
    calls: proposal.calls.map((call) => showCall(call, contracts)),
    times: {
      voteFrom: snapshot + 1n,
      voteUntil: deadline,
      queueUntil: deadline + queueDays * daySeconds,
      executeFrom,
      staleFrom: executeFrom + executionDays * daySeconds,
    },
    counted,
    isAhead,
  };
}

/** A proposal's id as it is written everywhere: 0x and 64 hexadecimal digits. */
export function proposalIdText(id: bigint): Hex {
  return `0x${id.toString(16).padStart(64, '0')}`;
}

/** The first line of a description, without what marks headings. */
function titleOf(description: string): string {
  const [first = ''] = description.trim().split('\n');
  return first.replace(/^#+\s+/, '').slice(0, 200);
}
