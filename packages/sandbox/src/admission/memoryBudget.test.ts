import { totalmem } from 'node:os';
import { expect, test } from 'vitest';
import { SandboxError } from '../sandboxError.ts';
import { defaultBudgetBytes, MemoryBudget } from './memoryBudget.ts';

const MiB = 1024 * 1024;

function refusal(work: () => unknown): SandboxError {
  try {
    work();
  } catch (error) {
    if (error instanceof SandboxError) return error;
  }
  throw new Error('Nothing was refused');
}

test('promises no more than there is, and what was given back again', () => {
  const budget = new MemoryBudget(100 * MiB);
  const first = budget.reserve(60 * MiB);
  const second = budget.reserve(40 * MiB);
  expect(refusal(() => budget.reserve(1))).toMatchObject({ code: 'SANDBOX_FULL', retry: true });
  first();
  first();
  expect(budget.promisedBytes).toBe(40 * MiB);
  budget.reserve(60 * MiB);
  second();
  expect(budget.promisedBytes).toBe(60 * MiB);
});

test('says where waiting is of no use', () => {
  const budget = new MemoryBudget(100 * MiB);
  expect(refusal(() => budget.reserve(100 * MiB + 1))).toMatchObject({ code: 'SANDBOX_FULL', retry: false });
  expect(budget.promisedBytes).toBe(0);
});

test('keeps a part of the machine for the worker, and never more than half', () => {
  expect(defaultBudgetBytes(4096 * MiB)).toBe(3072 * MiB);
  expect(defaultBudgetBytes(1024 * MiB)).toBe(512 * MiB);
  expect(defaultBudgetBytes()).toBeGreaterThan(0);
  expect(defaultBudgetBytes()).toBeLessThan(totalmem());
});
