import type { SignedReceipt } from '@cloister/core';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { type AnswerEnd, KeptAnswers } from '../src/keptAnswers.ts';

beforeEach(() => {
  vi.useFakeTimers();
});
afterEach(() => {
  vi.useRealTimers();
});

const end: AnswerEnd = {
  status: 200,
  headers: [['a', 'b']],
  receipt: { format: 'cloister-receipt-1' } as SignedReceipt,
};
const bytes = (length: number, byte = 7) => new Uint8Array(length).fill(byte);

/** A call that has run and answered with a body of so many bytes. */
function ran(kept: KeptAnswers, key: string, length = 3) {
  const call = kept.begin(key);
  call.add(bytes(length));
  call.settle(end);
  return call;
}

describe('KeptAnswers', () => {
  test('repeats an answer for its time, then forgets the call', async () => {
    const kept = new KeptAnswers({ keepMs: 1_000 });
    ran(kept, 'a');
    await vi.advanceTimersByTimeAsync(999);
    expect(await kept.find('a')?.answer()).toEqual({ ...end, body: [bytes(3)] });
    await vi.advanceTimersByTimeAsync(1);
    expect(kept.find('a')).toBeUndefined();
  });

  test('knows a call from its first moment: of copies that come together, one runs', () => {
    const kept = new KeptAnswers();
    expect(kept.find('a')).toBeUndefined();
    const call = kept.begin('a');
    expect(kept.find('a')).toBe(call);
    expect(() => kept.begin('a')).toThrow(expect.objectContaining({ code: 'ANSWER_BEGUN' }));
  });

  test('who asks while a call runs waits for its answer', async () => {
    const kept = new KeptAnswers();
    const call = kept.begin('a');
    const answers = [kept.find('a')?.answer(), kept.find('a')?.answer()];
    call.add(bytes(1, 1));
    call.add(bytes(1, 2));
    call.settle(end);
    for (const answer of answers) expect(await answer).toEqual({ ...end, body: [bytes(1, 1), bytes(1, 2)] });
  });

  test('a call that broke off is remembered without its answer: it may have run', async () => {
    const kept = new KeptAnswers();
    const call = kept.begin('a');
    const waiting = kept.find('a')?.answer();
    call.add(bytes(3));
    call.settle(undefined);
    expect(await waiting).toBe('gone');
    expect(await kept.find('a')?.answer()).toBe('gone');
  });

  test('an answer that is too large is not held, and the call stays known', async () => {
    const kept = new KeptAnswers({ maxAnswerBytes: 10 });
    const call = kept.begin('a');
    call.add(bytes(6));
    call.add(bytes(6));
    call.add(bytes(6));
    call.settle(end);
    expect(await kept.find('a')?.answer()).toBe('gone');
    ran(kept, 'b', 10);
    expect(await kept.find('b')?.answer()).toMatchObject({ body: [bytes(10)] });
  });

  test('the oldest answers make room for new ones, those being made count too', async () => {
    const kept = new KeptAnswers({ maxBytes: 10 });
    ran(kept, 'a', 4);
    ran(kept, 'b', 4);
    const running = kept.begin('c');
    running.add(bytes(4));
    expect(await kept.find('a')?.answer()).toBe('gone');
    expect(await kept.find('b')?.answer()).not.toBe('gone');
    running.settle(end);
    expect(await kept.find('c')?.answer()).not.toBe('gone');
  });

  test('bytes that were given back can be used again', async () => {
    const kept = new KeptAnswers({ maxBytes: 10, keepMs: 1_000 });
    for (let round = 0; round < 5; round++) {
      ran(kept, `a${round}`, 9);
      await vi.advanceTimersByTimeAsync(1_000);
    }
    ran(kept, 'last', 10);
    expect(await kept.find('last')?.answer()).not.toBe('gone');
  });

  test('remembers a bounded number of ended calls, and never forgets a running one', () => {
    const kept = new KeptAnswers({ maxEntries: 2 });
    kept.begin('running');
    for (const key of ['a', 'b', 'c']) ran(kept, key);
    expect(['running', 'a', 'b', 'c'].map((key) => kept.find(key) !== undefined)).toEqual([true, false, false, true]);
  });

  test('a call that ends after everything was cleared is forgotten', async () => {
    const kept = new KeptAnswers();
    const call = kept.begin('a');
    kept.clear();
    call.settle(end);
    expect(kept.find('a')).toBeUndefined();
    expect(await call.answer()).toBe('gone');
  });
});
