import { bundleFunction } from '@cloister/build';
import { utf8 } from '@cloister/crypto';
import {
  type CallResult,
  type CloisterClient,
  createClient,
  type DeployedApp,
  type DeployOptions,
} from '@cloister/sdk';
import type { RunningDevnet } from '../devnet.ts';
import { accountsOf } from './accounts.ts';

export type ClientPlace = { readonly gateways?: readonly string[]; readonly rpcs?: readonly string[] };

/** A client of the network that trusts its network file alone, by way of other gateways or RPCs where they are given. */
export function clientOf(network: Pick<RunningDevnet, 'network'>, place: ClientPlace = {}): CloisterClient {
  return createClient({ network: network.network, ...place });
}

/** Deploys a function from source text with the developer's account, through the network's own gateway. */
export function deployFunction(
  network: RunningDevnet,
  name: string,
  source: string,
  manifest: DeployOptions['manifest'] = {},
): Promise<DeployedApp> {
  const { developer } = accountsOf(network);
  return clientOf(network).deploy({ account: developer.privateKey, code: utf8(source), name, manifest });
}

/** Deploys a WebAssembly module with the developer's account. */
export function deployModule(
  network: RunningDevnet,
  name: string,
  code: Uint8Array,
  manifest: DeployOptions['manifest'] = {},
): Promise<DeployedApp> {
  const { developer } = accountsOf(network);
  return clientOf(network).deploy({ account: developer.privateKey, kind: 'wasm', code, name, manifest });
}

/** Deploys a function from a file, bundled as the CLI does it. */
export async function deployFile(
  network: RunningDevnet,
  name: string,
  file: string,
  manifest: DeployOptions['manifest'] = {},
): Promise<DeployedApp> {
  const { code } = await bundleFunction(file);
  const { developer } = accountsOf(network);
  return clientOf(network).deploy({ account: developer.privateKey, code, name, manifest });
}

/** Source of a function whose handler has this body, with `request`, `env` and `ctx`. */
export function handler(body: string, head = ''): string {
  return `${head}\nexport default { async fetch(request, env, ctx) { ${body} } };`;
}

/**
 * Counts how often it ran, in each process that holds it: GET /runs tells without counting, anything else counts, waits
 * `?wait=` ms, and answers "run N: " with `?size=` bytes after it.
 */
export const counterSource = `
let runs = 0;
export default {
  async fetch(request) {
    const { pathname, searchParams } = new URL(request.url);
    if (pathname === '/runs') return new Response(String(runs));
    runs += 1;
    const mine = runs;
    await new Promise((resolve) => setTimeout(resolve, Number(searchParams.get('wait') ?? 0)));
    return new Response('run ' + mine + ': ' + 'x'.repeat(Number(searchParams.get('size') ?? 0)));
  },
};`;

export function textOf(result: Pick<CallResult, 'body'>): string {
  return new TextDecoder().decode(result.body);
}
