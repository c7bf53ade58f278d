import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Address, Bytes32 } from '@cloister/core';
import { type PoolStatus, type SlashCase, Staking, StakingError } from '@cloister/sdk';
import { privateKeyToAddress } from 'viem/accounts';
import { afterAll, afterEach, beforeAll, describe, expect, test, vi } from 'vitest';
import { run, startNetwork } from './cliNetwork.ts';

const pha = 10n ** 18n;
const b32 = (byte: number): Bytes32 => `0x${byte.toString(16).padStart(2, '0').repeat(32)}`;
const address = (byte: number): Address => `0x${byte.toString(16).padStart(2, '0').repeat(20)}`;
const key = b32(7);
const own = privateKeyToAddress(key).toLowerCase() as Address;
const pool = address(0xa1);
const status: PoolStatus = {
  pool,
  closed: false,
  allowlistOn: false,
  commissionBps: 250,
  nextCommission: null,
  capacity: 1_000n * pha,
  staked: 20n * pha,
  shares: 20n * pha,
  leaving: pha,
  ownLeaving: 0n,
  reserved: 5n * pha,
  unstreamed: 0n,
  commission: 0n,
  openSlashes: 0,
  pausedUntil: null,
  runningWorkers: 1n,
};
const request = { pool, id: 3n, amount: 4n * pha, claimable: false, notBefore: 1_790_000_000n };
const bond = { workerId: b32(9), pool, state: 'running' as const, bond: 5n * pha, required: 5n * pha, freeAt: 0n };
const slash: SlashCase = {
  caseId: b32(0xca),
  offence: 'equivocation',
  state: 'open',
  operator: pool,
  subject: b32(9),
  amount: 5n * pha,
  reporter: address(0xbb),
  settleFrom: 1_790_000_000n,
  evidence: { kind: 'proof', signer: address(0x51), digests: [b32(0xd1), b32(0xd2)] },
};

let folder = '';
let stop: () => Promise<void>;
let options: string[] = [];
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'cloister-staking-'));
  const started = await startNetwork();
  ({ stop } = started);
  await writeFile(join(folder, 'network.json'), JSON.stringify(started.network.file));
  await writeFile(join(folder, 'staker.key'), key);
  options = ['--network', join(folder, 'network.json'), '--key', join(folder, 'staker.key')];
});
afterAll(async () => {
  await stop();
  await rm(folder, { recursive: true, force: true });
});
afterEach(() => vi.restoreAllMocks());

const json = async (...argv: string[]) => {
  const { out, error } = await run('--json', ...options, ...argv);
  if (error !== undefined) throw error;
  return JSON.parse(out) as unknown;
};
const prose = async (...argv: string[]) => (await run(...options, ...argv)).out;
/** As JSON has it. */
const plain = (value: unknown): unknown =>
  JSON.parse(JSON.stringify(value, (_, inner) => (typeof inner === 'bigint' ? inner.toString() : inner)));

describe('pool', () => {
  test('create takes a percentage and PHA', async () => {
    const create = vi.spyOn(Staking.prototype, 'createPool').mockResolvedValue(status);
    expect(await json('pool', 'create', '--commission', '2.5', '--capacity', '1000', '--allowlist')).toEqual(
      plain(status),
    );
    expect(create.mock.calls[0]?.[0]).toEqual({ commissionBps: 250, capacity: 1_000n * pha, allowlistOn: true });
    const [, by] = create.mock.calls[0] ?? [];
    expect(by?.account).toMatchObject({ address: expect.stringMatching(new RegExp(own, 'i')) });
    for (const wrong of ['101', '-1', '2.555', 'x'])
      expect((await run(...options, 'pool', 'create', `--commission=${wrong}`, '--capacity', '1')).error).toMatchObject(
        {
          code: 'OPTION_VALUE_INVALID',
        },
      );
  });

  test('list names every pool, and says so where there is none', async () => {
    vi.spyOn(Staking.prototype, 'pools').mockResolvedValueOnce([]).mockResolvedValue([status]);
    expect(await prose('pool', 'list')).toBe('There is no pool yet\n');
    expect(await json('pool', 'list')).toEqual([plain(status)]);
    expect(await prose('pool', 'list')).toBe(
      `Pool ${pool}  20 PHA staked of 1000 PHA, commission 2.5 %, 1 bonded workers\n`,
    );
  });

  test('show has bonds, slashes and what is yours', async () => {
    const paused = { ...status, openSlashes: 1, pausedUntil: 1_790_000_000n };
    const of = vi.spyOn(Staking.prototype, 'pool').mockResolvedValue(paused);
    const bondsOf = vi.fn(async () => [bond]);
    vi.spyOn(Staking.prototype, 'reader', 'get').mockReturnValue({ bondsOf } as never);
    vi.spyOn(Staking.prototype, 'position').mockResolvedValue({ pool, shares: 2n, worth: 2n * pha });
    vi.spyOn(Staking.prototype, 'requests').mockResolvedValue([request, { ...request, pool: address(1) }]);
    expect(await json('pool', 'show', pool)).toEqual(
      plain({ ...paused, bonds: [bond], yours: { pool, shares: 2n, worth: 2n * pha, leaving: [request] } }),
    );
    const text = await prose('pool', 'show');
    expect(of).toHaveBeenLastCalledWith(own);
    expect(text).toContain('paused by a slash');
    expect(text).toContain('yours: 2 PHA');
    expect(text).toContain('1 open slashes: see "cloister slashes');
    const noKey = options.slice(0, 2);
    expect(JSON.parse((await run('--json', ...noKey, 'pool', 'show', pool)).out)).toMatchObject({ pool, yours: null });
    expect((await run(...noKey, 'pool', 'show')).error).toMatchObject({ code: 'NO_KEY' });
  });
});

describe('a stake', () => {
  test('is made and asked back', async () => {
    const stake = vi.spyOn(Staking.prototype, 'stake').mockResolvedValue({ pool, shares: 1n, worth: 3n * pha });
    const unstake = vi.spyOn(Staking.prototype, 'unstake').mockResolvedValue(request);
    expect(await json('stake', pool.toUpperCase().replace('0X', '0x'), '1.5')).toEqual(
      plain({ pool, shares: 1n, worth: 3n * pha }),
    );
    expect(stake.mock.calls[0]?.slice(0, 2)).toEqual([pool, (3n * pha) / 2n]);
    expect(await json('unstake', pool, '4')).toEqual(plain(request));
    expect(await prose('unstake', pool, 'all')).toContain('Asked back 4 PHA');
    expect(unstake.mock.calls.map(([, amount]) => amount)).toEqual([4n * pha, 'all']);
    expect((await run(...options, 'stake', '0x12', '1')).error).toMatchObject({ code: 'OPTION_VALUE_INVALID' });
  });

  test('is claimed, and what has to wait is said', async () => {
    const claim = vi.spyOn(Staking.prototype, 'claim').mockResolvedValueOnce([]);
    expect(await prose('claim')).toBe('Nothing is due.\n');
    const claimed = [
      { what: 'unstaked' as const, pool, id: 3n, amount: 4n * pha },
      { what: 'waits' as const, pool, id: 4n, amount: pha, notBefore: 1_790_000_000n },
      { what: 'commission' as const, pool: own, amount: 7n * pha },
    ];
    claim.mockResolvedValue(claimed);
    expect(await json('claim')).toEqual(plain(claimed));
    expect(await prose('claim')).toBe(
      `Paid 4 PHA of pool ${pool}\n1 PHA of pool ${pool} wait, until 2026-09-21T14:13:20.000Z at the earliest\nCommission of your pool: 7 PHA\n`,
    );
  });
});

describe('worker', () => {
  test('start-bond and stop-bond name the worker, and in which step it is', async () => {
    const start = vi.spyOn(Staking.prototype, 'startBond').mockResolvedValue(bond);
    expect(await json('worker', 'start-bond', b32(9))).toEqual(plain(bond));
    expect(start.mock.calls[0]?.[0]).toBe(b32(9));
    const raise = vi.spyOn(Staking.prototype, 'raiseBond').mockResolvedValue(bond);
    expect(await json('worker', 'raise-bond', b32(9))).toEqual(plain(bond));
    expect(await prose('worker', 'raise-bond', b32(9))).toContain('its bond is 5 PHA, and 5 PHA are asked for');
    raise.mockResolvedValue({ ...bond, state: 'stopping', required: 9n * pha });
    expect(await prose('worker', 'raise-bond', b32(9))).toContain('a bond that starts now is 9 PHA');
    const steps = ['stopped', 'waits', 'released'] as const;
    const stopped = vi.spyOn(Staking.prototype, 'stopBond');
    for (const step of steps) stopped.mockResolvedValueOnce({ step, freeAt: 1_790_000_000n });
    expect(await json('worker', 'stop-bond', b32(9))).toEqual({
      workerId: b32(9),
      step: 'stopped',
      freeAt: '1790000000',
    });
    expect(await prose('worker', 'stop-bond', b32(9))).toContain('had stopped before, can be slashed until 2026-09-21');
    expect(await prose('worker', 'stop-bond', b32(9))).toContain("its bond is the pool's again");
    stopped.mockRejectedValue(new StakingError('STAKING_NO_BOND', 'Worker has no bond', 'Start it'));
    expect((await run(...options, 'worker', 'stop-bond', b32(9))).error).toMatchObject({ code: 'STAKING_NO_BOND' });
    expect((await run(...options, 'worker', 'start-bond', '0x12')).error).toMatchObject({
      code: 'OPTION_VALUE_INVALID',
    });
  });
});

describe('slashes', () => {
  test('show each case with what it rests on and how it stands', async () => {
    const judged: SlashCase = {
      ...slash,
      offence: 'downtime',
      state: 'vetoed',
      reporter: null,
      evidence: { kind: 'judgement', judge: address(0x77), occurredAt: 1_790_000_000n, evidence: '0xabcd' },
    };
    const told = vi.spyOn(Staking.prototype, 'slashes').mockResolvedValue([slash, judged]);
    expect(await json('slashes', pool)).toEqual(plain([slash, judged]));
    expect(told).toHaveBeenLastCalledWith(pool);
    const text = await prose('slashes');
    expect(told).toHaveBeenLastCalledWith(undefined);
    expect(text).toContain('two different receipts of one signer, channel and sequence');
    expect(text).toContain(`signer ${address(0x51)} signed ${b32(0xd1)} and ${b32(0xd2)}`);
    expect(text).toContain('open: in escrow, can be vetoed until 2026-09-21T14:13:20.000Z');
    expect(text).toContain(`judged by ${address(0x77)}`);
    expect(text).toContain('vetoed: what was taken went back');
    told.mockResolvedValue([]);
    expect(await prose('slashes', pool)).toBe('Nothing was slashed\n');
  });
});
