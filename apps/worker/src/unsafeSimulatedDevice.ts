import path from 'node:path';
import { measureImage, openSimulatedPlatform, SimulatedTdxDevice } from '@cloister/attestation/unsafe-simulated';
import { type NetworkFile, networkFileId, teeTypes } from '@cloister/core';
import { processFiles } from '@cloister/service';
import { encodeAbiParameters } from 'viem';
import type { WorkerComponents } from './worker.ts';

export type UnsafeSimulatedDeviceInit = {
  readonly network: NetworkFile;
  readonly rootDir: string;
  readonly platform: string;
  /** The folder whose files are measured. */
  readonly imageRoot: string;
};

/**
 * The simulated TEE of development networks: measures this worker's real files, as a measured boot would, and signs with
 * keys that lie open on the disk.
 */
export async function openUnsafeSimulatedDevice(
  init: UnsafeSimulatedDeviceInit,
  signal: AbortSignal,
): Promise<Pick<WorkerComponents, 'device' | 'chainEvidence'>> {
  const platform = await openSimulatedPlatform(init.rootDir, init.platform);
  const image = await measureImage(await processFiles(path.resolve(init.imageRoot), 'apps/worker'), signal);
  const device = new SimulatedTdxDevice({ platform, image, configId: networkFileId(init.network) });
  return {
    device,
    async chainEvidence(document) {
      const { signedPart, platformId, validUntil, r, s } = await device.endorseForChain(document, init.network.chainId);
      const evidence = encodeAbiParameters(
        [{ type: 'bytes' }, { type: 'bytes16' }, { type: 'uint64' }, { type: 'uint256' }, { type: 'uint256' }],
        [signedPart, platformId, validUntil, BigInt(r), BigInt(s)],
      );
      return { teeType: teeTypes.tdx, evidence };
    },
  };
}
