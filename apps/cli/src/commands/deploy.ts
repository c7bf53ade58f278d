import { readFile } from 'node:fs/promises';
import { bundleFunction } from '@cloister/build';
import { CloisterError } from '@cloister/core';
import type { Command } from 'commander';
import { note, print } from '../output.ts';
import { openAccount, openClient } from '../settings.ts';

type Options = {
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
      const extra =
        options.manifest === undefined
          ? {}
          : (JSON.parse(await readFile(options.manifest, 'utf8')) as Record<string, never>);
      const deployed = await client.deploy({
        account,
        code: bundle.code,
        name: options.name ?? bundle.name,
        manifest: {
          ...extra,
          ...(options.env === undefined ? {} : { env: pairs(options.env) }),
          ...(options.outbound === undefined ? {} : { outbound: options.outbound }),
          ...(options.notice === undefined
            ? {}
            : { upgrade: { noticeSeconds: number('--notice', options.notice), vetoer: null } }),
          ...(options.replicas === undefined
            ? {}
            : {
                placement: {
                  replicas: number('--replicas', options.replicas),
                  teeTypes: ['tdx'],
                  minTcbEvaluationDataNumber: 0,
                  distinct: [],
                },
              }),
          limits: {
            ...(options.memoryMb === undefined
              ? {}
              : { memoryBytes: number('--memory-mb', options.memoryMb) * 1024 * 1024 }),
            ...(options.wallMs === undefined ? {} : { wallMs: number('--wall-ms', options.wallMs) }),
          },
        },
      });
      const { app, owner, manifestId, version, effectiveAt, published } = deployed;
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
        },
        () =>
          [
            `${published ? 'Deployed' : 'Already deployed'}: ${deployed.manifest.name}, version ${version}`,
            `  app       ${app}`,
            `  manifest  ${manifestId}`,
            `  code      ${bundle.code.length} bytes from ${bundle.inputs.join(', ')}`,
          ].join('\n'),
      );
      if (!options.json) note(`\nCall it: cloister call ${deployed.manifest.name} /`);
    });
}

function pairs(items: readonly string[]): Record<string, string> {
  return Object.fromEntries(
    items.map((item) => {
      const at = item.indexOf('=');
      if (at < 1) throw new OptionValueError('--env', item, 'NAME=value');
      return [item.slice(0, at), item.slice(at + 1)];
    }),
  );
}

function number(option: string, text: string): number {
  if (/^[0-9]{1,12}$/.test(text)) return Number(text);
  throw new OptionValueError(option, text, 'a whole number');
}

export class OptionValueError extends CloisterError<'OPTION_VALUE_INVALID'> {
  override readonly name = 'OptionValueError';
  constructor(option: string, value: string, expected: string) {
    super({
      code: 'OPTION_VALUE_INVALID',
      message: `Expected ${option} to be ${expected}, got "${value.slice(0, 80)}"`,
    });
  }
}
