import type { RegistryReader } from '@cloister/chain';
import {
  type Bytes32,
  CloisterError,
  differingEnforcedField,
  type Manifest,
  maxManifestBytes,
  parseManifest,
} from '@cloister/core';
import type { Gateways } from './gateways.ts';

/** An app's serving version, its manifest checked against the chain. */
export type ServingApp = {
  readonly app: Bytes32;
  readonly manifestId: Bytes32;
  readonly version: number;
  readonly manifest: Manifest;
};

/**
 * The manifest that an app serves now: its id from the chain, its bytes by that id, its enforced fields equal on both
 * sides. Throws APP_FIELDS_DIFFER, or what the chain or the gateways refuse.
 */
export async function readServingApp(
  registry: RegistryReader,
  gateways: Gateways,
  app: Bytes32,
  signal?: AbortSignal,
): Promise<ServingApp> {
  const serving = await registry.currentApp(app, undefined, signal);
  const manifest = parseManifest(await gateways.getBlob(serving.manifestId, maxManifestBytes, signal));
  const differing = differingEnforcedField(manifest, serving.fields);
  if (differing !== undefined)
    throw new AppFieldsError(serving.manifestId, differing.field, differing.stated, differing.enforced);
  return { app, manifestId: serving.manifestId, version: serving.version, manifest };
}

export class AppFieldsError extends CloisterError<'APP_FIELDS_DIFFER'> {
  override readonly name = 'AppFieldsError';
  constructor(manifest: Bytes32, field: string, stated: string, enforced: string) {
    super({
      code: 'APP_FIELDS_DIFFER',
      message: `Manifest "${manifest}" says ${field} "${stated}", the contract enforces "${enforced}"`,
      meta: { manifest, field },
      hint: 'Do not use this app; its owner must publish a version whose fields agree',
    });
  }
}
