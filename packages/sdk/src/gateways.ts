import {
  type Address,
  announcementFromJson,
  asAddress,
  type Bytes32,
  CloisterError,
  describeError,
  fetchBlob,
  isHexOf,
  maxAnnouncementBytes,
  parseBoundedJson,
  readBounded,
  type SignedBlobClaim,
  type WorkerAnnouncement,
  withDeadline,
  zeroAddress,
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
const maxAboutBytes = 4 * 1024;
const maxClaimAnswerBytes = 32 * 1024;

/** What a gateway says that it could keep for money. */
export type GatewayStorage = { readonly payTo: Address; readonly sellableBytes: bigint };

/** What a gateway says that it has of an app. Bytes. */
export type StorageUse = {
  /** Paid in the epoch of now; with the epoch before, kept. */
  readonly bytesPaid: number;
  readonly bytesKept: number;
  readonly blobs: number;
  readonly bytesUsed: number;
  /** Of what is used, what is paid. */
  readonly bytesCovered: number;
};

const storageUseFields = ['bytesPaid', 'bytesKept', 'blobs', 'bytesUsed', 'bytesCovered'] as const;

/** The untrusted relays: what they say is a hint, what they store is checked by its hash, and any one of them will do. */
export class Gateways {
  readonly urls: readonly string[];
  readonly #fetch: typeof globalThis.fetch;
  readonly #timeoutMs: number;
  readonly #payTo = new Map<string, Address>();

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

  /**
   * Who gets a gateway's part of the fees of calls that it carries; zero where it asks for none. Its first word counts for as long as
   * this client lives, so that channels stay the same.
   */
  async payTo(url: string, signal?: AbortSignal): Promise<Address> {
    const known = this.#payTo.get(url);
    if (known !== undefined) return known;
    const about = (await this.#json(`${url}/v1/about`, maxAboutBytes, signal)) as { payTo?: unknown } | null;
    const stated = about?.payTo;
    if (stated !== null && !isHexOf(stated, 20))
      throw new GatewayError('GATEWAY_ANSWER_INVALID', `Gateway ${url} names no account to pay`, false);
    const payTo = stated === null ? zeroAddress : asAddress(stated);
    this.#payTo.set(url, payTo);
    return payTo;
  }

  /** What a gateway could keep for money, by its own word. Throws GATEWAY_ANSWER_INVALID where it sells nothing. */
  async storageOffer(url: string, signal?: AbortSignal): Promise<GatewayStorage> {
    const about = (await this.#json(`${url}/v1/about`, maxAboutBytes, signal)) as {
      payTo?: unknown;
      storage?: { sellableBytes?: unknown };
    } | null;
    const sellable = about?.storage?.sellableBytes;
    if (!isHexOf(about?.payTo, 20) || !isCount(sellable))
      throw new GatewayError('GATEWAY_ANSWER_INVALID', `Gateway ${url} sells no storage`, false);
    return { payTo: asAddress(about.payTo), sellableBytes: BigInt(sellable) };
  }

  /** What a gateway has of an app, by its own word. */
  async storageUse(url: string, app: Bytes32, signal?: AbortSignal): Promise<StorageUse> {
    const use = (await this.#json(`${url}/v1/storage/${app}`, maxAboutBytes, signal)) as Record<string, unknown> | null;
    if (use === null || !storageUseFields.every((field) => isCount(use[field])))
      throw new GatewayError('GATEWAY_ANSWER_INVALID', `Gateway ${url} does not say what it stores`, false);
    return Object.fromEntries(storageUseFields.map((field) => [field, use[field]])) as StorageUse;
  }

  /** Shows a gateway a claim; answers how it keeps each of the blobs. */
  async claimBlobs(
    url: string,
    claim: SignedBlobClaim,
    signal?: AbortSignal,
  ): Promise<Record<Bytes32, 'paid' | 'free' | 'absent'>> {
    const init = { method: 'POST', body: JSON.stringify(claim) };
    const answer = (await this.#request(`${url}/v1/claims`, init, signal, async (response) =>
      parseBoundedJson(await readBounded(response, maxClaimAnswerBytes), maxClaimAnswerBytes, 'gateway answer'),
    )) as { blobs?: Record<string, unknown> } | null;
    const kept = claim.blobs.map((id) => [id, answer?.blobs?.[id]] as const);
    if (!kept.every(([, as]) => as === 'paid' || as === 'free' || as === 'absent'))
      throw new GatewayError('GATEWAY_ANSWER_INVALID', `Gateway ${url} does not say how it keeps the blobs`, false);
    return Object.fromEntries(kept) as Record<Bytes32, 'paid' | 'free' | 'absent'>;
  }

  /**
   * Stores bytes under their sha256 with every gateway; throws GATEWAY_STORE_FAILED if none took them, GATEWAY_STORAGE_UNPAID if none takes
   * any for free.
   * @param claim of an app that may be paid for, made where a gateway asks for payment
   */
  async putBlob(
    bytes: Uint8Array,
    signal?: AbortSignal,
    claim?: (gateway: string, blob: Bytes32) => Promise<SignedBlobClaim>,
  ): Promise<Bytes32> {
    const id = toHex(sha256(bytes));
    const results = await Promise.allSettled(
      this.urls.map((url) =>
        this.#putOne(url, id, bytes, signal).catch(async (error: unknown) => {
          if (claim === undefined || !isUnpaid(error)) throw error;
          return this.#putOne(url, id, bytes, signal, await claim(url, id));
        }),
      ),
    );
    if (results.every((result) => result.status === 'rejected')) {
      const [first] = results;
      if (results.every((result) => result.status === 'rejected' && isUnpaid(result.reason)))
        throw new GatewayError('GATEWAY_STORAGE_UNPAID', `No gateway stores "${id}" without payment`, false);
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

  /** Whether any gateway says that it has these bytes. Throws where none answers. */
  async hasBlob(id: Bytes32, signal?: AbortSignal): Promise<boolean> {
    const answers = await Promise.allSettled(
      this.urls.map((url) =>
        this.#request(`${url}/v1/blobs/${id}`, { method: 'HEAD' }, signal, async () => true).catch((error: unknown) => {
          if (error instanceof GatewayError && error.status === 404) return false;
          throw error;
        }),
      ),
    );
    if (answers.some((answer) => answer.status === 'fulfilled' && answer.value)) return true;
    const failed = answers.find((answer) => answer.status === 'rejected');
    if (failed !== undefined && answers.every((answer) => answer.status === 'rejected')) throw failed.reason;
    return false;
  }

  #putOne(
    url: string,
    id: Bytes32,
    bytes: Uint8Array,
    signal: AbortSignal | undefined,
    claim?: SignedBlobClaim,
  ): Promise<void> {
    const headers: Record<string, string> = claim === undefined ? {} : { 'cloister-claim': JSON.stringify(claim) };
    const body = new Blob([bytes as Uint8Array<ArrayBuffer>]);
    return this.#request(`${url}/v1/blobs/${id}`, { method: 'PUT', body, headers }, signal, async (response) => {
      await response.body?.cancel();
    });
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
            undefined,
            response.status,
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
  | 'GATEWAY_STORE_FAILED'
  | 'GATEWAY_STORAGE_UNPAID';

export class GatewayError extends CloisterError<GatewayErrorCode> {
  override readonly name = 'GatewayError';
  /** Of the gateway's answer, where it refused. */
  readonly status: number | undefined;
  constructor(code: GatewayErrorCode, message: string, retry: boolean, cause?: unknown, status?: number) {
    const hint = retry
      ? 'Try another gateway, or again later'
      : code === 'GATEWAY_STORAGE_UNPAID'
        ? 'Pay for the app: "cloister storage pay", or "cloister deploy --storage-epochs"'
        : undefined;
    super({ code, message, retry, cause, ...(hint === undefined ? {} : { hint }) });
    this.status = status;
  }
}

function isUnpaid(error: unknown): boolean {
  return error instanceof GatewayError && error.status === 402;
}

function isCount(value: unknown): value is number {
  return Number.isSafeInteger(value) && (value as number) >= 0;
}
