import type { AttestationDriver } from '@cloister/attestation/attest';
import { loadSimulatedRoot, openSimulatedPlatform, simulatedTdxDriver } from '@cloister/attestation/unsafe-simulated';
import type { TrustRoot } from '@cloister/attestation/verify';
import { zeroBytes32 } from '@cloister/core';

const noImage = new Uint8Array(48);

/**
 * The simulated device of a development network's folder, to try out what a device gives: its measurements are zeros, so no
 * network takes its evidence for a worker's. Throws SIMULATED_ROOT_MISSING, SIMULATED_FILE_MALFORMED.
 */
export async function openUnsafeSimulatedDriver(
  dir: string,
  now?: () => number,
): Promise<{ readonly driver: AttestationDriver; readonly roots: readonly TrustRoot[] }> {
  const { trustRoot } = await loadSimulatedRoot(dir);
  const driver = simulatedTdxDriver(async () => ({
    platform: await openSimulatedPlatform(dir, 'attest', now?.()),
    image: { mrtd: noImage, rtmr0: noImage, rtmr1: noImage, rtmr2: noImage },
    configId: zeroBytes32,
    ...(now === undefined ? {} : { now }),
  }));
  return { driver, roots: [trustRoot] };
}
