import { cp, mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { createSimulatedRoot, createSimulatedSnpRoot } from '@cloister/attestation/unsafe-simulated';
import { EvidenceVerifier } from '@cloister/attestation/verify';
import { networkFileId } from '@cloister/core';
import { toHex } from '@cloister/crypto';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { SimulatedNetwork } from '../../../packages/sdk/test/simulatedNetwork.ts';
import {
  type UnsafeSimulatedDeviceInit,
  unsafeSimulatedDriver,
  unsafeSimulatedSnpDriver,
} from '../src/unsafeSimulatedDevice.ts';

const signal = AbortSignal.timeout(60_000);
const { execPath } = process;
let folder = '';
let runtime = '';
let network: SimulatedNetwork;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'cloister-device-'));
  network = await SimulatedNetwork.start();
  // The runtime is measured too; the real one is 100 MB.
  runtime = join(folder, 'runtime');
  await writeFile(runtime, 'a runtime');
  process.execPath = runtime;
  const files = {
    'apps/worker/package.json': '{"name":"@x/worker","dependencies":{"library":"1"}}',
    'apps/worker/src/main.ts': 'run();\n',
    'node_modules/library/package.json': '{"name":"library"}',
    'node_modules/library/index.js': 'library;\n',
  };
  for (const [path, text] of Object.entries(files)) {
    await mkdir(dirname(join(folder, 'one', path)), { recursive: true });
    await writeFile(join(folder, 'one', path), text);
  }
});
afterAll(async () => {
  process.execPath = execPath;
  await network.stop();
  await rm(folder, { recursive: true, force: true });
});

async function open(init: Omit<UnsafeSimulatedDeviceInit, 'network' | 'program'>) {
  const device = await unsafeSimulatedDriver({ network: network.file, program: 'apps/worker', ...init }).open({
    signal,
  });
  return { device };
}

async function imageOf(tree: string): Promise<string> {
  const { device } = await open({
    rootDir: join(folder, 'root'),
    platform: 'platform-0',
    imageRoot: join(folder, tree),
  });
  const root = await createSimulatedRoot(join(folder, 'root'));
  const evidence = await device.quote(new Uint8Array(64).fill(7), { signal });
  const claims = await new EvidenceVerifier({ roots: [root.trustRoot] }).verify(
    evidence,
    Math.floor(Date.now() / 1000),
  );
  expect(claims).toMatchObject({ simulated: true, reportData: toHex(new Uint8Array(64).fill(7)) });
  expect(claims.mrConfigId.slice(0, 66)).toBe(networkFileId(network.file));
  return claims.imageId;
}

test("measures the worker's real files: the same in another folder, another with one byte changed", async () => {
  await createSimulatedRoot(join(folder, 'root'));
  const image = await imageOf('one');
  await cp(join(folder, 'one'), join(folder, 'some/where/else'), { recursive: true });
  expect(await imageOf('some/where/else')).toBe(image);

  const seen = new Set([image]);
  const changedTree = join(folder, 'changed');
  const change = async (path: string, edit: (text: string) => string) => {
    await cp(join(folder, 'one'), changedTree, { recursive: true });
    const file = join(changedTree, path);
    await writeFile(file, edit(await readFile(file, 'utf8').catch(() => '')));
    seen.add(await imageOf('changed'));
    await rm(changedTree, { recursive: true });
  };
  await change('apps/worker/src/main.ts', (text) => `${text} `);
  await change('apps/worker/src/more.ts', () => '');
  await change('apps/worker/package.json', (text) => text.replace('{', '{ '));
  await change('node_modules/library/index.js', (text) => text.replace('library', 'Library'));
  await writeFile(runtime, 'another runtime');
  seen.add(await imageOf('one'));
  expect(seen.size).toBe(6);
});

test('as a SEV-SNP guest it says the same of the same files, by a chip of its own', async () => {
  const rootDir = join(folder, 'root');
  const { trustRoot } = await createSimulatedSnpRoot(rootDir);
  const verifier = new EvidenceVerifier({ roots: [trustRoot] });
  const claimsOf = async (tree: string) => {
    const init = { network: network.file, program: 'apps/worker', rootDir, platform: 'platform-0' } as const;
    const device = await unsafeSimulatedSnpDriver({ ...init, imageRoot: join(folder, tree) }).open({ signal });
    const evidence = await device.quote(new Uint8Array(64).fill(7), { signal });
    return verifier.verify(evidence, Math.floor(Date.now() / 1000));
  };
  const claims = await claimsOf('one');
  expect(claims).toMatchObject({ simulated: true, configId: networkFileId(network.file) });
  await cp(join(folder, 'one'), join(folder, 'other'), { recursive: true });
  expect((await claimsOf('other')).imageId).toBe(claims.imageId);
  await writeFile(join(folder, 'other', 'apps/worker/src/main.ts'), 'run() ;\n');
  expect((await claimsOf('other')).imageId).not.toBe(claims.imageId);
});
