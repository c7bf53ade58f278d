import { expect, test } from 'vitest';
import { BodyQueue } from './bodyQueue.ts';

const bytes = (length: number): Uint8Array => new Uint8Array(length);

function queueOf(highWaterBytes = 10): { queue: BodyQueue; events: string[] } {
  const events: string[] = [];
  const queue = new BodyQueue({
    highWaterBytes,
    drained: () => events.push('drained'),
    abandoned: () => events.push('abandoned'),
  });
  return { queue, events };
}

test('hands on what was pushed, in order, and ends', async () => {
  const { queue, events } = queueOf(1000);
  expect([queue.push(bytes(1)), queue.push(bytes(2))]).toEqual([true, true]);
  setTimeout(() => {
    queue.push(bytes(3));
    queue.close();
  }, 5);
  const lengths: number[] = [];
  for await (const chunk of queue) lengths.push(chunk.length);
  expect(lengths).toEqual([1, 2, 3]);
  expect(events).toEqual([]);
});

test('asks the source to pause, and to go on when the reader has caught up', async () => {
  const { queue, events } = queueOf(10);
  expect([queue.push(bytes(6)), queue.push(bytes(6))]).toEqual([true, false]);
  const reader = queue[Symbol.asyncIterator]();
  await reader.next();
  expect(events).toEqual([]);
  await reader.next();
  expect(events).toEqual(['drained']);
});

test('an error comes after what was there before it', async () => {
  const { queue } = queueOf();
  queue.push(bytes(1));
  queue.close(new Error('broken'));
  queue.push(bytes(2));
  const reader = queue[Symbol.asyncIterator]();
  expect((await reader.next()).value?.length).toBe(1);
  await expect(reader.next()).rejects.toThrow('broken');
});

test('an error reaches a reader that waits', async () => {
  const { queue } = queueOf();
  const waiting = queue[Symbol.asyncIterator]().next();
  queue.close(new Error('broken'));
  await expect(waiting).rejects.toThrow('broken');
});

test('says when the reader stops early, and only then', async () => {
  const early = queueOf();
  early.queue.push(bytes(1));
  early.queue.push(bytes(1));
  for await (const _chunk of early.queue) break;
  expect(early.events).toEqual(['abandoned']);
  const whole = queueOf();
  whole.queue.push(bytes(1));
  whole.queue.close();
  for await (const _chunk of whole.queue) break;
  expect(whole.events).toEqual([]);
});

test('has one reader', () => {
  const { queue } = queueOf();
  queue[Symbol.asyncIterator]();
  expect(() => queue[Symbol.asyncIterator]()).toThrow(TypeError);
});
