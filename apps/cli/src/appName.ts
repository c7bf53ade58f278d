import { appId, type Bytes32, isHexOf } from '@cloister/core';
import { appSalt } from '@cloister/sdk';
import { type NetworkOptions, openAccount } from './settings.ts';

/** An app by its id, or by the name under which the chosen account deployed it. */
export async function resolveApp(app: string, options: NetworkOptions): Promise<Bytes32> {
  if (isHexOf(app, 32)) return app.toLowerCase() as Bytes32;
  const account = await openAccount(options);
  return appId(account.address.toLowerCase() as `0x${string}`, appSalt(app));
}
