import {
  type Address,
  type Bytes32,
  CloisterError,
  commitmentTo,
  describeError,
  type EpochCandidate,
  type EpochIndex,
  type EpochRecord,
  epochAttemptAt,
  epochRecordDigest,
  type Hex,
  maxEpochCandidates,
  maxEpochPublications,
  measurementCommitmentDigest,
  measurementPublicationDigest,
  measurementVectorBytes,
  measurementVectorId,
  publicationId,
  type RecordDomain,
  sleep,
  type WorkerMeasurement,
} from '@cloister/core';
import { fromHex, randomBytes, toHex } from '@cloister/crypto';
import { recoverAddress } from '@cloister/crypto/native-secp256k1';
import type { EpochLeaves } from '@cloister/economics';
import type { Logger } from '@cloister/service';
import type { CommitteeState, Member } from '../committeeState.ts';
import type { Peers } from '../peers/peers.ts';
import type { RecordWatch } from '../slashing/recordWatch.ts';
import { checkCandidate, proposerOf, type RecordableEpoch, recordDataOf } from './candidateCheck.ts';
import type { EpochArchive } from './epochArchive.ts';
import { EpochBook } from './epochBook.ts';
import type { EpochChain } from './epochChain.ts';
import type { EpochKeep, KeptEpoch } from './sealedEpoch.ts';

export type EpochComponents = {
  readonly chain: EpochChain;
  readonly peers: Pick<Peers, 'epochIndex' | 'measurementVector'>;
  readonly me: { readonly operator: Address; readonly signer: Address; readonly sign: (digest: Bytes32) => Hex };
  /** The committee as of the newest final block: whose signatures make a record. */
  readonly state: () => CommitteeState | undefined;
  /** Randomness of a round that has begun. */
  readonly beaconOf: (round: bigint, signal: AbortSignal) => Promise<Bytes32>;
  /** What this member saw of the workers in an epoch that is over, ascending by workerId. */
  readonly measurementsOf: (epoch: bigint) => readonly WorkerMeasurement[];
  readonly releaseLogHead: () => Bytes32;
  /** Throws CHAIN_UNWITNESSED where enough others do not see the chain that this member sees. */
  readonly assertWitnessed: () => void;
  /** Compares what members signed in one attempt. */
  readonly signed: Pick<RecordWatch, 'see'>;
  readonly keep: EpochKeep;
  readonly archive: EpochArchive;
  /** Milliseconds of a clock that only goes forward. */
  readonly clockMs: () => number;
  readonly log: Logger;
};

export type EpochInit = {
  readonly domain: RecordDomain;
  /** The network's epoch at a block's timestamp. */
  readonly epochAt: (timestamp: bigint) => bigint;
  /**
   * How long others' commitments are waited for, in ms from when the epoch's end was seen. After half as long again vectors are
   * published: by then the others take no commitments any more, even where they saw the end a little later. Two and a half times as long
   * others' vectors are waited for. A vector that was here for so long must be in every candidate.
   */
  readonly commitMs: number;
};

/** Candidates of one attempt that are computed in vain. */
const maxRefused = 4;

/** A record on its way: what it rests on, and who has signed it so far. */
type Candidate = {
  readonly record: EpochRecord;
  /** Nobody signs it: the proposer's own word for it counts more than others'. */
  basis: readonly Bytes32[];
  readonly digest: Bytes32;
  readonly signatures: Map<Address, Hex>;
};

type Work = {
  readonly epoch: RecordableEpoch;
  readonly book: EpochBook;
  readonly beganAtMs: number;
  /** By attempt: what this member signed. */
  readonly signed: Map<number, Bytes32>;
  /** By digest, in the order in which they came. */
  readonly candidates: Map<Bytes32, Candidate>;
  readonly leaves: Map<Bytes32, EpochLeaves>;
  /** What this member will not sign, by attempt, each by digest and basis: looked at once, and not at any number of them. */
  readonly refused: Map<number, Set<string>>;
  own: KeptEpoch | undefined;
  posted: number;
  isRecorded: boolean;
  /** The next epoch is over by the newest block: the chain takes no record of this one any more. */
  isTooLate: boolean;
};

/**
 * Sees to it that every epoch gets its record: commits to what this member measured, publishes it, computes the record from what all
 * published, proposes it when it is this member's turn, signs what others propose where it comes to the same, and posts it.
 *
 * A member that restarts goes on with what it had committed to, where its device seals, and has no measurements of that epoch otherwise.
 * It signs no record of an epoch that was over when it started: it no longer knows which it had signed.
 */
export class EpochKeeper {
  readonly #components: EpochComponents;
  readonly #init: EpochInit;
  #work: Work | undefined;
  /** The last epoch that was over when this process began. */
  #overAtStart: bigint | undefined;
  #objection = '';
  /** Signers of members that have not answered yet. */
  readonly #asking = new Set<Address>();

  constructor(components: EpochComponents, init: EpochInit) {
    this.#components = components;
    this.#init = init;
  }

  /** Why this member last did not sign a candidate; empty where it had no objection yet. */
  get objection(): string {
    return this.#objection;
  }

  /** What is known of an epoch, for anybody; undefined where nothing is, or no longer. */
  async index(epoch: bigint): Promise<EpochIndex | undefined> {
    const work = this.#work;
    return work?.epoch.epoch === epoch ? indexOf(work) : this.#components.archive.index(epoch);
  }

  /** The bytes of a published vector. */
  async vector(vectorId: Bytes32): Promise<Uint8Array | undefined> {
    return this.#work?.book.bytes.get(vectorId) ?? this.#components.archive.vector(vectorId);
  }

  /** The leaves of a record that this member signed, by the record's digest; bigints as decimal strings once it is over. */
  async leaves(digest: Bytes32): Promise<unknown> {
    return this.#work?.leaves.get(digest) ?? this.#components.archive.leaves(digest);
  }

  /** Does what is due for the epoch that ended last. */
  async tick(signal: AbortSignal): Promise<void> {
    const { chain } = this.#components;
    const now = await chain.finalTimestamp(signal);
    const epoch = this.#init.epochAt(now) - 1n;
    if (this.#work?.epoch.epoch !== epoch) await this.#begin(epoch, signal);
    const work = this.#work;
    if (work === undefined) return;
    const wasRecorded = work.isRecorded;
    work.isRecorded = ((await chain.lastRecorded(signal)) ?? -1n) >= epoch;
    // The newest final block may be behind it by more than what is left of the time for this record.
    work.isTooLate = this.#init.epochAt(await chain.newestTimestamp(signal)) > epoch + 1n;
    if (work.isRecorded && wasRecorded) return;
    const attempt = epochAttemptAt(now, work.epoch.endsAt);
    if (attempt === undefined) return;
    await this.#measure(work);
    await this.#exchange(work, attempt, signal);
    await this.#measure(work);
    if (work.isRecorded) return this.#setAside(work);
    await this.#propose(work, attempt);
    this.#consider(work, attempt);
    await this.#post(work, attempt, signal);
  }

  async #begin(epoch: bigint, signal: AbortSignal): Promise<void> {
    const { chain, beaconOf, keep, clockMs } = this.#components;
    this.#overAtStart ??= epoch;
    if (this.#work !== undefined) await this.#setAside(this.#work);
    this.#work = undefined;
    const facts = epoch < 0n ? undefined : await chain.factsOf(epoch, signal);
    if (facts?.generation === undefined) return;
    const beacon = await beaconOf(facts.firstRound, signal);
    const { generation } = facts;
    const { kept } = keep;
    this.#work = {
      epoch: { ...facts, generation, beacon },
      book: new EpochBook({ domain: this.#init.domain, epoch, members: generation.members }),
      beganAtMs: clockMs(),
      signed: new Map(),
      candidates: new Map(),
      leaves: new Map(),
      refused: new Map(),
      own: kept?.vector.epoch === epoch ? kept : undefined,
      posted: -1,
      isRecorded: false,
      isTooLate: false,
    };
  }

  /** What is public of an epoch goes where it outlives this process. */
  async #setAside(work: Work): Promise<void> {
    await this.#components.archive.add({ index: indexOf(work), vectors: work.book.bytes, leaves: work.leaves });
  }

  /** Commits, and when the others have had their time, publishes. What is said is kept before it is said. */
  async #measure(work: Work): Promise<void> {
    const { me, measurementsOf, releaseLogHead, keep, clockMs } = this.#components;
    const { domain, commitMs } = this.#init;
    const { epoch, generation } = work.epoch;
    const member = me.operator;
    if (!generation.members.some(({ operator, signer }) => operator === member && signer === me.signer)) return;
    if (work.own === undefined) {
      if (epoch <= (this.#overAtStart ?? epoch)) return;
      const vector = {
        format: 'cloister-measurements-1' as const,
        epoch,
        member,
        releaseLogHead: releaseLogHead(),
        workers: measurementsOf(epoch),
      };
      const own = { vector, salt: toHex(randomBytes(32)), publication: undefined };
      await keep.keep(own);
      work.own = own;
    }
    const { vector, salt } = work.own;
    const vectorId = measurementVectorId(vector);
    const { book } = work;
    const commitment = { epoch, member, commitment: commitmentTo(vectorId, salt) };
    if (!book.commitments.some((one) => one.member === member))
      book.takeCommitment(
        { ...commitment, signature: me.sign(measurementCommitmentDigest(domain, commitment)) },
        clockMs(),
      );
    if (work.own.publication === undefined) {
      if (clockMs() - work.beganAtMs < 1.5 * commitMs) return;
      const inTime = book.commitmentsBy(work.beganAtMs + commitMs);
      const seen = inTime.map((one) => ({ member: one.member, commitment: one.commitment }));
      const publication = { epoch, member, vectorId, salt, seen };
      const signature = me.sign(measurementPublicationDigest(domain, publication));
      const own = { vector, salt, publication: { ...publication, signature } };
      await keep.keep(own);
      work.own = own;
    }
    const { publication } = work.own;
    if (publication === undefined || book.publicationsOf(member).length > 0) return;
    book.takePublication(publication, clockMs());
    book.takeVector(publication, measurementVectorBytes(vector));
  }

  /** Asks every member what it has. Nobody waits long for one that hangs: what it says is taken in when it comes. */
  async #exchange(work: Work, attempt: number, signal: AbortSignal): Promise<void> {
    const { me } = this.#components;
    const others = this.#current().filter(({ signer }) => signer !== me.signer && !this.#asking.has(signer));
    const asked = others.map(async (member) => {
      this.#asking.add(member.signer);
      try {
        await this.#ask(work, member, attempt, signal);
      } catch (error) {
        if (!signal.aborted) this.#components.log.error('epochs: failed', { operator: member.operator, error });
      } finally {
        this.#asking.delete(member.signer);
      }
    });
    const answered = new AbortController();
    const enough = AbortSignal.any([signal, answered.signal]);
    await Promise.race([Promise.all(asked), sleep(this.#init.commitMs / 5, enough).catch(() => {})]);
    answered.abort();
  }

  async #ask(work: Work, member: Member, attempt: number, signal: AbortSignal): Promise<void> {
    const { peers, clockMs, log } = this.#components;
    const { commitMs } = this.#init;
    const { book } = work;
    const index = await peers.epochIndex(member, work.epoch.epoch, signal);
    if (index === undefined) return;
    for (const commitment of index.commitments) book.takeCommitment(commitment, clockMs());
    for (const publication of index.publications) book.takePublication(publication, clockMs());
    const told = new Set(index.publications.map(publicationId));
    for (const publication of book.missing) {
      const [held] = book.publicationsOf(publication.member);
      // Its own member is asked first, the others when that has not helped.
      const isAsked = member.operator === publication.member || clockMs() - (held?.sinceMs ?? 0) > commitMs / 2;
      if (!told.has(publicationId(publication)) || !isAsked) continue;
      const bytes = await peers.measurementVector(member, publication.vectorId, signal);
      try {
        if (bytes !== undefined) book.takeVector(publication, bytes);
      } catch (error) {
        if (!(error instanceof CloisterError)) throw error;
        log.debug('epochs: not a vector', { operator: member.operator, error });
      }
    }
    const by = { member, publications: index.publications };
    for (const candidate of index.candidates) this.#takeCandidate(work, candidate, by, attempt);
  }

  /** Takes in a candidate that its proposer signed, and the signatures that it comes with. */
  #takeCandidate(
    work: Work,
    told: EpochCandidate,
    by: { readonly member: Member } & Pick<EpochIndex, 'publications'>,
    attempt: number,
  ): void {
    const { state, clockMs } = this.#components;
    const { record, basis, signatures } = told;
    if (record.epoch !== work.epoch.epoch || record.attempt > attempt + 1) return;
    const digest = epochRecordDigest(this.#init.domain, record);
    const members = this.#current();
    const known = work.candidates.get(digest);
    const seen = new Map([...(known?.signatures ?? [])].map(([signer, signature]) => [signature, signer]));
    const signed = signatures.flatMap((signature) => {
      const before = seen.get(signature);
      if (before !== undefined) return [[before, signature] as const];
      const signer = signerOf(digest, signature);
      return members.some((member) => member.signer === signer) ? [[signer as Address, signature] as const] : [];
    });
    this.#components.signed.see(record, digest, signed);
    const proposer = members.find(({ operator }) => operator === proposerOf(work.epoch, record.attempt));
    if (proposer === undefined || !signed.some(([signer]) => signer === proposer.signer)) return;
    for (const publication of by.publications)
      if (basis.includes(publicationId(publication))) work.book.takePublication(publication, clockMs(), true);
    if (known === undefined) {
      // A proposer has one candidate; another one is of interest only when enough have signed it.
      const other = [...work.candidates.values()].find((one) => one.record.attempt === record.attempt);
      const threshold = state()?.generation.threshold ?? Number.POSITIVE_INFINITY;
      if (other !== undefined && signed.length < threshold) return;
    }
    const kept = known ?? { record, basis, digest, signatures: new Map<Address, Hex>() };
    if (by.member.signer === proposer.signer && !work.signed.has(record.attempt)) kept.basis = basis;
    for (const [signer, signature] of signed) kept.signatures.set(signer, signature);
    addCandidate(work, kept);
  }

  async #propose(work: Work, attempt: number): Promise<void> {
    const { me, clockMs } = this.#components;
    if (proposerOf(work.epoch, attempt) !== me.operator || !this.#maySign(work, attempt)) return;
    // One that enough have signed needs no other.
    if (this.#complete(work) !== undefined) return;
    if (!work.book.isComplete() && clockMs() - work.beganAtMs < 2.5 * this.#init.commitMs) return;
    // Of a member that published more than one, two are enough to name it.
    const publications = work.epoch.generation.members.flatMap(({ operator }) =>
      work.book.isUsable(operator) ? work.book.publicationsOf(operator).slice(0, 2) : [],
    );
    const data = recordDataOf(
      work.epoch,
      attempt,
      publications.map(({ publication }) => publication),
      work.book,
    );
    this.#sign(work, { record: data.record, basis: publications.map(({ id }) => id) }, data.leaves);
  }

  /** Signs the first candidate of an attempt that comes to what this member computes itself. */
  #consider(work: Work, attempt: number): void {
    for (const { record, basis, digest, signatures } of [...work.candidates.values()]) {
      // The others' newest final block may be a little ahead of this member's, or behind.
      if (Math.abs(record.attempt - attempt) > 1 || signatures.has(this.#components.me.signer)) continue;
      const refused = work.refused.get(record.attempt) ?? new Set();
      const isRefused = refused.has(`${digest}${basis}`) || refused.size >= maxRefused;
      if (!this.#maySign(work, record.attempt) || isRefused) continue;
      const known = new Map(work.book.publications.map(({ id, publication }) => [id, publication]));
      try {
        const heldLong = this.#components.clockMs() - this.#init.commitMs;
        const candidate = { record, basis, signatures: [...signatures.values()] };
        const checked = checkCandidate(work.epoch, candidate, known, work.book, heldLong);
        if ('data' in checked) this.#sign(work, { record, basis }, checked.data.leaves);
        else {
          if (!checked.mayPass) work.refused.set(record.attempt, refused.add(`${digest}${basis}`));
          this.#object(record, digest, checked.objection);
        }
      } catch (error) {
        if (!(error instanceof CloisterError)) throw error;
        this.#object(record, digest, describeError(error));
      }
    }
  }

  #maySign(work: Work, attempt: number): boolean {
    const { epoch } = work.epoch;
    const isMember = this.#current().some(({ signer }) => signer === this.#components.me.signer);
    return isMember && epoch > (this.#overAtStart ?? epoch) && !work.signed.has(attempt) && !work.isTooLate;
  }

  /** One signature an attempt, whatever happens: two would cost the bond. */
  #sign(work: Work, { record, basis }: Pick<Candidate, 'record' | 'basis'>, leaves: EpochLeaves): void {
    const { me, assertWitnessed, log } = this.#components;
    assertWitnessed();
    const digest = epochRecordDigest(this.#init.domain, record);
    work.signed.set(record.attempt, digest);
    const candidate = work.candidates.get(digest) ?? { record, basis, digest, signatures: new Map() };
    candidate.basis = basis;
    candidate.signatures.set(me.signer, me.sign(digest));
    addCandidate(work, candidate);
    work.leaves.set(digest, leaves);
    log.info('epochs: record signed', { epoch: record.epoch, attempt: record.attempt, members: record.totals.members });
  }

  #object({ epoch, attempt }: EpochRecord, digest: Bytes32, objection: string): void {
    const told = `Record ${digest} of epoch "${epoch}", attempt "${attempt}": ${objection}`;
    if (told === this.#objection) return;
    this.#objection = told;
    this.#components.log.warn('epochs: record not signed', { epoch, attempt, objection });
  }

  /** Who proposed it posts it; if that one does not, whoever's turn comes next. */
  async #post(work: Work, attempt: number, signal: AbortSignal): Promise<void> {
    const { chain, me, log } = this.#components;
    const complete = this.#complete(work);
    if (complete === undefined || work.posted >= attempt || work.isTooLate) return;
    const { record, signatures } = complete;
    const isOwn = proposerOf(work.epoch, record.attempt) === me.operator;
    const isTurn = attempt > record.attempt && proposerOf(work.epoch, attempt) === me.operator;
    if (!isOwn && !isTurn) return;
    work.posted = attempt;
    // What the chain's record rests on outlives this process, whenever that ends.
    await this.#setAside(work);
    try {
      await chain.post(record, signatures, signal);
      log.info('epochs: record posted', { epoch: record.epoch, attempt: record.attempt, signatures: signatures.size });
    } catch (error) {
      if (signal.aborted || !(error instanceof CloisterError)) throw error;
      log.warn('epochs: record not posted', { epoch: record.epoch, error });
    }
  }

  /** A candidate that enough members of now have signed. */
  #complete(work: Work): Candidate | undefined {
    const threshold = this.#components.state()?.generation.threshold ?? Number.POSITIVE_INFINITY;
    const members = this.#current();
    return [...work.candidates.values()].find(
      ({ signatures }) => members.filter(({ signer }) => signatures.has(signer)).length >= threshold,
    );
  }

  #current(): readonly Member[] {
    return this.#components.state()?.generation.members ?? [];
  }
}

/** The newest ones are kept: what is told of an epoch has its bound. */
function addCandidate({ candidates, leaves }: Work, candidate: Candidate): void {
  candidates.set(candidate.digest, candidate);
  const [oldest] = candidates.keys();
  if (candidates.size <= maxEpochCandidates || oldest === undefined) return;
  candidates.delete(oldest);
  leaves.delete(oldest);
}

function signerOf(digest: Bytes32, signature: Hex): Address | undefined {
  try {
    return recoverAddress(fromHex(digest), fromHex(signature));
  } catch {
    return undefined;
  }
}

function indexOf({ epoch, book, candidates }: Work): EpochIndex {
  return {
    epoch: epoch.epoch,
    commitments: book.commitments,
    publications: book.publications.slice(0, maxEpochPublications).map(({ publication }) => publication),
    candidates: [...candidates.values()].map(({ record, basis, signatures }) => ({
      record,
      basis,
      signatures: [...signatures.values()],
    })),
  };
}
