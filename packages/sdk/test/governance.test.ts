import { readFile } from 'node:fs/promises';
import {
  admitGovernorCalls,
  allowImageCall,
  ChainAccount,
  ChainView,
  cloisterGovernorAbi,
  governAtOnce,
  handOverToGovernorCalls,
  phaTokenAbi,
  StakingReader,
  timelockControllerAbi,
  wireMoneyCalls,
} from '@cloister/chain';
import type { Address, Hex, NetworkFile } from '@cloister/core';
import { encodeFunctionData, keccak256, stringToHex } from 'viem';
import { generatePrivateKey, privateKeyToAddress } from 'viem/accounts';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { rpc } from '../../chain-proof/test/anvil.ts';
import { chainId, startTown, type Town } from '../../chain-proof/test/town.ts';
import { governanceCallSlot } from '../src/governance/simulatedFork.ts';
import { Governance, type NamedContract, readCall } from '../src/index.ts';
import { Staking } from '../src/staking/staking.ts';

const pha = 10n ** 18n;
const key = { backer: generatePrivateKey(), small: generatePrivateKey() };
const addressOf = (of: Hex) => privateKeyToAddress(of).toLowerCase() as Address;
const [backer, small] = [addressOf(key.backer), addressOf(key.small)];
const by = { account: key.backer };
const imageId: Hex = `0x${'1a'.repeat(32)}`;

let town: Town;
let network: Pick<NetworkFile, 'chainId' | 'contracts'>;
let governance: Governance;
let contracts: readonly NamedContract[];
let founder: { readonly account: Hex };
let snapshot: unknown;

beforeAll(async () => {
  town = await startTown(1_700_000_000n, 100_000n * pha);
  const { anvil, account, deployed } = town;
  founder = { account: town.key };
  network = { chainId, contracts: deployed as unknown as NetworkFile['contracts'] };
  for (const address of [backer, small]) await rpc(anvil.url, 'anvil_setBalance', [address, '0xffffffffffffffffffff']);
  await governAtOnce(account, anvil.url, deployed.timelock, [
    ...wireMoneyCalls(deployed),
    ...handOverToGovernorCalls(deployed.timelock, deployed.governor, account.address),
  ]);
  const token = { address: deployed.phaToken, abi: phaTokenAbi } as const;
  await account.write({ ...token, functionName: 'transfer', args: [backer, 30_000n * pha] });
  await account.write({ ...token, functionName: 'transfer', args: [small, 6_000n * pha] });
  open();
  contracts = await governance.contracts();
  // 20,000 at stake in the founder's pool, 10,000 that the backer votes with itself.
  await staking().createPool({ commissionBps: 500, capacity: 100_000n * pha }, founder);
  await staking().stake(account.address, 20_000n * pha, by);
  await governance.delegate(backer, { pha: true, stake: false }, by);
  await governance.delegate(small, { pha: true, stake: true }, { account: key.small });
  await pass(2);
}, 60_000);
afterAll(() => town.anvil.stop());
beforeEach(async () => {
  if (snapshot !== undefined) await rpc(town.anvil.url, 'evm_revert', [snapshot]);
  snapshot = await rpc(town.anvil.url, 'evm_snapshot', []);
  open();
});

function open() {
  const view = new ChainView({ chainId, rpcs: [town.anvil.url] });
  const account = (one: Hex | { address: string }) =>
    new ChainAccount({ chainId, rpc: town.anvil.url, account: one as Hex });
  governance = new Governance({ network, view, account });
}
const staking = () =>
  new Staking({
    network,
    reader: new StakingReader(new ChainView({ chainId, rpcs: [town.anvil.url] }), network.contracts),
    account: (account: Hex) => new ChainAccount({ chainId, rpc: town.anvil.url, account }),
  } as unknown as ConstructorParameters<typeof Staking>[0]);
const pass = async (seconds: number) => {
  await rpc(town.anvil.url, 'evm_increaseTime', [seconds]);
  await rpc(town.anvil.url, 'evm_mine', []);
};
const call = (text: string) => readCall(text, contracts);
/** Needed only where the network gives notice of images. */
const noRecipe = `{hash: 0x${'00'.repeat(32)}, uri: ""}`;
const ordinary = () => [call(`imageRegistry.allow(${imageId}, 0, 18446744073709551615, "a worker", ${noRecipe})`)];
const dangerous = () => [call('emission.setRewards(epochRewards)')];

describe('a proposal', () => {
  test('goes its whole way: stake and PHA vote, anybody queues and executes', async () => {
    const proposed = await governance.propose(ordinary(), '# Allow it\n\nBecause', by);
    expect(proposed).toMatchObject({
      state: 'pending',
      title: 'Allow it',
      proposer: backer,
      dangerous: false,
      needed: 4_000n * pha,
    });
    expect(proposed.description).toBe(`# Allow it\n\nBecause\n\n#proposer=${backer}`);
    const { id } = proposed;
    await expect(governance.vote(id, 'for', by)).rejects.toMatchObject({ code: 'GOVERN_NOT_NOW' });
    await pass(122);
    expect(await governance.standing(backer, id)).toMatchObject({
      own: 10_000n * pha,
      total: 30_000n * pha,
      opened: false,
    });
    expect(await governance.vote(id, 'for', { ...by, reason: 'yes' })).toMatchObject({
      votes: 30_000n * pha,
      left: 0n,
    });
    await expect(governance.vote(id, 'for', by)).rejects.toMatchObject({ code: 'GOVERN_NOTHING_TO_CAST' });
    expect(await governance.show(id)).toMatchObject({ state: 'active', votes: { for: 30_000n * pha }, isAhead: true });
    await expect(governance.queue(id, by)).rejects.toMatchObject({ code: 'GOVERN_NOT_NOW' });
    await pass(300);
    const queued = await governance.queue(id, { account: key.small });
    expect(queued).toMatchObject({ state: 'queued', times: { executeFrom: queued.eta } });
    await expect(governance.execute(id, by)).rejects.toMatchObject({ code: 'GOVERN_NOT_NOW' });
    await expect(governance.cancel(id, by)).rejects.toMatchObject({ code: 'GOVERN_NOT_NOW' });
    await pass(120);
    expect(await governance.execute(id, { account: key.small })).toMatchObject({ state: 'executed' });
    expect((await governance.list()).map((one) => [one.id, one.state])).toEqual([[id, 'executed']]);
  });

  test('is withdrawn by its proposer alone, before the vote', async () => {
    const { id } = await governance.propose(ordinary(), 'Allow it', by);
    await expect(governance.cancel(id, { account: key.small })).rejects.toMatchObject({ code: 'GOVERN_NOT_NOW' });
    expect(await governance.cancel(id, by)).toMatchObject({ state: 'canceled' });
  });

  test('that nobody executes anyone cancels', async () => {
    const { id } = await governance.propose(ordinary(), 'Allow it', by);
    await pass(122);
    await governance.vote(id, 'for', by);
    await pass(300);
    await governance.queue(id, by);
    await pass(120 + 14 * 60 + 2);
    expect(await governance.cancel(id, { account: key.small })).toMatchObject({ state: 'canceled' });
  });

  test('takes votes, of stake where PHA is too little; what no proposal may have is refused before it is sent', async () => {
    await governance.delegate(small, { pha: true, stake: false }, by);
    await pass(2);
    const { id } = await governance.propose(ordinary(), 'By stake', by);
    expect((await governance.show(id)).proposer).toBe(backer);
    await governance.delegate(small, { pha: false, stake: true }, by);
    await pass(2);
    await expect(governance.propose(ordinary(), 'By nothing', by)).rejects.toMatchObject({
      code: 'GOVERN_TOO_FEW_VOTES',
    });
    await expect(
      governance.propose([call(`phaToken.delegate(${small})`)], 'Take it', { account: key.small }),
    ).rejects.toMatchObject({
      code: 'GOVERN_PROPOSAL_REFUSED',
      message: expect.stringContaining('ActRulesTreasuryDelegates'),
    });
  });

  test('votes in parts, for others too, and against: short of the super quorum it is defeated', async () => {
    await governance.delegate(small, { pha: false, stake: true }, by);
    const { id, needed } = await governance.propose(dangerous(), 'Emit', by);
    expect(needed).toBe(15_000n * pha);
    await pass(122);
    expect(await governance.standing(backer, id)).toMatchObject({ total: 10_000n * pha, stakes: [] });
    expect(await governance.standing(small, id)).toMatchObject({ total: 26_000n * pha });
    const parts = { against: 100n * pha, for: 14_000n * pha, abstain: 900n * pha };
    expect(await governance.vote(id, parts, { account: key.small })).toMatchObject({ left: 11_000n * pha });
    expect(await governance.show(id)).toMatchObject({ votes: parts, isAhead: false, counted: 14_000n * pha });
    await expect(
      governance.vote(id, { against: 11_001n * pha, for: 0n, abstain: 0n }, { account: key.small }),
    ).rejects.toMatchObject({ code: 'GOVERN_TOO_FEW_VOTES' });
    await pass(300);
    expect((await governance.show(id)).state).toBe('defeated');
    await expect(governance.queue(id, by)).rejects.toMatchObject({ code: 'GOVERN_NOT_NOW' });
  });

  test('is found by the beginning of its id', async () => {
    const { id } = await governance.propose(ordinary(), 'Allow it', by);
    const text = `0x${id.toString(16).padStart(64, '0')}`;
    expect(await governance.idStartingWith(text.slice(0, 10))).toBe(id);
    await expect(governance.idStartingWith('0xabcdefabcd')).rejects.toMatchObject({ code: 'GOVERN_PROPOSAL_UNKNOWN' });
  });

  test('whose description is no text hides no other', async () => {
    const { id } = await governance.propose(ordinary(), 'Allow it', by);
    const [one] = dangerous();
    const good = encodeFunctionData({
      abi: cloisterGovernorAbi,
      functionName: 'propose',
      args: [[one?.target ?? '0x'], [0n], [one?.data ?? '0x'], 'AAAA'],
    });
    const account = new ChainAccount({ chainId, rpc: town.anvil.url, account: key.backer });
    await account.send(network.contracts.governor, good.replace('41414141', 'ff41ff41') as Hex, 'Bad text');
    const listed = await governance.list();
    expect(listed.map(({ isText }) => isText)).toEqual([false, true]);
    expect(listed[1]?.id).toBe(id);
  });
});

describe('rules', () => {
  test('say what voting goes by and who proposes', async () => {
    const { timelock, governor } = network.contracts;
    expect(await governance.rules()).toMatchObject({
      daySeconds: 60n,
      votingDelaySeconds: 120n,
      votingPeriodSeconds: 300n,
      quorumBps: 400,
      superQuorumBps: 1_500,
      heaviestDelaySeconds: 1_860n,
      treasuryDelegate: null,
      holders: {
        PROPOSER_ROLE: [governor],
        CANCELLER_ROLE: [governor],
        EXECUTOR_ROLE: [`0x${'0'.repeat(40)}`],
        DEFAULT_ADMIN_ROLE: [timelock],
      },
    });
  });

  test('the deployer no longer schedules anything', async () => {
    const { account, deployed } = town;
    const { target, data } = allowImageCall(deployed.imageRegistry, imageId, 'x');
    const zero: Hex = `0x${'0'.repeat(64)}`;
    await expect(
      account.write({
        address: deployed.timelock,
        abi: timelockControllerAbi,
        functionName: 'scheduleBatch',
        args: [[target], [0n], [data], zero, zero, 0n],
      }),
    ).rejects.toMatchObject({ message: expect.stringContaining('AccessControlUnauthorizedAccount') });
  });
});

describe('preview', () => {
  const changes = async (...texts: string[]) => {
    const effect = await governance.preview(texts.map(call));
    expect(effect.calls.map(({ refusal }) => refusal)).toEqual(texts.map(() => null));
    return effect.changes.map(({ of, what, text }) => `${of} ${what}: ${text.before} -> ${text.after}`);
  };

  test('shows parameters, what the call names, and events, and changes nothing', async () => {
    expect(await changes('storageRent.setPrice(7)')).toEqual(['storageRent price: 1 -> 7']);
    expect(await changes(`imageRegistry.allow(${imageId}, 0, 18446744073709551615, "a worker", ${noRecipe})`)).toEqual(
      expect.arrayContaining([expect.stringMatching(`isImageAllowed\\(${imageId}\\): false -> true`)]),
    );
    const effect = await governance.preview([call('storageRent.setPrice(7)')]);
    expect(effect.calls[0]?.events).toEqual([{ of: 'storageRent', text: expect.stringContaining('7') }]);
    const { address, abi } = contracts.find(({ name }) => name === 'storageRent') as NamedContract;
    expect(await governance.reader.view.read({ address, abi, functionName: 'price', args: [] })).toBe(1n);
  });

  test('shows roles and balances', async () => {
    const { phaToken, timelock } = network.contracts;
    await town.account.write({ address: phaToken, abi: phaTokenAbi, functionName: 'transfer', args: [timelock, 5n] });
    await rpc(town.anvil.url, 'anvil_setBalance', [timelock, '0x64']);
    const paid = await changes(`phaToken.transfer(${small}, 5)`, `timelock.grantRole(PROPOSER_ROLE, ${small})`);
    expect(paid).toContain(`timelock PROPOSER_ROLE of ${small}: false -> true`);
    expect(paid).toContain('timelock PHA: 5 -> 0');
    expect(paid).toContain(`${small} PHA: ${6_000n * pha} -> ${6_000n * pha + 5n}`);
    const sent = await governance.preview([{ target: small, value: 40n, data: '0x' }]);
    expect(sent.calls[0]).toMatchObject({ refusal: null, withoutCode: true });
    expect(sent.changes.map(({ of, what, before, after }) => [of, what, before, after])).toContainEqual([
      'timelock',
      'wei',
      100n,
      60n,
    ]);
  });

  test('names the error of a call that would be refused, at the time of its execution', async () => {
    const effect = await governance.preview([
      call('storageRent.setPrice(7)'),
      call('slashing.setReporterShare(10000)'),
    ]);
    expect(effect).toMatchObject({
      ok: false,
      changes: [],
      calls: [{ refusal: null }, { refusal: { errorName: expect.stringMatching(/^Slashing/) } }],
    });
    expect(effect.timestamp).toBeGreaterThan(BigInt(Math.floor(Date.now() / 1000)) + 400n);
  });

  test('takes what a proposal changes of the Governor itself', async () => {
    const changed = await changes('governor.setVotingPeriod(600)', 'governor.setQuorums(300, 2000)');
    expect(changed).toEqual(
      expect.arrayContaining([
        'governor votingPeriod: 300 -> 600',
        'governor quorumBps: 400 -> 300',
        'governor superQuorumBps: 1500 -> 2000',
      ]),
    );
    const layout = await readFile(
      new URL('../../chain/src/generated/storage/cloisterGovernor.json', import.meta.url),
      'utf8',
    );
    const { storage } = JSON.parse(layout) as { storage: { label: string; slot: number }[] };
    expect(storage.find(({ label }) => label === '_governanceCall')?.slot).toBe(Number(governanceCallSlot));
  });

  test('of a proposal is of its own calls', async () => {
    const { id } = await governance.propose([call('storageRent.setPrice(9)')], 'Dearer', by);
    const { changes: found, timestamp } = await governance.preview(id);
    expect(found.map(({ what }) => what)).toEqual(['price']);
    expect(timestamp).toBe((await governance.show(id)).times.executeFrom);
  });

  test('says so where no RPC simulates', async () => {
    const { view } = governance.reader;
    view.simulate = async () => {
      throw Object.assign(new Error('none'), { code: 'CHAIN_NO_SIMULATION' });
    };
    await expect(governance.preview([call('storageRent.setPrice(9)')])).rejects.toMatchObject({
      code: 'GOVERN_NO_PREVIEW',
    });
  });
});

test('a Governor is admitted beside who proposed before', () => {
  const calls = admitGovernorCalls(network.contracts.timelock, network.contracts.governor);
  const role = keccak256(stringToHex('PROPOSER_ROLE'));
  expect(calls.map(({ data }) => data)).toContain(
    encodeFunctionData({
      abi: timelockControllerAbi,
      functionName: 'grantRole',
      args: [role, network.contracts.governor],
    }),
  );
});
