import type { HeldLease, LeaseKeeper } from '@cloister/enclave';
import { silentLogger } from '@cloister/service';
import { expect, test } from 'vitest';
import { Gatekeeper, type GatekeeperComponents } from '../src/gatekeeper.ts';

test('is registered once its lease is, not before', async () => {
  const registered = Promise.withResolvers<HeldLease>();
  const lease = { registerPatiently: () => registered.promise } as unknown as LeaseKeeper;
  const gatekeeper = new Gatekeeper({ lease, log: silentLogger } as GatekeeperComponents, {
    operator: `0x${'0a'.repeat(20)}`,
    signer: `0x${'5e'.repeat(20)}`,
    hpkeKey: `0x${'09'.repeat(32)}`,
    simulated: true,
    sealsAtRest: true,
    tickMs: 1_000,
  });
  const stopped = new AbortController();
  const started = gatekeeper.start(stopped.signal, () => {});
  expect(gatekeeper.isRegistered).toBe(false);
  stopped.abort();
  registered.resolve({ leaseUntil: 1n } as HeldLease);
  await started;
  expect(gatekeeper.isRegistered).toBe(true);
});
