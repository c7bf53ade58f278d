import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';

export type RpcCall = { readonly method: string; readonly params: readonly unknown[] };

/** Stands before a chain's RPC and changes its answers. */
export class LyingRpc {
  readonly #server: Server;
  #url = '';
  /** What becomes of each result; as it is by default. */
  lie: (call: RpcCall, result: unknown) => unknown = (_, result) => result;

  private constructor(target: string) {
    this.#server = createServer((request, response) => {
      const parts: Buffer[] = [];
      request.on('data', (part: Buffer) => parts.push(part));
      request.on('end', () => {
        this.#answer(target, Buffer.concat(parts).toString('utf8')).then(
          (text) => response.writeHead(200, { 'content-type': 'application/json' }).end(text),
          () => response.destroy(),
        );
      });
    });
  }

  static async start(target: string): Promise<LyingRpc> {
    const rpc = new LyingRpc(target);
    await new Promise<void>((resolve) => rpc.#server.listen(0, '127.0.0.1', resolve));
    rpc.#url = `http://127.0.0.1:${(rpc.#server.address() as AddressInfo).port}`;
    return rpc;
  }

  get url(): string {
    return this.#url;
  }

  async stop(): Promise<void> {
    this.#server.closeAllConnections();
    await new Promise<void>((resolve) => this.#server.close(() => resolve()));
  }

  async #answer(target: string, body: string): Promise<string> {
    const call = JSON.parse(body) as RpcCall;
    const response = await fetch(target, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body,
      signal: AbortSignal.timeout(10_000),
    });
    const answer = (await response.json()) as { result?: unknown };
    return JSON.stringify('result' in answer ? { ...answer, result: this.lie(call, answer.result) } : answer);
  }
}
