import type { ChainView, TransactionRelay } from '@cloister/chain';
import { asAddress, type Bytes32, type ChainPolicy, type Hex } from '@cloister/core';
import type { AccountService } from '@cloister/sandbox';
import type { AppAccounts } from '../account/appAccounts.ts';
import type { LoadedApp } from '../appLoader.ts';

export type AccountServiceComponents = {
  readonly accounts: Pick<AppAccounts, 'address' | 'send' | 'signMessage'>;
  readonly relay: Pick<TransactionRelay, 'mined'>;
  readonly view: Pick<ChainView, 'blockAt'>;
  /** The time of day in ms. */
  readonly clockMs: () => number;
};

/** What `ctx.chain` has of an app's account. */
export function accountService(
  { accounts, relay, view, clockMs }: AccountServiceComponents,
  { app, manifestId, keyVersion }: Pick<LoadedApp, 'app' | 'manifestId' | 'keyVersion'>,
  policy: ChainPolicy,
): AccountService {
  const owner = { app, manifest: manifestId, keyVersion: Number(keyVersion), policy };
  return {
    address: () => accounts.address(owner),
    async send({ to, data, value, id }, { signal }) {
      const wished = { to: asAddress(to, 'to'), data: data as Hex, valueWei: BigInt(value) };
      const { hash, nonce } = await accounts.send(owner, id, wished, signal);
      return { hash, nonce };
    },
    async receipt(hash, { signal }) {
      const mined = await relay.mined(hash as Bytes32, signal);
      if (mined === undefined) return undefined;
      const block = await view.blockAt(mined.blockNumber, signal);
      // It was taken back while it was asked for.
      if (block.hash !== mined.blockHash) return undefined;
      const { number, timestamp } = block;
      const ageMs = Math.max(0, clockMs() - Number(timestamp) * 1_000);
      const told = { number: number.toString(), hash: block.hash, timestamp: timestamp.toString(), ageMs };
      return { status: mined.status, block: told };
    },
    signMessage: (message) => accounts.signMessage(owner, message),
  };
}
