import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { governAtOnce, handOverToGovernorCalls, phaTokenAbi, wireMoneyCalls } from '@cloister/chain';
import type { Address, Hex } from '@cloister/core';
import { generatePrivateKey, privateKeyToAddress } from 'viem/accounts';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { rpc } from '../../../packages/chain-proof/test/anvil.ts';
import { chainId, startTown, type Town } from '../../../packages/chain-proof/test/town.ts';
import { network as sample } from '../../../packages/core/test/helpers.ts';
import { run } from './cliNetwork.ts';

const pha = 10n ** 18n;
const image: Hex = `0x${'1b'.repeat(32)}`;
const voterKey = generatePrivateKey();
const voter = privateKeyToAddress(voterKey).toLowerCase() as Address;

let folder: string;
let town: Town;
let snapshot: unknown;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'cloister-govern-'));
  town = await startTown(1_700_000_000n, 50_000n * pha);
  const { anvil, account, deployed } = town;
  await rpc(anvil.url, 'anvil_setBalance', [voter, '0xffffffffffffffffffff']);
  await governAtOnce(account, anvil.url, deployed.timelock, [
    ...wireMoneyCalls(deployed),
    ...handOverToGovernorCalls(deployed.timelock, deployed.governor, account.address),
  ]);
  const names = Object.keys(sample.contracts) as (keyof typeof sample.contracts)[];
  const contracts = Object.fromEntries(names.map((name) => [name, deployed[name]]));
  await writeFile(join(folder, 'network.json'), JSON.stringify({ ...sample, chainId, contracts, rpcs: [anvil.url] }));
  await writeFile(join(folder, 'founder'), town.key);
  await writeFile(join(folder, 'voter'), voterKey);
  const token = { address: deployed.phaToken, abi: phaTokenAbi } as const;
  await account.write({ ...token, functionName: 'transfer', args: [voter, 10_000n * pha] });
}, 60_000);
afterAll(async () => {
  await town.anvil.stop();
  await rm(folder, { recursive: true, force: true });
});
beforeEach(async () => {
  if (snapshot !== undefined) await rpc(town.anvil.url, 'evm_revert', [snapshot]);
  snapshot = await rpc(town.anvil.url, 'evm_snapshot', []);
});

const cloister = (who: 'founder' | 'voter', ...argv: string[]) =>
  run('--network', join(folder, 'network.json'), '--key', join(folder, who), ...argv);
async function json<T>(who: 'founder' | 'voter', ...argv: string[]): Promise<T> {
  const { out, error } = await cloister(who, '--json', ...argv);
  expect(error).toBeUndefined();
  return JSON.parse(out) as T;
}
const code = async (who: 'founder' | 'voter', ...argv: string[]) =>
  ((await cloister(who, ...argv)).error as { code?: string } | undefined)?.code;
const pass = async (seconds: number) => {
  await rpc(town.anvil.url, 'evm_increaseTime', [seconds]);
  await rpc(town.anvil.url, 'evm_mine', []);
};
const propose = async (...argv: string[]) => {
  await cloister('founder', 'govern', 'delegate');
  await cloister('voter', 'govern', 'delegate', '--pha');
  await pass(2);
  return json<{ id: Hex; state: string; rules: { dangerous: boolean }[] }>('founder', 'govern', 'propose', ...argv);
};

describe('govern', () => {
  test('says what voting goes by, and who proposes', async () => {
    const { out } = await cloister('voter', 'govern', 'rules');
    expect(out).toContain('beside the Governor propose: nobody; execute: anybody');
    expect(out).toContain('quorum 4 % of all PHA, super quorum 15 %');
    expect((await cloister('voter', 'govern', 'list')).out).toBe('Nothing was proposed yet\n');
  });

  test('leads a proposal by all its steps, by the first digits of its id', async () => {
    const { id, rules } = await propose(
      '--title',
      'Allow it',
      '--text',
      'Because\u001b[2J',
      '--allow-image',
      image,
      '--label',
      'next',
    );
    expect(rules).toEqual([{ dangerous: false, delaySeconds: '120' }]);
    const short = id.slice(0, 10);
    const shown = (await cloister('voter', 'govern', 'show', short)).out;
    expect(shown).toContain(
      `imageRegistry.allow(${image}, 0, 18446744073709551615, "next", {hash: ${`0x${'00'.repeat(32)}`}, uri: ""})  [quorum, waits 120 s]`,
    );
    expect(shown).toContain('  | Because\\u001b[2J');
    expect(shown).toContain('0 PHA of 2000 PHA votes for or abstaining, and more for than against: not enough yet');
    expect(await code('voter', 'govern', 'vote', short, 'for')).toBe('GOVERN_NOT_NOW');
    await pass(122);
    expect((await cloister('voter', 'govern', 'vote', short, '--for', '4000', '--against', '0.5')).out).toBe(
      'Cast 4000.5 PHA; 5999.5 PHA are left\n',
    );
    expect((await cloister('voter', 'govern', 'vote', short, 'abstain')).out).toBe('Cast 5999.5 PHA\n');
    expect(await code('voter', 'govern', 'vote', short, 'for')).toBe('GOVERN_NOTHING_TO_CAST');
    await pass(300);
    expect(await json('voter', 'govern', 'queue', short)).toMatchObject({ id, state: 'queued' });
    expect(await code('voter', 'govern', 'execute', short)).toBe('GOVERN_NOT_NOW');
    expect(await code('voter', 'govern', 'cancel', short)).toBe('GOVERN_NOT_NOW');
    await pass(121);
    expect(await json('voter', 'govern', 'execute', short)).toMatchObject({ state: 'executed' });
    const [listed] = (await cloister('voter', 'govern', 'list')).out.split('\n');
    expect(listed).toBe(`${id.slice(0, 12)}…  executed  Allow it`);
  });

  test('reads a proposal from a file, and shows its effect before', async () => {
    const file = join(folder, 'proposal.json');
    const target = town.deployed.storageRent;
    const written = { title: 'Price', description: 'Why', calls: ['storageRent.setPrice(7)'] };
    await writeFile(file, JSON.stringify(written));
    const { out, exitCode } = await cloister('voter', 'govern', 'preview', '--file', file);
    expect([exitCode, out]).toEqual([0, expect.stringContaining('  storageRent price: 1 → 7\n')]);
    const refused = await cloister('voter', 'govern', 'preview', '--call', 'storageRent.setPrice(0)');
    expect([refused.exitCode, refused.out]).toEqual([
      1,
      expect.stringContaining('refused: StorageRentPriceOutOfRange'),
    ]);
    const { id } = await propose('--file', file);
    expect(await json('voter', 'govern', 'show', id)).toMatchObject({
      title: 'Price',
      calls: [{ target, contract: 'storageRent' }],
    });
    expect((await cloister('voter', 'govern', 'preview', id)).out).toContain('storageRent price: 1 → 7');
    await writeFile(file, JSON.stringify({ ...written, extra: 1 }));
    expect(await code('voter', 'govern', 'preview', '--file', file)).toBe('SCHEMA_MISMATCH');
    await writeFile(file, '{');
    expect(await code('voter', 'govern', 'preview', '--file', file)).toBe('OPTION_VALUE_INVALID');
  });

  test.each([
    ['GOVERN_TOO_FEW_VOTES', 'propose', '--title', 'x', '--call', 'storageRent.setPrice(7)'],
    ['OPTION_VALUE_INVALID', 'propose', '--call', 'storageRent.setPrice(7)'],
    ['OPTION_VALUE_INVALID', 'propose', '--title', 'x'],
    ['GOVERN_CALL_MALFORMED', 'preview', '--call', 'storageRent.setPrice(7'],
    ['GOVERN_CONTRACT_UNKNOWN', 'preview', '--call', 'storageRents.setPrice(7)'],
    ['GOVERN_FUNCTION_UNKNOWN', 'preview', '--call', 'storageRent.price()'],
    ['GOVERN_ARGUMENTS', 'preview', '--call', 'storageRent.setPrice(seven)'],
    ['GOVERN_PROPOSAL_UNKNOWN', 'show', '0x1234567'],
    ['OPTION_VALUE_INVALID', 'show', 'first'],
    ['OPTION_VALUE_INVALID', 'vote', '0x1234567', 'yes'],
    ['OPTION_VALUE_INVALID', 'vote', '0x1234567'],
    ['OPTION_VALUE_INVALID', 'vote', '0x1234567', 'for', '--for', '1'],
    ['OPTION_VALUE_INVALID', 'list', '--limit', '0'],
  ])('%s for %s %s', async (expected, ...argv) => {
    expect(await code('voter', 'govern', ...argv)).toBe(expected);
  });
});

describe('commands on stake', () => {
  test('let another vote, and tell of open proposals about stake with the time to vote and to leave', async () => {
    const { address } = town.account;
    await cloister('founder', 'pool', 'create', '--commission', '5', '--capacity', '100000');
    const staked = await cloister('voter', 'stake', address, '100', '--delegate', address);
    expect(staked.err).toContain(`Your stake votes by ${address}`);
    expect(staked.err).not.toContain('is about stake');
    const split = 'emission.setSplit(900000, [timelock, 1000, committeePurse, 500])';
    const { id } = await propose('--title', 'Split', '--call', split);
    await propose('--title', 'Price', '--call', 'storageRent.setPrice(7)');
    const { err } = await cloister('voter', 'pool', 'show', address);
    expect(err.match(/is about stake/g)).toHaveLength(1);
    expect(err).toContain(`Proposal ${id.slice(0, 12)} is about stake: Split\n  votes until 20`);
    expect(err).toMatch(
      /takes effect \S+ \(in 13 min\) at the earliest; what you ask back now is paid from \S+ \(in 10 min\)/,
    );
    // The founder casts what the voter let it.
    await pass(122);
    expect(await json('founder', 'govern', 'vote', id, 'for')).toMatchObject({
      votes: String(40_100n * pha),
      left: '0',
    });
  });
});
