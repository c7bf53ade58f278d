import {
  type Address,
  type Bytes32,
  type Hex,
  type MeasurementVector,
  measurementCommitmentDigest,
  measurementPublicationDigest,
  parsePublishedVector,
  publicationId,
  type RecordDomain,
  type SignedMeasurementCommitment,
  type SignedMeasurementPublication,
} from '@cloister/core';
import { fromHex } from '@cloister/crypto';
import { recoverAddress } from '@cloister/crypto/native-secp256k1';

export type EpochBookInit = {
  readonly domain: RecordDomain;
  readonly epoch: bigint;
  /** The members at the epoch's end: whose word is taken. */
  readonly members: readonly { readonly operator: Address; readonly signer: Address }[];
};

/** Publications of one member that are taken in unasked: two prove all that there is to prove. */
const maxTold = 2;
const maxNeeded = 16;

/** A publication that is held, and since when. */
type Held = { readonly id: Bytes32; readonly publication: SignedMeasurementPublication; readonly sinceMs: number };

/** What members committed to and published about one epoch, every signature checked, everything bounded by who is a member. */
export class EpochBook {
  readonly #init: EpochBookInit;
  readonly #signers: ReadonlyMap<Address, Address>;
  readonly #commitments = new Map<
    Address,
    { readonly signed: SignedMeasurementCommitment; readonly sinceMs: number }
  >();
  readonly #publications = new Map<Address, Held[]>();
  readonly #bytes = new Map<Bytes32, Uint8Array>();
  readonly #vectors = new Map<Bytes32, MeasurementVector>();

  constructor(init: EpochBookInit) {
    this.#init = init;
    this.#signers = new Map(init.members.map(({ operator, signer }) => [operator, signer]));
  }

  /** One of each member, ascending by member: the first that came. */
  get commitments(): readonly SignedMeasurementCommitment[] {
    return this.commitmentsBy(Number.POSITIVE_INFINITY);
  }

  /** Those that were here at a moment. */
  commitmentsBy(atMs: number): readonly SignedMeasurementCommitment[] {
    return [...this.#commitments.values()]
      .filter(({ sinceMs }) => sinceMs <= atMs)
      .map(({ signed }) => signed)
      .sort((left, right) => (left.member < right.member ? -1 : 1));
  }

  /** In the members' order, of each in that in which they came. */
  get publications(): readonly Held[] {
    return this.#init.members.flatMap(({ operator }) => this.#publications.get(operator) ?? []);
  }

  /** By id, those that are held. */
  get vectors(): ReadonlyMap<Bytes32, MeasurementVector> {
    return this.#vectors;
  }

  publicationsOf(member: Address): readonly Held[] {
    return this.#publications.get(member) ?? [];
  }

  /** Whether of every member there is all that a record needs. */
  isComplete(): boolean {
    return this.#init.members.every(({ operator }) => this.isUsable(operator));
  }

  /** Whether a member's measurements are here whole, or it is known that they count for nothing. */
  isUsable(member: Address): boolean {
    const [first, second] = this.publicationsOf(member);
    return first !== undefined && (second !== undefined || this.#vectors.has(first.publication.vectorId));
  }

  takeCommitment(signed: SignedMeasurementCommitment, nowMs: number): void {
    if (signed.epoch !== this.#init.epoch || this.#commitments.has(signed.member)) return;
    if (this.#isFrom(signed.member, measurementCommitmentDigest(this.#init.domain, signed), signed.signature))
      this.#commitments.set(signed.member, { signed, sinceMs: nowMs });
  }

  /** @param isNeeded whether a candidate rests on it: then more of one member are taken in than prove that it made more than one */
  takePublication(signed: SignedMeasurementPublication, nowMs: number, isNeeded = false): void {
    const held = this.publicationsOf(signed.member);
    const id = publicationId(signed);
    const isKnown = held.some((one) => one.id === id);
    if (signed.epoch !== this.#init.epoch || isKnown || held.length >= (isNeeded ? maxNeeded : maxTold)) return;
    if (this.#isFrom(signed.member, measurementPublicationDigest(this.#init.domain, signed), signed.signature))
      this.#publications.set(signed.member, [...held, { id, publication: signed, sinceMs: nowMs }]);
  }

  /** Publications whose vector is wanted and not here: none of a member that published two. */
  get missing(): readonly SignedMeasurementPublication[] {
    return this.#init.members.flatMap(({ operator }) => {
      const [first, second] = this.publicationsOf(operator);
      const isWanted = first !== undefined && second === undefined && !this.#vectors.has(first.publication.vectorId);
      return isWanted ? [first.publication] : [];
    });
  }

  /** Takes in the bytes that a publication names. Throws SchemaError, JsonError, MEASUREMENT_INVALID for others. */
  takeVector(publication: SignedMeasurementPublication, bytes: Uint8Array): void {
    const vector = parsePublishedVector(bytes, publication);
    this.#vectors.set(publication.vectorId, vector);
    this.#bytes.set(publication.vectorId, bytes);
  }

  /** The published bytes of all vectors that are held, by id. */
  get bytes(): ReadonlyMap<Bytes32, Uint8Array> {
    return this.#bytes;
  }

  #isFrom(member: Address, digest: Bytes32, signature: Hex): boolean {
    try {
      return recoverAddress(fromHex(digest), fromHex(signature)) === this.#signers.get(member);
    } catch {
      return false;
    }
  }
}
