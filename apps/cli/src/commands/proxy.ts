import { sleep } from '@cloister/core';
import type { Command } from 'commander';
import { resolveApp } from '../appName.ts';
import { OptionValueError, phaAmount, phaText, wholeNumber } from '../optionValues.ts';
import { note } from '../output.ts';
import { openPayer } from '../payerFile.ts';
import { isLoopback, ProxyError } from '../proxy/proxyErrors.ts';
import { defaultProxyInit, ProxyServer } from '../proxy/proxyServer.ts';
import { type NetworkOptions, openClient } from '../settings.ts';

type Options = NetworkOptions & {
  host: string;
  port: string;
  app?: string;
  maxFee?: string;
  idempotent?: boolean;
  timeoutMs?: string;
  unsafeListenBeyondThisMachine?: boolean;
  json?: boolean;
};

const secondSignalMs = 500;

export function proxyCommand(program: Command): void {
  program
    .command('proxy')
    .description(
      'plain HTTP on this machine for clients that seal nothing: each request is sealed, called and verified',
    )
    .option('--port <n>', 'port (default: a free one)', '0')
    .option('--host <address>', 'address to listen on', '127.0.0.1')
    .option('--app <app>', 'the only app: whole paths go to it (default: the first part of a path is id or name)')
    .option('--max-fee <pha>', "what each call may cost at the most, paid from this account's deposits")
    .option('--idempotent', 'running twice does no harm: another worker may be asked after a loss')
    .option('--timeout-ms <n>', 'give a call up after so long')
    .option('--unsafe-listen-beyond-this-machine', 'take requests, and pay for them, from whoever reaches --host')
    .addHelpText(
      'after',
      [
        '',
        'curl -d question http://127.0.0.1:PORT/APP/path',
        'Answers carry x-cloister-receipt: ok, the worker and the id of their proof, which /.cloister/proofs/ID serves.',
        'Event streams, and what is asked for with "x-cloister-stream: 1", come as they are made, with that in the trailers.',
        'Without --max-fee an app with a price answers 402, for clients of x402 that pay by "exact".',
      ].join('\n'),
    )
    .action(async (_: unknown, command: Command) => {
      await runProxy(command.optsWithGlobals<Options>());
    });
}

async function runProxy(options: Options): Promise<void> {
  const { host, app, unsafeListenBeyondThisMachine: isOpen = false } = options;
  if (!/^[0-9]{1,5}$/.test(options.port) || Number(options.port) > 65_535)
    throw new OptionValueError('--port', options.port, 'a port');
  if (!isLoopback(host) && !isOpen)
    throw new ProxyError('PROXY_NOT_LOOPBACK', 500, `"${host.slice(0, 80)}" is reached from other machines`, {
      hint: 'What comes there is neither encrypted nor asked who it is; --unsafe-listen-beyond-this-machine does it all the same',
    });
  const maxFee = options.maxFee === undefined ? 0n : phaAmount('--max-fee', options.maxFee);
  const timeout = options.timeoutMs === undefined ? {} : { timeoutMs: wholeNumber('--timeout-ms', options.timeoutMs) };
  // From the first moment and for good: a second Ctrl-C does not cut the end short.
  const asked = new Promise<void>((resolve) => {
    for (const name of ['SIGINT', 'SIGTERM'] as const) process.on(name, () => resolve());
  });
  const paying = maxFee > 0n ? await openPayer(options) : undefined;
  try {
    const client = await openClient(options, paying?.payer);
    const call = { ...timeout, ...(options.idempotent ? { idempotent: true } : {}), maxFee };
    const proxy = new ProxyServer(
      {
        exchangeFor: (id) => client.exchangeFor(id, call),
        resolveApp: (text) => resolveApp(text, options),
        proofOf: (receipt) => client.proofOfExchange(receipt),
        note: (line) => {
          if (!options.json) note(line);
        },
      },
      { ...defaultProxyInit, host, port: Number(options.port), app },
    );
    const url = await proxy.start();
    const pays = maxFee > 0n ? `up to ${phaText(maxFee)} a call` : 'nothing: apps with a price answer 402';
    if (options.json) process.stdout.write(`${JSON.stringify({ ready: true, url })}\n`);
    else note(`${app ?? 'Apps'} at ${url}${app === undefined ? '/APP/PATH' : ''}, paying ${pays}; Ctrl-C ends it`);
    await asked;
    // Ctrl-C comes twice, from the terminal and from what forwards it: a process that is half gone would die of the second.
    await Promise.all([proxy.stop(), sleep(secondSignalMs)]);
  } finally {
    paying?.release();
  }
}
