import {
  type AppraisalPolicy,
  appraise,
  EvidenceVerifier,
  networkPolicy,
  networkTrustRoots,
  type VerifiedGuest,
  verifyGuestAttestation,
} from '@cloister/attestation/verify';
import type { RegistryReader, WorkerRecord } from '@cloister/chain';
import {
  type Bytes32,
  CloisterError,
  describeError,
  type NetworkFile,
  parseGuestAttestation,
  withDeadline,
} from '@cloister/core';
import { maxHeadAgeSeconds } from './verifyWorker.ts';

export type VerifyGuestComponents = {
  readonly network: NetworkFile;
  readonly registry: RegistryReader;
  /** The time of day in ms. @default Date.now */
  readonly clockMs?: () => number;
};

export type VerifyGuestOptions = {
  readonly app: Bytes32;
  /** What the app must have chosen: your nonce, or the hash of a key. At most 64 bytes. */
  readonly reportData: Uint8Array;
  /** Stricter rules for the evidence than the network's own. */
  readonly policy?: AppraisalPolicy;
  readonly signal?: AbortSignal;
};

/** An app that has shown what it is, and the worker that runs it. */
export type RegisteredGuest = VerifiedGuest & { readonly workerId: Bytes32 };

const timeoutMs = 30_000;

/**
 * Checks what an app got from `attest`: evidence up to the network's roots, bound to the app, its instance and what it was asked; made on
 * the very machine and image that the chain has for the instance's worker, which is registered and accepted now. Which manifest is one of
 * the app's stands in the answer, to be judged by you. Throws GuestRefusedError, ChainError.
 * @param attestation its bytes: the SDKs' `attestation` is the same in hexadecimal
 */
export function verifyGuest(
  components: VerifyGuestComponents,
  attestation: Uint8Array,
  options: VerifyGuestOptions,
): Promise<RegisteredGuest> {
  return withDeadline({ timeoutMs, signal: options.signal, what: 'Verifying a guest' }, (signal) =>
    verifyIn(components, attestation, options, signal),
  );
}

async function verifyIn(
  { network, registry, clockMs = () => Date.now() }: VerifyGuestComponents,
  attestation: Uint8Array,
  { app, reportData, policy }: VerifyGuestOptions,
  signal: AbortSignal,
): Promise<RegisteredGuest> {
  const head = await registry.view.head(signal);
  if (head.timestamp + maxHeadAgeSeconds < BigInt(Math.floor(clockMs() / 1_000)))
    throw new GuestRefusedError('GUEST_CHAIN_STALE', `The newest block that the RPCs know is of "${head.timestamp}"`);
  const verifier = new EvidenceVerifier({ roots: networkTrustRoots(network.trustRoots) });
  const expected = { chainId: network.chainId, registry: network.contracts.workerRegistry, app, reportData };
  const verified = await verifyGuestAttestation(
    verifier,
    refusing(() => parseGuestAttestation(attestation)),
    expected,
    Number(head.timestamp),
  ).catch(rethrow);
  const verdict = appraise(verified.claims, { ...networkPolicy(network), ...policy });
  if (!verdict.ok) throw new GuestRefusedError('GUEST_EVIDENCE_REFUSED', verdict.refusal.message);

  const { receiptSigner } = verified.statement;
  const { active, workerId } = await registry.activeSigner(receiptSigner, head.number, signal);
  if (!active)
    throw new GuestRefusedError(
      'GUEST_WORKER_NOT_REGISTERED',
      `No registered worker has the signer "${receiptSigner}"`,
    );
  const record = await registry.workerRecord(workerId, head.number, signal);
  // A Nitro document names no platform.
  assertSameMachine(verified.claims, record);
  const standing = await registry.standing(record, head.number, signal);
  const over = (['imageAllowed', 'configAllowed', 'platformAllowed', 'tcbAccepted'] as const).find(
    (rule) => !standing[rule],
  );
  if (over !== undefined)
    throw new GuestRefusedError('GUEST_WORKER_NOT_ACCEPTED', `The chain accepts the worker no more, by "${over}"`);
  return { ...verified, workerId };
}

/** A Nitro document names no platform; others' names are filled up with zeros on the chain. */
function assertSameMachine(
  { imageId, platformId }: VerifiedGuest['claims'],
  record: Pick<WorkerRecord, 'imageId' | 'platformId'>,
): void {
  const shown = { imageId, platformId: platformId === null ? record.platformId : platformId.padEnd(66, '0') };
  for (const part of ['imageId', 'platformId'] as const)
    if (shown[part] !== record[part])
      throw new GuestRefusedError(
        'GUEST_MACHINE_OTHER',
        `The evidence is of ${part} "${shown[part]}", the worker is registered with "${record[part]}"`,
      );
}

function refusing<T>(read: () => T): T {
  try {
    return read();
  } catch (error) {
    return rethrow(error);
  }
}

function rethrow(cause: unknown): never {
  if (!(cause instanceof CloisterError)) throw cause;
  throw new GuestRefusedError('GUEST_EVIDENCE_REFUSED', describeError(cause), cause);
}

export type GuestRefusedErrorCode =
  | 'GUEST_CHAIN_STALE'
  | 'GUEST_EVIDENCE_REFUSED'
  | 'GUEST_WORKER_NOT_REGISTERED'
  | 'GUEST_MACHINE_OTHER'
  | 'GUEST_WORKER_NOT_ACCEPTED';

/** Why an app's attestation is not believed. */
export class GuestRefusedError extends CloisterError<GuestRefusedErrorCode> {
  override readonly name = 'GuestRefusedError';
  constructor(code: GuestRefusedErrorCode, message: string, cause?: unknown) {
    super({ code, message, hint: 'Send it nothing that others must not see', cause });
  }
}
