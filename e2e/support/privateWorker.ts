import fs from 'node:fs';
import path from 'node:path';
import { allowConfigCall } from '@cloister/chain';
import { type NetworkFile, networkFileId, parseNetworkFile } from '@cloister/core';
import { inRoot } from '../../scripts/lib/paths.ts';
import type { RunningDevnet } from '../devnet.ts';
import { spareOperator } from './accounts.ts';
import { type AppProcess, startApp } from './appProcess.ts';
import { ChainControl } from './chainControl.ts';

export type PrivateWorkerOptions = {
  readonly folder: string;
  readonly signal: AbortSignal;
  /** Default: the network's own file. Another one must have been allowed on the chain. */
  readonly networkFile?: string;
  /** Which simulated TEE it is in. @default 'unsafe-simulated-tdx' */
  readonly device?: 'unsafe-simulated-tdx' | 'unsafe-simulated-snp';
  /** The checkout that it runs from and is measured as. Default: this one. */
  readonly root?: string;
  /** Modules loaded before it, as URLs. */
  readonly imports?: readonly string[];
};

/** Starts one more worker beside a running network, under an operator of its own. */
export function startWorker(network: RunningDevnet, options: PrivateWorkerOptions): Promise<AppProcess> {
  const { folder, signal, root = inRoot() } = options;
  const operatorKeyFile = path.join(folder, 'operator.key');
  fs.writeFileSync(operatorKeyFile, spareOperator(network, 1).privateKey, { mode: 0o600 });
  return startApp('worker', {
    folder,
    signal,
    root,
    ...(options.imports === undefined ? {} : { imports: options.imports }),
    config: {
      networkFile: options.networkFile ?? network.file,
      operatorKeyFile,
      runDir: path.join(folder, 'run'),
      device: options.device ?? 'unsafe-simulated-tdx',
      unsafeSimulated: { rootDir: path.join(network.data, 'unsafe-dev-tee'), platform: 'platform-spare' },
      imageRoot: root,
      pooledSandboxes: 0,
    },
  });
}

/** Writes a network file that differs from the network's own in its gateways, and lets workers run with it. */
export async function allowNetworkFile(
  network: RunningDevnet,
  file: string,
  gateways: readonly string[],
): Promise<NetworkFile> {
  const other = parseNetworkFile({ ...network.network, gateways });
  fs.writeFileSync(file, JSON.stringify(other));
  const { imageRegistry } = network.network.contracts;
  await new ChainControl(network).govern(allowConfigCall(imageRegistry, networkFileId(other)));
  return other;
}
