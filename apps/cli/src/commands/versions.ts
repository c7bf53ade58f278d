import type { Announcements, ListedVersion, Republished } from '@cloister/sdk';
import type { Command } from 'commander';
import { resolveApp } from '../appName.ts';
import { wholeNumber } from '../optionValues.ts';
import { note, print } from '../output.ts';
import { type NetworkOptions, openAccount, openClient } from '../settings.ts';

type Options = NetworkOptions & { readonly json?: boolean; readonly limit: string };

export function versionCommands(program: Command): void {
  program
    .command('versions')
    .description('the versions of an app, newest first: which serves, what each manifest names')
    .argument('<app>', 'app id, or name if it is yours')
    .option('--limit <n>', 'how many, at most 256', '20')
    .action(async (app: string, _: unknown, command: Command) => {
      const options = command.optsWithGlobals<Options>();
      const limit = wholeNumber('--limit', options.limit);
      const client = await openClient(options);
      const id = await resolveApp(app, options);
      const { owner, count, versions, timelock } = await client.versions.list(id, limit);
      const announced = timelock && { ...timelock, announced: timelock.announced.map(describeAnnounced) };
      print(options, { app: id, owner, count, versions: versions.map(describe), timelock: announced }, () =>
        [
          ...(timelock?.announced.map(announcedLine) ?? []),
          ...versions.map(versionLine),
          ...(count > versions.length ? [`and ${count - versions.length} older: --limit`] : []),
        ].join('\n'),
      );
    });

  program
    .command('rollback')
    .description(
      'publish an earlier version of your app again, as its next version, or take back the one that is pending; secrets, keys and state stay',
    )
    .argument('<app>', 'app id, or name; yours')
    .argument('[version]', 'as "cloister versions" numbers them (default: the last one that served and was another)')
    .action(async (app: string, version: string | undefined, _: unknown, command: Command) => {
      const options = command.optsWithGlobals<Options>();
      const wanted = version === undefined ? {} : { version: wholeNumber('version', version) };
      const [client, account] = await Promise.all([openClient(options), openAccount(options)]);
      const done = await client.versions.rollback(await resolveApp(app, options), { account, ...wanted });
      print(options, done, () =>
        done.withdrawn === null
          ? publishedLine(done, `what version ${done.restored} was`)
          : `Took back version ${done.withdrawn}, which was pending: version ${done.version} goes on`,
      );
      if (!options.json && done.published)
        note('What it keeps is as it was left: state, secrets and allowed images are not turned back.');
    });

  program
    .command('scale')
    .description('publish your app as its next version with another number of replicas, which stands in its manifest')
    .argument('<app>', 'app id, or name; yours')
    .argument('<replicas>', 'how many workers are to hold it, 1 to 64')
    .action(async (app: string, replicas: string, _: unknown, command: Command) => {
      const options = command.optsWithGlobals<Options>();
      const wanted = wholeNumber('replicas', replicas);
      const [client, account] = await Promise.all([openClient(options), openAccount(options)]);
      const done = await client.versions.scale(await resolveApp(app, options), wanted, { account });
      print(options, done, () => publishedLine(done, `${done.replicas} replicas instead of ${done.before}`));
      if (options.json) return;
      note(
        done.placed
          ? '"cloister hosts" prints them; fewer where fewer workers stand in line. A new one takes part from the next term on.'
          : 'It has no keys: any worker that suits it runs it, and the number is recorded alone.',
      );
    });
}

function publishedLine({ published, version, effectiveAt }: Republished, what: string): string {
  if (!published) return `Nothing to publish: version ${version} serves just that`;
  const waits = Number(effectiveAt) * 1000 - Date.now();
  const from = waits > 5_000 ? `, from ${new Date(Number(effectiveAt) * 1000).toISOString()} on` : '';
  return `Version ${version} is ${what}${from}`;
}

function describe({ manifest, fields, ...version }: ListedVersion) {
  const { keyVersion, minKeyVersion, replicas } = fields;
  return {
    ...version,
    kind: manifest?.kind ?? null,
    code: manifest?.code ?? null,
    replicas,
    keyVersion,
    minKeyVersion,
  };
}

type Announced = Announcements['announced'][number];

function describeAnnounced({ manifest, does, app, ...call }: Announced) {
  const { of, name, args } = does ?? { of: null, name: null, args: null };
  return { ...call, app: app ?? null, of, name, args, code: manifest?.code ?? null };
}

/** What its owner has announced, and how long users still have. */
function announcedLine({ number, state, readyAt, expiresAt, does, data, manifest }: Announced): string {
  const left = Number(readyAt) * 1000 - Date.now();
  const until = new Date(Number(expiresAt) * 1000).toISOString();
  const when = { waiting: `in ${durationText(left)}`, ready: `until ${until}` }[state as string] ?? '';
  const what = does === undefined ? `a call that nobody knows: ${data.slice(0, 42)}…` : announcedWords(does, manifest);
  return [`#${number}`.padEnd(5), state.padEnd(10), when.padEnd(24), '', what].join(' ');
}

function announcedWords({ of, name, args }: NonNullable<Announced['does']>, manifest: Announced['manifest']): string {
  const code = manifest === null ? 'manifest unavailable' : `code ${manifest.code.sha256.slice(0, 14)}…`;
  if (of === 'registry' && name === 'publish') return `manifest ${String(args[1]).slice(0, 14)}…  ${code}`;
  return `${of === 'timelock' ? 'of its timelock: ' : ''}${name}(${args.map(String).join(', ').slice(0, 160)})`;
}

/** Of milliseconds, for people. */
function durationText(ms: number): string {
  const minutes = Math.max(0, Math.ceil(ms / 60_000));
  if (minutes < 120) return `${minutes} min`;
  return minutes < 2_880 ? `${Math.floor(minutes / 60)} h` : `${Math.floor(minutes / 1_440)} days`;
}

function versionLine({ version, state, effectiveAt, manifestId, manifest, fields }: ListedVersion): string {
  const since = effectiveAt === 0n ? '' : new Date(Number(effectiveAt) * 1000).toISOString();
  const code = manifest === null ? 'manifest unavailable' : `code ${manifest.code.sha256.slice(0, 14)}…`;
  return (
    `v${version}`.padEnd(6) +
    `${state.padEnd(10)} ${since.padEnd(24)}  manifest ${manifestId.slice(0, 14)}…  ${code}  ${fields.replicas} replicas`
  );
}
