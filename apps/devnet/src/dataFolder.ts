import { existsSync } from 'node:fs';
import { mkdir, readdir, readFile, rm, statfs } from 'node:fs/promises';
import path from 'node:path';
import { CloisterError, type Hex } from '@cloister/core';
import { randomBytes, toHex } from '@cloister/crypto';
import { acquireLock, type FileLock, LockHeldError, writeFileAtomic } from '@cloister/service';
import { privateKeyToAccount } from 'viem/accounts';

/** Changes when the folder's layout does; other versions are never touched. */
export const dataVersion = 4;
export const maxWorkers = 8;
/** Of them three make a signature. */
export const gatekeeperCount = 4;
export const committeeThreshold = 3;

export type DevnetAccount = { readonly address: Hex; readonly privateKey: Hex };

/** What a data folder remembers between starts. */
export type DevnetState = {
  readonly dataVersion: number;
  /** The contracts that the chain in this folder was deployed with. */
  readonly contractsHash: string;
  /** Unix seconds of epoch 0. */
  readonly genesis: number;
  readonly epochSeconds: number;
  /** The worker image that the timelock allowed last. */
  readonly imageId: Hex | null;
  /** The same as simulated SEV-SNP guests measure it. */
  readonly snpImageId?: Hex | null;
  /** The gatekeeper image that holds this network's keys, once there is one. */
  readonly gatekeeperImageId: Hex | null;
  readonly ports: { readonly rpc: number; readonly gateway: number };
  /** Of a folder that was made with a second chain. */
  readonly bridge?: BridgeState;
  /** Fresh keys of this folder, without value anywhere else. */
  readonly accounts: {
    readonly deployer: DevnetAccount;
    /** One for each worker. */
    readonly operators: readonly DevnetAccount[];
    /** One for each gatekeeper. */
    readonly gatekeepers: readonly DevnetAccount[];
    /** Gets the gateway's part of the fees. */
    readonly gateway: DevnetAccount;
    readonly developer: DevnetAccount;
  };
};

/** A second chain's port, and accounts of their own: the deployers send nothing but the bridge's contracts. */
export type BridgeState = {
  readonly rpcPort: number;
  readonly homeDeployer: DevnetAccount;
  readonly remoteDeployer: DevnetAccount;
  /** Pays for what is carried over, on both chains. */
  readonly carrier: DevnetAccount;
};

export type DataFolder = {
  readonly dir: string;
  /** The state of an earlier start, if there was one. */
  readonly state: DevnetState | undefined;
  save(state: DevnetState): Promise<void>;
  file(...parts: readonly string[]): string;
  release(): void;
};

const minFreeBytes = 300_000_000;

/**
 * Opens the data folder for this process alone. Throws DATA_IN_USE, DATA_NO_SPACE, DATA_OTHER_VERSION,
 * DATA_OTHER_CONTRACTS, DATA_UNREADABLE; deletes nothing unless `reset` says so.
 */
export async function openDataFolder(
  dir: string,
  options: { readonly contractsHash: string; readonly reset: boolean },
): Promise<DataFolder> {
  const stateFile = path.join(dir, 'devnet.json');
  if (existsSync(dir) && !existsSync(stateFile) && !(await isOurs(dir)))
    throw new DataFolderError(
      'DATA_NOT_OURS',
      `The folder "${dir}" holds other files`,
      'Name an empty or new folder with --data DIR',
    );
  await mkdir(dir, { recursive: true, mode: 0o700 }).catch((cause: NodeJS.ErrnoException) => {
    throw new DataFolderError(
      'DATA_UNREADABLE',
      `The folder "${dir}" can't be made (${cause.code})`,
      'Name another one with --data DIR',
      cause,
    );
  });
  const lock = takeLock(dir);
  try {
    if (options.reset) await clear(dir);
    const { bavail, bsize } = await statfs(dir);
    if (bavail * bsize < minFreeBytes)
      throw new DataFolderError(
        'DATA_NO_SPACE',
        `Only ${Math.round((bavail * bsize) / 1e6)} MB are free for "${dir}"`,
        `Free ${minFreeBytes / 1e6} MB, or name another disk with --data DIR`,
      );
    const state = await readState(stateFile);
    if (state !== undefined) assertSame(dir, state, options.contractsHash);
    return {
      dir,
      state,
      save: (next) => writeFileAtomic(stateFile, `${JSON.stringify(next, null, 2)}\n`, { mode: 0o600 }),
      file: (...parts) => path.join(dir, ...parts),
      release: () => lock.release(),
    };
  } catch (error) {
    lock.release();
    throw error;
  }
}

function takeLock(dir: string): FileLock {
  try {
    return acquireLock(path.join(dir, 'lock'));
  } catch (cause) {
    if (!(cause instanceof LockHeldError)) throw cause;
    throw new DataFolderError(
      'DATA_IN_USE',
      `A network is already running from "${dir}"`,
      'Stop it with Ctrl-C, or start another with --data DIR',
      cause,
    );
  }
}

/** All accounts of a folder, in one list. */
export function everyAccount(accounts: DevnetState['accounts']): readonly DevnetAccount[] {
  return [accounts.deployer, accounts.developer, accounts.gateway, ...accounts.operators, ...accounts.gatekeepers];
}

/** Fresh accounts for a new folder. */
export function newAccounts(): DevnetState['accounts'] {
  return {
    deployer: newAccount(),
    operators: Array.from({ length: maxWorkers }, newAccount),
    gatekeepers: Array.from({ length: gatekeeperCount }, newAccount),
    gateway: newAccount(),
    developer: newAccount(),
  };
}

/** An account with a fresh key. */
export function newAccount(): DevnetAccount {
  const privateKey = toHex(randomBytes(32));
  return { privateKey, address: privateKeyToAccount(privateKey).address.toLowerCase() as Hex };
}

const ownNames = [
  'lock',
  'devnet.json',
  'chain.json',
  'second-chain.json',
  'unsafe-dev-tee',
  'gatekeepers',
  'network.genesis.json',
  'network.json',
  'accounts.json',
  'gateway',
  'workers',
  'logs',
  'demo',
  // What the command line has seen of this network's receipts.
  'receipts',
];

/** What an interrupted write or a lock leaves beside the file itself. */
const besideOurs = /^\.?(.+?)\.(?:[0-9a-f]{12}\.tmp|takeover)$/;

async function isOurs(dir: string): Promise<boolean> {
  const names = await readdir(dir).catch(() => undefined);
  return names?.every((name) => ownNames.includes(besideOurs.exec(name)?.[1] ?? name)) ?? false;
}

/** Only what this program makes is deleted, by name. */
async function clear(dir: string): Promise<void> {
  for (const name of ownNames) if (name !== 'lock') await rm(path.join(dir, name), { recursive: true, force: true });
}

async function readState(file: string): Promise<DevnetState | undefined> {
  const text = await readFile(file, 'utf8').catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return undefined;
    throw new DataFolderError(
      'DATA_UNREADABLE',
      `The file "${file}" can't be read (${error.code})`,
      'Check its permissions',
      error,
    );
  });
  if (text === undefined) return undefined;
  const state = tryParse(text);
  if (typeof state?.dataVersion === 'number' && typeof state.contractsHash === 'string') return state;
  throw new DataFolderError(
    'DATA_UNREADABLE',
    `The file "${file}" is damaged`,
    'Start with --reset, or with another --data DIR',
  );
}

function tryParse(text: string): DevnetState | null | undefined {
  try {
    return JSON.parse(text) as DevnetState | null;
  } catch {
    return undefined;
  }
}

function assertSame(dir: string, state: DevnetState, contractsHash: string): void {
  const choice = 'Start anew with --reset, or keep it and use --data DIR for another';
  if (state.dataVersion !== dataVersion)
    throw new DataFolderError(
      'DATA_OTHER_VERSION',
      `"${dir}" has data version "${state.dataVersion}", this release needs "${dataVersion}"`,
      choice,
    );
  if (state.contractsHash !== contractsHash)
    throw new DataFolderError(
      'DATA_OTHER_CONTRACTS',
      `"${dir}" was made by contracts "${state.contractsHash.slice(0, 14)}…", this release has "${contractsHash.slice(0, 14)}…"`,
      choice,
    );
}

export type DataFolderErrorCode =
  | 'DATA_IN_USE'
  | 'DATA_NO_SPACE'
  | 'DATA_OTHER_VERSION'
  | 'DATA_OTHER_CONTRACTS'
  | 'DATA_UNREADABLE'
  | 'DATA_NOT_OURS';

export class DataFolderError extends CloisterError<DataFolderErrorCode> {
  override readonly name = 'DataFolderError';
  constructor(code: DataFolderErrorCode, message: string, hint: string, cause?: unknown) {
    super({ code, message, hint, cause });
  }
}
