import { type Dialler, openSocket } from './gate/dialler.ts';
import { SandboxError } from './sandboxError.ts';

export type UnsafeLoopbackDiallerOptions = {
  /** What kind of evidence the worker gives. With 'real' this dialler can't be made. */
  readonly evidence: 'simulated' | 'real';
  /** Ports of this machine that stand in for places, such as `{ 'api.example.com:443': 8443 }`. */
  readonly routes: Readonly<Record<string, number>>;
  /** A certificate to trust in place of the system's roots. */
  readonly ca?: string;
};

/**
 * A dialler for tests, which connects to this machine where the gate has just made sure that nobody can. It only dials
 * places that have a route. Throws UNSAFE_ON_REAL_EVIDENCE where people are told that the evidence is real.
 */
export function unsafeLoopbackDialler({ evidence, routes, ca }: UnsafeLoopbackDiallerOptions): Dialler {
  // Not "is real": whatever isn't known to be simulated is treated as real.
  if (evidence !== 'simulated')
    throw new SandboxError({
      code: 'UNSAFE_ON_REAL_EVIDENCE',
      message: 'The loopback dialler cannot be used beside real evidence',
      meta: { evidence },
      hint: 'Leave the dialler out: the gate then dials the network',
    });
  return async ({ hostname, port, tls }, { signal }) => {
    const local = routes[`${hostname}:${port}`];
    if (local === undefined) throw new Error(`No route for "${hostname}:${port}"`);
    const connectTo = { host: '127.0.0.1', port: local };
    return openSocket({ hostname, tls, connectTo, ...(ca === undefined ? {} : { ca }) }, { signal });
  };
}
