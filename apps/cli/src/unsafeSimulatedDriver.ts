import type { AttestationDriver } from '@cloister/attestation/attest';
import {
  loadSimulatedRoot,
  loadSimulatedSnpRoot,
  openSimulatedChip,
  openSimulatedPlatform,
  simulatedSnpDriver,
  simulatedSnpDriverName,
  simulatedTdxDriver,
} from '@cloister/attestation/unsafe-simulated';
import type { TrustRoot } from '@cloister/attestation/verify';
import { zeroBytes32 } from '@cloister/core';

const noRegister = new Uint8Array(48);
const image = { mrtd: noRegister, rtmr0: noRegister, rtmr1: noRegister, rtmr2: noRegister };

/**
 * The simulated device of that name, or the one for TDX, of a development network's folder, to try out what a device gives: its
 * measurements are of nothing, so no network takes its evidence for a worker's. Throws SIMULATED_ROOT_MISSING,
 * SIMULATED_FILE_MALFORMED.
 */
export async function openUnsafeSimulatedDriver(
  name: string,
  dir: string,
  now?: () => number,
): Promise<{ readonly driver: AttestationDriver; readonly roots: readonly TrustRoot[] }> {
  const parts = { image, configId: zeroBytes32, ...(now === undefined ? {} : { now }) };
  if (name === simulatedSnpDriverName) {
    const { trustRoot } = await loadSimulatedSnpRoot(dir);
    const chip = () => openSimulatedChip(dir, 'attest', now?.());
    return { driver: simulatedSnpDriver(async () => ({ chip: await chip(), ...parts })), roots: [trustRoot] };
  }
  const { trustRoot } = await loadSimulatedRoot(dir);
  const platform = () => openSimulatedPlatform(dir, 'attest', now?.());
  return { driver: simulatedTdxDriver(async () => ({ platform: await platform(), ...parts })), roots: [trustRoot] };
}
