import { ChainAccount, ChainView, CommitteeReader } from '@cloister/chain';
import { type Address, type Bytes32, type Hex, handoverDigest, membersHash, networkKeysHash } from '@cloister/core';
import { randomBytes, toHex } from '@cloister/crypto';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { StubGatekeeper } from '../../../packages/chain/test/stubCommittee.ts';
import { StubRegistries } from '../../../packages/chain/test/stubRegistries.ts';
import { StubRpc } from '../../../packages/chain/test/stubRpc.ts';
import { ChainCommittee } from '../src/chainCommittee.ts';
import type { HandoverRecord, Member } from '../src/committeeState.ts';

const address = (byte: string): Address => `0x${byte.repeat(20)}`;
const bytes32 = (byte: string): Bytes32 => `0x${byte.repeat(32)}`;
const contracts = {
  timelock: address('01'),
  phaToken: address('02'),
  imageRegistry: address('03'),
  workerRegistry: address('04'),
  appRegistry: address('05'),
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
const domain = { chainId: 31337, registry: contracts.workerRegistry };
const gatekeeper = (byte: string, leaseUntil: bigint): StubGatekeeper => ({
  operator: address(`a${byte}`),
  signer: address(`b${byte}`),
  hpkeKey: bytes32(`c${byte}`),
  endpoint: '',
  leaseUntil,
  eligible: true,
  bond: 0n,
});
const people = [gatekeeper('1', 2_000n), gatekeeper('2', 3_000n), gatekeeper('3', 1_000n)] as const;
const memberOf = ({ operator, signer, hpkeKey, endpoint }: StubGatekeeper): Member => ({
  operator,
  signer,
  hpkeKey,
  endpoint,
});
const keys: { readonly apps: Hex; readonly beacon: Hex } = {
  apps: `0x${'a5'.repeat(48)}`,
  beacon: `0x${'b5'.repeat(48)}`,
};
const record: HandoverRecord = {
  generation: 1n,
  threshold: 2,
  members: people.map(memberOf),
  dealers: 0b111,
  transcriptHash: bytes32('71'),
  publicSharesHash: bytes32('72'),
  keys,
};
const signatureOf = ({ signer }: { readonly signer: Address }): Hex => `0x${signer.slice(2, 4).repeat(65)}`;
const signedBy = (...members: readonly { readonly signer: Address }[]) =>
  new Map(members.map((member) => [member.signer, signatureOf(member)]));
/** A proof: a bitmap of four bytes, and the signatures in order. */
const proof = (bitmap: number, ...members: readonly { readonly signer: Address }[]) =>
  `0x${bitmap.toString(16).padStart(8, '0')}${members.map((member) => signatureOf(member).slice(2)).join('')}`;
const signal = () => AbortSignal.timeout(15_000);

let rpc: StubRpc;
let registries: StubRegistries;
let chain: ChainCommittee;
beforeEach(async () => {
  rpc = await new StubRpc().start();
  registries = new StubRegistries(31337, contracts);
  rpc.contracts = registries.answer;
  for (const time of [100n, 200n, 300n]) rpc.mine(time + rpc.head.timestamp);
  const reader = new CommitteeReader(new ChainView({ chainId: 31337, rpcs: [rpc.url] }), contracts);
  const operator = new ChainAccount({ chainId: 31337, rpc: rpc.url, account: toHex(randomBytes(32)) });
  chain = new ChainCommittee({ reader, operator, domain });
  const { committee } = registries;
  committee.next = { members: [...people], threshold: 2, eligibleCount: 3 };
  for (const person of people) committee.gatekeepers.set(person.operator, person);
});
afterEach(() => rpc.stop());

/** A committee that holds keys already: of the first two, who now hand on to all three. */
function found(): void {
  const { committee } = registries;
  committee.generation = { ...committee.generation, number: 4n, threshold: 2, digest: bytes32('d1'), since: 5n };
  committee.members = people.slice(0, 2);
  committee.keys = keys;
}

describe('the committee as the chain has it', () => {
  test('before a founding: complete with the last who may join, and the lease that ends last', async () => {
    const { committee } = registries;
    const state = await chain.state(signal());
    expect(state).toMatchObject({ generation: { number: 0n, members: [] }, keys: undefined });
    expect(state.next).toEqual({
      threshold: 2,
      members: people.map(memberOf),
      isComplete: true,
      lastLeaseUntil: 3_000n,
    });
    committee.next.eligibleCount = 4;
    expect((await chain.state(signal())).next.isComplete).toBe(false);
    committee.next = { members: [], threshold: 0, eligibleCount: 0 };
    expect((await chain.state(signal())).next).toMatchObject({ isComplete: false, lastLeaseUntil: 0n });
  });

  test('after it, and no lease is asked for', async () => {
    found();
    registries.committee.gatekeepers.clear();
    const calls = rpc.asks('eth_call');
    const state = await chain.state(signal());
    expect(state).toMatchObject({ keys, generation: { number: 4n, threshold: 2, digest: bytes32('d1'), since: 5n } });
    expect(state.generation.members).toEqual(people.slice(0, 2).map(memberOf));
    expect(state.next.lastLeaseUntil).toBe(0n);
    expect(rpc.asks('eth_call') - calls).toBe(6);
  });

  test('finally: as of the newest final block, read once for each', async () => {
    rpc.finalityBlocks = 2;
    const at: string[] = [];
    rpc.contracts = (call) => {
      at.push(call.at);
      return registries.answer(call);
    };
    const first = await chain.finalized(signal());
    expect(new Set(at)).toEqual(new Set(['0x1']));
    const asked = at.length;
    found();
    expect(await chain.finalized(signal())).toBe(first);
    expect(at).toHaveLength(asked);
    rpc.mine();
    expect((await chain.finalized(signal())).generation.number).toBe(4n);
    expect(at.at(-1)).toBe('0x2');
  });

  test('and its clock: the newest block that was read', async () => {
    expect(await chain.now(signal())).toBe(rpc.head.timestamp);
    const before = rpc.head.timestamp;
    rpc.mine(before + 60n);
    expect(await chain.now(signal())).toBe(before);
    await chain.state(signal());
    expect(await chain.now(signal())).toBe(before + 60n);
  });
});

describe('a handover', () => {
  test('has the digest that the contract computes, over all that it says', () => {
    const digest = chain.digestOf(record);
    expect(digest).toBe(
      handoverDigest(domain, {
        ...record,
        membersHash: membersHash(record.members),
        networkKeysHash: networkKeysHash(keys),
      }),
    );
    const others: Partial<HandoverRecord>[] = [
      { generation: 2n },
      { threshold: 3 },
      { members: [...record.members].reverse() },
      { dealers: 0b110 },
      { transcriptHash: bytes32('73') },
      { publicSharesHash: bytes32('74') },
      { keys: { ...keys, beacon: keys.apps } },
    ];
    const digests = others.map((changes) => chain.digestOf({ ...record, ...changes }));
    expect(new Set([digest, ...digests]).size).toBe(others.length + 1);
  });

  test('that founds is sent with the founders’ signatures alone, no more than the threshold', async () => {
    await chain.state(signal());
    await chain.handOver(record, signedBy(...people), signal());
    expect(registries.committee.handovers).toEqual([
      {
        record: {
          generation: 1n,
          threshold: 2,
          membersHash: membersHash(record.members),
          dealers: 0b111,
          transcriptHash: record.transcriptHash,
          publicSharesHash: record.publicSharesHash,
          appsPublicKey: keys.apps,
          beaconPublicKey: keys.beacon,
        },
        previousProof: '0x',
        heldProof: proof(0b011, people[0], people[1]),
      },
    ]);
  });

  test('that moves keys is sent with those of old members and of new ones, each in their places', async () => {
    found();
    registries.committee.members = [people[2], people[0], people[1]];
    // Nothing was read before: the old members are read for it.
    await chain.handOver({ ...record, generation: 5n }, signedBy(people[1], people[2]), signal());
    expect(registries.committee.handovers).toMatchObject([
      {
        record: { generation: 5n },
        previousProof: proof(0b101, people[2], people[1]),
        heldProof: proof(0b110, people[1], people[2]),
      },
    ]);
  });

  test.each([
    ['old', [people[0], people[2]]],
    ['new', [people[1]]],
  ])('that too few %s members signed is not sent', async (_, signers) => {
    found();
    await chain.handOver({ ...record, generation: 5n }, signedBy(...signers), signal());
    expect(rpc.asks('eth_sendRawTransaction')).toBe(0);
  });
});
