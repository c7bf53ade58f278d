import { appendFile, mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Bytes32, Json } from '@cloister/core';
import { equivocationFromJson, NoEquivocationError, type SlashCase, Staking, StakingError } from '@cloister/sdk';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import type { SimulatedNetwork, StubWorker } from '../../../packages/sdk/test/simulatedNetwork.ts';
import { ReceiptFolder } from '../src/receiptFolder.ts';
import { run, startNetwork } from './cliNetwork.ts';

const b32 = (byte: number): Bytes32 => `0x${byte.toString(16).padStart(2, '0').repeat(32)}`;
const slash: SlashCase = {
  caseId: b32(0xca),
  offence: 'equivocation',
  state: 'open',
  operator: `0x${'a1'.repeat(20)}`,
  subject: b32(9),
  amount: 5n * 10n ** 18n,
  reporter: `0x${'bb'.repeat(20)}`,
  settleFrom: 1_790_000_000n,
  evidence: null,
};

let folder: string;
let network: SimulatedNetwork;
let worker: StubWorker;
let app: Bytes32;
let stop: () => Promise<void>;
/** Two folders with the network file: two users who know nothing of each other. */
let homes: readonly [string, string];

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'cloister-slashes-'));
  ({ network, stop } = await startNetwork());
  worker = await network.addWorker();
  app = network.addApp().app;
  homes = [await mkdtemp(join(folder, 'one-')), await mkdtemp(join(folder, 'other-'))];
  for (const home of homes) await writeFile(join(home, 'network.json'), JSON.stringify(network.file));
  await writeFile(join(folder, 'key'), b32(7));
  worker.editReceipt = (receipt) => ({ ...receipt, sequence: 1n });
});
afterEach(async () => {
  vi.restoreAllMocks();
  await stop();
  await rm(folder, { recursive: true, force: true });
});

const cloister = (home: string, ...argv: string[]) =>
  run('--network', join(home, 'network.json'), '--key', join(folder, 'key'), ...argv);
const proofOf = async (home: string, name: string) => {
  const file = join(folder, name);
  await cloister(home, 'call', app, '--proof', file);
  return file;
};
const plain = (value: unknown): unknown =>
  JSON.parse(JSON.stringify(value, (_, inner) => (typeof inner === 'bigint' ? inner.toString() : inner)));

describe('call', () => {
  test('notices what an earlier command has seen, gives out nothing, and says where the evidence lies', async () => {
    expect((await cloister(homes[0], 'call', app)).out).toBe('answer');
    const second = await cloister(homes[0], 'call', app);
    const file = join(homes[0], 'receipts', `equivocation-${worker.receiptSigner}.json`);
    expect(second).toMatchObject({ out: '', err: expect.stringContaining(file) });
    expect(second.error).toMatchObject({
      code: 'RECEIPT_EQUIVOCATION',
      meta: { evidence: file },
      hint: expect.stringContaining(`cloister slashes report ${file}`),
    });
    expect(equivocationFromJson(JSON.parse(await readFile(file, 'utf8'))).signer).toBe(worker.receiptSigner);
    expect((await stat(file)).mode & 0o077).toBe(0);
    const { runs } = worker;
    expect((await cloister(homes[0], 'call', app)).error).toMatchObject({ code: 'CALL_NO_WORKER' });
    expect(worker.runs).toBe(runs);
  });

  test('of another user notices nothing: only both together prove it, as verify sees from a file', async () => {
    const proof = await proofOf(homes[0], 'proof.json');
    expect((await cloister(homes[1], 'call', app)).error).toBeUndefined();
    const verified = await cloister(homes[1], '--json', 'verify', proof);
    expect(verified.exitCode).toBe(1);
    expect(JSON.parse(verified.out)).toMatchObject({ ok: false });
    expect(JSON.parse(verified.out).steps.at(-1)).toMatchObject({ id: 'only-receipt', ok: false });
    expect(await readdir(join(homes[1], 'receipts'))).toContain(`equivocation-${worker.receiptSigner}.json`);
  });
});

describe('slashes report', () => {
  const checks = () =>
    vi.spyOn(Staking.prototype, 'checkEquivocation').mockResolvedValue({
      caseId: slash.caseId,
      workerId: slash.subject,
      pool: slash.operator,
      atStake: slash.amount,
    });
  const reports = () => vi.spyOn(Staking.prototype, 'reportEquivocation').mockResolvedValue(slash);

  test('sends two proofs of two users, or what one call has kept', async () => {
    checks();
    const report = reports();
    const files = [await proofOf(homes[0], 'one.json'), await proofOf(homes[1], 'two.json')];
    const { out } = await cloister(homes[1], '--json', 'slashes', 'report', ...files);
    expect(JSON.parse(out)).toEqual(plain(slash));
    await cloister(homes[0], 'call', app);
    const kept = join(homes[0], 'receipts', `equivocation-${worker.receiptSigner}.json`);
    expect((await cloister(homes[0], 'slashes', 'report', kept)).out).toContain('open: in escrow');
    expect(report.mock.calls.map(([{ signer }]) => signer)).toEqual([worker.receiptSigner, worker.receiptSigner]);
    const [byProofs] = report.mock.calls[0] ?? [];
    const [first, second] = byProofs?.receipts ?? [];
    expect([first?.receipt.sequence, second?.receipt.sequence]).toEqual([1n, 1n]);
    expect(first?.receipt.requestHash).not.toBe(second?.receipt.requestHash);
  });

  test('sends nothing that proves nothing, and says why', async () => {
    const check = checks();
    const report = reports();
    const one = await proofOf(homes[0], 'one.json');
    worker.editReceipt = (receipt) => ({ ...receipt, sequence: 2n });
    const later = await proofOf(homes[1], 'later.json');
    const refused = async (code: string, ...files: string[]) =>
      expect((await cloister(homes[0], 'slashes', 'report', ...files)).error).toMatchObject({ code });
    await refused('EQUIVOCATION_SAME_RECEIPT', one, one);
    await refused('EQUIVOCATION_OTHER_PLACE', one, later);
    await refused('EQUIVOCATION_FILE_OTHER', one);
    await refused('EQUIVOCATION_FILE_OTHER', one, later, one);
    await refused('EQUIVOCATION_FILE_OTHER', one, join(homes[0], 'network.json'));
    await refused('EVIDENCE_FILE_UNREADABLE', one, join(folder, 'nothing.json'));
    await refused('EVIDENCE_FILE_UNREADABLE', one, join(folder, 'key'));
    worker.editReceipt = (receipt) => ({ ...receipt, sequence: 1n });
    const two = await proofOf(homes[1], 'two.json');
    check.mockRejectedValue(new NoEquivocationError('EQUIVOCATION_NOTHING_AT_STAKE', 'Worker has no bond'));
    await refused('EQUIVOCATION_NOTHING_AT_STAKE', one, two);
    expect(report).not.toHaveBeenCalled();
  });
});

describe('slashes settle', () => {
  test('ends a case, or says until when it can not', async () => {
    const settle = vi.spyOn(Staking.prototype, 'settleSlash').mockResolvedValue({ ...slash, state: 'settled' });
    const { out } = await cloister(homes[0], '--json', 'slashes', 'settle', slash.caseId);
    expect(JSON.parse(out)).toEqual(plain({ ...slash, state: 'settled' }));
    expect(settle.mock.calls[0]?.[0]).toBe(slash.caseId);
    expect((await cloister(homes[0], 'slashes', 'settle', slash.caseId)).out).toContain('settled: reporter');
    settle.mockRejectedValue(new StakingError('SLASH_WINDOW_RUNS', 'until 2026-09-21', 'Come back'));
    expect((await cloister(homes[0], 'slashes', 'settle', slash.caseId)).error).toMatchObject({
      code: 'SLASH_WINDOW_RUNS',
    });
    expect((await cloister(homes[0], 'slashes', 'settle', '0x12')).error).toMatchObject({
      code: 'OPTION_VALUE_INVALID',
    });
  });
});

describe('the folder of receipts', () => {
  const named = (name: number): Json => ({ name });
  const said: string[] = [];
  const folderOf = (at = folder) => new ReceiptFolder(at, (trouble) => void said.push(trouble));
  const namesIn = async (from: ReceiptFolder) =>
    (await from.load()).receipts.map((receipt) => (receipt as { name: number }).name);

  test('survives a command that was killed while it wrote, and one that writes beside it', async () => {
    const [one, other] = [folderOf(), folderOf()];
    expect(await one.load()).toEqual({ receipts: [], evidence: [] });
    await one.keep(named(1));
    await appendFile(join(folder, 'seen.jsonl'), '\n{"name":');
    await Promise.all([other.keep(named(2)), one.keep(named(3))]);
    expect((await namesIn(folderOf())).sort()).toEqual([1, 2, 3]);
  });

  test('keeps the newest of many', async () => {
    const lines = Array.from({ length: 2_048 }, (_, name) => JSON.stringify({ name }));
    await writeFile(join(folder, 'seen.jsonl'), lines.join('\n'));
    const kept = folderOf();
    await kept.load();
    await kept.keep(named(2_048));
    const names = await namesIn(kept);
    expect([names.length, names[0], names.at(-1)]).toEqual([1_025, 1_024, 2_048]);
  });

  test('keeps no call from being answered where it can not be read or written: that is said, once', async () => {
    // A file where the folder should be: root may write everywhere else.
    await writeFile(join(homes[0], 'receipts'), '');
    for (const _ of [1, 2]) {
      const { out, err, error } = await cloister(homes[0], 'call', app);
      expect([out, error]).toEqual(['answer', undefined]);
      expect(err.match(/Receipts are not compared/g)).toHaveLength(1);
    }
  });

  test('leaves out evidence that was damaged', async () => {
    await writeFile(join(folder, `equivocation-0x${'12'.repeat(20)}.json`), '{"format":');
    expect((await folderOf().load()).evidence).toEqual([]);
  });
});
