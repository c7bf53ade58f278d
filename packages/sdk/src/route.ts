import type { VerifiedWorker } from './verifyWorker.ts';

/** A way to a worker: its gateway, and what was verified about it. */
export type Route = { readonly gateway: string; readonly worker: VerifiedWorker };

/** Where a call may go, best first, and in words why other workers were left out. */
export type Routes = { readonly usable: readonly Route[]; readonly unusable: readonly string[] };
