import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { PostedRecord } from '@cloister/chain';
import type { Bytes32 } from '@cloister/core';
import { EpochError, Epochs, type RecomputedEpoch } from '@cloister/sdk';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test, vi } from 'vitest';
import { run, startNetwork } from './cliNetwork.ts';

const b32 = (byte: number): Bytes32 => `0x${byte.toString(16).padStart(2, '0').repeat(32)}`;
const record: PostedRecord['record'] = {
  epoch: 7n,
  attempt: 1,
  block: 90n,
  blockHash: b32(1),
  beacon: b32(2),
  measurementsRoot: b32(3),
  directoryRoot: b32(4),
  rewardsRoot: b32(0),
  evictionRoot: b32(5),
  releaseLogRoot: b32(6),
  totals: { members: 3, workers: 2, stake: 2n, work: 9n, rewards: 0n },
};
const follows = { record, computed: record, leaves: {}, differences: [] } as unknown as RecomputedEpoch;

let folder = '';
let stop: () => Promise<void>;
let options: string[] = [];
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'cloister-epoch-'));
  const started = await startNetwork();
  ({ stop } = started);
  await writeFile(join(folder, 'network.json'), JSON.stringify(started.network.file));
  options = ['--network', join(folder, 'network.json')];
});
afterAll(async () => {
  await stop();
  await rm(folder, { recursive: true, force: true });
});
beforeEach(() => {
  vi.spyOn(Epochs.prototype, 'list').mockResolvedValue([{ record, digest: b32(9), postedAt: 95n }]);
  vi.spyOn(Epochs.prototype, 'recompute').mockResolvedValue(follows);
});
afterEach(() => vi.restoreAllMocks());

describe('epoch list', () => {
  test('names every record, with all its fields for programs', async () => {
    const { out } = await run('--json', ...options, 'epoch', 'list');
    expect(JSON.parse(out)).toEqual([
      {
        ...record,
        epoch: '7',
        block: '90',
        totals: { members: 3, workers: 2, stake: '2', work: '9', rewards: '0' },
        digest: b32(9),
        postedAt: '95',
      },
    ]);
    const prose = (await run(...options, 'epoch', 'list')).out;
    expect(prose).toBe(`Epoch 7  2 workers, measured by 3 members, attempt 1  ${b32(9)}\n`);
    const paying = { ...record, totals: { ...record.totals, rewards: 25n * 10n ** 17n } };
    vi.spyOn(Epochs.prototype, 'list').mockResolvedValue([{ record: paying, digest: b32(9), postedAt: 95n }]);
    expect((await run(...options, 'epoch', 'list')).out).toContain('by 3 members, 2.5 PHA for pools, attempt 1');
  });

  test('says so where there is none', async () => {
    vi.spyOn(Epochs.prototype, 'list').mockResolvedValue([]);
    expect((await run(...options, 'epoch', 'list')).out).toBe('No epoch has been recorded yet\n');
  });
});

describe('epoch recompute', () => {
  test('of a record that follows exits 0', async () => {
    const { out, exitCode } = await run('--json', ...options, 'epoch', 'recompute', '7');
    expect([exitCode, JSON.parse(out)]).toMatchObject([0, { epoch: '7', ok: true, differences: [] }]);
    expect(Epochs.prototype.recompute).toHaveBeenCalledWith(7n);
    expect((await run(...options, 'epoch', 'recompute', '7')).out).toContain('the record follows');
  });

  test('of a false one exits 1 and names field and leaf', async () => {
    const leaf = { index: 1, posted: { signer: '0x01' }, computed: null };
    const differences = [
      { field: 'directoryRoot', posted: b32(0xee), computed: b32(4), leaf },
      { field: 'totals.work', posted: '8', computed: '9' },
    ];
    vi.spyOn(Epochs.prototype, 'recompute').mockResolvedValue({ ...follows, differences });
    const { out, exitCode } = await run('--json', ...options, 'epoch', 'recompute', '7');
    expect([exitCode, JSON.parse(out)]).toMatchObject([1, { ok: false, differences }]);
    const prose = await run(...options, 'epoch', 'recompute', '7');
    expect(prose.exitCode).toBe(1);
    expect(prose.out.split('\n')).toEqual([
      'Epoch 7: the record is false',
      `  directoryRoot: posted ${b32(0xee)}, should be ${b32(4)}`,
      '    leaf 1: posted {"signer":"0x01"}, should be nothing',
      '  totals.work: posted 8, should be 9',
      '',
    ]);
  });

  test('refuses what is no number, and says why a record can not be computed', async () => {
    for (const text of ['x', '01', '-1', '1234567890123456789'])
      expect((await run(...options, 'epoch', 'recompute', '--', text)).error).toMatchObject({ code: 'EPOCH_INVALID' });
    expect(Epochs.prototype.recompute).not.toHaveBeenCalled();
    const missing = new EpochError('EPOCH_DATA_MISSING', 7n, 'can not be computed', 'Ask later');
    vi.spyOn(Epochs.prototype, 'recompute').mockRejectedValue(missing);
    expect((await run(...options, 'epoch', 'recompute', '7')).error).toBe(missing);
  });
});
