import { CloisterError } from '@cloister/core';
import { CallError, type CallResult, type CloisterClient } from '@cloister/sdk';
import { StateError, type StateSubject } from '@cloister/state';
import { beforeEach, expect, test } from 'vitest';
import { b32, bytes, code, signal } from '../../../packages/state/test/helpers.ts';
import type { AppStates, StateAnswer, StateRequest } from '../src/state/appStates.ts';
import { answerHost, StateRelay } from '../src/state/stateRelay.ts';

const subject: StateSubject = { app: b32(1), manifest: b32(2), keyVersion: 1, partition: 3 };
const [me, writer, other] = [b32(10), b32(11), b32(12)];
const get: StateRequest = { type: 'get', key: 'k ☂' };
const commit: StateRequest = {
  type: 'commit',
  read: [{ key: 'k', tag: 't' }],
  listed: [{ prefix: 'a', after: '', limit: 5, tag: 'l' }],
  changes: [
    { key: 'k', value: new Uint8Array([0, 255]) },
    { key: 'gone', value: undefined },
  ],
};

/** What each host does with what it is asked; one that throws can't be reached. */
let does: Map<string, (asked: StateRequest) => Promise<StateAnswer | undefined>>;
let asked: string[];
let onTheWay: (worker: string) => void;
let relay: StateRelay;
beforeEach(() => {
  does = new Map();
  asked = [];
  onTheWay = () => {};
  const askHost: CloisterClient['askHost'] = async (worker, app, request) => {
    asked.push(worker);
    onTheWay(worker);
    expect(app).toBe(subject.app);
    const states: Pick<AppStates, 'askedByHost'> = {
      async askedByHost(caller, partition, question) {
        expect([caller.app, caller.manifest, partition]).toEqual([subject.app, subject.manifest, 3]);
        return does.get(worker)?.(question);
      },
    };
    const caller = { app: subject.app, manifest: subject.manifest };
    const body = await answerHost(states, caller, request.body as Uint8Array, signal);
    return { ok: true, body } as CallResult;
  };
  relay = new StateRelay({
    client: { askHost },
    calls: { witness: () => async () => 'statement' },
    hosts: async () => [me, other, writer],
    workerId: me,
  });
});

test('asks the other hosts until one is the writer, never itself', async () => {
  does.set(writer, async (question) => {
    expect(question).toEqual(get);
    return { type: 'get', value: bytes('v'), tag: 'tag' };
  });
  expect(await relay.ask(subject, get, signal)).toEqual({ type: 'get', value: bytes('v'), tag: 'tag' });
  expect(asked).toEqual([other, writer]);
});

test('everything that is asked and answered arrives as it was', async () => {
  does.set(writer, async (question) => {
    expect(question).toEqual(commit);
    return { type: 'commit' };
  });
  expect(await relay.ask(subject, commit, signal)).toEqual({ type: 'commit' });
  does.set(writer, async () => ({ type: 'get', value: undefined, tag: 'none' }));
  expect(await relay.ask(subject, get, signal)).toEqual({ type: 'get', value: undefined, tag: 'none' });
  const list = { type: 'list', prefix: '', after: '', limit: 2 } as const;
  does.set(writer, async () => ({ type: 'list', keys: ['a', 'ü'], tag: 'x' }));
  expect(await relay.ask(subject, list, signal)).toEqual({ type: 'list', keys: ['a', 'ü'], tag: 'x' });
});

test('a key that is too long for any state arrives too, so that the writer says so', async () => {
  const long = { type: 'get', key: 'k'.repeat(600) } as const;
  does.set(writer, async (question) => {
    expect(question).toEqual(long);
    throw new StateError('STATE_KEY_INVALID', 'too long');
  });
  await expect(relay.ask(subject, long, signal)).rejects.toEqual(code('STATE_KEY_INVALID'));
});

test('says so where no host is the writer', async () => {
  expect(await relay.ask(subject, get, signal)).toBeUndefined();
});

test('what the writer throws is thrown here; what is no error of ours ends its call', async () => {
  does.set(other, async () => {
    throw new StateError('STATE_BUSY', 'too much');
  });
  await expect(relay.ask(subject, get, signal)).rejects.toMatchObject({
    code: 'STATE_BUSY',
    message: 'too much',
    retry: true,
  });
  does.set(other, async () => {
    throw new Error('/a/path');
  });
  expect(await relay.ask(subject, get, signal)).toBeUndefined();
});

test('a change that was sent and not answered is of unknown end; a read is not', async () => {
  onTheWay = () => {
    throw new CallError('CALL_NOT_DELIVERED', 'says a gateway', true);
  };
  await expect(relay.ask(subject, commit, signal)).rejects.toEqual(code('STATE_UNKNOWN'));
  expect(asked).toEqual([other]);
  expect(await relay.ask(subject, get, signal)).toBeUndefined();
  const reads = { ...commit, changes: [] };
  expect(await relay.ask(subject, reads, signal)).toBeUndefined();
  onTheWay = () => {
    throw new CallError('CALL_NO_WORKER', 'none listed', true);
  };
  expect(await relay.ask(subject, commit, signal)).toBeUndefined();
});

test.each([
  ['nothing', ''],
  ['no JSON', '{'],
  ['another partition than a number', '{"key":"k","partition":"0","type":"get"}'],
  ['something else', '{"key":"k","partition":0,"type":"drop"}'],
  ['a field too many', '{"app":"x","key":"k","partition":0,"type":"get"}'],
])('a question that is %s reaches no state', async (_what, text) => {
  const states = { askedByHost: () => expect.fail('asked') };
  await expect(answerHost(states, { app: b32(1), manifest: b32(2) }, bytes(text), signal)).rejects.toBeInstanceOf(
    CloisterError,
  );
});
