import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { network } from 'hardhat';
import { getAddress, parseSignature, zeroAddress } from 'viem';
import { accountsOf } from '../support/accounts.ts';
import { refused } from '../support/refused.ts';
import { chainId, signerOf } from '../support/world.ts';

const connection = await network.create();
const { networkHelpers, viem } = connection;
const load = () => networkHelpers.loadFixture(deployed);
const cap = 1_000_000_000n * 10n ** 18n;

async function deployed() {
  const { deployer: alice, operator: bob, stranger: carol } = await accountsOf(connection);
  const genesis = [cap / 2n, cap / 10n] as const;
  const token = await viem.deployContract('PhaTokenHarness', [
    [alice.account.address, bob.account.address],
    [...genesis],
  ]);
  return { token, genesis, alice, bob, carol };
}

describe('PhaToken genesis', () => {
  it('allocates and counts as issued', async () => {
    const { token, genesis, alice, bob } = await load();
    assert.deepEqual(
      [await token.read.name(), await token.read.symbol(), await token.read.decimals(), await token.read.ISSUE_CAP()],
      ['Phala', 'PHA', 18, cap],
    );
    assert.equal(await token.read.balanceOf([alice.account.address]), genesis[0]);
    assert.equal(await token.read.balanceOf([bob.account.address]), genesis[1]);
    assert.equal(await token.read.issuedEver(), genesis[0] + genesis[1]);
    assert.equal(await token.read.totalSupply(), genesis[0] + genesis[1]);
  });

  it('refuses unequal lists, more than the cap, and the zero address', async () => {
    const { alice } = await load();
    const holder = alice.account.address;
    const deploy = (holders: `0x${string}`[], amounts: bigint[]) => viem.deployContract('PhaToken', [holders, amounts]);
    await refused(deploy([holder], []), 'PhaTokenGenesisLengthMismatch', [1, 0]);
    await refused(deploy([holder, holder], [1n]), 'PhaTokenGenesisLengthMismatch', [2, 1]);
    await refused(deploy([holder, holder], [cap, 1n]), 'PhaTokenIssueCapExceeded', [cap, 1, cap]);
    await refused(deploy([holder], [2n ** 256n - 1n]), 'PhaTokenIssueCapExceeded');
    await refused(deploy([zeroAddress], [1n]), 'ERC20InvalidReceiver', [zeroAddress]);
    await deploy([holder], [cap]);
  });
});

describe('PhaToken issue cap', () => {
  it('is not widened by burning', async () => {
    const { token, genesis, alice, carol } = await load();
    const issued = genesis[0] + genesis[1];
    await token.write.burn([genesis[0]]);
    assert.equal(await token.read.totalSupply(), genesis[1]);
    assert.equal(await token.read.issuedEver(), issued);
    await refused(token.write.issue([carol.account.address, cap - issued + 1n]), 'PhaTokenIssueCapExceeded', [
      issued,
      cap - issued + 1n,
      cap,
    ]);
    await token.write.issue([carol.account.address, cap - issued]);
    assert.equal(await token.read.issuedEver(), cap);
    await refused(token.write.issue([alice.account.address, 1n]), 'PhaTokenIssueCapExceeded', [cap, 1, cap]);
  });

  it('burns another’s only within an allowance', async () => {
    const { token, alice, carol } = await load();
    await refused(
      token.write.burnFrom([alice.account.address, 1n], { account: carol.account }),
      'ERC20InsufficientAllowance',
    );
    await token.write.approve([carol.account.address, 1n]);
    await token.write.burnFrom([alice.account.address, 1n], { account: carol.account });
  });
});

describe('PhaToken votes', () => {
  it('counts by timestamp', async () => {
    const { token, genesis, alice, bob } = await load();
    assert.equal(await token.read.CLOCK_MODE(), 'mode=timestamp');
    const publicClient = await viem.getPublicClient();
    assert.equal(BigInt(await token.read.clock()), (await publicClient.getBlock()).timestamp);
    await token.write.delegate([bob.account.address]);
    const delegatedAt = (await publicClient.getBlock()).timestamp;
    assert.equal(await token.read.getVotes([bob.account.address]), genesis[0]);
    await networkHelpers.time.increase(100);
    await token.write.transfer([bob.account.address, 1n], { account: alice.account });
    assert.equal(await token.read.getVotes([bob.account.address]), genesis[0] - 1n);
    assert.equal(await token.read.getPastVotes([bob.account.address, delegatedAt]), genesis[0]);
    assert.equal(await token.read.getPastVotes([bob.account.address, delegatedAt - 1n]), 0n);
    await refused(token.read.getPastVotes([bob.account.address, delegatedAt + 1_000_000n]), 'ERC5805FutureLookup');
  });
});

describe('PhaToken permits', () => {
  it('approves by signature, once and in time', async () => {
    const { token, carol } = await load();
    const holder = signerOf(77);
    const deadline = 4_000_000_000n;
    const sign = async (nonce: bigint, until: bigint, contract = token.address) =>
      parseSignature(
        await holder.signTypedData({
          domain: { name: 'Phala', version: '1', chainId, verifyingContract: contract },
          types: {
            Permit: [
              { name: 'owner', type: 'address' },
              { name: 'spender', type: 'address' },
              { name: 'value', type: 'uint256' },
              { name: 'nonce', type: 'uint256' },
              { name: 'deadline', type: 'uint256' },
            ],
          },
          primaryType: 'Permit',
          message: { owner: holder.address, spender: carol.account.address, value: 5n, nonce, deadline: until },
        }),
      );
    const permit = (until: bigint, { r, s, yParity }: Awaited<ReturnType<typeof sign>>) =>
      token.write.permit([holder.address, carol.account.address, 5n, until, 27 + yParity, r, s]);
    const signature = await sign(0n, deadline);
    await permit(deadline, signature);
    assert.equal(await token.read.allowance([holder.address, carol.account.address]), 5n);
    assert.equal(await token.read.nonces([getAddress(holder.address)]), 1n);
    await refused(permit(deadline, signature), 'ERC2612InvalidSigner');
    await refused(permit(deadline, await sign(1n, deadline, zeroAddress)), 'ERC2612InvalidSigner');
    await refused(permit(1n, await sign(1n, 1n)), 'ERC2612ExpiredSignature', [1]);
  });
});
