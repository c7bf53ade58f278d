import { type Bytes32, tagHash } from '@cloister/core';
import { fromHex } from '@cloister/crypto';
import type { Made, Previous } from '../../apps/gatekeeper/src/ceremony/agreement.ts';
import { Ceremony } from '../../apps/gatekeeper/src/ceremony/ceremony.ts';
import { type CeremonyMessage, readCeremonyMessage } from '../../apps/gatekeeper/src/ceremony/ceremonyMessage.ts';
import { type PublicShares, publicSharesHash, publicSharesOf } from '../../apps/gatekeeper/src/shares/publicShares.ts';
import {
  domain,
  type Generation,
  generationOf,
  makePeople,
  type Person,
} from '../../apps/gatekeeper/test/ceremonyRoom.ts';
import { dealtGeneration } from './dealtGeneration.ts';
import { type BenchLine, interleaved } from './measure.ts';

// One whole ceremony, for both keys of the committee, with nobody absent and nobody wrong. All members' work is done one after
// the other in this process: a member alone has one nth of it, and members work at the same time. Without the time that
// messages travel, and without sealing the new shares to a disk.

type Size = { readonly count: number; readonly threshold: number; readonly runs: number };
const four: Size = { count: 4, threshold: 3, runs: 5 };
const seven: Size = { count: 7, threshold: 5, runs: 3 };
const sixteen: Size = { count: 16, threshold: 11, runs: 1 };

/** dkg-4: four members make keys that any three of them have. */
export async function benchDkg4(): Promise<BenchLine> {
  return benchFresh('dkg-4', four);
}

/** dkg-7: seven members make keys that any five of them have. */
export async function benchDkg7(): Promise<BenchLine> {
  return benchFresh('dkg-7', seven);
}

/** dkg-16: sixteen members make keys that any eleven of them have. Once: it takes long. */
export async function benchDkg16(): Promise<BenchLine> {
  return benchFresh('dkg-16', sixteen);
}

/** reshare-4: four members share their keys anew among themselves. */
export async function benchReshare4(): Promise<BenchLine> {
  return benchResharing('reshare-4', four);
}

/** reshare-7: the same among seven. */
export async function benchReshare7(): Promise<BenchLine> {
  return benchResharing('reshare-7', seven);
}

/** reshare-16: the same among sixteen, once. */
export async function benchReshare16(): Promise<BenchLine> {
  return benchResharing('reshare-16', sixteen);
}

async function benchFresh(id: string, size: Size): Promise<BenchLine> {
  const people = await makePeople(size.count);
  return timed(id, size, () => hold(people, size.threshold));
}

async function benchResharing(id: string, size: Size): Promise<BenchLine> {
  const people = await makePeople(size.count);
  const previous = dealtGeneration(people, size.threshold);
  const publicShares = publicSharesOf(previous.made, size.count);
  return timed(id, size, () => hold(people, size.threshold, (person) => previousOf(previous, publicShares, person)));
}

function timed(id: string, { runs }: Size, ours: () => Promise<void>): Promise<BenchLine> {
  return interleaved({ id, ours, runs, warmUps: runs === 1 ? 0 : 1 });
}

/** One ceremony, until everybody has everybody's signature. Throws where they don't agree. */
async function hold(
  people: readonly Person[],
  threshold: number,
  previous: (person: Person) => Previous | undefined = () => undefined,
): Promise<void> {
  const session = tagHash('bench/session: v1', 0n);
  const rooms = new Map(
    people.map((me) => [
      me.signer,
      new Ceremony({
        domain,
        session,
        me,
        previous: previous(me),
        threshold,
        receivers: people,
        proposer: people[0]?.signer ?? me.signer,
        phaseMs: 1_000,
        digestOf: (made) => digestOf(made, people.length),
        keep: async () => {},
      }),
    ]),
  );
  const sent = new Set<CeremonyMessage>();
  // Commit, deal, judge, propose, sign: each turn says all that the turn before made possible.
  for (let turn = 0; turn < 8 && ![...rooms.values()].every(isDone); turn++) {
    for (const room of rooms.values()) await room.step(0);
    for (const [signer, room] of rooms)
      for (const message of room.messages.values())
        if (message.from === signer && !sent.has(message)) {
          sent.add(message);
          await carry(message, rooms);
        }
  }
  generationOf({ receivers: people, threshold }, rooms);
  if (![...rooms.values()].every(isDone)) throw new Error('Expected every member to sign');
  for (const room of rooms.values()) room.dispose();
}

function isDone(room: Ceremony): boolean {
  return room.agreed !== undefined && room.everybodySigned;
}

/** To everybody but its sender, who each read it and check who signed it. */
async function carry(message: CeremonyMessage, rooms: ReadonlyMap<string, Ceremony>): Promise<void> {
  const text = JSON.stringify(message);
  for (const [signer, room] of rooms) {
    if (signer === message.from) continue;
    const read = readCeremonyMessage(domain, JSON.parse(text));
    if (read === undefined) throw new Error(`Expected a message signed by "${message.from}"`);
    await room.receive(read);
  }
}

/** Every member works out all members' public shares: it signs their hash. */
function digestOf(made: Made, count: number): Bytes32 {
  return tagHash('bench/handover: v1', made.transcriptHash, publicSharesHash(publicSharesOf(made, count)));
}

function previousOf(
  { threshold, people, shares }: Generation,
  publicShares: PublicShares,
  { signer }: Person,
): Previous {
  return {
    threshold,
    signers: people.map((person) => person.signer),
    publicSharesAt: (index) => {
      const held = publicShares[index - 1];
      if (held === undefined) throw new RangeError(`Expected a member's index, got "${index}"`);
      return { apps: fromHex(held.apps), beacon: fromHex(held.beacon) };
    },
    shares: shares.get(signer),
  };
}
