import { constants } from 'node:fs';
import { chmod, mkdir, mkdtemp, open, readdir, rm, stat } from 'node:fs/promises';
import { connect, createServer, type Server } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { SandboxError } from '../sandboxError.ts';

/** The longest path of a directory in which the sockets of processes still fit: the system's limit (unix(7)) less their own names. */
const maxPathBytes = (process.platform === 'linux' ? 107 : 103) - '/0123456789ab/control.sock'.length;
const temporaryPrefix = 'cloister-sandbox-';

/** A directory that only this driver uses for as long as it runs. */
export type RunDirectory = {
  readonly path: string;
  /** The same directory, by a name short enough for the paths of sockets; for this process only. */
  readonly socketBase: string;
  readonly release: () => Promise<void>;
};

export type RunDirectoryInit = {
  /** How the names of temporary ones begin, of which only drivers that say the same remove what others left. */
  readonly prefix?: string;
  /** Ends what an owner that is gone left running out of a directory, before that is emptied. */
  readonly clear?: (directory: string) => Promise<void>;
};

/**
 * Takes a directory and empties it of what an earlier owner left. Without a path, it makes one among the system's
 * temporary files and removes those of owners that are gone. Throws RUN_DIR_IN_USE and RUN_DIR_TOO_LONG, and what `clear`
 * throws for the path.
 */
export async function takeRunDirectory(
  path: string | undefined,
  { prefix = temporaryPrefix, clear = async () => {} }: RunDirectoryInit = {},
): Promise<RunDirectory> {
  if (path === undefined) await removeAbandoned(prefix, clear);
  const directory = path ?? (await mkdtemp(join(tmpdir(), prefix)));
  await mkdir(directory, { recursive: true, mode: 0o700 });
  await chmod(directory, 0o700);
  const base = await shortName(directory);
  let lock: Server;
  try {
    lock = await lockDirectory(directory, base.path);
  } catch (error) {
    await base.release();
    throw error;
  }
  const unlock = async (): Promise<void> => {
    await new Promise<void>((resolve) => lock.close(() => resolve()));
    await base.release();
  };
  try {
    await clear(directory);
    for (const entry of await readdir(directory)) {
      if (entry !== lockName) await rm(join(directory, entry), { recursive: true, force: true });
    }
  } catch (error) {
    await unlock();
    throw error;
  }
  return {
    path: directory,
    socketBase: base.path,
    async release() {
      await unlock();
      // What an engine's last process still writes is gone a moment later.
      await rm(directory, { recursive: true, force: true, maxRetries: 10, retryDelay: 100 });
    },
  };
}

/** A long path is reached through a descriptor of the directory, where the system has that. */
async function shortName(directory: string): Promise<{ path: string; release: () => Promise<void> }> {
  const bytes = Buffer.byteLength(directory);
  if (bytes <= maxPathBytes) return { path: directory, release: async () => {} };
  if (process.platform === 'linux') {
    const handle = await open(directory, constants.O_RDONLY | constants.O_DIRECTORY);
    return { path: `/proc/self/fd/${handle.fd}`, release: () => handle.close() };
  }
  throw new SandboxError({
    code: 'RUN_DIR_TOO_LONG',
    message: `The path "${directory}" is too long for the sockets in it`,
    meta: { bytes, maxPathBytes },
    hint: `Choose a directory whose path has at most ${maxPathBytes} bytes`,
  });
}

const lockName = 'lock.sock';
/** A directory that is younger than this is nobody's to remove. */
const settledMs = 60_000;

/** Holds a socket open: the kernel lets go of it when its owner dies, however it dies. */
async function lockDirectory(directory: string, socketBase: string): Promise<Server> {
  const path = join(socketBase, lockName);
  if (await isListening(path))
    throw new SandboxError({
      code: 'RUN_DIR_IN_USE',
      message: `Another sandbox uses "${directory}"`,
      meta: { directory },
      hint: 'Give each worker a directory of its own',
    });
  await rm(path, { force: true });
  const server = createServer((socket) => socket.destroy());
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen(path, resolve);
  });
  server.unref();
  return server;
}

function isListening(path: string): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(path, () => {
      socket.destroy();
      resolve(true);
    });
    socket.once('error', () => resolve(false));
  });
}

async function removeAbandoned(prefix: string, clear: (directory: string) => Promise<void>): Promise<void> {
  for (const name of await readdir(tmpdir())) {
    if (!name.startsWith(prefix)) continue;
    const directory = join(tmpdir(), name);
    // Its owner may be about to take it: between making a directory and holding its lock there is a moment.
    const changedMs = await stat(directory).then(
      ({ mtimeMs }) => mtimeMs,
      () => Number.POSITIVE_INFINITY,
    );
    if (Date.now() - changedMs < settledMs) continue;
    // One that is held is in use. Another user's can't be removed, nor read; what can't be cleared stays for the next start.
    await lockDirectory(directory, directory)
      .then((lock) =>
        clear(directory)
          .then(() => rm(directory, { recursive: true, force: true }))
          .finally(() => lock.close()),
      )
      .catch(() => {});
  }
}
