import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import {
  chargeOf,
  feeOf,
  freePrice,
  functionManifest,
  highestFeeOf,
  isFree,
  manifestOfKind,
  priceOf,
  priceParts,
  receiptStatuses,
  unavailableFeature,
} from '../src/index.ts';

const code = { sha256: `0x${'11'.repeat(32)}`, bytes: 10 } as const;
const of = (price: Partial<typeof freePrice>, limits = {}) =>
  functionManifest({ name: 'sample', code, price: { ...freePrice, ...price }, limits });
const metering = { wallMs: 1_500, cpuMs: 30, outputKiB: 4, peakMemoryMiB: 512 };

describe('a fee', () => {
  test('is the sum of its parts, memory and time together and rounded down', () => {
    const tokens = { perInputToken: 0n, perOutputToken: 0n };
    const price = { perCall: 7n, perCpuMs: 2n, perGiBSecond: 1_000n, perOutputKiB: 3n, ...tokens };
    // 7 + 60 + 1,000 · ½ GiB · 1.5 s + 12
    expect(feeOf(price, metering)).toBe(7n + 60n + 750n + 12n);
    expect(feeOf({ ...price, perGiBSecond: 1n }, metering)).toBe(7n + 60n + 0n + 12n);
  });

  test('is at most what all limits together make of it', () => {
    const manifest = of({ perCall: '5', perCpuMs: '1', perOutputKiB: '1' }, { cpuMs: 100, outputBytes: 2_049 });
    expect(highestFeeOf(manifest)).toBe(5n + 100n + 3n);
    expect(chargeOf(manifest, 'ok', { ...metering, cpuMs: 140, outputKiB: 3 })).toBe(108n);
  });

  test('grows with each of what is measured, and never past the most', () => {
    const nat = fc.integer({ min: 0, max: 10_000 });
    const some = fc.record({ wallMs: nat, cpuMs: nat, outputKiB: nat, peakMemoryMiB: nat });
    const manifest = of({ perCall: '3', perCpuMs: '5', perGiBSecond: '7000000', perOutputKiB: '11' });
    fc.assert(
      fc.property(some, some, (one, more) => {
        const sum = {
          wallMs: one.wallMs + more.wallMs,
          cpuMs: one.cpuMs + more.cpuMs,
          outputKiB: one.outputKiB + more.outputKiB,
          peakMemoryMiB: one.peakMemoryMiB + more.peakMemoryMiB,
        };
        expect(feeOf(priceOf(manifest), one) <= feeOf(priceOf(manifest), sum)).toBe(true);
        expect(chargeOf(manifest, 'ok', sum) <= highestFeeOf(manifest)).toBe(true);
      }),
    );
  });

  test('of a failed call follows the manifest', () => {
    for (const status of Object.keys(receiptStatuses) as (keyof typeof receiptStatuses)[]) {
      expect(chargeOf(of({ perCall: '5' }), status, metering)).toBe(status === 'ok' ? 5n : 0n);
      expect(chargeOf(of({ perCall: '5', failedCalls: 'metered' }), status, metering)).toBe(5n);
    }
  });

  test('is zero for what is free, and what is free says so', () => {
    expect(isFree(of({}))).toBe(true);
    expect(isFree(of({ failedCalls: 'metered' }))).toBe(true);
    for (const name of priceParts) expect(isFree(of({ [name]: '1' }))).toBe(false);
  });

  test('counts tokens to the unit, and no more of them than the manifest allows in all', () => {
    const price = { ...freePrice, perCall: '1', perInputToken: '3', perOutputToken: '10' };
    const model = (failedCalls: 'free' | 'metered') =>
      manifestOfKind('model', {
        ...{ name: 'sample', code, price: { ...price, failedCalls } },
        model: { contextTokens: 100, maxTokens: 20 },
      });
    const manifest = model('free');
    expect(highestFeeOf(manifest)).toBe(1n + 300n + 200n);
    const used = { ...metering, inputTokens: 41, outputTokens: 7 };
    expect(chargeOf(manifest, 'ok', used)).toBe(1n + 123n + 70n);
    expect(chargeOf(manifest, 'ok', metering)).toBe(1n);
    expect(chargeOf(manifest, 'app-error', used)).toBe(0n);
    expect(chargeOf(model('metered'), 'limit', used)).toBe(1n + 123n + 70n);
    // An engine that counts too much is paid what was quoted, and what can't be counted at all breaks nothing.
    for (const inputTokens of [101, Number.MAX_SAFE_INTEGER])
      expect(chargeOf(manifest, 'ok', { ...used, inputTokens, outputTokens: 20 })).toBe(501n);
    const most = { ...priceOf(manifest), perInputToken: (1n << 89n) - 1n };
    expect(chargeOf(manifest, 'ok', { ...used, inputTokens: Number.MAX_SAFE_INTEGER }, most)).toBe(
      highestFeeOf(manifest, most),
    );
  });

  test('for tokens is for models that count them', () => {
    const price = { ...freePrice, perOutputToken: '1' };
    const named = { name: 'sample', code, price };
    expect(unavailableFeature(manifestOfKind('model', named))).toBe(undefined);
    for (const name of ['onnxruntime', 'onnxruntime-web']) {
      const runtime = { name, compatibilityDate: '2026-11-01' };
      expect(unavailableFeature(manifestOfKind('model', { ...named, runtime }))).toMatch(/price for tokens/);
    }
    expect(unavailableFeature(functionManifest(named))).toMatch(/price for tokens/);
  });

  test('that no channel could hold is refused with the manifest', () => {
    const most = ((1n << 96n) - 1n).toString();
    expect(highestFeeOf(of({ perCall: most }))).toBe((1n << 96n) - 1n);
    expect(() => of({ perCall: most, perCpuMs: '1' })).toThrow(expect.objectContaining({ code: 'PRICE_OUT_OF_RANGE' }));
    expect(() => of({ perCall: (1n << 96n).toString() })).toThrow(/uint96/);
    expect(() => of({ perCall: '01' })).toThrow(/perCall/);
  });
});
