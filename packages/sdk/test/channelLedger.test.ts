import type { Bytes32, Receipt } from '@cloister/core';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { ChannelLedger } from '../src/payments/channelLedger.ts';
import { address, bytes32 } from './simulatedNetwork.ts';

const id: Bytes32 = bytes32(0xc1);
const channel = {
  payer: address(1),
  payerKey: address(2),
  operator: address(3),
  gateway: address(4),
  salt: bytes32(0),
} as const;
const [one, two] = [address(0x11), address(0x12)];
const receiptOf = (fee: bigint, cumulativeFee: bigint) => {
  const receipt = { channel: id, fee, cumulativeFee, sequence: 1n } as Receipt;
  return { receipt, signature: '0x01' as const };
};
const open = () => new ChannelLedger(id, channel);

describe('what a client promises', () => {
  test('is what was spent and what the call may cost, and never less than before', () => {
    const ledger = open();
    expect(ledger.begin(one, 'a', 10n).maxClaimableAmount).toBe(10n);
    ledger.settle(one, 'a', receiptOf(3n, 3n));
    expect(ledger.begin(one, 'b', 10n).maxClaimableAmount).toBe(13n);
    ledger.settle(one, 'b', receiptOf(4n, 7n));
    expect(ledger.begin(one, 'c', 1n).maxClaimableAmount).toBe(13n);
    expect([ledger.spent, ledger.unknown, ledger.promised]).toEqual([7n, 1n, 13n]);
  });

  test('covers calls that run side by side, to several workers', () => {
    const ledger = open();
    ledger.begin(one, 'a', 10n);
    ledger.begin(two, 'b', 10n);
    expect(ledger.begin(one, 'c', 10n).maxClaimableAmount).toBe(30n);
  });

  test('counts a call once, however often it is sent', () => {
    const ledger = open();
    ledger.begin(one, 'a', 10n);
    expect(ledger.begin(one, 'a', 10n).maxClaimableAmount).toBe(10n);
    ledger.settle(one, 'a', receiptOf(4n, 4n));
    ledger.settle(one, 'a', receiptOf(4n, 4n));
    expect(ledger.spent).toBe(4n);
  });

  test('covers a call whose receipt was lost, until a later total says what it cost', () => {
    const ledger = open();
    ledger.begin(one, 'a', 10n);
    ledger.lose(one, 'a');
    expect(ledger.begin(one, 'b', 10n).maxClaimableAmount).toBe(20n);
    // The lost one had cost 6.
    ledger.settle(one, 'b', receiptOf(2n, 8n));
    expect([ledger.spent, ledger.unknown]).toEqual([8n, 0n]);
    expect(ledger.begin(one, 'c', 10n).maxClaimableAmount).toBe(20n);
  });

  test('does not grow by calls that were refused', () => {
    const ledger = open();
    ledger.begin(one, 'a', 10n);
    ledger.release(one, 'a');
    expect(ledger.begin(one, 'b', 10n).maxClaimableAmount).toBe(10n);
  });

  test('tells each worker of the others, with their receipts once', () => {
    const ledger = open();
    ledger.begin(one, 'a', 10n);
    ledger.settle(one, 'a', receiptOf(3n, 3n));
    const first = ledger.begin(two, 'b', 10n);
    expect(first.totals).toEqual([{ signer: one, cumulative: 3n }]);
    expect(first.receipts).toEqual([receiptOf(3n, 3n)]);
    // Not until the worker is known to have it.
    expect(ledger.begin(two, 'c', 10n).receipts).toHaveLength(1);
    ledger.settle(two, 'b', receiptOf(1n, 1n));
    const later = ledger.begin(two, 'd', 10n);
    expect([later.totals, later.receipts]).toEqual([[{ signer: one, cumulative: 3n }], []]);
    expect(ledger.begin(one, 'e', 10n).totals).toEqual([{ signer: two, cumulative: 1n }]);
  });
});

describe('a worker that takes too much', () => {
  test.each<[string, bigint, bigint]>([
    ['more than the call may cost', 11n, 11n],
    ['for calls that never were', 5n, 16n],
    ['less in all than for this call', 5n, 4n],
  ])('%s: its receipt is refused, and nothing more is promised for it', (_, fee, total) => {
    const ledger = open();
    ledger.begin(one, 'a', 10n);
    expect(() => ledger.settle(one, 'a', receiptOf(fee, total))).toThrow(
      expect.objectContaining({ code: 'PAYMENT_OVERCHARGED' }),
    );
    expect(ledger.promised).toBe(10n);
    expect(ledger.spent).toBe(0n);
  });

  test('never gets more than receipts, calls under way and lost calls allow', () => {
    const step = fc.record({
      kind: fc.constantFrom('honest', 'greedy', 'lost', 'refused'),
      fee: fc.bigInt(0n, 10n),
      extra: fc.bigInt(1n, 30n),
      signer: fc.constantFrom(one, two),
    });
    fc.assert(
      fc.property(fc.array(step, { maxLength: 40 }), (steps) => {
        const ledger = open();
        const totals = new Map<string, bigint>();
        let [honest, lostCalls] = [0n, 0n];
        for (const [index, { kind, fee, extra, signer }] of steps.entries()) {
          const call = String(index);
          ledger.begin(signer, call, 10n);
          const before = totals.get(signer) ?? 0n;
          if (kind === 'refused') {
            ledger.release(signer, call);
            continue;
          }
          if (kind === 'lost') {
            lostCalls += 1n;
            // The worker charged all the same.
            totals.set(signer, before + fee);
            ledger.lose(signer, call);
            continue;
          }
          const stated = kind === 'greedy' ? before + fee + extra : before + fee;
          try {
            ledger.settle(signer, call, receiptOf(fee, stated));
            totals.set(signer, stated);
            honest += fee;
          } catch {
            lostCalls += 1n;
          }
        }
        expect(ledger.promised <= honest + 10n * (lostCalls + 1n)).toBe(true);
        expect(ledger.spent <= honest + 10n * lostCalls).toBe(true);
      }),
    );
  });
});

describe('a state that was lost', () => {
  test('comes back from its JSON; what was under way counts as lost', () => {
    const ledger = open();
    ledger.begin(one, 'a', 10n);
    ledger.begin(two, 'b', 20n);
    const json = JSON.parse(JSON.stringify(ledger.toJson())) as unknown;
    const again = ChannelLedger.fromJson(json, () => id);
    expect([again.promised, again.unknown, again.spent]).toEqual([30n, 30n, 0n]);
    expect(again.channel).toEqual(channel);
    expect(() => ChannelLedger.fromJson({ channel }, () => id)).toThrow();
  });

  test('is learnt from a worker, up to what the key itself has promised', () => {
    const ledger = open();
    const totals = [
      { signer: one, cumulative: 30n },
      { signer: two, cumulative: 12n },
    ];
    expect(ledger.adopt({ totals }, 41n)).toBe(false);
    expect(ledger.spent).toBe(0n);
    expect(ledger.adopt({ totals }, 42n)).toBe(true);
    expect([ledger.spent, ledger.promised]).toEqual([42n, 42n]);
    expect(ledger.adopt({ totals }, 42n)).toBe(false);
    expect(ledger.begin(one, 'a', 10n).maxClaimableAmount).toBe(52n);
  });
});
