import { createSimulatedPlatform, makeSimulatedRoot } from '@cloister/attestation/unsafe-simulated';
import { fromBase64, toBase64 } from '@cloister/attestation/verify';
import {
  dstackImageId,
  dstackMrConfigId,
  guestReportData,
  mrConfigIdOf,
  type NetworkFile,
  networkFileId,
  type WorkerAnnouncement,
  workerReportData,
  zeroAddress,
  zeroBytes32,
} from '@cloister/core';
import { concatBytes, fromHex, generateSecp256k1, toHex } from '@cloister/crypto';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { offersKind, signerOf, WorkerRefusedError, WorkerVerifier } from '../src/verifyWorker.ts';
import { address, bytes32, image, nowSeconds, SimulatedNetwork, type StubWorker } from './simulatedNetwork.ts';

let network: SimulatedNetwork;
let worker: StubWorker;

beforeEach(async () => {
  network = await SimulatedNetwork.start();
  worker = await network.addWorker();
});
afterEach(() => network.stop());

const order = [
  'chain-fresh',
  'evidence',
  'policy',
  'image',
  'network-file',
  'binding',
  'block',
  'registered',
  'lease',
  'accepted',
  'key',
];

function verify(announcement: WorkerAnnouncement, file: NetworkFile = network.file) {
  return new WorkerVerifier({ network: file, registry: network.reader() }).verify(announcement);
}

async function refusalOf(announcement: WorkerAnnouncement, file?: NetworkFile): Promise<WorkerRefusedError> {
  const error = await verify(announcement, file).then(
    () => expect.fail('It was accepted'),
    (thrown: unknown) => thrown,
  );
  if (error instanceof WorkerRefusedError) return error;
  throw error;
}

/** The evidence's binding with one thing in it changed. */
function boundTo(changes: Partial<Parameters<typeof workerReportData>[0]>, blockHash = network.rpc.blocks[2]?.hash) {
  const binding = {
    ...network.domain,
    operator: worker.operator,
    receiptSigner: worker.receiptSigner,
    networkKeysHash: zeroBytes32,
    ...changes,
  };
  return worker.evidence({ reportData: workerReportData(binding, blockHash ?? zeroBytes32) });
}

function flipped(evidence: WorkerAnnouncement['evidence'], at: number): WorkerAnnouncement['evidence'] {
  const quote = Uint8Array.from(fromBase64(String(evidence.quote), 'quote'));
  quote[at] = (quote[at] ?? 0) ^ 1;
  return { ...evidence, quote: toBase64(quote) };
}

const withEvidence = (evidence: WorkerAnnouncement['evidence']): WorkerAnnouncement => ({
  ...worker.announcement,
  evidence,
});
const otherSigner = generateSecp256k1();
const composeHash = bytes32(0xc5);
const dstackWorker = () => withEvidence(worker.evidence({ mrConfigId: dstackMrConfigId(composeHash) }));

describe('a worker for which everything holds', () => {
  test('is verified step by step, in the order of trust', async () => {
    const verified = await verify(worker.announcement);
    expect(verified.steps.map(({ id }) => id)).toEqual(order);
    expect(verified.steps.every(({ ok }) => ok)).toBe(true);
    expect(verified).toMatchObject({
      workerId: worker.workerId,
      receiptSigner: worker.receiptSigner,
      operator: worker.operator,
      kinds: 1,
      attestedBy: 'chain',
      claims: { teeType: 'tdx', simulated: true, tcbStatus: 'UpToDate' },
    });
    expect(toHex(verified.keyConfig)).toBe(worker.announcement.keyConfigs[0]?.config);
    expect(verified.steps.find(({ id }) => id === 'evidence')?.title).toContain('SIMULATED');
  });

  test.each([
    [1, 'chain', 'the chain itself'],
    [2, 'committee', "the network's committee"],
  ] as const)('says who checked its evidence for the registry (%i)', async (attestedBy, name, words) => {
    network.registries.attestedBy = attestedBy;
    const verified = await verify(worker.announcement);
    expect(verified.attestedBy).toBe(name);
    const registered = verified.steps.find(({ id }) => id === 'registered');
    expect(registered?.detail).toContain(`evidence checked by ${words}`);
  });

  test('is verified again with the same verifier, from what it remembers', async () => {
    const verifier = new WorkerVerifier({ network: network.file, registry: network.reader() });
    await verifier.verify(worker.announcement);
    network.registries.images.clear();
    await expect(verifier.verify(worker.announcement)).rejects.toMatchObject({ code: 'WORKER_IMAGE_NOT_ALLOWED' });
  });

  test('a clock that is given in is the one that says how old the chain is', async () => {
    const at = (offSeconds: number) =>
      new WorkerVerifier({
        network: network.file,
        registry: network.reader(),
        clockMs: () => (Number(network.rpc.head.timestamp) + offSeconds) * 1_000,
      }).verify(worker.announcement);
    expect((await at(180)).workerId).toBe(worker.workerId);
    await expect(at(181)).rejects.toMatchObject({ code: 'WORKER_CHAIN_STALE' });
    vi.spyOn(Date, 'now').mockReturnValue(0);
    expect((await at(0)).workerId).toBe(worker.workerId);
    vi.restoreAllMocks();
  });

  test('in a dstack CVM is verified by the app that its image covers and that the registry allows', async () => {
    network.registries.images.add(dstackImageId(image, composeHash));
    network.registries.configs.add(composeHash);
    const verified = await verify(dstackWorker());
    expect(verified.claims).toMatchObject({ composeHash, configId: composeHash });
    expect(verified.steps.map(({ id }) => id)).toEqual(order);
    expect(verified.steps.find(({ id }) => id === 'network-file')?.detail).toContain(composeHash);
  });

  test('a registry that accepts more than this package does not make it accept more', async () => {
    network.registries.teePolicy.acceptedTcbStatuses = 0x7e;
    const outOfDate = worker.evidence({ quote: { teeTcbSvn: Uint8Array.from([3, 1, ...new Array(14).fill(0)]) } });
    await expect(verify(withEvidence(outOfDate))).rejects.toMatchObject({ code: 'WORKER_EVIDENCE_REFUSED' });
    network.registries.teePolicy.verifier = zeroAddress;
    expect((await verify(worker.announcement)).claims.tcbStatus).toBe('UpToDate');
  });

  test('the first key that is good now is taken', async () => {
    const good = worker.announcement.keyConfigs[0] ?? expect.fail();
    const later = await worker.newKey({ notBefore: BigInt(nowSeconds() + 600) });
    const verified = await verify({ ...worker.announcement, keyConfigs: [later, good] });
    expect(toHex(verified.keyConfig)).toBe(good.config);
  });
});

/** One fact changed; which step must fail, with which code. */
type Case = {
  readonly name: string;
  readonly step: string;
  readonly code: string;
  /** Changes the network where needed, and gives what is announced. */
  readonly arrange: () => WorkerAnnouncement | Promise<WorkerAnnouncement>;
};

const cases: readonly Case[] = [
  {
    name: 'the chain of all RPCs stands still',
    step: 'chain-fresh',
    code: 'WORKER_CHAIN_STALE',
    arrange() {
      network.rpc.blocks = network.rpc.blocks.map((block) => ({ ...block, timestamp: block.timestamp - 400n }));
      return worker.announcement;
    },
  },
  {
    name: 'evidence under a root of somebody else',
    step: 'evidence',
    code: 'WORKER_EVIDENCE_REFUSED',
    arrange: () =>
      withEvidence(
        worker.evidence({
          platform: createSimulatedPlatform(makeSimulatedRoot(nowSeconds()), { now: nowSeconds() }),
        }),
      ),
  },
  ...[0, 60, 184, 400, 600, 640, 700, 1_200, 2_000].map((at) => ({
    name: `a flipped bit in byte ${at} of the quote`,
    step: 'evidence',
    code: 'WORKER_EVIDENCE_REFUSED',
    arrange: () => withEvidence(flipped(worker.announcement.evidence, at)),
  })),
  {
    name: 'collateral of another root',
    step: 'evidence',
    code: 'WORKER_EVIDENCE_REFUSED',
    arrange() {
      const foreign = worker.evidence({
        platform: createSimulatedPlatform(makeSimulatedRoot(nowSeconds()), { now: nowSeconds() }),
      });
      return withEvidence({ ...worker.announcement.evidence, collateral: foreign.collateral ?? null });
    },
  },
  {
    name: 'evidence that is none',
    step: 'evidence',
    code: 'WORKER_EVIDENCE_REFUSED',
    arrange: () => withEvidence({ format: 'cloister-evidence-1' }),
  },
  {
    name: 'a TD under debug',
    step: 'policy',
    code: 'WORKER_EVIDENCE_REFUSED',
    arrange: () => withEvidence(worker.evidence({ quote: { tdAttributes: fromHex('0100001000000000') } })),
  },
  {
    name: 'a TCB status that the registry no longer accepts',
    step: 'policy',
    code: 'WORKER_EVIDENCE_REFUSED',
    arrange() {
      network.registries.teePolicy.acceptedTcbStatuses = 0b100;
      return worker.announcement;
    },
  },
  {
    name: 'a verdict by older data than the registry asks for',
    step: 'policy',
    code: 'WORKER_EVIDENCE_REFUSED',
    arrange() {
      network.registries.teePolicy.minimumTcbEvaluationDataNumber = 21;
      return worker.announcement;
    },
  },
  {
    name: 'an image that is not allowed',
    step: 'image',
    code: 'WORKER_IMAGE_NOT_ALLOWED',
    arrange: () => withEvidence(worker.evidence({ image: { ...image, rtmr2: new Uint8Array(48).fill(0xb3) } })),
  },
  {
    name: 'an image that was taken back',
    step: 'image',
    code: 'WORKER_IMAGE_NOT_ALLOWED',
    arrange() {
      network.registries.images.clear();
      return worker.announcement;
    },
  },
  {
    name: 'a worker that runs with another network file',
    step: 'network-file',
    code: 'WORKER_OTHER_NETWORK',
    arrange: () =>
      withEvidence(worker.evidence({ mrConfigId: mrConfigIdOf(networkFileId({ ...network.file, name: 'other' })) })),
  },
  {
    name: 'a dstack app on a system that is allowed without it',
    step: 'image',
    code: 'WORKER_IMAGE_NOT_ALLOWED',
    arrange() {
      network.registries.configs.add(composeHash);
      return dstackWorker();
    },
  },
  {
    name: 'a dstack app that is not allowed',
    step: 'network-file',
    code: 'WORKER_OTHER_NETWORK',
    arrange() {
      network.registries.images.add(dstackImageId(image, composeHash));
      return dstackWorker();
    },
  },
  {
    name: 'an allowed compose hash in the place of the network file',
    step: 'network-file',
    code: 'WORKER_OTHER_NETWORK',
    arrange() {
      network.registries.configs.add(composeHash);
      return withEvidence(worker.evidence({ mrConfigId: mrConfigIdOf(composeHash) }));
    },
  },
  {
    name: 'something else behind the id in MRCONFIGID',
    step: 'network-file',
    code: 'WORKER_OTHER_NETWORK',
    arrange: () => withEvidence(worker.evidence({ mrConfigId: mrConfigIdOf(networkFileId(network.file)).with(47, 1) })),
  },
  ...(
    [
      ['operator', { operator: address(0x66) }],
      ['receipt signer', { receiptSigner: address(0x66) }],
      ['registry', { registry: address(0x66) }],
      ['chain', { chainId: 1 }],
      ['network keys', { networkKeysHash: `0x${'66'.repeat(32)}` as const }],
    ] as const
  ).map(([what, changes]) => ({
    name: `a quote bound to another ${what}`,
    step: 'binding',
    code: 'WORKER_BINDING_MISMATCH',
    arrange: () => withEvidence(boundTo(changes)),
  })),
  {
    name: 'an announcement that names another operator than the quote',
    step: 'binding',
    code: 'WORKER_BINDING_MISMATCH',
    arrange: () => ({ ...worker.announcement, operator: address(0x66) }),
  },
  {
    name: 'an announcement that names another receipt signer than the quote',
    step: 'binding',
    code: 'WORKER_BINDING_MISMATCH',
    arrange: () => ({ ...worker.announcement, receiptSigner: address(0x66) }),
  },
  {
    name: 'a quote that names another block',
    step: 'block',
    code: 'WORKER_BLOCK_MISMATCH',
    arrange: () => withEvidence(boundTo({}, network.rpc.blocks[3]?.hash)),
  },
  {
    name: 'an announcement that names another block than the quote',
    step: 'block',
    code: 'WORKER_BLOCK_MISMATCH',
    arrange: () => ({ ...worker.announcement, attestedBlock: 3n }),
  },
  {
    name: 'a block that the chain does not have yet',
    step: 'block',
    code: 'WORKER_BLOCK_MISMATCH',
    arrange: () => ({ ...worker.announcement, attestedBlock: 2n ** 64n - 1n }),
  },
  {
    name: 'a block that the RPCs no longer have',
    step: 'block',
    code: 'WORKER_BLOCK_MISMATCH',
    arrange() {
      network.rpc.intercept = (method, [tag]) =>
        method === 'eth_getBlockByNumber' && tag === '0x2' ? null : undefined;
      return { ...worker.announcement, attestedBlock: 2n };
    },
  },
  {
    name: 'a worker that nobody registered',
    step: 'registered',
    code: 'WORKER_NOT_REGISTERED',
    arrange: () => ({ ...worker.announcement, workerId: `0x${'77'.repeat(32)}` }),
  },
  {
    name: 'a worker that was evicted',
    step: 'registered',
    code: 'WORKER_NOT_REGISTERED',
    arrange: () => onChain({ state: 'evicted' }),
  },
  {
    name: 'a worker that was retired',
    step: 'registered',
    code: 'WORKER_NOT_REGISTERED',
    arrange: () => onChain({ state: 'retired' }),
  },
  {
    name: 'a worker that the chain knows with another signer',
    step: 'registered',
    code: 'WORKER_NOT_REGISTERED',
    arrange: () => onChain({ receiptSigner: address(0x66) }),
  },
  {
    name: 'a worker that the chain knows with another operator',
    step: 'registered',
    code: 'WORKER_NOT_REGISTERED',
    arrange: () => onChain({ operator: address(0x66) }),
  },
  {
    name: 'a lease that is over',
    step: 'lease',
    code: 'WORKER_LEASE_EXPIRED',
    arrange: () => onChain({ leaseUntil: network.rpc.head.timestamp }),
  },
  {
    name: 'a machine that governance refuses',
    step: 'accepted',
    code: 'WORKER_NOT_ACCEPTED',
    arrange() {
      network.registries.blockedPlatforms.add(worker.platformId);
      return worker.announcement;
    },
  },
  {
    name: 'a TCB that newer collateral on the chain no longer accepts, though its evidence shows older',
    step: 'accepted',
    code: 'WORKER_NOT_ACCEPTED',
    arrange() {
      network.registries.recheck = { status: 7, tcbEvaluationDataNumber: 19 };
      return worker.announcement;
    },
  },
  {
    name: 'a registration whose record no RPC lists',
    step: 'accepted',
    code: 'WORKER_NOT_ACCEPTED',
    arrange() {
      network.rpc.logs = [];
      return worker.announcement;
    },
  },
  {
    name: 'a key signed by another signer',
    step: 'key',
    code: 'WORKER_KEY_INVALID',
    arrange: async () => withKey(await worker.newKey({ signer: otherSigner })),
  },
  {
    name: 'a key signed for another chain',
    step: 'key',
    code: 'WORKER_KEY_INVALID',
    arrange: async () => withKey(await worker.newKey({ domain: { ...network.domain, chainId: 1 } })),
  },
  {
    name: 'a key signed for another registry',
    step: 'key',
    code: 'WORKER_KEY_INVALID',
    arrange: async () => withKey(await worker.newKey({ domain: { ...network.domain, registry: address(0x66) } })),
  },
  {
    name: 'a key that is not valid yet',
    step: 'key',
    code: 'WORKER_KEY_INVALID',
    arrange: async () => withKey(await worker.newKey({ notBefore: network.rpc.head.timestamp + 60n })),
  },
  {
    name: 'a key that is no longer valid',
    step: 'key',
    code: 'WORKER_KEY_INVALID',
    arrange: async () => withKey(await worker.newKey({ notAfter: network.rpc.head.timestamp })),
  },
  {
    name: 'a key that outlives the lease',
    step: 'key',
    code: 'WORKER_KEY_INVALID',
    arrange: async () => withKey(await worker.newKey({ notAfter: registered().leaseUntil + 1n })),
  },
  {
    name: 'a key whose bytes were changed',
    step: 'key',
    code: 'WORKER_KEY_INVALID',
    async arrange() {
      const key = await worker.newKey();
      const config = fromHex(key.config);
      return withKey({ ...key, config: toHex(config.with(10, (config[10] ?? 0) ^ 1)) });
    },
  },
  {
    name: 'a key whose times were changed',
    step: 'key',
    code: 'WORKER_KEY_INVALID',
    async arrange() {
      const key = await worker.newKey();
      return withKey({ ...key, notAfter: key.notAfter - 1n });
    },
  },
  {
    name: 'a signature that is none',
    step: 'key',
    code: 'WORKER_KEY_INVALID',
    arrange: async () => withKey({ ...(await worker.newKey()), signature: `0x${'00'.repeat(65)}` }),
  },
];

function registered() {
  return network.registries.workers.get(worker.workerId) ?? expect.fail('The worker is gone');
}

/** The worker as it announces itself, while the chain says something else. */
function onChain(changes: Partial<ReturnType<typeof registered>>): WorkerAnnouncement {
  Object.assign(registered(), changes);
  return worker.announcement;
}

function withKey(key: WorkerAnnouncement['keyConfigs'][number]): WorkerAnnouncement {
  return { ...worker.announcement, keyConfigs: [key] };
}

test('a quote that was made for a guest makes no worker, whatever the guest chose', async () => {
  const blockHash = network.rpc.blocks[2]?.hash ?? zeroBytes32;
  const binding = {
    ...network.domain,
    operator: worker.operator,
    receiptSigner: worker.receiptSigner,
    networkKeysHash: zeroBytes32,
  };
  const guest = { ...network.domain, app: bytes32(1), instance: bytes32(2) };
  const reportData = guestReportData(guest, workerReportData(binding, blockHash));
  const whole = await refusalOf(withEvidence(worker.evidence({ reportData })));
  expect(whole.code).toBe('WORKER_BINDING_MISMATCH');
  // Each half alone is enough to refuse it.
  const halves = [reportData.slice(0, 32), workerReportData(binding, blockHash).slice(0, 32)] as const;
  const withBlock = concatBytes(halves[0], fromHex(blockHash));
  expect((await refusalOf(withEvidence(worker.evidence({ reportData: withBlock })))).code).toBe(
    'WORKER_BINDING_MISMATCH',
  );
  const withoutBlock = concatBytes(halves[1], new Uint8Array(32));
  expect((await refusalOf(withEvidence(worker.evidence({ reportData: withoutBlock })))).code).toBe(
    'WORKER_BLOCK_MISMATCH',
  );
});

describe('one fact that does not hold refuses the worker, by its step and code', () => {
  test.each(cases)('$name', async ({ arrange, step, code }) => {
    const announcement = await arrange();
    const refusal = await refusalOf(announcement);
    expect(refusal).toMatchObject({ code, meta: { step } });
    // All that stands before the step in the order of trust was checked and held; nothing behind it was looked at.
    expect(refusal.steps.map(({ id, ok }) => `${id} ${ok}`)).toEqual([
      ...order.slice(0, order.indexOf(step)).map((id) => `${id} true`),
      `${step} false`,
    ]);
  });

  test('every step has a case', () => {
    expect([...new Set(cases.map(({ step }) => step))].sort()).toEqual([...order].sort());
  });

  test('simulated evidence is refused by a network that is not simulated', async () => {
    const real = { ...network.file, simulated: false };
    const evidence = worker.evidence({ mrConfigId: mrConfigIdOf(networkFileId(real)) });
    expect(await refusalOf(withEvidence(evidence), real)).toMatchObject({
      code: 'WORKER_EVIDENCE_REFUSED',
      meta: { step: 'policy' },
    });
  });

  test('an RPC that is away is no refusal of the worker', async () => {
    await network.rpc.stop();
    await expect(verify(worker.announcement)).rejects.toMatchObject({ code: 'CHAIN_UNREACHABLE' });
    await network.rpc.start();
  });
});

test('kinds are bits, signatures that are none have no signer', () => {
  expect([0, 1, 2, 3].map((kind) => offersKind(0b0101, kind))).toEqual([true, false, true, false]);
  expect(signerOf(zeroBytes32, '0x00')).toBeUndefined();
});
