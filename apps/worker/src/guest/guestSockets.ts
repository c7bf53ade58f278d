import { mkdir, rm } from 'node:fs/promises';
import path from 'node:path';
import { randomBytes, toHex } from '@cloister/crypto';
import { type GuestAgent, type GuestSocket, serveGuest } from '@cloister/guest';

/** A guest agent's socket, to be mounted where the app looks for it. */
export type OpenGuestSocket = GuestSocket & { readonly path: string };

/** The sockets on which guest agents listen for containers, in a folder that is this worker's alone. */
export class GuestSockets {
  readonly #directory: string;
  readonly #signal: AbortSignal;
  #ready: Promise<void> | undefined;

  /**
   * @param directory what an earlier worker left in it goes
   * @param signal ends all of them
   */
  constructor(directory: string, signal: AbortSignal) {
    this.#directory = directory;
    this.#signal = signal;
  }

  /** Throws GUEST_SOCKET_UNUSABLE. */
  async open(agent: GuestAgent): Promise<OpenGuestSocket> {
    this.#ready ??= this.#empty();
    try {
      await this.#ready;
    } catch (error) {
      this.#ready = undefined;
      throw error;
    }
    // No app can guess it, and an app's container gets its own socket alone, not this folder.
    const name = `${toHex(randomBytes(8)).slice(2)}.sock`;
    const socketPath = path.join(this.#directory, name);
    const { close } = await serveGuest({ path: socketPath, agent, signal: this.#signal });
    return { path: socketPath, close };
  }

  async #empty(): Promise<void> {
    await rm(this.#directory, { recursive: true, force: true });
    await mkdir(this.#directory, { recursive: true, mode: 0o700 });
  }
}
