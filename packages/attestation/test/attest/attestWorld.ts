import type { CollateralFetcher } from '../../src/attest/index.ts';
import {
  createSimulatedPlatform,
  type MintCollateralOptions,
  type MintQuoteOptions,
  makeSimulatedRoot,
  mintCollateral,
  mintQuote,
} from '../../src/unsafe-simulated/index.ts';
import type { Collateral } from '../../src/verify/index.ts';

/** 2026-09-21, in Unix seconds: tests choose their own time. */
export const now = 1_790_000_000;
export const never = new AbortController().signal;

/** A manufacturer and one of its machines, as the fakes of these tests have them below. */
export const root = makeSimulatedRoot(now);
export const platform = createSimulatedPlatform(root, { now });
export const otherPlatform = createSimulatedPlatform(root, {
  now,
  tcb: { fmspc: Uint8Array.of(0xde, 0x51, 9, 9, 9, 9) },
});
export const registers = {
  mrtd: new Uint8Array(48).fill(0xa1),
  rtmr0: new Uint8Array(48).fill(0xb0),
  rtmr1: new Uint8Array(48).fill(0xb1),
  rtmr2: new Uint8Array(48).fill(0xb2),
  rtmr3: new Uint8Array(48).fill(0xb3),
  mrConfigId: new Uint8Array(48).fill(0xc0),
};

export function quoteOver(reportData: Uint8Array, options: MintQuoteOptions = {}, of = platform): Uint8Array {
  return mintQuote(of, { ...registers, reportData }, options);
}

export function collateralAt(issuedAt = now - 3600, options: Partial<MintCollateralOptions> = {}): Collateral {
  return mintCollateral(root, { issuedAt, ...options });
}

/** A fetcher that counts, and answers what it is told to. */
export function countingFetcher(
  answer: () => Collateral | Promise<Collateral>,
): CollateralFetcher & { readonly asked: number } {
  let asked = 0;
  return {
    name: 'test',
    get asked() {
      return asked;
    },
    fetch: async () => {
      asked += 1;
      return answer();
    },
  };
}

export async function codeOf(work: Promise<unknown>): Promise<string> {
  try {
    await work;
    return 'no error';
  } catch (error) {
    if (error instanceof Error && 'code' in error && typeof error.code === 'string') return error.code;
    throw error;
  }
}

/** A promise that others settle. */
export function gate(): { readonly opened: Promise<void>; readonly open: () => void } {
  let open: () => void = () => undefined;
  const opened = new Promise<void>((resolve) => {
    open = resolve;
  });
  return { opened, open };
}

export function padded(bytes: Uint8Array, length: number): Uint8Array {
  const whole = new Uint8Array(length);
  whole.set(bytes);
  return whole;
}
