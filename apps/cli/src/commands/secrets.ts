import { bundleApp } from '@cloister/build';
import { asBytes32, maxSecretsBundleBytes, parseSecretsBundle, zeroBytes32 } from '@cloister/core';
import type { Command } from 'commander';
import { resolveApp } from '../appName.ts';
import { OptionValueError } from '../optionValues.ts';
import { print } from '../output.ts';
import { readSecretValues, type SecretOptions } from '../secretValues.ts';
import { type NetworkOptions, openAccount, openClient } from '../settings.ts';

type Options = NetworkOptions & SecretOptions & { code?: string; json?: boolean };

export function secretsCommands(program: Command): void {
  const secrets = program.command('secrets').description("an app's secrets: sealed to its hosts, seen by nobody else");

  secrets
    .command('set')
    .description('replace all secrets of an app, at once; each that its manifest lists needs a value')
    .argument('<app>', 'app id, or name; yours')
    .option('--secret <NAME=value...>', 'a value; other users of this machine may see it in the list of processes')
    .option('--secrets-file <file>', 'JSON object with the values')
    .action(async (app: string, _: unknown, command: Command) => {
      const { options, values, client, account, id } = await openApp(app, command);
      const secretsId = await client.setSecrets(id, { account, values });
      const names = Object.keys(values).sort();
      print(options, { app: id, secretsId, names }, () =>
        [
          `Set ${names.join(', ')}: sealed to the hosts of ${app}, which take them up within seconds`,
          '  Values that were ever open in a broken TEE stay known: change them at their source too.',
        ].join('\n'),
      );
    });

  secrets
    .command('rotate')
    .description('give an app new keys and seal all its secrets to them: after a compromise, or now and then')
    .argument('<app>', 'app id, or name; yours')
    .option('--secret <NAME=value...>', 'a value; other users of this machine may see it in the list of processes')
    .option('--secrets-file <file>', 'JSON object with the values, changed at their source first')
    .option(
      '--code <file>',
      'where its code is sealed: the source or module, to be sealed to the new keys and published',
    )
    .action(async (app: string, _: unknown, command: Command) => {
      const { options, values, client, account, id } = await openApp(app, command);
      const code = options.code === undefined ? undefined : (await bundleApp(options.code)).code;
      const { keyVersion, secretsId, sealed } = await client.rotateKeys(id, { account, values, ...(code && { code }) });
      const names = Object.keys(values).sort();
      const kept = { secretsId: secretsId ?? null, manifestId: sealed?.manifestId, codeSalt: sealed?.codeSalt };
      print(options, { app: id, keyVersion, ...kept, names }, () =>
        [
          `Key version ${keyVersion}: ${[...names, ...(sealed ? ['the code'] : [])].join(', ')} sealed to it; nobody gets older keys any more`,
          ...(sealed ? [`  salt      ${sealed.codeSalt}: of the code, instead of the one before`] : []),
          '  Values that were ever open in a broken TEE stay known: these must be other ones.',
        ].join('\n'),
      );
    });

  secrets
    .command('list')
    .description('the names of the secrets that an app has, and who set them when')
    .argument('<app>', 'app id, or name if it is yours')
    .action(async (app: string, _: unknown, command: Command) => {
      const options = command.optsWithGlobals<Options>();
      const client = await openClient(options);
      const id = await resolveApp(app, options);
      const { bundleId, setBy, setAt } = await client.registry.secretsOf(id);
      const names =
        bundleId === zeroBytes32
          ? []
          : parseSecretsBundle(await client.gateways.getBlob(bundleId, maxSecretsBundleBytes)).secrets.map(
              ({ name }) => name,
            );
      print(options, { app: id, secretsId: bundleId, setBy, setAt, names }, () =>
        names.length === 0
          ? 'No secrets are set.'
          : `${names.join('\n')}\n  set by ${setBy} at ${new Date(Number(setAt) * 1000).toISOString()}`,
      );
    });

  program
    .command('evict')
    .description(
      'end the registration of a worker whose image, network file, machine or TCB is no longer accepted; anyone may',
    )
    .argument('<worker>', 'worker id')
    .action(async (worker: string, _: unknown, command: Command) => {
      const options = command.optsWithGlobals<Options>();
      const [client, account] = await Promise.all([openClient(options), openAccount(options)]);
      const workerId = asBytes32(worker, 'worker');
      await client.evict(workerId, { account });
      print(options, { workerId, evicted: true }, () => `Evicted ${workerId}: its signer is dead for ever`);
    });

  program
    .command('hosts')
    .description('the workers that an app with secrets is placed on now: nobody else gets its keys')
    .argument('<app>', 'app id, or name if it is yours')
    .action(async (app: string, _: unknown, command: Command) => {
      const options = command.optsWithGlobals<Options>();
      const client = await openClient(options);
      const { term, seed, hosts } = await client.placement(await resolveApp(app, options));
      print(options, { hosts, term, seed }, () =>
        [
          ...hosts,
          `  drawn by round ${term.seedRound}; the term began at ${new Date(Number(term.startsAt) * 1000).toISOString()}`,
        ].join('\n'),
      );
    });
}

/** What a command that gives an app all its values works with. Throws OPTION_VALUE_INVALID where it gives none. */
async function openApp(app: string, command: Command) {
  const options = command.optsWithGlobals<Options>();
  const values = (await readSecretValues(options)) ?? (options.code === undefined ? undefined : {});
  if (values === undefined) throw new OptionValueError('--secrets-file', '', 'given, or --secret');
  const [client, account] = await Promise.all([openClient(options), openAccount(options)]);
  return { options, values, client, account, id: await resolveApp(app, options) };
}
