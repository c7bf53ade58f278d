import type { CommitteeStatus, RegistryReader } from '@cloister/chain';
import {
  type Address,
  functionManifest,
  hostsPartition,
  MemberRefusedError,
  type NetworkFile,
  type StateHead,
  stateHeadMessage,
  stateRecordToJson,
  zeroBytes32,
} from '@cloister/core';
import { fromHex, SecretBytes, toHex } from '@cloister/crypto';
import { publicOf, signWithShare } from '@cloister/threshold/native';
import { beforeEach, describe, expect, test } from 'vitest';
import { readAppState } from '../src/appState.ts';
import type { Committee } from '../src/committee.ts';
import type { Storage } from '../src/storage/storage.ts';

/** The whole network key, as only a test has it. */
const networkKey = new SecretBytes(new Uint8Array(32).fill(5));
const publicKey = toHex(publicOf(networkKey));
const app = `0x${'a1'.repeat(32)}` as const;
const holder = `0x${'b2'.repeat(20)}` as Address;
const workerId = `0x${'c3'.repeat(32)}` as const;
const network = {
  chainId: 31_337,
  contracts: { workerRegistry: `0x${'04'.repeat(20)}` },
  networkKeys: { apps: publicKey, beacon: publicKey },
} as unknown as NetworkFile;
const domain = { chainId: network.chainId, registry: network.contracts.workerRegistry };

const head = (version: bigint, fence: bigint, partition = 0): StateHead => ({
  app,
  partition,
  version,
  fence,
  root: `0x${version.toString(16).padStart(64, '0')}`,
});
const certified = (of: StateHead) => ({
  ...of,
  signature: toHex(signWithShare(networkKey, fromHex(stateHeadMessage(domain, of)))),
});
const word = (of: StateHead | null, fence = of?.fence ?? 0n, by: Address = holder) =>
  stateRecordToJson({ generation: 1n, fence, holder: by, certified: of === null ? null : certified(of) });
const keepsNothing = () => {
  throw new MemberRefusedError('NOT_FOUND', 'See /v1/gatekeeper');
};

/** What each of four members answers, by partition. */
let members: ((partition: number) => unknown)[];
beforeEach(() => {
  members = Array(4).fill(() => word(head(7n, 3n)));
});

const committee = {
  status: async () => ({
    generation: {
      number: 1n,
      threshold: 3,
      members: [0, 1, 2, 3].map((index) => ({ operator: `0x${`0${index}`.repeat(20)}`, endpoint: `http://m${index}` })),
    },
  }),
  ask: async (endpoint: string, path: string) => {
    const [, asked, partition] = /^\/v1\/state\/(0x[0-9a-f]{64})\/([0-9]+)$/.exec(path) ?? expect.fail();
    expect(asked).toBe(app);
    return members[Number(endpoint.at(-1))]?.(Number(partition));
  },
} as unknown as Committee & { status(): Promise<CommitteeStatus> };
const registry = {
  currentApp: async () => ({ fields: { keyVersion: 2, minKeyVersion: 1 } }),
  workerOfSigner: async (signer: Address) => (signer === holder ? workerId : zeroBytes32),
} as unknown as RegistryReader;
const storage = { status: async () => ({ epoch: 4, rentals: [], gateways: [] }) } as unknown as Storage;

const read = (partitions = 1, wanted?: readonly number[], file = network) => {
  const state = partitions === 0 ? null : { partitions };
  const manifest = functionManifest({ name: 'a', code: { sha256: zeroBytes32, bytes: 1 }, state });
  const serving = { app, manifestId: zeroBytes32, version: 5, manifest };
  return readAppState({ network: file, registry, committee, storage }, serving, wanted);
};
const only = async () => (await read()).partitions[0] ?? expect.fail();

describe('readAppState', () => {
  test('says head and writer where all members agree', async () => {
    const state = await read();
    expect(state).toMatchObject({
      app,
      version: 5,
      partitionCount: 1,
      keyVersion: 2,
      committee: { generation: 1n, members: 4, threshold: 3 },
      storage: { epoch: 4 },
    });
    expect(state.partitions).toMatchObject([
      { partition: 0, head: head(7n, 3n), acknowledged: true, writer: { signer: holder, workerId, fence: 3n } },
    ]);
  });

  test('shows the highest signed head that one member has, and that it is not acknowledged', async () => {
    members[2] = () => word(head(8n, 3n));
    expect(await only()).toMatchObject({ head: { version: 8n }, acknowledged: false, writer: { fence: 3n } });
  });

  test('a head that the committee has not signed counts for nothing, and its member is named', async () => {
    members[1] = () => ({ ...word(head(7n, 3n)), certified: { version: '7' } });
    members[3] = () => ({
      ...word(head(7n, 3n)),
      certified: stateRecordToJson({ ...certified(head(7n, 3n)), version: 9n }),
    });
    const { head: shown, acknowledged, members: words } = await only();
    expect([shown?.version, acknowledged]).toEqual([7n, false]);
    expect(words[1]?.failed).toMatch(/certified state head/);
    expect(words[3]).toMatchObject({ head: null, failed: "its head is not signed by the network's key" });
  });

  test('a signed head of another partition is none of this one', async () => {
    members[0] = () => word(head(99n, 3n, 1));
    expect((await only()).members[0]?.failed).toBe('its head is of another partition');
    expect((await only()).head?.version).toBe(7n);
  });

  test('no writer where fewer than a threshold have promised alike', async () => {
    members[0] = () => word(head(7n, 3n), 4n);
    members[1] = () => word(head(7n, 3n), 4n, `0x${'dd'.repeat(20)}`);
    expect(await only()).toMatchObject({ writer: null, acknowledged: true });
  });

  test('members that are away, keep nothing, or answer nonsense', async () => {
    members = [
      () => Promise.reject(new Error('connection refused')),
      keepsNothing,
      () => ({ fence: -1, holder }),
      () => word(null, 2n),
    ];
    const partition = await only();
    expect(partition).toMatchObject({ head: null, acknowledged: false, writer: null });
    expect(partition.members.map(({ failed }) => failed)).toEqual([
      'connection refused',
      undefined,
      'its answer has another form',
      undefined,
    ]);
    expect(partition.members[3]).toMatchObject({ fence: 2n, holder });
  });

  test('nobody is named by a fence that members have only seen', async () => {
    members = Array(4).fill(() => word(head(7n, 3n), 3n, `0x${'00'.repeat(20)}`));
    expect(await only()).toMatchObject({ writer: null, acknowledged: true });
  });

  test('the partitions that are asked for, and none that the manifest does not give', async () => {
    members = Array(4).fill((partition: number) => (partition === 3 ? word(head(7n, 3n, 3)) : keepsNothing()));
    expect((await read(20)).partitions.map(({ partition }) => partition)).toEqual([...Array(20).keys()]);
    expect((await read(20, [19, 3])).partitions.map(({ head: of }) => of?.partition)).toEqual([undefined, 3]);
    for (const wanted of [20, -1, 1.5, Number.NaN])
      await expect(read(20, [wanted])).rejects.toMatchObject({ code: 'STATE_PARTITION_UNKNOWN' });
  });

  test('the partition in which hosts note what they do by themselves, where they do', async () => {
    members = Array(4).fill((partition: number) => word(head(7n, 3n, partition)));
    const schedules = [{ cron: '* * * * *' }];
    const manifest = functionManifest({ name: 'a', code: { sha256: zeroBytes32, bytes: 1 }, schedules });
    const serving = { app, manifestId: zeroBytes32, version: 5, manifest };
    const { partitionCount, partitions } = await readAppState(
      { network, registry, committee, storage },
      serving,
      undefined,
    );
    expect([partitionCount, partitions.map(({ partition }) => partition)]).toEqual([0, [hostsPartition]]);
  });

  test('an app without state has no partitions; a network without committee no state', async () => {
    expect(await read(0)).toMatchObject({ partitionCount: 0, partitions: [], storage: { epoch: 4 } });
    await expect(read(1, undefined, { ...network, networkKeys: null })).rejects.toMatchObject({
      code: 'STATE_NO_COMMITTEE',
    });
  });
});
