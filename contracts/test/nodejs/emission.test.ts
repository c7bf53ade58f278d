import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { describe, it } from 'node:test';
import { emissionTotal, emittedAfter, epochEmission, splitEmission } from '@cloister/economics';
import { network } from 'hardhat';
import { getContractAddress, zeroAddress } from 'viem';
import { deployCommitteeWorld, handOver, joinAll } from '../support/committeeWorld.ts';
import { deployEmission, genesisPha } from '../support/emission.ts';
import { endOf, postRecord, recordWith } from '../support/epochRecords.ts';
import { refused } from '../support/refused.ts';
import { hour, signerOf } from '../support/world.ts';

const connection = await network.create();
const { networkHelpers } = connection;
const load = () => networkHelpers.loadFixture(deployed);
const treasury = signerOf(501).address;
const gatekeepers = signerOf(502).address;
const length = BigInt(hour);

const shares = { treasury, treasuryBps: 2_001, gatekeepers, gatekeepersBps: 503 };

/** The stranger plays the rewards contract; epochs 0, 1 and 4 have records, and shares are taken from epoch 1. */
async function deployed() {
  const world = await deployCommitteeWorld(connection);
  await joinAll(world);
  await handOver(world);
  const parts = await deployEmission(world);
  await world.govern(parts.emission, 'setSplit', [1n, shares]);
  for (const epoch of [0n, 1n, 4n]) {
    await networkHelpers.time.increaseTo(endOf(world, epoch));
    await postRecord(parts.records, await recordWith(world, epoch));
  }
  await world.govern(parts.emission, 'setRewards', [world.stranger.account.address]);
  const as = { account: world.stranger.account };
  const mint = (epoch: bigint, amount: bigint) => parts.emission.write.mintEpoch([epoch, amount], as);
  return { ...world, ...parts, mint };
}

describe('Emission', () => {
  it('has the schedule of the economics, for ever', async () => {
    const { emission } = await load();
    const period = 180n * 86_400n;
    for (const at of [0n, 1n, length, period - 1n, period, period + 7n, 9n * period + 1n, 209n * period, 500n * period])
      assert.equal(await emission.read.emittedAfter([at]), emittedAfter(at));
    assert.equal(await emission.read.emittedAfter([2n ** 256n - 1n]), emissionTotal());
  });

  it('counts one epoch, or two where the one before has no record, and nothing missed before', async () => {
    const { emission } = await load();
    const budgets = await Promise.all([0n, 1n, 2n, 3n, 4n, 5n].map((epoch) => emission.read.budgetOf([epoch])));
    const of = (epoch: bigint, before: boolean) => epochEmission(epoch, length, before);
    assert.deepEqual(budgets, [of(0n, false), of(1n, true), 0n, 0n, of(4n, false), 0n]);
  });

  it('says no longer what it said of an epoch when that ends: no record of the one before comes after', async () => {
    const world = await load();
    const { emission, records } = world;
    const endsAt = endOf(world, 6n);
    await networkHelpers.time.increaseTo(endsAt - 1n);
    await networkHelpers.time.setNextBlockTimestamp(endsAt);
    const late = [5n, endsAt, endsAt];
    await refused(postRecord(records, await recordWith(world, 5n)), 'EpochRecordsTooLate', late);
    await postRecord(records, await recordWith(world, 6n));
    assert.equal(await emission.read.budgetOf([6n]), epochEmission(6n, length, false));
    await refused(postRecord(records, await recordWith(world, 5n)), 'EpochRecordsNotNewer', [5n, 6n]);
  });

  it('mints each epoch once, in any order, split to the unit, as issued', async () => {
    const { emission, pha, mint, stranger } = await load();
    const expected = { treasury: 0n, gatekeepers: 0n, workers: 0n };
    for (const [epoch, before] of [
      [4n, false],
      [0n, false],
      [1n, true],
    ] as const) {
      const parts = splitEmission(epochEmission(epoch, length, before), {
        treasuryBps: epoch === 0n ? 0n : 2_001n,
        gatekeepersBps: epoch === 0n ? 0n : 503n,
      });
      assert.equal(await emission.read.workersBudgetOf([epoch]), parts.workers);
      await mint(epoch, parts.workers);
      const [event] = await emission.getEvents.EpochMinted({ epoch });
      assert.deepEqual(event?.args, {
        epoch,
        toWorkers: parts.workers,
        toTreasury: parts.treasury,
        toGatekeepers: parts.gatekeepers,
      });
      await refused(mint(epoch, 0n), 'EmissionAlreadyMinted', [epoch]);
      for (const part of ['treasury', 'gatekeepers', 'workers'] as const) expected[part] += parts[part];
    }
    const balances = [treasury, gatekeepers, stranger.account.address].map((one) => pha.read.balanceOf([one]));
    assert.deepEqual(await Promise.all(balances), Object.values(expected));
    const issued = genesisPha + expected.treasury + expected.gatekeepers + expected.workers;
    assert.equal(await pha.read.issuedEver(), issued);
    assert.equal(await pha.read.totalSupply(), issued);
  });

  it('never mints what is not awarded', async () => {
    const { pha, mint } = await load();
    await mint(1n, 0n);
    const transfers = await pha.getEvents.Transfer();
    assert.deepEqual(
      transfers.map(({ args }) => args.to),
      [treasury, gatekeepers],
    );
    assert.ok(transfers.every(({ args }) => args.value !== 0n));
  });

  it('mints what is awarded, and nothing beside it where nobody else has a part', async () => {
    const { emission, pha, mint } = await load();
    await mint(0n, 5n);
    assert.equal(await pha.read.issuedEver(), genesisPha + 5n);
    assert.equal(await emission.read.isMinted([0n]), true);
  });

  it('of an epoch whose record awards too much mints nothing, and the others as ever', async () => {
    const { emission, pha, mint } = await load();
    const most = await emission.read.workersBudgetOf([1n]);
    await mint(1n, most + 1n);
    const [event] = await emission.getEvents.EpochForfeited();
    assert.deepEqual(event?.args, { epoch: 1n, awarded: most + 1n, ofWorkers: most });
    assert.equal(await pha.read.issuedEver(), genesisPha);
    await refused(mint(1n, most), 'EmissionAlreadyMinted', [1n]);
    const whole = epochEmission(4n, length, false);
    assert.equal(await emission.read.budgetOf([4n]), whole);
    await mint(4n, await emission.read.workersBudgetOf([4n]));
    assert.equal(await pha.read.issuedEver(), genesisPha + whole);
  });

  it('judges a record by the split of its epoch, however late it is minted', async () => {
    const { emission, govern, mint } = await load();
    const budgets = () => Promise.all([0n, 1n, 4n].map((epoch) => emission.read.workersBudgetOf([epoch])));
    const before = await budgets();
    await refused(govern(emission, 'setSplit', [5n, shares]), 'EmissionSplitTooEarly', [5n, 6n]);
    await govern(emission, 'setSplit', [6n, { ...shares, treasuryBps: 3_000 }]);
    assert.deepEqual(await budgets(), before);
    for (const [index, epoch] of [0n, 1n, 4n].entries()) {
      await mint(epoch, before[index] ?? 0n);
      assert.equal((await emission.getEvents.EpochMinted()).length, 1);
    }
  });

  it('takes a split for the first epoch until that begins', async () => {
    const world = await load();
    const { viem, timelock, settings } = world;
    const genesis = BigInt(await networkHelpers.time.latest()) + 1_000n;
    const clock = await viem.deployContract('WorkerRegistry', [{ ...settings, genesis }]);
    const { emission } = await deployEmission(world, clock.address);
    await networkHelpers.impersonateAccount(timelock.address);
    await networkHelpers.setBalance(timelock.address, 10n ** 18n);
    const set = () => emission.write.setSplit([0n, shares], { account: timelock.address });
    await networkHelpers.time.setNextBlockTimestamp(genesis - 1n);
    await set();
    assert.equal((await emission.read.splitOf([0n])).treasuryBps, shares.treasuryBps);
    await networkHelpers.time.setNextBlockTimestamp(genesis);
    await refused(set(), 'EmissionSplitTooEarly', [0n, 1n]);
  });

  it('takes back what was announced for epochs that have not begun', async () => {
    const { emission, govern, settings } = await load();
    const bps = async (epoch: bigint) => (await emission.read.splitOf([epoch])).treasuryBps;
    const set = (epoch: bigint, treasuryBps: number) =>
      govern(emission, 'setSplit', [epoch, { ...shares, treasuryBps }]);
    await set(6n, 10);
    await set(8n, 20);
    await set(9n, 30);
    const among = () => Promise.all([0n, 1n, 5n, 6n, 7n, 8n, 9n, 100n].map(bps));
    assert.deepEqual(await among(), [0, 2_001, 2_001, 10, 10, 20, 30, 30]);
    await set(8n, 40);
    assert.deepEqual(await among(), [0, 2_001, 2_001, 10, 10, 40, 40, 40]);
    await set(7n, 50);
    assert.deepEqual(await among(), [0, 2_001, 2_001, 10, 50, 50, 50, 50]);
    // To the second: at an epoch's first it has begun.
    await networkHelpers.time.increaseTo(settings.genesis + 7n * length - 3n);
    await set(7n, 60);
    assert.equal(await bps(7n), 60);
    await networkHelpers.time.increaseTo(settings.genesis + 7n * length);
    await refused(set(7n, 70), 'EmissionSplitTooEarly', [7n, 8n]);
  });

  it('mints for nobody but the rewards contract, and for no epoch without record', async () => {
    const { emission, pha, mint, deployer, stranger, timelock } = await load();
    const callers = [deployer.account.address, stranger.account.address];
    await refused(emission.write.mintEpoch([0n, 1n]), 'EmissionCallerNotRewards', callers);
    await refused(mint(2n, 0n), 'EmissionNoRecord', [2n]);
    await refused(mint(5n, 0n), 'EmissionNoRecord', [5n]);
    await refused(pha.write.mintForEmission([deployer.account.address, 1n]), 'EmittedPhaCallerNotEmission', [
      deployer.account.address,
      emission.address,
    ]);
    const nobody = { treasury, treasuryBps: 0, gatekeepers, gatekeepersBps: 0 };
    for (const call of [emission.write.setRewards([treasury]), emission.write.setSplit([9n, nobody])])
      await refused(call, 'GovernedCallerNotTimelock', [deployer.account.address, timelock.address]);
  });

  it('keeps the shares within their bounds', async () => {
    const { emission, govern } = await load();
    const set = (changes: object) =>
      govern(emission, 'setSplit', [
        9n,
        { treasury, treasuryBps: 3_000, gatekeepers, gatekeepersBps: 1_000, ...changes },
      ]);
    await set({});
    const [event] = await emission.getEvents.SplitSet();
    assert.deepEqual(event?.args, { fromEpoch: 9n, split: await emission.read.splitOf([9n]) });
    await refused(set({ treasuryBps: 3_001 }), 'EmissionShareTooLarge', [3_001, 3_000]);
    await refused(set({ gatekeepersBps: 1_001 }), 'EmissionShareTooLarge', [1_001, 1_000]);
    await refused(set({ treasury: zeroAddress }), 'EmissionZeroRecipient');
    await refused(set({ gatekeepers: zeroAddress }), 'EmissionZeroRecipient');
    await set({ treasury: zeroAddress, treasuryBps: 0, gatekeepers: zeroAddress, gatekeepersBps: 0 });
  });

  it('is built over a token that it alone issues and that has room for the whole schedule', async () => {
    const { viem, timelock, pha, records, deployer, stranger, publicClient, emission } = await load();
    const nobody = stranger.account.address;
    const from = deployer.account.address;
    const deploy = (token: `0x${string}`, over: `0x${string}` = records.address) =>
      viem.deployContract('Emission', [timelock.address, token, over]);
    await refused(deploy(nobody), 'EmissionWithoutCode', [nobody]);
    await refused(deploy(pha.address, nobody), 'EmissionWithoutCode', [nobody]);
    await refused(deploy(pha.address), 'EmissionNotMinter', [emission.address]);
    const needed = emissionTotal();
    const cap = await pha.read.ISSUE_CAP();
    const over = async (room: bigint) => {
      const nonce = BigInt(await publicClient.getTransactionCount({ address: from }));
      const next = getContractAddress({ from, nonce: nonce + 1n });
      return deploy((await viem.deployContract('EmittedPha', [[from], [cap - room], next])).address);
    };
    await refused(over(needed - 1n), 'EmissionCapTooSmall', [needed - 1n, needed]);
    await over(needed);
  });
});

describe('vectors/emission.json', () => {
  const file = new URL('../../../vectors/emission.json', import.meta.url);
  const vectors = JSON.parse(readFileSync(file, 'utf8'));

  it('the schedule, budgets as their difference, and leaves of rewards', async () => {
    const harness = await connection.viem.deployContract('VectorHarness', []);
    const emitted = async (seconds: bigint) => harness.read.emittedAfter([seconds]);
    for (const moment of vectors.schedule) assert.equal(await emitted(BigInt(moment.elapsed)), BigInt(moment.emitted));
    assert.equal(await emitted(2n ** 256n - 1n), BigInt(vectors.total));
    const epochSeconds = BigInt(vectors.epochLength);
    for (const { epoch, hasRecordBefore, budget } of vectors.budgets) {
      const from = hasRecordBefore || epoch === '0' ? BigInt(epoch) : BigInt(epoch) - 1n;
      const between = (await emitted((BigInt(epoch) + 1n) * epochSeconds)) - (await emitted(from * epochSeconds));
      assert.equal(between, BigInt(budget));
    }
    for (const { epoch, operator, amount, leaf, proof } of vectors.rewards.leaves) {
      assert.equal(await harness.read.rewardLeaf([BigInt(epoch), operator, BigInt(amount)]), leaf);
      assert.equal(await harness.read.holdsLeaf([vectors.rewards.root, leaf, proof]), true);
    }
  });
});
