// An engine that does what the compliance suite asks for. Runs inside the walls, in the place of a real one.
import type { EngineAnswer, EngineRequest, OpenEngine } from '../../src/model/host/engine.ts';

let calls = 0;

export const openEngine: OpenEngine = async () => act;

async function act({ method, path, headers, env, body }: EngineRequest): Promise<EngineAnswer> {
  const url = new URL(path, `http://${headers.host}`);
  const n = Number(url.searchParams.get('n'));
  switch (url.pathname) {
    case '/echo':
      return text(JSON.stringify({ method, path, headers, env, bodyLength: body.length }));
    case '/bytes':
      return { ...text(''), body: pieces(n) };
    case '/fail':
      throw new Error('the handler failed');
    case '/break':
      return { ...text(''), body: broken() };
    case '/spin':
      for (;;);
    case '/wait':
      return new Promise(() => {});
    case '/print':
      for (let i = 0; i < n; i += 1) console.log(JSON.stringify({ level: 'log', message: `line ${i}` }));
      return text('');
    case '/memory': {
      const kept: number[][] = [];
      for (;;) kept.push(new Array(10_000).fill(kept.length + 0.5));
    }
    case '/state':
      calls += 1;
      return text(String(calls));
  }
  return { ...text('no such behaviour'), status: 404 };
}

const text = (body: string): EngineAnswer => ({ status: 200, headers: { 'content-type': 'text/plain' }, body });

async function* pieces(n: number): AsyncIterable<Uint8Array> {
  const piece = new Uint8Array(16_384);
  for (let left = n; left > 0; left -= piece.length) yield piece.slice(0, left);
}

async function* broken(): AsyncIterable<Uint8Array> {
  yield new Uint8Array(10);
  await new Promise((resolve) => setTimeout(resolve, 20));
  throw new Error('broke off');
}
