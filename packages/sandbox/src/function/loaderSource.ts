import { doorBinding } from './servicesSource.ts';

/**
 * What every pre-started process runs until it is given its tenant: it takes the tenant's module once, by the control
 * socket, and from then on hands on requests to it. The tenant runs in an isolate of its own inside the same process,
 * and sees neither this module nor its bindings. `failure` is a secret of this process and the driver: with it as a header
 * value, an answer is this module's report of an exception, which the tenant's own answers can't imitate.
 */
export const loaderSource = `
import { WorkerEntrypoint } from 'cloudflare:workers';

// Functions are written to the Web's interfaces. Leaving Node's out halves the time that an isolate takes to start.
const compatibilityFlags = ['no_nodejs_compat', 'no_nodejs_compat_v2'];

let tenant;
let failure;
let services;

export class Control extends WorkerEntrypoint {
  async fetch(request) {
    const { pathname } = new URL(request.url);
    if (pathname === '/ping') return new Response(null, { status: 204 });
    if (pathname === '/warm') {
      const warm = this.env.LOADER.get('warm', () => ({
        compatibilityDate: '2026-11-01',
        compatibilityFlags,
        mainModule: 'main.js',
        modules: { 'main.js': 'export default { async fetch(request) { return new Response(await request.text()); } };' },
        globalOutbound: null,
      }));
      const answer = await warm.getEntrypoint().fetch('http://warm.invalid/', { method: 'POST', body: 'x' });
      return new Response(await answer.text());
    }
    if (pathname !== '/load' || tenant !== undefined) return new Response(null, { status: 409 });
    const { code, env, compatibilityDate, failureMark, given } = await request.json();
    failure = failureMark;
    services = given?.names;
    tenant = (outbound, door) => () => ({
      compatibilityDate,
      compatibilityFlags,
      mainModule: 'main.js',
      modules: given === undefined ? { 'main.js': code } : { 'main.js': given.source, 'app.js': code },
      env: given === undefined ? env : { ...env, '${doorBinding}': door },
      globalOutbound: outbound,
    });
    return new Response(null, { status: 204 });
  }
}

export class Outbound extends WorkerEntrypoint {
  async fetch(request) {
    const answer = await this.env.GATE.fetch(request);
    const reason = answer.headers.get('cloister-refused') ?? answer.headers.get('cloister-failed');
    if (reason !== null) throw new Error(reason);
    return answer;
  }
}

export default {
  async fetch(request, env) {
    try {
      const code = env.LOADER.get('tenant', tenant(env.OUTBOUND, env.DOOR));
      const answer = await (services === undefined ? code.getEntrypoint().fetch(request) : withServices(code, request));
      if (answer.webSocket && request.headers.get('upgrade') !== 'websocket')
        throw new Error('A function can answer with a WebSocket only where it was asked for one');
      return answer;
    } catch (error) {
      return Response.json({ message: describe(error) }, { status: 500, headers: { 'cloister-failure': failure } });
    }
  },
};

function withServices(code, request) {
  const invocation = request.headers.get('cloister-invocation');
  const event = request.headers.get('cloister-scheduled');
  const own = new Request(request);
  own.headers.delete('cloister-invocation');
  own.headers.delete('cloister-scheduled');
  const scheduled = event === null ? null : JSON.parse(event);
  return code.getEntrypoint(undefined, { props: { invocation, services, scheduled } }).fetch(own);
}

function describe(error) {
  try {
    return String(error?.message ?? error).slice(0, 1024);
  } catch {
    return 'An object that cannot be described was thrown';
  }
}
`;
