import { copyFile, mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import {
  createSimulatedPlatform,
  makeSimulatedRoot,
  mintCollateral,
  mintQuote,
} from '@cloister/attestation/unsafe-simulated';
import { evidenceDocument, fromBase64, serialiseEvidence, toBase64 } from '@cloister/attestation/verify';
import { type Address, networkFileId, zeroBytes32 } from '@cloister/core';
import { utf8 } from '@cloister/crypto';
import { generatePrivateKey, privateKeyToAccount } from 'viem/accounts';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test, vi } from 'vitest';
import { countModule } from '../../../examples/wasm-count/countModule.ts';
import {
  address,
  bytes32,
  type SimulatedNetwork,
  type StubWorker,
} from '../../../packages/sdk/test/simulatedNetwork.ts';
import { run, startNetwork } from './cliNetwork.ts';

let network: SimulatedNetwork;
let worker: StubWorker;
let stop: () => Promise<void>;
let folder = '';
let options: string[] = [];
const key = generatePrivateKey();

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'cloister-commands-'));
  await writeFile(join(folder, 'key'), key);
  await writeFile(join(folder, 'hello.ts'), 'export default { fetch: (): Response => new Response("hi") };\n');
});
afterAll(() => rm(folder, { recursive: true, force: true }));

beforeEach(async () => {
  ({ network, stop } = await startNetwork());
  worker = await network.addWorker();
  await writeFile(join(folder, 'network.json'), JSON.stringify(network.file));
  options = ['--network', join(folder, 'network.json'), '--key', join(folder, 'key')];
});
afterEach(() => stop());

const file = (name: string) => join(folder, name);
const json = async (...argv: string[]) => {
  const ran = await run('--json', ...options, ...argv);
  if (ran.error !== undefined) throw ran.error;
  expect(ran.out.trim().split('\n')).toHaveLength(1);
  return { ...ran, result: JSON.parse(ran.out) };
};
const deployed = async () => (await json('deploy', file('hello.ts'))).result.app as string;

describe('deploy', () => {
  test('tells programs app, manifest, version and inputs', async () => {
    const { result, exitCode } = await json(
      'deploy',
      file('hello.ts'),
      '--env',
      'A=b=c',
      'D=',
      '--outbound',
      'api.example',
    );
    expect(exitCode).toBe(0);
    expect(result).toEqual({
      app: expect.stringMatching(/^0x[0-9a-f]{64}$/),
      kind: 'function',
      name: 'hello',
      owner: privateKeyToAccount(key).address.toLowerCase(),
      manifestId: expect.stringMatching(/^0x[0-9a-f]{64}$/),
      version: 1,
      effectiveAt: expect.stringMatching(/^[0-9]+$/),
      published: true,
      inputs: ['hello.ts'],
      codeSalt: null,
      secrets: [],
      secretsId: null,
      pinned: [],
    });
    const manifest = JSON.parse(new TextDecoder().decode(network.gateway.blobs.get(result.manifestId)));
    expect(manifest).toMatchObject({ env: { A: 'b=c', D: '' }, outbound: ['api.example'] });
  });

  test('takes limits, replicas, notice, a name and a file with fields', async () => {
    await writeFile(
      file('fields.json'),
      JSON.stringify({ upgrade: { noticeSeconds: 5, vetoer: null }, outbound: ['x.example'] }),
    );
    const { result } = await json(
      ...['deploy', file('hello.ts'), '--name', 'other', '--manifest', file('fields.json'), '--replicas', '3'],
      ...['--memory-mb', '64', '--wall-ms', '500', '--notice', '7'],
    );
    expect(result.name).toBe('other');
    const manifest = JSON.parse(new TextDecoder().decode(network.gateway.blobs.get(result.manifestId)));
    expect(manifest).toMatchObject({
      outbound: ['x.example'],
      placement: { replicas: 3 },
      limits: { memoryBytes: 64 * 1024 * 1024, wallMs: 500 },
      upgrade: { noticeSeconds: 7 },
    });
  });

  test('takes a module as it is, with its fuel, and compares it with a proof', async () => {
    await writeFile(file('count.wasm'), await countModule());
    const { result } = await json('deploy', file('count.wasm'), '--fuel', '5000', '--deterministic');
    expect(result).toMatchObject({ kind: 'wasm', name: 'count', inputs: ['count.wasm'] });
    const manifest = JSON.parse(new TextDecoder().decode(network.gateway.blobs.get(result.manifestId)));
    expect(manifest).toMatchObject({
      kind: 'wasm',
      runtime: { name: 'wasi-preview1' },
      limits: { fuel: 5000 },
      determinism: 'deterministic',
    });
    const code = network.gateway.blobs.get(manifest.code.sha256) ?? new Uint8Array();
    expect(Buffer.from(code).equals(await countModule())).toBe(true);
  });

  test('deploys a function that answers the same everywhere', async () => {
    const { result } = await json('deploy', file('hello.ts'), '--name', 'same', '--deterministic');
    const manifest = JSON.parse(new TextDecoder().decode(network.gateway.blobs.get(result.manifestId)));
    expect(manifest).toMatchObject({
      kind: 'function',
      runtime: { name: 'quickjs' },
      determinism: 'deterministic',
      limits: { fuel: 10_000_000_000 },
    });
    const reaching = await run(...options, 'deploy', file('hello.ts'), '--deterministic', '--outbound', 'api.example');
    expect(reaching.error).toMatchObject({ code: 'DEPLOY_FEATURE_UNAVAILABLE' });
  });

  test('says before anything is stored what no worker would run', async () => {
    const blobs = network.gateway.blobs.size;
    await writeFile(file('broken.wasm'), (await countModule()).subarray(0, 300));
    const broken = await run(...options, 'deploy', file('broken.wasm'));
    expect(broken.error).toMatchObject({
      code: 'INVALID_WORKLOAD',
      message: expect.stringMatching(/ends in the middle/),
    });
    await writeFile(file('count.wasm'), await countModule());
    const uncounted = await run(...options, 'deploy', file('count.wasm'), '--deterministic');
    expect(uncounted.error).toMatchObject({ code: 'DEPLOY_FEATURE_UNAVAILABLE' });
    const reaching = await run(...options, 'deploy', file('count.wasm'), '--outbound', 'api.example');
    expect(reaching.error).toMatchObject({ code: 'DEPLOY_FEATURE_UNAVAILABLE' });
    const fuelled = await run(...options, 'deploy', file('hello.ts'), '--fuel', '5000');
    expect(fuelled.error).toMatchObject({ code: 'DEPLOY_FEATURE_UNAVAILABLE' });
    expect(network.gateway.blobs.size).toBe(blobs);
  });

  test('tells people what to do next', async () => {
    const first = await run(...options, 'deploy', file('hello.ts'));
    expect(first.out).toMatch(/^Deployed: hello, version 1\n {2}app {7}0x/);
    expect(first.err).toContain('cloister call hello /');
    expect((await run(...options, 'deploy', file('hello.ts'))).out).toMatch(/^Already deployed: hello, version 1/);
  });

  test.each([
    ['--env', 'A'],
    ['--env', '=b'],
    ['--replicas', 'two'],
    ['--memory-mb', '-1'],
    ['--wall-ms', '1.5'],
    ['--input-mb', 'much'],
    ['--notice', ''],
  ])('%s %j is refused by name, and nothing is stored', async (option, value) => {
    const { error } = await run(...options, 'deploy', file('hello.ts'), option, value);
    expect(error).toMatchObject({ code: 'OPTION_VALUE_INVALID', message: expect.stringContaining(option) });
    expect(network.gateway.blobs.size).toBe(0);
  });

  test.each([
    ['[]', 'APP_FILE_INVALID'],
    ['null', 'APP_FILE_INVALID'],
    ['{', 'APP_FILE_INVALID'],
    ['{ "code": {} }', 'APP_FILE_INVALID'],
    [undefined, 'APP_FILE_MISSING'],
  ])('a file of fields that is %s', async (text, code) => {
    await rm(file('fields.json'), { force: true });
    if (text !== undefined) await writeFile(file('fields.json'), text);
    const { error } = await run(...options, 'deploy', file('hello.ts'), '--manifest', file('fields.json'));
    expect(error).toMatchObject({ code });
    expect(network.gateway.blobs.size).toBe(0);
  });
});

describe('call', () => {
  test('gives programs the answer, the receipt and every step', async () => {
    worker.run = ({ request }) => ({
      status: 201,
      headers: [['x-a', 'b']],
      body: [utf8(`${request.method} `), request.body],
    });
    const { result, exitCode } = await json('call', await deployed(), '/x', '-d', 'hello', '-H', 'X-Mine: 1');
    expect(exitCode).toBe(0);
    expect(result).toMatchObject({
      ok: true,
      outcome: 'ok',
      status: 201,
      headers: [['x-a', 'b']],
      body: Buffer.from('POST hello').toString('base64'),
      workerId: worker.workerId,
      gateway: network.gateway.url,
      simulated: true,
    });
    expect(result.receipt.receipt.sequence).toBe('1');
    expect(result.steps.every(({ ok }: { ok: boolean }) => ok)).toBe(true);
  });

  test('gives people the answer on standard output, and the verdict beside it', async () => {
    const app = await deployed();
    const ran = await run(...options, 'call', 'hello');
    expect(ran.out).toBe('answer');
    expect(ran.err).toMatch(
      /✓ ok: receipt 1 of worker 0x[0-9a-f]{8} verified, \d+ checks \(SIMULATED TEE: no protection\)/,
    );
    const explained = await run(...options, 'call', app, '--explain');
    expect(explained.err).toContain('✓ The contract registered this worker');
  });

  test('exits 3 for a proven failure', async () => {
    worker.run = () => ({ status: 422, outcome: 'refused', body: [utf8('no')] });
    const ran = await run(...options, 'call', await deployed(), '-X', 'PUT');
    expect(ran).toMatchObject({ exitCode: 3, out: 'no' });
    expect(ran.err).toContain('✗ refused');
  });

  test('sends a file, a context and a method', async () => {
    let seen: unknown;
    worker.run = ({ call, request }) => {
      seen = { method: request.method, body: new TextDecoder().decode(request.body), context: call.context };
      return {};
    };
    await writeFile(file('body.txt'), 'from a file');
    await json('call', await deployed(), '-X', 'PATCH', '-d', `@${file('body.txt')}`, '--context', bytes32(7));
    expect(seen).toEqual({ method: 'PATCH', body: 'from a file', context: bytes32(7) });
  });

  test.each([
    [['--context', '0x12'], 'INVALID_BYTES32'],
    [['--manifest', 'x'], 'INVALID_BYTES32'],
    [['--manifest', bytes32(1)], 'CLIENT_OTHER_MANIFEST'],
    [['-H', 'nothing'], 'OPTION_VALUE_INVALID'],
    [['-H', ':x'], 'OPTION_VALUE_INVALID'],
    [['--timeout-ms', 'soon'], 'OPTION_VALUE_INVALID'],
    [['--timeout-ms', '-5'], 'OPTION_VALUE_INVALID'],
  ])('%j is refused before anything is sent', async (extra, code) => {
    const { error } = await run(...options, 'call', await deployed(), '/', ...extra);
    expect(error).toMatchObject({ code });
    expect(network.gateway.calls).toEqual([]);
  });

  test('an unknown option, or no app', async () => {
    expect((await run('call')).error).toMatchObject({ code: 'commander.missingArgument' });
    expect((await run('call', 'x', '--frobnicate')).error).toMatchObject({ code: 'commander.unknownOption' });
  });
});

describe('verify', () => {
  const proof = async (...extra: string[]) => {
    const app = await deployed();
    await run(...options, 'call', app, '--proof', file('proof.json'), '--context', bytes32(7), ...extra);
    return app;
  };

  test('exits 0 when everything holds', async () => {
    const app = await proof('--open');
    const { result, exitCode } = await json('verify', file('proof.json'), '--app', app, '--context', bytes32(7));
    expect(exitCode).toBe(0);
    expect(result).toMatchObject({ ok: true, outcome: 'ok', simulated: true });
    expect(result.steps.map(({ id }: { id: string }) => id)).toContain('output');
    const prose = await run(...options, 'verify', file('proof.json'), '--app', 'hello');
    expect(prose.out).toContain('Everything holds: the call ended with "ok".');
    expect(prose.out).toContain('SIMULATED');
  });

  test('shows the answer only where it was opened', async () => {
    await proof();
    expect(JSON.parse(await readFile(file('proof.json'), 'utf8')).opened).toBeNull();
  });

  test('exits 1 at the first thing that does not hold', async () => {
    await proof();
    const { result, exitCode } = await json('verify', file('proof.json'), '--app', bytes32(9));
    expect(exitCode).toBe(1);
    expect(result.ok).toBe(false);
    expect(result.steps.at(-1)).toMatchObject({ id: 'app', ok: false });
    const prose = await run(...options, 'verify', file('proof.json'), '--context', zeroBytes32);
    expect(prose).toMatchObject({ exitCode: 1 });
    expect(prose.out).toContain('NOT PROVEN');
  });

  test('--source: the file that was deployed, from another folder', async () => {
    await proof();
    await mkdir(file('checkout'), { recursive: true });
    await copyFile(file('hello.ts'), file('checkout/hello.ts'));
    await writeFile(file('tsconfig.json'), '{"compilerOptions":{"target":"ES5","alwaysStrict":true}}');
    const { result, exitCode } = await json('verify', file('proof.json'), '--source', file('checkout/hello.ts'));
    expect(exitCode).toBe(0);
    expect(result.ok).toBe(true);
    expect(result.steps.at(-1)).toMatchObject({ id: 'source', ok: true, detail: `sha256 ${result.source.sha256}` });
    expect(result.source).toMatchObject({
      file: file('checkout/hello.ts'),
      inputs: ['hello.ts'],
      expected: { sha256: result.source.sha256, bytes: result.source.bytes },
    });
    const prose = await run(...options, 'verify', file('proof.json'), '--source', file('hello.ts'));
    expect(prose.exitCode).toBe(0);
    expect(prose.out).toContain('and this source is the code that ran');
    expect(prose.out).toContain('SIMULATED');
  });

  test('--source: a file of one other character builds to other code, though the proof holds', async () => {
    await proof();
    await mkdir(file('other'), { recursive: true });
    await writeFile(file('other/hello.ts'), 'export default { fetch: (): Response => new Response("ho") };\n');
    const { result, exitCode } = await json('verify', file('proof.json'), '--source', file('other/hello.ts'));
    expect(exitCode).toBe(1);
    expect(result).toMatchObject({ ok: false, outcome: 'ok' });
    expect(result.steps.at(-1)).toMatchObject({ id: 'source', ok: false });
    expect(result.steps.slice(0, -1).every(({ ok }: { ok: boolean }) => ok)).toBe(true);
    expect(result.source.sha256).not.toBe(result.source.expected.sha256);
    const prose = await run(...options, 'verify', file('proof.json'), '--source', file('other/hello.ts'));
    expect(prose.exitCode).toBe(1);
    expect(prose.out).toContain('NOT THIS SOURCE');
    expect(prose.out).toContain(`${result.source.expected.sha256} (${result.source.expected.bytes}) ran`);
    expect(prose.out).not.toContain('Everything holds');
  });

  test('--source: nothing is compared with a proof that does not hold', async () => {
    await proof();
    const { result, exitCode } = await json(
      'verify',
      file('proof.json'),
      '--app',
      bytes32(9),
      '--source',
      file('hello.ts'),
    );
    expect(exitCode).toBe(1);
    expect(result.steps.at(-1)).toMatchObject({ id: 'app', ok: false });
    expect(result.source).toBeUndefined();
  });

  test('--source: a file that can not be built', async () => {
    await proof();
    const { error } = await run(...options, 'verify', file('proof.json'), '--source', file('nothing.ts'));
    expect(error).toMatchObject({ code: 'BUNDLE_ENTRY_MISSING' });
  });

  test.each([
    ['nothing there', undefined],
    ['no JSON', 'proof'],
  ])('a file with %s', async (_, text) => {
    if (text !== undefined) await writeFile(file('bad.json'), text);
    const { error } = await run(...options, 'verify', file(text === undefined ? 'none.json' : 'bad.json'));
    expect(error).toMatchObject({ code: 'PROOF_FILE_UNREADABLE' });
  });

  test('a file that holds something else', async () => {
    await writeFile(file('bad.json'), '{}');
    expect((await run(...options, 'verify', file('bad.json'))).error).toMatchObject({ code: 'PROOF_MALFORMED' });
  });
});

describe('listings', () => {
  test('workers, with what was found or the reason', async () => {
    const evicted = await network.addWorker(address(0x0c));
    Object.assign(network.registries.workers.get(evicted.workerId) ?? {}, { state: 'evicted' });
    const { result } = await json('workers');
    const by = (id: string) => result.find(({ workerId }: { workerId: string }) => workerId === id);
    expect(by(worker.workerId)).toMatchObject({
      ok: true,
      gateway: network.gateway.url,
      operator: worker.operator,
      receiptSigner: worker.receiptSigner,
      leaseUntil: expect.stringMatching(/^\d+$/),
      attestedBy: 'chain',
      tcbStatus: 'UpToDate',
      platformId: expect.stringMatching(/^0x[0-9a-f]{32}$/),
      simulated: true,
    });
    expect(by(evicted.workerId)).toMatchObject({ ok: false, refusal: { code: 'WORKER_NOT_REGISTERED' } });
    const prose = await run(...options, 'workers', '--explain');
    expect(prose.out).toMatch(
      /✓ 0x[0-9a-f]{64} {2}TCB UpToDate, checked by the chain {2}platform 0x[0-9a-f]{32} {2}SIMULATED\n {2}✓ /,
    );
    expect(prose.out).toMatch(/✗ 0x[0-9a-f]{64} {2}The worker is refused/);
  });

  test('a worker that its operator retires, and one that is no id', async () => {
    const own = await network.addWorker(privateKeyToAccount(key).address.toLowerCase() as Address);
    const { result } = await json('retire', own.workerId);
    expect(result).toEqual({ workerId: own.workerId, state: 'retired' });
    const listed = (await json('workers')).result;
    expect(listed.find(({ workerId }: { workerId: string }) => workerId === own.workerId)).toMatchObject({ ok: false });
    expect((await run(...options, 'retire', own.workerId)).out).toContain(`Retired ${own.workerId}`);
    expect((await run(...options, 'retire', '0x12')).error).toMatchObject({
      message: expect.stringContaining('worker-id'),
    });
  });

  test('no workers', async () => {
    network.gateway.workers.clear();
    expect((await json('workers')).result).toEqual([]);
    expect((await run(...options, 'workers')).out).toBe('No gateway lists a worker.\n');
  });

  test('apps of an account', async () => {
    network.rpc.intercept = (method) => (method === 'eth_getLogs' ? [] : undefined);
    expect((await json('apps')).result).toEqual([]);
    expect((await run(...options, 'apps', '--owner', address(0xaa))).out).toBe(`No apps of ${address(0xaa)}.\n`);
    expect((await run(...options, 'apps', '--owner', 'me')).error).toMatchObject({
      code: 'INVALID_ADDRESS',
      message: expect.stringContaining('--owner'),
    });
  });

  test('logs, in the order of time', async () => {
    const app = await deployed();
    const second = await network.addWorker(address(0x0c));
    const lines = (...times: number[]) =>
      utf8(JSON.stringify({ lines: times.map((timeMs) => ({ timeMs, level: 'log', message: `at ${timeMs}` })) }));
    worker.run = () => ({ manifest: zeroBytes32, body: [lines(1, 3)] });
    second.run = () => ({ manifest: zeroBytes32, body: [lines(2)] });
    const { result } = await json('logs', app);
    expect(result).toHaveLength(2);
    const prose = await run(...options, 'logs', 'hello');
    expect(prose.out.match(/at \d/g)).toEqual(['at 1', 'at 2', 'at 3']);
    worker.run = second.run = () => ({ manifest: zeroBytes32, body: [lines()] });
    expect((await run(...options, 'logs', 'hello')).out).toBe('Nothing was printed yet.\n');
  });
});

describe('network', () => {
  test('use and network', async () => {
    const cwd = vi.spyOn(process, 'cwd').mockReturnValue(folder);
    try {
      const used = await run('--json', 'use', file('network.json'));
      expect(JSON.parse(used.out)).toEqual({
        network: join(folder, '.cloister', 'network.json'),
        id: networkFileId(network.file),
        simulated: true,
      });
      const shown = await run('--json', 'network');
      expect(JSON.parse(shown.out)).toMatchObject({ id: networkFileId(network.file), network: { name: 'simulated' } });
      const prose = await run('network');
      expect(prose.out).toContain('SIMULATED');
      expect(prose.out).toContain(network.gateway.url);
      expect((await run('use', file('network.json'))).out).toMatch(
        /^Pinned "simulated" \(0x[0-9a-f]{64}\), SIMULATED in /,
      );
    } finally {
      cwd.mockRestore();
    }
  });
});

describe('verify-evidence', () => {
  const now = 1_790_000_000;
  const root = makeSimulatedRoot(now);
  const quote = mintQuote(createSimulatedPlatform(root, { now }), {
    mrtd: new Uint8Array(48).fill(1),
    reportData: new Uint8Array(64).fill(2),
  });
  const document = evidenceDocument(quote, mintCollateral(root, { issuedAt: now - 3600 }));
  const verify = async (name: string, ...extra: string[]) => {
    const ran = await run('--json', 'verify-evidence', file(name), '--at', String(now), ...extra);
    return { ...ran, result: ran.out === '' ? undefined : JSON.parse(ran.out) };
  };
  beforeAll(async () => {
    await writeFile(file('root.der'), root.root.certificate);
    await writeFile(file('evidence.json'), serialiseEvidence(document));
    const bytes = Uint8Array.from(fromBase64(document.quote, 'quote'));
    bytes[200] = (bytes[200] ?? 0) ^ 1;
    await writeFile(file('forged.json'), serialiseEvidence({ ...document, quote: toBase64(bytes) }));
  });

  test('exits 0 only if the evidence holds, under the root that is trusted', async () => {
    const good = await verify('evidence.json', '--root', file('root.der'));
    expect(good.exitCode).toBe(0);
    expect(good.result).toMatchObject({ ok: true, teeType: 'tdx', tcbStatus: 'UpToDate', advisories: [] });
    expect(good.result.claims).toBeDefined();
    const forged = await verify('forged.json', '--root', file('root.der'));
    expect(forged.exitCode).toBe(1);
    expect(forged.result).toMatchObject({
      ok: false,
      refusal: { code: expect.any(String), message: expect.any(String) },
    });
    const unpinned = await verify('evidence.json');
    expect(unpinned.exitCode).toBe(1);
    expect(unpinned.result.ok).toBe(false);
  });

  test('takes a policy, and a raw quote with its collateral', async () => {
    await writeFile(file('policy.json'), JSON.stringify({ unsafeAllowSimulated: false }));
    const refused = await verify('evidence.json', '--root', file('root.der'), '--policy', file('policy.json'));
    expect(refused.exitCode).toBe(1);
    expect(refused.result.refusal.code).toBe('SIMULATED_REFUSED');
    await writeFile(file('quote.bin'), quote);
    await writeFile(file('collateral.json'), JSON.stringify(document.collateral));
    const raw = await verify('quote.bin', '--root', file('root.der'), '--collateral', file('collateral.json'));
    expect(raw.exitCode).toBe(0);
    const prose = await run('verify-evidence', file('evidence.json'), '--at', String(now), '--root', file('root.der'));
    expect(prose.out).toBe('Holds: tdx, TCB UpToDate\n');
  });

  test('a time that is none, and an age', async () => {
    for (const [option, value] of [
      ['--at', 'today'],
      ['--nitro-max-age', '3h'],
    ] as const)
      expect((await run('verify-evidence', file('evidence.json'), option, value)).error).toMatchObject({
        code: 'OPTION_VALUE_INVALID',
      });
  });

  test('shows what was checked, up to what does not hold', async () => {
    const good = await verify('evidence.json', '--root', file('root.der'), '--tree');
    expect(good.result.tree).toMatchObject([
      { id: 'evidence', ok: true, children: [{ id: 'collateral' }, { id: 'quote' }] },
      { id: 'appraisal', ok: true },
    ]);
    const options = ['--at', String(now), '--root', file('root.der'), '--tree'];
    const prose = (await run('verify-evidence', file('forged.json'), ...options)).out;
    expect(prose).toContain("\n  ✓ Intel's collateral holds\n");
    expect(prose).toMatch(/\n {4}✗ The attestation key signed the quote: Expected a valid signature[^\n]*\nRefused: /);
    expect(await verify('evidence.json', '--root', file('root.der'))).not.toHaveProperty('result.tree');
  });
});

describe('dev', () => {
  test.each([
    [['--env', 'A'], '--env'],
    [['--port', '99999999'], '--port'],
    [['--port', 'x'], '--port'],
  ])('%j is refused before a sandbox is started', async (extra, option) => {
    expect((await run('dev', file('hello.ts'), ...extra)).error).toMatchObject({
      code: 'OPTION_VALUE_INVALID',
      message: expect.stringContaining(option),
    });
  });
});
