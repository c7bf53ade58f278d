import { type Address, appId, type Bytes32, CloisterError, isHexOf } from '@cloister/core';
import { appSalt } from '@cloister/sdk';
import { type NetworkOptions, openAccount } from './settings.ts';

/** Names that were resolved in this process: an id alone would tell nobody which app was meant. */
const resolved = new Map<Bytes32, { readonly name: string; readonly account: Address }>();

/** An app by its id, or by the name under which the chosen account deployed it. */
export async function resolveApp(app: string, options: NetworkOptions): Promise<Bytes32> {
  if (isHexOf(app, 32)) return app.toLowerCase() as Bytes32;
  const account = (await openAccount(options)).address.toLowerCase() as Address;
  const id = appId(account, appSalt(app));
  resolved.set(id, { name: app, account });
  return id;
}

/** What to say beside an error that names an app by its id, where that was made of a name that nobody deployed. */
export function unknownNameHint(error: unknown): string | undefined {
  if (!(error instanceof CloisterError) || error.code !== 'REGISTRY_APP_UNKNOWN') return undefined;
  const [, meant] = [...resolved].find(([id]) => error.message.includes(id)) ?? [];
  if (meant === undefined) return undefined;
  const { name, account } = meant;
  return `"${name}" stands for an app of account ${account}, which has deployed none of that name: deploy it, choose the account that did (--key), or give the app's id`;
}
