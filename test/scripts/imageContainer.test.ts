import { spawnSync } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { readBase } from '../../scripts/lib/imageBase.ts';
import { readImageOptions } from '../../scripts/lib/imageOptions.ts';
import { makeImage } from '../../scripts/lib/imageReference.ts';
import { inRoot } from '../../scripts/lib/paths.ts';

// Podman, and the packages of the base as an earlier "npm run image" left them: a test fetches nothing.
const packages = inRoot('.cloister/image/packages');
const hasPackages = readBase('amd64').packages.every((item) =>
  fs.existsSync(path.join(packages, path.posix.basename(item.path))),
);
const hasPodman = spawnSync('podman', ['--version']).status === 0 && process.getuid?.() === 0;
const canRun = hasPodman && hasPackages && process.arch === 'x64';
if (!canRun)
  console.log('Skipped: the whole image needs podman, as root, and the packages that "npm run image" fetches');

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
  rpcs: ['https://rpc.invalid'],
  gateways: ['https://gateway.invalid'],
  trustRoots: [{ tee: 'tdx', spkiSha256: `0x${'11'.repeat(32)}`, simulated: false, name: 'Root' }],
  networkKeys: null,
  simulated: false,
};

/** Prints what walls the sandbox has. */
const walls = `
import { FunctionDriver } from '/opt/cloister/packages/sandbox/src/index.ts';
const driver = new FunctionDriver({ runDir: '/run/cloister/sandboxes', pooled: 0 });
await driver.start({ signal: AbortSignal.timeout(60_000) });
console.log(JSON.stringify(Object.entries(driver.walls).filter(([, wall]) => !wall.present)));
await driver.stop();
`;

describe.skipIf(!canRun)('the whole image, in podman', { timeout: 180_000 }, () => {
  let folder = '';
  let image = '';
  const podman = (...args: string[]) => spawnSync('podman', args, { encoding: 'utf8', timeout: 120_000 });
  const run = (name: string, ...args: string[]) => {
    const container = `cloister-test-${name}-${randomUUID().slice(0, 8)}`;
    const flags = ['--runtime', 'runc', '--cgroup-manager', 'cgroupfs', 'run', '--rm', '--name', container];
    const limits = ['--ulimit', 'nofile=1024:1024', '--ulimit', 'nproc=1024:1024', '--network', 'none', '--read-only'];
    const result = podman(...flags, ...limits, '--tmpfs', '/run/cloister', '--tmpfs', '/tmp', ...args);
    // Only where the run was cut off is there something left to end.
    if (result.status === null) podman('rm', '--force', '--time', '0', container);
    return result;
  };

  beforeAll(async () => {
    // Podman makes a name of the folder's, which allows no capitals.
    folder = path.join(os.tmpdir(), `cloister-container-${randomUUID()}`);
    fs.mkdirSync(folder, { mode: 0o700 });
    fs.writeFileSync(path.join(folder, 'network.json'), JSON.stringify(network));
    fs.writeFileSync(path.join(folder, 'key'), `0x${'42'.repeat(32)}\n`);
    fs.writeFileSync(path.join(folder, 'walls.mjs'), walls);
    const argv = ['--out', folder, '--packages', packages, '--network', path.join(folder, 'network.json')];
    const { oci } = await makeImage(readImageOptions(argv), AbortSignal.timeout(120_000));
    const pulled = podman('--runtime', 'runc', 'pull', '--quiet', `oci:${oci?.folder}`);
    expect(pulled.stderr).toBe('');
    image = pulled.stdout.trim();
    // Podman names an image by its configuration: it found the one that the manifest states.
    expect(`sha256:${image}`).toBe(oci?.config);
  }, 180_000);
  afterAll(() => {
    if (image !== '') podman('rmi', '--force', image);
    fs.rmSync(folder, { recursive: true, force: true });
  });

  test('the worker starts, and names the device that a plain machine lacks', () => {
    const { status, stderr } = run('starts', '--volume', `${folder}/key:/run/secrets/operator-key:ro`, image);
    expect(stderr).toContain('"code":"DEVICE_NOT_FOUND"');
    expect(status).toBe(1);
  });

  test('its apps have every wall in a privileged container', () => {
    const { stdout, stderr } = run(
      'walls',
      '--privileged',
      '--volume',
      `${folder}/walls.mjs:/walls.mjs:ro`,
      '--entrypoint',
      '/usr/local/bin/node',
      image,
      '/walls.mjs',
    );
    expect(stderr).toBe('');
    expect(JSON.parse(stdout)).toEqual([]);
  });
});
