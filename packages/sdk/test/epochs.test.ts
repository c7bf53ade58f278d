import { type ChainLog, onChainRecord, type RegistryReader } from '@cloister/chain';
import {
  type Address,
  type Bytes32,
  commitmentTo,
  type EpochIndex,
  type EpochRecord,
  epochIndexToJson,
  epochRecordDigest,
  type MeasurementVector,
  measurementPublicationDigest,
  measurementVectorBytes,
  measurementVectorId,
  merkleRoot,
  type NetworkFile,
  publicationId,
  type SignedMeasurementPublication,
} from '@cloister/core';
import { addressOf, fromHex, generateSecp256k1, signDigest, toHex } from '@cloister/crypto';
import { directoryLeaf, type EpochData, epochDataOf, rewardLeaf } from '@cloister/economics';
import { beforeEach, describe, expect, test } from 'vitest';
import { Epochs } from '../src/epochs.ts';
import { address, bytes32 } from './simulatedNetwork.ts';

const domain = { chainId: 31337, registry: address(0x11) };
const contracts = {
  workerRegistry: domain.registry,
  gatekeeperCommittee: address(0x22),
  epochRecords: address(0x33),
  payments: address(0xd1),
  stakePools: address(0xd2),
  workerBonds: address(0xd3),
  slashing: address(0xd4),
  emission: address(0xd5),
  epochRewards: address(0xd6),
  storageRent: address(0xd7),
  governor: address(0xd8),
} as NetworkFile['contracts'];
const clock = { genesis: 1_000n, epochLength: 100n, roundLength: 10n };
const epoch = 1n;
/** Blocks of 10 seconds from the genesis on: 20 is the first after epoch 1. */
const block = (number: bigint) => ({
  number,
  hash: bytes32(Number(number)) as Bytes32,
  timestamp: 1_000n + 10n * number,
});

type Member = {
  readonly operator: Address;
  readonly signer: Address;
  readonly sign: (digest: Bytes32) => `0x${string}`;
};
const members: readonly Member[] = [1, 2, 3].map((byte) => {
  const secret = generateSecp256k1();
  return {
    operator: address(byte),
    signer: addressOf(secret),
    sign: (digest) => toHex(signDigest(secret, fromHex(digest))),
  };
});
const workers = [1, 2].map((byte) => ({
  workerId: bytes32(byte) as Bytes32,
  signer: address(0x50 + byte),
  platformId: bytes32(0x60 + byte) as Bytes32,
  operator: address(0x70),
  teeType: 2,
  stake: 1n,
}));
const evicted = address(0x99);

const vectors = members.map(
  ({ operator }, index): MeasurementVector => ({
    format: 'cloister-measurements-1',
    epoch,
    member: operator,
    releaseLogHead: bytes32(0x80 + index) as Bytes32,
    workers: workers.map(({ workerId }) => ({
      workerId,
      asked: 60,
      answered: 60 - index,
      latencyMs: 20,
      work: 50_000n,
    })),
  }),
);
const saltOf = (index: number): Bytes32 => bytes32(0x90 + index) as Bytes32;
const seen = vectors.map((vector, index) => ({
  member: vector.member,
  commitment: commitmentTo(measurementVectorId(vector), saltOf(index)),
}));
const publications: readonly SignedMeasurementPublication[] = vectors.map((vector, index) => {
  const publication = {
    epoch,
    member: vector.member,
    vectorId: measurementVectorId(vector),
    salt: saltOf(index),
    seen,
  };
  const signature = (members[index] as Member).sign(measurementPublicationDigest(domain, publication));
  return { ...publication, signature };
});

/** What follows. */
const dataOf = (changes: Partial<Parameters<typeof epochDataOf>[0]> = {}): EpochData =>
  epochDataOf({
    epoch,
    attempt: 2,
    block: 20n,
    blockHash: block(20n).hash,
    beacon: bytes32(0xbe) as Bytes32,
    members: members.map(({ operator }) => operator),
    threshold: 2,
    publications,
    vectors: new Map(vectors.map((vector) => [measurementVectorId(vector), vector])),
    workers,
    evicted: [evicted],
    earners: { budget: 0n, bondFactor: 0n, workers: [] },
    ...changes,
  });

let posted: EpochRecord;
/** Of the first worker; none where it is zero. */
let bond: bigint;
let finalized: bigint;
/** What each member serves, by its host; undefined for no answer. */
let serve: (host: string, path: string) => Response | undefined;
const basis = publications.map(publicationId);
const indexOf = (record: EpochRecord, changes: Partial<EpochIndex> = {}): EpochIndex => ({
  epoch,
  commitments: [],
  publications,
  candidates: [{ record, basis, signatures: [`0x${'ab'.repeat(65)}`] }],
  ...changes,
});
const honest = (_: string, path: string): Response | undefined => {
  const id = path.split('/').at(-1);
  const vector = vectors.find((one) => measurementVectorId(one) === id);
  if (vector !== undefined) return new Response(measurementVectorBytes(vector).slice());
  return path === `/v1/epochs/${epoch}` ? Response.json(epochIndexToJson(indexOf(posted))) : undefined;
};

beforeEach(() => {
  posted = dataOf().record;
  finalized = 40n;
  bond = 0n;
  serve = honest;
});

function logsOf({
  address: of,
  fromBlock,
  toBlock,
}: {
  address: Address;
  fromBlock: bigint;
  toBlock: bigint;
}): ChainLog[] {
  const logs: Record<Address, ChainLog[]> = {
    [contracts.workerRegistry]: [
      ...workers,
      { ...(workers[0] as (typeof workers)[0]), workerId: bytes32(3), signer: evicted },
    ].map(({ workerId, signer, platformId, operator, teeType }) => ({
      eventName: 'WorkerRegistered',
      blockNumber: 3n,
      args: {
        workerId,
        leaseUntil: 5_000n,
        record: { operator, receiptSigner: signer, platformId, imageId: bytes32(9), teeType, kinds: 1 },
      },
    })),
    [contracts.gatekeeperCommittee]: [
      {
        eventName: 'HandedOver',
        blockNumber: 2n,
        args: {
          generation: 1n,
          threshold: 2,
          operators: members.map(({ operator }) => operator),
          signers: members.map(({ signer }) => signer),
        },
      },
    ],
    [contracts.epochRecords]: [
      {
        eventName: 'EpochRecorded',
        blockNumber: 30n,
        args: { epoch, digest: epochRecordDigest(domain, posted), record: onChainRecord(posted) },
      },
    ],
  };
  if (bond > 0n)
    logs[contracts.workerBonds] = [
      {
        eventName: 'WorkerStarted',
        blockNumber: 5n,
        args: { workerId: workers[0]?.workerId, pool: workers[0]?.operator, bond },
      },
    ];
  logs[contracts.workerRegistry]?.push({
    eventName: 'WorkerEvicted',
    blockNumber: 4n,
    args: { workerId: bytes32(3), receiptSigner: evicted },
  });
  return (logs[of] ?? []).filter(({ blockNumber }) => blockNumber >= fromBlock && blockNumber <= toBlock);
}

function epochs(): Epochs {
  const view = {
    head: async () => block(45n),
    finalized: async () => block(finalized),
    blockAt: async (number: bigint) => block(number),
    blockOn: async (_: unknown, number: bigint) => block(number),
    read: async ({ functionName, args }: { functionName: string; args: readonly bigint[] }) =>
      ({
        k: 5n,
        splitOf: { treasuryBps: 0, gatekeepersBps: 0 },
        emittedAfter: functionName === 'emittedAfter' ? 10n * (args[0] ?? 0n) : 0n,
        digestOf: bytes32(1),
        teePolicyOf: { verifier: address(0xd9) },
        recheck: [1, 1, 1n],
      })[functionName],
    logs: async (query: Parameters<typeof logsOf>[0]) => logsOf(query),
    logsUpTo: async (query: Omit<Parameters<typeof logsOf>[0], 'toBlock'>, { number }: { number: bigint }) =>
      logsOf({ ...query, toBlock: number }),
  };
  const committee = {
    status: async () => ({
      generation: { members: members.map(({ operator }) => ({ operator, endpoint: `http://member-${operator}` })) },
    }),
    beacon: async (round: bigint) => ({ round, randomness: bytes32(round === 10n ? 0xbe : 0) }),
  };
  return new Epochs({
    network: { chainId: domain.chainId, contracts } as NetworkFile,
    registry: { view, clock: async () => clock } as unknown as RegistryReader,
    committee: committee as never,
    fetch: (async (input: string | URL | Request) => {
      const url = new URL(String(input));
      const answer = serve(url.hostname, url.pathname);
      if (answer === undefined) throw new Error('connection refused');
      return answer;
    }) as typeof fetch,
  });
}

const isFrom = (host: string, index: number) => host === `member-${members[index]?.operator}`;

describe('records', () => {
  test('are listed as the chain has them', async () => {
    expect(await epochs().list()).toEqual([
      { record: posted, digest: epochRecordDigest(domain, posted), postedAt: 30n },
    ]);
  });
});

describe('an epoch computed anew', () => {
  test('is the one that was posted, from one member’s data too', async () => {
    const { differences, computed } = await epochs().recompute(epoch);
    expect(differences).toEqual([]);
    expect(computed).toEqual(posted);
    serve = (host, path) => (isFrom(host, 2) ? honest(host, path) : undefined);
    expect((await epochs().recompute(epoch)).differences).toEqual([]);
  });

  test('tells every field that does not follow', async () => {
    posted = { ...posted, beacon: bytes32(0xee) as Bytes32, totals: { ...posted.totals, work: 99n } };
    const { differences } = await epochs().recompute(epoch);
    expect(differences).toEqual([
      { field: 'beacon', posted: bytes32(0xee), computed: bytes32(0xbe) },
      { field: 'totals.work', posted: '99', computed: '100000' },
    ]);
  });

  test('names the false leaf, where somebody serves the leaves of the posted root', async () => {
    const { record, leaves } = dataOf();
    const [first, second] = leaves.directoryRoot;
    const says = { ...second?.says, signer: address(0xee) };
    const false2 = { leaf: directoryLeaf(says as never), says };
    posted = { ...record, directoryRoot: merkleRoot([first?.leaf as Bytes32, false2.leaf]) };
    const served = { ...leaves, directoryRoot: [first, false2] };
    serve = (host, path) =>
      path.includes('/leaves/')
        ? new Response(JSON.stringify(served, (_, value) => (typeof value === 'bigint' ? value.toString() : value)))
        : honest(host, path);
    const { differences } = await epochs().recompute(epoch);
    expect(differences).toHaveLength(1);
    expect(differences[0]).toMatchObject({
      field: 'directoryRoot',
      leaf: { index: 1, posted: { signer: address(0xee) }, computed: { signer: address(0x52) } },
    });
    // Leaves that do not make the root prove nothing.
    posted = { ...record, directoryRoot: bytes32(0xee) as Bytes32 };
    expect((await epochs().recompute(epoch)).differences).toEqual([
      { field: 'directoryRoot', posted: bytes32(0xee), computed: record.directoryRoot },
    ]);
  });

  test('names a false reward, by its leaf', async () => {
    const [{ workerId, platformId, operator }] = workers as [(typeof workers)[number]];
    bond = 10n ** 18n;
    const earners = {
      budget: 1_000n,
      bondFactor: 5n,
      workers: [{ workerId, platformId, operator, bond, tcbStatus: 1 }],
    };
    const stakes = workers.map((worker) => (worker.workerId === workerId ? { ...worker, stake: bond } : worker));
    const { record, leaves } = dataOf({ earners, workers: stakes });
    posted = record;
    expect(posted.totals.rewards).toBe(1_000n);
    expect((await epochs().recompute(epoch)).differences).toEqual([]);
    const says = { epoch, operator: address(0xee), amount: 1_000n };
    const false1 = { leaf: rewardLeaf(says), says };
    posted = { ...record, rewardsRoot: false1.leaf };
    const served = { ...leaves, rewardsRoot: [false1] };
    serve = (host, path) =>
      path.includes('/leaves/')
        ? new Response(JSON.stringify(served, (_, value) => (typeof value === 'bigint' ? value.toString() : value)))
        : honest(host, path);
    expect((await epochs().recompute(epoch)).differences).toMatchObject([
      {
        field: 'rewardsRoot',
        leaf: { index: 0, posted: { operator: address(0xee), amount: '1000' }, computed: { operator, amount: 1_000n } },
      },
    ]);
  });

  test('is not misled by a member that says it rests on something else, or serves other bytes', async () => {
    serve = (host, path) => {
      if (!isFrom(host, 0)) return honest(host, path);
      if (path.includes('/vectors/')) return new Response('{"no":"vector"}');
      const [candidate] = indexOf(posted).candidates;
      const index = indexOf(posted, {
        candidates: [{ ...(candidate as never as object), basis: basis.slice(1) } as never],
      });
      return Response.json(epochIndexToJson(index));
    };
    expect((await epochs().recompute(epoch)).differences).toEqual([]);
    serve = (host, path) => (isFrom(host, 0) ? new Response('x'.repeat(2_000_000)) : honest(host, path));
    expect((await epochs().recompute(epoch)).differences).toEqual([]);
  });

  test('counts no publication that its member did not sign', async () => {
    const forged = publications.map((publication, index) =>
      index === 0 ? { ...publication, signature: (members[1] as Member).sign(bytes32(1) as Bytes32) } : publication,
    );
    serve = (host, path) =>
      path === `/v1/epochs/${epoch}`
        ? Response.json(epochIndexToJson(indexOf(posted, { publications: forged })))
        : honest(host, path);
    const { differences } = await epochs().recompute(epoch);
    expect(differences.map(({ field }) => field)).toEqual(['measurementsRoot', 'releaseLogRoot', 'totals.members']);
  });

  test('needs somebody who serves what it rests on', async () => {
    const missing = expect.objectContaining({ code: 'EPOCH_DATA_MISSING' });
    serve = () => undefined;
    await expect(epochs().recompute(epoch)).rejects.toEqual(missing);
    serve = (host, path) => (path.includes('/vectors/') ? undefined : honest(host, path));
    await expect(epochs().recompute(epoch)).rejects.toEqual(missing);
    serve = (_, path) =>
      path === `/v1/epochs/${epoch}`
        ? Response.json(epochIndexToJson(indexOf(posted, { publications: publications.slice(1) })))
        : undefined;
    await expect(epochs().recompute(epoch)).rejects.toEqual(missing);
  });

  test('needs a record and a final end', async () => {
    await expect(epochs().recompute(7n)).rejects.toMatchObject({ code: 'EPOCH_NOT_RECORDED' });
    finalized = 19n;
    await expect(epochs().recompute(epoch)).rejects.toMatchObject({ code: 'EPOCH_NOT_FINAL', retry: true });
  });
});
