import { existsSync } from 'node:fs';
import { copyFile, mkdir, readFile, rename } from 'node:fs/promises';
import path from 'node:path';
import { CloisterError, type Hex, isHexOf, networkFileId, parseNetworkFile } from '@cloister/core';
import { type CloisterClient, createClient, type PayerInit, ReceiptWatch } from '@cloister/sdk';
import { type PrivateKeyAccount, privateKeyToAccount } from 'viem/accounts';
import { note } from './output.ts';
import { ReceiptFolder } from './receiptFolder.ts';

export type NetworkOptions = { readonly network?: string; readonly key?: string };

/** The network file of --network, else the nearest one pinned by `cloister use` or made by npm start. Throws NO_NETWORK. */
export function findNetworkFile(options: NetworkOptions): string {
  if (options.network !== undefined) {
    if (existsSync(options.network)) return path.resolve(options.network);
    throw new SettingsError(
      'NO_NETWORK',
      `There is no network file "${options.network}"`,
      'Give the file that npm start prints',
    );
  }
  for (let folder = process.cwd(); ; folder = path.dirname(folder)) {
    for (const name of ['network.json', path.join('devnet', 'network.json')]) {
      const file = path.join(folder, '.cloister', name);
      if (existsSync(file)) return file;
    }
    if (path.dirname(folder) === folder) break;
  }
  throw new SettingsError(
    'NO_NETWORK',
    'No network is chosen here',
    'Run "cloister use NETWORK_FILE" in this folder, or give --network FILE',
  );
}

/**
 * A client of the chosen network; one that pays for calls where a payer is given. What it sees of receipts it compares with what other
 * commands have seen, by the folder `receipts` beside the network file.
 */
export async function openClient(options: NetworkOptions, payer?: PayerInit): Promise<CloisterClient> {
  const file = findNetworkFile(options);
  const receipts = new ReceiptWatch({
    store: new ReceiptFolder(path.join(path.dirname(file), 'receipts'), note),
    onEquivocation: ({ equivocation, keptAt }) =>
      note(`Signer ${equivocation.signer} has signed two receipts for one place${keptAt && `: ${keptAt}`}`),
  });
  return createClient({ network: await readFile(file), receipts, ...(payer && { payer }) });
}

/**
 * The account that pays and owns apps: the key in --key FILE, else the one pinned beside the network file, else, on a
 * simulated network, its developer account. Throws NO_KEY, KEY_MALFORMED.
 */
export async function openAccount(options: NetworkOptions): Promise<PrivateKeyAccount> {
  const networkFile = findNetworkFile(options);
  const folder = path.dirname(networkFile);
  const file = options.key ?? [path.join(folder, 'key')].find((candidate) => existsSync(candidate));
  if (file !== undefined) return privateKeyToAccount(await readKey(file));
  const accounts = path.join(folder, 'accounts.json');
  if (existsSync(accounts) && parseNetworkFile(await readFile(networkFile)).simulated) {
    const { developer } = JSON.parse(await readFile(accounts, 'utf8')) as { developer?: { privateKey?: unknown } };
    if (isHexOf(developer?.privateKey, 32)) return privateKeyToAccount(developer.privateKey);
  }
  throw new SettingsError(
    'NO_KEY',
    'No account is chosen',
    'Give --key FILE with a private key (0x and 64 hexadecimal digits)',
  );
}

/** Pins a network for a folder: copies its file, and on simulated networks the accounts beside it, into .cloister/. */
export async function pinNetwork(networkFile: string, key: string | undefined): Promise<string> {
  const network = parseNetworkFile(await readFile(networkFile));
  const folder = path.resolve('.cloister');
  await mkdir(folder, { recursive: true });
  const target = path.join(folder, 'network.json');
  const isOther = existsSync(target) && idOf(await readFile(target)) !== networkFileId(network);
  await copyFile(networkFile, target);
  // A key that was pinned for another network pays for nothing here; it is kept beside.
  const pinned = path.join(folder, 'key');
  if (key === undefined && isOther && existsSync(pinned)) await rename(pinned, path.join(folder, 'key.before'));
  const accounts = path.join(path.dirname(networkFile), 'accounts.json');
  if (key !== undefined) await copyFile(key, path.join(folder, 'key'));
  else if (network.simulated && existsSync(accounts)) await copyFile(accounts, path.join(folder, 'accounts.json'));
  return target;
}

/** The id of what is pinned now; undefined where that is no network file of this release. */
function idOf(bytes: Uint8Array): string | undefined {
  try {
    return networkFileId(parseNetworkFile(bytes));
  } catch {
    return undefined;
  }
}

async function readKey(file: string): Promise<Hex> {
  const key = (await readFile(file, 'utf8')).trim();
  if (isHexOf(key, 32)) return key;
  throw new SettingsError(
    'KEY_MALFORMED',
    `The file "${file}" holds no private key`,
    'It must hold 0x and 64 hexadecimal digits',
  );
}

export class SettingsError extends CloisterError<'NO_NETWORK' | 'NO_KEY' | 'KEY_MALFORMED'> {
  override readonly name = 'SettingsError';
  constructor(code: SettingsError['code'], message: string, hint: string) {
    super({ code, message, hint });
  }
}
