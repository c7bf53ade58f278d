import type { Workload } from '../src/index.ts';
import type { WorkloadOverrides } from './calls.ts';

/** Also for deterministic functions, which have no streams and no timers: there an answer is whole, and whoever waits spins. */
export const actor = `
const isDeterministic = typeof setTimeout === 'undefined';
let calls = 0;
export default {
  async fetch(request, env, ctx) {
    const url = new URL(request.url);
    const n = Number(url.searchParams.get('n'));
    switch (url.pathname) {
      case '/echo':
        return Response.json({
          method: request.method,
          path: url.pathname + url.search,
          headers: Object.fromEntries(request.headers),
          env,
          bodyLength: (await request.arrayBuffer()).byteLength,
        });
      case '/bytes':
        return new Response(isDeterministic ? new Uint8Array(Math.min(n, 1e7)) : pieces(n));
      case '/fail':
        throw new Error('the handler failed');
      case '/break':
        return new Response(new ReadableStream({
          async start(controller) {
            controller.enqueue(new Uint8Array(10));
            await new Promise((resolve) => setTimeout(resolve, 20));
            controller.error(new Error('broke off'));
          },
        }));
      case '/spin':
        for (;;);
      case '/wait':
        if (isDeterministic) for (;;);
        return new Promise((resolve) => setTimeout(resolve, 1e8));
      case '/print':
        for (let i = 0; i < n; i += 1) console.log('line ' + i);
        return new Response();
      case '/memory': {
        const kept = [];
        // To fill an array takes an interpreter seconds.
        for (;;) kept.push(isDeterministic ? new Uint8Array(1e6).fill(1) : new Array(10_000).fill(kept.length + 0.5));
      }
      case '/state':
        calls += 1;
        return new Response(String(calls));
      case '/fetch':
        return fetch(url.searchParams.get('url'));
      case '/fetch-caught':
        return fetch(url.searchParams.get('url')).catch(() => new Response('nothing'));
    }
    return new Response('no such behaviour', { status: 404 });
  },
};

function pieces(n) {
  let left = n;
  const piece = new Uint8Array(16384);
  return new ReadableStream({
    pull(controller) {
      const size = Math.min(left, piece.length);
      if (size > 0) controller.enqueue(piece.slice(0, size));
      left -= size;
      if (left === 0) controller.close();
    },
  });
}
`;

export function functionWorkload(source: string, overrides: WorkloadOverrides = {}): Workload {
  return {
    tenant: `0x${'11'.repeat(32)}`,
    version: `0x${'22'.repeat(32)}`,
    kind: 'function',
    code: new TextEncoder().encode(source),
    env: {},
    outboundHosts: [],
    ...overrides,
    limits: {
      memoryBytes: 128 * 1024 * 1024,
      wallMs: 10_000,
      outputBytes: 8 * 1024 * 1024,
      maxConcurrent: 16,
      ...overrides.limits,
    },
  };
}

/** The function that does what the compliance suite asks for. */
export const actorWorkload = (overrides: WorkloadOverrides = {}): Workload => functionWorkload(actor, overrides);
