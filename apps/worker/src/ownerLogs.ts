import type { RegistryReader } from '@cloister/chain';
import {
  type Bytes32,
  isHexOf,
  logRequestDigest,
  maxLogRequestSeconds,
  type RecordDomain,
  type WorkerAnnouncement,
} from '@cloister/core';
import { fromHex } from '@cloister/crypto';
import { recoverAddress } from '@cloister/crypto/native-secp256k1';
import type { AppLoader } from './appLoader.ts';

export type OwnerLogsComponents = {
  readonly domain: RecordDomain;
  readonly workerId: WorkerAnnouncement['workerId'];
  readonly registry: RegistryReader;
  readonly apps: AppLoader;
};

export type LogsAnswer = { readonly status: number; readonly body: unknown };

const maxSeenNonces = 10_000;

/** What an app printed here, for its owner alone: nobody else, the operator included, ever sees it. */
export class OwnerLogs {
  readonly #components: OwnerLogsComponents;
  readonly #seen = new Set<Bytes32>();

  constructor(components: OwnerLogsComponents) {
    this.#components = components;
  }

  /** Answers a log request: JSON {notAfter, nonce, signature} in the body, signed by the app's owner. */
  async answer(app: Bytes32, body: Uint8Array, now: bigint, signal: AbortSignal): Promise<LogsAnswer> {
    const { domain, workerId, registry, apps } = this.#components;
    const request = read(body);
    if (request === undefined)
      return { status: 400, body: { error: 'Expected JSON with notAfter, nonce and signature' } };
    const notAfter = BigInt(request.notAfter);
    if (notAfter < now || notAfter > now + maxLogRequestSeconds)
      return { status: 403, body: { error: 'The request is out of date' } };
    const owner = await registry.appOwner(app, signal);
    const signer = signerOf(
      logRequestDigest(domain, { app, workerId, notAfter, nonce: request.nonce }),
      request.signature,
    );
    if (signer !== owner) return { status: 403, body: { error: "Only the app's owner may read its logs" } };
    if (this.#seen.has(request.nonce)) return { status: 403, body: { error: 'The request was used before' } };
    if (this.#seen.size >= maxSeenNonces) this.#seen.clear();
    this.#seen.add(request.nonce);
    const loaded = await apps.loaded(app);
    return { status: 200, body: { lines: loaded?.tenant.logs() ?? [] } };
  }
}

function signerOf(digest: Bytes32, signature: `0x${string}`): string | undefined {
  try {
    return recoverAddress(fromHex(digest), fromHex(signature));
  } catch {
    return undefined;
  }
}

function read(body: Uint8Array): { notAfter: string; nonce: Bytes32; signature: `0x${string}` } | undefined {
  if (body.length > 4096) return undefined;
  try {
    const { notAfter, nonce, signature } = JSON.parse(new TextDecoder().decode(body)) as Record<string, unknown>;
    if (
      typeof notAfter !== 'string' ||
      !/^[0-9]{1,18}$/.test(notAfter) ||
      !isHexOf(nonce, 32) ||
      !isHexOf(signature, 65)
    )
      return undefined;
    // In one case: the same nonce in other letters is no other nonce.
    return { notAfter, nonce: nonce.toLowerCase() as Bytes32, signature };
  } catch {
    return undefined;
  }
}
