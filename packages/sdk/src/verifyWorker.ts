import {
  type AppraisalPolicy,
  AttestationError,
  appraise,
  defaultTcbStatuses,
  EvidenceVerifier,
  type NitroClaims,
  networkPolicy,
  networkTrustRoots,
  parseEvidence,
  type SnpClaims,
  snpTcbFloors,
  statedConfigIdOf,
  type TdxClaims,
} from '@cloister/attestation/verify';
import {
  ChainError,
  type ChainErrorCode,
  type Head,
  RegistryError,
  type RegistryReader,
  type TeePolicyStatus,
  type WorkerStanding,
  type WorkerStatus,
} from '@cloister/chain';
import {
  type Address,
  type Bytes32,
  CloisterError,
  describeError,
  type Hex,
  keyConfigDigest,
  keyConfigStatement,
  type NetworkFile,
  networkFileId,
  networkKeysHash,
  type PriceQuote,
  priceQuoteDigest,
  type RecordDomain,
  teeTypes,
  type WorkerAnnouncement,
  workerBindingHash,
  zeroBytes32,
} from '@cloister/core';
import { fromHex, recoverAddress } from '@cloister/crypto';
import { type ProofStep, StepList } from './steps.ts';

export type WorkerVerifierComponents = {
  readonly network: NetworkFile;
  readonly registry: RegistryReader;
  /** The time of day, in ms. */
  readonly clockMs?: (() => number) | undefined;
};

/** What evidence of a worker says: of the TEE types that workers run in. */
export type WorkerClaims = TdxClaims | SnpClaims | NitroClaims;

/** A worker whose evidence was verified here, and one of its keys to seal to. */
export type VerifiedWorker = {
  readonly workerId: Bytes32;
  readonly receiptSigner: Address;
  readonly operator: Address;
  readonly claims: WorkerClaims;
  /** RFC 9458 key configuration. */
  readonly keyConfig: Uint8Array;
  /** Unix seconds by the chain's clock. */
  readonly keyNotAfter: bigint;
  readonly leaseUntil: bigint;
  /** Who checked its evidence before the registry took it: the chain itself, or the committee. */
  readonly attestedBy: WorkerStatus['attestedBy'];
  /** What the contract says it offers: bit 0 function, 1 wasm, 2 model, 3 container. */
  readonly kinds: number;
  /** What it asks for calls, signed and still in time; undefined: what manifests say. */
  readonly quote: PriceQuote | undefined;
  readonly announcement: WorkerAnnouncement;
  readonly steps: readonly ProofStep[];
};

/** The oldest that the chain's newest block may be by this machine's clock, in seconds. With the time for which a
 * verification is used again (routeFinder.ts) it stays within 5 minutes. */
export const maxHeadAgeSeconds = 180n;

/**
 * Verifies what a worker says of itself, from the pinned network file and the chain alone. There is no way around it:
 * only its result can be sealed to.
 */
export class WorkerVerifier {
  readonly #network: NetworkFile;
  readonly #networkId: Bytes32;
  readonly #registry: RegistryReader;
  readonly #clockMs: () => number;
  readonly #domain: RecordDomain;
  readonly #evidence: EvidenceVerifier;

  constructor(components: WorkerVerifierComponents) {
    this.#network = components.network;
    this.#networkId = networkFileId(components.network);
    this.#registry = components.registry;
    // Not the function itself: whoever replaces the platform's clock later means this one too.
    this.#clockMs = components.clockMs ?? (() => Date.now());
    this.#domain = { chainId: components.network.chainId, registry: components.network.contracts.workerRegistry };
    this.#evidence = new EvidenceVerifier({ roots: networkTrustRoots(components.network.trustRoots) });
  }

  /**
   * Everything that must hold before a byte is sealed to this worker, in the order of trust. Throws WorkerRefusedError,
   * which carries the steps up to the one that does not hold.
   */
  async verify(announcement: WorkerAnnouncement, signal?: AbortSignal): Promise<VerifiedWorker> {
    const list = new StepList();
    const head = await this.#registry.view.head(signal);
    const now = BigInt(Math.floor(this.#clockMs() / 1000));
    list.check(
      'chain-fresh',
      'The chain that all RPCs agree on is up to date',
      head.timestamp + maxHeadAgeSeconds >= now,
      `block ${head.number}, ${now - head.timestamp} s old`,
      refusal('WORKER_CHAIN_STALE'),
    );
    const claims = await this.verifyEvidence(announcement, list, Number(head.timestamp), signal, head.number);
    const status = await this.#registry.workerStatus(announcement.workerId, head.number, signal);
    list.check(
      'registered',
      'The contract registered this worker with this signer, and has not evicted it',
      status.state === 'active' &&
        status.receiptSigner === announcement.receiptSigner &&
        status.operator === announcement.operator,
      `state "${status.state}", evidence checked by ${checkerOf(status)}, signer ${status.receiptSigner}`,
      refusal('WORKER_NOT_REGISTERED'),
    );
    list.check(
      'lease',
      'Its lease still runs',
      status.leaseUntil > head.timestamp,
      `until ${isoTime(status.leaseUntil)}`,
      refusal('WORKER_LEASE_EXPIRED'),
    );
    await this.#checkStanding(announcement.workerId, list, head.number, signal);
    const { keyConfig, keyNotAfter } = this.#pickKey(announcement, head.timestamp, status.leaseUntil, list);
    return {
      workerId: announcement.workerId,
      receiptSigner: announcement.receiptSigner,
      operator: announcement.operator,
      claims,
      keyConfig,
      keyNotAfter,
      leaseUntil: status.leaseUntil,
      attestedBy: status.attestedBy,
      kinds: status.kinds,
      quote: this.#quoteOf(announcement, head.timestamp),
      announcement,
      steps: list.steps,
    };
  }

  /** A quote that a gateway left out or changed is as none: the worker charges no more than what it signed, and never above the manifest. */
  #quoteOf({ quote, receiptSigner }: WorkerAnnouncement, now: bigint): PriceQuote | undefined {
    if (quote === null || quote.notAfter <= now) return undefined;
    return signerOf(priceQuoteDigest(this.#domain, quote), quote.signature) === receiptSigner ? quote : undefined;
  }

  /** What anyone could evict it for is refused before anyone does: by the chain's own collateral, which may be newer than that shown. */
  async #checkStanding(
    workerId: Bytes32,
    list: StepList,
    block: bigint,
    signal: AbortSignal | undefined,
  ): Promise<void> {
    const over = await this.#registry
      .workerRecord(workerId, block, signal)
      .then((record) => this.#registry.standing(record, block, signal))
      .then(notAccepted, (error: unknown) => {
        if (error instanceof RegistryError) return [error.message];
        throw error;
      });
    list.check(
      'accepted',
      'By its newest collateral and rules the chain still accepts image, machine and TCB',
      over.length === 0,
      over.length === 0 ? `at block ${block}` : `not any more: ${over.join(', ')}`,
      refusal('WORKER_NOT_ACCEPTED'),
    );
  }

  /** The part that does not change while a registration lasts: evidence, image, network file, binding, freshness. */
  async verifyEvidence(
    announcement: WorkerAnnouncement,
    list: StepList,
    atSeconds: number,
    signal?: AbortSignal,
    /** The block in which the image must be allowed. Default: the newest. */
    atBlock?: bigint,
  ): Promise<WorkerClaims> {
    const claims = await this.#claims(announcement, atSeconds, list);
    const root = claims.simulated ? 'a root named DEV: SIMULATED, protects nothing' : "the vendor's root";
    list.pass(
      'evidence',
      `The ${evidenceNames[claims.teeType]} verify up to ${root}`,
      `TCB ${tcbOf(claims)}, platform ${claims.platformId ?? 'not named'}`,
    );
    const against = await this.#refusedFor(claims, atBlock, signal);
    list.check(
      'policy',
      "It meets the network's policy and yours: TCB level and age of its data, no debug",
      against === undefined,
      against ?? `TCB ${tcbOf(claims)}`,
      refusal('WORKER_EVIDENCE_REFUSED'),
    );
    list.check(
      'image',
      'The measured worker image is one that the network allows',
      await this.#registry.imageAllowed(claims.imageId, atBlock, signal),
      `image ${claims.imageId}`,
      refusal('WORKER_IMAGE_NOT_ALLOWED'),
    );
    list.check(
      'network-file',
      'The worker runs with the same network file',
      await this.#hasThisNetwork(claims, atBlock, signal),
      composeHashOf(claims) === null
        ? `network file ${this.#networkId}`
        : `dstack app ${composeHashOf(claims)}, as the network's image registry says`,
      refusal('WORKER_OTHER_NETWORK'),
    );
    const bindings = this.#bindings(announcement);
    const reportData = claims.reportData ?? '0x';
    const bound = reportData.slice(0, 66);
    list.check(
      'binding',
      'The quote is bound to this chain, registry, operator and receipt signer',
      bindings.includes(bound as Hex),
      `receipt signer ${announcement.receiptSigner}`,
      refusal('WORKER_BINDING_MISMATCH'),
    );
    const block = await this.#blockAt(announcement.attestedBlock, signal);
    list.check(
      'block',
      'The quote names a block of this chain: it was not made before',
      block !== undefined && `0x${reportData.slice(66)}` === block.hash,
      `block ${announcement.attestedBlock}`,
      refusal('WORKER_BLOCK_MISMATCH'),
    );
    return claims;
  }

  /**
   * Why evidence does not meet this package's own rules, or those by which the registry would evict, whichever is stricter;
   * undefined where it does.
   */
  async #refusedFor(
    claims: WorkerClaims,
    atBlock: bigint | undefined,
    signal: AbortSignal | undefined,
  ): Promise<string | undefined> {
    const rules = await this.#registry.teePolicy(teeTypes[claims.teeType], atBlock, signal);
    const own = networkPolicy(this.#network);
    const verdict = appraise(claims, rules === undefined ? own : { ...own, ...registryPolicy(rules) });
    if (!verdict.ok) return verdict.refusal.message;
    const asked = rules?.minimumTcbEvaluationDataNumber ?? 0;
    if (asked <= tcbEvaluationOf(claims)) return undefined;
    return `The registry asks for TCB data "${asked}" or later, this client judges by "${tcbEvaluationOf(claims)}"; use a newer one`;
  }

  /**
   * In a dstack CVM the quote names the app and nothing of the network: that its compose file states this network file is what
   * the network's registry says by allowing it, and the worker's own code holds the file against what the compose file states.
   */
  async #hasThisNetwork(
    claims: WorkerClaims,
    atBlock: bigint | undefined,
    signal: AbortSignal | undefined,
  ): Promise<boolean> {
    const composeHash = composeHashOf(claims);
    if (composeHash === null) return statedConfigIdOf(claims) === this.#networkId;
    return this.#registry.configAllowed(composeHash, atBlock, signal);
  }

  /** The block of that number; undefined where the chain has none. The number is anyone's word. */
  async #blockAt(blockNumber: bigint, signal: AbortSignal | undefined): Promise<Head | undefined> {
    const { view } = this.#registry;
    if (blockNumber > (view.latest ?? (await view.head(signal))).number) return undefined;
    return view.blockAt(blockNumber, signal).catch((error: unknown) => {
      if (error instanceof ChainError && disagreements.has(error.code)) return undefined;
      throw error;
    });
  }

  async #claims(announcement: WorkerAnnouncement, now: number, list: StepList): Promise<WorkerClaims> {
    try {
      const document = parseEvidence(announcement.evidence);
      if (document.teeType !== 'sgx') return await this.#evidence.verify(document, now);
      throw new AttestationError({
        code: 'TEE_TYPE_REFUSED',
        place: 'evidence.teeType',
        value: document.teeType,
        message: `Workers of this release have evidence of TDX, SEV-SNP or Nitro, got "${document.teeType}"`,
      });
    } catch (cause) {
      const step = { id: 'evidence', title: 'The evidence verifies', ok: false, detail: describeError(cause) };
      list.steps.push(step);
      throw new WorkerRefusedError('WORKER_EVIDENCE_REFUSED', step, list.steps, cause);
    }
  }

  #bindings(announcement: WorkerAnnouncement): readonly Hex[] {
    const { operator, receiptSigner } = announcement;
    const { networkKeys } = this.#network;
    // A lease from before there were keys runs on, bound to none; it gets none.
    const hashes = [zeroBytes32, ...(networkKeys === null ? [] : [networkKeysHash(networkKeys)])];
    return hashes.map((hash) => workerBindingHash({ ...this.#domain, operator, receiptSigner, networkKeysHash: hash }));
  }

  #pickKey(
    announcement: WorkerAnnouncement,
    now: bigint,
    leaseUntil: bigint,
    list: StepList,
  ): { keyConfig: Uint8Array; keyNotAfter: bigint } {
    for (const signed of announcement.keyConfigs) {
      const keyConfig = fromHex(signed.config);
      const digest = keyConfigDigest(this.#domain, keyConfigStatement(keyConfig, signed.notBefore, signed.notAfter));
      const inTime = signed.notBefore <= now && now < signed.notAfter && signed.notAfter <= leaseUntil;
      if (!inTime || signerOf(digest, signed.signature) !== announcement.receiptSigner) continue;
      list.pass('key', 'The key to seal to is signed by that receipt signer', `until ${isoTime(signed.notAfter)}`);
      return { keyConfig, keyNotAfter: signed.notAfter };
    }
    const step = {
      id: 'key',
      title: 'The key to seal to is signed by that receipt signer',
      ok: false,
      detail: 'no announced key is valid now',
    };
    list.steps.push(step);
    throw new WorkerRefusedError('WORKER_KEY_INVALID', step, list.steps);
  }
}

const evidenceNames = {
  tdx: 'TDX quote and all its collateral',
  'sev-snp': 'SEV-SNP report, its certificates and their revocation list',
  nitro: 'Nitro document and the certificates in it',
} as const;

/** The registry's rules as a policy; only Intel's evidence has statuses and numbers of its own. */
function registryPolicy({ acceptedTcbStatuses, minimumTcbEvaluationDataNumber }: TeePolicyStatus): AppraisalPolicy {
  return {
    tcbStatuses: defaultTcbStatuses.filter((status) => acceptedTcbStatuses.includes(status)),
    minimumTcbEvaluationDataNumber,
  };
}

/** The number of the data that the TCB was judged by: Intel's, of SEV-SNP the edition of the floors, 0 where nothing judges it. */
export function tcbEvaluationOf(claims: WorkerClaims): number {
  if (claims.teeType === 'tdx') return claims.tcbEvaluationDataNumber;
  return claims.teeType === 'sev-snp' ? snpTcbFloors.edition : 0;
}

/** A TCB in words: Intel's verdict, AMD's versions, nothing where AWS says nothing. */
function tcbOf(claims: WorkerClaims): string {
  if (claims.teeType === 'tdx') return claims.tcbStatus;
  if (claims.teeType === 'nitro') return 'not stated';
  const { bootloader, tee, snp, microcode } = claims.reportedTcb;
  return `${claims.product} ${bootloader}.${tee}.${snp}.${microcode}`;
}

function composeHashOf(claims: WorkerClaims): Bytes32 | null {
  return claims.teeType === 'tdx' ? claims.composeHash : null;
}

const checkers = { chain: 'the chain itself', committee: "the network's committee", nobody: 'nobody yet' } as const;

/** Who verified a worker's evidence before the registry took it, in words. */
export function checkerOf({ attestedBy }: Pick<WorkerStatus, 'attestedBy'>): string {
  return checkers[attestedBy ?? 'nobody'];
}

/** A block that not every RPC has, or that they name differently, proves nothing; an RPC that is away is another matter. */
export const disagreements: ReadonlySet<ChainErrorCode> = new Set(['CHAIN_SPLIT', 'CHAIN_BLOCK_UNKNOWN']);

/** The address that signed a digest, or undefined where the signature is none. */
export function signerOf(digest: Bytes32, signature: Hex): Address | undefined {
  try {
    return recoverAddress(fromHex(digest), fromHex(signature));
  } catch {
    return undefined;
  }
}

/** Whether a registered kind bitmap offers a kind (bit 0 function, 1 wasm, 2 model, 3 container). */
export function offersKind(kinds: number, kind: number): boolean {
  return ((kinds >> kind) & 1) === 1;
}

function isoTime(unixSeconds: bigint): string {
  return new Date(Number(unixSeconds) * 1000).toISOString();
}

function refusal(code: WorkerRefusedErrorCode) {
  return (step: ProofStep, steps: readonly ProofStep[]) => new WorkerRefusedError(code, step, steps);
}

/** What of a registration the chain would not accept any more. */
function notAccepted({ imageAllowed, configAllowed, platformAllowed, tcbAccepted }: WorkerStanding): string[] {
  return [
    ...(imageAllowed ? [] : ['its image']),
    ...(configAllowed ? [] : ['its network file']),
    ...(platformAllowed ? [] : ['its machine']),
    ...(tcbAccepted ? [] : ['its TCB']),
  ];
}

export type WorkerRefusedErrorCode =
  | 'WORKER_CHAIN_STALE'
  | 'WORKER_EVIDENCE_REFUSED'
  | 'WORKER_IMAGE_NOT_ALLOWED'
  | 'WORKER_NOT_ACCEPTED'
  | 'WORKER_OTHER_NETWORK'
  | 'WORKER_BINDING_MISMATCH'
  | 'WORKER_BLOCK_MISMATCH'
  | 'WORKER_NOT_REGISTERED'
  | 'WORKER_LEASE_EXPIRED'
  | 'WORKER_KEY_INVALID';

/** A worker was not sealed to, and why. `steps` holds all that was checked, the failed one last. */
export class WorkerRefusedError extends CloisterError<WorkerRefusedErrorCode> {
  override readonly name = 'WorkerRefusedError';
  readonly steps: readonly ProofStep[];
  constructor(code: WorkerRefusedErrorCode, step: ProofStep, steps: readonly ProofStep[], cause?: unknown) {
    super({
      code,
      message: `The worker is refused: it does not hold that "${step.title}" (${step.detail})`,
      hint: 'Nothing was sent to it; use another worker or gateway',
      meta: { step: step.id },
      cause,
    });
    this.steps = steps;
  }
}
