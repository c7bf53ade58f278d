import { Readable } from 'node:stream';
import type { Tenant } from '../src/index.ts';
import { never } from './calls.ts';

/** A fetch whose requests go to a model in its walls, whatever host they name. */
export function modelFetch(tenant: Tenant): typeof fetch {
  return async (input, init) => {
    const request = new Request(input, init);
    const { pathname, search } = new URL(request.url);
    const { status, headers, body } = await tenant.invoke(
      {
        method: request.method,
        path: pathname + search,
        headers: [...request.headers],
        body: new Uint8Array(await request.arrayBuffer()),
      },
      { signal: init?.signal ?? never },
    );
    const stream = Readable.toWeb(Readable.from(body, { objectMode: false })) as ReadableStream<Uint8Array>;
    return new Response(stream, { status, headers: headers.map(([name, value]): [string, string] => [name, value]) });
  };
}
