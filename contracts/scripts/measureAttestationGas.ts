import {
  collateralSubmissions,
  fullEvidence,
  knownKeyEvidence,
  rememberingEvidence,
} from '@cloister/attestation/onchain';
import type { Hex } from 'viem';
import { submit } from '../test/support/attestation.ts';
import type { AttestationWorld } from '../test/support/attestationWorld.ts';
import { enroll, signerOf } from '../test/support/world.ts';

/** Takes down the gas of a transaction under an id, and gives its hash. */
export type Measure = (id: string, hash: Hex) => Promise<Hex>;

const idOf = {
  'root-crl': 'root-crl-publish',
  'pck-ca': 'pck-ca-publish',
  'tcb-signer': 'tcb-signer-publish',
  'pck-crl': 'pck-crl-publish',
  'tcb-info': 'tcb-publish',
  'qe-identity': 'qe-identity-publish',
} as const;

/** What verification costs by itself, and workers that register and renew by it: the first one is left registered. */
export async function measureAttestationGas(world: AttestationWorld, measure: Measure): Promise<void> {
  const { attestation, platform } = world;
  for (const submission of collateralSubmissions(platform.collateral))
    await measure(idOf[submission.what], await submit(attestation, submission));
  await measure('pck-register', await attestation.pckRegistry.write.registerPck([platform.certificate]));

  const [first, second, third] = [1, 2, 3].map((seed) => signerOf(seed).address) as [Hex, Hex, Hex];
  await measure('enroll', await world.workers.write.enroll({ account: world.operator.account }));
  await measure('register-new-platform', await world.register(0n, first));
  await enroll(world);
  await measure('register-known-platform', await world.register(1n, second));
  await measure('renew-lease', await world.register(0n, first));
  await world.register(0n, first, rememberingEvidence);
  await measure('renew-lease-known-key', await world.register(0n, first, knownKeyEvidence));
  await measure('replace-signer', await world.register(1n, third, knownKeyEvidence));

  const { quote } = await world.quoteFor(first);
  const { tdx } = attestation;
  await measure('quote-verify', await tdx.write.verify([fullEvidence(quote)]));
  await measure('quote-verify-known-key', await tdx.write.verify([knownKeyEvidence(quote)]));
}
