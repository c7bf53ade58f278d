import {
  type AttestationDevice,
  type AttestationDriver,
  type CollateralPlaces,
  collateralFetchers,
  machineDrivers,
  selectDevice,
} from '@cloister/attestation/attest';
import { networkTrustRoots } from '@cloister/attestation/verify';
import type { NetworkFile } from '@cloister/core';
import type { Logger } from '@cloister/service';

export type EnclaveDeviceInit = {
  readonly network: NetworkFile;
  /** A driver's name. Undefined takes the device that this machine has. */
  readonly wanted: string | undefined;
  readonly collateral: CollateralPlaces;
  readonly dstackEndpoint?: string | undefined;
  readonly privilegeLevel?: number | undefined;
  /** Beside the drivers of real devices; they are opened only by name, and never where a real device is. */
  readonly simulated: readonly AttestationDriver[];
  readonly log: Logger;
};

/** The device whose evidence this service registers with; says in the log which one it is. Throws DeviceError. */
export async function selectEnclaveDevice(init: EnclaveDeviceInit, signal: AbortSignal): Promise<AttestationDevice> {
  const { network, wanted, collateral, dstackEndpoint, privilegeLevel, simulated, log } = init;
  const real = machineDrivers({
    // A root of a real network is one that the verifier has pinned; it refuses any other that calls itself real.
    roots: networkTrustRoots(network.trustRoots),
    fetchers: collateralFetchers(collateral),
    dstackEndpoint,
    privilegeLevel,
  });
  const device = await selectDevice([...real, ...simulated], { wanted, signal });
  const { name, kind, provider, sealsAtRest } = device;
  log[device.simulated ? 'warn' : 'info']('device: chosen', {
    device: name,
    kind,
    provider,
    simulated: device.simulated,
    sealsAtRest,
  });
  return device;
}
