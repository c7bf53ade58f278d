import { type Bytes32, type Manifest, receiptDigest, type SignedReceipt, tickAt } from '@cloister/core';
import {
  addressOf,
  fromHex,
  generateSecp256k1,
  recoverAddress,
  sha256,
  signDigest,
  toHex,
  utf8,
} from '@cloister/crypto';
import { SimulatedNetwork } from '../../../packages/sdk/test/simulatedNetwork.ts';
import type { AnswerComponents } from '../src/answerCall.ts';
import { AppLoader } from '../src/appLoader.ts';
import { OwnerLogs } from '../src/ownerLogs.ts';
import { Cashier } from '../src/payments/cashier.ts';
import { ReceiptBook } from '../src/receiptBook.ts';
import { StubDriver } from './stubDriver.ts';

export const workerId: Bytes32 = `0x${'1d'.repeat(32)}`;

/** For apps without any: asking for one fails. */
export const noSecrets: ConstructorParameters<typeof AppLoader>[0]['secrets'] = {
  assertPlaced: () => Promise.reject(new Error('No placement in this test')),
  anchored: () => Promise.reject(new Error('No secrets in this test')),
  open: () => Promise.reject(new Error('No keys in this test')),
  code: () => Promise.reject(new Error('No keys in this test')),
};

/** For apps that are given no guest agent. */
export const noGuests: ConstructorParameters<typeof AppLoader>[0]['guests'] = { open: async () => undefined };

/** What answers calls in a worker, over a chain in memory and a sandbox of the test. */
export type WorkerParts = {
  readonly network: SimulatedNetwork;
  readonly driver: StubDriver;
  readonly components: AnswerComponents;
  /** An app with its code and manifest stored. */
  addApp(changes?: Partial<Manifest>): { readonly app: Bytes32; readonly manifestId: Bytes32 };
  /** Who signed a receipt: undefined unless it was this worker. */
  isOurs(signed: SignedReceipt): boolean;
  stop(): Promise<void>;
};

export async function startParts(): Promise<WorkerParts> {
  const network = await SimulatedNetwork.start();
  const driver = new StubDriver();
  const registry = network.reader();
  const secret = generateSecp256k1();
  const apps = new AppLoader({
    registry,
    drivers: [driver],
    secrets: noSecrets,
    guests: noGuests,
    blobs: async (id) => {
      const bytes = network.gateway.blobs.get(id);
      if (bytes === undefined) throw new Error(`No blob ${id}`);
      return bytes;
    },
  });
  const { domain } = network;
  const components: AnswerComponents = {
    apps,
    receipts: new ReceiptBook({ domain, workerId, sign: (digest) => signDigest(secret, digest) }),
    logs: new OwnerLogs({ domain, workerId, registry, apps }),
    callers: { verify: async () => undefined },
    payments: new Cashier({
      channels: { reserve: () => Promise.reject(new Error('No channels in this test')) },
      exact: undefined,
      prices: undefined,
    }),
    services: { of: () => undefined },
    states: { askedByHost: async () => undefined },
    simulated: true,
    head: () => network.rpc.head,
    epochAt: (timestamp) => tickAt(timestamp, network.registries.genesis, network.registries.epochLength),
  };
  return {
    network,
    driver,
    components,
    addApp(changes = {}) {
      const code = utf8('export default {}');
      network.gateway.store(code);
      const { app } = network.addApp({
        code: { sha256: toHex(sha256(code)), bytes: code.length },
        ...changes,
      } as object);
      return { app, manifestId: network.registries.apps.get(app)?.versions[0]?.manifestId ?? '0x' };
    },
    isOurs: ({ receipt, signature }) =>
      recoverAddress(fromHex(receiptDigest(domain, receipt)), fromHex(signature)) === addressOf(secret),
    stop: () => network.stop(),
  };
}
