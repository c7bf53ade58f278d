import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { network } from 'hardhat';
import { zeroAddress } from 'viem';
import { deployCommitteeWorld, handOver, joinAll } from '../support/committeeWorld.ts';
import { refused } from '../support/refused.ts';

const connection = await network.create();
const { networkHelpers } = connection;
const load = () => networkHelpers.loadFixture(withPurse);

async function withPurse() {
  const world = await deployCommitteeWorld(connection);
  const { viem, deployer, committee } = world;
  const token = await viem.deployContract('PhaToken', [[deployer.account.address], [1_000n]]);
  const purse = await viem.deployContract('CommitteePurse', [token.address, committee.address]);
  return { ...world, token, purse };
}

describe('CommitteePurse', () => {
  it('refuses a token and a committee that are none', async () => {
    const { viem, token, committee, deployer } = await load();
    const nobody = deployer.account.address;
    await refused(
      viem.deployContract('CommitteePurse', [zeroAddress, committee.address]),
      'CommitteePurseWithoutCode',
      [zeroAddress],
    );
    await refused(viem.deployContract('CommitteePurse', [token.address, nobody]), 'CommitteePurseWithoutCode', [
      nobody,
    ]);
  });

  it('keeps what comes in before there are members', async () => {
    const { token, purse } = await load();
    await token.write.transfer([purse.address, 10n]);
    await refused(purse.write.share(), 'CommitteePurseNoMembers');
    assert.equal(await token.read.balanceOf([purse.address]), 10n);
  });

  it('shares alike among the members, whoever asks, and keeps the rest', async () => {
    const world = await load();
    const { token, purse, committee, stranger } = world;
    await joinAll(world);
    await handOver(world);
    const [operators] = await committee.read.members();
    assert.ok(operators.length > 1);
    const count = BigInt(operators.length);
    const before = await Promise.all(operators.map((one) => token.read.balanceOf([one])));
    await refused(purse.write.share({ account: stranger.account }), 'CommitteePurseTooLittle', [0n, count]);
    await token.write.transfer([purse.address, 10n * count + count - 1n]);
    await purse.write.share({ account: stranger.account });
    const after = await Promise.all(operators.map((one) => token.read.balanceOf([one])));
    assert.deepEqual(
      after.map((balance, index) => balance - (before[index] ?? 0n)),
      operators.map(() => 10n),
    );
    assert.equal(await token.read.balanceOf([purse.address]), count - 1n);
    await refused(purse.write.share(), 'CommitteePurseTooLittle', [count - 1n, count]);
  });
});
