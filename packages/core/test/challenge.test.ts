import {
  challengeAnswerOf,
  challengeAppSource,
  challengeBody,
  maxChallengeSteps,
  readChallengeAnswer,
} from '@cloister/core';
import { describe, expect, test } from 'vitest';

const app = (await import(`data:text/javascript,${encodeURIComponent(challengeAppSource)}`)) as {
  readonly default: { fetch(request: Request): Promise<Response> };
};
const ask = async (body: Uint8Array) => {
  const response = await app.default.fetch(
    new Request('http://app', { method: 'POST', body: new Blob([body as never]) }),
  );
  return { status: response.status, answer: readChallengeAnswer(new Uint8Array(await response.arrayBuffer())) };
};

describe('a challenge', () => {
  test('has the answer that another implementation gave', () => {
    expect(challengeAnswerOf({ start: 1, steps: 1 })).toBe(992006097);
    expect(challengeAnswerOf({ start: 0xffff_ffff, steps: 1_000 })).toBe(587820780);
  });

  test.each([
    { start: 0, steps: 1 },
    { start: 1, steps: 2 },
    { start: 0x8000_0000, steps: 77 },
    { start: 0xffff_ffff, steps: 10_000 },
  ])('is answered by the app as by whoever asks: %o', async (question) => {
    expect(await ask(challengeBody(question))).toEqual({ status: 200, answer: challengeAnswerOf(question) });
  });

  test('is refused by the app where it is none', async () => {
    const body = challengeBody({ start: 1, steps: 1 });
    for (const wrong of [
      new Uint8Array(),
      body.subarray(1),
      new Uint8Array(9),
      challengeBody({ start: 1, steps: 0 }),
      challengeBody({ start: 1, steps: maxChallengeSteps + 1 }),
    ])
      expect((await ask(wrong)).status).toBe(400);
  });

  test('has no answer in other bytes than four', () => {
    for (const length of [0, 3, 5, 400]) expect(readChallengeAnswer(new Uint8Array(length))).toBeUndefined();
    expect(readChallengeAnswer(Uint8Array.of(9, 0, 0, 1, 2, 9).subarray(1, 5))).toBe(0x0000_0102);
  });
});
