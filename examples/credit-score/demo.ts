// The example from end to end, as a user of the SDK would write it. `npm start` runs it as its first call; run it again
// with: node examples/credit-score/demo.ts --network FILE --accounts FILE
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { bundleFunction } from '@cloister/build';
import { ChainAccount, creditLineAbi, creditLineBytecode, deployContract, TransactionError } from '@cloister/chain';
import { keccak256, toHex, utf8 } from '@cloister/crypto';
import {
  type CallResult,
  contextHash,
  createClient,
  describeError,
  type Hex,
  type ProofStep,
  subjectOf,
} from '@cloister/sdk';
import { generatePrivateKey } from 'viem/accounts';
import { createIssuer, loadIssuer, sampleCreditFile } from './issuer.ts';
import { scoreCreditFile } from './score.ts';

type Accounts = { readonly developer: { readonly privateKey: Hex } };

const { values } = parseArgs({
  options: { network: { type: 'string' }, accounts: { type: 'string' }, json: { type: 'boolean', default: false } },
});
if (values.network === undefined || values.accounts === undefined) {
  process.stderr.write('Give --network FILE and --accounts FILE, as npm start prints them\n');
  process.exit(2);
}
const folder = path.join(path.dirname(values.accounts), 'demo');
const accounts = JSON.parse(await readFile(values.accounts, 'utf8')) as Accounts;
const client = createClient({ network: await readFile(values.network) });
const { chainId, contracts, rpcs } = client.network;
const [rpc = ''] = rpcs;
const developer = new ChainAccount({ chainId, rpc, account: accounts.developer.privateKey });
// A borrower nobody has seen before, so that the example can run again and again.
const borrower = new ChainAccount({ chainId, rpc, account: generatePrivateKey() });
let failed = false;

try {
  const issuer = await step(
    'issuer',
    'A credit bureau signs a credit file',
    () => openIssuer(),
    () => `the private data, ${folder}/credit-file.json`,
  );
  const file = sampleCreditFile(borrower.address);
  const signed = await issuer.sign(file);
  const request = {
    method: 'POST',
    headers: [['content-type', 'application/json'] as const],
    body: utf8(JSON.stringify(signed)),
  };
  await writeFile(path.join(folder, 'credit-file.json'), `${JSON.stringify(signed, null, 2)}\n`);

  const entry = fileURLToPath(new URL('./function.ts', import.meta.url));
  const app = await step(
    'deploy',
    'The scoring function is deployed',
    async () => {
      const { code, name } = await bundleFunction(entry);
      return client.deploy({
        account: accounts.developer.privateKey,
        code,
        name,
        manifest: { env: { ISSUER_KEY: issuer.publicKey } },
      });
    },
    ({ app: id }) => `app ${id}`,
  );
  const consumer = await step(
    'consumer',
    'A credit line contract trusts exactly that function',
    () => deployCreditLine(app.app, app.manifestId),
    (address) => address,
  );

  const nonce = BigInt(toHex(crypto.getRandomValues(new Uint8Array(16))));
  const purpose = toHex(keccak256(utf8('cloister-credit-line/open')));
  const context = contextHash({ chainId, consumer, subject: subjectOf(borrower.address), purpose, nonce });
  const decision = await step(
    'call',
    'The borrower sends the file sealed to an attested worker and gets the decision',
    () => client.call(app.app, { ...request, path: '/decision' }, { context }),
    (result) => `${result.outcome}, worker ${result.worker.workerId.slice(0, 10)} through ${result.gateway}`,
  );
  for (const proof of decision.steps) tell(proof);
  hold('decision-ok', 'The receipt says that the function answered', decision.ok, `status ${decision.status}`);

  await developer.send(borrower.address, '0x', 'Fees for the borrower', undefined, 10n ** 17n);
  const verdict = (result: CallResult, body: Hex) =>
    borrower.write({
      address: consumer,
      abi: creditLineAbi,
      functionName: 'open',
      args: [result.receipt.receipt, result.receipt.signature, nonce, result.attempt.outputSalt, body],
    });
  const changed = toHex(decision.body.with(decision.body.length - 1, (decision.body.at(-1) ?? 0) ^ 1));
  await refused(
    'contract-refuses',
    'The contract refuses the same answer with one digit changed',
    () => verdict(decision, changed),
    'CloisterConsumerOutputMismatch',
  );
  await step(
    'contract-accepts',
    'The contract accepts the answer',
    () => verdict(decision, toHex(decision.body)),
    ({ gasUsed }) => `credit line opened, ${gasUsed} gas`,
  );
  await refused(
    'contract-once',
    'The contract refuses it a second time',
    () => verdict(decision, toHex(decision.body)),
    'CloisterConsumerContextUsed',
  );

  const report = await client.call(app.app, { ...request, path: '/report' });
  const answer = JSON.parse(new TextDecoder().decode(report.body)) as { score: number };
  hold(
    'same-score',
    'The score equals the same file scored in plain Node.js',
    answer.score === scoreCreditFile(file).score,
    `score ${answer.score}`,
  );

  const forged = { ...signed, statement: signed.statement.replace('"monthlyIncome":4250', '"monthlyIncome":9250') };
  const refusal = await client.call(app.app, { ...request, path: '/decision', body: utf8(JSON.stringify(forged)) });
  hold(
    'forged-file',
    'A file with one digit changed gives an attested refusal',
    refusal.outcome === 'refused',
    new TextDecoder().decode(refusal.body),
  );
  await writeFile(
    path.join(folder, 'proof.json'),
    `${JSON.stringify(client.proof(decision, { answer: true }), null, 2)}\n`,
  );
} catch (error) {
  failed = true;
  print({ step: 'demo-failed', ok: false, ms: 0, title: 'The first call failed', detail: describeError(error) });
  if (error instanceof Error && 'steps' in error) for (const proof of error.steps as ProofStep[]) tell(proof);
}
process.exitCode = failed ? 1 : 0;

async function openIssuer() {
  await mkdir(folder, { recursive: true });
  const keyFile = path.join(folder, 'issuer.json');
  const known = await readFile(keyFile, 'utf8').catch(() => undefined);
  if (known !== undefined) return loadIssuer(JSON.parse(known));
  const issuer = await createIssuer();
  await writeFile(keyFile, JSON.stringify(await issuer.export()), { mode: 0o600 });
  return issuer;
}

function deployCreditLine(app: Hex, manifest: Hex) {
  const policy = {
    workerRegistry: contracts.workerRegistry,
    appRegistry: contracts.appRegistry,
    app,
    maxAgeBlocks: 200n,
    manifests: [manifest],
  };
  return deployContract(developer, rpc, {
    name: 'CreditLine',
    abi: creditLineAbi,
    bytecode: creditLineBytecode,
    args: [policy],
  });
}

async function step<T>(id: string, title: string, work: () => Promise<T>, describe: (result: T) => string): Promise<T> {
  const started = Date.now();
  const result = await work();
  print({ step: id, ok: true, ms: Date.now() - started, title, detail: describe(result) });
  return result;
}

/** That the chain refuses, by the name that is expected. */
async function refused(id: string, title: string, work: () => Promise<unknown>, expected: string): Promise<void> {
  try {
    await work();
    hold(id, title, false, 'it was accepted');
  } catch (error) {
    const name = error instanceof TransactionError ? String(error.meta.errorName) : '';
    hold(id, title, name === expected, name === expected ? name : describeError(error));
  }
}

function hold(id: string, title: string, ok: boolean, detail: string): void {
  if (!ok) failed = true;
  print({ step: id, ok, ms: 0, title, detail });
}

function tell(proof: ProofStep): void {
  print({ step: `proof-${proof.id}`, ok: proof.ok, ms: 0, title: proof.title, detail: proof.detail });
}

function print(line: { step: string; ok: boolean; ms: number; title: string; detail: string }): void {
  process.stdout.write(
    values.json ? `${JSON.stringify(line)}\n` : `${line.ok ? '✓' : '✗'} ${line.title}: ${line.detail}\n`,
  );
}
