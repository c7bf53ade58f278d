import { type ClientRequest, type IncomingMessage, request } from 'node:http';
import { describeError } from '@cloister/core';
import { fromHex, fromUtf8, toHex } from '@cloister/crypto';
import { DeviceError, type DeviceErrorCode } from '../deviceError.ts';
import { replyTooLarge, systemErrorCode } from '../systemFiles.ts';
import { waitFor } from '../waiting.ts';

export type DstackAgentInit = {
  /** The agent's socket as an absolute path, or a simulator's base URL. */
  readonly endpoint: string;
  /** For a quote, which the host may take its time for. Default: 30 s. */
  readonly quoteTimeoutMs?: number | undefined;
  /** For everything else. Default: 5 s. */
  readonly timeoutMs?: number | undefined;
};

/** What the agent says of itself, unproven. Undefined where it does not say. */
export type DstackInfo = {
  readonly appId: string | undefined;
  readonly instanceId: string | undefined;
  readonly composeHash: string | undefined;
  readonly version: string | undefined;
};

export type DstackQuote = {
  readonly quote: Uint8Array;
  /** JSON, as the agent gave it. */
  readonly eventLog: string;
};

/** Real replies have 20 kB, most of it the event log. */
const maxReplyBytes = 2 * 1024 * 1024;
const maxInfoText = 256;

/**
 * The guest agent of a dstack CVM: HTTP/1.1 over a socket in the guest, JSON both ways (Dstack-TEE/dstack,
 * `sdk/curl/api.md`). Every reply is bounded in size and time and read strictly; nothing in it is trusted.
 */
export class DstackAgent {
  readonly endpoint: string;
  readonly #quoteTimeoutMs: number;
  readonly #timeoutMs: number;

  constructor(init: DstackAgentInit) {
    this.endpoint = init.endpoint;
    this.#quoteTimeoutMs = init.quoteTimeoutMs ?? 30_000;
    this.#timeoutMs = init.timeoutMs ?? 5_000;
  }

  /** A quote over 64 bytes. The caller checks that it is over these. Throws DeviceError. */
  async quote(reportData: Uint8Array, signal: AbortSignal): Promise<DstackQuote> {
    const asked = toHex(reportData).slice(2);
    const reply = await this.#call('GetQuote', { report_data: asked }, this.#quoteTimeoutMs, signal);
    const { quote, event_log: eventLog } = reply;
    if (typeof quote !== 'string' || quote.length % 2 !== 0 || !/^(0x)?[0-9a-fA-F]+$/.test(quote))
      throw this.#malformed('GetQuote', 'a quote in hexadecimal');
    if (typeof eventLog !== 'string') throw this.#malformed('GetQuote', 'an event log as text');
    return { quote: fromHex(quote), eventLog };
  }

  /** Throws DeviceError. */
  async info(signal: AbortSignal): Promise<DstackInfo> {
    const info = await this.#call('Info', {}, this.#timeoutMs, signal);
    return {
      appId: shortText(info.app_id),
      instanceId: shortText(info.instance_id),
      composeHash: shortText(info.compose_hash),
      version: await this.#version(signal),
    };
  }

  /** Agents before 0.5 don't answer to this. */
  async #version(signal: AbortSignal): Promise<string | undefined> {
    try {
      return shortText((await this.#call('Version', {}, this.#timeoutMs, signal)).version);
    } catch (error) {
      if (error instanceof DeviceError && error.code === 'DEVICE_REFUSED') return undefined;
      throw error;
    }
  }

  async #call(method: string, body: object, timeoutMs: number, signal: AbortSignal): Promise<Record<string, unknown>> {
    const ending = new AbortController();
    const exchange = post(this.endpoint, method, JSON.stringify(body), ending.signal);
    try {
      const bytes = await waitFor(exchange, { signal, timeoutMs, what: `The dstack agent at "${this.endpoint}"` });
      return this.#parse(method, bytes);
    } catch (error) {
      signal.throwIfAborted();
      throw error instanceof DeviceError ? error : exchangeFailed(this.endpoint, error);
    } finally {
      ending.abort();
    }
  }

  #parse(method: string, bytes: Uint8Array): Record<string, unknown> {
    let json: unknown;
    try {
      json = JSON.parse(fromUtf8(bytes));
    } catch {
      throw this.#malformed(method, 'JSON');
    }
    if (typeof json !== 'object' || json === null || Array.isArray(json)) throw this.#malformed(method, 'an object');
    return json as Record<string, unknown>;
  }

  #malformed(method: string, expected: string): DeviceError {
    return new DeviceError({
      code: 'DEVICE_REPLY_MALFORMED',
      message: `Expected ${expected} from the dstack agent at "${this.endpoint}" to "${method}"`,
    });
  }
}

/** The body of an answer with status 200. Ends the exchange when the signal aborts. */
function post(endpoint: string, method: string, body: string, signal: AbortSignal): Promise<Uint8Array> {
  return new Promise((resolve, reject) => {
    const headers = {
      'content-type': 'application/json',
      'content-length': String(Buffer.byteLength(body)),
      connection: 'close',
    };
    const options = { method: 'POST', headers, agent: false as const, signal };
    const onAnswer = (answer: IncomingMessage) => readAnswer(answer, endpoint, method).then(resolve, reject);
    const exchange: ClientRequest = endpoint.startsWith('/')
      ? request({ ...options, socketPath: endpoint, path: `/${method}`, host: 'dstack' }, onAnswer)
      : request(`${endpoint.replace(/\/+$/, '')}/${method}`, options, onAnswer);
    exchange.on('error', reject);
    exchange.end(body);
  });
}

async function readAnswer(answer: IncomingMessage, endpoint: string, method: string): Promise<Uint8Array> {
  const parts: Buffer[] = [];
  let length = 0;
  for await (const part of answer as AsyncIterable<Buffer>) {
    length += part.length;
    if (length > maxReplyBytes) throw replyTooLarge(endpoint, maxReplyBytes);
    parts.push(part);
  }
  if (answer.statusCode === 200) return Uint8Array.from(Buffer.concat(parts));
  const refused = answer.statusCode !== undefined && answer.statusCode >= 400 && answer.statusCode < 500;
  throw new DeviceError({
    code: refused ? 'DEVICE_REFUSED' : 'DEVICE_FAILED',
    message: `Expected status 200 from the dstack agent at "${endpoint}" to "${method}", got "${answer.statusCode}"`,
    meta: { status: answer.statusCode },
    hint: 'See the log of the guest agent',
  });
}

const socketErrors: Readonly<Record<string, readonly [DeviceErrorCode, string]>> = {
  ENOENT: ['DEVICE_GONE', 'there is no such socket'],
  ECONNREFUSED: ['DEVICE_GONE', 'nobody listens there'],
  EACCES: ['DEVICE_FORBIDDEN', 'this process may not connect to it'],
  EPERM: ['DEVICE_FORBIDDEN', 'this process may not connect to it'],
  ECONNRESET: ['DEVICE_FAILED', 'it ended the connection before its answer'],
  EPIPE: ['DEVICE_FAILED', 'it ended the connection before its answer'],
};

function exchangeFailed(endpoint: string, cause: unknown): DeviceError {
  const [code, problem] = socketErrors[systemErrorCode(cause) ?? ''] ?? [
    // What Node.js's HTTP parser refuses bears such a code.
    cause instanceof Error && 'code' in cause && String(cause.code).startsWith('HPE_')
      ? 'DEVICE_REPLY_MALFORMED'
      : 'DEVICE_FAILED',
    describeError(cause),
  ];
  return new DeviceError({
    code,
    message: `Could not ask the dstack agent at "${endpoint}": ${problem}`,
    hint: 'Mount the socket of the guest agent into this container',
    cause,
  });
}

function shortText(value: unknown): string | undefined {
  return typeof value === 'string' && value !== '' && value.length <= maxInfoText && /^[\x20-\x7e]+$/.test(value)
    ? value
    : undefined;
}
