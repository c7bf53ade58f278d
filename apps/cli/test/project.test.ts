import { spawnSync } from 'node:child_process';
import { mkdir, mkdtemp, readFile, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { appFileSchema, type Manifest } from '@cloister/core';
import { generatePrivateKey } from 'viem/accounts';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { countModule } from '../../../examples/wasm-count/countModule.ts';
import type { SimulatedNetwork } from '../../../packages/sdk/test/simulatedNetwork.ts';
import { run, startNetwork } from './cliNetwork.ts';

let network: SimulatedNetwork;
let stop: () => Promise<void>;
let folder = '';
let project = '';
let options: string[] = [];
let count = 0;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'cloister-project-'));
  await writeFile(join(folder, 'key'), generatePrivateKey());
  ({ network, stop } = await startNetwork());
  await network.addWorker();
  await writeFile(join(folder, 'network.json'), JSON.stringify(network.file));
  options = ['--network', join(folder, 'network.json'), '--key', join(folder, 'key')];
});
afterAll(async () => {
  await stop();
  await rm(folder, { recursive: true, force: true });
});
beforeEach(async () => {
  count += 1;
  project = join(folder, `shop.${count}`);
  await mkdir(join(project, 'src'), { recursive: true });
  await write('src/index.ts', 'export default { fetch: (): Response => new Response("hi") };\n');
});

const write = (name: string, content: string | Uint8Array) => writeFile(join(project, name), content);
const writeAppFile = (fields: object) => write('cloister.json', `${JSON.stringify(fields, null, 2)}\n`);
const deploy = async (...argv: string[]) => {
  const { error, out } = await run('--json', ...options, 'deploy', ...argv);
  if (error !== undefined) throw error;
  const result = JSON.parse(out) as { name: string; manifestId: `0x${string}`; codeSalt: string | null };
  const manifest = JSON.parse(new TextDecoder().decode(network.gateway.blobs.get(result.manifestId))) as Manifest;
  return { ...result, manifest };
};

describe('deploy FOLDER', () => {
  test('does what its cloister.json says, named as the folder', async () => {
    await writeAppFile({
      $schema: './cloister.schema.json',
      main: 'src/index.ts',
      env: { A: 'b' },
      limits: { wallMs: 500 },
      placement: { replicas: 3 },
      price: { perCall: '7' },
    });
    const { name, manifest } = await deploy(project);
    expect(name).toBe(`shop-${count}`);
    expect(manifest).toMatchObject({
      env: { A: 'b' },
      limits: { wallMs: 500, maxConcurrent: 16 },
      placement: { replicas: 3, teeTypes: ['tdx'] },
      price: { perCall: '7', failedCalls: 'free' },
    });
  });

  test('may choose which engine runs its model, of those that read the file', async () => {
    await write('model.onnx', 'as good as any');
    await writeAppFile({ main: 'model.onnx', runtime: { name: 'onnxruntime-web' } });
    expect((await deploy(project)).manifest.runtime.name).toBe('onnxruntime-web');
    await writeAppFile({ main: 'model.onnx', runtime: { name: 'llama-cpp' } });
    await expect(deploy(project)).rejects.toThrow(/cloister\.json:4:5: .*"llama-cpp".*onnxruntime or onnxruntime-web/);
  });

  test('sends the calls of containers where their compose file says, and nowhere else', async () => {
    await write('compose.yaml', 'services: {web: {image: "notes:1", ports: ["8080"]}}\n');
    const script = fileURLToPath(new URL('../templates/container/makeImage.mjs', import.meta.url));
    const archive = join(project, 'image.tar');
    expect(spawnSync(process.execPath, [script, archive, '/bin/true']).status).toBe(
      process.platform === 'linux' ? 0 : 1,
    );
    if (process.platform !== 'linux') return;
    await writeAppFile({ main: 'compose.yaml', container: { service: 'web', port: 8080 } });
    const { manifest } = await deploy(project, '--image', `notes:1=${archive}`);
    expect([manifest.kind, manifest.container]).toEqual(['container', { service: 'web', port: 8080 }]);
    await writeAppFile({ main: 'compose.yaml', container: { service: 'store', port: 8080 } });
    await expect(deploy(project, '--image', `notes:1=${archive}`)).rejects.toThrow(
      /cloister\.json:4:5: .*"store".*"web" on 8080/,
    );
  });

  test('options override its fields, and only what they name', async () => {
    await writeAppFile({
      main: 'src/index.ts',
      name: 'stated',
      env: { A: 'b', C: 'd' },
      limits: { wallMs: 500, memoryBytes: 64 * 1024 * 1024 },
      placement: { replicas: 3, minTcbEvaluationDataNumber: 5 },
      price: { perCall: '7', perCpuMs: '8' },
      upgrade: { noticeSeconds: 9, vetoer: `0x${'11'.repeat(20)}` },
    });
    const { name, manifest } = await deploy(
      ...[project, '--name', 'other', '--env', 'A=x', '--wall-ms', '600', '--replicas', '4'],
      ...['--price-per-cpu-ms', '1', '--notice', '10'],
    );
    expect(name).toBe('other');
    expect(manifest).toMatchObject({
      env: { A: 'x' },
      limits: { wallMs: 600, memoryBytes: 64 * 1024 * 1024 },
      placement: { replicas: 4, minTcbEvaluationDataNumber: 5 },
      price: { perCall: '7', perCpuMs: '1000000000000000000' },
      upgrade: { noticeSeconds: 10, vetoer: `0x${'11'.repeat(20)}` },
    });
    expect(manifest.env).toEqual({ A: 'x' });
  });

  test('--manifest names another such file, for a folder or beside a file', async () => {
    await writeAppFile({ main: 'src/index.ts', env: { STAGE: 'live' } });
    await write('staging.json', JSON.stringify({ main: 'src/index.ts', name: 'staging', env: { STAGE: 'test' } }));
    const staging = await deploy(project, '--manifest', join(project, 'staging.json'));
    expect([staging.name, staging.manifest.env]).toEqual(['staging', { STAGE: 'test' }]);
    await write('fields.json', JSON.stringify({ env: { STAGE: 'none' } }));
    await write('src/lone.ts', await readFile(join(project, 'src/index.ts'), 'utf8'));
    const beside = await deploy(join(project, 'src/lone.ts'), '--manifest', join(project, 'fields.json'));
    expect([beside.name, beside.manifest.env]).toEqual(['lone', { STAGE: 'none' }]);
  });

  test('a module takes its fuel from there', async () => {
    await write('count.wasm', await countModule());
    await writeAppFile({ main: 'count.wasm', limits: { fuel: 5_000 }, determinism: 'deterministic' });
    expect((await deploy(project)).manifest).toMatchObject({ kind: 'wasm', limits: { fuel: 5_000 } });
  });

  test('bundles what it imports from node_modules, and tells the line of what it can not', async () => {
    await mkdir(join(project, 'node_modules'));
    const installed = fileURLToPath(new URL('../../../node_modules/ipaddr.js', import.meta.url));
    await symlink(installed, join(project, 'node_modules', 'ipaddr.js'));
    await write(
      'src/index.ts',
      "import ip from 'ipaddr.js';\nexport default { fetch: () => new Response(ip.parse('::1').range()) };\n",
    );
    await writeAppFile({ main: 'src/index.ts' });
    const { manifest } = await deploy(project);
    const code = new TextDecoder().decode(network.gateway.blobs.get(manifest.code.sha256));
    expect(code).toContain('ipaddr');
    await write('src/index.ts', "import ip from 'ipaddr.j';\nexport default { fetch: ip };\n");
    await expect(deploy(project)).rejects.toMatchObject({
      code: 'BUNDLE_FAILED',
      message: expect.stringMatching(/index\.ts:1:16: Could not resolve "ipaddr\.j"/),
    });
  });

  test.each([
    ['a folder without a cloister.json', undefined, 'APP_FILE_MISSING', /There is no file ".*cloister\.json"/],
    ['no main', { name: 'a' }, 'APP_FILE_INVALID', /cloister\.json:1:1: "main" is missing/],
    [
      'a main that is not there',
      { main: 'gone.ts' },
      'APP_FILE_INVALID',
      /cloister\.json:2:3: "main": there is no file/,
    ],
    ['another kind', { main: 'src/index.ts', kind: 'wasm' }, 'APP_FILE_INVALID', /:3:3: "kind": .*is a function/],
    [
      'what the kind can not have',
      { main: 'src/index.ts', limits: { fuel: 5 } },
      'APP_FILE_INVALID',
      /:4:5: "limits.fuel"/,
    ],
    [
      'secrets that are not there',
      { main: 'src/index.ts', secretsFile: 's' },
      'APP_FILE_INVALID',
      /:3:3: "secretsFile"/,
    ],
  ])('refuses %s before anything is stored', async (_, fields, code, message) => {
    if (fields !== undefined) await writeAppFile(fields);
    const before = network.gateway.blobs.size;
    await expect(deploy(project)).rejects.toMatchObject({ code, message: expect.stringMatching(message) });
    expect(network.gateway.blobs.size).toBe(before);
  });
});

describe('manifest', () => {
  test('check answers kind and name without a network', async () => {
    await writeAppFile({ main: 'src/index.ts', name: 'shop' });
    const told = await run('--json', 'manifest', 'check', join(project, 'cloister.json'));
    expect(JSON.parse(told.out)).toEqual({
      ok: true,
      file: join(project, 'cloister.json'),
      kind: 'function',
      name: 'shop',
      main: join(project, 'src/index.ts'),
    });
    expect((await run('manifest', 'check', project)).out).toBe(`${project}/cloister.json holds: function "shop"\n`);
  });

  test('check looks at the values of secrets for their names alone', async () => {
    await write('secrets.json', JSON.stringify({ TOKEN: 'hunter2' }));
    await writeAppFile({ main: 'src/index.ts', secretsFile: 'secrets.json', env: { TOKEN: 'x' } });
    const { error } = await run('manifest', 'check', project);
    expect(error).toMatchObject({ code: 'APP_FILE_INVALID', message: expect.stringContaining('"TOKEN" stands twice') });
    expect(JSON.stringify(error)).not.toContain('hunter2');
  });

  test('check refuses by line and column', async () => {
    await write('cloister.json', '{\n  "main": "src/index.ts",\n  "replicas": 3\n}\n');
    const { error } = await run('manifest', 'check', project);
    expect(error).toMatchObject({ code: 'APP_FILE_INVALID', meta: { line: 3, column: 3, field: 'replicas' } });
  });

  test('schema prints what the form gives', async () => {
    expect(JSON.parse((await run('manifest', 'schema')).out)).toEqual(appFileSchema());
  });
});
