import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';

const main = fileURLToPath(new URL('../src/main.ts', import.meta.url));
const address = (digit: string) => `0x${digit.repeat(40)}`;
const network = {
  format: 'cloister-network-1',
  name: 'test',
  chainId: 31337,
  contracts: {
    timelock: address('1'),
    phaToken: address('2'),
    imageRegistry: address('3'),
    workerRegistry: address('4'),
    appRegistry: address('5'),
    gatekeeperCommittee: address('6'),
    epochRecords: address('7'),
    payments: address('8'),
    stakePools: address('9'),
    workerBonds: address('a'),
    slashing: address('b'),
    emission: address('c'),
    epochRewards: address('d'),
    storageRent: address('e'),
    governor: address('f'),
  },
  rpcs: ['http://127.0.0.1:1'],
  gateways: ['http://127.0.0.1:2'],
  trustRoots: [{ tee: 'tdx', spkiSha256: `0x${'6'.repeat(64)}`, simulated: true, name: 'DEV root' }],
  networkKeys: null,
  simulated: true,
};

let folder: string;
let child: ChildProcess | undefined;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'cloister-gateway-main-'));
  writeFileSync(join(folder, 'network.json'), JSON.stringify(network));
});
afterEach(() => {
  if (child?.exitCode === null && child.signalCode === null) child.kill('SIGKILL');
  rmSync(folder, { recursive: true });
});

function start(...flags: string[]) {
  const started = spawn(process.execPath, [main, ...flags], { stdio: ['pipe', 'pipe', 'pipe'], env: {} });
  child = started;
  let log = '';
  started.stderr.on('data', (chunk) => {
    log += chunk;
  });
  return { started, log: () => log, exited: once(started, 'close') };
}

describe('the gateway process', () => {
  test('listens, says where, and ends with its launcher', async () => {
    const flags = [
      '--listen.port',
      '0',
      '--networkFile',
      join(folder, 'network.json'),
      '--dataDir',
      folder,
      '--publicUrl',
      'http://127.0.0.1:2/',
      '--parent-stdin',
    ];
    const { started, exited } = start(...flags);
    const ready = JSON.parse(String((await once(started.stdout, 'data'))[0]));
    expect(ready).toMatchObject({ ready: true, name: 'gateway', publicUrl: 'http://127.0.0.1:2' });
    expect(await (await fetch(`${ready.url}/healthz`)).json()).toEqual({ ok: true, workers: 0 });
    started.stdin.end();
    expect((await exited)[0]).toBe(0);
  });

  test('names a configuration that it cannot use', async () => {
    const { exited, log } = start('--listen.port', '0', '--dataDir', folder);
    expect((await exited)[0]).toBe(2);
    expect(JSON.parse(log().split('\n')[0] ?? '')).toMatchObject({
      error: { code: 'CONFIG_MISSING_FIELD', meta: { field: 'networkFile' } },
    });
  });
});
