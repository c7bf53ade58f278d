import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { freePrice } from '@cloister/core';
import { generatePrivateKey } from 'viem/accounts';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { SimulatedNetwork } from '../../../packages/sdk/test/simulatedNetwork.ts';
import { settledAnswer, stubMoney, transaction } from '../../../packages/sdk/test/x402Parts.ts';
import { run, startNetwork } from './cliNetwork.ts';

let network: SimulatedNetwork;
let stop: () => Promise<void>;
let folder: string;
let options: string[];
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'cloister-proxy-'));
  ({ network, stop } = await startNetwork());
  await writeFile(join(folder, 'key'), generatePrivateKey());
  await writeFile(join(folder, 'network.json'), JSON.stringify(network.file));
  options = ['--network', join(folder, 'network.json'), '--key', join(folder, 'key')];
});
afterEach(async () => {
  await stop();
  await rm(folder, { recursive: true, force: true });
});

describe('cloister proxy', () => {
  test('is a process that serves plain HTTP on loopback, and ends with Ctrl-C', async () => {
    await network.addWorker();
    const { app } = network.addApp();
    const main = fileURLToPath(new URL('../src/main.ts', import.meta.url));
    const argv = [main, '--json', ...options, 'proxy', '--app', app];
    const child = spawn(process.execPath, argv, { cwd: folder, stdio: ['ignore', 'pipe', 'ignore'] });
    const exited = once(child, 'exit');
    try {
      const [line] = await once(child.stdout, 'data');
      const { ready, url } = JSON.parse(String(line)) as { ready: boolean; url: string };
      expect([ready, new URL(url).hostname]).toEqual([true, '127.0.0.1']);
      const response = await fetch(`${url}/x`);
      expect([await response.text(), response.headers.get('x-cloister-receipt')]).toEqual(['answer', 'ok']);
    } finally {
      child.kill('SIGINT');
    }
    expect(await exited).toEqual([0, null]);
  });

  test.each([
    [['--host', '0.0.0.0'], 'PROXY_NOT_LOOPBACK'],
    [['--host', '::'], 'PROXY_NOT_LOOPBACK'],
    [['--host', '192.0.2.1'], 'PROXY_NOT_LOOPBACK'],
    [['--host', '192.0.2.1', '--unsafe-listen-beyond-this-machine'], 'PROXY_CANNOT_LISTEN'],
    [['--port', '65536'], 'OPTION_VALUE_INVALID'],
    [['--port', '-1'], 'OPTION_VALUE_INVALID'],
    [['--max-fee', 'much'], 'OPTION_VALUE_INVALID'],
  ])('does not start with %j', async (argv, code) => {
    const { error } = await run(...options, 'proxy', ...argv);
    expect(error).toMatchObject({ code });
  });
});

describe('cloister call --exact', () => {
  test('pays by one transfer, and says that no receipt guards the sum', async () => {
    stubMoney(network, { deposited: 0n });
    const worker = await network.addWorker();
    worker.run = (opened) => settledAnswer(opened);
    const { app } = network.addApp({ price: { ...freePrice, perCall: '20000000000000000' } });
    const proof = join(folder, 'proof.json');
    const paid = ['call', app, '--max-fee', '0.02', '--exact', '--proof', proof];
    const prose = await run(...options, ...paid);
    expect(prose.error).toBeUndefined();
    expect(prose.err).toContain(`0.02 PHA paid before in transaction ${transaction} (no receipt guards this sum)`);
    const json = JSON.parse((await run('--json', ...options, ...paid)).out);
    expect(json.payment).toEqual({
      scheme: 'exact',
      amount: '20000000000000000',
      transaction,
      guardedByReceipt: false,
    });
    const verified = await run(...options, 'verify', proof);
    expect(verified.out + verified.err).toContain('no receipt guards the sum');
    const without = await run(...options, 'call', app, '--exact');
    expect(without.error).toMatchObject({ code: 'PAYMENT_NOT_ALLOWED' });
  });
});
