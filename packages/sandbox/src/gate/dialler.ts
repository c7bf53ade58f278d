import { connect as connectTcp, isIP, type Socket } from 'node:net';
import { connect as connectTls } from 'node:tls';

/** Where to connect: the address has been checked, and no name is resolved again. */
export type DialTarget = {
  readonly hostname: string;
  /** An IP address, which is dialled as it is. */
  readonly address: string;
  readonly port: number;
  /** Speak TLS, and check that the certificate is for `hostname`. */
  readonly tls: boolean;
};

/** Opens a connection that is ready for HTTP/1.1. */
export type Dialler = (target: DialTarget, options: { signal: AbortSignal }) => Promise<Socket>;

/** Connects to the target itself. */
export const networkDialler: Dialler = (target, options) =>
  openSocket({ ...target, connectTo: { host: target.address, port: target.port } }, options);

export type SocketTarget = {
  readonly hostname: string;
  readonly tls: boolean;
  readonly connectTo: { readonly host: string; readonly port: number };
  /** Roots to trust in place of the system's. */
  readonly ca?: string;
};

/** TCP, with TLS on top where asked for; settles when the connection can be used. */
export function openSocket(target: SocketTarget, { signal }: { signal: AbortSignal }): Promise<Socket> {
  signal.throwIfAborted();
  const socket = target.tls
    ? connectTls({
        ...target.connectTo,
        // Server names are names, never addresses (RFC 6066 §3).
        ...(isIP(target.hostname) === 0 ? { servername: target.hostname } : {}),
        ...(target.ca === undefined ? {} : { ca: target.ca }),
        ALPNProtocols: ['http/1.1'],
        minVersion: 'TLSv1.2',
        rejectUnauthorized: true,
      })
    : connectTcp(target.connectTo);
  return new Promise((resolve, reject) => {
    const abort = (): void => {
      socket.destroy();
      reject(signal.reason);
    };
    signal.addEventListener('abort', abort, { once: true });
    socket.once(target.tls ? 'secureConnect' : 'connect', () => {
      signal.removeEventListener('abort', abort);
      socket.removeListener('error', reject);
      resolve(socket);
    });
    socket.once('error', reject);
  });
}
