import { randomBytes, SecretBytes, toBase64Url, toHex } from '@cloister/crypto';
import fc from 'fast-check';
import type { ResponseEvent, ResponseLimits } from '../src/client/responseOpener.ts';
import { type AppRequest, type SealedRequest, sealRequest } from '../src/client/sealRequest.ts';
import type { CallHeaders } from '../src/shared/callHeaders.ts';
import { KeyRing, type KeyRingInit } from '../src/worker/keyRing.ts';
import type { OpenedRequest } from '../src/worker/openRequest.ts';

/** Block time of the tests, unix seconds. */
export const now = 1_800_000_000;
export const leaseEnd = now + 86_400;

export function someCall(changes: Partial<CallHeaders> = {}): CallHeaders {
  return {
    app: toHex(randomBytes(32)),
    callId: toBase64Url(randomBytes(16)),
    clientKey: new SecretBytes(randomBytes(32)),
    context: toHex(new Uint8Array(32)),
    maxFee: 1_000_000n,
    manifest: toHex(randomBytes(32)),
    ...changes,
  };
}

export function someRequest(changes: Partial<AppRequest> = {}): AppRequest {
  return {
    method: 'POST',
    path: '/score?purpose=loan',
    headers: [['content-type', 'application/json']],
    body: new TextEncoder().encode('{"income":52000}'),
    ...changes,
  };
}

export type Session = {
  readonly ring: KeyRing;
  readonly keyConfig: Uint8Array;
  readonly sealed: SealedRequest;
  readonly opened: OpenedRequest;
};

/** A worker with one key, and one request to it that it has opened. */
export async function openSession(
  options: { readonly call?: CallHeaders; readonly request?: AppRequest; readonly init?: KeyRingInit } = {},
): Promise<Session> {
  const ring = new KeyRing(options.init);
  const { config: keyConfig } = await ring.rotate(now, leaseEnd);
  const sealed = await sealRequest({
    keyConfig,
    call: options.call ?? someCall(),
    request: options.request ?? someRequest(),
  });
  return { ring, keyConfig, sealed, opened: await ring.open(sealed.encapsulated, now) };
}

/** A whole response, one item a chunk: nonce and head, the bodies, the final. */
export async function respond(
  opened: OpenedRequest,
  bodies: readonly Uint8Array[] = [new Uint8Array(100).fill(1), new Uint8Array(3_000).fill(2)],
  trailer: Uint8Array = new Uint8Array(300).fill(9),
): Promise<Uint8Array[]> {
  const chunks = [await opened.response.head(200, [['content-type', 'text/plain']])];
  for (const body of bodies) chunks.push(await opened.response.body(body));
  chunks.push(await opened.response.final(trailer));
  return chunks;
}

export async function* streamOf(items: Iterable<Uint8Array>): AsyncGenerator<Uint8Array> {
  yield* items;
}

/** Everything that the client reads from the given transport chunks. */
export async function readAll(
  sealed: SealedRequest,
  items: Iterable<Uint8Array>,
  limits?: ResponseLimits,
): Promise<ResponseEvent[]> {
  const events: ResponseEvent[] = [];
  for await (const event of sealed.openResponse(limits).read(streamOf(items), { signal: AbortSignal.timeout(10_000) }))
    events.push(event);
  return events;
}

/** The bytes cut at the given places. */
export function split(bytes: Uint8Array, cuts: readonly number[]): Uint8Array[] {
  const places = [0, ...[...cuts].map((cut) => cut % (bytes.length + 1)).sort((a, b) => a - b), bytes.length];
  return places.slice(1).map((end, i) => bytes.subarray(places[i], end));
}

export function flipBit(bytes: Uint8Array, bit: number): Uint8Array {
  if (bit >= bytes.length * 8) throw new RangeError(`There is no bit "${bit}"`);
  const changed = bytes.slice();
  changed[bit >> 3] = (changed[bit >> 3] as number) ^ (1 << (bit & 7));
  return changed;
}

/** Bytes that mean something to parsers more often than random ones do. */
export const hostileBytes = fc.oneof(
  fc.uint8Array({ maxLength: 300 }),
  fc
    .array(fc.constantFrom(0, 1, 3, 5, 0x20, 0x2f, 0x3f, 0x40, 0x41, 0x7f, 0x80, 0xbf, 0xc0, 0xff), { maxLength: 80 })
    .map((list) => Uint8Array.from(list)),
);
