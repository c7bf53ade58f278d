import { type Address, type Bytes32, type Hex, tagHash } from '@cloister/core';
import { addressOf, engine, fromHex, generateSecp256k1, signDigest, toHex, type X25519KeyPair } from '@cloister/crypto';
import { combinePartials, verifySignature } from '@cloister/threshold/combine';
import { publicShareAt } from '@cloister/threshold/dkg';
import { signWithShare } from '@cloister/threshold/native';
import type { CeremonyInit, Made, Previous } from '../src/ceremony/agreement.ts';
import { Ceremony } from '../src/ceremony/ceremony.ts';
import type { CeremonyMessage } from '../src/ceremony/ceremonyMessage.ts';
import type { SharePair } from '../src/shares/sharePair.ts';

export const domain = { chainId: 31337, registry: `0x${'11'.repeat(20)}` as Address };
export const phaseMs = 1_000;

const nobodysKey: Bytes32 = `0x09${'00'.repeat(31)}`;

export type Person = {
  readonly signer: Address;
  readonly sign: (digest: Bytes32) => Hex;
  readonly hpke: X25519KeyPair;
  readonly hpkeKey: Bytes32;
};

export async function makePerson(): Promise<Person> {
  const secret = generateSecp256k1();
  const hpke = await engine.generateX25519();
  return {
    signer: addressOf(secret),
    sign: (digest) => toHex(signDigest(secret, fromHex(digest))),
    hpke,
    hpkeKey: toHex(hpke.publicKey) as Bytes32,
  };
}

export const makePeople = (count: number): Promise<Person[]> => Promise.all(Array.from({ length: count }, makePerson));

/** What stands for the handover's digest here: everything that the members must agree on. */
export function digestOf(made: Made): Bytes32 {
  return tagHash(
    'test/handover: v1',
    made.transcriptHash,
    tagHash('test/key: v1', toHex(publicShareAt(made.apps, 0).slice(0, 32)) as Bytes32),
    BigInt(made.dealers.length),
  );
}

/** A generation of shares as its members hold it, for a test that sees all of them. */
export type Generation = {
  readonly threshold: number;
  readonly people: readonly Person[];
  readonly made: Made;
  readonly shares: ReadonlyMap<Address, SharePair>;
};

/** What a message becomes on its way from whoever passes it on to one member: itself, others, nothing. */
export type Way = (message: CeremonyMessage, to: Address, by: Address) => readonly CeremonyMessage[];

export type RoomInit = {
  readonly receivers: readonly Person[];
  readonly threshold: number;
  readonly previous?: Generation;
  readonly proposer?: number;
  /** Of them nothing is heard, and nothing reaches them. */
  readonly absent?: readonly Person[];
  readonly way?: Way;
  readonly attempt?: number;
  /** A dealer that seals a receiver's shares to a key that nobody has. */
  readonly cheated?: { readonly dealer: Person; readonly receiver: Person };
};

/** Everybody's ceremonies, with messages carried between them until all that can be said has been said. */
export async function hold(init: RoomInit): Promise<Map<Address, Ceremony>> {
  const { receivers, threshold, previous, absent = [], cheated, way = (message) => [message] } = init;
  const session = tagHash('test/session: v1', BigInt(init.attempt ?? 0));
  const everybody = [...new Set([...(previous?.people ?? []), ...receivers])].filter((one) => !absent.includes(one));
  const rooms = new Map<Address, Ceremony>();
  for (const person of everybody) {
    const ceremonyInit: CeremonyInit = {
      domain,
      session,
      me: person,
      previous: previous && previousOf(previous, person),
      threshold,
      receivers: receivers.map(({ signer, hpkeKey }) => ({
        signer,
        hpkeKey: cheated?.dealer === person && cheated.receiver.signer === signer ? nobodysKey : hpkeKey,
      })),
      proposer: (receivers[init.proposer ?? 0] as Person).signer,
      phaseMs,
      digestOf,
      keep: async () => {},
    };
    rooms.set(person.signer, new Ceremony(ceremonyInit));
  }
  for (let elapsed = 0; elapsed <= 4 * phaseMs; elapsed += phaseMs / 4) {
    for (const room of rooms.values()) await room.step(elapsed);
    await carry(rooms, way);
  }
  return rooms;
}

async function carry(rooms: ReadonlyMap<Address, Ceremony>, way: Way): Promise<void> {
  const said = [...rooms].map(([from, room]) => [from, [...room.messages.values()]] as const);
  for (const [from, messages] of said)
    for (const [to, room] of rooms)
      if (to !== from)
        for (const message of messages) for (const arrived of way(message, to, from)) await room.receive(arrived);
}

function previousOf({ threshold, people, made, shares }: Generation, person: Person): Previous {
  return {
    threshold,
    signers: people.map(({ signer }) => signer),
    publicSharesAt: (index) => ({
      apps: publicShareAt(made.apps, index),
      beacon: publicShareAt(made.beacon, index),
    }),
    shares: shares.get(person.signer),
  };
}

/** The generation that the members agreed on; throws where they did not, or on different things. */
export function generationOf(init: RoomInit, rooms: ReadonlyMap<Address, Ceremony>): Generation {
  const all = [...rooms].flatMap(([signer, room]) => (room.agreed ? [[signer, room.agreed] as const] : []));
  const first = all[0]?.[1];
  if (first === undefined) {
    const why = [...rooms].map(([signer, room]) => `${signer.slice(0, 8)}: ${room.objection ?? 'no proposal'}`);
    throw new Error(`Nobody agreed: ${why.join('; ')}`);
  }
  const digests = new Set(all.map(([, agreed]) => agreed.digest));
  if (digests.size !== 1) throw new Error('The members agreed on different things');
  const shares = new Map(all.flatMap(([signer, { shares: pair }]) => (pair ? [[signer, pair] as const] : [])));
  return { threshold: init.threshold, people: init.receivers, made: first.made, shares };
}

export async function makeGeneration(init: RoomInit): Promise<Generation> {
  return generationOf(init, await hold(init));
}

/** The signature of these members over a message by one of the two keys, and whether it holds. */
export function signTogether(
  generation: Generation,
  key: 'apps' | 'beacon',
  signers: readonly Person[],
  message: Uint8Array,
): { signature: Uint8Array; holds: boolean } {
  const signature = combinePartials(
    signers.map((person) => ({
      index: generation.people.indexOf(person) + 1,
      signature: signWithShare((generation.shares.get(person.signer) as SharePair)[key], message),
    })),
  );
  return { signature, holds: verifySignature(publicShareAt(generation.made[key], 0), message, signature) };
}
