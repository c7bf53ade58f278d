import type { Call, CallRequest } from './call.ts';

/**
 * A `fetch` for existing HTTP clients: the request goes sealed to the app, the answer streams back, and the stream fails
 * at its end unless the receipt verifies and says what the answer's status said: an answer that broke off in the app never
 * ends like a whole one. The receipt itself is given to nobody here: use `call` where it is needed.
 */
export function createSealedFetch(newCall: (request: CallRequest) => Promise<Call>): typeof globalThis.fetch {
  return async (input, init) => {
    const request = new Request(input, init);
    const url = new URL(request.url);
    const call = await newCall({
      method: request.method,
      path: url.pathname + url.search,
      headers: [...request.headers],
      body: new Uint8Array(await request.arrayBuffer()),
    });
    const leaving = new AbortController();
    const events = call.streamed(AbortSignal.any([request.signal, leaving.signal]));
    const first = await events.next();
    if (first.done || first.value.type !== 'head') throw new TypeError('The answer has no head');
    const { status, headers } = first.value;
    const bodyless = request.method === 'HEAD' || status === 204 || status === 205 || status === 304;
    // Without a body nobody would read on to the receipt: the answer waits for it here.
    if (bodyless)
      for await (const event of events)
        if (event.type === 'done' && status < 400 && event.verified.status !== 'ok')
          throw new TypeError(`The app did not finish its answer: ${event.verified.status}`);
    const body = new ReadableStream<Uint8Array>({
      async pull(controller) {
        try {
          const next = await events.next();
          if (next.done) controller.close();
          else if (next.value.type === 'done') {
            const { status: ended } = next.value.verified;
            if (status < 400 && ended !== 'ok')
              controller.error(new TypeError(`The app did not finish its answer: ${ended}`));
            else controller.close();
          } else if (next.value.type === 'body') controller.enqueue(next.value.bytes);
        } catch (error) {
          controller.error(error);
        }
      },
      cancel() {
        leaving.abort();
        events.return(undefined).catch(() => {});
      },
    });
    return new Response(bodyless ? null : body, {
      status,
      headers: headers.map(([name, value]): [string, string] => [name, value]),
    });
  };
}
