import {
  type Bytes32,
  type CertifiedStateHead,
  parseSignedStateFenceRequest,
  stateFenceDigest,
  stateHeadMessage,
  statePlace,
  statePromiseDigest,
  stateRecordToJson,
} from '@cloister/core';
import { fromHex, toHex } from '@cloister/crypto';
import type { HeldFence, StateStore } from '@cloister/state';
import { signWithShare } from '@cloister/threshold/native';
import { beforeEach, describe, expect, test } from 'vitest';
import type { HeldState } from '../src/state/heldState.ts';
import { domain } from './ceremonyRoom.ts';
import {
  b32,
  bytes,
  type Host,
  MemoryBlobs,
  makeHost,
  type StateMemberAtWork,
  StateTown,
  shareOf,
  signal,
  subject,
  text,
} from './stateTown.ts';

let town: StateTown;
beforeEach(async () => {
  town = await StateTown.of(4, 3);
});

const code = (value: string) => expect.objectContaining({ code: value });
/** Lets only these members be reached by what goes to a door. */
function reachOnly(path: string, indices: readonly number[]): void {
  town.isOpen = (_, to, asked) => asked !== path || indices.some((index) => town.member(index) === to);
}
const reachAll = (): void => {
  town.isOpen = () => true;
};
const head = '/v1/state/head';
const certified = '/v1/state/certified';

/** A later host's view of a key. */
async function nextWriter(): Promise<StateStore> {
  town.wait();
  return town.open(makeHost());
}

describe('a partition', () => {
  test('keeps what was acknowledged, over another host', async () => {
    const first = await town.open(makeHost());
    await first.put('name', bytes('Ada'), signal);
    await first.transaction((inside) => {
      inside.put('a/1', bytes('one'));
      inside.put('a/2', bytes('two'));
      inside.delete('name');
    }, signal);
    expect(first.head.version).toBe(2n);
    const second = await nextWriter();
    expect([second.head.version, second.head.root, second.list('a/')]).toEqual([2n, first.head.root, ['a/1', 'a/2']]);
    expect([text(second.get('a/1')), second.get('name')]).toEqual(['one', undefined]);
    await second.confirm(signal);
  });

  test('stands apart from others of the same app', async () => {
    const [three, four] = [
      await town.open(makeHost()),
      await town.open(makeHost(), { of: { ...subject, partition: 4 } }),
    ];
    await three.put('x', bytes('3'), signal);
    await four.put('x', bytes('4'), signal);
    expect([text(three.get('x')), text(four.get('x')), three.head.fence]).toEqual(['3', '4', 1n]);
  });

  test('works, and opens for the first time, while n − t members are down', async () => {
    town.member(3).stop();
    const store = await town.open(makeHost());
    await store.put('x', bytes('1'), signal);
    await store.confirm(signal);
    expect(text((await nextWriter()).get('x'))).toBe('1');
  });
});

describe('two writers', () => {
  test('the older is fenced: nothing more is acknowledged to it, and it stops answering', async () => {
    const first = await town.open(makeHost());
    await first.put('x', bytes('1'), signal);
    const second = await nextWriter();
    await expect(first.put('x', bytes('2'), signal)).rejects.toThrow(code('STATE_FENCED'));
    await expect(first.confirm(signal)).rejects.toThrow(code('STATE_FENCED'));
    expect(() => first.get('x')).toThrow(code('STATE_FENCED'));
    await second.put('x', bytes('3'), signal);
    expect(text((await nextWriter()).get('x'))).toBe('3');
  });

  test('the later waits while the other has lately written, and not for a worker that is gone', async () => {
    const [former, later] = [makeHost(), makeHost()];
    const first = await town.open(former);
    await expect(town.open(later)).rejects.toThrow(code('STATE_HELD'));
    town.now += 15n;
    await first.put('x', bytes('1'), signal);
    town.now += 15n;
    await expect(town.open(later)).rejects.toThrow(code('STATE_HELD'));
    town.inactive.add(former.signer);
    expect(text((await town.open(later)).get('x'))).toBe('1');
  });

  test('a fence that others raise all the while is taken in the end or given up, never shared', async () => {
    const hosts = Array.from({ length: 4 }, makeHost);
    town.now += 100n;
    const opened = await Promise.allSettled(hosts.map((host) => town.open(host)));
    const stores = opened.flatMap((one) => (one.status === 'fulfilled' ? [one.value] : []));
    const written = await Promise.allSettled(
      stores.map((store, index) => store.put('x', bytes(String(index)), signal)),
    );
    expect(written.filter(({ status }) => status === 'fulfilled').length).toBeLessThanOrEqual(1);
    for (const one of opened)
      if (one.status === 'rejected') expect(one.reason.code).toMatch(/^STATE_(HELD|FENCED|HEAD_UNAVAILABLE)$/);
  });
});

describe('a holder that is killed in the middle of a write', () => {
  test('after the entry and before the head: it has not happened', async () => {
    const first = await town.open(makeHost());
    await first.put('x', bytes('1'), signal);
    reachOnly(head, []);
    await expect(first.put('x', bytes('2'), signal)).rejects.toThrow(code('STATE_HEAD_UNAVAILABLE'));
    reachAll();
    const entries = town.blobs.held.size;
    const next = await nextWriter();
    expect([text(next.get('x')), next.head.version, entries]).toEqual(['1', 1n, 2]);
  });

  test.each([1, 2])('with %i of three signatures: it has not happened, and does not come back', async (signers) => {
    const first = await town.open(makeHost());
    await first.put('x', bytes('1'), signal);
    reachOnly(head, [0, 1].slice(0, signers));
    await expect(first.put('x', bytes('2'), signal)).rejects.toThrow(code('STATE_HEAD_UNAVAILABLE'));
    reachAll();
    const next = await nextWriter();
    expect([text(next.get('x')), next.head.version]).toEqual(['1', 1n]);
    await next.put('y', bytes('3'), signal);
    expect([text((await nextWriter()).get('x')), next.head.version]).toEqual(['1', 2n]);
  });

  test.each([1, 2])('signed, and kept by %i of three: a next writer that hears of it takes it up', async (keepers) => {
    const first = await town.open(makeHost());
    await first.put('x', bytes('1'), signal);
    reachOnly(certified, [0, 1].slice(0, keepers));
    await expect(first.put('x', bytes('2'), signal)).rejects.toThrow(code('STATE_HEAD_UNAVAILABLE'));
    expect(text(first.get('x'))).toBe('1');
    reachAll();
    town.member(3).stop();
    const next = await nextWriter();
    expect([text(next.get('x')), next.head.version]).toEqual(['2', 2n]);
  });

  test('signed, and kept by one that is away: it is dropped, and does not come back', async () => {
    const first = await town.open(makeHost());
    await first.put('x', bytes('1'), signal);
    reachOnly(certified, [0]);
    await expect(first.put('x', bytes('2'), signal)).rejects.toThrow(code('STATE_HEAD_UNAVAILABLE'));
    reachAll();
    town.member(0).stop();
    const second = await nextWriter();
    expect(text(second.get('x'))).toBe('1');
    town.member(0).isUp = true;
    town.member(2).stop();
    const third = await nextWriter();
    expect([text(third.get('x')), third.head.version]).toEqual(['1', 1n]);
    // The member that was away goes on with the others.
    await third.put('z', bytes('4'), signal);
    expect(third.head.version).toBe(2n);
  });

  test('with all signatures, and the answers lost: the writer finds out before it goes on', async () => {
    const store = await town.open(makeHost());
    await store.put('x', bytes('1'), signal);
    for (const member of town.members) member.lie = (path, answer) => (path === certified ? { nothing: true } : answer);
    await expect(store.put('x', bytes('2'), signal)).rejects.toThrow(code('STATE_HEAD_UNAVAILABLE'));
    expect(text(store.get('x'))).toBe('1');
    for (const member of town.members) member.lie = (_, answer) => answer;
    await store.put('y', bytes('3'), signal);
    expect([text(store.get('x')), text(store.get('y')), store.head.version]).toEqual(['2', '3', 3n]);
  });
});

test('a head that arrives after its fence is over is kept by nobody', async () => {
  const first = await town.open(makeHost());
  const late: (() => Promise<unknown>)[] = [];
  town.isLate = (deliver) => isCertifying && late.push(deliver) > 0;
  let isCertifying = false;
  town.isOpen = (_, __, path) => {
    isCertifying = path === certified;
    return true;
  };
  await expect(first.put('x', bytes('1'), signal)).rejects.toThrow(code('STATE_HEAD_UNAVAILABLE'));
  town.isLate = () => false;
  const second = await nextWriter();
  for (const deliver of late) await expect(deliver()).rejects.toThrow(code('STATE_FENCED'));
  await second.put('y', bytes('2'), signal);
  expect([late.length, second.head.version, (await nextWriter()).get('x')]).toEqual([4, 1n, undefined]);
});

describe('fewer than a threshold of members', () => {
  test('acknowledge nothing and open nothing; what was acknowledged is there when they are back', async () => {
    const store = await town.open(makeHost());
    await store.put('x', bytes('1'), signal);
    town.member(0).stop();
    town.member(1).stop();
    await expect(store.put('x', bytes('2'), signal)).rejects.toThrow(code('STATE_HEAD_UNAVAILABLE'));
    await expect(store.confirm(signal)).rejects.toThrow(code('STATE_HEAD_UNAVAILABLE'));
    await expect(nextWriter()).rejects.toThrow(code('STATE_HEAD_UNAVAILABLE'));
    town.member(0).isUp = true;
    expect(['1', '2']).toContain(text((await nextWriter()).get('x')));
  });
});

/** A copy of a worker: the same key, the same memory, another process. */
function copied(held: HeldFence, host: Host) {
  const committee = town.committeeOf(host);
  return {
    add: (root: Bytes32) => committee.add(subject, held, root, signal),
    confirm: () => committee.confirm(subject, held, signal),
  };
}

describe('a cloned worker', () => {
  test('one of the two writes; the other is told, and does not pass for the newest', async () => {
    const host = makeHost();
    const held = await town.committeeOf(host).take(subject, signal);
    const [one, other] = [copied(held, host), copied(held, host)];
    await other.confirm();
    await one.add(b32(0xa));
    await expect(other.confirm()).rejects.toThrow(code('STATE_STALE'));
    await expect(other.add(b32(0xb))).rejects.toThrow(code('STATE_FENCED'));
  });

  test('where each had half signed, neither is acknowledged, and the next writer goes on', async () => {
    const host = makeHost();
    const held = await town.committeeOf(host).take(subject, signal);
    reachOnly(head, [0, 1]);
    await expect(copied(held, host).add(b32(0xa))).rejects.toThrow(code('STATE_HEAD_UNAVAILABLE'));
    reachOnly(head, [2, 3]);
    await expect(copied(held, host).add(b32(0xb))).rejects.toThrow(code('STATE_HEAD_UNAVAILABLE'));
    reachAll();
    await expect(copied(held, host).add(b32(0xa))).rejects.toThrow(code('STATE_FENCED'));
    town.wait();
    const next = town.committeeOf(makeHost());
    const found = await next.take(subject, signal);
    const added = await next.add(subject, found, b32(0xc), signal);
    expect([found.head.version, added.head.version]).toEqual([0n, 1n]);
  });

  test('beside a member that signs for both: what was acknowledged is never given up', async () => {
    const host = makeHost();
    const held = await town.committeeOf(host).take(subject, signal);
    const liar = town.member(3);
    const before = liar.book.get(subject.app, subject.partition) as HeldState;
    town.member(2).stop();
    await copied(held, host).add(b32(0xa));
    // It forgets what it signed and kept, as a liar may at any time.
    await liar.book.set(before);
    town.member(2).isUp = true;
    reachOnly(head, [2, 3]);
    await expect(copied(held, host).add(b32(0xb))).rejects.toThrow(code('STATE_HEAD_UNAVAILABLE'));
    reachAll();
    await liar.book.set(before);
    for (const away of [0, 1]) {
      town.wait();
      town.member(away).stop();
      const next = await town.committeeOf(makeHost()).take(subject, signal);
      expect(next.head).toMatchObject({ version: 1n, root: b32(0xa) });
      town.member(away).isUp = true;
      await liar.book.set(before);
    }
  });
});

describe('an old disk', () => {
  test('of a host: what it remembers can not be added to any more', async () => {
    const host = makeHost();
    const committee = town.committeeOf(host);
    const old = await committee.take(subject, signal);
    const next = await committee.add(subject, old, b32(0xa), signal);
    await committee.add(subject, next, b32(0xb), signal);
    await expect(committee.add(subject, old, b32(0xc), signal)).rejects.toThrow(code('STATE_FENCED'));
    // The same head again is the same head: nothing is lost by asking twice.
    expect((await committee.add(subject, next, b32(0xb), signal)).head.root).toBe(b32(0xb));
    await expect(committee.add(subject, next, b32(0xc), signal)).rejects.toThrow(code('STATE_FENCED'));
  });
});

describe('a lying member', () => {
  let store: StateStore;
  let liar: StateMemberAtWork;
  beforeEach(async () => {
    store = await town.open(makeHost());
    await store.put('x', bytes('1'), signal);
    liar = town.member(0);
  });

  test('that gives wrong parts is left out', async () => {
    const wrong = toHex(signWithShare(shareOf(liar), bytes('something else')));
    liar.lie = (path, answer) =>
      path === head || path === '/v1/state/fence' ? { ...(answer as object), partial: wrong } : answer;
    await store.put('x', bytes('2'), signal);
    expect(text((await nextWriter()).get('x'))).toBe('2');
  });

  test('that gives parts that are no points is left out', async () => {
    liar.lie = (path, answer) => (path === head ? { ...(answer as object), partial: `0x${'ff'.repeat(96)}` } : answer);
    await store.put('x', bytes('2'), signal);
    expect(text(store.get('x'))).toBe('2');
  });

  test('that shows an old head takes nothing away', async () => {
    const old = liar.book.get(subject.app, subject.partition) as HeldState;
    await store.put('x', bytes('2'), signal);
    await liar.book.set(old);
    town.member(3).stop();
    const next = await nextWriter();
    expect([text(next.get('x')), next.head.version]).toEqual(['2', 2n]);
  });

  test.each<[string, (shown: CertifiedStateHead) => CertifiedStateHead]>([
    ['with another’s signature', (shown) => ({ ...shown, version: 99n, root: b32(0xee) })],
    ['of another partition', (shown) => ({ ...shown, partition: 4 })],
    ['of another app', (shown) => ({ ...shown, app: b32(0xaa) })],
    ['with no point for a signature', (shown) => ({ ...shown, version: 99n, signature: `0x${'ff'.repeat(96)}` })],
  ])('that shows a head which the committee has not signed, %s, is not heard', async (_, forge) => {
    let shown = 0;
    liar.lie = (path, answer, body) => {
      if (path !== '/v1/state/fence') return answer;
      const { fence, signature: _signature, ...asked } = parseSignedStateFenceRequest(body);
      const made = forge(liar.book.get(subject.app, subject.partition)?.certified as CertifiedStateHead);
      const request = stateFenceDigest(domain, { ...asked, fence });
      const holder = latest.signer;
      const told = { request, ...subject, fence, holder, generation: 1n, certified: statePlace(made) };
      shown += 1;
      // It signs its word as it should; only the head is made up.
      return stateRecordToJson({
        generation: 1n,
        certified: made,
        signature: liar.person.sign(statePromiseDigest(domain, told)),
      });
    };
    const latest = makeHost();
    town.wait();
    const next = await town.open(latest);
    expect([text(next.get('x')), next.head.version, shown]).toEqual(['1', 1n, 1]);
  });

  test('that says of another’s answer that it is its own is not heard', async () => {
    const other = town.member(1);
    liar.lie = (path, answer) => (path.endsWith('/fence') ? { ...(answer as object), signature: said } : answer);
    let said = `0x${'00'.repeat(65)}`;
    other.lie = (path, answer) => {
      if (path.endsWith('/fence')) said = (answer as { signature: string }).signature;
      return answer;
    };
    town.member(3).stop();
    await expect(nextWriter()).rejects.toThrow(code('STATE_HEAD_UNAVAILABLE'));
  });

  test.each([(1n << 64n) - 2n, 1n << 62n])('that names the fence %i uses none of those below it up', async (named) => {
    liar.lie = (path, answer) =>
      path.startsWith('/v1/state/0x') ? { ...(answer as object), fence: named.toString() } : answer;
    const next = await nextWriter();
    expect(next.head.fence).toBeLessThanOrEqual(3n);
  });

  test('that signs two heads of one version makes no second certificate', async () => {
    const { app, partition } = subject;
    await store.put('x', bytes('2'), signal);
    const other = { app, partition, version: 2n, fence: 1n, root: b32(0xee) };
    const part = signWithShare(shareOf(liar), fromHex(stateHeadMessage(domain, other)));
    for (const member of town.members.slice(1))
      await expect(member.service.keep(stateRecordToJson({ ...other, signature: toHex(part) }))).rejects.toThrow(
        code('STATE_CERTIFICATE_INVALID'),
      );
    expect(text((await nextWriter()).get('x'))).toBe('2');
  });
});

describe('a store of blobs', () => {
  const flipped = (value: Uint8Array) => value.map((byte, at) => (at === value.length - 1 ? byte ^ 1 : byte));

  test.each<[string, (blobs: MemoryBlobs, id: Bytes32) => Uint8Array | undefined]>([
    ['has lost an entry', () => undefined],
    ['gives another one', (blobs) => [...blobs.held.values()][0]],
    ['gives it changed', (blobs, id) => flipped(blobs.held.get(id) as Uint8Array)],
    ['gives it cut short', (blobs, id) => blobs.held.get(id)?.subarray(0, 100)],
    ['gives nothing', () => new Uint8Array()],
    ['gives too much', () => new Uint8Array(11 * 1024 * 1024)],
  ])('that %s opens nothing, and takes nothing away', async (_, lie) => {
    const store = await town.open(makeHost());
    await store.put('x', bytes('1'), signal);
    await store.put('x', bytes('2'), signal);
    const lying = new MemoryBlobs();
    lying.get = async (id) => (id === store.head.root ? lie(town.blobs, id) : town.blobs.held.get(id));
    town.wait();
    await expect(town.open(makeHost(), { blobs: lying })).rejects.toThrow(code('STATE_BLOB_MISSING'));
    expect(text((await nextWriter()).get('x'))).toBe('2');
  });

  test('that takes no entry: nothing has changed, and nothing was proposed', async () => {
    const failing = new MemoryBlobs();
    const store = await town.open(makeHost(), { blobs: failing });
    failing.put = async () => {
      throw new Error('no space');
    };
    await expect(store.put('x', bytes('1'), signal)).rejects.toThrow(code('STATE_BLOB_UNSTORED'));
    expect([store.get('x'), store.head.version]).toEqual([undefined, 0n]);
    failing.put = MemoryBlobs.prototype.put;
    await store.put('x', bytes('2'), signal);
    expect(store.head.version).toBe(1n);
  });
});

describe('who may not have the app’s state key may not write', () => {
  test('a worker that the app is not placed on is told the rule', async () => {
    const host = makeHost();
    const committee = town.committeeOf(host);
    town.hosts.delete(host.signer);
    await expect(committee.take(subject, signal)).rejects.toMatchObject({
      code: 'STATE_REFUSED',
      message: expect.stringContaining('KEY_WORKER_NOT_PLACED'),
    });
  });

  test('a host that the app moves away from writes no more, fenced or not', async () => {
    const host = makeHost();
    const store = await town.open(host);
    town.hosts.delete(host.signer);
    town.block += 1n;
    await expect(store.put('x', bytes('1'), signal)).rejects.toThrow(code('STATE_REFUSED'));
  });
});
