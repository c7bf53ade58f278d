import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { manifestId, parseManifest } from '@cloister/core';
import { generatePrivateKey } from 'viem/accounts';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { bytes32, type SimulatedNetwork } from '../../../packages/sdk/test/simulatedNetwork.ts';
import { run, startNetwork } from './cliNetwork.ts';

let network: SimulatedNetwork;
let stop: () => Promise<void>;
let folder = '';
let options: string[] = [];
const file = (name: string) => join(folder, name);
const json = async (...argv: string[]) => {
  const ran = await run('--json', ...options, ...argv);
  if (ran.error !== undefined) throw ran.error;
  return { ...ran, result: JSON.parse(ran.out) };
};

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'cloister-sealed-code-'));
  const vectors = await readFile(new URL('../../../vectors/committee.json', import.meta.url), 'utf8');
  const apps = JSON.parse(vectors).seal.publicKey;
  ({ network, stop } = await startNetwork({ networkKeys: { apps, beacon: apps } }));
  await writeFile(file('key'), generatePrivateKey());
  await writeFile(file('network.json'), JSON.stringify(network.file));
  await writeFile(file('hello.ts'), 'export default { fetch: (): Response => new Response("sealed hello") };\n');
  options = ['--network', file('network.json'), '--key', file('key')];
});
afterAll(async () => {
  await stop();
  await rm(folder, { recursive: true, force: true });
});

const deploySealed = (...more: string[]) =>
  json('deploy', file('hello.ts'), '--seal-code', '--pin-image', bytes32(7), ...more);

describe('deploy --seal-code', () => {
  test('stores nothing that can be read, and tells the salt to its owner alone', async () => {
    const { result } = await deploySealed('--name', 'quiet');
    expect(result).toMatchObject({ published: true, codeSalt: expect.stringMatching(/^0x[0-9a-f]{64}$/) });
    for (const blob of network.gateway.blobs.values()) {
      expect(Buffer.from(blob).includes('sealed hello')).toBe(false);
      expect(Buffer.from(blob).includes(result.codeSalt)).toBe(false);
    }
    const prose = await run(...options, 'deploy', file('hello.ts'), '--name', 'quiet', '--seal-code');
    expect(prose.out).toMatch(/sealed to its hosts\n {2}salt {6}0x[0-9a-f]{64}: keep it/);
  });

  test('without it the code is there for all, and there is no salt', async () => {
    const { result } = await json('deploy', file('hello.ts'), '--name', 'loud');
    expect(result.codeSalt).toBeNull();
  });
});

describe('verify --source of sealed code', () => {
  let salt = '';
  beforeAll(async () => {
    // An app of the network that serves this very manifest: what is compared is the code alone.
    const { result } = await deploySealed('--name', 'proven');
    salt = result.codeSalt;
    const sealed = parseManifest(network.gateway.blobs.get(result.manifestId) ?? expect.fail());
    expect(manifestId(sealed)).toBe(result.manifestId);
    await network.addWorker();
    const { app } = network.addApp();
    network.publish(app, sealed);
    await json('call', app, '/', '--proof', file('proof.json'));
  });

  test('needs the salt, and says who has it', async () => {
    const { result, exitCode } = await json('verify', file('proof.json'), '--source', file('hello.ts'));
    expect([exitCode, result.ok]).toEqual([1, false]);
    expect(result.steps.at(-1)).toMatchObject({
      id: 'source',
      ok: false,
      detail: expect.stringContaining('--code-salt'),
    });
  });

  test('holds with the salt that deploy printed', async () => {
    const { result, exitCode } = await json(
      ...['verify', file('proof.json'), '--source', file('hello.ts'), '--code-salt', salt],
    );
    expect([exitCode, result.ok]).toEqual([0, true]);
    expect(result.steps.at(-1).detail).toContain(result.source.expected.sealed.digest);
  });

  test('does not hold with another salt, or for another file', async () => {
    await writeFile(file('other.ts'), 'export default { fetch: (): Response => new Response("other") };\n');
    for (const [source, by] of [
      ['hello.ts', bytes32(9)],
      ['other.ts', salt],
    ] as const) {
      const { result } = await json('verify', file('proof.json'), '--source', file(source), '--code-salt', by);
      expect(result.ok).toBe(false);
      expect(result.steps.at(-1).detail).toContain('or the salt is another');
    }
  });

  test('takes no salt that is none', async () => {
    const { error } = await run(
      ...[...options, 'verify', file('proof.json'), '--source', file('hello.ts'), '--code-salt', '0x12'],
    );
    expect(error).toMatchObject({ message: expect.stringContaining('--code-salt') });
  });
});

describe('secrets rotate --code', () => {
  test('seals the code to the new keys, and prints its new salt', async () => {
    const { result: deployed } = await deploySealed('--name', 'rotated');
    const { result } = await json('secrets', 'rotate', deployed.app, '--code', file('hello.ts'));
    expect(result).toMatchObject({ keyVersion: 2, secretsId: null, names: [] });
    expect(result.codeSalt).not.toBe(deployed.codeSalt);
    const { fields, manifestId: id } = network.registries.apps.get(deployed.app)?.versions.at(-1) ?? expect.fail();
    expect([id, fields.minKeyVersion]).toEqual([result.manifestId, 2]);
  });

  test('without the code changes nothing', async () => {
    const { result: deployed } = await deploySealed('--name', 'kept', '--secret', 'A=b');
    const { error } = await run(...options, 'secrets', 'rotate', deployed.app, '--secret', 'A=c');
    expect(error).toMatchObject({ code: 'ROTATE_CODE_MISSING' });
    expect(network.registries.apps.get(deployed.app)?.versions[0]?.fields.keyVersion).toBe(1);
  });
});
