import { CloisterError } from '@cloister/core';
import type { Command } from 'commander';
import { print } from '../output.ts';
import { type NetworkOptions, openClient } from '../settings.ts';

export function committeeCommands(program: Command): void {
  program
    .command('committee')
    .description("the gatekeepers that hold the network's keys as shares, and how each is")
    .action(async (_: unknown, command: Command) => {
      const options = command.optsWithGlobals<NetworkOptions & { json?: boolean }>();
      const client = await openClient(options);
      const status = await client.committee.status();
      const { generation, keys, isDiversityWaived } = status;
      const members = await client.committee.reports(status);
      print(
        options,
        {
          generation: generation.number,
          threshold: generation.threshold,
          keys: keys ?? null,
          diversityWaived: isDiversityWaived,
          members,
        },
        () => {
          const head =
            keys === undefined
              ? 'No keys yet: the committee has not been founded'
              : `Generation ${generation.number}: any ${generation.threshold} of ${members.length} gatekeepers use a key together, fewer have none`;
          const missing = members.filter(({ holdsShares }) => !holdsShares).length;
          const lines = members.map(
            ({ operator, endpoint, reachable, holdsShares, reason }) =>
              `  ${operator}  ${reachable ? (holdsShares ? 'holds shares' : 'without shares until the next handover') : `no answer: ${reason}`}  ${endpoint}`,
          );
          const warning =
            keys !== undefined && members.length - missing < generation.threshold
              ? ['Fewer than the threshold hold shares now: no key can be had, and hosts go on with what they have']
              : [];
          const waived = isDiversityWaived
            ? ['Limits per operator and vendor are waived here, for ever: one operator may hold every share']
            : [];
          return [head, ...lines, ...warning, ...waived].join('\n');
        },
      );
    });

  program
    .command('beacon')
    .description("the network's randomness of a round, verified here")
    .argument('[round]', 'number of the round (default: the newest)')
    .action(async (round: string | undefined, _: unknown, command: Command) => {
      const options = command.optsWithGlobals<NetworkOptions & { json?: boolean }>();
      if (round !== undefined && !/^(0|[1-9][0-9]{0,17})$/.test(round)) throw new RoundError(round);
      const client = await openClient(options);
      const found = await client.committee.beacon(round === undefined ? undefined : BigInt(round));
      print(
        options,
        { ...found, verified: true },
        () => `Round ${found.round}: ${found.randomness}\n  verified under the network's beacon key`,
      );
    });
}

export class RoundError extends CloisterError<'ROUND_INVALID'> {
  override readonly name = 'RoundError';
  constructor(round: string) {
    super({ code: 'ROUND_INVALID', message: `Expected the number of a round, got "${round.slice(0, 40)}"` });
  }
}
