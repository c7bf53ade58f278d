import assert from 'node:assert/strict';
import { TransactionError } from '@cloister/chain';
import { CloisterError } from '@cloister/core';
import { WorkerRefusedError, type WorkerRefusedErrorCode } from '@cloister/sdk';

/** That the work is refused with one of these codes, and answers the error. */
export async function refusedWith(code: string | readonly string[], work: Promise<unknown>): Promise<CloisterError> {
  const codes = typeof code === 'string' ? [code] : code;
  const error = await thrownBy(work, codes.join(' or '));
  if (!(error instanceof CloisterError)) throw error;
  assert.ok(codes.includes(error.code), `Expected ${codes.join(' or ')}, got ${error.code}: ${error.message}`);
  return error;
}

/** That a contract refuses the transaction by this error of its own. */
export async function refusedByContract(errorName: string, work: Promise<unknown>): Promise<TransactionError> {
  const error = await thrownBy(work, errorName);
  if (!(error instanceof TransactionError)) throw error;
  assert.equal(error.meta.errorName, errorName, error.message);
  return error;
}

/** That a worker is refused, by which step of its verification. */
export async function refusedWorker(
  code: WorkerRefusedErrorCode,
  step: string,
  work: Promise<unknown>,
): Promise<WorkerRefusedError> {
  const error = await refusedWith(code, work);
  assert.ok(error instanceof WorkerRefusedError);
  assert.equal(error.steps.at(-1)?.id, step);
  assert.equal(error.steps.at(-1)?.ok, false);
  return error;
}

async function thrownBy(work: Promise<unknown>, expected: string): Promise<unknown> {
  let answer: unknown;
  try {
    answer = await work;
  } catch (error) {
    return error;
  }
  assert.fail(`Expected a refusal (${expected}), got ${describe(answer)}`);
}

function describe(answer: unknown): string {
  if (typeof answer !== 'object' || answer === null) return String(answer);
  return `an answer with ${Object.keys(answer).slice(0, 8).join(', ')}`;
}
