import { CloisterError } from './errors.ts';
import type { ReceiptStatus } from './receipt.ts';

/** What a manifest says of prices; amounts in the token's smallest unit. */
export type ManifestPrice = {
  readonly perCall: string;
  readonly perCpuMs: string;
  readonly perGiBSecond: string;
  readonly perOutputKiB: string;
  /** Only of models that count tokens: for each that was read, and written. */
  readonly perInputToken?: string;
  readonly perOutputToken?: string;
  /** Whether a call costs anything that did not end "ok". */
  readonly failedCalls: 'free' | 'metered';
};

/** The fields of a manifest that a call's price follows from. */
export type PricedManifest = {
  readonly price: ManifestPrice;
  readonly limits: {
    readonly memoryBytes: number;
    readonly wallMs: number;
    readonly cpuMs: number;
    readonly outputBytes: number;
  };
  readonly model?: { readonly contextTokens: number; readonly maxTokens: number };
};

/** What a call costs for each unit that was measured; amounts in the token's smallest unit. */
export type Price = {
  readonly perCall: bigint;
  /** For each millisecond of the processor, counted from the next whole one. */
  readonly perCpuMs: bigint;
  /** For each GiB of the most memory that it took, times the seconds that it ran. */
  readonly perGiBSecond: bigint;
  /** For each KiB of its answer, counted from the next whole one. */
  readonly perOutputKiB: bigint;
  /** For each token of a model's prompt, and of its answer. */
  readonly perInputToken: bigint;
  readonly perOutputToken: bigint;
};

/** Its parts, in the order in which quotes state them. */
export const priceParts = [
  ...(['perCall', 'perCpuMs', 'perGiBSecond', 'perOutputKiB', 'perInputToken', 'perOutputToken'] as const),
] as const;

/** What a receipt's details say of a run. Whole numbers, rounded up. */
export type Metering = {
  readonly wallMs: number;
  readonly cpuMs: number;
  readonly outputKiB: number;
  readonly peakMemoryMiB: number;
  /** Of outbound requests and their answers, where there were any. No price depends on it. */
  readonly outboundKiB?: number;
  /** Instructions, where they are counted. No price depends on it. */
  readonly fuel?: number;
  /** Of a model that counts them: tokens that it read and that it wrote. */
  readonly inputTokens?: number;
  readonly outputTokens?: number;
};

const MiB = 1024 * 1024;

/** The prices that a manifest states, as numbers. */
export function priceOf({ price }: Pick<PricedManifest, 'price'>): Price {
  return {
    perCall: BigInt(price.perCall),
    perCpuMs: BigInt(price.perCpuMs),
    perGiBSecond: BigInt(price.perGiBSecond),
    perOutputKiB: BigInt(price.perOutputKiB),
    perInputToken: BigInt(price.perInputToken ?? '0'),
    perOutputToken: BigInt(price.perOutputToken ?? '0'),
  };
}

/** Whether calls of it cost nothing, whatever they use. */
export function isFree({ price }: Pick<PricedManifest, 'price'>): boolean {
  return priceParts.every((part) => (price[part] ?? '0') === '0');
}

/** The sum of all parts; that of memory and time is rounded down. Throws PRICE_OUT_OF_RANGE for 2^96 and more. */
export function feeOf(price: Price, metering: Metering): bigint {
  const fee = sumOf(price, metering);
  // As much as a channel can hold.
  if (fee >> 96n !== 0n) throw new PriceError(fee);
  return fee;
}

function sumOf(price: Price, metering: Metering): bigint {
  const { wallMs, cpuMs, outputKiB, peakMemoryMiB, inputTokens = 0, outputTokens = 0 } = metering;
  const memory = (price.perGiBSecond * BigInt(peakMemoryMiB) * BigInt(wallMs)) / (1024n * 1000n);
  const tokens = price.perInputToken * BigInt(inputTokens) + price.perOutputToken * BigInt(outputTokens);
  return price.perCall + price.perCpuMs * BigInt(cpuMs) + memory + price.perOutputKiB * BigInt(outputKiB) + tokens;
}

/** The most that one call of this manifest can cost: at all of its limits. `price`: by default the manifest's own. Throws PRICE_OUT_OF_RANGE. */
export function highestFeeOf(manifest: PricedManifest, price: Price = priceOf(manifest)): bigint {
  const { memoryBytes, wallMs, cpuMs, outputBytes } = manifest.limits;
  return feeOf(price, {
    wallMs,
    cpuMs,
    outputKiB: Math.ceil(outputBytes / 1024),
    peakMemoryMiB: Math.ceil(memoryBytes / MiB),
    inputTokens: manifest.model?.contextTokens ?? 0,
    outputTokens: manifest.model?.maxTokens ?? 0,
  });
}

/**
 * What a call costs that ended so. What ran beyond a limit before it was stopped costs no more than the limit; a call that failed costs
 * what the manifest says of failed calls.
 */
export function chargeOf(
  manifest: PricedManifest,
  status: ReceiptStatus,
  metering: Metering,
  price: Price = priceOf(manifest),
): bigint {
  if (status !== 'ok' && manifest.price.failedCalls === 'free') return 0n;
  const [fee, highest] = [sumOf(price, metering), highestFeeOf(manifest, price)];
  return fee < highest ? fee : highest;
}

export class PriceError extends CloisterError<'PRICE_OUT_OF_RANGE'> {
  override readonly name = 'PriceError';
  constructor(fee: bigint) {
    super({
      code: 'PRICE_OUT_OF_RANGE',
      message: `A call would cost "${fee}", more than a channel can hold`,
      hint: 'Lower the prices or the limits in the manifest',
    });
  }
}
