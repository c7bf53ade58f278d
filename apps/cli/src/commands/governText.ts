import {
  type Effect,
  type Governance,
  isOpen,
  type ProposalState,
  plainText,
  proposalIdText,
  type ShownProposal,
} from '@cloister/sdk';
import { momentText, percentText, phaText } from '../optionValues.ts';

const stateWords: Readonly<Record<ProposalState, string>> = {
  pending: 'not open to votes yet',
  active: 'open to votes',
  canceled: 'cancelled',
  defeated: 'defeated',
  succeeded: 'accepted, to be queued',
  queued: 'accepted and queued',
  expired: 'accepted and not queued in time',
  executed: 'executed',
};

/** One line or two of a list. `now`: unix seconds by the chain. */
export function proposalLine(proposal: ShownProposal, now: bigint): string {
  const { id, title, state } = proposal;
  return `${proposalIdText(id).slice(0, 12)}…  ${stateWords[state]}  ${plainText(title).replaceAll('\n', ' ')}\n  ${votesText(proposal)}; ${nextText(proposal, now)}`;
}

/** Everything about a proposal but its preview. */
export function proposalText(
  proposal: ShownProposal,
  rules: readonly { readonly dangerous: boolean; readonly delaySeconds: bigint }[],
  now: bigint,
): string {
  const { id, proposer, state, calls, times, votes, delaySeconds, description } = proposal;
  return [
    `Proposal ${proposalIdText(id)}: ${stateWords[state]}`,
    `  proposed by ${proposer}`,
    ...calls.map(({ text }, index) => {
      const rule = rules[index];
      const weight =
        rule === undefined ? '' : `  [${rule.dangerous ? 'super quorum' : 'quorum'}, waits ${rule.delaySeconds} s]`;
      return `  call ${index + 1}  ${text}${weight}`;
    }),
    `  for ${phaText(votes.for)}, against ${phaText(votes.against)}, abstain ${phaText(votes.abstain)}`,
    `  ${votesText(proposal)}`,
    `  votes ${momentText(times.voteFrom, now)} to ${momentText(times.voteUntil, now)}`,
    ...(isOpen(proposal)
      ? [
          `  queue until ${momentText(times.queueUntil, now)}; then it waits ${delaySeconds} s`,
          `  executed at the earliest ${momentText(times.executeFrom, now)}; anyone may cancel it from ${momentText(times.staleFrom, now)}`,
          `  next: ${nextText(proposal, now)}`,
        ]
      : []),
    '',
    ...plainText(description)
      .split('\n')
      .map((line) => `  | ${line}`),
  ].join('\n');
}

function votesText(proposal: ShownProposal): string {
  const { dangerous, needed, counted, votes, isAhead, state } = proposal;
  const isOver = state !== 'pending' && state !== 'active';
  const what = dangerous
    ? 'votes for it, and twice those against'
    : 'votes for or abstaining, and more for than against';
  const thirds = dangerous && votes.for < 2n * votes.against ? ', too many are against' : '';
  return `${phaText(counted)} of ${phaText(needed)} ${what}: ${isAhead ? 'enough' : 'not enough'}${isOver ? '' : isAhead ? ' now' : ' yet'}${thirds}`;
}

function nextText({ id, state, times, eta }: ShownProposal, now: bigint): string {
  const short = proposalIdText(id).slice(0, 12);
  switch (state) {
    case 'pending':
      return `votes from ${momentText(times.voteFrom, now)}`;
    case 'active':
      return `"cloister govern vote ${short} for|against|abstain" until ${momentText(times.voteUntil, now)}`;
    case 'succeeded':
      return `"cloister govern queue ${short}" until ${momentText(times.queueUntil, now)}`;
    case 'queued':
      return eta !== null && eta > now
        ? `it can be executed from ${momentText(eta, now)}`
        : `"cloister govern execute ${short}"`;
    default:
      return 'nothing is left to do';
  }
}

/** What a proposal would change. */
export function effectText(effect: Effect & { readonly timestamp: bigint }, now: bigint): string {
  const lines = effect.calls.flatMap(({ call, refusal, withoutCode, events }, index) => [
    `  ${refusal === null ? '✓' : '✗'} call ${index + 1}  ${call.text}`,
    ...(refusal === null ? [] : [`      refused: ${refusal.errorName}(${refusal.args.map(plainText).join(', ')})`]),
    ...(withoutCode ? ['      WARNING: no contract stands at that address'] : []),
    ...events.map(({ of, text }) => `      ${of} emits ${text}`),
  ]);
  const changes = effect.changes.map(({ of, what, text }) => `  ${of} ${what}: ${text.before} → ${text.after}`);
  return [
    `Made on a fork, as of ${momentText(effect.timestamp, now)}:`,
    ...lines,
    ...(effect.ok
      ? ['Differences behind it:', ...(changes.length === 0 ? ['  none that a getter shows'] : changes)]
      : []),
    ...(effect.ok ? [] : ['A proposal whose call is refused does nothing at all.']),
  ].join('\n');
}

/** What voting goes by. */
export function rulesText(rules: Awaited<ReturnType<Governance['rules']>>): string {
  const { holders, governor } = rules;
  const anybody = holders.EXECUTOR_ROLE.some((account) => BigInt(account) === 0n);
  const others = holders.PROPOSER_ROLE.filter((account) => account !== governor);
  return [
    `Governor ${governor}, timelock ${rules.timelock}`,
    `  a proposal takes ${phaText(rules.proposalThreshold)}; votes begin after ${rules.votingDelaySeconds} s and take ${rules.votingPeriodSeconds} s, ${rules.voteExtensionSeconds} s at the least once the quorum is reached`,
    `  quorum ${percentText(rules.quorumBps)} of all PHA, super quorum ${percentText(rules.superQuorumBps)}; a day of governance has ${rules.daySeconds} s`,
    `  ordinary acts wait ${2n * rules.daySeconds} s, dangerous ones ${7n * rules.daySeconds} s, the heaviest ${rules.heaviestDelaySeconds} s`,
    `  beside the Governor propose: ${others.length === 0 ? 'nobody' : `${others.join(', ')} (without a vote)`}; execute: ${anybody ? 'anybody' : holders.EXECUTOR_ROLE.join(', ')}`,
    ...(rules.treasuryDelegate === null ? [] : [`  WARNING: the treasury's PHA votes by ${rules.treasuryDelegate}`]),
  ].join('\n');
}
