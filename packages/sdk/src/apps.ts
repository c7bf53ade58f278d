import type { RegistryReader } from '@cloister/chain';
import {
  type Address,
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

/** `name` is null where no gateway has the manifest. */
export type ListedApp = {
  readonly app: Bytes32;
  readonly name: string | null;
  readonly version: number;
  readonly manifestId: Bytes32;
};

/** The apps that an account created, with what they serve now. */
export async function appsOf(
  { registry, gateways }: { readonly registry: RegistryReader; readonly gateways: Gateways },
  owner: Address,
  signal: AbortSignal | undefined,
): Promise<ListedApp[]> {
  const created = await registry.appsCreatedBy(owner, signal);
  return Promise.all(
    created.map(async (app) => {
      const { manifestId, version } = await registry.currentApp(app, undefined, signal);
      const name = await readServingApp(registry, gateways, app, signal).then(
        ({ manifest }) => manifest.name,
        () => null,
      );
      return { app, name, version, manifestId };
    }),
  );
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
