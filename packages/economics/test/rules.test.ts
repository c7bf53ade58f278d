import {
  bearersOf,
  confidenceOf,
  defaultBondRule,
  defaultFeeShares,
  defaultWorthRules,
  earningShare,
  emptyShareLedger,
  type GrowthRules,
  isWorthless,
  maximumFeeShares,
  minimumBond,
  type Offence,
  payoutOf,
  pha,
  requiredBond,
  type ShareLedger,
  slashAmount,
  slashTable,
  splitCommission,
  splitFees,
  splitSlash,
  squareRootUp,
  stepsPerScore,
  toAssetsDown,
  toAssetsUp,
  toSharesDown,
  toSharesUp,
  valueAfterEpoch,
  workerValue,
} from '@cloister/economics';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';

const amount = fc.bigInt(0n, 10n ** 27n);

describe('bonds', () => {
  test('are 200 PHA times the root of the score, by the rule in force', () => {
    const bond = requiredBond(3_000n * stepsPerScore, defaultBondRule);
    // 200·√3000 = 10954.451150103322269…; k itself is rounded down to a unit, so a little below.
    expect(bond / 10n ** 9n).toBe(10_954_451_150_103n);
  });

  test('are never below the least of any worker', () => {
    expect(requiredBond(0n, defaultBondRule)).toBe(defaultBondRule.minimumBond);
    expect(requiredBond(10n ** 18n, { bondFactor: 2n * pha, minimumBond: 1n })).toBe(2n * 10n ** 9n * pha);
  });

  test('cover the exact root, by at most what its 18 decimals leave out', () => {
    fc.assert(
      fc.property(fc.bigInt(0n, 10n ** 18n), fc.bigInt(0n, 10_000n * pha), (work, bondFactor) => {
        const exact = squareRootUp(bondFactor * bondFactor * work);
        const bond = minimumBond(work, { bondFactor });
        expect(bond).toBeGreaterThanOrEqual(exact);
        expect(bond - exact).toBeLessThanOrEqual(bondFactor / 10n ** 18n + 1n);
      }),
    );
  });
});

describe('confidence', () => {
  test('is the product of what is known of software and of machine', () => {
    expect(confidenceOf(1, 3)).toBe(10_000n);
    expect(confidenceOf(2, 0)).toBe(8_000n);
    expect(confidenceOf(5, 0)).toBe(5_600n);
    expect(confidenceOf(7, 3)).toBe(0n);
    const odd = { ...{ tcbBps: { 1: 3_333n, 2: 0n, 3: 0n, 4: 0n, 5: 0n, 6: 0n, 7: 0n } } };
    expect(confidenceOf(1, 0, { ...odd, assuranceBps: { 0: 3_333n, 1: 0n, 2: 0n, 3: 0n } })).toBe(1_110n);
  });

  test('of what an operator may claim by itself nothing counts', () => {
    for (const tcb of [1, 2, 3, 4, 5, 6, 7] as const)
      for (const level of [1, 2] as const) expect(confidenceOf(tcb, level)).toBe(confidenceOf(tcb, 0));
  });
});

describe('a worker’s share', () => {
  test('is none without work or without a bond for any, and by its history where it has one', () => {
    const work = 3_000n * stepsPerScore;
    const bond = requiredBond(work, defaultBondRule);
    const worker = { bond, confidenceBps: 10_000n };
    const machine = { work, workers: 1n };
    const entry = earningShare(worker, machine, defaultWorthRules);
    expect(entry).toBeGreaterThan(workerValue(bond, work, 10_000n, defaultWorthRules));
    expect(earningShare(worker, { ...machine, work: 0n }, defaultWorthRules)).toBe(0n);
    expect(earningShare({ ...worker, bond: minimumBond(1n, defaultWorthRules) - 1n }, machine, defaultWorthRules)).toBe(
      0n,
    );
    const less = earningShare({ ...worker, bond: bond / 2n }, machine, defaultWorthRules);
    expect(less > 0n && less < entry / 2n).toBe(true);
    expect(earningShare({ ...worker, value: 100_000n * pha }, machine, defaultWorthRules)).toBeGreaterThan(entry);
    expect([payoutOf(10n, 1n, 3n), payoutOf(10n, 0n, 0n)]).toEqual([3n, 0n]);
  });
});

describe('value over epochs', () => {
  const rules: GrowthRules = {
    growthPpb: 200_000n,
    decayPpb: 1_000_000n,
    costPerEpoch: 5n,
    maximumValue: 2_000_000n,
  };
  const after = (changes: Partial<Parameters<typeof valueAfterEpoch>[0]>, over: Partial<GrowthRules> = {}) =>
    valueAfterEpoch({ value: 1_000_000n, work: 10n, expectedWork: 10n, payout: 0n, ...changes }, { ...rules, ...over });

  test('grows by stake and costs in proportion to the work, and no more for more work', () => {
    expect(after({})).toBe(1_000_205n);
    expect(after({ work: 5n })).toBe(1_000_102n);
    expect(after({ work: 1_000n })).toBe(1_000_205n);
  });

  test('gives back by payouts what it grew, and never more', () => {
    expect(after({ payout: 200n })).toBe(1_000_005n);
    expect(after({ payout: 10n ** 18n })).toBe(1_000_000n);
  });

  test('stops at the maximum, falls without work, and never below that by being over it', () => {
    expect(after({}, { maximumValue: 1_000_100n })).toBe(1_000_100n);
    expect(after({}, { maximumValue: 999n })).toBe(1_000_000n);
    expect(after({ work: 0n })).toBe(999_000n);
    expect(after({ work: 0n, value: 1n })).toBe(0n);
  });

  test('refuses rules that make no sense', () => {
    expect(() => after({}, { growthPpb: -1n })).toThrow(RangeError);
    expect(() => after({}, { decayPpb: 10n ** 9n + 1n })).toThrow(RangeError);
    expect(() => after({ expectedWork: 0n })).toThrow(RangeError);
  });
});

describe('what is split is all there', () => {
  test('of commissions', () => {
    expect(splitCommission(99n, 1_000n)).toEqual({ commission: 9n, stakers: 90n });
    fc.assert(
      fc.property(amount, fc.bigInt(0n, 5_000n), (whole, bps) => {
        const { commission, stakers } = splitCommission(whole, bps);
        expect(commission + stakers).toBe(whole);
      }),
    );
    expect(() => splitCommission(1n, 5_001n)).toThrow(RangeError);
  });

  test('of fees, and without a gateway its part is the operator’s', () => {
    expect(splitFees(1_000n, defaultFeeShares, true)).toEqual({
      operator: 820n,
      gateway: 100n,
      gatekeepers: 30n,
      treasury: 50n,
    });
    expect(splitFees(1_000n, defaultFeeShares, false)).toMatchObject({ operator: 920n, gateway: 0n });
    fc.assert(
      fc.property(amount, fc.boolean(), (whole, hasGateway) => {
        const { operator, gateway, gatekeepers, treasury } = splitFees(whole, maximumFeeShares, hasGateway);
        expect(operator + gateway + gatekeepers + treasury).toBe(whole);
      }),
    );
    for (const part of ['gatewayBps', 'gatekeepersBps', 'treasuryBps'] as const)
      expect(() => splitFees(1n, { ...maximumFeeShares, [part]: maximumFeeShares[part] + 1n }, true)).toThrow(part);
  });

  test('of slashes', () => {
    expect(splitSlash(99n, 1_000n)).toEqual({ reporter: 9n, treasury: 90n });
    expect(() => splitSlash(1n, 1_001n)).toThrow(RangeError);
  });
});

describe('slashes', () => {
  test('take what the table says, rounded up, within its bounds', () => {
    expect(slashAmount('equivocation', 101n)).toBe(101n);
    expect(slashAmount('wrongResult', 101n)).toBe(31n);
    expect(slashAmount('silence', 101n)).toBe(6n);
    expect(slashAmount('downtime', 101n)).toBe(1n);
    for (const offence of Object.keys(slashTable) as Offence[]) {
      const { minimumBps, maximumBps } = slashTable[offence];
      expect(() => slashAmount(offence, 1n, minimumBps - 1n)).toThrow(offence);
      expect(() => slashAmount(offence, 1n, maximumBps + 1n)).toThrow(offence);
      expect(slashAmount(offence, 10_000n, maximumBps)).toBe(maximumBps);
    }
  });

  test('burn the operator’s own first, then all others alike, never more than there is', () => {
    const stake = { ownStaked: 10n, ownLeaving: 5n, staked: 30n, leaving: 10n };
    expect(bearersOf(7n, stake)).toEqual({ ownStaked: 7n, ownLeaving: 0n, staked: 0n, leaving: 0n });
    expect(bearersOf(12n, stake)).toEqual({ ownStaked: 10n, ownLeaving: 2n, staked: 0n, leaving: 0n });
    expect(bearersOf(25n, stake)).toEqual({ ownStaked: 10n, ownLeaving: 5n, staked: 7n, leaving: 3n });
    expect(bearersOf(1_000n, stake)).toEqual(stake);
    expect(bearersOf(1n, { ownStaked: 0n, ownLeaving: 0n, staked: 0n, leaving: 0n }).staked).toBe(0n);
    fc.assert(
      fc.property(amount, amount, amount, amount, amount, (whole, ownStaked, ownLeaving, staked, leaving) => {
        const borne = bearersOf(whole, { ownStaked, ownLeaving, staked, leaving });
        const there = ownStaked + ownLeaving + staked + leaving;
        expect(borne.ownStaked + borne.ownLeaving + borne.staked + borne.leaving).toBe(whole < there ? whole : there);
        expect(borne.staked <= staked && borne.leaving <= leaving).toBe(true);
      }),
    );
  });
});

describe('pool shares', () => {
  test('cost what they are worth, and rounding is for the pool', () => {
    expect(toSharesDown(emptyShareLedger, 5n)).toBe(5_000_000n);
    const ledger = fc.record({ assets: amount, shares: fc.bigInt(0n, 10n ** 33n) });
    fc.assert(
      fc.property(ledger, amount, (pool: ShareLedger, assets) => {
        const bought = toSharesDown(pool, assets);
        const after = { assets: pool.assets + assets, shares: pool.shares + bought };
        expect(toAssetsDown(after, bought)).toBeLessThanOrEqual(assets);
        expect(
          toSharesUp(pool, assets) - bought <= 1n && toAssetsUp(pool, bought) - toAssetsDown(pool, bought) <= 1n,
        ).toBe(true);
      }),
    );
  });

  test('are worthless once a millionth is left', () => {
    expect(isWorthless(emptyShareLedger)).toBe(false);
    expect(isWorthless({ assets: 10n ** 12n, shares: 10n ** 18n })).toBe(false);
    expect(isWorthless({ assets: 10n ** 6n, shares: 10n ** 19n })).toBe(true);
  });
});
