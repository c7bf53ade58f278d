import type { Exchange, UnixRequest } from '../http/exchange.ts';
import type { UnixHttpClient } from '../http/unixClient.ts';
import type { RuntimeHandlers, RuntimeReport } from '../process/runtimeProcess.ts';
import { frameHeadBytes, frameKinds, maxFrameBytes } from './host/frames.ts';

/** Calls a module: requests go to the program inside the walls as one message, answers come back as frames. */
export class WasmData {
  readonly #client: UnixHttpClient;

  constructor(client: UnixHttpClient) {
    this.#client = client;
  }

  send({ method, path, headers, body }: UnixRequest, handlers: RuntimeHandlers): Exchange {
    const pairs = headers.flatMap((name, index) => (index % 2 === 0 ? [[name, headers[index + 1] ?? '']] : []));
    const head = { method, path, headers: pairs.filter(([name]) => name !== 'cloister-proto') };
    const frames = new FrameReader(handlers, method.toUpperCase() === 'HEAD');
    return this.#client.send(
      { method: 'POST', path: '/invoke', headers: ['host', 'data.invalid'], body: message(head, body) },
      {
        head: ({ status }) => {
          if (status !== 200) throw new FrameError(`the status ${status}`);
        },
        data: (chunk) => frames.take(chunk),
        end: () => {
          const { report } = frames;
          if (report === undefined) handlers.failed(new FrameError('an end without a report'), true);
          else handlers.end(report);
        },
        failed: handlers.failed,
      },
    );
  }
}

/** The length of a JSON head in four bytes, the head, bytes. */
export function message(head: unknown, bytes: Uint8Array): Uint8Array {
  const json = Buffer.from(JSON.stringify(head));
  const length = Buffer.alloc(4);
  length.writeUInt32BE(json.length);
  return Buffer.concat([length, json, bytes]);
}

/** Reads the frames of one answer. Strict: the program at the other end may have been taken over. Throws FrameError. */
class FrameReader {
  readonly #handlers: RuntimeHandlers;
  /** Answers to HEAD, and those of two statuses, have no body (RFC 9110 §6.4.1). */
  #bodiless: boolean;
  #pending = Buffer.alloc(0);
  #hasHead = false;
  report: RuntimeReport | undefined;

  constructor(handlers: RuntimeHandlers, bodiless: boolean) {
    this.#handlers = handlers;
    this.#bodiless = bodiless;
  }

  take(chunk: Uint8Array): void {
    this.#pending = Buffer.concat([this.#pending, chunk]);
    while (this.#pending.length >= frameHeadBytes) {
      const length = this.#pending.readUInt32BE(1);
      if (length > maxFrameBytes) throw new FrameError('a frame that is too long');
      if (this.#pending.length < frameHeadBytes + length) return;
      this.#frame(this.#pending[0] ?? 0, this.#pending.subarray(frameHeadBytes, frameHeadBytes + length));
      this.#pending = this.#pending.subarray(frameHeadBytes + length);
    }
  }

  #frame(kind: number, payload: Uint8Array): void {
    if (this.report !== undefined) throw new FrameError('frames after its report');
    if (kind === frameKinds.head && !this.#hasHead) {
      this.#hasHead = true;
      const head = readHead(parse(payload));
      if (head.status === 204 || head.status === 304) this.#bodiless = true;
      this.#handlers.head(head);
    } else if (kind === frameKinds.data && this.#hasHead) {
      if (payload.length > 0 && !this.#bodiless) this.#handlers.data(payload);
    } else if (kind === frameKinds.report) {
      this.report = readReport(parse(payload));
      if (this.report.status === 'ok' && !this.#hasHead) throw new FrameError('no head');
    } else throw new FrameError(`a frame of kind ${kind} out of turn`);
  }
}

function parse(payload: Uint8Array): Readonly<Record<string, unknown>> {
  const value: unknown = JSON.parse(Buffer.from(payload).toString('utf8'));
  if (typeof value !== 'object' || value === null) throw new FrameError('JSON that is no object');
  return value as Readonly<Record<string, unknown>>;
}

const fieldName = /^[!#$%&'*+.^_`|~0-9a-z-]{1,256}$/;
const fieldValue = /^[\t\x20-\x7e\x80-\xff]*$/;

function readHead({ status, headers }: Readonly<Record<string, unknown>>) {
  if (!Number.isInteger(status) || Number(status) < 200 || Number(status) > 599) throw new FrameError('an odd status');
  if (!Array.isArray(headers) || headers.length > 512) throw new FrameError('headers that are no list');
  const pairs = headers.map((pair: unknown): readonly [string, string] => {
    const [name, value] = Array.isArray(pair) ? pair.map(String) : [];
    if (name === undefined || value === undefined || !fieldName.test(name) || !fieldValue.test(value))
      throw new FrameError('a header that is none');
    return [name, value];
  });
  return { status: Number(status), headers: pairs };
}

const statuses = ['ok', 'app-error', 'limit'] as const;
const limits = ['memory', 'fuel', 'stack'] as const;

function readReport({ status, limit, message: text, fuel }: Readonly<Record<string, unknown>>): RuntimeReport {
  const known = statuses.find((each) => each === status);
  const named = limits.find((each) => each === limit);
  if (known === undefined || (known === 'limit') !== (named !== undefined)) throw new FrameError('a report of no kind');
  if (fuel !== undefined && (!Number.isSafeInteger(fuel) || Number(fuel) < 0))
    throw new FrameError('an odd count of fuel');
  return {
    status: known,
    ...(named === undefined ? {} : { limit: named }),
    ...(known === 'ok' ? {} : { message: String(text ?? 'The module failed') }),
    ...(fuel === undefined ? {} : { fuel: Number(fuel) }),
  };
}

/** The program inside the walls doesn't keep to the form of its answers. */
class FrameError extends Error {
  override readonly name = 'FrameError';

  constructor(what: string) {
    super(`The answer has ${what}`);
  }
}
