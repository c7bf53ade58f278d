import type { AppState, PartitionState } from '@cloister/sdk';
import type { Command } from 'commander';
import { resolveApp } from '../appName.ts';
import { wholeNumber } from '../optionValues.ts';
import { note, print } from '../output.ts';
import { type NetworkOptions, openClient } from '../settings.ts';

type Options = NetworkOptions & { readonly json?: boolean; readonly partition?: string[]; readonly all?: boolean };

/** Asked where none is named: each is a question to every gatekeeper. */
const shownPartitions = 16;

export function stateCommand(program: Command): void {
  program
    .command('state')
    .description(
      'what can be known of an app’s state from outside: the signed head and the writer of each partition, what gateways store and who pays; never what is in it',
    )
    .argument('<app>', 'app id, or name if it is yours')
    .option('--partition <n...>', `these partitions (default: the first ${shownPartitions})`)
    .option('--all', 'every partition')
    .action(async (app: string, _: unknown, command: Command) => {
      const options = command.optsWithGlobals<Options>();
      const named = options.partition?.map((text) => wholeNumber('--partition', text));
      const client = await openClient(options);
      const id = await resolveApp(app, options);
      const count = (await client.app(id)).manifest.state?.partitions ?? 0;
      const first = Array.from({ length: Math.min(count, shownPartitions) }, (_, partition) => partition);
      const state = await client.state(id, named ?? (options.all || count <= shownPartitions ? undefined : first));
      print(options, state, () => stateLines(state).join('\n'));
      const left = state.partitionCount - state.partitions.length;
      if (!options.json && named === undefined && left > 0) note(`${left} more partitions: --all, or --partition N`);
    });
}

function stateLines(state: AppState): string[] {
  const { partitionCount, partitions, keyVersion, committee, storage, version } = state;
  const { threshold, members, generation } = committee;
  return [
    partitionCount === 0
      ? `Version ${version} keeps no state`
      : `Version ${version}: ${partitionCount} partitions, key version ${keyVersion}; ${threshold} of ${members} gatekeepers sign (generation ${generation})`,
    ...partitions.flatMap((one) => partitionLines(one, partitionCount)),
    `Storage in epoch ${storage.epoch}: ${storage.rentals.length === 0 ? 'nobody pays for it' : `${storage.rentals.length} rentals`}`,
    ...storage.gateways.map(({ url, use }) =>
      use === undefined
        ? `  ${url} does not say what it keeps`
        : `  ${url} has ${use.blobs} claimed blobs, ${use.bytesUsed} bytes, of these ${use.bytesCovered} paid`,
    ),
  ];
}

function partitionLines({ partition, head, acknowledged, writer, members }: PartitionState, count: number): string[] {
  const place = head === null ? 'nothing written' : `head ${head.version}, root ${head.root.slice(0, 14)}…`;
  const kept = head === null || acknowledged ? '' : ', not acknowledged yet';
  const who = writer === null ? 'no writer' : `writer ${writer.workerId ?? writer.signer}, fence ${writer.fence}`;
  return [
    `  ${partition}${partition < count ? '' : ', what its hosts note by themselves'}: ${place}${kept}; ${who}`,
    ...members.flatMap(({ endpoint, failed }) =>
      failed === undefined ? [] : [`     ${endpoint} gives no answer that holds: ${failed}`],
    ),
  ];
}
