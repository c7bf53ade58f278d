import { createReadStream } from 'node:fs';
import { stat } from 'node:fs/promises';
import { type IncomingMessage, type RequestOptions, request } from 'node:http';
import type { Socket } from 'node:net';
import { SandboxError } from '../../sandboxError.ts';

/** What is known of a container. */
export type ContainerState = {
  /** On this machine; 0 where it does not run. */
  readonly pid: number;
  readonly running: boolean;
  readonly exitCode: number;
  readonly outOfMemory: boolean;
};

const apiPath = '/v1.41';
const maxAnswerBytes = 8 * 1024 * 1024;
const callDeadlineMs = 30_000;
/** Reading an image takes as long as its disk needs. */
const loadDeadlineMs = 600_000;

/** The part of the Docker Engine API (version 1.41) that is needed here, over the engine's socket. */
export class EngineClient {
  readonly #socketPath: string;

  constructor(socketPath: string) {
    this.#socketPath = socketPath;
  }

  /** The engine's version, once it answers. (Its own "/version" asks the system's package manager, which takes a second.) */
  async version(signal: AbortSignal): Promise<string> {
    const inner = AbortSignal.any([signal, AbortSignal.timeout(callDeadlineMs)]);
    const { promise, resolve, reject } = Promise.withResolvers<IncomingMessage>();
    request(this.#options('GET', '/_ping', {}, inner))
      .once('response', resolve)
      .once('error', reject)
      .end();
    const answer = await promise.catch(unreachable(signal));
    await answerOf(answer, '_ping', []);
    return /^\w+\/(\d[\w.+-]{0,31})/.exec(String(answer.headers.server ?? ''))?.[1] ?? 'unknown';
  }

  /** Ids of all containers, running or not. */
  async containers(signal: AbortSignal): Promise<string[]> {
    return idsIn(await this.#json('GET', '/containers/json?all=true', signal));
  }

  async images(signal: AbortSignal): Promise<string[]> {
    return idsIn(await this.#json('GET', '/images/json?all=true', signal));
  }

  /** @param configuration as the API has it ("ContainerCreate") */
  async create(name: string, configuration: object, signal: AbortSignal): Promise<string> {
    const created = await this.#json(
      'POST',
      `/containers/create?name=${encodeURIComponent(name)}`,
      signal,
      configuration,
    );
    const { Id: id } = created as { Id?: unknown };
    if (typeof id !== 'string' || !/^[0-9a-f]{64}$/.test(id)) throw engineFailed('It gave a container no id');
    return id;
  }

  async start(id: string, signal: AbortSignal): Promise<void> {
    await this.#json('POST', `/containers/${id}/start`, signal);
  }

  async state(id: string, signal: AbortSignal): Promise<ContainerState> {
    const { State: state } = (await this.#json('GET', `/containers/${id}/json`, signal)) as { State?: RawState };
    return {
      pid: Number(state?.Pid ?? 0),
      running: state?.Running === true,
      exitCode: Number(state?.ExitCode ?? 0),
      outOfMemory: state?.OOMKilled === true,
    };
  }

  /** Ends it, if it runs, and removes all that belongs to it. One that is not there is removed already. */
  async remove(id: string, signal: AbortSignal): Promise<void> {
    await this.#json('DELETE', `/containers/${id}?force=true&v=true`, signal, undefined, [404]);
  }

  /** Whether it is gone; false where a container needs it. */
  async removeImage(id: string, signal: AbortSignal): Promise<boolean> {
    const answer = await this.#json('DELETE', `/images/${id}?force=false`, signal, undefined, [404, 409, 500]);
    return answer !== refused;
  }

  async hasImage(id: string, signal: AbortSignal): Promise<boolean> {
    return (await this.#json('GET', `/images/${id}/json`, signal, undefined, [404])) !== refused;
  }

  /** Reads an archive in the form of `docker save`. */
  async load(file: string, signal: AbortSignal): Promise<void> {
    const { size } = await stat(file);
    const inner = AbortSignal.any([signal, AbortSignal.timeout(loadDeadlineMs)]);
    const headers = { 'content-type': 'application/x-tar', 'content-length': size };
    const { promise, resolve, reject } = Promise.withResolvers<IncomingMessage>();
    const outgoing = request(this.#options('POST', '/images/load?quiet=true', headers, inner));
    outgoing.once('response', resolve).once('error', reject);
    createReadStream(file, { signal: inner }).once('error', reject).pipe(outgoing);
    await answerOf(await promise.catch(unreachable(signal)), 'load', []);
  }

  /** What the container prints from now on, in the API's frames. To be called before its start. */
  attach(id: string, signal: AbortSignal): Promise<Socket> {
    const headers = { connection: 'Upgrade', upgrade: 'tcp' };
    const inner = AbortSignal.any([signal, AbortSignal.timeout(callDeadlineMs)]);
    const { promise, resolve, reject } = Promise.withResolvers<Socket>();
    const outgoing = request(
      this.#options('POST', `/containers/${id}/attach?stream=1&stdout=1&stderr=1`, headers, undefined),
    );
    const abort = (): void => void outgoing.destroy(new Error('The engine did not attach in time'));
    inner.addEventListener('abort', abort, { once: true });
    outgoing.once('upgrade', (_answer, socket: Socket, head: Buffer) => {
      inner.removeEventListener('abort', abort);
      if (head.length > 0) socket.unshift(head);
      resolve(socket);
    });
    // Without the upgrade it can only be an error, which this throws.
    outgoing.once(
      'response',
      (answer) => void answerOf(answer, 'attach', []).then(() => reject(engineFailed('It did not attach')), reject),
    );
    outgoing.once('error', reject);
    outgoing.end();
    return promise.catch(unreachable(signal));
  }

  async #json(
    method: string,
    path: string,
    signal: AbortSignal,
    body?: object,
    accepted: readonly number[] = [],
  ): Promise<unknown> {
    const inner = AbortSignal.any([signal, AbortSignal.timeout(callDeadlineMs)]);
    const bytes = body === undefined ? undefined : Buffer.from(JSON.stringify(body));
    const headers = bytes === undefined ? {} : { 'content-type': 'application/json', 'content-length': bytes.length };
    const { promise, resolve, reject } = Promise.withResolvers<IncomingMessage>();
    request(this.#options(method, path, headers, inner))
      .once('response', resolve)
      .once('error', reject)
      .end(bytes);
    return answerOf(await promise.catch(unreachable(signal)), `${method} ${path.split('?')[0]}`, accepted);
  }

  #options(
    method: string,
    path: string,
    headers: RequestOptions['headers'] & object,
    signal: AbortSignal | undefined,
  ): RequestOptions {
    return {
      socketPath: this.#socketPath,
      method,
      path: `${apiPath}${path}`,
      headers: { host: 'engine.invalid', ...headers },
      agent: false,
      ...(signal && { signal }),
    };
  }
}

type RawState = { Pid?: unknown; Running?: unknown; ExitCode?: unknown; OOMKilled?: unknown };

/** In place of an answer, where it said no in a way that the caller expected. */
const refused = Symbol('refused');

async function answerOf(answer: IncomingMessage, what: string, accepted: readonly number[]): Promise<unknown> {
  const chunks: Buffer[] = [];
  let bytes = 0;
  for await (const chunk of answer) {
    bytes += (chunk as Buffer).length;
    if (bytes > maxAnswerBytes) throw engineFailed(`Its answer to "${what}" has no end`);
    chunks.push(chunk as Buffer);
  }
  const text = Buffer.concat(chunks).toString('utf8');
  const status = answer.statusCode ?? 0;
  if (accepted.includes(status)) return refused;
  if (status >= 400 || status === 0) throw engineFailed(`It answered "${status}" to "${what}": ${messageIn(text)}`);
  try {
    return text === '' ? undefined : JSON.parse(text);
  } catch {
    // Progress comes as lines of JSON, of which nobody here needs any.
    return undefined;
  }
}

function messageIn(text: string): string {
  try {
    const { message } = JSON.parse(text) as { message?: unknown };
    return String(message).slice(0, 400);
  } catch {
    return text.slice(0, 400);
  }
}

function idsIn(list: unknown): string[] {
  if (!Array.isArray(list)) throw engineFailed('It gave no list');
  return list.flatMap(({ Id: id }: { Id?: unknown }) => (typeof id === 'string' ? [id] : []));
}

function unreachable(signal: AbortSignal): (cause: unknown) => never {
  return (cause) => {
    if (signal.aborted) throw new SandboxError({ code: 'ABORTED', message: 'The caller gave up', cause });
    if (cause instanceof SandboxError) throw cause;
    throw engineFailed(cause instanceof Error ? cause.message : 'It did not answer', cause);
  };
}

function engineFailed(what: string, cause?: unknown): SandboxError {
  return new SandboxError({
    code: 'PROCESS_FAILED',
    message: `The engine for containers failed. ${what}`,
    retry: true,
    cause,
  });
}
