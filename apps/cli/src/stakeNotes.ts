import type { Address } from '@cloister/core';
import { describeError } from '@cloister/core';
import {
  type CloisterClient,
  isOpen,
  openGovernance,
  plainText,
  proposalIdText,
  proposalsOfStake,
} from '@cloister/sdk';
import { momentText } from './optionValues.ts';
import { note } from './output.ts';

/** Proposals that are looked at. */
const looked = 32;

/**
 * Tells a staker what is being decided about stake, and until when it can vote and leave. Never fails: it is beside what was asked for.
 */
export async function noteProposals(client: CloisterClient): Promise<void> {
  try {
    const governance = openGovernance(client);
    const proposals = (await governance.list(looked)).filter(isOpen);
    if (proposals.length === 0) return;
    const [rules, unbonding, { timestamp: now }] = await Promise.all([
      governance.reader.rules(),
      client.staking.reader.unbonding(),
      client.registry.view.head(),
    ]);
    for (const { id, title, state, times } of proposalsOfStake(proposals, rules)) {
      const short = proposalIdText(id).slice(0, 12);
      const voting =
        state === 'pending' || state === 'active' ? `votes until ${momentText(times.voteUntil, now)}, ` : '';
      note(
        `Proposal ${short} is about stake: ${plainText(title).replaceAll('\n', ' ')}\n  ${voting}takes effect ${momentText(times.executeFrom, now)} at the earliest; what you ask back now is paid from ${momentText(now + unbonding, now)}. See "cloister govern show ${short}"`,
      );
    }
  } catch (error) {
    note(`Whether proposals are open can't be said: ${describeError(error)}`);
  }
}

/** Tells a staker who casts its votes. Never fails. */
export async function noteVoter(client: CloisterClient, account: Address): Promise<void> {
  try {
    const voter = await openGovernance(client).reader.voterOf(account);
    note(
      voter === account
        ? 'Your stake votes by you: "cloister govern vote"; "cloister govern delegate ACCOUNT --stake" lets another'
        : `Your stake votes by ${voter}; "cloister govern delegate --stake" takes that back`,
    );
  } catch (error) {
    note(`Who votes with your stake can't be said: ${describeError(error)}`);
  }
}
