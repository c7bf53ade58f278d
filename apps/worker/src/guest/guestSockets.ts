import { mkdir, rm } from 'node:fs/promises';
import path from 'node:path';
import { randomBytes, toHex } from '@cloister/crypto';
import { type GuestAgent, type GuestSocket, serveGuest } from '@cloister/guest';

/** A guest agent's socket, to be mounted where the app looks for it. */
export type OpenGuestSocket = GuestSocket & { readonly path: string };

/** The sockets on which guest agents listen for containers, in a folder that is this worker's alone. */
export class GuestSockets {
  readonly #directory: string;
  #ready: Promise<void> | undefined;

  /** @param directory what an earlier worker left in it goes */
  constructor(directory: string) {
    this.#directory = directory;
  }

  /** Throws GUEST_SOCKET_UNUSABLE. */
  async open(agent: GuestAgent): Promise<OpenGuestSocket> {
    this.#ready ??= this.#empty();
    await this.#ready;
    const name = `${toHex(randomBytes(8)).slice(2)}.sock`;
    const socketPath = path.join(this.#directory, name);
    const { close } = await serveGuest({ path: socketPath, agent, signal: new AbortController().signal });
    return { path: socketPath, close };
  }

  async #empty(): Promise<void> {
    await rm(this.#directory, { recursive: true, force: true });
    await mkdir(this.#directory, { recursive: true, mode: 0o700 });
  }
}
