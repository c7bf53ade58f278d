/** A function that answers with all that it can find out about where it runs, but for times and random values. */
export const censusFunction = `
const said = async (work) => { try { return String(await work()).slice(0, 300); } catch (error) { return String(error?.stack ?? error).slice(0, 600); } };
const tree = (value, depth = 0, seen = new Set()) => {
  if ((typeof value !== 'object' && typeof value !== 'function') || value === null || depth > 2 || seen.has(value)) return typeof value;
  seen.add(value);
  return Object.fromEntries(Object.getOwnPropertyNames(value).sort().map((name) => {
    try { return [name, tree(value[name], depth + 1, seen)]; } catch (error) { return [name, String(error)]; }
  }));
};
const modules = ['node:fs', 'node:os', 'node:process', 'node:net', 'node:child_process', 'node:worker_threads', 'cloudflare:workers', 'cloudflare:sockets', 'cloudflare:email', 'workerd:unsafe', 'loader.js', './loader.js', 'main.js', '/run/control.sock'];
const urls = ['http://127.0.0.1/', 'http://localhost:9090/metrics', 'http://169.254.169.254/', 'http://control.invalid/ping', 'http://loader/', 'http://door.invalid/state.get', 'https://api.example.com/', 'file:///proc/self/cgroup', 'unix:/run/control.sock'];
let kept = 0;
export default {
  async fetch(request, env, ctx) {
    kept += 1;
    const path = new URL(request.url).pathname;
    if (path === '/state') return new Response(String(kept));
    if (path === '/leave') {
      globalThis.left = 'by the first';
      await said(() => caches.default.put('http://cache.example/x', new Response('by the first', { headers: { 'cache-control': 'max-age=1000' } })));
      console.log('printed by the first');
      return new Response('left');
    }
    const found = {
      kept,
      globals: tree(globalThis),
      env: Object.entries(env), ctx: tree(ctx),
      request: [...request.headers], cf: request.cf,
      process: await said(() => JSON.stringify(globalThis.process?.env) + globalThis.process?.pid + JSON.stringify(globalThis.process?.versions)),
      navigator: await said(() => navigator.userAgent + navigator.hardwareConcurrency),
      cache: await said(async () => (await caches.default.match('http://cache.example/x'))?.text()),
      open: await said(async () => (await (await caches.open('x')).match('http://cache.example/x'))?.text()),
      modules: {}, urls: {},
    };
    for (const name of modules) found.modules[name] = await said(async () => JSON.stringify(tree(await import(name))));
    const inner = 'http://127.0.0.1:' + new URL(request.url).searchParams.get('port') + '/metrics';
    for (const url of [...urls, inner]) found.urls[url] = await said(async () => { const answer = await fetch(url); return answer.status + JSON.stringify([...answer.headers]) + (await answer.text()); });
    return new Response(JSON.stringify(found, undefined, 1));
  },
};
`;
