import { parseCallOpen } from '@cloister/channel/frame';
import { announcementToJson, type Bytes32, type Manifest } from '@cloister/core';
import { signDigest } from '@cloister/crypto';
import type { InvocationRequest } from '@cloister/sandbox';
import { type CloisterClient, createClient } from '@cloister/sdk';
import { createLogger } from '@cloister/service';
import { address, type StubWorker } from '../../../packages/sdk/test/simulatedNetwork.ts';
import { announce, TestGateway, until } from '../../gateway/test/testGateway.ts';
import { CallServer } from '../src/callServer.ts';
import { KeptAnswers } from '../src/keptAnswers.ts';
import { ReceiptBook } from '../src/receiptBook.ts';
import type { StubRun } from './stubDriver.ts';
import { startParts, type WorkerParts } from './workerParts.ts';

/** A worker's process as others see it: its keys, its calls, its connection, and its end. */
export type WorkerProcess = {
  readonly stub: StubWorker;
  /** Paths of the calls that its app ran. */
  readonly ran: string[];
  /** What `stub` announces now. */
  announce(): Promise<void>;
  die(): Promise<void>;
};

/** Call servers of workers behind a real gateway, over a chain in memory and a sandbox of the test. */
export class GatewayTown {
  readonly parts: WorkerParts;
  readonly gateway: TestGateway;
  readonly processes: WorkerProcess[] = [];
  /** What the app does at any worker. */
  run: (request: InvocationRequest) => StubRun = () => ({});

  private constructor(parts: WorkerParts, gateway: TestGateway) {
    this.parts = parts;
    this.gateway = gateway;
  }

  static async start(workers: number): Promise<GatewayTown> {
    const town = new GatewayTown(await startParts(), await new TestGateway().start());
    for (let index = 0; index < workers; index++) town.processes.push(await town.#startProcess(0x0a + index));
    return town;
  }

  async stop(): Promise<void> {
    await this.gateway.stop();
    await this.parts.stop();
  }

  /** An app, its blobs at the gateway, and a client of the network. */
  async deploy(limits: Partial<Manifest['limits']> = {}): Promise<{ app: Bytes32; client: CloisterClient }> {
    const { network } = this.parts;
    const { app } = this.parts.addApp({ limits: { wallMs: 20_000, ...limits } } as object);
    for (const [id, bytes] of network.gateway.blobs)
      await fetch(`${this.gateway.url}/v1/blobs/${id}`, { method: 'PUT', body: bytes as Uint8Array<ArrayBuffer> });
    return { app, client: createClient({ network: network.file, gateways: [this.gateway.url] }) };
  }

  async #startProcess(operator: number): Promise<WorkerProcess> {
    const { network, components, driver } = this.parts;
    const stub = await network.addWorker(address(operator));
    const { workerId, signer: secret, keys } = stub;
    const sign = (digest: Uint8Array) => signDigest(secret, digest);
    const receipts = new ReceiptBook({ domain: network.domain, workerId, sign });
    const log = createLogger({ name: 'worker', level: 'error', write: () => {} });
    const server = new CallServer({ ...components, receipts, keys, kept: new KeptAnswers(), log });
    const alive = new AbortController();
    const ran: string[] = [];
    this.gateway.registry.set(workerId, stub.receiptSigner);
    const worker = await this.gateway.dial({
      workerId,
      secret,
      serve: async (stream) => {
        driver.run = (request) => {
          ran.push(request.path);
          return this.run(request);
        };
        await server.serve(stream, parseCallOpen(stream.header), alive.signal);
      },
    });
    const listed = async (text: string) =>
      (await (await fetch(`${this.gateway.url}/v1/workers`)).text()).includes(text);
    const announceNow = async (): Promise<void> => {
      announce(worker, JSON.stringify(announcementToJson(stub.announcement)));
      const [newest] = stub.announcement.keyConfigs;
      await until(() => listed(newest?.signature ?? workerId));
    };
    await announceNow();
    const die = async (): Promise<void> => {
      worker.webSocket.terminate();
      alive.abort(new Error('killed'));
      await until(async () => !(await listed(workerId)));
    };
    return { stub, ran, announce: announceNow, die };
  }
}
