import {
  type CertifiedStateHead,
  parseStateFenceAnswer,
  type SignedStatePromise,
  type StateFenceRequest,
  type StateWrite,
  type StateWriteRequest,
  stateFenceDigest,
  stateHeadMessage,
  statePlace,
  stateRecordToJson,
  stateWriteDigest,
} from '@cloister/core';
import { fromHex, toHex } from '@cloister/crypto';
import { combinePartials } from '@cloister/threshold/combine';
import { signWithShare } from '@cloister/threshold/native';
import { beforeEach, describe, expect, test } from 'vitest';
import { stateKey } from '../src/state/heldState.ts';
import { StateBook } from '../src/state/stateBook.ts';
import { maxFenceStep } from '../src/state/stateRules.ts';
import { domain } from './ceremonyRoom.ts';
import { b32, fenceRequest, type Host, makeHost, StateTown, shareOf, signal, subject } from './stateTown.ts';

let town: StateTown;
let host: Host;
beforeEach(async () => {
  town = await StateTown.of(4, 3);
  host = makeHost();
  town.hosts.add(host.signer);
});

const code = (value: string) => expect.objectContaining({ code: value });
const service = (index = 0) => town.member(index).service;

/** Promises of these members to a host. */
async function promisesTo(
  asking: Host,
  fence: bigint,
  indices = [0, 1, 2],
  of: Partial<StateFenceRequest> = {},
): Promise<SignedStatePromise[]> {
  const json = fenceRequest(asking, { fence, ...of });
  return Promise.all(
    indices.map(async (index) => {
      const answer = parseStateFenceAnswer(stateRecordToJson(await service(index).fence(json, signal)));
      const { generation, certified, signature } = answer;
      const unsigned = { ...subject, fence, epoch: 10n, block: 100n, nonce: b32(9), ...of };
      return { request: stateFenceDigest(domain, unsigned), generation, certified: statePlace(certified), signature };
    }),
  );
}

/** A write as a host sends it. */
function asked(
  asking: Host,
  write: Partial<StateWrite>,
  more: Pick<StateWriteRequest, 'promises' | 'certified'>,
): Record<string, unknown> {
  const unsigned = {
    ...subject,
    epoch: 10n,
    block: 100n,
    version: 0n,
    fence: 1n,
    root: statePlace(null).root,
    ...write,
  };
  const signature = asking.sign(stateWriteDigest(domain, unsigned));
  return stateRecordToJson({ write: { ...unsigned, signature }, ...more });
}

/** A head with the committee's signature, as if it had signed it. */
function certifiedHead(place: Pick<StateWrite, 'version' | 'fence' | 'root'>, partition = 3): CertifiedStateHead {
  const { version, fence, root } = place;
  const head = { app: subject.app, partition, version, fence, root };
  const parts = town.members.slice(0, 3).map((member, position) => ({
    index: position + 1,
    signature: signWithShare(shareOf(member), fromHex(stateHeadMessage(domain, head))),
  }));
  return { ...head, signature: toHex(combinePartials(parts)) };
}

describe('a fence', () => {
  test('is given again to its holder, and to nobody else', async () => {
    await service().fence(fenceRequest(host), signal);
    await service().fence(fenceRequest(host, { nonce: b32(8) }), signal);
    const other = makeHost();
    town.hosts.add(other.signer);
    town.wait();
    await expect(service().fence(fenceRequest(other), signal)).rejects.toThrow(code('STATE_FENCED'));
    await service().fence(fenceRequest(other, { fence: 2n }), signal);
    await expect(service().fence(fenceRequest(host, { fence: 1n }), signal)).rejects.toThrow(code('STATE_FENCED'));
  });

  test('is not kept for a writer that is no host of the app any more', async () => {
    await service().fence(fenceRequest(host), signal);
    const other = makeHost();
    town.hosts.add(other.signer);
    await expect(service().fence(fenceRequest(other, { fence: 2n }), signal)).rejects.toThrow(code('STATE_HELD'));
    town.hosts.delete(host.signer);
    await service().fence(fenceRequest(other, { fence: 2n }), signal);
  });

  test.each([0n, maxFenceStep + 1n])('of %i is no fence', async (fence) => {
    await expect(service().fence(fenceRequest(host, { fence }), signal)).rejects.toThrow(
      code(fence === 0n ? 'STATE_FENCED' : 'STATE_FENCE_TOO_FAR'),
    );
    await service().fence(fenceRequest(host, { fence: maxFenceStep }), signal);
  });

  test.each<[string, string, () => Record<string, unknown>]>([
    ['of a partition that the app has not', 'STATE_PARTITION_UNKNOWN', () => fenceRequest(host, { partition: 8 })],
    ['at an old block', 'KEY_REQUEST_STALE', () => fenceRequest(host, { block: 80n })],
    ['in an epoch that is over', 'KEY_REQUEST_STALE', () => fenceRequest(host, { epoch: 9n })],
    ['for a manifest that does not serve', 'KEY_MANIFEST_OTHER', () => fenceRequest(host, { manifest: b32(7) })],
    ['for a key version to come', 'KEY_VERSION_OUTSIDE', () => fenceRequest(host, { keyVersion: 3 })],
    ['by a worker that is not placed', 'KEY_WORKER_NOT_PLACED', () => fenceRequest(makeHost())],
    ['signed for something else', 'KEY_WORKER_NOT_PLACED', () => ({ ...fenceRequest(host), fence: '2' })],
    [
      'signed by no key',
      'STATE_SIGNATURE_INVALID',
      () => ({ ...fenceRequest(host), signature: `0x${'ff'.repeat(65)}` }),
    ],
  ])('%s is refused: %s', async (_, expected, request) => {
    await expect(service().fence(request(), signal)).rejects.toThrow(code(expected));
    expect(town.member(0).book.size).toBe(0);
  });

  test('of an app without state is refused', async () => {
    town.partitions = 0;
    await expect(service().fence(fenceRequest(host, { partition: 0 }), signal)).rejects.toThrow(
      code('STATE_PARTITION_UNKNOWN'),
    );
  });

  test('is kept before the answer is given, or no answer is given', async () => {
    const member = town.member(0);
    const kept = Promise.withResolvers<void>();
    let isAnswered = false;
    member.beforeKeep = () => kept.promise;
    const answer = member.service.fence(fenceRequest(host), signal).then(() => {
      isAnswered = true;
    });
    await new Promise((resolve) => setTimeout(resolve, 50));
    expect(isAnswered).toBe(false);
    kept.resolve();
    await answer;
    member.beforeKeep = () => {
      throw new Error('no space');
    };
    await expect(member.service.fence(fenceRequest(host, { fence: 2n }), signal)).rejects.toThrow('no space');
    const onDisk = () => member.disk.states.get(stateKey(subject.app, subject.partition));
    expect(onDisk()?.fence).toBe(1n);
    // Asked again, it is no longer new, and still not kept.
    await expect(member.service.fence(fenceRequest(host, { fence: 2n }), signal)).rejects.toThrow('no space');
    member.beforeKeep = () => {};
    await member.service.fence(fenceRequest(host, { fence: 2n }), signal);
    expect(onDisk()?.fence).toBe(2n);
  });
});

test('who was let in at a block is let in again at that block, and judged anew at the next', async () => {
  let asked = 0;
  const { facts } = town;
  town.facts = () => ({
    ...facts(),
    app: async (...of) => {
      asked += 1;
      return facts().app(...of);
    },
  });
  await service().fence(fenceRequest(host), signal);
  await service().fence(fenceRequest(host, { nonce: b32(8) }), signal);
  expect(asked).toBe(1);
  await expect(service().fence(fenceRequest(host, { block: 80n }), signal)).rejects.toThrow(code('KEY_REQUEST_STALE'));
  await expect(service().fence(fenceRequest(host, { keyVersion: 3 }), signal)).rejects.toThrow(
    code('KEY_VERSION_OUTSIDE'),
  );
  await expect(service().fence(fenceRequest(makeHost(), { fence: 2n }), signal)).rejects.toThrow(
    code('KEY_WORKER_NOT_PLACED'),
  );
  town.block += 1n;
  town.hosts.delete(host.signer);
  await expect(service().fence(fenceRequest(host), signal)).rejects.toThrow(code('KEY_WORKER_NOT_PLACED'));
});

describe('a takeover', () => {
  test('is signed where promises of enough members show it, and again', async () => {
    const promises = await promisesTo(host, 1n);
    // Who knows the fence wants them all the same: they show what there is to take over.
    const few = asked(host, {}, { promises: promises.slice(1), certified: null });
    await expect(service().write(few, signal)).rejects.toThrow(code('STATE_PROMISES_TOO_FEW'));
    for (let turn = 0; turn < 2; turn++)
      for (const index of [0, 3])
        expect(await service(index).write(asked(host, {}, { promises, certified: null }), signal)).toMatchObject({
          generation: 1n,
          index: index + 1,
        });
  });

  test('needs as many as the threshold, each once, of members of now, for this fence, partition and host', async () => {
    const promises = await promisesTo(host, 1n);
    const [first, second] = promises as [SignedStatePromise, SignedStatePromise];
    const other = makeHost();
    town.hosts.add(other.signer);
    town.wait();
    const elsewhere = await promisesTo(host, 1n, [0, 1, 2], { partition: 4 });
    const later = await promisesTo(other, 2n);
    const wrong: readonly SignedStatePromise[][] = [
      [first, second],
      [first, first, second],
      [...promises, first],
      [first, second, { ...first, signature: `0x${'ff'.repeat(65)}` }],
      [first, second, { ...second, request: b32(1) }],
      [first, second, ...promises.slice(2).map((one) => ({ ...one, generation: 2n }))],
      elsewhere,
      later,
      [...promises, { ...first, certified: { version: 1n, fence: 1n, root: b32(1) } }],
    ];
    for (const given of wrong)
      await expect(service(3).write(asked(host, {}, { promises: given, certified: null }), signal)).rejects.toThrow(
        code('STATE_PROMISES_TOO_FEW'),
      );
    // And each is another's: who was promised nothing has no fence.
    await expect(service(3).write(asked(other, {}, { promises, certified: null }), signal)).rejects.toThrow(
      code('STATE_PROMISES_TOO_FEW'),
    );
    await service(3).write(asked(host, {}, { promises, certified: null }), signal);
  });

  test('needs promises of the generation that is', async () => {
    const promises = await promisesTo(host, 1n);
    await town.reshare(town.generation.people, 3, 2n);
    await town.follow();
    await expect(service(3).write(asked(host, {}, { promises, certified: null }), signal)).rejects.toThrow(
      code('STATE_PROMISES_TOO_FEW'),
    );
    await service(3).write(asked(host, {}, { promises: await promisesTo(host, 1n), certified: null }), signal);
  });

  test('of anything but the highest head in the promises is refused', async () => {
    await service(1).fence(fenceRequest(host), signal);
    const kept = certifiedHead({ version: 5n, fence: 1n, root: b32(0xa) });
    await service(1).keep(stateRecordToJson(kept));
    town.wait();
    const promises = await promisesTo(host, 2n);
    const old = certifiedHead({ version: 4n, fence: 1n, root: b32(0xb) });
    const again = { version: 5n, fence: 2n, root: b32(0xa) };
    const wrong: readonly [Partial<StateWrite>, CertifiedStateHead | null][] = [
      [{ fence: 2n }, null],
      [{ version: 4n, fence: 2n, root: b32(0xb) }, old],
      [{ ...again, version: 6n }, kept],
      [{ ...again, root: b32(0xc) }, kept],
    ];
    for (const [write, certified] of wrong)
      await expect(service().write(asked(host, write, { promises, certified }), signal)).rejects.toThrow(
        code('STATE_TAKEOVER_OTHER'),
      );
    await service().write(asked(host, again, { promises, certified: kept }), signal);
    // Under one fence one takeover.
    await service(1).write(asked(host, again, { promises, certified: kept }), signal);
  });

  test('is one under a fence: another that promises show as well is refused', async () => {
    town.wait();
    const kept = certifiedHead({ version: 5n, fence: 1n, root: b32(0xa) });
    await service(3).keep(stateRecordToJson(kept));
    const without = await promisesTo(host, 2n, [0, 1, 2]);
    const withIt = await promisesTo(host, 2n, [1, 2, 3]);
    await service().write(asked(host, { fence: 2n }, { promises: without, certified: null }), signal);
    const other = asked(host, { version: 5n, fence: 2n, root: b32(0xa) }, { promises: withIt, certified: kept });
    await expect(service().write(other, signal)).rejects.toThrow(code('STATE_CONFLICT'));
    await service(1).write(other, signal);
  });
});

describe('a head that is added', () => {
  let promises: SignedStatePromise[];
  let before: CertifiedStateHead;
  const next = { version: 6n, fence: 1n, root: b32(0xc) };
  beforeEach(async () => {
    promises = await promisesTo(host, 1n);
    before = certifiedHead({ version: 5n, fence: 1n, root: b32(0xa) });
  });
  const add = (write: Partial<StateWrite>, certified: CertifiedStateHead | null, index = 0, by = host) =>
    service(index).write(asked(by, write, { promises, certified }), signal);

  test('follows one that the committee has signed under the same fence', async () => {
    await add(next, before);
    await add(next, before);
    // A member that has seen nothing of this fence believes the promises.
    await add(next, before, 3);
  });

  test('beside another of its version is refused', async () => {
    await add(next, before);
    await expect(add({ ...next, root: b32(0xd) }, before)).rejects.toThrow(code('STATE_CONFLICT'));
  });

  test('below the last one is refused, in whatever way it was heard of', async () => {
    await add(next, before);
    const earlier = certifiedHead({ version: 4n, fence: 1n, root: b32(0xb) });
    await expect(add({ ...next, version: 5n }, earlier)).rejects.toThrow(code('STATE_STALE'));
    await service(1).keep(stateRecordToJson(certifiedHead({ version: 9n, fence: 1n, root: b32(0xe) })));
    await expect(add(next, before, 1)).rejects.toThrow(code('STATE_STALE'));
  });

  test.each<[string, string, () => [Partial<StateWrite>, CertifiedStateHead]]>([
    ['after a gap', 'STATE_VERSION_OTHER', () => [{ ...next, version: 7n }, before]],
    ['at the same version', 'STATE_VERSION_OTHER', () => [{ ...next, version: 5n }, before]],
    ['after a head of another partition', 'STATE_CERTIFICATE_INVALID', () => [next, certifiedHead(before, 4)]],
    [
      'after a head that says it is of this one',
      'STATE_CERTIFICATE_INVALID',
      () => [next, { ...certifiedHead(before, 4), partition: 3 }],
    ],
    ['after a head of another root', 'STATE_CERTIFICATE_INVALID', () => [next, { ...before, root: b32(0xb) }]],
    [
      'after a head that one member signed',
      'STATE_CERTIFICATE_INVALID',
      () => [next, { ...before, signature: alone(before) }],
    ],
    ['after a head of a later fence', 'STATE_FENCED', () => [next, certifiedHead({ ...before, fence: 2n })]],
  ])('%s is refused: %s', async (_, expected, made) => {
    await expect(add(...made())).rejects.toThrow(code(expected));
    expect(town.member(0).book.get(subject.app, subject.partition)?.signed).toBeNull();
  });

  test('by another host, or under a fence that is over, is refused', async () => {
    const other = makeHost();
    town.hosts.add(other.signer);
    await expect(add(next, before, 0, other)).rejects.toThrow(code('STATE_FENCED'));
    await expect(add(next, before, 3, other)).rejects.toThrow(code('STATE_PROMISES_TOO_FEW'));
    town.wait();
    await service().fence(fenceRequest(other, { fence: 2n }), signal);
    await expect(add(next, before)).rejects.toThrow(code('STATE_FENCED'));
  });

  test('at an old block is refused, as an old request told again is', async () => {
    const json = asked(host, next, { promises, certified: before });
    town.block += 11n;
    await expect(service().write(json, signal)).rejects.toThrow(code('KEY_REQUEST_STALE'));
  });

  test('is kept before its part leaves', async () => {
    const member = town.member(0);
    member.beforeKeep = () => {
      throw new Error('no space');
    };
    await expect(add(next, before)).rejects.toThrow('no space');
    member.beforeKeep = () => {};
    // What may have been signed counts as signed.
    await expect(add({ ...next, root: b32(0xd) }, before)).rejects.toThrow(code('STATE_CONFLICT'));
  });

  function alone(head: CertifiedStateHead): `0x${string}` {
    return toHex(signWithShare(shareOf(town.member(0)), fromHex(stateHeadMessage(domain, head))));
  }
});

describe('a certified head', () => {
  const place = { version: 5n, fence: 3n, root: b32(0xa) };

  test('is kept whoever brings it, and ends every lower fence', async () => {
    await service().fence(fenceRequest(host), signal);
    await service().keep(stateRecordToJson(certifiedHead(place)));
    expect(service().status(subject)).toMatchObject({ fence: 3n, certified: place });
    await expect(service().fence(fenceRequest(host, { fence: 2n }), signal)).rejects.toThrow(code('STATE_FENCED'));
    await expect(service().fence(fenceRequest(host, { fence: 3n }), signal)).rejects.toThrow(code('STATE_FENCED'));
    const low = certifiedHead({ ...place, version: 9n, fence: 2n });
    await expect(service().keep(stateRecordToJson(low))).rejects.toThrow(code('STATE_FENCED'));
    // An earlier one of the same fence takes nothing away.
    await service().keep(stateRecordToJson(certifiedHead({ ...place, version: 4n })));
    expect(service().status(subject)?.certified).toMatchObject(place);
  });

  test('is kept before it is said so, and written once', async () => {
    const member = town.member(0);
    const head = stateRecordToJson(certifiedHead(place));
    member.beforeKeep = () => {
      throw new Error('no space');
    };
    for (let turn = 0; turn < 2; turn++) await expect(member.service.keep(head)).rejects.toThrow('no space');
    let written = 0;
    member.beforeKeep = () => {
      written += 1;
    };
    for (let turn = 0; turn < 2; turn++) await member.service.keep(head);
    expect(written).toBe(1);
    expect(member.disk.states.get(stateKey(subject.app, subject.partition))?.certified).toMatchObject(place);
  });

  test('of another network, or that nobody signed, is not', async () => {
    const head = certifiedHead(place);
    for (const wrong of [
      { ...head, version: 6n },
      { ...head, app: b32(7) },
      { ...head, fence: 4n },
    ])
      await expect(service().keep(stateRecordToJson(wrong))).rejects.toThrow(code('STATE_CERTIFICATE_INVALID'));
    expect(town.member(0).book.size).toBe(0);
  });
});

test('a member keeps so many partitions and no more', async () => {
  const member = town.member(0);
  const book = new StateBook([], { keep: async () => {}, keepGeneration: async () => {} }, { maxStates: 1 });
  member.book = book;
  await book.set({ ...subject, fence: 1n, holder: host.signer, signed: null, certified: null });
  await book.set({ ...subject, fence: 2n, holder: host.signer, signed: null, certified: null });
  await expect(
    book.set({ ...subject, partition: 4, fence: 1n, holder: host.signer, signed: null, certified: null }),
  ).rejects.toThrow(code('STATE_BOOK_FULL'));
  expect(book.size).toBe(1);
});

test('who holds no shares of the committee that is signs nothing', async () => {
  town.member(0).store.wipe();
  await expect(service().fence(fenceRequest(host), signal)).rejects.toThrow(code('STATE_NO_SHARES'));
});

test('only members are told all that one keeps', () => {
  const request = { nonce: b32(1), after: '', signature: host.sign(b32(2)) };
  expect(() => town.member(0).recovery.page(request)).toThrow(code('STATE_ASKER_UNKNOWN'));
  expect(() => town.member(0).recovery.page({ ...request, after: 'x' })).toThrow(code('SCHEMA_MISMATCH'));
});
