import {
  type Address,
  announcementFromJson,
  type Bytes32,
  CloisterError,
  describeError,
  fetchBlob,
  isHexOf,
  maxAnnouncementBytes,
  parseBoundedJson,
  readBounded,
  type WorkerAnnouncement,
  withDeadline,
} from '@cloister/core';
import { sha256, toHex } from '@cloister/crypto';

export type GatewaysInit = {
  readonly urls: readonly string[];
  readonly fetch?: typeof globalThis.fetch;
  readonly timeoutMs?: number;
};

/** Of all pages together. */
const maxDirectoryBytes = 64 * 1024 * 1024;
/** As gateways page their directory. */
const directoryPageSize = 256;
const maxDirectoryPages = 64;
const maxStatementBytes = 16 * 1024;

/** The untrusted relays: what they say is a hint, what they store is checked by its hash, and any one of them will do. */
export class Gateways {
  readonly urls: readonly string[];
  readonly #fetch: typeof globalThis.fetch;
  readonly #timeoutMs: number;

  constructor(init: GatewaysInit) {
    this.urls = init.urls;
    this.#fetch = init.fetch ?? globalThis.fetch.bind(globalThis);
    this.#timeoutMs = init.timeoutMs ?? 10_000;
  }

  /** The announcements that a gateway serves, unverified; malformed ones are left out. */
  async directory(url: string, signal?: AbortSignal): Promise<WorkerAnnouncement[]> {
    const announcements: WorkerAnnouncement[] = [];
    let after = '';
    let budget = maxDirectoryBytes;
    for (let page = 0; page < maxDirectoryPages; page++) {
      const read = (response: Response) => readBounded(response, budget);
      const bytes = await this.#request(`${url}/v1/workers${after}`, {}, signal, read);
      budget -= bytes.length;
      const json = parseBoundedJson(bytes, bytes.length, 'gateway answer');
      if (!Array.isArray(json))
        throw new GatewayError('GATEWAY_ANSWER_INVALID', `Gateway ${url} serves no directory`, false);
      const entries = json as readonly ({ workerId?: unknown; announcement?: unknown } | null)[];
      for (const entry of entries) {
        try {
          announcements.push(announcementFromJson(entry?.announcement));
        } catch {
          // A malformed announcement is one worker's, or the gateway's, own loss.
        }
      }
      const last = entries.at(-1)?.workerId;
      if (entries.length < directoryPageSize || !isHexOf(last, 32)) break;
      after = `?after=${last}`;
    }
    return announcements;
  }

  /** One worker's newest announcement, unverified. */
  async announcement(url: string, workerId: Bytes32, signal?: AbortSignal): Promise<WorkerAnnouncement> {
    return announcementFromJson(await this.#json(`${url}/v1/workers/${workerId}`, maxAnnouncementBytes, signal));
  }

  /** What a gateway passes on of the committee's newest round statement and of a signer's eviction, unverified. */
  statement(url: string, signer: Address, signal?: AbortSignal): Promise<unknown> {
    return this.#json(`${url}/v1/statements/${signer}`, maxStatementBytes, signal);
  }

  /** Stores bytes under their sha256 with every gateway; throws GATEWAY_STORE_FAILED if none took them. */
  async putBlob(bytes: Uint8Array, signal?: AbortSignal): Promise<Bytes32> {
    const id = toHex(sha256(bytes));
    const results = await Promise.allSettled(
      this.urls.map((url) =>
        this.#request(
          `${url}/v1/blobs/${id}`,
          { method: 'PUT', body: new Blob([bytes as Uint8Array<ArrayBuffer>]) },
          signal,
          async (response) => {
            await response.body?.cancel();
          },
        ),
      ),
    );
    if (results.every((result) => result.status === 'rejected')) {
      const [first] = results;
      throw new GatewayError(
        'GATEWAY_STORE_FAILED',
        `No gateway stored "${id}": ${describeError(first?.status === 'rejected' ? first.reason : '')}`,
        true,
      );
    }
    return id;
  }

  /** Fetches bytes by their sha256 from the first gateway that has them; what does not match its hash is passed over. */
  getBlob(id: Bytes32, maxBytes: number, signal?: AbortSignal): Promise<Uint8Array> {
    return fetchBlob({ stores: this.urls, id, maxBytes, fetch: this.#fetch, signal });
  }

  async #json(url: string, maxBytes: number, signal: AbortSignal | undefined): Promise<unknown> {
    return this.#request(url, {}, signal, async (response) =>
      parseBoundedJson(await readBounded(response, maxBytes), maxBytes, 'gateway answer'),
    );
  }

  #request<T>(
    url: string,
    init: RequestInit,
    signal: AbortSignal | undefined,
    read: (response: Response) => Promise<T>,
  ): Promise<T> {
    return withDeadline(
      { timeoutMs: this.#timeoutMs, signal, what: `Gateway ${new URL(url).origin}` },
      async (inner) => {
        const response = await this.#fetch(url, { ...init, signal: inner, redirect: 'error' }).catch(
          (cause: unknown) => {
            throw new GatewayError(
              'GATEWAY_UNREACHABLE',
              `Gateway ${new URL(url).origin} does not answer`,
              true,
              cause,
            );
          },
        );
        if (!response.ok) {
          const problem = new TextDecoder()
            .decode(await readBounded(response, 4096).catch(() => new Uint8Array()))
            .slice(0, 300);
          throw new GatewayError(
            'GATEWAY_REFUSED',
            `Gateway ${new URL(url).origin} answered ${response.status}: ${problem}`,
            response.status >= 500,
          );
        }
        return read(response);
      },
    );
  }
}

export type GatewayErrorCode =
  | 'GATEWAY_UNREACHABLE'
  | 'GATEWAY_REFUSED'
  | 'GATEWAY_ANSWER_INVALID'
  | 'GATEWAY_STORE_FAILED';

export class GatewayError extends CloisterError<GatewayErrorCode> {
  override readonly name = 'GatewayError';
  constructor(code: GatewayErrorCode, message: string, retry: boolean, cause?: unknown) {
    super({ code, message, retry, cause, ...(retry ? { hint: 'Try another gateway, or again later' } : {}) });
  }
}
