import { asAddress, asBytes32 } from '@cloister/core';
import type { ListedWorker } from '@cloister/sdk';
import type { Command } from 'commander';
import { resolveApp } from '../appName.ts';
import { note, print, stepLines } from '../output.ts';
import { type NetworkOptions, openAccount, openClient } from '../settings.ts';

type Options = NetworkOptions & { json?: boolean; owner?: string; explain?: boolean };

export function listingCommands(program: Command): void {
  program
    .command('workers')
    .description('every worker that a gateway lists, its evidence verified here and now')
    .option('--explain', 'print every check')
    .action(async (_: unknown, command: Command) => {
      const options = command.optsWithGlobals<Options>();
      const client = await openClient(options);
      const workers = await client.workers();
      const rows = workers.map(describe);
      print(options, rows, () => {
        if (rows.length === 0) return 'No gateway lists a worker.';
        return rows.map((row) => (options.explain ? `${line(row)}\n${stepLines(row.steps)}` : line(row))).join('\n');
      });
    });

  program
    .command('retire')
    .description(
      'take your worker out of the network: no more calls go to it, and its process stops; started again, it registers again',
    )
    .argument('<worker-id>', 'as "cloister workers" lists it')
    .action(async (worker: string, _: unknown, command: Command) => {
      const options = command.optsWithGlobals<Options>();
      const workerId = asBytes32(worker, 'worker-id');
      const client = await openClient(options);
      await client.retireWorker(workerId, { account: await openAccount(options) });
      print(options, { workerId, state: 'retired' }, () =>
        [
          `Retired ${workerId}: clients and gatekeepers leave it out from the next block on.`,
          '  A process of it that still runs sees it within seconds, answers what it has begun and stops. Started again, it registers again.',
          '  Until its lease would have ended it can still be evicted for cause.',
        ].join('\n'),
      );
    });

  program
    .command('apps')
    .description('the apps of an account')
    .option('--owner <address>', 'default: your own')
    .action(async (_: unknown, command: Command) => {
      const options = command.optsWithGlobals<Options>();
      const client = await openClient(options);
      const owner = asAddress(options.owner ?? (await openAccount(options)).address, '--owner');
      const apps = await client.apps(owner);
      print(options, apps, () =>
        apps.length === 0
          ? `No apps of ${owner}.`
          : apps
              .map(
                ({ app, name, version, manifestId }) =>
                  `${(name ?? '(manifest unavailable)').padEnd(24)} v${version}  ${app}  manifest ${manifestId.slice(0, 14)}…`,
              )
              .join('\n'),
      );
    });

  program
    .command('logs')
    .description('what your app printed, from each worker that runs it; asked and answered sealed')
    .argument('<app>', 'app id, or name; yours')
    .action(async (app: string, _: unknown, command: Command) => {
      const options = command.optsWithGlobals<Options>();
      const client = await openClient(options);
      const logs = await client.logs(await resolveApp(app, options), await openAccount(options));
      print(options, logs, () => {
        const lines = logs.flatMap(({ workerId, lines: own }) =>
          own.map((line) => ({ ...line, worker: workerId.slice(0, 10) })),
        );
        lines.sort((left, right) => left.timeMs - right.timeMs);
        const missing = logs.flatMap(({ workerId, unavailable }) =>
          unavailable === undefined ? [] : [`${workerId.slice(0, 10)} gives none: ${unavailable}`],
        );
        if (missing.length > 0) note(missing.join('\n'));
        if (lines.length === 0) return 'Nothing was printed yet.';
        return lines
          .map(
            ({ timeMs, worker, level, message }) =>
              `${new Date(timeMs).toISOString()} ${worker} ${level.padEnd(5)} ${message}`,
          )
          .join('\n');
      });
    });
}

function describe(worker: ListedWorker) {
  const { announcement, gateway, verified, refusal } = worker;
  const common = { workerId: announcement.workerId, gateway };
  if (verified === undefined)
    return {
      ...common,
      ok: false as const,
      refusal: { code: refusal.code, message: refusal.message },
      steps: refusal.steps,
    };
  const { operator, receiptSigner, claims, leaseUntil, attestedBy, steps } = verified;
  const { tcbStatus, platformId, imageId, simulated } = claims;
  return {
    ...common,
    ok: true as const,
    operator,
    receiptSigner,
    leaseUntil,
    attestedBy,
    tcbStatus,
    platformId,
    imageId,
    simulated,
    steps,
  };
}

function line(row: ReturnType<typeof describe>): string {
  if (!row.ok) return `✗ ${row.workerId}  ${row.refusal.message}`;
  const checkedBy = row.attestedBy === null ? 'nobody' : `the ${row.attestedBy}`;
  const simulated = row.simulated ? '  SIMULATED' : '';
  return `✓ ${row.workerId}  TCB ${row.tcbStatus}, checked by ${checkedBy}  platform ${row.platformId}${simulated}`;
}
