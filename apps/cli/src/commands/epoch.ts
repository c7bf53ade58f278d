import { CloisterError, epochRecordToJson } from '@cloister/core';
import type { FalseField } from '@cloister/sdk';
import type { Command } from 'commander';
import { phaText } from '../optionValues.ts';
import { print, toJson } from '../output.ts';
import { type NetworkOptions, openClient } from '../settings.ts';

export function epochCommands(program: Command): void {
  const epoch = program
    .command('epoch')
    .description('what the committee recorded of each epoch, and whether it follows');

  epoch
    .command('list')
    .description('every record that the chain has')
    .action(async (_: unknown, command: Command) => {
      const options = command.optsWithGlobals<NetworkOptions & { json?: boolean }>();
      const client = await openClient(options);
      const posted = await client.epochs.list();
      print(
        options,
        posted.map(({ record, digest, postedAt }) => ({
          ...(epochRecordToJson(record) as object),
          digest,
          postedAt,
        })),
        () =>
          posted.length === 0
            ? 'No epoch has been recorded yet'
            : posted
                .map(
                  ({ record: { epoch, attempt, totals }, digest }) =>
                    `Epoch ${epoch}  ${totals.workers} workers, measured by ${totals.members} members${totals.rewards === 0n ? '' : `, ${phaText(totals.rewards)} for pools`}, attempt ${attempt}  ${digest}`,
                )
                .join('\n'),
      );
    });

  epoch
    .command('recompute')
    .description("computes an epoch's record from the chain and from what members published, and compares")
    .argument('<epoch>', 'number of the epoch')
    .action(async (text: string, _: unknown, command: Command) => {
      const options = command.optsWithGlobals<NetworkOptions & { json?: boolean }>();
      if (!/^(0|[1-9][0-9]{0,17})$/.test(text)) throw new EpochNumberError(text);
      const client = await openClient(options);
      const { record, computed, differences } = await client.epochs.recompute(BigInt(text));
      const ok = differences.length === 0;
      print(
        options,
        {
          epoch: record.epoch,
          ok,
          record: epochRecordToJson(record),
          computed: epochRecordToJson(computed),
          differences,
        },
        () =>
          ok
            ? `Epoch ${record.epoch}: the record follows from the chain and from what ${record.totals.members} members measured`
            : [`Epoch ${record.epoch}: the record is false`, ...differences.map(differenceLine)].join('\n'),
      );
      if (!ok) process.exitCode = 1;
    });
}

function differenceLine({ field, posted, computed, leaf }: FalseField): string {
  const line = `  ${field}: posted ${posted}, should be ${computed}`;
  if (leaf === undefined) return line;
  const said = (says: FalseField['posted'] | object | null) => (says === null ? 'nothing' : toJson(says));
  return `${line}\n    leaf ${leaf.index}: posted ${said(leaf.posted)}, should be ${said(leaf.computed)}`;
}

export class EpochNumberError extends CloisterError<'EPOCH_INVALID'> {
  override readonly name = 'EpochNumberError';
  constructor(text: string) {
    super({ code: 'EPOCH_INVALID', message: `Expected the number of an epoch, got "${text.slice(0, 40)}"` });
  }
}
