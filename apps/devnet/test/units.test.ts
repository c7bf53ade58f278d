import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { CloisterError } from '@cloister/core';
import { describe, expect, test, vi } from 'vitest';
import { anvilBinary, anvilSpec } from '../src/anvil.ts';
import { readOptions, usage } from '../src/options.ts';
import { assertPortFree, freePort } from '../src/ports.ts';
import { Reporter } from '../src/reporter.ts';
import { printSummary } from '../src/summary.ts';

describe('options', () => {
  test('have defaults', () => {
    expect(readOptions([], '/repo')).toEqual({
      json: false,
      once: false,
      reset: false,
      demo: true,
      dataDir: '/repo/.cloister/devnet',
      workers: 3,
      governed: false,
      epochSeconds: 300,
      secondChain: false,
    });
  });

  test('are read', () => {
    const flags = ['--json', '--once', '--reset', '--no-demo', '--governed'];
    const argv = [...flags, '--data', 'some/where', '--workers=8', '--epoch', '60', '--second-chain'];
    expect(readOptions(argv, '/repo')).toEqual({
      json: true,
      once: true,
      reset: true,
      demo: false,
      dataDir: join(process.cwd(), 'some/where'),
      workers: 8,
      governed: true,
      epochSeconds: 60,
      secondChain: true,
    });
  });

  test('--help wins', () => {
    expect(readOptions(['--once', '--help'], '/repo')).toBeUndefined();
    expect(readOptions(['-h'], '/repo')).toBeUndefined();
    const options = [
      '--once',
      '--no-demo',
      '--data',
      '--reset',
      '--workers',
      '--epoch',
      '--governed',
      '--json',
      '--help',
    ];
    for (const option of options) expect(usage).toContain(option);
  });

  test.each([['--wokers'], ['--data'], ['--json=yes'], ['extra'], ['-x']])('%s is refused by name', (...argv) => {
    expect(() => readOptions(argv, '/repo')).toThrow(expect.objectContaining({ code: 'OPTION_UNKNOWN' }));
  });

  test.each(['0', '9', '-1', '1.5', 'many', ''])('--workers=%s is refused', (workers) => {
    expect(() => readOptions([`--workers=${workers}`], '/repo')).toThrow(
      expect.objectContaining({ code: 'OPTION_INVALID' }),
    );
  });
});

describe('ports', () => {
  test('one that is free can be used, one that is taken is named with its purpose', async () => {
    const port = await freePort();
    await assertPortFree(port, 'the chain');
    const server = createServer();
    await new Promise<void>((resolve) => server.listen(port, '127.0.0.1', resolve));
    try {
      await expect(assertPortFree(port, 'the chain')).rejects.toMatchObject({
        code: 'PORT_TAKEN',
        message: `Port "${port}" of 127.0.0.1, which this folder uses for the chain, can't be had (EADDRINUSE)`,
      });
    } finally {
      await new Promise((resolve) => server.close(resolve));
    }
    await assertPortFree(port, 'the chain');
  });
});

describe("the chain's process", () => {
  const spec = (port: number, chainId = 31337) =>
    anvilSpec({ port, chainId, stateFile: '/data/chain.json', logFile: '/data/chain.log', cwd: tmpdir() });

  test('listens on loopback alone, keeps its state, ends with its launcher, and has no accounts of its own', () => {
    const { args, command, stopSignal } = spec(1234);
    const text = [command, ...args].join(' ');
    for (const part of [
      '--host 127.0.0.1',
      '--port 1234',
      '--chain-id 31337',
      '--state /data/chain.json',
      '--accounts 0',
    ])
      expect(text).toContain(part);
    expect(text).toContain(anvilBinary());
    if (process.platform === 'linux') expect(text).toContain('setpriv --pdeathsig INT -- ');
    // SIGINT makes it write its state.
    expect(stopSignal).toBe('SIGINT');
  });

  test('is ready when the right chain answers, and refuses another one', async () => {
    let answer: string | undefined;
    const server = createServer(async (request, response) => {
      let text = '';
      for await (const chunk of request) text += chunk;
      if (answer === undefined) return response.writeHead(500).end();
      return response.end(JSON.stringify({ jsonrpc: '2.0', id: JSON.parse(text).id, result: answer }));
    });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    const { port } = server.address() as AddressInfo;
    const ready = () => spec(port).ready({} as never, AbortSignal.timeout(5_000));
    try {
      const waiting = ready();
      setTimeout(() => {
        answer = '0x7a69';
      }, 80);
      expect(await waiting).toEqual({ url: `http://127.0.0.1:${port}`, chainId: 31337 });
      answer = '0x1';
      await expect(ready()).rejects.toMatchObject({ code: 'ANVIL_OTHER_CHAIN' });
      answer = undefined;
      const leaving = new AbortController();
      const left = spec(port).ready({} as never, leaving.signal);
      leaving.abort();
      await expect(left).rejects.toMatchObject({ code: 'ABORTED' });
    } finally {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    }
  });
});

describe('reports', () => {
  const lines = (json: boolean, use: (reporter: Reporter) => unknown) => {
    const written: string[] = [];
    use(new Reporter(json, (text) => written.push(text)));
    return written;
  };

  test('are prose for people', async () => {
    const written: string[] = [];
    const reporter = new Reporter(false, (text) => written.push(text));
    expect(
      await reporter.step(
        'chain',
        'Chain started',
        async () => 7,
        (port) => `port ${port}`,
      ),
    ).toBe(7);
    reporter.done('slow', 'Slow thing', 1_234, '');
    reporter.event('down', 'worker-1 keeps ending');
    reporter.say('text');
    reporter.line({ step: 'x' });
    expect(written).toEqual([
      '  ✓ Chain started: port 7\n',
      '  ✓ Slow thing (1.2 s)\n',
      '  · worker-1 keeps ending\n',
      'text\n',
    ]);
  });

  test('are one JSON line a step for programs', () => {
    const written = lines(true, (reporter) => {
      reporter.say('text');
      reporter.done('chain', 'Chain started', 5, 'port 7');
      reporter.event('down', 'It keeps ending', { name: 'worker-1' });
      reporter.fail(new CloisterError({ code: 'X', message: 'No' }));
      reporter.fail(new Error('plain'));
    });
    expect(written.every((line) => line.endsWith('\n') && !line.slice(0, -1).includes('\n'))).toBe(true);
    expect(written.map((line) => JSON.parse(line))).toMatchObject([
      { step: 'chain', ok: true, ms: 5, title: 'Chain started', detail: 'port 7' },
      { step: 'down', ok: true, message: 'It keeps ending', name: 'worker-1' },
      { step: 'failed', ok: false, error: { code: 'X', message: 'No' } },
      { step: 'failed', ok: false, error: { message: 'plain' } },
    ]);
  });

  test('a failure is one line on standard error for people', () => {
    const write = vi.spyOn(process.stderr, 'write').mockReturnValue(true);
    lines(false, (reporter) => reporter.fail(new CloisterError({ code: 'X', message: 'No', hint: 'Do this' })));
    expect(write.mock.calls).toEqual([['cloister: No. Do this\n']]);
    write.mockRestore();
  });

  test('the summary says what is simulated, which walls are missing, and which kinds of app run, once each', () => {
    const missing = [{ name: 'memory', reason: 'no cgroups' }];
    const lacking = [
      { kind: 'container', reason: 'no engine here' },
      { kind: 'model', reason: 'no engine there' },
    ];
    const devnet = {
      networkFile: '/data/network.json',
      accountsFile: '/data/accounts.json',
      gatewayUrl: 'http://127.0.0.1:2',
      rpcUrl: 'http://127.0.0.1:1',
      network: { chainId: 31337 },
      state: { accounts: { deployer: { address: '0xaa' }, developer: { address: '0xbb' } } },
      children: [{ spec: { name: 'chain' }, pid: 7 }],
      workers: new Map([
        ['worker-0', { missingWalls: missing, kinds: ['function', 'wasm'], notOffered: lacking }],
        ['worker-1', { missingWalls: missing, kinds: ['function', 'model'], notOffered: lacking.slice(0, 1) }],
      ]),
    } as never;
    const [line = ''] = lines(true, (reporter) => printSummary(reporter, devnet, true));
    expect(JSON.parse(line)).toMatchObject({
      step: 'ready',
      ok: true,
      network: '/data/network.json',
      accounts: '/data/accounts.json',
      gateway: 'http://127.0.0.1:2',
      rpc: 'http://127.0.0.1:1',
      simulated: true,
      missingWalls: missing,
      kinds: ['function', 'wasm', 'model'],
      notOffered: lacking.slice(0, 1),
      verified: true,
      pids: { chain: 7 },
    });
    const [failed = ''] = lines(true, (reporter) => printSummary(reporter, devnet, false));
    expect(JSON.parse(failed)).toMatchObject({ step: 'ready', ok: false, verified: false });
    const [prose = ''] = lines(false, (reporter) => printSummary(reporter, devnet, undefined));
    expect(prose).toMatch(/SIMULATED .*\n/);
    expect(prose.match(/memory \(no cgroups\)/g)).toHaveLength(1);
    expect(prose).toMatch(/Apps +function, wasm, model\n +no container: no engine here\n/);
    expect(prose).not.toContain('no engine there');
    expect(prose).toContain('not made');
  });
});
