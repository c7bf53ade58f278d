import { Body } from './body.ts';
import { host, offer } from './bridge.ts';
import { console, errorText } from './console.ts';
import { crypto, random } from './crypto.ts';
import { TextDecoder, TextEncoder } from './encoding.ts';
import { Headers } from './headers.ts';
import { Request } from './request.ts';
import { Response } from './response.ts';
import { structuredClone } from './structuredClone.ts';
import { URL } from './url.ts';
import { URLSearchParams } from './urlSearchParams.ts';

type Handler = (request: Request, env: unknown, context: unknown) => unknown;
type CallHead = {
  readonly method: string;
  readonly url: string;
  readonly headers: readonly (readonly [string, string])[];
};

offer({ console, crypto, Headers, Request, Response, structuredClone, TextDecoder, TextEncoder, URL, URLSearchParams });
Object.defineProperty(Math, 'random', { value: random, writable: true, configurable: true, enumerable: false });

let handler: Handler | undefined;
let env: unknown;

/** What the host calls: once with the app's module, then with a request. */
host('ready', (operation: string, ...values: readonly unknown[]) => {
  if (operation === 'bind') bind(values[0] as { readonly default?: unknown }, values[1] as string);
  else void serve(JSON.parse(values[0] as string) as CallHead, values[1] as ArrayBuffer);
});

function bind(namespace: { readonly default?: unknown }, envJson: string): void {
  const app = namespace.default as { readonly fetch?: unknown } | undefined;
  const fetch = typeof app === 'object' && app !== null ? app.fetch : undefined;
  if (typeof fetch !== 'function') {
    host('failed', 'The module has no "export default { fetch(request, env, ctx) { … } }"');
    return;
  }
  handler = (...values) => Reflect.apply(fetch, app, values);
  env = JSON.parse(envJson);
}

async function serve({ method, url, headers }: CallHead, bytes: ArrayBuffer): Promise<void> {
  try {
    const body = bytes.byteLength > 0 ? { body: bytes } : {};
    const request = new Request(url, { method, headers: headers as [string, string][], ...body });
    const context = { waitUntil: (promise: unknown) => void Promise.resolve(promise).catch(logLate) };
    const response = await handler?.(request, env, context);
    if (!(response instanceof Response)) throw new TypeError('The handler returned something that is no Response');
    host('answer', headOf(response), Body.take(response) ?? new ArrayBuffer(0));
  } catch (error) {
    host('failed', errorText(error));
  }
}

function logLate(error: unknown): void {
  host('log', 'error', `A promise given to waitUntil failed: ${errorText(error)}`);
}

/** The length of the body is known to whoever sends it. */
function headOf({ status, headers }: Response): string {
  const lines = [...headers].filter(([name]) => name !== 'content-length').map(([name, value]) => `${name}: ${value}`);
  return [`Status: ${status}`, ...lines].join('\n');
}
