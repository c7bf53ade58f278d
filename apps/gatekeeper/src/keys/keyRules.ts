import type { WorkerStanding } from '@cloister/chain';
import {
  type Bytes32,
  CloisterError,
  imagePolicies,
  type KeyClass,
  type KeyRequest,
  roundOfTimeContext,
  zeroBytes32,
} from '@cloister/core';

/** A worker as a gatekeeper sees it on the chain. */
export type AskingWorker = {
  readonly workerId: Bytes32;
  readonly active: boolean;
  /** The machine that it is on: several workers may share one. */
  readonly platformId: Bytes32;
  readonly imageId: Bytes32;
  readonly networkKeysHash: Bytes32;
  /** Whether its image, network file and TCB would be accepted now: a lease may outlive them until somebody evicts it. */
  readonly standing: WorkerStanding;
};

/** An app's serving version, as far as keys depend on it. */
export type AskedApp = {
  readonly manifestId: Bytes32;
  readonly keyVersion: number;
  readonly minKeyVersion: number;
  readonly imagePolicy: number;
};

/** Everything that a decision rests on, proven at one recent block that enough members have seen. */
export interface KeyFacts {
  /** That block, and the network's epoch by its timestamp. */
  readonly block: bigint;
  readonly epoch: bigint;
  /** The round of the newest block that nobody takes back any more. */
  readonly finalRound: bigint;
  readonly networkKeysHash: Bytes32;
  worker(signer: Bytes32 | `0x${string}`, signal: AbortSignal): Promise<AskingWorker | undefined>;
  /** Undefined where there is no such app. */
  app(app: Bytes32, signal: AbortSignal): Promise<AskedApp | undefined>;
  /** Whether the app's owner has allowed this image. */
  isImagePinned(app: Bytes32, imageId: Bytes32, signal: AbortSignal): Promise<boolean>;
  /** The app's hosts now, and the TCB data number that its manifest asks for. Throws what may pass with `retry`. */
  placement(
    app: Bytes32,
    manifestId: Bytes32,
    signal: AbortSignal,
  ): Promise<{ readonly hosts: readonly Bytes32[]; readonly minTcbEvaluationDataNumber: number }>;
  /** How many other apps' keys this platform was given in this epoch. */
  appsOf(platformId: Bytes32, except: Bytes32): number;
}

export type KeyRulesInit = {
  /** Blocks that a request may be behind. */
  readonly maxBlockDistance: bigint;
  /** Apps whose keys one platform gets in an epoch. */
  readonly maxAppsPerPlatform: number;
};

/** What the rules look at of a request. */
export type AskedKey = Omit<KeyRequest, 'nonce' | 'hpkeKey'>;

const contextless: ReadonlySet<KeyClass> = new Set(['state', 'secrets', 'signing']);

/**
 * Whether a host may have the key that it asks for: as PROTOCOL (Keys) says, read as a checklist. Throws KeyRefusedError by the first rule
 * that does not hold.
 * @param signer who signed the request
 */
export async function checkKeyRequest(
  request: AskedKey,
  signer: `0x${string}`,
  facts: KeyFacts,
  init: KeyRulesInit,
  signal: AbortSignal,
): Promise<AskingWorker> {
  const { app, keyVersion, manifest } = request;
  assertRecent(request, facts, init);

  const worker = await facts.worker(signer, signal);
  if (worker === undefined || !worker.active)
    throw refused('KEY_WORKER_NOT_REGISTERED', `No registered worker has the signer "${signer}"`);
  if (worker.networkKeysHash === zeroBytes32 || worker.networkKeysHash !== facts.networkKeysHash)
    throw refused(
      'KEY_WORKER_UNBOUND',
      `The worker's evidence is bound to the keys "${worker.networkKeysHash}", the network's are "${facts.networkKeysHash}"`,
    );
  const over = noLongerAccepted(worker);
  if (over !== undefined) throw refused('KEY_WORKER_NOT_ACCEPTED', `The worker's ${over} is no longer accepted`);

  const serving = await facts.app(app, signal);
  if (serving === undefined) throw refused('KEY_APP_UNKNOWN', `The chain knows no app "${app}"`);
  if (serving.manifestId !== manifest)
    throw refused(
      'KEY_MANIFEST_OTHER',
      `The app serves manifest "${serving.manifestId}", the request names "${manifest}"`,
    );
  if (keyVersion < serving.minKeyVersion || keyVersion > serving.keyVersion)
    throw refused(
      'KEY_VERSION_OUTSIDE',
      `Key versions "${serving.minKeyVersion}" to "${serving.keyVersion}" are released, not "${keyVersion}"`,
    );

  if (serving.imagePolicy !== imagePolicies.network && !(await facts.isImagePinned(app, worker.imageId, signal)))
    throw refused('KEY_IMAGE_NOT_PINNED', `The app's owner has not allowed the image "${worker.imageId}"`);

  checkContext(request, facts.finalRound);

  const { hosts, minTcbEvaluationDataNumber } = await facts.placement(app, manifest, signal);
  if (!hosts.includes(worker.workerId))
    throw refused('KEY_WORKER_NOT_PLACED', `The app is not placed on worker "${worker.workerId}"`);
  const { tcbEvaluationDataNumber } = worker.standing;
  if (tcbEvaluationDataNumber < minTcbEvaluationDataNumber)
    throw refused(
      'KEY_TCB_TOO_OLD',
      `The worker's TCB is judged by data "${tcbEvaluationDataNumber}", the app wants "${minTcbEvaluationDataNumber}"`,
    );
  assertPlatformHasRoom(worker.platformId, facts.appsOf(worker.platformId, app), init);
  return worker;
}

/** Throws KEY_REQUEST_STALE for a request of another time. */
export function assertRecent(
  { block, epoch }: Pick<KeyRequest, 'block' | 'epoch'>,
  facts: Pick<KeyFacts, 'block' | 'epoch'>,
  init: Pick<KeyRulesInit, 'maxBlockDistance'>,
): void {
  // Of one that is ahead, what it rests on may not be there yet: a refusal would be wrong in a moment.
  const isBlockOff = block > facts.block || facts.block - block > init.maxBlockDistance;
  if (isBlockOff || epoch !== facts.epoch)
    throw refused(
      'KEY_REQUEST_STALE',
      `It names block "${block}" and epoch "${epoch}", now is block "${facts.block}" of epoch "${facts.epoch}"`,
    );
}

/** Throws by what the class asks of the context: none, or for a time key a round that has begun in a block that stays. */
function checkContext(request: AskedKey, finalRound: bigint): void {
  if (contextless.has(request.class)) {
    if (request.context === zeroBytes32) return;
    throw refused('KEY_CONTEXT_INVALID', `A key of class "${request.class}" has no context, got "${request.context}"`);
  }
  if (request.class !== 'time')
    throw refused('KEY_CLASS_UNAVAILABLE', `Keys of class "${request.class}" are not released yet`);
  const round = roundOfTimeContext(request.context);
  if (round === undefined)
    throw refused('KEY_CONTEXT_INVALID', `The context of a time key is a round, got "${request.context}"`);
  if (round > finalRound)
    throw refused(
      'KEY_ROUND_AHEAD',
      `Round "${round}" has not begun; the newest final block is in round "${finalRound}"`,
    );
}

/** What of a registration would not be accepted any more, if anything. */
function noLongerAccepted({ imageId, platformId, standing }: AskingWorker): string | undefined {
  if (!standing.imageAllowed) return `image "${imageId}"`;
  if (!standing.configAllowed) return 'network file';
  if (!standing.platformAllowed) return `platform "${platformId}"`;
  return standing.tcbAccepted ? undefined : 'TCB';
}

/** Throws KEY_PLATFORM_FULL where a platform was given as many other apps' keys as it may have. */
export function assertPlatformHasRoom(platformId: Bytes32, otherApps: number, init: KeyRulesInit): void {
  if (otherApps >= init.maxAppsPerPlatform)
    throw refused(
      'KEY_PLATFORM_FULL',
      `The platform "${platformId}" was given the keys of "${init.maxAppsPerPlatform}" apps in this epoch`,
    );
}

export type KeyRefusedCode =
  | 'KEY_REQUEST_STALE'
  | 'KEY_SIGNATURE_INVALID'
  | 'KEY_WORKER_NOT_REGISTERED'
  | 'KEY_WORKER_UNBOUND'
  | 'KEY_WORKER_NOT_ACCEPTED'
  | 'KEY_APP_UNKNOWN'
  | 'KEY_MANIFEST_OTHER'
  | 'KEY_VERSION_OUTSIDE'
  | 'KEY_IMAGE_NOT_PINNED'
  | 'KEY_CLASS_UNAVAILABLE'
  | 'KEY_CONTEXT_INVALID'
  | 'KEY_ROUND_AHEAD'
  | 'KEY_WORKER_NOT_PLACED'
  | 'KEY_TCB_TOO_OLD'
  | 'KEY_PLATFORM_FULL'
  /** This member has given as many keys in this epoch as its log holds. */
  | 'KEY_LOG_FULL'
  /** This member holds no shares of the committee that is. */
  | 'KEY_NO_SHARES';

function refused(code: KeyRefusedCode, message: string): KeyRefusedError {
  return new KeyRefusedError(code, message);
}

/** What is over with the next block, handover or epoch. */
const mayPass: ReadonlySet<KeyRefusedCode> = new Set([
  'KEY_REQUEST_STALE',
  'KEY_NO_SHARES',
  'KEY_LOG_FULL',
  'KEY_ROUND_AHEAD',
]);

/** A key that is not given, by the rule that forbids it. */
export class KeyRefusedError extends CloisterError<KeyRefusedCode> {
  override readonly name = 'KeyRefusedError';
  constructor(code: KeyRefusedCode, message: string) {
    super({ code, message, retry: mayPass.has(code) });
  }
}
