import { spawnSync } from 'node:child_process';
import { mkdir, mkdtemp, readdir, readFile, rm, stat, symlink, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { type CodeReference, manifestOfKind, type WeightsList, weightsListBytes } from '@cloister/core';
import { randomBytes, SecretBytes, sha256, toHex } from '@cloister/crypto';
import { expect, test } from 'vitest';
import { memoryFolder } from '../src/models/memoryFolder.ts';
import { ModelLoader } from '../src/models/modelLoader.ts';
import { StubDriver, StubTenant } from './stubDriver.ts';

const never = new AbortController().signal;
const hash = `0x${'11'.repeat(32)}` as const;
const digest = `0x${'22'.repeat(32)}` as const;
const open: WeightsList = { format: 'cloister-weights-1', sha256: hash, bytes: 10, chunkBytes: 1_024, chunks: [hash] };
const sealedList = (): WeightsList => ({ ...open, key: new SecretBytes(randomBytes(32)) });

const loaderWith = (hasMemory = true) => {
  const dropped: string[] = [];
  const sealedWeights = {
    file: async () => '/memory/file',
    drop: async ({ key }: WeightsList) => void dropped.push(toHex(sha256(key?.reveal() ?? new Uint8Array()))),
  };
  const loader = new ModelLoader({
    weights: { file: async () => '/disk/file' },
    sealedWeights: hasMemory ? sealedWeights : undefined,
    engines: [{ name: 'llama-cpp', version: '1', nativeModules: [] }],
    device: { kind: 'tdx', quote: async () => Promise.reject(new Error('no quote is asked for')) },
  });
  return { loader, dropped };
};
const load = (loader: ModelLoader, list: WeightsList, sealed: CodeReference['sealed']) => {
  const code = { sha256: hash, bytes: 10, ...(sealed && { sealed }) };
  return loader.load(manifestOfKind('model', { name: 'sample', code }), weightsListBytes(list), never);
};

test('weights that are sealed lie in memory, and receipts name them by what the manifest says', async () => {
  const { loader } = loaderWith();
  const plain = await load(loader, open, undefined);
  expect([plain.source.weightsFile, plain.identity.weights]).toEqual(['/disk/file', hash]);
  const sealed = await load(loader, sealedList(), { digest, keyVersion: 1 });
  expect([sealed.source.weightsFile, sealed.identity.weights]).toEqual(['/memory/file', digest]);
});

test('sealed weights go with the last tenant that runs on them', async () => {
  const { loader, dropped } = loaderWith();
  const [one, other] = [
    await load(loader, sealedList(), { digest, keyVersion: 1 }),
    await load(loader, sealedList(), { digest, keyVersion: 1 }),
  ];
  const tenants = [one, other].map(({ around }) => around(new StubTenant(new StubDriver('model'), {} as never)));
  await tenants[0]?.close();
  expect(dropped).toEqual([]);
  await tenants[1]?.close();
  expect(dropped).toHaveLength(1);
});

test('sealed weights are held from when they are loaded: a tenant that closes meanwhile does not take them away', async () => {
  const { loader, dropped } = loaderWith();
  const tenantOf = ({ around }: Awaited<ReturnType<typeof load>>) =>
    around(new StubTenant(new StubDriver('model'), {} as never));
  const old = tenantOf(await load(loader, sealedList(), { digest, keyVersion: 1 }));
  const coming = await load(loader, sealedList(), { digest, keyVersion: 1 });
  await old.close();
  expect(dropped).toEqual([]);
  const next = tenantOf(coming);
  await next.close();
  await next.close();
  expect(dropped).toHaveLength(1);
});

test('sealed weights of which no tenant came go, too', async () => {
  const { loader, dropped } = loaderWith();
  const failed = await load(loader, sealedList(), { digest, keyVersion: 1 });
  await failed.release();
  await failed.release();
  expect(dropped).toHaveLength(1);
});

test('a key is not published, and what was to be sealed is not served open', async () => {
  const { loader } = loaderWith();
  await expect(load(loader, sealedList(), undefined)).rejects.toMatchObject({ code: 'APP_WEIGHTS_INVALID' });
  await expect(load(loader, open, { digest, keyVersion: 1 })).rejects.toMatchObject({ code: 'APP_WEIGHTS_INVALID' });
});

test('without a place in memory sealed weights are refused', async () => {
  const { loader } = loaderWith(false);
  await expect(load(loader, sealedList(), { digest, keyVersion: 1 })).rejects.toMatchObject({
    code: 'APP_FEATURE_UNAVAILABLE',
  });
});

test('that place is in memory, one for each process, where the system has it', async () => {
  const [one, other] = [await memoryFolder(), await memoryFolder()];
  if (one === undefined || other === undefined) {
    expect((await readFile('/proc/mounts', 'utf8').catch(() => '')).includes(' /dev/shm tmpfs ')).toBe(false);
    return;
  }
  expect(one).not.toBe(other);
  expect(path.dirname(one)).toBe('/dev/shm');
  expect((await stat(one)).mode & 0o777).toBe(0o700);
  await Promise.all([one, other].map((folder) => rm(folder, { recursive: true })));
});

test('what a killed worker left in memory is removed at the next start, also where its id is used again, and nothing else', async () => {
  const own = await memoryFolder();
  if (own === undefined) return;
  const memory = await mkdtemp('/dev/shm/cloister-test-');
  try {
    const [, pid, began] = /weights-(\d+)-(\d+)-/.exec(own) ?? [];
    const killed = spawnSync(process.execPath, ['-e', '']).pid;
    const left = [`cloister-weights-${killed}-1-AAAAAA`, `cloister-weights-${pid}-${Number(began) - 1}-AAAAAA`];
    const kept = [path.basename(own), 'cloister-weights-notes', 'other'];
    for (const name of [...left, ...kept]) {
      await mkdir(path.join(memory, name));
      await writeFile(path.join(memory, name, 'file'), 'plain weights', { mode: 0o444 });
    }
    await symlink(own, path.join(memory, `cloister-weights-${killed}-2-AAAAAA`));
    const made = await memoryFolder(memory);
    expect((await readdir(memory)).sort()).toEqual([...kept, path.basename(made ?? '')].sort());
    expect((await stat(own)).isDirectory()).toBe(true);
  } finally {
    await Promise.all([own, memory].map((folder) => rm(folder, { recursive: true })));
  }
});

test('a folder that is not in memory holds no sealed weights', async () => {
  expect(await memoryFolder(import.meta.dirname)).toBeUndefined();
});
