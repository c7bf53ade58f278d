import assert from 'node:assert/strict';
import path from 'node:path';
import { type Bytes32, canonicalJson, freePrice, functionManifest, type Manifest } from '@cloister/core';
import { randomBytes, sha256, toHex, utf8 } from '@cloister/crypto';
import { createClient, type DeployOptions } from '@cloister/sdk';
import type { RunningDevnet } from '../devnet.ts';
import type { Scenario, ScenarioContext } from '../scenario.ts';
import { accountsOf } from '../support/accounts.ts';
import { clientOf, handler, textOf } from '../support/apps.ts';
import { HostileGateway, type Relayed } from '../support/hostileGateway.ts';
import { allowNetworkFile, startWorker } from '../support/privateWorker.ts';
import { type Publication, publish } from '../support/publish.ts';
import { callRaw, verifiedWorker } from '../support/rawCalls.ts';
import { refusedByContract, refusedWith } from '../support/refusals.ts';

const code = utf8(handler('return new Response("ran");'));
const manifest = functionManifest({ name: 'bad-manifests', code: { sha256: toHex(sha256(code)), bytes: code.length } });

type Published = Publication & {
  readonly name: string;
  /** How the SDK refuses the app before it asks any worker; undefined where that is for the worker. */
  readonly client?: string;
  /** How a worker refuses it, in an attested answer. */
  readonly worker: string;
};

/** Manifests that are wrong, as a developer could publish them all the same. */
const published: readonly Published[] = [
  {
    name: 'a field that nobody knows',
    manifest: { ...manifest, trustMe: true },
    client: 'SCHEMA_MISMATCH',
    worker: 'APP_MANIFEST_INVALID',
  },
  {
    name: 'a field that nobody knows, further in',
    manifest: { ...manifest, limits: { ...manifest.limits, gpuBytes: 1 } },
    client: 'SCHEMA_MISMATCH',
    worker: 'APP_MANIFEST_INVALID',
  },
  ...(
    [
      ['memoryBytes', 1e15],
      ['memoryBytes', -1],
      ['wallMs', 0],
      ['wallMs', 1e12],
      ['outputBytes', 0.5],
      ['maxConcurrent', 1e6],
    ] as const
  ).map(
    ([limit, value]): Published => ({
      name: `an absurd limit: ${limit} of ${value}`,
      manifest: { ...manifest, limits: { ...manifest.limits, [limit]: value } },
      client: 'SCHEMA_MISMATCH',
      worker: 'APP_MANIFEST_INVALID',
    }),
  ),
  {
    name: 'a missing field',
    manifest: Object.fromEntries(Object.entries(manifest).filter(([name]) => name !== 'code')),
    client: 'SCHEMA_MISMATCH',
    worker: 'APP_MANIFEST_INVALID',
  },
  {
    name: 'JSON in another form than the canonical one',
    manifest: JSON.stringify(JSON.parse(canonicalJson(manifest)), null, 1),
    client: 'JSON_NOT_CANONICAL',
    worker: 'APP_MANIFEST_INVALID',
  },
  {
    name: 'no JSON',
    manifest: 'export default {}',
    client: 'JSON_MALFORMED',
    worker: 'APP_MANIFEST_INVALID',
  },
  {
    name: 'fields that the chain states otherwise',
    manifest,
    fields: { replicas: 3 },
    client: 'APP_FIELDS_DIFFER',
    worker: 'APP_FIELDS_DIFFER',
  },
  {
    name: 'a notice that the chain does not enforce',
    manifest: { ...manifest, upgrade: { noticeSeconds: 86_400, vetoer: null } },
    client: 'APP_FIELDS_DIFFER',
    worker: 'APP_FIELDS_DIFFER',
  },
  {
    name: 'a manifest that nobody has stored',
    manifest: { ...manifest, name: 'bad-manifests-hidden' },
    stored: false,
    client: 'BLOB_UNAVAILABLE',
    worker: 'BLOB_UNAVAILABLE',
  },
  {
    name: 'code that nobody has stored',
    manifest: { ...manifest, code: { sha256: toHex(sha256(utf8('nobody has this'))), bytes: 15 } },
    worker: 'BLOB_UNAVAILABLE',
  },
  {
    name: 'code of another length than it says',
    manifest: { ...manifest, code: { ...manifest.code, bytes: code.length + 1 } },
    worker: 'APP_CODE_MISMATCH',
  },
  ...(
    [
      ['determinism', { determinism: 'deterministic' }],
      ['redundancy', { redundancy: { k: 2, n: 3, compare: 'exact' } }],
      ['runtime', { runtime: { ...manifest.runtime, name: 'quickjs' } }],
    ] as const
  ).map(
    ([feature, change]): Published => ({
      name: `a feature that this release lacks: ${feature}`,
      manifest: { ...manifest, ...change },
      worker: 'APP_FEATURE_UNAVAILABLE',
    }),
  ),
];

export const scenario: Scenario = {
  title: 'A manifest that is wrong, or that storage has changed, is refused by name, by the SDK and by the worker',
  async run(context) {
    const { note } = context;
    const network = await context.network();
    const url = network.network.gateways[0] ?? '';
    const client = clientOf(network);
    const worker = await verifiedWorker(client);
    await client.gateways.putBlob(code);
    const workerSays = async (app: Bytes32, manifestId: Bytes32) => {
      const { status, body, receipt } = await callRaw(client, url, worker, { app, manifest: manifestId });
      assert.ok(status >= 400 && receipt.receipt.status !== 0);
      assert.equal(receipt.receipt.manifest, `0x${'0'.repeat(64)}`, 'no code of the app made this answer');
      return (JSON.parse(new TextDecoder().decode(body)) as { code: string }).code;
    };

    for (const { name, client: byClient, worker: byWorker, ...publication } of published) {
      note(name);
      const { app, manifestId } = await publish(network, publication);
      assert.equal(await workerSays(app, manifestId), byWorker, name);
      if (byClient !== undefined) await refusedWith(byClient, client.call(app));
      else {
        const result = await client.call(app);
        assert.ok(!result.ok && result.receipt.details.code === byWorker, name);
      }
    }

    note('an app and a manifest that do not exist');
    const nobody = toHex(randomBytes(32));
    assert.equal(await workerSays(nobody, nobody), 'APP_UNKNOWN');
    await refusedWith('REGISTRY_APP_UNKNOWN', client.call(nobody));
    const good = await publish(network, { manifest, blobs: [code] });
    assert.equal(await workerSays(good.app, nobody), 'APP_OTHER_MANIFEST');
    await refusedWith('CLIENT_OTHER_MANIFEST', client.call(good.app, {}, { manifest: nobody }));
    assert.equal(textOf(await client.call(good.app, {}, { manifest: good.manifestId })), 'ran');

    await refusesToDeploy(network, note);
    await lyingStore(context, network);
  },
};

/** The SDK and the chain refuse before anything is published. */
async function refusesToDeploy(network: RunningDevnet, note: (line: string) => void): Promise<void> {
  const { developer } = accountsOf(network);
  const deploy = (change: object) => {
    const options = {
      account: developer.privateKey,
      code,
      name: 'bad-manifests',
      manifest: change as DeployOptions['manifest'],
    };
    return clientOf(network).deploy({ ...options, manifest: options.manifest ?? {} });
  };
  note('what can not be deployed');
  for (const [change, expected] of [
    [{ trustMe: true }, 'SCHEMA_MISMATCH'],
    [{ limits: { memoryBytes: 1e15 } }, 'SCHEMA_MISMATCH'],
    [{ outbound: ['https://example.com/path'] }, 'SCHEMA_MISMATCH'],
    [{ env: { 'not a name': '' } }, 'SCHEMA_MISMATCH'],
    [{ env: { TOKEN: '' }, secrets: ['TOKEN'] }, 'MANIFEST_NAME_REPEATED'],
    [{ redundancy: { k: 3, n: 2, compare: 'exact' } }, 'MANIFEST_REDUNDANCY_IMPOSSIBLE'],
    [{ secrets: ['TOKEN'] }, 'SECRETS_MISSING'],
    [{ price: { ...freePrice, perCpuMs: '9'.repeat(28) } }, 'PRICE_OUT_OF_RANGE'],
  ] as const)
    await refusedWith(expected, deploy(change));
  for (const [fields, expected] of [
    [{ replicas: 0 }, 'AppRegistryReplicasOutOfRange'],
    [{ kind: 9 }, 'AppRegistryKindInvalid'],
    [{ imagePolicy: 9 }, 'AppRegistryImagePolicyInvalid'],
    [{ keyVersion: 0 }, 'AppRegistryKeyVersionsInvalid'],
    [{ upgradeNoticeSeconds: 4_000_000_000 }, 'AppRegistryNoticeTooLong'],
  ] as const)
    await refusedByContract(expected, publish(network, { manifest, fields }));
}

/** A gateway that stores one thing and serves another: to a client, and to a worker that asks it first. */
async function lyingStore({ folder, signal, note }: ScenarioContext, network: RunningDevnet): Promise<void> {
  const real = network.network.gateways[0] ?? '';
  const store = await HostileGateway.start(real);
  const isBlob = ({ method, path: at }: Relayed) => method === 'GET' && at.startsWith('/v1/blobs/');
  const other = utf8(handler('return new Response("something else ran");'));
  const lie = {
    answer: <T extends { readonly body: Uint8Array }>(answer: T, request: Relayed): T =>
      isBlob(request) ? { ...answer, status: 200, body: other } : answer,
  };
  try {
    note('a store that serves other bytes to a client');
    const good = await publish(network, { manifest, blobs: [code] });
    await store.during(lie, () =>
      refusedWith('BLOB_UNAVAILABLE', clientOf(network, { gateways: [store.url] }).call(good.app)),
    );
    await store.during(lie, async () => {
      const result = await clientOf(network, { gateways: [store.url, real] }).call(good.app);
      assert.equal(textOf(result), 'ran', 'the next gateway has the right bytes');
    });

    note('a store that serves other bytes to a worker');
    const networkFile = path.join(folder, 'network.json');
    const lied = await allowNetworkFile(network, networkFile, [store.url, real]);
    const worker = await startWorker(network, { folder, signal, networkFile });
    try {
      const client = createClient({ network: lied, gateways: [real] });
      const verified = await verifiedWorker(client, String(worker.ready.workerId));
      const ask = ({ app, manifestId }: { app: Bytes32; manifestId: Bytes32 }) =>
        callRaw(client, real, verified, { app, manifest: manifestId });
      await store.during(lie, async () => {
        const answer = await ask(good);
        assert.equal(new TextDecoder().decode(answer.body), 'ran', 'the next gateway has the right bytes');
        assert.ok(
          store.exchanges.some(({ request }) => isBlob(request)),
          'the lying store was asked',
        );
      });
      const onlyThere: Manifest = { ...manifest, name: 'bad-manifests-withheld' };
      const withheld = await publish(network, { manifest: onlyThere, stored: false });
      await store.during(lie, async () => {
        const { receipt } = await ask(withheld);
        assert.deepEqual([receipt.receipt.status, receipt.details.code], [1, 'BLOB_UNAVAILABLE']);
      });

      note('and it could not pose as the gateway that the worker dialled');
      assert.match(worker.log(), /DIAL_OTHER_GATEWAY/);
      const fromWorker = (await verifiedWorker(client, String(worker.ready.workerId))).workerId;
      assert.equal(fromWorker, verified.workerId);
    } finally {
      await worker.stop();
    }
  } finally {
    await store.stop();
  }
}
