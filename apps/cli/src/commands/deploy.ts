import { readFile } from 'node:fs/promises';
import { bundleFunction } from '@cloister/build';
import { asBytes32 } from '@cloister/core';
import type { Command } from 'commander';
import { namedValues, OptionValueError, wholeNumber } from '../optionValues.ts';
import { note, print } from '../output.ts';
import { readSecretValues, type SecretOptions } from '../secretValues.ts';
import { openAccount, openClient } from '../settings.ts';

type Options = SecretOptions & {
  sealCode?: boolean;
  pinImage?: string[];
  name?: string;
  env?: string[];
  outbound?: string[];
  replicas?: string;
  memoryMb?: string;
  wallMs?: string;
  notice?: string;
  manifest?: string;
  network?: string;
  key?: string;
  json?: boolean;
};

export function deployCommand(program: Command): void {
  program
    .command('deploy')
    .description('bundle a function (.ts or .js) and deploy it; deploying the same name again publishes a new version')
    .argument('<file>', 'the file with: export default { async fetch(request, env, ctx) { … } }')
    .option('--name <name>', 'the app name (default: from the file name)')
    .option('--env <NAME=value...>', 'public constants that the code sees in env')
    .option('--secret <NAME=value...>', 'values that only its hosts see in env; shown in the list of processes')
    .option('--secrets-file <file>', 'JSON object with such values')
    .option(
      '--seal-code',
      'code that only its hosts can read; prints the salt by which you can check a source against it',
    )
    .option(
      '--pin-image <id...>',
      'worker images that may get its keys (default, with secrets or sealed code: those of the workers verified now)',
    )
    .option('--outbound <host...>', 'hosts that the code may reach')
    .option('--replicas <n>', 'how many workers hold it')
    .option('--memory-mb <n>', 'memory limit')
    .option('--wall-ms <n>', 'time limit of one call')
    .option('--notice <seconds>', 'notice before later versions serve')
    .option('--manifest <file>', 'JSON with any manifest fields')
    .action(async (file: string, _: unknown, command: Command) => {
      const options = command.optsWithGlobals<Options>();
      const [client, account, bundle] = await Promise.all([
        openClient(options),
        openAccount(options),
        bundleFunction(file),
      ]);
      const secrets = await readSecretValues(options);
      const pinImages = options.pinImage?.map((id) => asBytes32(id, '--pin-image'));
      const extra = options.manifest === undefined ? {} : await readFields(options.manifest);
      const deployed = await client.deploy({
        account,
        code: bundle.code,
        name: options.name ?? bundle.name,
        ...(secrets && { secrets }),
        ...(options.sealCode && { sealCode: true }),
        ...(pinImages && { pinImages }),
        manifest: {
          ...extra,
          ...(options.env === undefined ? {} : { env: namedValues('--env', options.env) }),
          ...(options.outbound === undefined ? {} : { outbound: options.outbound }),
          ...(options.notice === undefined
            ? {}
            : { upgrade: { noticeSeconds: wholeNumber('--notice', options.notice), vetoer: null } }),
          ...(options.replicas === undefined
            ? {}
            : {
                placement: {
                  replicas: wholeNumber('--replicas', options.replicas),
                  teeTypes: ['tdx'],
                  minTcbEvaluationDataNumber: 0,
                  distinct: [],
                },
              }),
          limits: {
            ...(options.memoryMb === undefined
              ? {}
              : { memoryBytes: wholeNumber('--memory-mb', options.memoryMb) * 1024 * 1024 }),
            ...(options.wallMs === undefined ? {} : { wallMs: wholeNumber('--wall-ms', options.wallMs) }),
          },
        },
      });
      const { app, owner, manifestId, version, effectiveAt, published, codeSalt, secretsId, pinned } = deployed;
      print(
        options,
        {
          app,
          name: deployed.manifest.name,
          owner,
          manifestId,
          version,
          effectiveAt,
          published,
          inputs: bundle.inputs,
          codeSalt: codeSalt ?? null,
          secrets: deployed.manifest.secrets,
          secretsId: secretsId ?? null,
          pinned,
        },
        () =>
          [
            `${published ? 'Deployed' : 'Already deployed'}: ${deployed.manifest.name}, version ${version}`,
            `  app       ${app}`,
            `  manifest  ${manifestId}`,
            `  code      ${bundle.code.length} bytes from ${bundle.inputs.join(', ')}${codeSalt === undefined ? '' : ', sealed to its hosts'}`,
            ...(codeSalt === undefined
              ? []
              : [`  salt      ${codeSalt}: keep it; with it a source can be checked (cloister verify --source)`]),
            ...(deployed.manifest.secrets.length === 0
              ? []
              : [
                  `  secrets   ${deployed.manifest.secrets.join(', ')}: for its hosts alone (cloister hosts ${deployed.manifest.name})`,
                ]),
            ...pinned.map((image) => `  image     ${image} may get its keys`),
          ].join('\n'),
      );
      if (!options.json) note(`\nCall it: cloister call ${deployed.manifest.name} /`);
    });
}

/** The manifest fields in a file. Throws OPTION_VALUE_INVALID for what is no JSON object. */
async function readFields(file: string): Promise<Record<string, never>> {
  try {
    const fields: unknown = JSON.parse(await readFile(file, 'utf8'));
    if (typeof fields === 'object' && fields !== null && !Array.isArray(fields)) return fields as Record<string, never>;
  } catch {
    // told below
  }
  throw new OptionValueError('--manifest', file, 'a file with a JSON object');
}
