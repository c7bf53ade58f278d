import type { RegistryReader } from '@cloister/chain';
import { keptAnswerId, type OpenedRequest } from '@cloister/channel/worker';
import {
  type Address,
  appCallDigest,
  appRequestHash,
  type Bytes32,
  CloisterError,
  callerHeaderPrefix,
  differingEnforcedField,
  type EnforcedFields,
  imagePolicies,
  type Manifest,
  maxAppCallSeconds,
  maxManifestBytes,
  needsKeys,
  parseManifest,
  parseSignedAppCall,
  type RecordDomain,
  type SignedAppCall,
  teeTypes,
  workloadKinds,
} from '@cloister/core';
import { fromHex } from '@cloister/crypto';
import { recoverAddress } from '@cloister/crypto/native-secp256k1';
import type { PlacementReader } from '@cloister/placement';

export type CallersComponents = {
  readonly domain: RecordDomain;
  /** This worker's own receipt signer. */
  readonly receiver: Address;
  readonly registry: RegistryReader;
  readonly placement: Pick<PlacementReader, 'placementOf'>;
  /** Bytes by their sha256, checked. */
  readonly blobs: (id: Bytes32, maxBytes: number, signal: AbortSignal) => Promise<Uint8Array>;
};

/** Which app a call comes from, as the chain confirms it. */
export type VerifiedCaller = { readonly app: Bytes32; readonly manifest: Bytes32; readonly workerId: Bytes32 };

/** Says which app a call comes from, where a worker vouches for one: read as a checklist, all of it at one block. */
export class Callers {
  readonly #components: CallersComponents;

  constructor(components: CallersComponents) {
    this.#components = components;
  }

  /**
   * The caller that a request's statement names; undefined where it has none. Throws CallerRefusedError by the first thing that does not
   * hold, ChainError, BlobError, PLACEMENT_PENDING.
   */
  async verify(opened: OpenedRequest, signal: AbortSignal): Promise<VerifiedCaller | undefined> {
    if (opened.call.caller === undefined) return undefined;
    const { registry } = this.#components;
    const statement = read(opened.call.caller);
    this.#assertAboutThis(statement, opened);
    const head = await registry.view.head(signal);
    if (statement.notAfter < head.timestamp || statement.notAfter > head.timestamp + maxAppCallSeconds)
      throw refused(
        'CALLER_STATEMENT_STALE',
        `The statement holds to "${statement.notAfter}", now is "${head.timestamp}"; it may hold for ${maxAppCallSeconds} seconds`,
      );
    const workerId = await this.#activeWorker(statement, head.number, signal);
    const { manifestId, fields } = await this.#servingOf(statement.caller, head.number, signal);
    if (manifestId !== statement.callerManifest)
      throw refused(
        'CALLER_OTHER_MANIFEST',
        `App "${statement.caller}" serves manifest "${manifestId}", not "${statement.callerManifest}"`,
      );
    const manifest = manifestOf(await this.#components.blobs(manifestId, maxManifestBytes, signal), fields);
    const imageId = await this.#assertAccepted(workerId, manifest, head.number, signal);
    if (
      fields.imagePolicy !== imagePolicies.network &&
      !(await registry.isImagePinned(statement.caller, imageId, head.number, signal))
    )
      throw refused('CALLER_NOT_ACCEPTED', `The caller's owner has not allowed the image "${imageId}"`);
    if (needsKeys(manifest)) {
      const { hosts } = await this.#components.placement.placementOf(statement.caller, manifest, head, signal);
      if (!hosts.includes(workerId))
        throw refused('CALLER_NOT_PLACED', `App "${statement.caller}" is not placed on worker "${workerId}"`);
    }
    return { app: statement.caller, manifest: manifestId, workerId };
  }

  /** Whether it was made for this very request, to this worker. */
  #assertAboutThis(statement: SignedAppCall, { call, request }: OpenedRequest): void {
    if (statement.callee !== call.app)
      throw refused('CALLER_OTHER_CALLEE', `The statement is for a call of app "${statement.callee}"`);
    if (statement.receiver !== this.#components.receiver)
      throw refused('CALLER_OTHER_CALLEE', `The statement is for the worker of signer "${statement.receiver}"`);
    if (statement.call !== keptAnswerId(call)) throw refused('CALLER_OTHER_CALL', 'The statement is for another call');
    if (statement.request !== appRequestHash(request))
      throw refused('CALLER_OTHER_CALL', 'The statement is for another request');
    if (request.headers.some(([name]) => name.startsWith(callerHeaderPrefix)))
      throw refused('CALLER_HEADER_FORGED', `Headers "${callerHeaderPrefix}…" are the worker's alone to set`);
  }

  /** The registered worker whose signer made the statement. */
  async #activeWorker(statement: SignedAppCall, block: bigint, signal: AbortSignal): Promise<Bytes32> {
    const signer = signerOf(appCallDigest(this.#components.domain, statement), statement);
    if (signer === undefined) throw refused('CALLER_SIGNATURE_INVALID', 'The statement carries no signature');
    const { active, workerId } = await this.#components.registry.activeSigner(signer, block, signal);
    if (!active) throw refused('CALLER_NOT_REGISTERED', `No registered worker has the signer "${signer}"`);
    return workerId;
  }

  /** The image of a worker that is accepted now and that the caller's manifest would have run it on. */
  async #assertAccepted(
    workerId: Bytes32,
    { kind, placement }: Manifest,
    block: bigint,
    signal: AbortSignal,
  ): Promise<Bytes32> {
    const { registry } = this.#components;
    const [record, { kinds, teeType }] = await Promise.all([
      registry.workerRecord(workerId, block, signal),
      registry.workerStatus(workerId, block, signal),
    ]);
    const standing = await registry.standing(record, block, signal);
    const over = !standing.imageAllowed
      ? `image "${record.imageId}"`
      : !standing.configAllowed
        ? 'network file'
        : !standing.platformAllowed
          ? `platform "${record.platformId}"`
          : standing.tcbAccepted
            ? undefined
            : 'TCB';
    if (over !== undefined) throw refused('CALLER_NOT_ACCEPTED', `The calling worker's ${over} is no longer accepted`);
    if ((kinds & (1 << workloadKinds[kind])) === 0)
      throw refused('CALLER_NOT_ACCEPTED', `The calling worker runs no app of kind "${kind}"`);
    if (!placement.teeTypes.some((type) => teeTypes[type] === teeType))
      throw refused('CALLER_NOT_ACCEPTED', "The calling worker has no TEE of the caller's choice");
    if (standing.tcbEvaluationDataNumber < placement.minTcbEvaluationDataNumber)
      throw refused(
        'CALLER_NOT_ACCEPTED',
        `The calling worker's TCB is judged by data "${standing.tcbEvaluationDataNumber}", the caller wants "${placement.minTcbEvaluationDataNumber}"`,
      );
    return record.imageId;
  }

  async #servingOf(app: Bytes32, block: bigint, signal: AbortSignal) {
    try {
      return await this.#components.registry.currentApp(app, block, signal);
    } catch (error) {
      if (error instanceof CloisterError && error.code === 'REGISTRY_APP_UNKNOWN')
        throw refused('CALLER_UNKNOWN', `The chain knows no app "${app}"`);
      throw error;
    }
  }
}

/** The manifest by which the caller runs, if any worker may run it by that. */
function manifestOf(bytes: Uint8Array, fields: EnforcedFields): Manifest {
  let manifest: Manifest;
  try {
    manifest = parseManifest(bytes);
  } catch (error) {
    if (error instanceof CloisterError) throw refused('CALLER_OTHER_MANIFEST', "The caller's manifest is none");
    throw error;
  }
  const differing = differingEnforcedField(manifest, fields);
  if (differing === undefined) return manifest;
  throw refused(
    'CALLER_OTHER_MANIFEST',
    `The caller's manifest says ${differing.field} "${differing.stated}", the contract enforces "${differing.enforced}"`,
  );
}

function read(text: string): SignedAppCall {
  try {
    return parseSignedAppCall(text);
  } catch (error) {
    // Without the cause's text, which quotes what was sealed.
    if (error instanceof CloisterError)
      throw refused('CALLER_STATEMENT_MALFORMED', 'The statement of who calls is not of the agreed form');
    throw error;
  }
}

function signerOf(digest: Bytes32, { signature }: SignedAppCall): Address | undefined {
  try {
    return recoverAddress(fromHex(digest), fromHex(signature));
  } catch {
    return undefined;
  }
}

export type CallerRefusedCode =
  | 'CALLER_STATEMENT_MALFORMED'
  | 'CALLER_STATEMENT_STALE'
  | 'CALLER_OTHER_CALLEE'
  | 'CALLER_OTHER_CALL'
  | 'CALLER_HEADER_FORGED'
  | 'CALLER_SIGNATURE_INVALID'
  | 'CALLER_NOT_REGISTERED'
  | 'CALLER_UNKNOWN'
  | 'CALLER_OTHER_MANIFEST'
  | 'CALLER_NOT_ACCEPTED'
  | 'CALLER_NOT_PLACED';

function refused(code: CallerRefusedCode, message: string): CallerRefusedError {
  return new CallerRefusedError(code, message);
}

/** A call that says it comes from an app, and does not show it; its sender gets this as an attested refusal. */
export class CallerRefusedError extends CloisterError<CallerRefusedCode> {
  override readonly name = 'CallerRefusedError';
  constructor(code: CallerRefusedCode, message: string) {
    super({ code, message });
  }
}
