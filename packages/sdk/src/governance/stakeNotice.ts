import type { GovernorRules, ProposalState } from '@cloister/chain';
import type { ShownProposal } from './shownProposal.ts';

/** States in which a proposal can still come to its effect. */
const openStates: ReadonlySet<ProposalState> = new Set(['pending', 'active', 'succeeded', 'queued']);

/** Contracts that decide what stake earns, keeps and loses. */
const ofStake: ReadonlySet<string | null> = new Set([
  'stakePools',
  'workerBonds',
  'workMeter',
  'slashing',
  'depositBond',
  'emission',
  'epochRewards',
]);

/** Whether a proposal can still come to its effect. */
export function isOpen({ state }: Pick<ShownProposal, 'state'>): boolean {
  return openStates.has(state);
}

/** Open proposals that stakers should know of: about the contracts of stake, or as heavy as what may change any of them. */
export function proposalsOfStake(
  proposals: readonly ShownProposal[],
  { heaviestDelaySeconds }: Pick<GovernorRules, 'heaviestDelaySeconds'>,
): readonly ShownProposal[] {
  return proposals.filter(
    (proposal) =>
      isOpen(proposal) &&
      (proposal.delaySeconds >= heaviestDelaySeconds || proposal.calls.some(({ contract }) => ofStake.has(contract))),
  );
}
