import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { measureImage } from '@cloister/attestation/unsafe-simulated';
import { networkFileId, parseNetworkFile } from '@cloister/core';
import { processFiles } from '@cloister/service';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { changeOneByte, copyWorker } from '../../e2e/support/copyWorker.ts';
import { imageArguments, readImageOptions } from '../../scripts/lib/imageOptions.ts';
import { makeImage } from '../../scripts/lib/imageReference.ts';
import { inRoot } from '../../scripts/lib/paths.ts';
import { runNode } from '../../scripts/lib/runProcess.ts';

const signal = AbortSignal.timeout(120_000);
const network = {
  format: 'cloister-network-1',
  name: 'somewhere',
  chainId: 1,
  contracts: Object.fromEntries(
    [
      'timelock',
      'phaToken',
      'imageRegistry',
      'workerRegistry',
      'appRegistry',
      'gatekeeperCommittee',
      'epochRecords',
      'payments',
      'stakePools',
      'workerBonds',
      'slashing',
      'emission',
      'epochRewards',
      'storageRent',
      'governor',
    ].map((name, index) => [name, `0x${String(index + 1).padStart(40, '0')}`]),
  ),
  rpcs: ['https://rpc.example'],
  gateways: ['https://gateway.example'],
  trustRoots: [{ tee: 'tdx', spkiSha256: `0x${'11'.repeat(32)}`, simulated: false, name: 'Root' }],
  networkKeys: null,
  simulated: false,
};

const canBuild = process.platform === 'linux';
let folder = '';
const at = (...parts: string[]) => path.join(folder, ...parts);
const options = (...argv: string[]) => readImageOptions(['--no-base', ...argv]);
const made = (...argv: string[]) => makeImage(options(...argv), signal);
const blob = (out: string, digest: string) => fs.readFileSync(path.join(out, 'oci/blobs', digest.replace(':', '/')));

/** In the short run what is large among the installed files stands as a few bytes: each image would be 330 MB more, of nothing else. */
const isLong = process.env.CLOISTER_LONG === '1';
const largeBytes = 16 * 1024 * 1024;

function shortenLarge(modules: string): void {
  for (const file of fs.readdirSync(modules, { recursive: true, encoding: 'utf8' })) {
    const whole = path.join(modules, file);
    const stat = fs.lstatSync(whole);
    if (!stat.isFile() || stat.size < largeBytes) continue;
    // A link to the installed file, which stays as it is.
    fs.rmSync(whole);
    fs.writeFileSync(whole, file, { mode: stat.mode });
  }
}

beforeAll(async () => {
  folder = fs.mkdtempSync(path.join(os.tmpdir(), 'cloister-image-'));
  await copyWorker(at('checkout'));
  if (!isLong) shortenLarge(at('checkout/node_modules'));
  if (!canBuild) return;
  // Links where they can be: what others wrote has 350 MB.
  fs.cpSync(at('checkout/apps'), at('elsewhere/copy/apps'), { recursive: true });
  fs.cpSync(at('checkout/packages'), at('elsewhere/copy/packages'), { recursive: true });
  expect(spawnSync('cp', ['-al', at('checkout/node_modules'), at('elsewhere/copy/node_modules')]).status).toBe(0);
}, 120_000);
afterAll(() => fs.rmSync(folder, { recursive: true, force: true }));

describe.skipIf(!canBuild)('the image of the worker', () => {
  test('is the same, byte for byte, from two folders in two processes', { timeout: 120_000 }, async () => {
    const run = await runNode([
      inRoot('scripts/image.ts'),
      '--no-base',
      '--json',
      '--root',
      at('checkout'),
      '--out',
      at('first'),
    ]);
    expect(run).toMatchObject({ code: 0, stderr: '' });
    const first = JSON.parse(run.stdout);
    const second = await made('--root', at('elsewhere/copy'), '--out', at('second'));
    expect(second.oci?.digest).toBe(first.oci.digest);
    expect(second.imageId).toBe(first.imageId);
    const blobs = fs.readdirSync(at('first/oci/blobs/sha256')).sort();
    expect(blobs).toHaveLength(5);
    expect(fs.readdirSync(at('second/oci/blobs/sha256')).sort()).toEqual(blobs);
    for (const file of ['oci-layout', 'index.json', ...blobs.map((name) => `blobs/sha256/${name}`)])
      expect(spawnSync('cmp', [at('first/oci', file), at('second/oci', file)]).status, file).toBe(0);
    expect(JSON.parse(fs.readFileSync(at('first/reference.json'), 'utf8'))).toEqual(first);
  });

  test('is a layout that leads from its index to every layer by hash and size', () => {
    const out = at('first');
    expect(JSON.parse(fs.readFileSync(at('first/oci/oci-layout'), 'utf8'))).toEqual({ imageLayoutVersion: '1.0.0' });
    const [found] = JSON.parse(fs.readFileSync(at('first/oci/index.json'), 'utf8')).manifests;
    const manifest = JSON.parse(blob(out, found.digest).toString());
    for (const { digest, size } of [found, manifest.config, ...manifest.layers]) {
      const bytes = blob(out, digest);
      expect(bytes.length).toBe(size);
      expect(`sha256:${createHash('sha256').update(bytes).digest('hex')}`).toBe(digest);
    }
    const config = JSON.parse(blob(out, manifest.config.digest).toString());
    expect(config.rootfs.diff_ids).toEqual(manifest.layers.map(({ digest }: { digest: string }) => digest));
    expect(config.created).toBeUndefined();
    expect(JSON.stringify([config, manifest])).not.toContain(os.hostname());
  });

  test('holds the very files that the simulated TEE measures, and starts', { timeout: 120_000 }, async () => {
    const manifest = JSON.parse(
      blob(at('first'), JSON.parse(fs.readFileSync(at('first/oci/index.json'), 'utf8')).manifests[0].digest).toString(),
    );
    fs.mkdirSync(at('unpacked'));
    for (const { digest } of manifest.layers) {
      const file = at('first/oci/blobs', digest.replace(':', '/'));
      expect(spawnSync('tar', ['-xf', file, '-C', at('unpacked')]).status).toBe(0);
    }
    const inside = await processFiles(at('unpacked/opt/cloister'), 'apps/worker');
    const runtime = at('unpacked/usr/local/bin/node');
    const measured = await measureImage({ ...inside, runtime }, signal);
    expect(measured.imageId).toBe(JSON.parse(fs.readFileSync(at('first/reference.json'), 'utf8')).imageId);

    const worker = at('unpacked/opt/cloister/apps/worker/src/main.ts');
    const started = spawnSync(runtime, [worker], { encoding: 'utf8', env: {}, timeout: 60_000 });
    expect(started.status).toBe(2);
    expect(started.stderr).toContain('CONFIG_MISSING_FIELD');
  });

  test('is another with one changed byte of code, and only that layer is', { timeout: 120_000 }, async () => {
    const file = at('elsewhere/copy/apps/worker/src/receiptBook.ts');
    const original = fs.readFileSync(file);
    changeOneByte(file);
    const changed = await made('--root', at('elsewhere/copy'), '--out', at('second'));
    fs.writeFileSync(file, original);
    const genuine = JSON.parse(fs.readFileSync(at('first/reference.json'), 'utf8'));
    expect(changed.oci?.digest).not.toBe(genuine.oci.digest);
    expect(changed.imageId).not.toBe(genuine.imageId);
    const other = (changed.oci?.layers ?? []).filter(
      ({ digest }, index) => digest !== genuine.oci.layers[index]?.digest,
    );
    expect(other.map(({ name }) => name)).toEqual(['code']);
  });

  test('takes a network file along, and names the network', { timeout: 120_000 }, async () => {
    fs.writeFileSync(at('network.json'), JSON.stringify(network));
    const reference = await made('--root', at('checkout'), '--out', at('second'), '--network', at('network.json'));
    const id = networkFileId(parseNetworkFile(Buffer.from(JSON.stringify(network))));
    expect(reference.oci?.network).toEqual({
      id,
      tdxMrConfigId: Buffer.from(`${id.slice(2)}${'00'.repeat(16)}`, 'hex').toString('base64'),
      snpHostData: Buffer.from(id.slice(2), 'hex').toString('base64'),
    });
    const layer = reference.oci?.layers.at(-1);
    expect(layer?.name).toBe('network');
    const text = blob(at('second'), layer?.digest ?? '').toString('latin1');
    expect(text).toContain('etc/cloister/network.json');
    expect(text).toContain('"operatorKeyFile": "/run/secrets/operator-key"');

    fs.writeFileSync(at('network.json'), '{"format":"cloister-network-1"}');
    await expect(made('--out', at('second'), '--network', at('network.json'))).rejects.toMatchObject({
      code: 'SCHEMA_MISMATCH',
    });
  });
});

describe('npm run image', () => {
  const run = (...argv: string[]) => runNode([inRoot('scripts/image.ts'), ...argv]);

  test('--values measures and writes nothing', async () => {
    const { code, stdout } = await run('--values', '--json', '--root', at('checkout'), '--out', at('untouched'));
    expect(code).toBe(0);
    const image = await measureImage(await processFiles(at('checkout'), 'apps/worker'), signal);
    expect(JSON.parse(stdout)).toMatchObject({ imageId: image.imageId, teeType: 'tdx' });
    expect(fs.existsSync(at('untouched'))).toBe(false);
  });

  test('--help names every option', async () => {
    const { code, stdout } = await run('--help');
    expect(code).toBe(0);
    for (const option of Object.keys(imageArguments))
      expect(stdout).toContain(option === 'help' ? 'npm run' : `--${option}`);
  });

  test.each([
    ['an unknown option', ['--frobnicate'], '--frobnicate'],
    ['a register of another length', ['--mrtd', 'aa'], '--mrtd'],
    ['only one register', ['--mrtd', 'aa'.repeat(48)], '--rtmr0'],
    ['a dstack app of no network', ['--image-name', 'registry.example/worker'], '--network'],
    ['a mirror that is no URL', ['--mirror', 'ftp://x'], 'ftp://x'],
    ['a log that is not there', ['--values', '--event-log', 'none.bin'], 'none.bin'],
  ])('refuses %s by name', async (_, argv, named) => {
    const refused = (async () => makeImage(readImageOptions(argv), signal))();
    await expect(refused).rejects.toMatchObject({ name: 'ScriptError', message: expect.stringContaining(named) });
  });

  test('ends with 1 and one line where it refuses, also at a log that is none', async () => {
    const { code, stderr } = await run('--values', '--event-log', inRoot('package.json'));
    expect([code, stderr.trim().split('\n').length]).toEqual([1, 1]);
    expect(stderr).toContain('MALFORMED_EVENT_LOG');
  });
});
