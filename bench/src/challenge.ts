import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { isMainThread, parentPort, Worker } from 'node:worker_threads';
import { type Bytes32, challengeAnswerOf, challengeBody, type NetworkFile, readChallengeAnswer } from '@cloister/core';
import { ReceiptWatch } from '@cloister/sdk';
import { ChallengeCalls } from '../../apps/gatekeeper/src/challenges/challengeCalls.ts';
import { SimulatedNetwork } from '../../packages/sdk/test/simulatedNetwork.ts';
import { type BenchLine, benchLine, median } from './measure.ts';

// Each worker is asked once, as in a network of many: its evidence is verified, the question sealed, answer and receipt opened and
// checked. Workers, gateway and RPC run in another thread; what is counted is what a gatekeeper does and sends.
const workers = 120;
const networkKeys = { apps: `0x${'00'.repeat(48)}`, beacon: `0x${'00'.repeat(48)}` } as const;
const question = { start: 7, steps: 1 };

type Town = {
  readonly file: NetworkFile;
  readonly gateway: string;
  readonly app: Bytes32;
  readonly ids: readonly Bytes32[];
};

/** A gatekeeper's processor time for one challenge, and the bytes that pass its door for it, RPC included. */
export async function benchChallenges(): Promise<readonly BenchLine[]> {
  const thread = new Worker(new URL(import.meta.url));
  const town = await new Promise<Town>((resolve, reject) => {
    thread.once('message', resolve);
    thread.once('error', reject);
  });
  const realFetch = globalThis.fetch;
  let passed = 0;
  const counted: typeof fetch = async (input, init) => {
    const request = new Request(input, init);
    passed += (await request.clone().arrayBuffer()).byteLength;
    const response = await realFetch(String(request.url).replace(town.file.gateways[0] as string, town.gateway), init);
    const body = await response.arrayBuffer();
    passed += body.byteLength;
    return new Response(body, response);
  };
  globalThis.fetch = counted;
  try {
    const calls = new ChallengeCalls({
      network: { ...town.file, networkKeys: null },
      keys: () => networkKeys,
      app: async () => town.app,
      clockMs: Date.now,
      receipts: new ReceiptWatch(),
      fetch: counted,
    });
    const signal = new AbortController().signal;
    const [times, sizes]: [number[], number[]] = [[], []];
    for (const [index, workerId] of town.ids.entries()) {
      const bytesBefore = passed;
      const before = process.threadCpuUsage();
      const body = await calls.call(workerId, challengeBody(question), signal);
      const { user, system } = process.threadCpuUsage(before);
      if (body === undefined || readChallengeAnswer(body) !== challengeAnswerOf(question))
        throw new Error(`Worker "${workerId}" did not answer as it should`);
      if (index < 20) continue;
      times.push((user + system) / 1_000);
      sizes.push((passed - bytesBefore) / 1_000);
    }
    const traffic = { id: 'challenge-traffic', ours: Math.round(median(sizes) * 10) / 10, peer: null, ratio: null };
    return [benchLine('challenge-cpu', times), { ...traffic, unit: 'kB', runs: sizes.length }];
  } finally {
    globalThis.fetch = realFetch;
    await thread.terminate();
  }
}

async function openTown(): Promise<Town> {
  const network = await SimulatedNetwork.start({ networkKeys });
  const ids: Bytes32[] = [];
  for (let index = 0; index < workers; index++) {
    const worker = await network.addWorker(`0x${(index + 1).toString(16).padStart(40, '0')}`);
    worker.run = () => {
      const answer = new DataView(new ArrayBuffer(4));
      answer.setUint32(0, challengeAnswerOf(question));
      return { body: [new Uint8Array(answer.buffer)] };
    };
    ids.push(worker.workerId);
  }
  const { app } = network.addApp();
  const server = createServer(async (request, response) => {
    const parts: Buffer[] = [];
    for await (const part of request as AsyncIterable<Buffer>) parts.push(part);
    const answer = await network.gateway.fetch(`${network.gateway.url}${request.url}`, {
      method: request.method ?? 'GET',
      headers: request.headers['content-type'] === undefined ? {} : { 'content-type': request.headers['content-type'] },
      ...(parts.length === 0 ? {} : { body: new Blob(parts as never) }),
    });
    response.writeHead(answer.status, Object.fromEntries(answer.headers));
    response.end(Buffer.from(await answer.arrayBuffer()));
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const gateway = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  return { file: network.file, gateway, app, ids };
}

if (!isMainThread) parentPort?.postMessage(await openTown());
