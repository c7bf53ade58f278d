import path from 'node:path';
import {
  measureImage,
  openSimulatedChip,
  openSimulatedPlatform,
  type SimulatedSnpDriver,
  type SimulatedTdxDriver,
  simulatedSnpDriver,
  simulatedTdxDriver,
} from '@cloister/attestation/unsafe-simulated';
import { type NetworkFile, networkFileId } from '@cloister/core';
import { processFiles } from '@cloister/service';

export type UnsafeSimulatedDeviceInit = {
  readonly network: NetworkFile;
  readonly rootDir: string;
  readonly platform: string;
  /** The folder whose files are measured, and the program in it. */
  readonly imageRoot: string;
  readonly program: 'apps/worker' | 'apps/gatekeeper';
};

/**
 * The simulated TEE of development networks: measures the program's real files when it is opened, as a measured boot would,
 * and signs with keys that lie open on the disk.
 */
export function unsafeSimulatedDriver(init: UnsafeSimulatedDeviceInit): SimulatedTdxDriver {
  return simulatedTdxDriver(async ({ signal }) => {
    const platform = await openSimulatedPlatform(init.rootDir, init.platform);
    const image = await measureImage(await processFiles(path.resolve(init.imageRoot), init.program), signal);
    return { platform, image, configId: networkFileId(init.network) };
  });
}

/** The same files in a simulated SEV-SNP guest, on a chip of the platform's name. */
export function unsafeSimulatedSnpDriver(init: UnsafeSimulatedDeviceInit): SimulatedSnpDriver {
  return simulatedSnpDriver(async ({ signal }) => {
    const chip = await openSimulatedChip(init.rootDir, init.platform);
    const image = await measureImage(await processFiles(path.resolve(init.imageRoot), init.program), signal);
    return { chip, image, configId: networkFileId(init.network) };
  });
}
