import {
  BondHistory,
  CommitteeHistory,
  type CommitteeMember,
  EpochRecordsReader,
  type PostedRecord,
  RegistryHistory,
  type RegistryReader,
  readEpochFacts,
} from '@cloister/chain';
import {
  type Bytes32,
  CloisterError,
  describeError,
  type EpochIndex,
  epochRecordDigest,
  type MeasurementVector,
  maxEpochIndexBytes,
  maxMeasurementVectorBytes,
  merkleRoot,
  type NetworkFile,
  parseBoundedJson,
  parseEpochIndex,
  parsePublishedVector,
  readBounded,
  type SignedMeasurementPublication,
  withDeadline,
  schema as z,
} from '@cloister/core';
import type { EpochLeaf, EpochLeaves } from '@cloister/economics';
import type { Committee } from './committee.ts';
import { publicationsOfBasis, type RecomputedEpoch, recomputeEpoch } from './recomputeEpoch.ts';

export type EpochsComponents = {
  readonly network: NetworkFile;
  readonly registry: RegistryReader;
  readonly committee: Pick<Committee, 'status' | 'beacon'>;
  readonly fetch: typeof globalThis.fetch;
};

/** What one member told of an epoch. */
type Told = { readonly member: CommitteeMember; readonly index: EpochIndex };

const memberTimeoutMs = 20_000;
/** As many leaves as there may be workers, with what each says. */
const maxLeavesBytes = 64 * 1024 * 1024;
const maxLeaves = 200_000;

const leavesOf = z.array(z.strictObject({ leaf: z.bytes32, says: z.jsonObject })).check(z.refineArray(0, maxLeaves));
const leavesJson = z.strictObject({
  measurementsRoot: leavesOf,
  directoryRoot: leavesOf,
  rewardsRoot: leavesOf,
  evictionRoot: leavesOf,
  releaseLogRoot: leavesOf,
});

/** The network's epoch records: as the chain has them, and computed anew from the chain and from what members published. */
export class Epochs {
  readonly #components: EpochsComponents;
  readonly #records: EpochRecordsReader;
  readonly #committee: CommitteeHistory;
  readonly #history: RegistryHistory;
  readonly #bonds: BondHistory;

  constructor(components: EpochsComponents) {
    this.#components = components;
    const { registry, network } = components;
    this.#records = new EpochRecordsReader(registry.view, network.contracts);
    this.#committee = new CommitteeHistory(registry.view, network.contracts);
    this.#history = new RegistryHistory(registry.view, network.contracts);
    this.#bonds = new BondHistory(registry.view, network.contracts);
  }

  /** Every record that the chain has, oldest first. */
  async list(signal?: AbortSignal): Promise<readonly PostedRecord[]> {
    const { number } = await this.#components.registry.view.head(signal);
    return this.#records.records(number, signal);
  }

  /**
   * Computes an epoch's record anew, trusting no member: what they published is signed, and everything else is read from the chain.
   * Throws EPOCH_NOT_RECORDED, EPOCH_NOT_FINAL, EPOCH_DATA_MISSING.
   */
  async recompute(epoch: bigint, signal?: AbortSignal): Promise<RecomputedEpoch> {
    const { registry, committee, network } = this.#components;
    const posted = (await this.list(signal)).find(({ record }) => record.epoch === epoch);
    if (posted === undefined)
      throw new EpochError('EPOCH_NOT_RECORDED', epoch, 'has no record', 'See "cloister epoch list"');
    const clock = await registry.clock(signal);
    const { view } = registry;
    const { contracts } = network;
    const histories = { registry: this.#history, committee: this.#committee, bonds: this.#bonds };
    const facts = await readEpochFacts({ view, ...histories, contracts, clock }, epoch, signal);
    if (facts?.generation === undefined)
      throw new EpochError('EPOCH_NOT_FINAL', epoch, 'has an end that is not final yet', 'Try again in a while');
    const { generation } = facts;
    const { randomness: beacon } = await committee.beacon(facts.firstRound, signal);
    const told = await this.#ask(epoch, signal);
    const domain = { chainId: network.chainId, registry: network.contracts.workerRegistry };
    const publications = told.flatMap(({ index }) => index.publications);
    const served = await this.#leaves(told, posted.digest, signal);
    const problems: string[] = [];
    let best: RecomputedEpoch | undefined;
    for (const basis of basesOf(told, posted.digest, domain)) {
      const used = publicationsOfBasis(basis, publications);
      if (used.length < basis.length) {
        problems.push('nobody serves a publication that it rests on');
        continue;
      }
      try {
        const vectors = await this.#vectors(used, told, signal);
        const evidence = { domain, facts: { ...facts, generation }, beacon, publications: used, vectors };
        const found = recomputeEpoch(posted, evidence, served);
        if (found.differences.length === 0) return found;
        // What a record rests on is what one of its signers says; the one that explains most of it is shown.
        if (best === undefined || found.differences.length < best.differences.length) best = found;
      } catch (error) {
        if (!(error instanceof CloisterError)) throw error;
        problems.push(describeError(error));
      }
    }
    if (best !== undefined) return best;
    const reason = problems[0] ?? 'no member serves what it rests on';
    throw new EpochError('EPOCH_DATA_MISSING', epoch, `can not be computed: ${reason}`, 'Members keep the last day');
  }

  /**
   * The leaves of one of a record's trees, from the first member that serves some which make the posted root: what they say is for the caller
   * to hash. Throws EPOCH_DATA_MISSING.
   */
  async leavesOf(
    { record, digest }: Pick<PostedRecord, 'record' | 'digest'>,
    field: keyof EpochLeaves,
    signal?: AbortSignal,
  ): Promise<readonly EpochLeaf[]> {
    const { generation } = await this.#components.committee.status(signal);
    for (const member of generation.members) {
      const served = (await this.#leavesBy(member, digest, signal))?.[field];
      if (served !== undefined && merkleRoot(served.map(({ leaf }) => leaf)) === record[field]) return served;
    }
    throw new EpochError(
      'EPOCH_DATA_MISSING',
      record.epoch,
      `has no leaves of "${field}" that a member serves`,
      'Members keep the last day',
    );
  }

  /** What every member of now tells of an epoch; who does not answer tells nothing. */
  async #ask(epoch: bigint, signal: AbortSignal | undefined): Promise<readonly Told[]> {
    const { generation } = await this.#components.committee.status(signal);
    const told = await Promise.all(
      generation.members.map(async (member): Promise<Told | undefined> => {
        const bytes = await this.#get(`${member.endpoint}/v1/epochs/${epoch}`, maxEpochIndexBytes, signal);
        if (bytes === undefined) return undefined;
        try {
          const index = parseEpochIndex(parseBoundedJson(bytes, maxEpochIndexBytes, 'epoch index'));
          return index.epoch === epoch ? { member, index } : undefined;
        } catch (error) {
          if (error instanceof CloisterError) return undefined;
          throw error;
        }
      }),
    );
    return told.flatMap((one) => one ?? []);
  }

  /** Every vector that somebody serves, each what its publication says that it is. */
  async #vectors(
    publications: readonly SignedMeasurementPublication[],
    told: readonly Told[],
    signal: AbortSignal | undefined,
  ): Promise<ReadonlyMap<Bytes32, MeasurementVector>> {
    const vectors = new Map<Bytes32, MeasurementVector>();
    for (const publication of publications)
      for (const { member } of told) {
        if (vectors.has(publication.vectorId)) break;
        const url = `${member.endpoint}/v1/epochs/vectors/${publication.vectorId}`;
        const bytes = await this.#get(url, maxMeasurementVectorBytes, signal);
        if (bytes === undefined) continue;
        try {
          vectors.set(publication.vectorId, parsePublishedVector(bytes, publication));
        } catch (error) {
          if (!(error instanceof CloisterError)) throw error;
        }
      }
    return vectors;
  }

  /** The leaves of the first member that serves any: believed only where they make the posted root. */
  async #leaves(
    told: readonly Told[],
    digest: Bytes32,
    signal: AbortSignal | undefined,
  ): Promise<EpochLeaves | undefined> {
    for (const { member } of told) {
      const served = await this.#leavesBy(member, digest, signal);
      if (served !== undefined) return served;
    }
    return undefined;
  }

  async #leavesBy(
    member: CommitteeMember,
    digest: Bytes32,
    signal: AbortSignal | undefined,
  ): Promise<EpochLeaves | undefined> {
    const bytes = await this.#get(`${member.endpoint}/v1/epochs/leaves/${digest}`, maxLeavesBytes, signal);
    if (bytes === undefined) return undefined;
    try {
      return z.parseWith(leavesJson, parseBoundedJson(bytes, maxLeavesBytes, 'leaves'), 'leaves') as EpochLeaves;
    } catch (error) {
      if (error instanceof CloisterError) return undefined;
      throw error;
    }
  }

  /** The bytes behind a URL; undefined where they do not come, or too many of them. */
  async #get(url: string, maxBytes: number, signal: AbortSignal | undefined): Promise<Uint8Array | undefined> {
    try {
      return await withDeadline({ timeoutMs: memberTimeoutMs, signal, what: 'A gatekeeper' }, async (inner) => {
        const response = await this.#components.fetch(url, { signal: inner, redirect: 'error' });
        const bytes = await readBounded(response, maxBytes);
        return response.ok ? bytes : undefined;
      });
    } catch (error) {
      if (signal?.aborted) throw error;
      return undefined;
    }
  }
}

/** What members say that the record of this digest rests on: nobody signs it, so each version is tried. */
function basesOf(
  told: readonly Told[],
  digest: Bytes32,
  domain: Parameters<typeof epochRecordDigest>[0],
): readonly (readonly Bytes32[])[] {
  const bases = told.flatMap(({ index }) =>
    index.candidates.filter(({ record }) => epochRecordDigest(domain, record) === digest).map(({ basis }) => basis),
  );
  return [...new Map(bases.map((basis) => [[...basis].sort().join(), basis])).values()];
}

export type EpochErrorCode = 'EPOCH_NOT_RECORDED' | 'EPOCH_NOT_FINAL' | 'EPOCH_DATA_MISSING';

export class EpochError extends CloisterError<EpochErrorCode> {
  override readonly name = 'EpochError';
  constructor(code: EpochErrorCode, epoch: bigint, problem: string, hint: string) {
    super({ code, message: `Epoch "${epoch}" ${problem}`, meta: { epoch }, hint, retry: code === 'EPOCH_NOT_FINAL' });
  }
}
