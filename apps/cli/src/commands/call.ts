import { readFile, writeFile } from 'node:fs/promises';
import { asBytes32 } from '@cloister/core';
import { utf8 } from '@cloister/crypto';
import type { CallPayment } from '@cloister/sdk';
import type { Command } from 'commander';
import { resolveApp } from '../appName.ts';
import { OptionValueError, phaAmount, phaText, wholeNumber } from '../optionValues.ts';
import { note, stepLines, toJson } from '../output.ts';
import { openPayer } from '../payerFile.ts';
import { openAccount, openClient } from '../settings.ts';

type Options = {
  method?: string;
  header?: string[];
  data?: string;
  context?: string;
  manifest?: string;
  proof?: string;
  open?: boolean;
  idempotent?: boolean;
  timeoutMs?: string;
  maxFee?: string;
  exact?: boolean;
  explain?: boolean;
  network?: string;
  key?: string;
  json?: boolean;
};

export function callCommand(program: Command): void {
  program
    .command('call')
    .description('call an app: sealed to a worker whose evidence is verified first, the receipt verified after')
    .argument('<app>', 'app id, or name if it is yours')
    .argument('[path]', 'path and query', '/')
    .option('-X, --method <method>', 'HTTP method (default GET, POST with --data)')
    .option('-H, --header <name:value...>', 'request headers')
    .option('-d, --data <text|@file>', 'request body')
    .option('--context <bytes32>', 'context that the receipt repeats')
    .option('--manifest <id>', 'accept this manifest only')
    .option('--proof <file>', 'write what others need to verify the call')
    .option('--open', 'with --proof: let its holder see the answer')
    .option('--idempotent', 'running twice does no harm: another worker may be asked after a loss')
    .option('--max-fee <pha>', 'what the call may cost at the most (default: free calls only; "cloister quote" says)')
    .option(
      '--exact',
      'pay it by one transfer before it runs (x402 exact), without a deposit: no receipt guards the sum',
    )
    .option('--timeout-ms <n>', 'give up after so long')
    .option('--explain', 'print every check')
    .addHelpText('after', '\nExit code: 0 the app answered, 3 a proven failure or refusal, 1 anything else.')
    .action(async (app: string, path: string, _: unknown, command: Command) => {
      const options = command.optsWithGlobals<Options>();
      const maxFee = options.maxFee === undefined ? 0n : phaAmount('--max-fee', options.maxFee);
      const id = await resolveApp(app, options);
      const body = await bodyOf(options.data);
      const paying = maxFee > 0n && !options.exact ? await openPayer(options) : undefined;
      const client = await openClient(options, paying?.payer);
      const calling = client.call(
        id,
        {
          method: options.method ?? (body === undefined ? 'GET' : 'POST'),
          path,
          headers: headersOf(options.header ?? []),
          ...(body === undefined ? {} : { body }),
        },
        {
          ...(options.context === undefined ? {} : { context: asBytes32(options.context, '--context') }),
          ...(options.manifest === undefined ? {} : { manifest: asBytes32(options.manifest, '--manifest') }),
          ...(options.idempotent ? { idempotent: true } : {}),
          ...(options.timeoutMs === undefined ? {} : { timeoutMs: wholeNumber('--timeout-ms', options.timeoutMs) }),
          ...(options.exact ? { exact: await openAccount(options) } : {}),
          maxFee,
        },
      );
      const result = await calling.finally(() => paying?.release());
      if (options.proof !== undefined)
        await writeFile(
          options.proof,
          `${JSON.stringify(client.proof(result, { answer: options.open ?? false }), null, 2)}\n`,
        );
      if (options.json) {
        const { ok, outcome, status, headers, receipt, worker, gateway, payment, steps } = result;
        process.stdout.write(
          `${toJson({ ok, outcome, status, headers, body: Buffer.from(result.body).toString('base64'), workerId: worker.workerId, gateway, simulated: worker.claims.simulated, payment, receipt, steps })}\n`,
        );
      } else {
        process.stdout.write(result.body);
        if (process.stdout.isTTY && result.body.at(-1) !== 10) process.stdout.write('\n');
        if (options.explain) note(stepLines(result.steps));
        const { simulated } = result.worker.claims;
        note(
          `${result.ok ? '✓' : '✗'} ${result.outcome}: receipt ${result.receipt.receipt.sequence} of worker ${result.worker.workerId.slice(0, 10)} verified, ${result.steps.length} checks${paidText(result.payment)}${simulated ? ' (SIMULATED TEE: no protection)' : ''}`,
        );
      }
      process.exitCode = result.ok ? 0 : 3;
    });
}

function paidText(payment: CallPayment): string {
  if (payment.scheme === 'exact')
    return `, ${phaText(payment.amount)} paid before in transaction ${payment.transaction} (no receipt guards this sum)`;
  return payment.scheme === 'free' || payment.fee === 0n ? '' : `, ${phaText(payment.fee)}`;
}

async function bodyOf(data: string | undefined): Promise<Uint8Array | undefined> {
  if (data === undefined) return undefined;
  return data.startsWith('@') ? readFile(data.slice(1)) : utf8(data);
}

function headersOf(items: readonly string[]): [string, string][] {
  return items.map((item) => {
    const at = item.indexOf(':');
    if (at < 1) throw new OptionValueError('--header', item, 'name:value');
    return [item.slice(0, at).trim().toLowerCase(), item.slice(at + 1).trim()];
  });
}
