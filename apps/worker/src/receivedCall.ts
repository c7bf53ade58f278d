import { defaultMessageLimits, type OpenedRequest } from '@cloister/channel/worker';
import type { Json, Manifest } from '@cloister/core';
import { concatBytes } from '@cloister/crypto';

/** A call as it came: opened, and with what follows its head where something does. */
export type ReceivedCall = OpenedRequest & {
  /** The sealed bytes after the head; there where `input` is. */
  readonly source?: AsyncIterable<Uint8Array>;
};

/** What a request's body may come to, in bytes. */
export function maxInputBytes({ limits }: Pick<Manifest, 'limits'>): number {
  return limits.inputBytes ?? defaultMessageLimits.maxBodyBytes;
}

/** The streamed body as it comes; undefined where the body came with the head. */
export function inputOf(
  { input, source }: ReceivedCall,
  manifest: Pick<Manifest, 'limits'>,
): AsyncIterable<Uint8Array> | undefined {
  return input !== undefined && source !== undefined
    ? input.read(source, { maxBytes: maxInputBytes(manifest) })
    : undefined;
}

/** The body as a whole, for what can't take it in parts: never more than a call that is not streamed may have. */
export async function wholeBody(received: ReceivedCall, { limits }: Pick<Manifest, 'limits'>): Promise<Uint8Array> {
  const inputBytes = Math.min(maxInputBytes({ limits }), defaultMessageLimits.maxBodyBytes);
  const parts: Uint8Array[] = [];
  for await (const part of inputOf(received, { limits: { ...limits, inputBytes } }) ?? []) parts.push(part);
  return received.input === undefined ? received.request.body : concatBytes(...parts);
}

/** What a receipt's details say of a body that was streamed: by how many chunks its hashes are, and whether that was all. */
export function inputDetails({ input }: ReceivedCall): { readonly request?: { readonly [key: string]: Json } } {
  if (input === undefined) return {};
  const { chunks, whole, failure } = input;
  return { request: { chunks, whole, ...(failure && { ended: failure.code }) } };
}
