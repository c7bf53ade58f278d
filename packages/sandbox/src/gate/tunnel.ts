import type { Socket } from 'node:net';
import { Transform } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { SandboxError } from '../sandboxError.ts';
import { serverNameIn } from './clientHello.ts';
import type { ForwardLimits } from './forward.ts';

export type Tunnel = {
  readonly socket: Socket;
  /** What the tenant sent together with its request. */
  readonly head: Buffer;
  /** A connection to the place that was checked. */
  readonly origin: Socket;
  /** The host that was checked. */
  readonly serverName: string;
  readonly limits: ForwardLimits;
  /** Told of bytes that go either way. */
  readonly passed: (bytes: number) => void;
  readonly signal: AbortSignal;
};

/** A first message longer than this is none that a client sends: with keys for times to come it has some two thousand. */
const maxHelloBytes = 16 * 1024;

/**
 * Takes bytes both ways, bounded, once the tenant has begun TLS with the host that was checked: behind one address there may
 * be other hosts, which the name in the first message chooses (RFC 6066 §3).
 */
export async function tunnel({ socket, head, origin, serverName, limits, passed, signal }: Tunnel): Promise<void> {
  try {
    socket.write('HTTP/1.1 200 Connection established\r\n\r\n');
    if (head.length > 0) socket.unshift(head);
    const hello = await firstMessage(socket, serverName, signal);
    origin.write(hello);
    passed(hello.length);
    await Promise.all([
      pipeline(socket, bounded(limits.requestBytes - hello.length, passed), origin, { signal }),
      pipeline(origin, bounded(limits.responseBytes, passed), socket, { signal }),
    ]);
  } finally {
    origin.destroy();
    socket.destroy();
  }
}

/** The bytes of the tenant's first message, which names the host. Throws OUTBOUND_REFUSED. */
async function firstMessage(socket: Socket, serverName: string, signal: AbortSignal): Promise<Buffer> {
  let bytes = Buffer.alloc(0);
  while (bytes.length <= maxHelloBytes) {
    const chunk = (socket.read() as Buffer | null) ?? (await readable(socket, signal));
    if (chunk === undefined) break;
    bytes = Buffer.concat([bytes, chunk]);
    const name = serverNameIn(bytes);
    if (name === 'more') continue;
    if (name !== undefined && name.toLowerCase() === serverName) return bytes;
    break;
  }
  throw new SandboxError({
    code: 'OUTBOUND_REFUSED',
    message: `A tunnel to "${serverName}" was used for something else`,
  });
}

function readable(socket: Socket, signal: AbortSignal): Promise<Buffer | undefined> {
  return new Promise((resolve, reject) => {
    const done = (): void => {
      socket.off('readable', take).off('end', end).off('error', fail);
      signal.removeEventListener('abort', fail);
    };
    const take = (): void => {
      const chunk = socket.read() as Buffer | null;
      if (chunk === null) return;
      done();
      resolve(chunk);
    };
    const end = (): void => {
      done();
      resolve(undefined);
    };
    const fail = (): void => {
      done();
      reject(signal.reason ?? new Error('The connection broke'));
    };
    socket.on('readable', take).once('end', end).once('error', fail);
    signal.addEventListener('abort', fail, { once: true });
  });
}

function bounded(limit: number, passed: (bytes: number) => void): Transform {
  let total = 0;
  return new Transform({
    transform(chunk: Buffer, _encoding, done) {
      total += chunk.length;
      if (total <= limit) {
        passed(chunk.length);
        return done(null, chunk);
      }
      done(new SandboxError({ code: 'OUTBOUND_REFUSED', message: `A tunnel has carried more than ${limit} bytes` }));
    },
  });
}
