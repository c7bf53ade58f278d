import {
  CloisterError,
  type EpochIndex,
  epochRecordDigest,
  type Hex,
  type MeasurementPublication,
  measurementPublicationDigest,
  merkleRoot,
  publicationId,
  tagHash,
} from '@cloister/core';
import { fromHex, recoverAddress } from '@cloister/crypto';
import { type EpochLeaves, measuredLeaf, rewardLeaf } from '@cloister/economics';
import { describe, expect, test } from 'vitest';
import { domain, makePerson } from './ceremonyRoom.ts';
import { b32, EpochTown, type EpochTownMember, epochSeconds, measurement } from './epochTown.ts';

/** What a member tells of the first epoch; nothing where it knows of none. */
async function told(member: EpochTownMember | undefined): Promise<EpochIndex> {
  const index = await member?.keeper.index(0n);
  return index ?? { epoch: 0n, commitments: [], publications: [], candidates: [] };
}

const basisOf = async (member: EpochTownMember) =>
  (await told(member)).publications.map((publication) => [publication.member, publicationId(publication)] as const);

/** The leaves of a record, of whichever member has them first. */
async function leavesOf(members: readonly EpochTownMember[], digest: Hex): Promise<EpochLeaves> {
  const all = await Promise.all(members.map(({ keeper }) => keeper.leaves(digest)));
  return all.find((found) => found !== undefined) as EpochLeaves;
}

/** Members whose measurements stand in the record's tree. */
async function countedIn({ members }: EpochTown, digest: Hex): Promise<unknown[]> {
  const { measurementsRoot } = await leavesOf(members, digest);
  return measurementsRoot.map(({ says }) => says).filter((says) => 'member' in says);
}

/** The publication with one commitment less in what it saw, signed by the same member: another one. */
function second(member: EpochTownMember, publication: MeasurementPublication): EpochIndex['publications'][number] {
  const other = { ...publication, seen: publication.seen.slice(1) };
  return { ...other, signature: member.person.sign(measurementPublicationDigest(domain, other)) };
}

describe('an epoch is recorded', () => {
  test('once, by its first proposer, the same for all members', async () => {
    const town = await EpochTown.of(4, 3);
    const record = await town.recorded(20);
    expect(record).toMatchObject({
      epoch: 0n,
      attempt: 0,
      block: 100n,
      totals: { members: 4, workers: 2, work: 2_000n },
    });
    const digest = epochRecordDigest(domain, record);
    for (let turn = 0; turn < 60; turn += 1) await town.turn();
    expect(town.chain.posts).toBe(1);
    const signed = await Promise.all(town.members.map((member) => leavesOf([member], digest)));
    for (const leaves of signed) expect(leaves).toEqual(signed[0]);
    expect(record.directoryRoot).toBe(merkleRoot((signed[0]?.directoryRoot ?? []).map(({ leaf }) => leaf)));
    expect(record.releaseLogRoot).toBe(
      merkleRoot(town.members.map(({ operator }) => tagHash('cloister/release-head: v1', operator, b32(0xcc)))),
    );
    expect(town.members.map(({ keeper }) => keeper.objection)).toEqual(['', '', '', '']);
  });

  test('with the rewards of those that are bonded, each member the same to the byte', async () => {
    const town = await EpochTown.of(4, 3);
    const [first] = town.members as [EpochTownMember];
    first.measurements = [measurement(1, { work: 90_000n }), measurement(2)];
    for (const member of town.members.slice(1))
      member.measurements = [measurement(1, { work: 80_000n }), measurement(2)];
    town.chain.earners = {
      budget: 1_000n,
      bondFactor: 1n,
      workers: [{ workerId: b32(1), platformId: b32(0x61), operator: `0x${'0e'.repeat(20)}`, bond: 9n, tcbStatus: 1 }],
    };
    const record = await town.recorded(20);
    const reward = { epoch: 0n, operator: `0x${'0e'.repeat(20)}` as const, amount: 1_000n };
    expect(record.rewardsRoot).toBe(rewardLeaf(reward));
    expect(record.totals.rewards).toBe(1_000n);
    const digest = epochRecordDigest(domain, record);
    const signed = await Promise.all(town.members.map((member) => leavesOf([member], digest)));
    for (const leaves of signed) expect(leaves?.rewardsRoot).toEqual([{ leaf: rewardLeaf(reward), says: reward }]);
  });

  test('when whoever posts it has kept all that it rests on: a kill of all in that moment loses nothing', async () => {
    const town = await EpochTown.of(4, 3);
    const kept: unknown[] = [];
    town.chain.beforePost = (record) => {
      const digest = epochRecordDigest(domain, record);
      const { index, vectors, leaves } = town.members[0]?.archived.get(record.epoch) ?? {};
      const has = index?.publications.filter(({ vectorId }) => vectors?.has(vectorId)).length;
      kept.push([index?.candidates.map((one) => epochRecordDigest(domain, one.record)), has, leaves?.has(digest)]);
    };
    const record = await town.recorded(20);
    expect(kept).toEqual([[[epochRecordDigest(domain, record)], 4, true]]);
  });

  test('by nobody once the next one is over by the newest block; the next one is', async () => {
    const town = await EpochTown.of(4, 3);
    town.chain.ahead = epochSeconds;
    for (let turn = 0; turn < 60; turn += 1) await town.turn();
    expect(town.chain.posts).toBe(0);
    for (const member of town.members) {
      const { publications, candidates } = await told(member);
      expect([publications.length, candidates]).toEqual([4, []]);
    }
    town.chain.ahead = 0n;
    town.chain.now = 2n * epochSeconds;
    await town.until(() => town.chain.records.length === 1, 30);
    expect(town.chain.records[0]?.epoch).toBe(1n);
  });

  test('by nobody where the chain refuses it as too late; who tried goes on with the next one', async () => {
    const town = await EpochTown.of(4, 3);
    town.chain.isNewestUnknown = true;
    town.chain.ahead = epochSeconds;
    for (let turn = 0; turn < 60; turn += 1) await town.turn();
    // The first proposer once, and each one whose turn came after it.
    expect(town.chain.posts).toBeGreaterThan(0);
    expect(town.chain.posts).toBeLessThanOrEqual(3);
    town.chain.ahead = 0n;
    town.chain.now = 2n * epochSeconds;
    await town.until(() => town.chain.records.length === 1, 30);
    expect(town.chain.records[0]?.epoch).toBe(1n);
  });

  test('and the next one after it; what was published stays to be asked for', async () => {
    const town = await EpochTown.of(4, 3);
    await town.recorded(20);
    town.chain.now = 2n * epochSeconds;
    await town.until(() => town.chain.records.length === 2, 30);
    const [first] = town.members as [EpochTownMember];
    const { publications } = await told(first);
    expect(publications).toHaveLength(4);
    for (const { vectorId } of publications) expect(await first.keeper.vector(vectorId)).toBeDefined();
    expect(await first.keeper.index(7n)).toBeUndefined();
  });

  test('with no vector published while commitments are taken, nor one taken after that', async () => {
    const town = await EpochTown.of(4, 3);
    const [late, , other] = town.members as [EpochTownMember, EpochTownMember, EpochTownMember];
    late.isUp = false;
    await town.until(async () => (await told(other)).commitments.length === 3, 6);
    for (let seconds = 0; seconds < 4; seconds += 2) {
      expect((await told(other)).publications).toEqual([]);
      await town.turn();
    }
    // It comes when nobody has published yet, and too late to be in anybody's list.
    late.isUp = true;
    await town.until(async () => (await told(other)).publications.length === 4, 8);
    const lists = (await told(other)).publications.filter(({ member }) => member !== late.operator);
    for (const { seen } of lists) expect(seen.map(({ member }) => member)).not.toContain(late.operator);
    expect((await town.recorded()).totals.members).toBe(3);
  });

  test('not before there was a committee', async () => {
    const town = await EpochTown.of(3, 2);
    const view = town.chain.view();
    const [member] = town.members as [EpochTownMember];
    expect((await view.factsOf(0n, new AbortController().signal))?.generation).toBeDefined();
    town.chain.view = () => ({
      ...view,
      factsOf: async (epoch, signal) => ({ ...(await view.factsOf(epoch, signal)), generation: undefined }) as never,
    });
    for (const one of town.members) one.start();
    await expect(town.recorded(40)).rejects.toThrow(/did not come/);
    expect(await member.keeper.index(0n)).toBeUndefined();
  });
});

describe('a member that lies', () => {
  test('about workers moves no median out of what the others saw', async () => {
    const town = await EpochTown.of(4, 3);
    const [liar] = town.members as [EpochTownMember];
    liar.measurements = [measurement(1, { answered: 1, latencyMs: 99_999, work: 1n }), measurement(9)];
    const record = await town.recorded(20);
    const { measurementsRoot: leaves } = await leavesOf(town.members, epochRecordDigest(domain, record));
    const honest = { measuredBy: 4, availability: 1_000_000, latencyMs: 20, work: 1_000n };
    expect(leaves.map(({ leaf }) => leaf)).toContain(measuredLeaf({ workerId: b32(1), ...honest }));
    // A worker that it made up is not there.
    expect(leaves.some(({ says }) => (says as { workerId?: string }).workerId === b32(9))).toBe(false);
  });

  test('about rewards is found out, and the next proposer’s record is taken', async () => {
    const town = await EpochTown.of(4, 3);
    const [liar, ...others] = town.members as [EpochTownMember, ...EpochTownMember[]];
    town.tells = (from, _, index) => ({
      ...index,
      candidates: index.candidates.map((candidate) => {
        if (from !== liar || candidate.record.attempt > 0) return candidate;
        const { record } = candidate;
        const false1 = { ...record, totals: { ...record.totals, rewards: 10n ** 24n } };
        return { ...candidate, record: false1, signatures: [liar.person.sign(epochRecordDigest(domain, false1))] };
      }),
    });
    const record = await town.recorded(60);
    expect(record).toMatchObject({ attempt: 1, totals: { rewards: 0n } });
    for (const { keeper } of others)
      expect(keeper.objection).toMatch(/its totals.rewards is "1000000000000000000000000"/);
  });

  test('in a candidate is found out by field, and the next proposer’s record is taken', async () => {
    const town = await EpochTown.of(4, 3);
    const [liar, ...others] = town.members as [EpochTownMember, ...EpochTownMember[]];
    town.tells = (from, _, index) => ({
      ...index,
      candidates: index.candidates.map((candidate) => {
        if (from !== liar || candidate.record.attempt > 0) return candidate;
        const record = { ...candidate.record, directoryRoot: b32(0xbad & 0xff) };
        return { ...candidate, record, signatures: [liar.person.sign(epochRecordDigest(domain, record))] };
      }),
    });
    const record = await town.recorded();
    expect(record.attempt).toBe(1);
    for (const { keeper } of others) expect(keeper.objection).toContain('its directoryRoot is');
  });

  test('by leaving out somebody’s measurements is not followed', async () => {
    const town = await EpochTown.of(4, 3);
    const [liar, victim, ...others] = town.members as [EpochTownMember, EpochTownMember, ...EpochTownMember[]];
    // It acts as if the victim had said nothing, until long after everybody else has its vector.
    const isHidden = (to: EpochTownMember) => to === liar && town.chain.now < epochSeconds + 50n;
    town.tells = (_, to, index) =>
      isHidden(to)
        ? {
            ...index,
            publications: index.publications.filter(({ member }) => member !== victim.operator),
            candidates: [],
          }
        : index;
    const record = await town.recorded();
    expect(record).toMatchObject({ attempt: 1, totals: { members: 4 } });
    for (const { keeper } of others)
      expect(keeper.objection).toContain(`it leaves out the measurements of "${victim.operator}"`);
  });

  test('by publishing two vectors is named, and counts for nothing', async () => {
    const town = await EpochTown.of(4, 3);
    const [, liar] = town.members as [EpochTownMember, EpochTownMember];
    town.tells = (from, to, index) => ({
      ...index,
      publications: index.publications.map((publication) =>
        from === liar && publication.member === liar.operator && to === town.members[0]
          ? second(liar, publication)
          : publication,
      ),
    });
    const record = await town.recorded();
    expect(record.totals.members).toBe(3);
    const counted = await countedIn(town, epochRecordDigest(domain, record));
    expect(counted).toContainEqual({ member: liar.operator, equivocated: expect.any(Array) });
    expect(counted).not.toContainEqual(
      expect.objectContaining({ member: liar.operator, publication: expect.anything() }),
    );
  });

  test('by keeping its vector to itself is passed over', async () => {
    const town = await EpochTown.of(4, 3);
    const [, liar] = town.members as [EpochTownMember, EpochTownMember];
    town.gives = (from, _, bytes) => (from === liar ? undefined : bytes);
    const record = await town.recorded();
    expect(record).toMatchObject({ attempt: 0, totals: { members: 3 } });
  });

  test('by giving other bytes for its vector is passed over', async () => {
    const town = await EpochTown.of(4, 3);
    const [, liar] = town.members as [EpochTownMember, EpochTownMember];
    town.gives = (from, _, bytes) => (from === liar ? bytes.slice(1) : bytes);
    expect((await town.recorded()).totals.members).toBe(3);
  });

  test('in others’ names says nothing', async () => {
    const town = await EpochTown.of(4, 3);
    const [liar, victim] = town.members as [EpochTownMember, EpochTownMember];
    town.tells = (from, _, index) =>
      from === liar
        ? {
            ...index,
            publications: index.publications.map((one) =>
              one.member === victim.operator ? { ...second(liar, one) } : one,
            ),
            commitments: index.commitments.map((one) =>
              one.member === victim.operator
                ? { ...one, commitment: b32(0xee), signature: liar.person.sign(b32(0xee)) }
                : one,
            ),
          }
        : index;
    expect((await town.recorded(20)).totals.members).toBe(4);
  });

  test('about what another’s candidate rests on keeps nobody from signing it', async () => {
    const town = await EpochTown.of(4, 3);
    const [proposer, liar] = town.members as [EpochTownMember, EpochTownMember];
    let lies = 0;
    town.tells = (from, to, index) => {
      if (from !== liar || to === proposer) return index;
      lies += index.candidates.length;
      return {
        ...index,
        candidates: index.candidates.map((candidate) => ({ ...candidate, basis: [b32(++lies % 256)] })),
      };
    };
    // The liar hears of it first.
    const tells = town.tells;
    town.tells = (from, to, index) =>
      from === proposer && to !== liar && lies === 0 ? { ...index, candidates: [] } : tells(from, to, index);
    expect(await town.recorded(25)).toMatchObject({ attempt: 0, totals: { members: 4 } });
    expect(lies).toBeGreaterThan(0);
  });

  test('with two candidates for one attempt gets no second signature', async () => {
    const town = await EpochTown.of(4, 3);
    const [liar, one, two, three] = town.members as [
      EpochTownMember,
      EpochTownMember,
      EpochTownMember,
      EpochTownMember,
    ];
    const seen = new Map<EpochTownMember, Set<Hex>>();
    town.tells = (from, to, index) => {
      for (const { record } of from === liar ? [] : index.candidates)
        if (record.attempt === 0)
          (seen.get(from) ?? seen.set(from, new Set()).get(from))?.add(epochRecordDigest(domain, record));
      if (from !== liar || to === one) return index;
      const candidates = index.candidates.map((candidate) => {
        const record = { ...candidate.record, evictionRoot: b32(0xee) };
        return { ...candidate, record, signatures: [liar.person.sign(epochRecordDigest(domain, record))] };
      });
      return { ...index, candidates };
    };
    await town.recorded();
    for (const member of [one, two, three]) expect(seen.get(member)?.size ?? 0).toBeLessThanOrEqual(1);
    // Who heard of both holds the proof, and of nobody else.
    const proofs = [one, two, three].flatMap((member) => member.proofs);
    expect(new Set(proofs.map(({ signer }) => signer))).toEqual(new Set([liar.person.signer]));
    for (const { signer, records } of proofs) {
      const digests = records.map(({ record }) => epochRecordDigest(domain, record));
      expect(new Set(digests).size).toBe(2);
      expect(new Set(records.map(({ record }) => `${record.epoch} ${record.attempt}`)).size).toBe(1);
      for (const [index, { signature }] of records.entries())
        expect(recoverAddress(fromHex(digests[index] as Hex), fromHex(signature))).toBe(signer);
    }
  });
});

describe('a member that is not there', () => {
  test('is passed over, and the record still made in the first attempt', async () => {
    const town = await EpochTown.of(4, 3);
    (town.members[3] as EpochTownMember).isUp = false;
    expect(await town.recorded()).toMatchObject({ attempt: 0, totals: { members: 3 } });
  });

  test('when it is its turn leaves it to the next', async () => {
    const town = await EpochTown.of(4, 3);
    (town.members[0] as EpochTownMember).isUp = false;
    expect(await town.recorded()).toMatchObject({ attempt: 1, totals: { members: 3 } });
  });

  test('once it had proposed: the next one posts what all have signed', async () => {
    const town = await EpochTown.of(4, 3);
    const [proposer] = town.members as [EpochTownMember];
    await town.until(async () => ((await told(town.members[1])).candidates[0]?.signatures.length ?? 0) >= 2, 20);
    proposer.isUp = false;
    expect(await town.recorded()).toMatchObject({ attempt: 0 });
    expect(town.chain.now).toBeGreaterThan(epochSeconds + 60n);
  });

  test('for too many: nothing is recorded until they are back', async () => {
    const town = await EpochTown.of(4, 3);
    const [one, two] = town.members as [EpochTownMember, EpochTownMember];
    one.isUp = false;
    two.isUp = false;
    // Long enough for more attempts than are told of an epoch.
    for (let attempt = 0; attempt < 12; attempt += 1) await town.turn(60n);
    await expect(town.recorded(20)).rejects.toThrow(/did not come/);
    expect((await told(town.members[2])).candidates.length).toBeLessThanOrEqual(8);
    one.isUp = true;
    const record = await town.recorded();
    // Its commitment came after the others had published: nobody had seen it.
    expect(record.totals.members).toBe(0);
  });

  test('while others committed has no measurements, and signs all the same', async () => {
    const town = await EpochTown.of(4, 3);
    const [, late, gone] = town.members as [EpochTownMember, EpochTownMember, EpochTownMember];
    late.isUp = false;
    await town.until(async () => (await told(gone)).publications.length === 3, 20);
    late.isUp = true;
    gone.isUp = false;
    const record = await town.recorded();
    expect(record.totals.members).toBe(3);
    expect(await countedIn(town, epochRecordDigest(domain, record))).not.toContainEqual(
      expect.objectContaining({ member: late.operator }),
    );
  });
});

describe('a member that starts anew', () => {
  test('goes on with what it had committed to, where its device seals', async () => {
    const town = await EpochTown.of(4, 3);
    const [, member] = town.members as [EpochTownMember, EpochTownMember];
    await town.until(async () => (await basisOf(member)).some(([of]) => of === member.operator), 12);
    const before = (await basisOf(member)).find(([of]) => of === member.operator);
    member.measurements = [measurement(7)];
    member.start();
    await town.until(async () => (await basisOf(member)).length === 4, 12);
    expect(await basisOf(member)).toContainEqual(before);
    expect((await town.recorded()).totals.members).toBe(4);
  });

  test('says nothing of that epoch otherwise, and of the next one again', async () => {
    const town = await EpochTown.of(4, 3);
    const [, member] = town.members as [EpochTownMember, EpochTownMember];
    await town.until(async () => (await told(member)).commitments.length > 0, 4);
    member.start(false);
    member.measurements = [measurement(7)];
    await town.recorded();
    const own = (await told(member)).publications.filter((one) => one.member === member.operator);
    expect(own).toEqual([]);
    town.chain.now = 2n * epochSeconds;
    await town.until(() => town.chain.records.length === 2, 30);
    expect(town.chain.records[1]?.totals.members).toBe(4);
  });

  test('signs no record of an epoch that was over when it started, whatever its device seals', async () => {
    const town = await EpochTown.of(3, 3);
    const [, member] = town.members as [EpochTownMember, EpochTownMember];
    await town.until(async () => (await told(member)).commitments.length === 3, 6);
    member.start();
    await expect(town.recorded(80)).rejects.toThrow(/did not come/);
    town.chain.now = 2n * epochSeconds;
    await town.until(() => town.chain.records.length === 1, 30);
    expect(town.chain.records[0]).toMatchObject({ epoch: 1n, totals: { members: 3 } });
  });

  test('as another enclave has no measurements of that epoch, and counts in the next', async () => {
    const town = await EpochTown.of(4, 3);
    const [, member] = town.members as [EpochTownMember, EpochTownMember];
    const before = town.membersAtEnd;
    Object.defineProperty(town, 'membersAtEnd', { get: () => before, configurable: true });
    member.person = await makePerson();
    member.start(false);
    expect((await town.recorded()).totals.members).toBe(3);
    const after = town.members.map(({ operator, person: { signer } }) => ({ operator, signer }));
    Object.defineProperty(town, 'membersAtEnd', { get: () => after });
    town.chain.now = 2n * epochSeconds;
    await town.until(() => town.chain.records.length === 2, 30);
    expect(town.chain.records[1]?.totals.members).toBe(4);
  });
});

test('whoever does not see the chain that others see signs nothing', async () => {
  const town = await EpochTown.of(4, 3);
  const [, one, two] = town.members as [EpochTownMember, EpochTownMember, EpochTownMember];
  town.assertWitnessed = (member) => {
    if (member === one || member === two)
      throw new CloisterError({ code: 'CHAIN_UNWITNESSED', message: 'another chain', retry: true });
  };
  await expect(town.recorded(25)).rejects.toThrow(/did not come.*another chain/);
  town.assertWitnessed = () => {};
  await town.recorded();
});
