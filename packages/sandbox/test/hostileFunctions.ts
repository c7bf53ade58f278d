/** Source of a function whose handler has this body. */
export const handler = (body: string, head = ''): string =>
  `${head}\nexport default { async fetch(request, env, ctx) { ${body} } };`;

/** Code that fails in its own odd way. Each must end as an app error, and leave the process to the next call. */
export const oddFailures: Readonly<Record<string, string>> = {
  'throws null': handler('throw null;'),
  'throws undefined': handler('throw undefined;'),
  'throws a symbol': handler('throw Symbol("x");'),
  'throws a string of a megabyte': handler('throw new Error("x".repeat(1 << 20));'),
  'throws an object whose message is a getter that throws': handler('throw { get message() { throw 1; } };'),
  'throws an object that throws when it becomes text': handler(
    'throw { toString() { throw this; }, [Symbol.toPrimitive]() { throw this; } };',
  ),
  'throws a proxy that refuses everything': handler(
    'throw new Proxy({}, { get() { throw 1; }, getPrototypeOf() { throw 2; }, ownKeys() { throw 3; } });',
  ),
  'throws an error whose name, stack and cause are traps': handler(
    'const e = new Error("m"); for (const k of ["name", "stack", "cause", "constructor"]) Object.defineProperty(e, k, { get() { throw e; } }); throw e;',
  ),
  'throws a frozen error made of itself': handler('const e = new Error("m"); e.cause = e; throw Object.freeze(e);'),
  'throws a promise': handler('throw Promise.reject(1);'),
  'throws a response': handler('throw new Response("x");'),
  'throws a revoked proxy': handler('const { proxy, revoke } = Proxy.revocable({}, {}); revoke(); throw proxy;'),
  'answers with a number': handler('return 5;'),
  'answers with nothing': handler(''),
  'answers with a used response': handler('const r = new Response("x"); await r.text(); return r;'),
  'answers with a thenable that fails': handler('return { then(_, no) { no(new Error("x")); } };'),
  'answers with a WebSocket': handler(
    'const [a, b] = Object.values(new WebSocketPair()); b.accept(); return new Response(null, { status: 101, webSocket: a });',
  ),
  'recurses without end': handler('const f = (n) => f(n + 1) + 1; return new Response(f(0));'),
  'has no handler': 'export default {};',
  'has no default export': 'export const x = 1;',
  'has a handler that is a string': 'export default { fetch: "x" };',
  'is not JavaScript': 'this is not JavaScript',
  'is empty but for a comment': '// nothing',
  'throws when it is loaded': 'throw new Error("at load");',
  'awaits at load what never comes': `await new Promise(() => {}); ${handler('return new Response();')}`,
  'imports node:child_process': handler('return new Response();', 'import { execSync } from "node:child_process";'),
  'imports node:fs': handler('return new Response(fs.readFileSync("/etc/passwd"));', 'import fs from "node:fs";'),
  'imports a file': handler('return new Response(text);', 'import text from "/etc/passwd";'),
  'imports a URL': handler('return new Response();', 'import "https://example.com/x.js";'),
  'imports the loader': handler('return new Response();', 'import "loader.js";'),
  'imports child_process while it runs': handler(
    'return new Response((await import("node:child_process")).execSync("id"));',
  ),
  'asks for require': handler('return new Response(require("fs").readFileSync("/etc/passwd"));'),
  'makes code from text': handler('return new Response(eval("1"));'),
  'makes a function from text': handler('return new Response(new Function("return 1")());'),
  'gets at functions through constructors': handler(
    'return new Response([].constructor.constructor("return process")().pid);',
  ),
  'compiles WebAssembly from bytes': handler(
    'return new Response(String(await WebAssembly.compile(new Uint8Array([0, 97, 115, 109, 1, 0, 0, 0]))));',
  ),
  'opens a socket': handler(
    'const s = connect("example.com:443"); await s.opened; return new Response("opened");',
    'import { connect } from "cloudflare:sockets";',
  ),
  'opens a socket to the loopback address': handler(
    'const s = connect({ hostname: "127.0.0.1", port: 22 }); await s.opened; return new Response("opened");',
    'import { connect } from "cloudflare:sockets";',
  ),
};

/** Code that takes more than it may, and the limit that ends it. */
export const greedy: Readonly<
  Record<string, { readonly source: string; readonly limit: 'wall' | 'memory' | 'output' }>
> = {
  'loops for ever': { source: handler('for (;;);'), limit: 'wall' },
  'loops for ever when it is loaded': { source: 'for (;;);', limit: 'wall' },
  'loops in microtasks': { source: handler('for (;;) await null;'), limit: 'wall' },
  'matches a regular expression without end': {
    source: handler('return new Response(String(/^(a+)+$/.test("a".repeat(64) + "b")));'),
    limit: 'wall',
  },
  'loops in the message of what it throws': {
    source: handler('throw { get message() { for (;;); }, toString() { for (;;); } };'),
    limit: 'wall',
  },
  'loops in a stream': {
    source: handler('return new Response(new ReadableStream({ pull() { for (;;); } }));'),
    limit: 'wall',
  },
  'never ends its answer': {
    source: handler(
      'return new Response(new ReadableStream({ async pull(c) { c.enqueue(new Uint8Array(1)); await new Promise((r) => setTimeout(r, 50)); } }));',
    ),
    limit: 'wall',
  },
  'answers with headers that are made for ever': {
    source: handler('return new Response("x", { headers: { *[Symbol.iterator]() { for (;;) yield ["a", "b"]; } } });'),
    limit: 'wall',
  },
  'reads a getter that never comes back': {
    source: handler('const o = { get x() { for (;;); } }; return Response.json(o);'),
    limit: 'wall',
  },
  'parses a text without end': {
    source: handler(
      'const s = "[".repeat(1 << 17) + "]".repeat(1 << 17); for (;;) { try { JSON.parse(s); } catch {} }',
    ),
    limit: 'wall',
  },
  // Of this size one text takes all of its memory.
  'parses a text that is nested eight million deep': {
    source: handler(
      'const s = "[".repeat(1 << 23) + "]".repeat(1 << 23); for (;;) { try { JSON.parse(s); } catch {} }',
    ),
    limit: 'memory',
  },
  'writes a text of what is nested a million deep': {
    source: handler(
      'let a = []; for (let i = 0; i < 1 << 20; i += 1) a = [a]; for (;;) { try { JSON.stringify(a); } catch {} }',
    ),
    limit: 'memory',
  },
  'unpacks a bomb': {
    source: handler(`
      const zeros = new ReadableStream({ start(c) { this.left = 4096; }, pull(c) { if (this.left-- > 0) c.enqueue(new Uint8Array(65536)); else c.close(); } });
      const packed = new Uint8Array(await new Response(zeros.pipeThrough(new CompressionStream('gzip'))).arrayBuffer());
      const kept = [];
      for (;;) kept.push(await new Response(new Response(packed).body.pipeThrough(new DecompressionStream('gzip'))).arrayBuffer());`),
    limit: 'wall',
  },
  'fills the heap': {
    source: handler('const a = []; for (;;) a.push(new Array(10000).fill(a.length + 0.5));'),
    limit: 'memory',
  },
  'fills array buffers': {
    source: handler('const a = []; for (;;) { const b = new Uint8Array(1 << 20); b.fill(1); a.push(b); }'),
    limit: 'memory',
  },
  'fills one huge array buffer': {
    source: handler(
      'const b = new Uint8Array(1024 * 1024 * 1024); for (let i = 0; i < b.length; i += 4096) b[i] = 1; for (;;);',
    ),
    limit: 'memory',
  },
  'doubles a string': {
    source: handler('let s = "x"; const a = []; for (;;) { s += s; a.push(new TextEncoder().encode(s)); }'),
    limit: 'memory',
  },
  'fills a stream that nobody reads': {
    source: handler(
      'return new Response(new ReadableStream({ start(c) { for (;;) c.enqueue(new Uint8Array(1 << 20).fill(1)); } }));',
    ),
    limit: 'memory',
  },
  'answers with a gigabyte': {
    source: handler(
      'let n = 0; return new Response(new ReadableStream({ pull(c) { c.enqueue(new Uint8Array(65536)); n += 65536; if (n >= 1 << 30) c.close(); } }));',
    ),
    limit: 'output',
  },
};

/** Addresses that no function may reach, as URLs name them. */
export const innerAddresses: readonly string[] = [
  ...['http://127.0.0.1/', 'https://127.0.0.1/', 'http://127.1/', 'http://2130706433/', 'http://0x7f.1/', 'http://0/'],
  ...[
    'http://[::1]/',
    'http://[::]/',
    'http://[::ffff:127.0.0.1]/',
    'http://[::ffff:7f00:1]/',
    'http://[64:ff9b::a00:1]/',
  ],
  ...[
    'http://169.254.169.254/latest/meta-data/',
    'http://[fd00:ec2::254]/',
    'http://100.100.100.200/',
    'http://metadata.google.internal/',
  ],
  ...['http://10.0.0.1/', 'http://10.255.255.255/', 'http://172.16.0.1/', 'http://192.168.1.1/', 'http://100.64.0.1/'],
  ...[
    'http://localhost/',
    'http://localhost:8545/',
    'http://0.0.0.0/',
    'http://224.0.0.1/',
    'http://255.255.255.255/',
    'http://[fe80::1]/',
  ],
];
