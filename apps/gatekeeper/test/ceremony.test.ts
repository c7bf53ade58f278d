import { type Address, ceremonyMessageDigest, type Hex } from '@cloister/core';
import { toHex, utf8 } from '@cloister/crypto';
import { publicShareAt } from '@cloister/threshold/dkg';
import { describe, expect, test } from 'vitest';
import type { CeremonyBody, CeremonyKind, CeremonyMessage } from '../src/ceremony/ceremonyMessage.ts';
import {
  digestOf,
  domain,
  generationOf,
  hold,
  makeGeneration,
  makePeople,
  type Person,
  type RoomInit,
  signTogether,
  type Way,
} from './ceremonyRoom.ts';

const message = utf8('message');

/** The message that its sender would have signed with another body. */
function forged<Kind extends CeremonyKind>(
  liar: Person,
  original: CeremonyMessage<Kind>,
  body: CeremonyBody[Kind],
): CeremonyMessage {
  const signature = liar.sign(ceremonyMessageDigest(domain, original.session, original.kind, body));
  return { ...original, body, signature } as unknown as CeremonyMessage;
}

/** Members and threshold; the largest takes a while. */
const committees: readonly (readonly [number, number])[] = [
  [4, 3],
  [7, 5],
  ...(process.env.CLOISTER_LONG === '1' ? [[16, 11] as const] : []),
];

describe('a first key', () => {
  test.each(committees)(
    'of %i members with threshold %i: all agree, any threshold of them signs',
    async (count, threshold) => {
      const people = await makePeople(count);
      const generation = await makeGeneration({ receivers: people, threshold });
      expect(generation.made.dealers).toEqual(people.map(({ signer }) => signer));
      expect(generation.shares.size).toBe(count);
      for (const key of ['apps', 'beacon'] as const) {
        const first = signTogether(generation, key, people.slice(0, threshold), message);
        const last = signTogether(generation, key, people.slice(-threshold), message);
        expect(first.holds).toBe(true);
        expect(first.signature).toEqual(last.signature);
        expect(signTogether(generation, key, people.slice(1, threshold), message).holds).toBe(false);
      }
      expect(publicShareAt(generation.made.apps, 0)).not.toEqual(publicShareAt(generation.made.beacon, 0));
    },
  );

  test('an absent dealer is left out and named', async () => {
    const people = await makePeople(4);
    const init = { receivers: people, threshold: 3, absent: [people[2] as Person] };
    const rooms = await hold(init);
    const generation = generationOf(init, rooms);
    expect(generation.made.dealers).toHaveLength(3);
    expect(rooms.get((people[0] as Person).signer)?.faults()).toEqual(
      new Map([[(people[2] as Person).signer, 'absent']]),
    );
    expect(
      signTogether(
        generation,
        'apps',
        [0, 1, 3].map((index) => people[index] as Person),
        message,
      ).holds,
    ).toBe(true);
  });

  test('fewer than the threshold make none', async () => {
    const people = await makePeople(4);
    const rooms = await hold({ receivers: people, threshold: 3, absent: people.slice(2) });
    for (const room of rooms.values()) expect(room.agreed).toBeUndefined();
  });

  test('messages that come twice, late and in another order change nothing', async () => {
    const people = await makePeople(4);
    const held: CeremonyMessage[] = [];
    const way: Way = (arrived, to) => {
      if (to === (people[0] as Person).signer && held.length < 6) {
        held.unshift(arrived);
        return [];
      }
      return [...held, arrived, arrived];
    };
    const generation = await makeGeneration({ receivers: people, threshold: 3, way });
    expect(signTogether(generation, 'beacon', people.slice(1), message).holds).toBe(true);
  });
});

describe('a dealer that cheats', () => {
  test('one member out of its share answers in the open, and that member has it from there', async () => {
    const people = await makePeople(4);
    const [dealer, receiver] = people as [Person, Person];
    const init: RoomInit = { receivers: people, threshold: 3, proposer: 1, cheated: { dealer, receiver } };
    const rooms = await hold(init);
    const messages = [...(rooms.get(receiver.signer)?.messages.values() ?? [])];
    expect(messages.find(({ kind, from }) => kind === 'verdict' && from === receiver.signer)?.body).toEqual({
      against: [dealer.signer],
    });
    expect(messages.find(({ kind }) => kind === 'answer')).toMatchObject({
      from: dealer.signer,
      body: { to: receiver.signer },
    });
    const generation = generationOf(init, rooms);
    expect(generation.made.dealers).toHaveLength(4);
    expect(signTogether(generation, 'beacon', people.slice(0, 3), message).holds).toBe(true);
  });

  test('and does not answer is left out and named', async () => {
    const people = await makePeople(4);
    const [dealer, receiver] = people as [Person, Person];
    const way: Way = (arrived) => (arrived.kind === 'answer' ? [] : [arrived]);
    const init: RoomInit = { receivers: people, threshold: 3, proposer: 2, cheated: { dealer, receiver }, way };
    const rooms = await hold(init);
    expect(rooms.get(receiver.signer)?.faults()).toEqual(new Map([[dealer.signer, 'left a complaint open']]));
    rooms.delete(dealer.signer);
    const generation = generationOf(init, rooms);
    expect(generation.made.dealers).not.toContain(dealer.signer);
    expect(signTogether(generation, 'apps', people.slice(1), message).holds).toBe(true);
  });

  test('is not shown up by more complaints than could be answered without showing its secret', async () => {
    const people = await makePeople(4);
    const [dealer, ...liars] = people as [Person, ...Person[]];
    const way: Way = (arrived) => {
      const liar = liars.find(({ signer }) => signer === arrived.from);
      return arrived.kind === 'verdict' && liar !== undefined
        ? [forged(liar, arrived, { against: [dealer.signer] })]
        : [arrived];
    };
    const rooms = await hold({ receivers: people, threshold: 3, way });
    const said = [...(rooms.get(dealer.signer)?.messages.values() ?? [])];
    expect(said.filter(({ kind }) => kind === 'answer').length).toBeLessThan(3);
    expect(rooms.get(dealer.signer)?.faults().get(dealer.signer)).toBe('met too many complaints');
  });

  test('and commits to one dealing, then shows another, is left out and named', async () => {
    const people = await makePeople(4);
    const [liar] = people as [Person, Person, Person, Person];
    const init: RoomInit = { receivers: people, threshold: 3, proposer: 1 };
    const way: Way = (arrived) =>
      arrived.from === liar.signer && arrived.kind === 'commit'
        ? [forged(liar, arrived, { dealing: `0x${'22'.repeat(32)}` })]
        : [arrived];
    const rooms = await hold({ ...init, way });
    expect(
      rooms
        .get((people[1] as Person).signer)
        ?.faults()
        .get(liar.signer),
    ).toBe('showed another dealing than it committed to');
  });

  test('and tells two members different things is found out by what they tell each other', async () => {
    const people = await makePeople(4);
    const [liar, one] = people as [Person, Person, Person, Person];
    const init: RoomInit = { receivers: people, threshold: 3, proposer: 1 };
    const way: Way = (arrived, to, by) =>
      by === liar.signer && arrived.from === liar.signer && arrived.kind === 'commit' && to === one.signer
        ? [forged(liar, arrived, { dealing: `0x${'22'.repeat(32)}` })]
        : [arrived];
    const rooms = await hold({ ...init, way });
    for (const person of people.slice(1))
      expect(rooms.get(person.signer)?.faults().get(liar.signer)).toBe('said two different things');
    rooms.delete(liar.signer);
    expect(generationOf(init, rooms).made.dealers).toHaveLength(3);
  });

  test('and deals no points is left out and named', async () => {
    const people = await makePeople(4);
    const [liar] = people as [Person, Person, Person, Person];
    const init: RoomInit = { receivers: people, threshold: 3, proposer: 1 };
    let broken: CeremonyBody['dealing'] | undefined;
    const way: Way = (arrived) => {
      if (arrived.from !== liar.signer) return [arrived];
      if (arrived.kind === 'dealing') {
        broken = { ...arrived.body, apps: arrived.body.apps.map(() => `0x${'ff'.repeat(48)}` as Hex) };
        return [forged(liar, arrived, broken)];
      }
      if (arrived.kind !== 'commit') return [arrived];
      return broken === undefined
        ? []
        : [forged(liar, arrived, { dealing: ceremonyMessageDigest(domain, arrived.session, 'dealing', broken) })];
    };
    const rooms = await hold({ ...init, way });
    const faults = rooms
      .get((people[2] as Person).signer)
      ?.faults()
      .get(liar.signer);
    expect(['dealt what is no dealing', 'committed too late']).toContain(faults);
  });
});

describe('a proposer that cheats', () => {
  const proposing = (liar: Person, dealers: (all: readonly Address[]) => readonly Address[]): Way => {
    return (arrived) =>
      arrived.from === liar.signer && arrived.kind === 'proposal'
        ? [forged(liar, arrived, { dealers: dealers(arrived.body.dealers) })]
        : [arrived];
  };

  test('can leave no good dealer out of a first key', async () => {
    const people = await makePeople(4);
    const [liar] = people as [Person];
    const rooms = await hold({ receivers: people, threshold: 3, way: proposing(liar, (all) => all.slice(0, 3)) });
    for (const person of people.slice(1)) {
      expect(rooms.get(person.signer)?.agreed).toBeUndefined();
      expect(rooms.get(person.signer)?.objection).toMatch(/leaves out/);
    }
  });

  test('can name neither too few dealers nor strangers', async () => {
    const people = await makePeople(4);
    const [liar] = people as [Person];
    for (const dealers of [
      (all: readonly Address[]) => all.slice(0, 2),
      (all: readonly Address[]) => [...all, `0x${'77'.repeat(20)}` as Address],
    ]) {
      const rooms = await hold({ receivers: people, threshold: 3, way: proposing(liar, dealers) });
      for (const person of people.slice(1)) expect(rooms.get(person.signer)?.agreed).toBeUndefined();
    }
  });

  test('is replaced by the next attempt’s', async () => {
    const people = await makePeople(4);
    const [liar] = people as [Person];
    const generation = await makeGeneration({
      receivers: people,
      threshold: 3,
      proposer: 1,
      attempt: 1,
      way: proposing(liar, (all) => all.slice(0, 2)),
    });
    expect(generation.shares.size).toBe(4);
  });
});

describe('a key that moves', () => {
  test('to the same members, and on to others: the public keys stay, old shares are worth nothing', async () => {
    const people = await makePeople(4);
    const first = await makeGeneration({ receivers: people, threshold: 3 });
    const second = await makeGeneration({ receivers: people, threshold: 3, previous: first, attempt: 1 });
    const others = [...people.slice(2), ...(await makePeople(5))];
    const third = await makeGeneration({ receivers: others, threshold: 5, previous: second, attempt: 2 });
    for (const key of ['apps', 'beacon'] as const) {
      const signature = signTogether(first, key, people.slice(0, 3), message).signature;
      expect(signTogether(second, key, people.slice(1), message)).toEqual({ signature, holds: true });
      expect(signTogether(third, key, others.slice(2), message)).toEqual({ signature, holds: true });
      expect(toHex(publicShareAt(third.made[key], 0))).toBe(toHex(publicShareAt(first.made[key], 0)));
    }
    const mixed = { ...second, shares: new Map([...second.shares, ...[...first.shares].slice(0, 2)]) };
    expect(signTogether(mixed, 'apps', people.slice(0, 3), message).holds).toBe(false);
  });

  test('while one old member is away, and another has lost its shares: both hold the new ones or none', async () => {
    const people = await makePeople(5);
    const first = await makeGeneration({ receivers: people, threshold: 3 });
    const [away, restarted] = people as [Person, Person];
    const forgetful = {
      ...first,
      shares: new Map([...first.shares].filter(([signer]) => signer !== restarted.signer)),
    };
    const second = await makeGeneration({
      receivers: people,
      threshold: 3,
      previous: forgetful,
      proposer: 2,
      absent: [away],
      attempt: 1,
    });
    expect(second.made.dealers).toHaveLength(3);
    expect([...second.shares.keys()]).toEqual(people.slice(1).map(({ signer }) => signer));
    expect(
      signTogether(
        second,
        'apps',
        [1, 2, 4].map((index) => people[index] as Person),
        message,
      ),
    ).toEqual(signTogether(first, 'apps', people.slice(0, 3), message));
  });

  test('not with fewer old members than the threshold', async () => {
    const people = await makePeople(4);
    const first = await makeGeneration({ receivers: people, threshold: 3 });
    const rooms = await hold({
      receivers: people,
      threshold: 3,
      previous: first,
      proposer: 2,
      absent: people.slice(0, 2),
    });
    for (const room of rooms.values()) expect(room.agreed).toBeUndefined();
  });

  test('and whoever deals something else than its share is left out and named', async () => {
    const people = await makePeople(4);
    const first = await makeGeneration({ receivers: people, threshold: 3 });
    const other = await makeGeneration({ receivers: people, threshold: 3 });
    const [liar] = people as [Person];
    const lying = {
      ...first,
      shares: new Map([...first.shares, [liar.signer, other.shares.get(liar.signer) as never]]),
    };
    const init: RoomInit = { receivers: people, threshold: 3, previous: lying, proposer: 1, attempt: 1 };
    const rooms = await hold(init);
    expect(
      rooms
        .get((people[1] as Person).signer)
        ?.faults()
        .get(liar.signer),
    ).toBe('dealt what is no dealing');
    rooms.delete(liar.signer);
    const generation = generationOf(init, rooms);
    expect(signTogether(generation, 'apps', people.slice(1), message).holds).toBe(true);
  });
});

test('what was agreed on carries the signatures of those who hold good shares', async () => {
  const people = await makePeople(4);
  const rooms = await hold({ receivers: people, threshold: 3 });
  const agreed = rooms.get((people[0] as Person).signer)?.agreed;
  expect(agreed?.digest).toBe(agreed && digestOf(agreed.made));
  expect([...(agreed?.signatures.keys() ?? [])].sort()).toEqual(people.map(({ signer }) => signer).sort());
});
