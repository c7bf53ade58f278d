import type { EvidenceDocument } from '../verify/evidenceDocument.ts';

export type QuoteOptions = {
  /** Ends the wait for the device. */
  readonly signal: AbortSignal;
};

/** A TEE as the enclave service inside it sees it. */
export interface AttestationDevice {
  /** For people and configuration. */
  readonly name: string;
  readonly kind: EvidenceDocument['teeType'];
  /** Whether its evidence leads to a simulated root. */
  readonly simulated: boolean;
  /** Whether it can seal data to itself at rest. */
  readonly sealsAtRest: boolean;

  /**
   * Fresh evidence over exactly 64 bytes, chosen by the enclave service alone: no guest ever chooses them.
   * Rejects with the signal's reason once it is aborted.
   */
  quote(reportData: Uint8Array, options: QuoteOptions): Promise<EvidenceDocument>;
}

/** A kind of device that may be on this machine. */
export interface AttestationDriver {
  readonly name: string;
  readonly simulated: boolean;

  /** Undefined where the device is here; otherwise why not, in a few words. */
  unavailable(options: QuoteOptions): Promise<string | undefined>;

  open(options: QuoteOptions): Promise<AttestationDevice>;
}
