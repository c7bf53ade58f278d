import type { ChainAccount, RegistryReader } from '@cloister/chain';
import type { Bytes32, Manifest, NetworkFile } from '@cloister/core';
import type { Gateways } from './gateways.ts';
import { anchorSecrets, assertValuesFor, type SecretValues, sealSecrets } from './secrets.ts';
import type { Storage } from './storage/storage.ts';

export type SetSecretsComponents = {
  readonly account: ChainAccount;
  readonly registry: RegistryReader;
  readonly gateways: Gateways;
  readonly network: NetworkFile;
  readonly storage: Storage;
};

/** Seals, stores and anchors all values that an app's manifest lists; answers the bundle's id. Throws SECRETS_MISSING, REGISTRY_APP_UNKNOWN. */
export async function setSecrets(
  components: SetSecretsComponents,
  app: Bytes32,
  { secrets }: Pick<Manifest, 'secrets'>,
  { values, signal }: { readonly values: SecretValues; readonly signal?: AbortSignal },
): Promise<Bytes32> {
  const { account, registry, network, storage } = components;
  assertValuesFor(secrets, values);
  const { fields } = await registry.currentApp(app, undefined, signal);
  const sign = (digest: Bytes32) => account.signDigest(digest);
  const bundle = await sealSecrets({ network, app, keyVersion: fields.keyVersion, values, sign });
  const bundleId = await anchorSecrets(components, bundle, signal);
  await storage.claim(app, [bundleId], { account: account.local, ...(signal && { signal }) });
  return bundleId;
}
