import {
  type Bytes32,
  type GuestAttestation,
  guestInstanceId,
  guestLogDigest,
  guestReportData,
  type RecordDomain,
} from '@cloister/core';
import { equalBytes, fromHex, recoverAddress, toHex } from '@cloister/crypto';
import type { Claims } from './claims.ts';
import { AttestationError } from './errors.ts';
import { parseDstackLog, runtimeEventType } from './eventLog/dstackLog.ts';
import { eventLogError } from './eventLog/eventLogError.ts';
import { replay } from './eventLog/registers.ts';
import { measuredDigest } from './eventLog/runtimeEvent.ts';
import { parseEvidence } from './evidenceDocument.ts';
import type { EvidenceVerifier } from './evidenceVerifier.ts';

/** What is asked of an attestation of a guest. */
export type ExpectedGuest = RecordDomain & {
  readonly app: Bytes32;
  /** What the app should have chosen: a nonce, the hash of a key. At most 64 bytes, filled up with zeros. */
  readonly reportData: Uint8Array;
};

/** An event that the app emitted, in its order. */
export type EmittedEvent = { readonly name: string; readonly payload: Uint8Array };

/**
 * What holds then: that machine, with those claims, runs this instance of the app, which chose the report data. The claims are still to be
 * appraised, and the statement's receipt signer to be found registered.
 */
export type VerifiedGuest = {
  readonly claims: Claims;
  readonly statement: GuestAttestation['statement'];
  /** As true as the worker that signed them: no register of the hardware stands behind. */
  readonly events: readonly EmittedEvent[];
};

/**
 * Checks everything in an attestation that hangs together: the evidence up to its root, that it is bound to this chain, registry, app and
 * instance and to what the app chose, and that the event log is the one that the instance's worker signed. Throws AttestationError.
 * @param at unix seconds
 */
export async function verifyGuestAttestation(
  verifier: EvidenceVerifier,
  { evidence, statement, reportData, eventLog }: GuestAttestation,
  expected: ExpectedGuest,
  at: number,
): Promise<VerifiedGuest> {
  const { chainId, registry, app } = expected;
  for (const field of ['chainId', 'registry', 'app'] as const)
    if (statement[field] !== expected[field]) throw mismatch(`statement.${field}`, expected[field], statement[field]);
  const wanted = new Uint8Array(64);
  wanted.set(expected.reportData.subarray(0, 64));
  if (expected.reportData.length > 64 || reportData !== toHex(wanted))
    throw mismatch('reportData', toHex(expected.reportData), reportData);

  const claims = await verifier.verify(parseEvidence(evidence), at);
  const instance = guestInstanceId(statement);
  const bound = toHex(guestReportData({ chainId, registry, app, instance }, wanted));
  if (claims.reportData !== bound) throw mismatch('claims.reportData', bound, claims.reportData ?? 'none');

  const events = readLog(eventLog, statement);
  const { log, receiptSigner } = statement;
  const said = { instance, events: log.events, register: fromHex(log.register) };
  const signer = recoverAddress(fromHex(guestLogDigest({ chainId, registry }, said)), fromHex(log.signature));
  if (signer !== receiptSigner)
    throw new AttestationError({
      code: 'SIGNATURE_INVALID',
      place: 'statement.log.signature',
      value: signer,
      message: `Expected the log to be signed by "${receiptSigner}", got "${signer}"`,
    });
  return { claims, statement, events };
}

/** The app's events of a log that replays to the statement's register. */
function readLog(text: string, statement: GuestAttestation['statement']): readonly EmittedEvent[] {
  const events = parseDstackLog(text);
  const other = events.find(({ type }) => type !== runtimeEventType);
  if (other !== undefined)
    throw eventLogError('MALFORMED_EVENT_LOG', `eventLog[${other.index}].event_type`, "Expected a guest's event");
  const register = replay(events.map((event) => ({ register: event.register, digest: measuredDigest(event) }))).rtmr3;
  if (register !== statement.log.register || events.length !== statement.log.events)
    throw eventLogError('EVENT_LOG_MISMATCH', 'eventLog', `Expected "${statement.log.register}"`, register);
  const beginning = [
    ['app-id', fromHex(statement.app)],
    ['compose-hash', fromHex(statement.manifest)],
  ] as const;
  for (const [index, [name, payload]] of beginning.entries()) {
    const event = events[index];
    if (event?.name !== name || !equalBytes(event.payload, payload))
      throw eventLogError('EVENT_MISSING', `eventLog[${index}]`, `Expected event "${name}" of this app`);
  }
  // From here on the app chooses names, those of the beginning included.
  const ready = events.findIndex(({ name }) => name === 'system-ready');
  if (ready === -1) throw eventLogError('EVENT_MISSING', 'eventLog', 'Expected event "system-ready"');
  return events.slice(ready + 1).map(({ name, payload }) => ({ name, payload }));
}

function mismatch(place: string, expected: string | number, got: string | number): AttestationError {
  return new AttestationError({
    code: 'REPORT_DATA_MISMATCH',
    place,
    value: got,
    message: `Expected "${expected}" at "${place}", got "${got}"`,
    hint: 'It was made for another app, network or question',
  });
}
