import { merkleProof, merkleTree } from '@cloister/core';
import { measuredLeaf, rewardLeaf } from '@cloister/economics';
import { type Hex, parseEther, toHex } from 'viem';
import type { Connection } from '../test/support/accounts.ts';
import { type CommitteeWorld, deployCommitteeWorld, handOver, joinAll } from '../test/support/committeeWorld.ts';
import { deployEmission } from '../test/support/emission.ts';
import { postRecord, recordWith } from '../test/support/epochRecords.ts';
import { k, minimumBond, poolTimes } from '../test/support/stakeWorld.ts';
import { enroll, hour, signerOf } from '../test/support/world.ts';
import type { Measure } from './measureAttestationGas.ts';

const batch = 64;

/**
 * An epoch's emission, split among workers, treasury and gatekeepers who all hold PHA already; claims out of it for one and for
 * 64 pools that have earned before, in a tree of 1,024 rewards; a worker's work, shown from a tree of 1,024 for the second time.
 */
export async function measureRewardGas(
  connection: Connection,
  measureOn: (world: CommitteeWorld) => Measure,
): Promise<void> {
  const world = await deployCommitteeWorld(connection);
  const measure = measureOn(world);
  const { operator } = world;
  await joinAll(world);
  await handOver(world);
  const parts = await deployRewards(connection, world);
  const { rewards, meter, records, wait } = parts;
  const { account } = operator;
  const workerId = await enroll(world);

  const recorded = async (epoch: bigint) => {
    const amount = parseEther('10');
    const lines = Array.from({ length: 1024 }, (_, index) => ({ epoch, operator: poolAt(world, index), amount }));
    const tree = merkleTree(lines.map((line) => rewardLeaf(line)));
    const measured = Array.from({ length: 1024 }, (_, index) => ({
      workerId: index === 0 ? workerId : toHex(index, { size: 32 }),
      measuredBy: 4,
      availability: 990_000,
      latencyMs: 20,
      work: 5_000_000n + epoch,
    }));
    const work = merkleTree(measured.map((one) => measuredLeaf(one)));
    await wait();
    const roots = { rewardsRoot: tree.root, measurementsRoot: work.root };
    const record = await recordWith(world, epoch, { ...roots, rewards: 1024n * amount });
    await postRecord(records, record);
    const proven = lines.map((line, index) => ({ ...line, proof: [...merkleProof(tree, index)] }));
    const [one, ...others] = proven.slice(0, batch + 1);
    if (one === undefined || measured[0] === undefined) throw new Error('Expected a reward and a worker');
    const shown = { ...measured[0], latencyMs: 20n };
    return {
      open: () => rewards.write.open([record]),
      claim: () => rewards.write.claim([epoch, one.operator, amount, one.proof]),
      claimMany: () => rewards.write.claimMany([epoch, others]),
      show: () => meter.write.show([record, shown, [...merkleProof(work, 0)]], { account }),
    };
  };
  await wait();
  const [first, second] = [await recorded(1n), await recorded(2n)];
  await first.open();
  await wait();
  for (const act of [first.claim, first.claimMany, first.show]) await act();
  await measure('emission-mint', await second.open());
  await wait();
  await measure('reward-claim', await second.claim());
  await measure('reward-claim-64', await second.claimMany());
  await measure('work-show', await second.show());
}

/** Emission, rewards and what measures work, over the operator's pool and 64 others with a backer each. */
async function deployRewards(connection: Connection, world: CommitteeWorld) {
  const { viem, govern, timelock, deployer, workers } = world;
  const { records, pha, emission } = await deployEmission(world);
  const rewards = await viem.deployContract('EpochRewards', [timelock.address, emission.address]);
  const settings = { timelock: timelock.address, token: pha.address, ...poolTimes };
  const pools = await viem.deployContract('StakePools', [settings]);
  await govern(emission, 'setRewards', [rewards.address]);
  const [treasury, gatekeepers] = [signerOf(601).address, signerOf(602).address];
  await govern(emission, 'setSplit', [1n, { treasury, treasuryBps: 2_000, gatekeepers, gatekeepersBps: 500 }]);
  await govern(rewards, 'setFeeSink', [pools.address]);
  const bonds = await viem.deployContract('WorkerBonds', [
    timelock.address,
    pools.address,
    workers.address,
    k,
    minimumBond,
  ]);
  const meter = await viem.deployContract('WorkMeter', [records.address, bonds.address]);
  await govern(bonds, 'setMeasurer', [meter.address]);
  const stake = parseEther('1000');
  const backer = deployer.account.address;
  await pha.write.approve([pools.address, 1_000n * stake], { account: deployer.account });
  for (let index = 0; index <= batch; index += 1) {
    const account = poolAt(world, index);
    await connection.provider.request({ method: 'hardhat_setBalance', params: [account, toHex(parseEther('100'))] });
    await connection.provider.request({ method: 'hardhat_impersonateAccount', params: [account] });
    await pools.write.createPool([0, stake, false], { account });
    await pools.write.deposit([account, stake, backer], { account: deployer.account });
  }
  const wait = () => connection.provider.request({ method: 'evm_increaseTime', params: [hour] });
  return { records, rewards, meter, wait };
}

/** Whose pool has a reward in this place. */
function poolAt({ operator }: CommitteeWorld, index: number): Hex {
  return (index === 0 ? operator.account.address : signerOf(1000 + index).address).toLowerCase() as Hex;
}
