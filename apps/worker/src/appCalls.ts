import { type AppCall, appCallDigest, type Bytes32, maxAppCallSeconds, signedAppCallText } from '@cloister/core';
import { fromHex, toHex } from '@cloister/crypto';
import type { CallerWitness, CallOptions, CallRequest, CallResult, CloisterClient } from '@cloister/sdk';
import type { LoadedApp } from './appLoader.ts';

export type AppCallsComponents = {
  /** Calls as any client of the network does: verifies the other worker, seals, checks the receipt. */
  readonly client: CloisterClient;
  /** Signs as the worker that the registry knows. */
  readonly sign: (digest: Uint8Array) => Uint8Array;
};

/** Calls other apps in the name of the apps that run here, each call with this worker's word for which one it is. */
export class AppCalls {
  readonly #components: AppCallsComponents;

  constructor(components: AppCallsComponents) {
    this.#components = components;
  }

  /** As `client.call` of the sdk, which says what it throws; the called app learns which app calls. */
  call(
    caller: Pick<LoadedApp, 'app' | 'manifestId'>,
    callee: Bytes32,
    request: CallRequest,
    options: Omit<CallOptions, 'caller'> & { readonly signal: AbortSignal },
  ): Promise<CallResult> {
    return this.#components.client.call(callee, request, { ...options, caller: this.witness(caller, options.signal) });
  }

  /** Vouches for an app, for each attempt of a call anew. */
  witness({ app, manifestId }: Pick<LoadedApp, 'app' | 'manifestId'>, signal: AbortSignal): CallerWitness {
    const { client, sign } = this.#components;
    const domain = { chainId: client.network.chainId, registry: client.network.contracts.workerRegistry };
    return async (about) => {
      const { timestamp } = await client.registry.view.head(signal);
      // Half of what is allowed: the other worker may know of an older block, or of a newer one.
      const notAfter = timestamp + maxAppCallSeconds / 2n;
      const statement: AppCall = { caller: app, callerManifest: manifestId, ...about, notAfter };
      return signedAppCallText({ ...statement, signature: toHex(sign(fromHex(appCallDigest(domain, statement)))) });
    };
  }
}
