import fc from 'fast-check';
import { expect, test } from 'vitest';
import { UsageLedger, type UsageShare } from './usageLedger.ts';

test('overlapping calls share evenly, and what is left behind goes to the next', () => {
  let used = 1000;
  const ledger = new UsageLedger(() => used);
  const first = ledger.begin();
  used += 100;
  const second = ledger.begin();
  used += 100;
  ledger.end(first);
  used += 30;
  ledger.end(second);
  used += 7;
  const third = ledger.begin();
  ledger.end(third);
  expect([first, second, third].map((share) => share.used)).toEqual([150, 80, 7]);
});

test('a process that ends and reports nothing takes nothing back', () => {
  let used = 50;
  const ledger = new UsageLedger(() => used);
  const share = ledger.begin();
  used = 80;
  ledger.update();
  used = 0;
  ledger.end(share);
  expect(share.used).toBe(30);
});

test('nothing is lost: the shares add up to what was used', () => {
  const step = fc.record({ used: fc.nat(1000), what: fc.constantFrom('begin', 'end', 'update'), which: fc.nat() });
  fc.assert(
    fc.property(fc.array(step), (steps) => {
      let total = 0;
      const ledger = new UsageLedger(() => total);
      const open: UsageShare[] = [];
      const all: UsageShare[] = [];
      for (const { used, what, which } of steps) {
        total += used;
        if (what === 'begin') {
          const share = ledger.begin();
          open.push(share);
          all.push(share);
        } else if (what === 'update') ledger.update();
        else if (open.length > 0) for (const share of open.splice(which % open.length, 1)) ledger.end(share);
      }
      const last = ledger.begin();
      ledger.end(last);
      const sum = [...all, last].reduce((before, share) => before + share.used, 0);
      // Shares still open have been charged up to the last look, which was just now.
      expect(sum).toBeCloseTo(total, 3);
    }),
  );
});
