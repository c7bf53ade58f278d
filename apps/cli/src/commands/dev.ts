import { watch } from 'node:fs';
import { createServer, type IncomingMessage } from 'node:http';
import os from 'node:os';
import path from 'node:path';
import { bundleFunction } from '@cloister/build';
import { describeError, functionManifest, type Manifest, manifestId } from '@cloister/core';
import { sha256, toHex } from '@cloister/crypto';
import { FunctionDriver, type Tenant } from '@cloister/sandbox';
import type { Command } from 'commander';
import { namedValues, OptionValueError } from '../optionValues.ts';
import { note } from '../output.ts';

type Options = { port?: string; env?: string[]; outbound?: string[]; json?: boolean };

const maxBodyBytes = 8 * 1024 * 1024;

export function devCommand(program: Command): void {
  program
    .command('dev')
    .description('run a function on this machine in the very sandbox that workers use, and again when its files change')
    .argument('<file>', 'the file with the handler')
    .option('--port <n>', 'port on loopback (default: a free one)', '0')
    .option('--env <NAME=value...>', 'constants that the code sees in env')
    .option('--outbound <host...>', 'hosts that the code may reach')
    .action(async (file: string, _: unknown, command: Command) => {
      await runDev(file, command.optsWithGlobals<Options>());
    });
}

async function runDev(file: string, options: Options): Promise<void> {
  if (!/^[0-9]{1,5}$/.test(options.port ?? '0')) throw new OptionValueError('--port', options.port ?? '', 'a port');
  const env = namedValues('--env', options.env ?? []);
  const outbound = options.outbound ?? [];
  // From the first moment and for good: Ctrl-C reaches us beside what forwards it, and no second one cuts the clean-up short.
  const asked = new Promise<void>((resolve) => {
    for (const name of ['SIGINT', 'SIGTERM'] as const) process.on(name, () => resolve());
  });
  const stopping = new AbortController();
  const { signal } = stopping;
  const runDir = path.join(os.tmpdir(), `cloister-dev-${process.pid}`);
  const driver = new FunctionDriver({ runDir, pooled: 1 });
  await driver.start({ signal });
  let tenant = await load(driver, file, { env, outbound }, signal);
  const server = createServer(async (request, response) => {
    try {
      const headers = Object.entries(request.headers).flatMap(([name, value]): [string, string][] =>
        value === undefined ? [] : [[name, String(value)]],
      );
      const current = tenant;
      if (current === undefined) throw new Error('The file does not bundle; see the terminal');
      const before = current.logs().length;
      const answer = await current.invoke(
        { method: request.method ?? 'GET', path: request.url ?? '/', headers, body: await readBody(request) },
        { signal },
      );
      response.writeHead(
        answer.status,
        answer.headers
          .map(([name, value]): [string, string] => [name, value])
          .filter(([name]) => name !== 'transfer-encoding')
          .flat(),
      );
      for await (const bytes of answer.body) response.write(bytes);
      response.end();
      const outcome = await answer.finished;
      for (const line of current.logs().slice(before)) note(`  ${line.level}: ${line.message}`);
      note(
        `${request.method} ${request.url} → ${answer.status} ${outcome.status}${outcome.message ? ` (${outcome.message})` : ''}, ${outcome.metering.wallMs.toFixed(1)} ms`,
      );
    } catch (error) {
      if (response.headersSent) response.destroy();
      else response.writeHead(500).end(describeError(error));
    }
  });
  try {
    await new Promise<void>((resolve, reject) => {
      server.once('error', reject).listen(Number(options.port ?? 0), '127.0.0.1', resolve);
    });
  } catch {
    await driver.stop();
    throw new OptionValueError('--port', options.port ?? '', 'a free port of this machine');
  }
  const address = server.address();
  const url = `http://127.0.0.1:${typeof address === 'object' && address !== null ? address.port : ''}`;
  if (options.json) process.stdout.write(`${JSON.stringify({ ready: true, url })}\n`);
  else note(`Serving ${file} at ${url}; Ctrl-C ends it`);
  let timer: ReturnType<typeof setTimeout> | undefined;
  const watcher = watch(path.dirname(path.resolve(file)), { recursive: true }, () => {
    clearTimeout(timer);
    timer = setTimeout(async () => {
      const next = await load(driver, file, { env, outbound }, signal);
      if (next === undefined) return;
      const former = tenant;
      tenant = next;
      await former?.close();
      note('Reloaded');
    }, 150);
  });
  await asked;
  watcher.close();
  server.closeAllConnections();
  server.close();
  stopping.abort();
  await driver.stop();
}

/** The function as it is on disk now; undefined, with the reason printed, where it does not bundle. */
async function load(
  driver: FunctionDriver,
  file: string,
  fields: Pick<Manifest, 'env' | 'outbound'>,
  signal: AbortSignal,
): Promise<Tenant | undefined> {
  try {
    const { code, name } = await bundleFunction(file);
    const manifest = functionManifest({ name, code: { sha256: toHex(sha256(code)), bytes: code.length }, ...fields });
    const { limits, runtime, env, outbound } = manifest;
    const id = manifestId(manifest);
    return await driver.open(
      {
        tenant: id,
        version: id,
        kind: 'function',
        code,
        env,
        outboundHosts: outbound,
        limits,
        compatibilityDate: runtime.compatibilityDate,
      },
      { signal },
    );
  } catch (error) {
    note(describeError(error));
    return undefined;
  }
}

async function readBody(request: IncomingMessage): Promise<Uint8Array> {
  const parts: Buffer[] = [];
  let length = 0;
  for await (const part of request as AsyncIterable<Buffer>) {
    length += part.length;
    if (length > maxBodyBytes) throw new Error(`A request has at most ${maxBodyBytes} bytes`);
    parts.push(part);
  }
  return Buffer.concat(parts);
}
