import assert from 'node:assert/strict';
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

/** The stranger plays the rewards contract; epochs 0, 1 and 4 have records. */
async function deployed() {
  const world = await deployCommitteeWorld(connection);
  await joinAll(world);
  await handOver(world);
  const parts = await deployEmission(world);
  await networkHelpers.time.increaseTo(endOf(world, 4n));
  for (const epoch of [0n, 1n, 4n]) await postRecord(parts.records, await recordWith(world, epoch));
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

  it('mints each epoch once, in any order, split to the unit, as issued', async () => {
    const { emission, pha, govern, mint, stranger } = await load();
    await govern(emission, 'setSplit', [{ treasury, treasuryBps: 2_001, gatekeepers, gatekeepersBps: 503 }]);
    const expected = { treasury: 0n, gatekeepers: 0n, workers: 0n };
    for (const [epoch, before] of [
      [4n, false],
      [0n, false],
      [1n, true],
    ] as const) {
      const parts = splitEmission(epochEmission(epoch, length, before), {
        treasuryBps: 2_001n,
        gatekeepersBps: 503n,
      });
      await refused(mint(epoch, parts.workers + 1n), 'EmissionBudgetExceeded', [
        epoch,
        parts.workers + 1n,
        parts.workers,
      ]);
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
    const { emission, pha, mint } = await load();
    await mint(0n, 5n);
    assert.equal(await pha.read.issuedEver(), genesisPha + 5n);
    assert.equal(await emission.read.isMinted([0n]), true);
    await mint(1n, 0n);
    assert.equal(await pha.read.issuedEver(), genesisPha + 5n);
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
    for (const call of [emission.write.setRewards([treasury]), emission.write.setSplit([nobody])])
      await refused(call, 'GovernedCallerNotTimelock', [deployer.account.address, timelock.address]);
  });

  it('keeps the shares within their bounds', async () => {
    const { emission, govern } = await load();
    const set = (changes: object) =>
      govern(emission, 'setSplit', [{ treasury, treasuryBps: 3_000, gatekeepers, gatekeepersBps: 1_000, ...changes }]);
    await set({});
    assert.deepEqual((await emission.getEvents.SplitSet())[0]?.args.split, await emission.read.split());
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
