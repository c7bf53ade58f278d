import { asAddress, type Bytes32, CloisterError, type Hex, type Manifest, outboundPlaces } from '@cloister/core';
import type { CallService, ChainBlock, ChainService, ServiceName, TenantServices } from '@cloister/sandbox';
import type { CloisterClient } from '@cloister/sdk';
import type { LocalState } from './localState.ts';

export type LocalServicesInit = {
  readonly manifest: Pick<Manifest, 'state' | 'outbound'>;
  readonly state: LocalState;
  /** Of the network that is in use; undefined where none is. */
  readonly client: CloisterClient | undefined;
};

/** Bytes of another app's answer, as workers allow. */
const maxAnswerBytes = 8 * 1024 * 1024;

/** What the handler finds in `ctx`: by the manifest, as on a worker. */
export function namedServices({ state, outbound }: Pick<Manifest, 'state' | 'outbound'>): readonly ServiceName[] {
  const { apps, readsChain } = outboundPlaces(outbound);
  const named = { state: state !== null, call: apps.length > 0, chain: readsChain };
  return (['state', 'call', 'chain'] as const).filter((name) => named[name]);
}

/** What stands behind `ctx` of one invocation: state of this machine; apps and chain of the network that is in use. */
export function localServices({ manifest, state, client }: LocalServicesInit): TenantServices {
  const { apps, readsChain } = outboundPlaces(manifest.outbound);
  return {
    ...(manifest.state !== null && { state }),
    ...(apps.length > 0 && { call: callsOf(client, apps) }),
    ...(readsChain && { chain: chainOf(client) }),
  };
}

/** Calls as this machine's user: the called app learns of no caller. */
function callsOf(client: CloisterClient | undefined, apps: readonly Bytes32[]): CallService {
  return {
    async call({ app, method, path, headers, body }, { signal }) {
      const callee = apps.find((one) => one === app);
      if (callee === undefined) throw new LocalServiceError('CALL_NOT_NAMED', `--outbound does not name "app:${app}"`);
      const own = headers.filter(([name]) => !/^(?:x-)?cloister-/i.test(name) && name.toLowerCase() !== 'host');
      const request = { method, path, headers: own, body };
      const answer = await of(client, 'ctx.call').call(callee, request, { signal, maxAnswerBytes });
      return { status: answer.status, headers: answer.headers, body: answer.body };
    },
  };
}

function chainOf(client: CloisterClient | undefined): ChainService {
  const at = async (signal: AbortSignal) => {
    const { view } = of(client, 'ctx.chain').registry;
    const { number, hash, timestamp } = await view.head(signal);
    const block: ChainBlock = {
      ...{ number: number.toString(), hash, timestamp: timestamp.toString() },
      ageMs: Math.max(0, Date.now() - Number(timestamp) * 1_000),
    };
    return { view, number, block };
  };
  return {
    block: async ({ signal }) => (await at(signal)).block,
    async call({ to, data }, { signal }) {
      const { view, number, block } = await at(signal);
      const call = { to: asAddress(to, 'to'), data: data as Hex, block: number };
      return { value: await view.call(call, signal), block };
    },
    async balance(account, { signal }) {
      const { view, number, block } = await at(signal);
      const value = await view.balance(asAddress(account, 'account'), number, signal);
      return { value: value.toString(), block };
    },
  };
}

function of(client: CloisterClient | undefined, what: string): CloisterClient {
  if (client !== undefined) return client;
  throw new LocalServiceError(
    'DEV_NO_NETWORK',
    `${what} needs a network, and none is in use: give --network FILE, or run "cloister use FILE" in this folder`,
  );
}

export class LocalServiceError extends CloisterError<'CALL_NOT_NAMED' | 'DEV_NO_NETWORK'> {
  override readonly name = 'LocalServiceError';
  constructor(code: LocalServiceError['code'], message: string) {
    super({ code, message });
  }
}
