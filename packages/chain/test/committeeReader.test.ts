import { ChainView, CommitteeReader } from '@cloister/chain';
import { type Hex, zeroAddress, zeroBytes32 } from '@cloister/core';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import type { StubGatekeeper } from './stubCommittee.ts';
import { StubRegistries } from './stubRegistries.ts';
import { StubRpc } from './stubRpc.ts';

const address = (byte: string) => `0x${byte.repeat(20)}` as const;
const bytes32 = (byte: string) => `0x${byte.repeat(32)}` as const;
const contracts = {
  timelock: address('01'),
  phaToken: address('02'),
  imageRegistry: address('03'),
  workerRegistry: address('04'),
  appRegistry: address('05'),
  // Letters, so that a checksummed address differs from the lower-case one.
  gatekeeperCommittee: address('c6'),
  epochRecords: address('c7'),
  payments: address('d1'),
  stakePools: address('d2'),
  workerBonds: address('d3'),
  slashing: address('d4'),
  emission: address('d5'),
  epochRewards: address('d6'),
  storageRent: address('d7'),
  governor: address('d8'),
};
const gatekeeper = (byte: string): StubGatekeeper => ({
  operator: address(`a${byte}`),
  signer: address(`b${byte}`),
  hpkeKey: bytes32(`c${byte}`),
  endpoint: `http://gatekeeper-${byte}`,
  leaseUntil: 2_000_000_000n,
  eligible: true,
  bond: 5n,
});
const [one, two, three] = [gatekeeper('1'), gatekeeper('2'), gatekeeper('3')] as const;
const asRead = ({ operator, signer, hpkeKey, endpoint }: StubGatekeeper) => ({ operator, signer, hpkeKey, endpoint });
const keys: { readonly apps: Hex; readonly beacon: Hex } = {
  apps: `0x${'a5'.repeat(48)}`,
  beacon: `0x${'b5'.repeat(48)}`,
};

let rpc: StubRpc;
let other: StubRpc;
let registries: StubRegistries;
let reader: CommitteeReader;
beforeEach(async () => {
  [rpc, other] = await Promise.all([new StubRpc().start(), new StubRpc().start()]);
  registries = new StubRegistries(31337, contracts);
  for (const node of [rpc, other]) {
    node.contracts = registries.answer;
    node.mine(1_800_000_000n);
  }
  other.blocks = [...rpc.blocks];
  reader = new CommitteeReader(new ChainView({ chainId: 31337, rpcs: [rpc.url, other.url] }), contracts);
});
afterEach(async () => {
  vi.useRealTimers();
  await Promise.all([rpc.stop(), other.stop()]);
});

const asks = () => rpc.asks('eth_getLogs');

describe('the committee at a block', () => {
  test('before there are keys: who would be in it, and how many may be', async () => {
    registries.committee.next = { members: [one, two], threshold: 2, eligibleCount: 3 };
    registries.committee.diversityWaived = true;
    rpc.logs = [registries.committee.registeredLog(one)];
    expect(await reader.status(1n)).toEqual({
      generation: {
        number: 0n,
        since: 0n,
        threshold: 0,
        digest: zeroBytes32,
        publicSharesHash: zeroBytes32,
        members: [],
      },
      next: { threshold: 2, members: [asRead(one), { ...asRead(two), endpoint: '' }], eligibleCount: 3 },
      isDiversityWaived: true,
      keys: undefined,
    });
  });

  test('with keys: members in the order of their indices, in lower case, each with its endpoint', async () => {
    const { committee } = registries;
    const generation = { number: 4n, since: 1_800_000_000n, threshold: 2, digest: bytes32('d1') };
    Object.assign(committee, { generation: { ...generation, publicSharesHash: bytes32('d2') }, keys });
    committee.members = [two, one];
    committee.next = { members: [one, three], threshold: 2, eligibleCount: 2 };
    rpc.logs = [one, two, three].map((member) => committee.registeredLog(member));
    const status = await reader.status(1n);
    expect(status.generation).toEqual({
      ...generation,
      publicSharesHash: bytes32('d2'),
      members: [asRead(two), asRead(one)],
    });
    expect(status.next.members).toEqual([asRead(one), asRead(three)]);
    expect(status.keys).toEqual(keys);
    expect(status.isDiversityWaived).toBe(false);
  });

  test('as all RPCs have it, all of it at that block', async () => {
    const at = new Set<string>();
    rpc.contracts = (call) => {
      at.add(call.at);
      return registries.answer(call);
    };
    await reader.status(0n);
    await reader.gatekeeper(one.operator, 0n);
    await reader.imageAllowed(bytes32('1a'), 0n);
    await reader.networkKeysHash(0n);
    await reader.teePolicy(2, 0n);
    expect([...at]).toEqual(['0x0']);
    const lying = new StubRegistries(31337, contracts);
    lying.committee.keys = keys;
    other.contracts = lying.answer;
    await expect(reader.status(1n)).rejects.toMatchObject({ code: 'CHAIN_SPLIT' });
  });
});

describe('an endpoint', () => {
  beforeEach(() => {
    registries.committee.next = { members: [one], threshold: 1, eligibleCount: 1 };
    vi.useFakeTimers({ toFake: ['Date'] });
  });
  const endpoint = async () => (await reader.status(1n)).next.members[0]?.endpoint;

  test('is that of the enclave’s last registration, as the first RPC lists it', async () => {
    const { committee } = registries;
    const elsewhere = { ...one, operator: address('ee') };
    rpc.logs = [
      committee.registeredLog({ ...one, endpoint: 'http://before' }),
      committee.registeredLog(one),
      committee.registeredLog({ ...elsewhere, signer: address('ef'), endpoint: 'http://another-enclave' }),
    ];
    other.logs = [committee.registeredLog({ ...one, endpoint: 'http://the-second-rpc' })];
    expect(await endpoint()).toBe(one.endpoint);
    expect(other.asks('eth_getLogs')).toBe(0);
  });

  test('serves for a while, and is read again then', async () => {
    rpc.logs = [registries.committee.registeredLog(one)];
    expect(await endpoint()).toBe(one.endpoint);
    rpc.logs.push(registries.committee.registeredLog({ ...one, endpoint: 'http://moved' }));
    vi.setSystemTime(Date.now() + 15_000);
    expect(await endpoint()).toBe(one.endpoint);
    expect(asks()).toBe(1);
    vi.setSystemTime(Date.now() + 1);
    expect(await endpoint()).toBe('http://moved');
    expect(asks()).toBe(2);
  });

  test('that is unknown is sought each time; one enclave is sought once, wherever it stands', async () => {
    registries.committee.members = [one];
    expect([await endpoint(), await endpoint()]).toEqual(['', '']);
    expect(asks()).toBe(2);
    rpc.logs = [registries.committee.registeredLog(one)];
    expect(await endpoint()).toBe(one.endpoint);
  });
});

describe('a gatekeeper’s registration', () => {
  test('is read by its operator; nothing where there is none', async () => {
    registries.committee.gatekeepers.set(one.operator, one);
    const { signer, hpkeKey, leaseUntil, eligible, bond } = one;
    expect(await reader.gatekeeper(one.operator)).toEqual({ signer, hpkeKey, leaseUntil, eligible, bond });
    expect(await reader.gatekeeper(two.operator)).toEqual({
      signer: zeroAddress,
      hpkeKey: zeroBytes32,
      leaseUntil: 0n,
      eligible: false,
      bond: 0n,
    });
  });

  test('needs an image that the gatekeepers’ own registry allows, and a type with a policy', async () => {
    const [mine, workers] = [bytes32('1a'), bytes32('1b')];
    registries.committee.images.add(mine);
    registries.images.add(workers);
    expect([await reader.imageAllowed(mine), await reader.imageAllowed(workers)]).toEqual([true, false]);
    expect(await reader.teePolicy(2)).toMatchObject({ minimumTcbEvaluationDataNumber: 18, verifier: address('7e') });
    expect(await reader.teePolicy(1)).toBeUndefined();
  });

  test('is bound to the committee’s keys, not to those that the workers’ registry has', async () => {
    registries.committee.networkKeysHash = bytes32('5a');
    registries.networkKeysHash = bytes32('5b');
    expect(await reader.networkKeysHash()).toBe(bytes32('5a'));
  });
});
