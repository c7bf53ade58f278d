import { type Bytes32, challengeAnswerOf, describeError } from '@cloister/core';
import { describe, expect, test } from 'vitest';
import { ChallengePool } from '../src/challenges/challengePool.ts';
import { Challenger, type ChallengerInit } from '../src/challenges/challenger.ts';
import { Measurements } from '../src/challenges/measurements.ts';

const b32 = (byte: number): Bytes32 => `0x${byte.toString(16).padStart(2, '0').repeat(32)}`;

describe('measurements', () => {
  test('say of each worker how often it was asked and answered, how fast it was, and how much it does', () => {
    const measurements = new Measurements({ longSteps: 2_000_000 });
    for (let index = 0; index < 5; index++) measurements.asked(7n, b32(2));
    measurements.answered(7n, b32(2), 'short', 10_000);
    measurements.answered(7n, b32(2), 'short', 30_400);
    measurements.answered(7n, b32(2), 'long', 60_000);
    measurements.asked(7n, b32(1));
    expect(measurements.of(7n)).toEqual([
      { workerId: b32(1), asked: 1, answered: 0, latencyMs: 0, work: 0n },
      // Of two the lower: 10 ms there and back, 50 ms for 2,000,000 steps.
      { workerId: b32(2), asked: 5, answered: 3, latencyMs: 10, work: 40_000_000n },
    ]);
  });

  test('know nothing of work where only one length was answered, and take the way of the long ones then', () => {
    const measurements = new Measurements({ longSteps: 1_000 });
    for (const [worker, length] of [
      [1, 'short'],
      [2, 'long'],
    ] as const) {
      measurements.asked(7n, b32(worker));
      measurements.answered(7n, b32(worker), length, 4_600);
    }
    expect(measurements.of(7n).map(({ latencyMs, work }) => [latencyMs, work])).toEqual([
      [5, 0n],
      [5, 0n],
    ]);
  });

  test('are at most twice what the whole time of a long question gives, however long a short one took', () => {
    const measurements = new Measurements({ longSteps: 1_000 });
    for (const [length, us] of [
      ['short', 5_000],
      ['long', 4_000],
    ] as const) {
      measurements.asked(7n, b32(1));
      measurements.answered(7n, b32(1), length, us);
    }
    expect(measurements.of(7n)[0]?.work).toBe(500_000n);
  });

  test('forget what was withdrawn, and take no answer without a question', () => {
    const measurements = new Measurements({ longSteps: 1_000 });
    measurements.asked(7n, b32(1));
    measurements.withdrawn(7n, b32(1));
    measurements.withdrawn(7n, b32(1));
    measurements.answered(7n, b32(1), 'short', 1);
    expect(measurements.of(7n)).toEqual([]);
  });

  test('of an epoch that was given out change no more; those of long ago are gone', () => {
    const measurements = new Measurements({ longSteps: 1_000 });
    for (const epoch of [7n, 8n, 9n, 10n]) measurements.asked(epoch, b32(1));
    expect(measurements.of(7n)).toEqual([]);
    const before = measurements.of(8n);
    measurements.answered(8n, b32(1), 'short', 1);
    measurements.asked(8n, b32(2));
    expect(measurements.of(8n)).toEqual(before);
    expect(before).toHaveLength(1);
  });
});

describe('questions', () => {
  test('have the answers that they should, and are used again once there are enough', () => {
    const pool = new ChallengePool({ steps: 50, size: 3 });
    const first = Array.from({ length: 3 }, () => pool.take());
    for (const { question, answer } of first) expect(challengeAnswerOf(question)).toBe(answer);
    expect(new Set(first.map(({ question }) => question.start)).size).toBe(3);
    for (let index = 0; index < 20; index++) expect(first).toContainEqual(pool.take());
    for (let index = 0; index < 3; index++) pool.renew();
    for (let index = 0; index < 20; index++) expect(first).not.toContainEqual(pool.take());
  });
});

/** Workers that answer as a test says, and a clock that it moves. */
class Hall {
  workers: Bytes32[] = [b32(1), b32(2), b32(3)];
  epoch: bigint | undefined = 7n;
  now = 0;
  readonly reasons: string[] = [];
  readonly waits: number[] = [];
  readonly asked: Bytes32[] = [];
  readonly bodies: Uint8Array[] = [];
  answers: (workerId: Bytes32, body: Uint8Array) => Uint8Array | undefined | Promise<Uint8Array | undefined> = (
    _,
    body,
  ) => answerTo(body);
  readonly measurements = new Measurements({ longSteps: 40 });
  long = new ChallengePool({ steps: 40, size: 4 });

  /** Lets it wait so many times. */
  async run(turns: number, init: Partial<ChallengerInit> = {}): Promise<void> {
    const end = new AbortController();
    const challenger = new Challenger(
      {
        workers: async () => this.workers,
        epoch: () => this.epoch,
        call: async (workerId, body) => {
          this.asked.push(workerId);
          this.bodies.push(body);
          return this.answers(workerId, body);
        },
        measurements: this.measurements,
        short: new ChallengePool({ steps: 1, size: 4 }),
        long: this.long,
        onUnanswered: (_, why) => this.reasons.push(describeError(why)),
        clockMs: () => (this.now += 5),
        wait: async (ms) => {
          this.waits.push(ms);
          if (this.waits.length >= turns) end.abort();
          await new Promise((resolve) => setImmediate(resolve));
        },
      },
      { epochSeconds: 3_600, perWorker: 12, maxPerEpoch: 10_000, ...init },
    );
    await challenger.run(end.signal);
    await new Promise((resolve) => setImmediate(resolve));
  }

  readonly seen = () =>
    Object.fromEntries(
      this.measurements.of(7n).map(({ workerId, asked, answered }) => [workerId.slice(2, 4), [asked, answered]]),
    );
}

function answerTo(body: Uint8Array): Uint8Array {
  const view = new DataView(body.buffer, body.byteOffset, body.length);
  const answer = new DataView(new ArrayBuffer(4));
  answer.setUint32(0, challengeAnswerOf({ start: view.getUint32(0), steps: view.getUint32(4) }));
  return new Uint8Array(answer.buffer);
}

describe('a challenger', () => {
  test('asks every worker once before any is asked again, short and long questions, and notes right answers', async () => {
    const hall = new Hall();
    await hall.run(31);
    expect(hall.asked).toHaveLength(30);
    for (let from = 0; from < 30; from += 3) expect(new Set(hall.asked.slice(from, from + 3)).size).toBe(3);
    expect(new Set(hall.bodies.map((body) => new DataView(body.buffer).getUint32(4)))).toEqual(new Set([1, 40]));
    expect(new Set(hall.bodies.map(({ length }) => length)).size).toBe(1);
    expect(hall.seen()).toEqual({ '01': [10, 10], '02': [10, 10], '03': [10, 10] });
  });

  test('comes at moments that differ, so many in an epoch on average, and no more than its bound', async () => {
    const hall = new Hall();
    await hall.run(2_001);
    const mean = hall.waits.reduce((sum, ms) => sum + ms, 0) / hall.waits.length;
    // 36 in an hour: 100 s apart.
    expect(mean).toBeGreaterThan(85_000);
    expect(mean).toBeLessThan(115_000);
    expect(Math.min(...hall.waits)).toBeLessThan(1_000);
    const bounded = new Hall();
    await bounded.run(2_001, { maxPerEpoch: 9 });
    expect(bounded.waits.reduce((sum, ms) => sum + ms, 0) / bounded.waits.length).toBeGreaterThan(340_000);
  });

  test.each<[string, Hall['answers'], readonly [number, number]]>([
    ['answers wrongly', (_, body) => answerTo(body).map((byte) => byte ^ 1), [4, 0]],
    ['answers with too much', (_, body) => Uint8Array.of(...answerTo(body), 0), [4, 0]],
    ['does not answer', () => Promise.reject(new Error('deadline')), [4, 0]],
  ])('counts a worker that %s as asked, and not as answering', async (_, answers, expected) => {
    const hall = new Hall();
    hall.workers = [b32(1)];
    hall.answers = answers;
    await hall.run(5);
    expect(hall.seen()).toEqual({ '01': expected });
    expect(hall.reasons).toHaveLength(4);
  });

  test('makes its long questions anew once an epoch, however often it asks', async () => {
    const hall = new Hall();
    let renewed = 0;
    const long = new ChallengePool({ steps: 40, size: 4 });
    const renew = long.renew.bind(long);
    long.renew = () => {
      renewed += 1;
      renew();
    };
    hall.long = long;
    // Three looks at the clock of 5 ms a turn and more for an answer: an epoch of 2 s ends after a hundred turns or so.
    await hall.run(400, { epochSeconds: 2 });
    const epochs = hall.now / 2_000;
    expect(renewed).toBeGreaterThan(4 * epochs - 4);
    expect(renewed).toBeLessThanOrEqual(4 * epochs);
  });

  test('holds nothing against a worker where it is cut off itself', async () => {
    const hall = new Hall();
    hall.answers = () => undefined;
    await hall.run(5);
    expect(hall.seen()).toEqual({});
  });

  test('asks no worker that has left, nobody where there is nobody, and nothing before the chain was read', async () => {
    const hall = new Hall();
    hall.workers = [b32(1), b32(2)];
    hall.answers = (workerId, body) => {
      hall.workers = hall.workers.filter((id) => id === workerId);
      return answerTo(body);
    };
    await hall.run(6);
    expect(new Set(hall.asked).size).toBe(1);
    const empty = new Hall();
    empty.workers = [];
    await empty.run(4);
    expect([empty.asked, new Set(empty.waits)]).toEqual([[], new Set([2_000])]);
    const blind = new Hall();
    blind.epoch = undefined;
    await blind.run(4);
    expect(blind.asked).toEqual([]);
  });

  test('has at most so many questions open, whatever does not answer', async () => {
    const hall = new Hall();
    hall.answers = () => new Promise(() => {});
    await hall.run(200);
    expect(hall.asked).toHaveLength(64);
  });
});
