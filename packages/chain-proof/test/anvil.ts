import { type ChildProcess, spawn } from 'node:child_process';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { sleep } from '@cloister/core';
import { anvilBinary } from '../../../apps/devnet/src/anvil.ts';

export type RunningAnvil = { readonly url: string; readonly stop: () => Promise<void> };

/** A real node of its own on loopback, of the fork that the devnet has; mines a block for each transaction. */
export async function startAnvil(hardfork = 'osaka'): Promise<RunningAnvil> {
  const port = await freePort();
  const args = ['--host', '127.0.0.1', '--port', String(port), '--chain-id', '31337', '--hardfork', hardfork];
  const child = spawn(anvilBinary(), [...args, '--accounts', '0', '--silent', '--preserve-historical-states'], {
    stdio: 'ignore',
  });
  const url = `http://127.0.0.1:${port}`;
  while (child.exitCode === null) {
    if (await rpc(url, 'eth_chainId', []).catch(() => undefined)) return { url, stop: () => stopped(child) };
    await sleep(20);
  }
  throw new Error(`anvil ended with ${child.exitCode}`);
}

/** One JSON-RPC call; throws what the node answers as an error. */
export async function rpc(url: string, method: string, params: readonly unknown[]): Promise<unknown> {
  const response = await fetch(url, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ jsonrpc: '2.0', id: 1, method, params }),
  });
  const { result, error } = (await response.json()) as { result?: unknown; error?: { message: string } };
  if (error !== undefined) throw new Error(error.message);
  return result;
}

export type RpcCall = { readonly method: string; readonly params: readonly unknown[] };
/** Changes what the node behind answers; `undefined` leaves it as it is, a thrown object is the answered error. */
export type Lie = (call: RpcCall, result: unknown) => unknown;

/** An RPC in front of another that may lie. */
export class LyingRpc {
  lie: Lie = () => undefined;
  asked: RpcCall[] = [];
  readonly #behind: string;
  readonly #server = createServer((request, response) => {
    void (async () => {
      const parts: Buffer[] = [];
      for await (const part of request) parts.push(part as Buffer);
      const { id, method, params } = JSON.parse(Buffer.concat(parts).toString()) as RpcCall & { id: number };
      this.asked.push({ method, params });
      const answer = await this.#answer({ method, params });
      response.setHeader('content-type', 'application/json');
      response.end(JSON.stringify({ jsonrpc: '2.0', id, ...answer }));
    })();
  });

  constructor(behind: string) {
    this.#behind = behind;
  }

  get url(): string {
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }

  async start(): Promise<this> {
    await new Promise<void>((resolve) => this.#server.listen(0, '127.0.0.1', resolve));
    return this;
  }

  async stop(): Promise<void> {
    this.#server.closeAllConnections();
    await new Promise((resolve) => this.#server.close(resolve));
  }

  async #answer(call: RpcCall): Promise<object> {
    try {
      const result = await rpc(this.#behind, call.method, call.params);
      const told = await this.lie(call, structuredClone(result));
      return { result: told === undefined ? result : told };
    } catch (error) {
      const { code = -32000, message } = error as { code?: number; message: string };
      return { error: { code, message } };
    }
  }
}

async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  await new Promise((resolve) => server.close(resolve));
  return port;
}

async function stopped(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null) return;
  const ended = new Promise((resolve) => child.once('exit', resolve));
  child.kill('SIGKILL');
  await ended;
}
