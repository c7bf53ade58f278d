import type { GovernorReader, StakingReader } from '@cloister/chain';
import type { Address } from '@cloister/core';
import { type OpenBallot, votesLeft, type WeighedStake } from './ballots.ts';

/** What a voter has for a proposal. Votes in PHA's smallest unit. */
export type VoterStanding = OpenBallot & { readonly voter: Address; readonly total: bigint };

export type StandingComponents = {
  readonly governor: GovernorReader;
  readonly staking: Pick<StakingReader, 'poolsOf'>;
};

/** Accounts whose delegation is looked at, the last ones: anybody may let anybody vote, and so make somebody's vote slow. */
const maxDelegators = 256;

/** What an account can cast for a proposal, or, without one, could for one whose snapshot were now. Throws ChainError. */
export async function readStanding(
  components: StandingComponents,
  voter: Address,
  id?: bigint,
  signal?: AbortSignal,
): Promise<VoterStanding> {
  const { governor } = components;
  const head = await governor.view.head(signal);
  const snapshot = id === undefined ? head.timestamp : (await governor.status(id, head, signal)).snapshot;
  // The contracts answer for moments that are over.
  const timepoint = snapshot < head.timestamp ? snapshot : head.timestamp - 1n;
  const [own, ballot, stakes] = await Promise.all([
    governor.pastVotes(voter, timepoint, signal),
    id === undefined ? { opened: false, left: 0n } : governor.ballotOf(id, voter, signal),
    stakesOf(components, voter, timepoint, id, signal),
  ]);
  const open = { own, ...ballot, stakes };
  return { ...open, voter, total: votesLeft(open) };
}

/** Stakes that a voter may cast for a proposal and nobody has: its own, and those of accounts that let it vote. */
async function stakesOf(
  { governor, staking }: StandingComponents,
  voter: Address,
  timepoint: bigint,
  id: bigint | undefined,
  signal: AbortSignal | undefined,
): Promise<readonly WeighedStake[]> {
  const accounts = [...new Set([voter, ...(await governor.delegatorsTo(voter, signal)).slice(-maxDelegators)])];
  const found: WeighedStake[] = [];
  for (const account of accounts) {
    if ((await governor.voterOf(account, timepoint, signal)) !== voter) continue;
    const stakes = (await staking.poolsOf(account, signal)).map((pool) => ({ account, pool }));
    const weighed = await Promise.all(
      stakes.map(async (stake) => {
        const [worth, isCounted] = await Promise.all([
          governor.pastStake(stake, timepoint, signal),
          id === undefined ? false : governor.isStakeCounted(id, stake, signal),
        ]);
        return worth === 0n || isCounted ? [] : [{ ...stake, worth }];
      }),
    );
    found.push(...weighed.flat());
  }
  return found;
}
