import type { EvidenceDocument } from '../verify/evidenceDocument.ts';
import { DeviceError } from './deviceError.ts';
import type { TdxRegisters } from './registers.ts';

export type QuoteOptions = {
  /** Ends the wait for the device. */
  readonly signal: AbortSignal;
};

export type EvidenceOptions = QuoteOptions & {
  /**
   * Whether the machine's event log goes with the evidence; default false, as it is the largest part. It is left out where
   * there is none, and where its replay does not give the quote's registers, as when something else extends them too.
   */
  readonly eventLog?: boolean | undefined;
};

/**
 * Sealing by hardware: what was sealed opens on the same platform, in the same image, alone. It gives no freshness: an old
 * file opens as well as a new one.
 */
export interface RestSealing {
  /** @param purpose told apart: what was sealed for one does not open for another */
  seal(purpose: string, plaintext: Uint8Array): Promise<Uint8Array>;
  /** Throws SEALED_ELSEWHERE for what this device, image or purpose did not seal, or that was changed. */
  open(purpose: string, sealed: Uint8Array): Promise<Uint8Array>;
}

/** A TEE as the enclave service inside it sees it. */
export interface AttestationDevice {
  /** For people and configuration: the name of the driver that opened it. */
  readonly name: string;
  readonly kind: EvidenceDocument['teeType'];
  /** Whether its evidence leads to a simulated root. */
  readonly simulated: boolean;
  /** Who answers on this machine, for people: the kernel's provider, an agent with its version. */
  readonly provider: string;
  /** Whether it can seal data to itself at rest: {@link AttestationDevice.atRest} is there. */
  readonly sealsAtRest: boolean;
  /** Why it can or can't, in one sentence for people. */
  readonly sealing: string;

  /**
   * Fresh evidence over exactly 64 bytes, chosen by the enclave service alone: no guest ever chooses them. What comes back
   * carries these bytes. Rejects with the signal's reason once it is aborted; throws DeviceError and, where the device can't
   * get what stands beside a quote, CollateralError.
   */
  quote(reportData: Uint8Array, options: EvidenceOptions): Promise<EvidenceDocument>;

  /** Seals to this platform and this image, where the hardware can. */
  readonly atRest?: RestSealing;

  /** Measurements as the machine shows them without a signature; undefined where it shows none. Throws DeviceError. */
  registers?(): Promise<TdxRegisters | undefined>;
}

/** Why a device can't be used on this machine. */
export type UnavailableCode =
  | 'NOT_THIS_MACHINE'
  | 'KERNEL_TOO_OLD'
  | 'MODULE_MISSING'
  | 'NOT_MOUNTED'
  | 'NO_PERMISSION'
  | 'NOT_ANSWERING';

export type Unavailable = {
  readonly code: UnavailableCode;
  /** In a few words, to stand after the driver's name and a colon. */
  readonly reason: string;
  /** What to do, where something can be done. */
  readonly hint?: string;
};

/** A kind of device that may be on this machine. */
export interface AttestationDriver {
  readonly name: string;
  readonly simulated: boolean;
  /** What it is, in a few words for people. */
  readonly about: string;

  /** Undefined where the device is here; otherwise why not. Leaves nothing behind. */
  unavailable(options: QuoteOptions): Promise<Unavailable | undefined>;

  /** Throws DeviceError. */
  open(options: QuoteOptions): Promise<AttestationDevice>;
}

const reportDataLength = 64;

/** Throws INVALID_REPORT_DATA for anything but 64 bytes. */
export function assertReportData(reportData: Uint8Array): void {
  if (reportData.length === reportDataLength) return;
  throw new DeviceError({
    code: 'INVALID_REPORT_DATA',
    message: `Expected ${reportDataLength} bytes of report data, got "${reportData.length}"`,
  });
}
