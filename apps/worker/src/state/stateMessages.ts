import { reservedPath, schema as z } from '@cloister/core';
import { fromHex, toHex } from '@cloister/crypto';
import { maxKeyBytes, maxListed, maxTransactionBytes, maxTransactionChanges, maxValueBytes } from '@cloister/state';
import type { StateAnswer, StateRequest } from './appStates.ts';

/** Where a worker asks another one, by a sealed call in the app's name, for what only the partition's writer can do. */
export const statePath = `${reservedPath}state`;

export type StateQuestion = { readonly partition: number; readonly asked: StateRequest };

/** What the asked worker says. */
export type StateReply =
  | { readonly type: 'answer'; readonly answer: StateAnswer }
  | { readonly type: 'not-writer' }
  | { readonly type: 'error'; readonly code: string; readonly message: string; readonly retry: boolean };

/** Twice the bytes, as values stand in it in hex, and what one transaction reads and lists. */
export const maxQuestionBytes = 2 * maxTransactionBytes + 4 * 1024 * 1024;
export const maxReplyBytes = 2 * maxValueBytes + 8 * maxListed * maxKeyBytes;

// As long as the door lets in: the writer says what is wrong with a key, wherever it was asked.
const key = z.text(4_096);
const tag = z.text(64);
const limit = z.uint(0xffff);
const range = { prefix: key, after: key, limit };
const value = z.nullable(z.hexBetween(0, maxValueBytes));
const partition = z.uint(0xffff);

const questionForm = z.discriminatedUnion('type', [
  z.strictObject({ type: z.literal('get'), partition, key }),
  z.strictObject({ type: z.literal('list'), partition, ...range }),
  z.strictObject({
    type: z.literal('commit'),
    partition,
    read: z.array(z.strictObject({ key, tag })).check(z.refineArray(0, 4_096)),
    listed: z.array(z.strictObject({ ...range, tag })).check(z.refineArray(0, 64)),
    changes: z.array(z.strictObject({ key, value })).check(z.refineArray(0, maxTransactionChanges)),
  }),
]);

const replyForm = z.discriminatedUnion('type', [
  z.strictObject({ type: z.literal('get'), value, tag }),
  z.strictObject({ type: z.literal('list'), keys: z.array(key).check(z.refineArray(0, maxListed)), tag }),
  z.strictObject({ type: z.literal('commit') }),
  z.strictObject({ type: z.literal('not-writer') }),
  z.strictObject({ type: z.literal('error'), code: z.text(64), message: z.text(1_024), retry: z.boolean() }),
]);

export function stateQuestionToJson({ partition: at, asked }: StateQuestion): z.Json {
  if (asked.type !== 'commit') return { ...asked, partition: at };
  const { type, read, listed, changes } = asked;
  return {
    ...{ type, partition: at, read: read.map((one) => ({ ...one })), listed: listed.map((one) => ({ ...one })) },
    changes: changes.map((change) => ({ key: change.key, value: hexOf(change.value) })),
  };
}

/** Throws SchemaError. */
export function parseStateQuestion(json: unknown): StateQuestion {
  const { partition: at, ...asked } = z.parseWith(questionForm, json, 'question about state');
  if (asked.type !== 'commit') return { partition: at, asked };
  const changes = asked.changes.map((change) => ({ key: change.key, value: bytesOf(change.value) }));
  return { partition: at, asked: { ...asked, changes } };
}

export function stateReplyToJson(reply: StateReply): z.Json {
  if (reply.type !== 'answer') return reply;
  const { answer } = reply;
  if (answer.type === 'get') return { type: 'get', value: hexOf(answer.value), tag: answer.tag };
  return answer.type === 'list' ? { ...answer, keys: [...answer.keys] } : answer;
}

/** Throws SchemaError. */
export function parseStateReply(json: unknown): StateReply {
  const reply = z.parseWith(replyForm, json, 'answer about state');
  if (reply.type === 'error' || reply.type === 'not-writer') return reply;
  return { type: 'answer', answer: reply.type === 'get' ? { ...reply, value: bytesOf(reply.value) } : reply };
}

function hexOf(bytes: Uint8Array | undefined): `0x${string}` | null {
  return bytes === undefined ? null : toHex(bytes);
}

function bytesOf(hex: `0x${string}` | null): Uint8Array | undefined {
  return hex === null ? undefined : fromHex(hex);
}
