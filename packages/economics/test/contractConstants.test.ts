// What the contracts fix for ever, or start with, is what is computed here.
import fs from 'node:fs';
import {
  maximumCommissionBps,
  maximumCommissionStepBps,
  maximumFeeShares,
  maximumReporterBps,
  type Offence,
  slashTable,
} from '@cloister/economics';
import { expect, test } from 'vitest';

const source = (file: string) =>
  fs
    .readFileSync(new URL(`../../../contracts/src/${file}.sol`, import.meta.url), 'utf8')
    .replaceAll(/(?<=\d)_(?=\d)/g, '');

function constantOf(text: string, name: string): bigint {
  const found = new RegExp(`constant ${name} = (\\d+);`).exec(text);
  if (found?.[1] === undefined) throw new Error(`There is no constant "${name}"`);
  return BigInt(found[1]);
}

test('the slash table', () => {
  const slashing = source('slashing/Slashing');
  const first = [...slashing.matchAll(/_setOffenceShare\(Offence\.(\w+), (\d+)\);/g)].map(
    ([, name = '', bps = '']) => [`${name[0]?.toLowerCase()}${name.slice(1)}`, BigInt(bps)] as const,
  );
  expect(Object.fromEntries(first)).toEqual(
    Object.fromEntries(Object.entries(slashTable).map(([offence, { bps }]) => [offence, bps])),
  );
  const bounds = (condition: string) => {
    const found = new RegExp(`${condition}return \\((\\d+), (\\d+)\\);`).exec(slashing);
    return [BigInt(found?.[1] ?? -1), BigInt(found?.[2] ?? -1)];
  };
  const inTable = (offence: Offence) => [slashTable[offence].minimumBps, slashTable[offence].maximumBps];
  const proven = bounds('if \\(_isProven\\(offence\\)\\) ');
  expect([inTable('equivocation'), inTable('twoRecords')]).toEqual([proven, proven]);
  expect(inTable('wrongResult')).toEqual(bounds('if \\(offence == Offence\\.WrongResult\\) '));
  expect(inTable('silence')).toEqual(bounds('if \\(offence == Offence\\.Silence\\) '));
  expect(inTable('downtime')).toEqual(bounds('\\n        '));
  expect(maximumReporterBps).toBe(constantOf(slashing, 'MAX_REPORTER_BPS'));
});

test('the bounds of fees and commissions', () => {
  const ledger = source('payments/FeeLedger');
  expect(maximumFeeShares).toEqual({
    gatewayBps: constantOf(ledger, 'MAX_GATEWAY_SHARE'),
    gatekeepersBps: constantOf(ledger, 'MAX_GATEKEEPERS_SHARE'),
    treasuryBps: constantOf(ledger, 'MAX_TREASURY_SHARE'),
  });
  const pools = source('staking/StakePoolState');
  expect(maximumCommissionBps).toBe(constantOf(pools, 'MAX_COMMISSION_BPS'));
  expect(maximumCommissionStepBps).toBe(constantOf(pools, 'MAX_COMMISSION_STEP_BPS'));
});
