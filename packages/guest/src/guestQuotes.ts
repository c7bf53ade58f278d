import type { EvidenceDocument } from '@cloister/attestation/verify';
import { type GuestBinding, guestReportData, withDeadline, zeroBytes32 } from '@cloister/core';
import { GuestError } from './guestError.ts';
import { type MachineRegisters, registersOf } from './machineRegisters.ts';

/** The machine's device, as far as guests are let near it. */
export type QuotingDevice = {
  quote(reportData: Uint8Array, options: { readonly signal: AbortSignal }): Promise<EvidenceDocument>;
};

/** Quotes of one app, and of all apps of a worker, that wait or are being made. */
export const maxQuotesOfOneApp = 2;
export const maxQuotesOfAllApps = 8;
const quoteTimeoutMs = 30_000;

/**
 * The one way from apps to the machine's device: at most one of their quotes is made at a time, so that the worker's own, by which its
 * registration lives, wait for one at most. What is quoted is always bound to the app that asks.
 */
export class GuestQuotes {
  readonly #device: QuotingDevice;
  readonly #waiting = new Map<string, number>();
  #all = 0;
  #registers: Promise<MachineRegisters | undefined> | undefined;
  #last: Promise<unknown> = Promise.resolve();

  constructor(device: QuotingDevice) {
    this.#device = device;
  }

  /**
   * The machine's registers, which stay as they were when it started: from one quote, bound to an app that there is not. Undefined where the
   * machine is no TD. Throws as {@link quote}, and is then asked anew.
   */
  registers(network: Pick<GuestBinding, 'chainId' | 'registry'>): Promise<MachineRegisters | undefined> {
    this.#registers ??= this.quote(
      { ...network, app: zeroBytes32, instance: zeroBytes32 },
      new Uint8Array(),
      AbortSignal.timeout(quoteTimeoutMs),
    )
      .then(registersOf)
      .catch((error: unknown) => {
        this.#registers = undefined;
        throw error;
      });
    return this.#registers;
  }

  /** Evidence over `x`, bound. Throws GUEST_BUSY, DEADLINE_EXCEEDED, ABORTED, and what the device throws. */
  async quote(binding: GuestBinding, x: Uint8Array, signal: AbortSignal): Promise<EvidenceDocument> {
    const { app } = binding;
    const own = this.#waiting.get(app) ?? 0;
    if (own >= maxQuotesOfOneApp || this.#all >= maxQuotesOfAllApps)
      throw new GuestError('GUEST_BUSY', `"${own}" quotes of this app, and "${this.#all}" of all, are being made`);
    this.#waiting.set(app, own + 1);
    this.#all += 1;
    const reportData = guestReportData(binding, x);
    const made = this.#last.then(() =>
      withDeadline({ timeoutMs: quoteTimeoutMs, signal, what: 'A quote' }, (inner) =>
        this.#device.quote(reportData, { signal: inner }),
      ),
    );
    this.#last = made.catch(() => {});
    try {
      return await made;
    } finally {
      this.#all -= 1;
      const left = (this.#waiting.get(app) ?? 1) - 1;
      if (left === 0) this.#waiting.delete(app);
      else this.#waiting.set(app, left);
    }
  }
}
