import { type Bytes32, CloisterError, canonicalJson, parseBoundedJson } from '@cloister/core';
import { utf8 } from '@cloister/crypto';
import { CallError, type CallResult, type CloisterClient } from '@cloister/sdk';
import type { StateSubject } from '@cloister/state';
import type { AppCalls } from '../appCalls.ts';
import type { VerifiedCaller } from '../callers.ts';
import { AppStateError } from './appStateError.ts';
import type { AppStates, StateAnswer, StateRequest } from './appStates.ts';
import {
  maxQuestionBytes,
  maxReplyBytes,
  parseStateQuestion,
  parseStateReply,
  type StateReply,
  statePath,
  stateQuestionToJson,
  stateReplyToJson,
} from './stateMessages.ts';

export type StateRelayComponents = {
  readonly client: Pick<CloisterClient, 'askHost'>;
  readonly calls: Pick<AppCalls, 'witness'>;
  /** The app's hosts now, this worker among them. */
  readonly hosts: (app: Bytes32, signal: AbortSignal) => Promise<readonly Bytes32[]>;
  readonly workerId: Bytes32;
};

/** How long another host may take to answer, in ms. */
const askMs = 25_000;

/** Asks an app's other hosts, in the app's name, for what only a partition's writer can do: one of them is it. */
export class StateRelay {
  readonly #components: StateRelayComponents;

  constructor(components: StateRelayComponents) {
    this.#components = components;
  }

  /**
   * The writer's answer; undefined where no other host is the writer, or the one that is can't be reached and nothing was done. Throws
   * what the writer threw, and STATE_UNKNOWN for a change that was sent and not answered.
   */
  async ask(subject: StateSubject, asked: StateRequest, signal: AbortSignal): Promise<StateAnswer | undefined> {
    const { hosts, workerId } = this.#components;
    const all = await hosts(subject.app, signal);
    for (const host of all.filter((one) => one !== workerId)) {
      const reply = await this.#askOne(host, subject, asked, signal);
      if (reply?.type === 'answer') return reply.answer;
      if (reply?.type === 'error') throw new RelayedStateError(reply);
    }
    return undefined;
  }

  async #askOne(
    worker: Bytes32,
    subject: StateSubject,
    asked: StateRequest,
    outer: AbortSignal,
  ): Promise<StateReply | undefined> {
    const { client, calls } = this.#components;
    const { app, partition, manifest } = subject;
    const signal = AbortSignal.any([outer, AbortSignal.timeout(askMs)]);
    const body = utf8(canonicalJson(stateQuestionToJson({ partition, asked })));
    const caller = calls.witness({ app, manifestId: manifest }, signal);
    try {
      const request = { method: 'POST', path: statePath, body };
      const result = await client.askHost(worker, app, request, { caller, signal, timeoutMs: askMs });
      return readReply(result);
    } catch (error) {
      outer.throwIfAborted();
      // Everything else may have arrived: on the way anybody can say that it did not.
      const isSent = !(error instanceof CallError && error.code === 'CALL_NO_WORKER');
      if (isSent && asked.type === 'commit' && asked.changes.length > 0)
        throw new AppStateError('STATE_UNKNOWN', 'The writer was lost while it made the change', error);
      return undefined;
    }
  }
}

/** What the writer says; undefined for a worker that refused, signed, before it did anything. */
function readReply({ ok, body }: CallResult): StateReply | undefined {
  if (!ok) return undefined;
  return parseStateReply(parseBoundedJson(body, maxReplyBytes, 'answer about state'));
}

/** Answers another host of an app: only for the app in whose name it is proven to ask. Throws SchemaError, JsonError for another form. */
export async function answerHost(
  states: Pick<AppStates, 'askedByHost'>,
  caller: Pick<VerifiedCaller, 'app' | 'manifest'>,
  body: Uint8Array,
  signal: AbortSignal,
): Promise<Uint8Array> {
  const { partition, asked } = parseStateQuestion(parseBoundedJson(body, maxQuestionBytes, 'question about state'));
  const reply = await states.askedByHost(caller, partition, asked, signal).then(
    (answer): StateReply => (answer === undefined ? { type: 'not-writer' } : { type: 'answer', answer }),
    (error: unknown): StateReply => {
      if (!(error instanceof CloisterError)) throw error;
      return { type: 'error', code: error.code, message: error.message.slice(0, 1_024), retry: error.retry };
    },
  );
  return utf8(canonicalJson(stateReplyToJson(reply)));
}

/** What the partition's writer threw on another host. */
class RelayedStateError extends CloisterError {
  override readonly name = 'RelayedStateError';
  constructor({ code, message, retry }: StateReply & { readonly type: 'error' }) {
    super({ code, message, retry });
  }
}
