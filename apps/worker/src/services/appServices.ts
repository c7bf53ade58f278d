import { outboundPlaces } from '@cloister/core';
import { askGuest } from '@cloister/guest';
import type { GuestService, StateService, TenantServices } from '@cloister/sandbox';
import { transactionBytes } from '@cloister/state';
import type { AppCalls } from '../appCalls.ts';
import type { LoadedApp } from '../appLoader.ts';
import { AppStateError } from '../state/appStateError.ts';
import type { AppStates, StateAnswer, StateRequest } from '../state/appStates.ts';
import { type AccountServiceComponents, accountService } from './accountService.ts';
import { callsOut } from './callsOut.ts';
import { type ChainReadsComponents, chainReads } from './chainReads.ts';
import { givenServices } from './givenServices.ts';

export type AppServicesComponents = {
  readonly states: Pick<AppStates, 'ask'>;
  readonly calls: Pick<AppCalls, 'call'>;
  readonly chain: ChainReadsComponents;
  readonly account: AccountServiceComponents;
};

/** What stands behind `ctx` of the apps on this worker, each app with its own alone. */
export class AppServices {
  readonly #components: AppServicesComponents;

  constructor(components: AppServicesComponents) {
    this.#components = components;
  }

  /** For one invocation of an app that `depth` calls from app to app lead to; undefined where its manifest names nothing. */
  of(app: LoadedApp, depth: number): TenantServices | undefined {
    const { states, calls, chain, account } = this.#components;
    const { chain: policy } = app.manifest;
    const { apps, readsChain } = outboundPlaces(app.manifest.outbound);
    if (givenServices(app.manifest).length === 0) return undefined;
    const { guest } = app;
    return {
      ...(app.manifest.state !== null && { state: stateOf(app, states) }),
      ...(apps.length > 0 && { call: callsOut({ calls, app, named: apps, depth }) }),
      ...(readsChain && { chain: chainReads(chain) }),
      ...(policy && { account: accountService(account, app, policy) }),
      ...(guest && { guest: guestOf(guest) }),
    };
  }
}

/** Of the instance and not of the call: what one call emits, the next one's quote shows. */
function guestOf(guest: NonNullable<LoadedApp['guest']>): GuestService {
  return { ask: async ({ method, request }, { signal }) => askGuest(guest, method, request, signal) };
}

function stateOf({ app, manifestId, manifest, keyVersion }: LoadedApp, states: Pick<AppStates, 'ask'>): StateService {
  const owner = { app, manifest: manifestId, keyVersion: Number(keyVersion) };
  const ask = async <Type extends StateRequest['type']>(
    partition: number,
    asked: StateRequest & { readonly type: Type },
    signal: AbortSignal,
  ): Promise<StateAnswer & { readonly type: Type }> => {
    const partitions = manifest.state?.partitions ?? 0;
    if (partition >= partitions)
      throw new AppStateError(
        'STATE_PARTITION_UNKNOWN',
        `The app's state has "${partitions}" partitions, from 0 on, got number "${partition}"`,
      );
    return (await states.ask(owner, partition, asked, signal)) as StateAnswer & { readonly type: Type };
  };
  return {
    get: ({ partition, key }, { signal }) => ask(partition, { type: 'get', key }, signal),
    list: ({ partition, ...range }, { signal }) => ask(partition, { type: 'list', ...range }, signal),
    commit: async ({ partition, ...commit }, { signal }) => {
      // Before anything is sent to another host: too much for one transaction is too much for a request, too.
      transactionBytes(commit.changes.map(({ key, value }) => [key, value]));
      await ask(partition, { type: 'commit', ...commit }, signal);
    },
  };
}
