// A program that does what the compliance suite asks for, in a container.
import { createServer } from 'node:http';

const own = /^(?:PATH|HOME|HOSTNAME|TERM|container|NODE_USE_ENV_PROXY|(?:https?|no)_proxy)$/i;
let calls = 0;

createServer(async (request, response) => {
  const url = new URL(request.url, `http://${request.headers.host}`);
  const n = Number(url.searchParams.get('n'));
  switch (url.pathname) {
    case '/echo': {
      let bodyLength = 0;
      for await (const chunk of request) bodyLength += chunk.length;
      const env = Object.fromEntries(Object.entries(process.env).filter(([name]) => !own.test(name)));
      const { method, headers } = request;
      return response.end(JSON.stringify({ method, path: url.pathname + url.search, headers, env, bodyLength }));
    }
    case '/bytes': {
      const piece = Buffer.alloc(16_384);
      for (let left = n; left > 0; left -= piece.length)
        if (!response.write(piece.subarray(0, left)))
          await new Promise((resolve) => response.once('drain', resolve).once('close', resolve));
      return response.end();
    }
    case '/fail':
      return request.socket.destroy();
    case '/break':
      response.write('0123456789');
      return setTimeout(() => request.socket.destroy(), 20);
    case '/spin':
      for (;;);
    case '/wait':
      return;
    case '/print':
      for (let i = 0; i < n; i += 1) console.log(`line ${i}`);
      return response.end();
    case '/memory': {
      const kept = [];
      // Outside of the heap, which has a limit of its own.
      for (;;) kept.push(Buffer.alloc(1_048_576, kept.length + 1));
    }
    case '/state':
      calls += 1;
      return response.end(String(calls));
    case '/fetch':
      return fetch(url.searchParams.get('url')).then(
        async (answer) => response.writeHead(answer.status).end(await answer.text()),
        () => request.socket.destroy(),
      );
    case '/fetch-caught':
      return fetch(url.searchParams.get('url')).then(
        async (answer) => response.end(await answer.text()),
        () => response.end('nothing'),
      );
    case '/exit':
      return process.exit(n);
    case '/run': {
      let source = url.searchParams.get('what') ?? '';
      for await (const chunk of request) source += chunk;
      return response.end(await run(source));
    }
  }
  response.writeHead(404).end('no such behaviour');
}).listen(Number(process.argv[2] ?? 8080));

/** What a test of the walls tries from inside; the error's code where it fails. */
async function run(source) {
  try {
    const result = await new (async () => {}).constructor('modules', source)({
      dns: await import('node:dns/promises'),
      fs: await import('node:fs'),
      net: await import('node:net'),
      os: await import('node:os'),
    });
    return JSON.stringify(result ?? null);
  } catch (error) {
    return JSON.stringify({ error: error.code ?? error.message });
  }
}
