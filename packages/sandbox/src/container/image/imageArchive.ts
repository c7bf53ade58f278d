import { createHash } from 'node:crypto';
import { tarOf } from './tarWriter.ts';

export type NewImage = {
  /** Tar archives without compression, lowest first. */
  readonly layers: readonly Uint8Array[];
  readonly entrypoint?: readonly string[];
  readonly command?: readonly string[];
  readonly environment?: readonly string[];
  readonly workingDir?: string;
};

/** An archive of one image for this kind of machine, in the form of `docker save`. The same input gives the same bytes. */
export function imageArchive({ layers, entrypoint, command, environment, workingDir }: NewImage): Buffer {
  const hexes = layers.map(hexOf);
  const config = Buffer.from(
    JSON.stringify({
      architecture: process.arch === 'x64' ? 'amd64' : process.arch,
      os: 'linux',
      config: { Entrypoint: entrypoint, Cmd: command, Env: environment, WorkingDir: workingDir },
      rootfs: { type: 'layers', diff_ids: hexes.map((hex) => `sha256:${hex}`) },
    }),
  );
  const configName = `${hexOf(config)}.json`;
  const layerNames = hexes.map((hex) => `${hex}.tar`);
  const description = [{ Config: configName, RepoTags: null, Layers: layerNames }];
  // Layers that are alike are there once.
  const unique = new Map(layerNames.map((name, index) => [name, layers[index] ?? new Uint8Array()]));
  return tarOf([
    { name: configName, content: config },
    ...[...unique].map(([name, content]) => ({ name, content })),
    { name: 'manifest.json', content: Buffer.from(JSON.stringify(description)) },
  ]);
}

function hexOf(bytes: Uint8Array): string {
  return createHash('sha256').update(bytes).digest('hex');
}
