import assert from 'node:assert/strict';
import fs from 'node:fs';
import path from 'node:path';
import type { CloisterClient } from '@cloister/sdk';
import type { Scenario } from '../scenario.ts';
import { clientOf } from '../support/apps.ts';
import { cloisterJson, runCloister, startCloister } from '../support/programs.ts';
import { until } from '../support/until.ts';

type Json = <T>(...args: readonly string[]) => Promise<{ readonly code: number; readonly json: T }>;
type Step = { readonly id: string; readonly ok: boolean };
type Failure = { readonly ok: false; readonly error: { readonly code?: string; readonly message: string } };
type Verdict = {
  readonly ok: boolean;
  readonly outcome: string;
  readonly simulated: boolean;
  readonly steps: readonly Step[];
};

const source = (greeting: string) => `type Env = { readonly PLACE: string };
export default {
  async fetch(request: Request, env: Env): Promise<Response> {
    const { pathname, searchParams } = new URL(request.url);
    console.log('asked for', pathname);
    if (pathname === '/fail') throw new Error('on purpose');
    if (pathname === '/echo') return new Response(await request.text());
    return new Response(\`${greeting}, \${searchParams.get('name') ?? 'you'} in \${env.PLACE ?? 'nowhere'}!\`);
  },
};
`;

export const scenario: Scenario = {
  title:
    'From a folder outside the repository, the command line deploys, calls, proves, lists and reads logs, and errors have names',
  async run({ network: start, folder, signal, note }) {
    const network = await start();
    const run = (...args: readonly string[]) => runCloister(args, folder, signal);
    const json: Json = (...args) => cloisterJson(args, folder, signal);
    const fails = async (code: string, ...args: readonly string[]): Promise<void> => {
      const { code: exitCode, json: answer } = await json<Failure>(...args);
      assert.deepEqual([exitCode, answer.error?.code], [1, code], `${args.join(' ')}: ${answer.error?.message}`);
    };
    fs.writeFileSync(path.join(folder, 'greeter.ts'), source('Good day'));

    note('without a network');
    await pairwise([['workers'], ['call', 'greeter', '--network', 'nowhere.json']], (args) =>
      fails('NO_NETWORK', ...args),
    );

    note('use');
    const pinned = await json<{ network: string; simulated: boolean }>('use', network.file);
    assert.deepEqual([pinned.code, pinned.json.simulated], [0, true]);
    assert.equal(fs.realpathSync(pinned.json.network), fs.realpathSync(path.join(folder, '.cloister', 'network.json')));

    note('deploy');
    const deployed = await json<{ app: string; version: number; published: boolean }>(
      ...['deploy', 'greeter.ts', '--env', 'PLACE=the tests'],
    );
    assert.deepEqual([deployed.code, deployed.json.version, deployed.json.published], [0, 1, true]);
    const { app } = deployed.json;

    note('call');
    const called = await run('call', 'greeter', '/?name=Ada', '--proof', 'proof.json', '--open');
    assert.deepEqual([called.code, called.stdout], [0, 'Good day, Ada in the tests!']);
    assert.match(
      called.stderr,
      /✓ ok: receipt \d+ of worker 0x[0-9a-f]{8} verified, \d+ checks \(SIMULATED TEE: no protection\)/,
    );
    const [echoed, failed] = await Promise.all([
      run('call', app, '/echo', '-X', 'POST', '-d', '@greeter.ts'),
      json<{ ok: boolean; outcome: string }>('call', 'greeter', '/fail'),
    ]);
    assert.deepEqual([echoed.code, echoed.stdout], [0, source('Good day')]);
    assert.deepEqual([failed.code, failed.json.ok, failed.json.outcome], [3, false, 'app-error']);

    note('verify');
    const verified = await run('verify', 'proof.json', '--app', 'greeter', '--source', 'greeter.ts');
    assert.equal(verified.code, 0, verified.stdout + verified.stderr);
    assert.match(verified.stdout, /Everything holds: the call ended with "ok", and this source is the code that ran/);
    assert.match(verified.stdout, /SIMULATED: the TEE is a development one and protects nothing/);
    await edits(await fs.promises.readFile(path.join(folder, 'proof.json'), 'utf8'), clientOf(network), note);
    await edited(folder, json);

    note('apps, workers, logs, network');
    const [apps, workers, logs, used] = await Promise.all([
      json<{ app: string; name: string; version: number }[]>('apps'),
      json<{ ok: boolean; simulated: boolean; attestedBy: string; steps: Step[] }[]>('workers'),
      json<{ workerId: string; lines: { message: string }[] }[]>('logs', 'greeter'),
      json<{ file: string }>('network'),
    ]);
    assert.deepEqual(
      apps.json.filter((each) => each.app === app).map(({ name, version }) => [name, version]),
      [['greeter', 1]],
    );
    assert.ok(
      workers.json.length >= 3 && workers.json.every(({ ok, simulated, steps }) => ok && simulated && steps.length > 5),
    );
    assert.ok(workers.json.every(({ attestedBy }) => attestedBy === 'chain'));
    const lines = logs.json.flatMap((worker) => worker.lines.map(({ message }) => message)).sort();
    assert.deepEqual(
      lines.filter((line) => line.startsWith('asked for')),
      ['asked for /', 'asked for /echo', 'asked for /fail'],
    );
    assert.equal(used.code, 0);

    note('collateral: what stands on the chain, and bringing what a worker announces');
    const proof = JSON.parse(fs.readFileSync(path.join(folder, 'proof.json'), 'utf8'));
    fs.writeFileSync(path.join(folder, 'evidence.json'), JSON.stringify(proof.worker.evidence));
    const published = await json<{ what: string }[]>('collateral', 'publish', 'evidence.json');
    assert.deepEqual(
      [published.code, published.json.map(({ what }) => what)],
      [0, ['root-crl', 'pck-ca', 'pck-crl', 'tcb-signer', 'tcb-info', 'qe-identity']],
    );
    const standing = await json<{ teeType: string; simulated: boolean; tcbInfos: object[] }[]>('collateral', 'status');
    assert.deepEqual(
      standing.json.map(({ teeType, simulated, tcbInfos }) => [teeType, simulated, tcbInfos.length]),
      [['tdx', true, 1]],
    );

    note('secrets');
    fs.writeFileSync(path.join(folder, 'secrets.json'), JSON.stringify({ PLACE: 'a sealed place' }));
    const sealed = await json<{ secrets: string[]; pinned: string[]; secretsId: string }>(
      ...['deploy', 'greeter.ts', '--name', 'sealed', '--replicas', '3', '--secrets-file', 'secrets.json'],
    );
    assert.deepEqual([sealed.code, sealed.json.secrets, sealed.json.pinned.length], [0, ['PLACE'], 1]);
    const told = await run('call', 'sealed', '/?name=Ada');
    assert.deepEqual([told.code, told.stdout], [0, 'Good day, Ada in a sealed place!'], told.stderr);
    const [hosts, listed] = await Promise.all([
      json<{ hosts: string[] }>('hosts', 'sealed'),
      json<{ names: string[]; secretsId: string }>('secrets', 'list', 'sealed'),
    ]);
    assert.ok(hosts.json.hosts.length >= 1 && hosts.json.hosts.every((host) => /^0x[0-9a-f]{64}$/.test(host)));
    assert.deepEqual([listed.json.names, listed.json.secretsId], [['PLACE'], sealed.json.secretsId]);
    const wrong = await run('secrets', 'set', 'sealed', '--secret', 'hunter2');
    assert.equal(wrong.code, 1);
    assert.match(wrong.stderr, /Expected --secret to be NAME=value/);
    assert.doesNotMatch(wrong.stderr + wrong.stdout, /hunter2/);
    await pairwise(
      [
        ['secrets', 'set', 'sealed'],
        ['secrets', 'set', 'sealed', '--secrets-file', 'greeter.ts'],
      ],
      (args) => fails('OPTION_VALUE_INVALID', ...args),
    );
    await fails('SECRETS_MISSING', 'secrets', 'set', 'sealed', '--secret', 'OTHER=x');
    await fails('TRANSACTION_REFUSED', 'evict', hosts.json.hosts[0] ?? '');

    note('errors have names');
    fs.writeFileSync(path.join(folder, 'key'), 'no key');
    fs.writeFileSync(path.join(folder, 'stranger'), `0x${'42'.repeat(32)}\n`);
    fs.writeFileSync(path.join(folder, 'broken.ts'), 'export default {');
    fs.writeFileSync(path.join(folder, 'empty.ts'), 'export const x = 1;');
    await pairwise(
      [
        ['REGISTRY_APP_UNKNOWN', 'call', `0x${'00'.repeat(32)}`],
        ['KEY_MALFORMED', 'apps', '--key', 'key'],
        ['LOGS_REFUSED', 'logs', app, '--key', 'stranger'],
        ['BUNDLE_ENTRY_MISSING', 'deploy', 'nothing.ts'],
        ['BUNDLE_FAILED', 'deploy', 'broken.ts'],
        ['BUNDLE_NO_HANDLER', 'deploy', 'empty.ts'],
        ['OPTION_VALUE_INVALID', 'deploy', 'greeter.ts', '--memory-mb', 'much'],
        ['SCHEMA_MISMATCH', 'deploy', 'greeter.ts', '--memory-mb', '1'],
        ['PROOF_FILE_UNREADABLE', 'verify', 'nothing.json'],
        ['PROOF_MALFORMED', 'verify', '.cloister/network.json'],
        ['MALFORMED_EVIDENCE', 'collateral', 'publish', '.cloister/network.json'],
      ] as const,
      ([code, ...args]) => fails(code, ...args),
    );
    const words = await run('call', 'unheard-of');
    assert.match(words.stderr, /^cloister: The chain knows no app "0x[0-9a-f]{64}"\. Check the id/);
    assert.equal(words.stdout, '');

    await serves(folder, signal, note);
  },
};

/** One place of a proof is changed at a time, and the step that then fails first is named. */
async function edits(text: string, client: CloisterClient, note: (line: string) => void): Promise<void> {
  const proof = JSON.parse(text);
  const { receipt } = proof.receipt;
  const withReceipt = (change: object) => ({
    ...proof,
    receipt: { ...proof.receipt, receipt: { ...receipt, ...change } },
  });
  const withWorker = (change: object) => ({ ...proof, worker: { ...proof.worker, ...change } });
  const { quote } = proof.worker.evidence;
  const changed: readonly (readonly [step: string, file: object])[] = [
    ['network', { ...proof, network: digit(proof.network, 20) }],
    ['receipt-block', withReceipt({ blockHash: digit(receipt.blockHash, 20) })],
    ['receipt-block', withReceipt({ blockNumber: '99999999' })],
    ['evidence', withWorker({ evidence: { ...proof.worker.evidence, quote: letter(quote, 300) } })],
    ['binding', withWorker({ receiptSigner: digit(proof.worker.receiptSigner, 20) })],
    ['block', withWorker({ attestedBlock: String(BigInt(proof.worker.attestedBlock) - 1n) })],
    ['receipt-signature', withReceipt({ status: 1 })],
    ['receipt-signature', withReceipt({ outputCommitment: digit(receipt.outputCommitment, 20) })],
    ['receipt-signature', withReceipt({ time: String(BigInt(receipt.time) + 1n) })],
    ['receipt-signature', { ...proof, receipt: { ...proof.receipt, signature: digit(proof.receipt.signature, 20) } }],
    ['details', { ...proof, receipt: { ...proof.receipt, details: { ...proof.receipt.details, httpStatus: 201 } } }],
    ['output', { ...proof, opened: { ...proof.opened, answer: letter(proof.opened.answer, 3) } }],
    ['output', { ...proof, opened: { ...proof.opened, outputSalt: digit(proof.opened.outputSalt, 20) } }],
  ];
  for (const [step, file] of changed) {
    note(`a proof whose "${step}" does not hold`);
    const { ok, outcome, steps } = await client.verify(file);
    assert.deepEqual([ok, outcome], [false, 'unproven'], step);
    assert.deepEqual([steps.at(-1)?.id, steps.filter((each) => !each.ok).length], [step, 1]);
  }
}

/** The same by the command: one byte of the file, and what must be there or must not. */
async function edited(folder: string, json: Json): Promise<void> {
  const text = fs.readFileSync(path.join(folder, 'proof.json'), 'utf8');
  const at = text.indexOf('"outputCommitment": "0x') + 30;
  assert.ok(at > 30);
  fs.writeFileSync(path.join(folder, 'changed.json'), digit(text, at));
  const [changed, other] = await Promise.all([
    json<Verdict>('verify', 'changed.json'),
    json<Verdict>('verify', 'proof.json', '--context', `0x${'11'.repeat(32)}`),
  ]);
  assert.deepEqual([changed.code, changed.json.ok, changed.json.steps.at(-1)?.id], [1, false, 'receipt-signature']);
  assert.deepEqual([other.code, other.json.steps.at(-1)?.id], [1, 'context']);
}

function digit(text: string, at: number): string {
  return `${text.slice(0, at)}${text[at] === '1' ? '2' : '1'}${text.slice(at + 1)}`;
}

function letter(text: string, at: number): string {
  return `${text.slice(0, at)}${text[at] === 'A' ? 'B' : 'A'}${text.slice(at + 1)}`;
}

/** Two at a time: each is a process, and machines have two cores. */
async function pairwise<T>(items: readonly T[], work: (item: T) => Promise<void>): Promise<void> {
  for (let at = 0; at < items.length; at += 2) await Promise.all(items.slice(at, at + 2).map(work));
}

/** `cloister dev`: the function on this machine, and again when its file changes. */
async function serves(folder: string, signal: AbortSignal, note: (line: string) => void): Promise<void> {
  note('dev');
  const [place, scratch] = [path.join(folder, 'served'), path.join(folder, 'scratch')];
  for (const each of [place, scratch]) fs.mkdirSync(each);
  const file = path.join(place, 'greeter.ts');
  fs.writeFileSync(file, source('Good day'));
  const dev = startCloister(['dev', 'greeter.ts', '--env', 'PLACE=dev', '--json'], place, { TMPDIR: scratch });
  try {
    const url = await until('it serves', () => /"ready":true,"url":"([^"]+)"/.exec(dev.output())?.[1], { signal });
    const ask = async (at: string) => (await fetch(`${url}${at}`)).text();
    assert.equal(await ask('/?name=Bob'), 'Good day, Bob in dev!');
    assert.equal((await fetch(`${url}/fail`)).status, 500);
    fs.writeFileSync(file, source('Good evening'));
    await until('it has reloaded', async () => (await ask('/')) === 'Good evening, you in dev!', { signal });
    fs.writeFileSync(file, 'export default {');
    await until('it says what is wrong', () => /Can't bundle "greeter.ts"/.test(dev.output()), { signal });
    assert.equal(await ask('/'), 'Good evening, you in dev!', 'the last good version goes on');
  } finally {
    assert.equal(await dev.stop(), 0);
    assert.deepEqual(fs.readdirSync(scratch), [], 'it cleans up behind itself');
  }
}
