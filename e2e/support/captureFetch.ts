import { responseMediaType } from '@cloister/channel/client';
import { splitAnswer } from './sealedAnswer.ts';

/** Keeps what a gateway answered, byte for byte, of the last sealed answer. */
export type CaptureFetch = {
  readonly fetch: typeof globalThis.fetch;
  /** Of each chunk as it passed: the head's, those of the body, the last one's with the receipt. */
  readonly lastLengths: () => readonly number[];
};

/** A client's way to its gateways that keeps what it hands on. */
export function captureFetch(): CaptureFetch {
  let parts: Uint8Array[] = [];
  return {
    fetch: async (input, init) => {
      const response = await fetch(input, init);
      if (response.body === null || response.headers.get('content-type') !== responseMediaType) return response;
      parts = [];
      const kept = parts;
      const body = response.body.pipeThrough(
        new TransformStream<Uint8Array, Uint8Array>({
          transform: (bytes, controller) => {
            kept.push(Uint8Array.from(bytes));
            controller.enqueue(bytes);
          },
        }),
      );
      const { status, headers } = response;
      return new Response(body, { status, headers });
    },
    lastLengths: () => splitAnswer(Buffer.concat(parts)).chunks.map(({ length }) => length),
  };
}
