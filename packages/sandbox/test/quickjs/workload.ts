import type { Workload } from '../../src/index.ts';
import type { WorkloadOverrides } from '../compliance.ts';
import { functionWorkload } from '../functionWorkload.ts';

const actor = `
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
        return new Response(new Uint8Array(Math.min(n, 50_000_000)));
      case '/fail':
        throw new Error('the handler failed');
      case '/break':
        return new Response(new ReadableStream());
      case '/spin':
      case '/wait':
        for (;;);
      case '/print':
        for (let i = 0; i < n; i += 1) console.log('line ' + i);
        return new Response();
      case '/memory': {
        const kept = [];
        for (;;) kept.push(new Array(10_000).fill(kept.length + 0.5));
      }
      case '/state':
        calls += 1;
        return new Response(String(calls));
    }
    return new Response('no such behaviour', { status: 404 });
  },
};
`;

/** So much that time ends a call before it. */
const plenty = 2 ** 52;

export function deterministicWorkload(source: string, overrides: WorkloadOverrides = {}): Workload {
  const limits = { fuel: plenty, ...overrides.limits };
  return functionWorkload(source, { deterministic: true, ...overrides, limits });
}

/** The deterministic function that does what the compliance suite asks for. */
export const actorWorkload = (overrides: WorkloadOverrides = {}): Workload => deterministicWorkload(actor, overrides);
