import { appRegistryAbi } from '@cloister/chain';
import { appId, type Bytes32, canonicalJson, type EnforcedFields } from '@cloister/core';
import { randomBytes, sha256, toHex, utf8 } from '@cloister/crypto';
import type { RunningDevnet } from '../devnet.ts';
import { accountsOf } from './accounts.ts';
import { clientOf } from './apps.ts';
import { ChainControl } from './chainControl.ts';

/** What a developer publishes who goes round the SDK: any text as manifest, any fields on the chain. */
export type Publication = {
  /** JSON, canonical unless it is text already. */
  readonly manifest: object | string;
  readonly fields?: Partial<EnforcedFields>;
  /** Stored under their hash; left out where nobody shall have them. */
  readonly blobs?: readonly Uint8Array[];
  /** Whether the manifest's bytes are stored. Default true. */
  readonly stored?: boolean;
};

const plain: EnforcedFields = {
  upgradeNoticeSeconds: 0,
  keyVersion: 1,
  minKeyVersion: 1,
  kind: 0,
  imagePolicy: 0,
  replicas: 2,
  stateful: false,
  vetoer: '0x0000000000000000000000000000000000000000',
};

/** Publishes it as a new app of the developer's. */
export async function publish(
  network: RunningDevnet,
  publication: Publication,
): Promise<{ readonly app: Bytes32; readonly manifestId: Bytes32 }> {
  const { manifest, fields, blobs = [], stored = true } = publication;
  const { developer } = accountsOf(network);
  const bytes = utf8(typeof manifest === 'string' ? manifest : canonicalJson(manifest as never));
  const { gateways } = clientOf(network);
  for (const blob of stored ? [...blobs, bytes] : blobs) await gateways.putBlob(blob);
  const manifestId = toHex(sha256(bytes));
  const salt = toHex(randomBytes(32));
  await new ChainControl(network).account(developer).write({
    address: network.network.contracts.appRegistry,
    abi: appRegistryAbi,
    functionName: 'create',
    args: [salt, manifestId, { ...plain, ...fields }],
  });
  return { app: appId(developer.address, salt), manifestId };
}
