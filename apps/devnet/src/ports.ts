import { createServer } from 'node:net';
import { CloisterError } from '@cloister/core';

/** A free port of loopback, for a folder that has none yet. */
export async function freePort(): Promise<number> {
  return listenOnce(0, 'a free port');
}

/** That a remembered port can be used. Throws PORT_TAKEN. */
export async function assertPortFree(port: number, purpose: string): Promise<void> {
  await listenOnce(port, purpose);
}

function listenOnce(port: number, purpose: string): Promise<number> {
  return new Promise((resolve, reject) => {
    const server = createServer();
    server.once('error', (cause: NodeJS.ErrnoException) => reject(new PortError(port, purpose, cause)));
    server.listen(port, '127.0.0.1', () => {
      const address = server.address();
      server.close(() => resolve(typeof address === 'object' && address !== null ? address.port : port));
    });
  });
}

export class PortError extends CloisterError<'PORT_TAKEN'> {
  override readonly name = 'PortError';
  constructor(port: number, purpose: string, cause: NodeJS.ErrnoException) {
    super({
      code: 'PORT_TAKEN',
      message: `Port "${port}" of 127.0.0.1, which this folder uses for ${purpose}, can't be had (${cause.code})`,
      hint: 'End the program that uses it, or start with another --data DIR',
      cause,
    });
  }
}
