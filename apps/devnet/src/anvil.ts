import { existsSync } from 'node:fs';
import { createRequire } from 'node:module';
import path from 'node:path';
import { CloisterError, sleep } from '@cloister/core';
import { createPublicClient, http } from 'viem';
import type { ChildSpec } from './child.ts';

export type AnvilInit = {
  /** @default "chain" */
  readonly name?: string;
  readonly port: number;
  readonly chainId: number;
  readonly stateFile: string;
  /** Whether reads at blocks of before a restart are answered: its state file then grows with each block. @default true */
  readonly keepsOldStates?: boolean;
  readonly logFile: string;
  readonly cwd: string;
};

/** Path of the chain's binary for this machine. Throws ANVIL_MISSING. */
export function anvilBinary(): string {
  const require = createRequire(import.meta.url);
  const arch = process.arch === 'x64' ? 'amd64' : process.arch;
  const name = `@foundry-rs/anvil-${process.platform}-${arch}`;
  try {
    const shim = createRequire(require.resolve('@foundry-rs/anvil/package.json'));
    const binary = path.join(
      path.dirname(shim.resolve(`${name}/package.json`)),
      'bin',
      process.platform === 'win32' ? 'anvil.exe' : 'anvil',
    );
    if (existsSync(binary)) return binary;
  } catch {}
  throw new AnvilError(
    'ANVIL_MISSING',
    `No chain binary is installed for ${process.platform} ${process.arch}`,
    'Run npm start again; it installs what is missing',
  );
}

/**
 * The chain of a development network. State is written every second and kept over restarts and SIGKILL; on Linux the
 * kernel ends it with its launcher, elsewhere only an orderly stop does.
 */
export function anvilSpec(init: AnvilInit): ChildSpec {
  const url = `http://127.0.0.1:${init.port}`;
  const args = [
    '--host',
    '127.0.0.1',
    '--port',
    String(init.port),
    '--chain-id',
    String(init.chainId),
    '--hardfork',
    'osaka',
    '--block-time',
    '1',
    '--mixed-mining',
    // A block is final when two more stand on it.
    '--slots-in-an-epoch',
    '1',
    '--accounts',
    '0',
    '--silent',
    '--state',
    init.stateFile,
    '--state-interval',
    '1',
    ...(init.keepsOldStates === false ? [] : ['--preserve-historical-states']),
  ];
  const binary = anvilBinary();
  const setpriv = ['/usr/bin/setpriv', '/bin/setpriv'].find((file) => existsSync(file));
  const guarded = process.platform === 'linux' && setpriv !== undefined;
  return {
    name: init.name ?? 'chain',
    command: guarded ? setpriv : binary,
    args: guarded ? ['--pdeathsig', 'INT', '--', binary, ...args] : args,
    logFile: init.logFile,
    cwd: init.cwd,
    stopSignal: 'SIGINT',
    readyWithinMs: 30_000,
    async ready(_, signal) {
      const client = createPublicClient({ transport: http(url, { retryCount: 0, timeout: 1_000 }) });
      for (;;) {
        const id = await client.getChainId().catch(() => undefined);
        if (id === init.chainId) return { url, chainId: id };
        if (id !== undefined)
          throw new AnvilError(
            'ANVIL_OTHER_CHAIN',
            `Chain "${id}" answers at ${url}, expected "${init.chainId}"`,
            'End the other program or use another --data DIR',
          );
        await sleep(50, signal);
      }
    },
  };
}

export class AnvilError extends CloisterError<'ANVIL_MISSING' | 'ANVIL_OTHER_CHAIN'> {
  override readonly name = 'AnvilError';
  constructor(code: AnvilError['code'], message: string, hint: string) {
    super({ code, message, hint });
  }
}
