import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { network } from 'hardhat';
import { type Address, getAddress, type Hex, hashTypedData, type PrivateKeyAccount, toHex, zeroAddress } from 'viem';
import { accountsOf } from '../support/accounts.ts';
import { refused } from '../support/refused.ts';
import { chainId, signerOf } from '../support/world.ts';

const connection = await network.create();
const { networkHelpers, viem } = connection;
const load = () => networkHelpers.loadFixture(world);

async function world() {
  const { stranger, deployer } = await accountsOf(connection);
  return { delegates: await viem.deployContract('StakeDelegates'), stranger, deployer };
}
type World = Awaited<ReturnType<typeof world>>;

type Delegation = {
  readonly account: Address;
  readonly voter: Address;
  readonly nonce: bigint;
  readonly expiry: bigint;
};
const types = {
  StakeDelegation: [
    { name: 'account', type: 'address' },
    { name: 'voter', type: 'address' },
    { name: 'nonce', type: 'uint256' },
    { name: 'expiry', type: 'uint256' },
  ],
} as const;
const never = 2n ** 256n - 1n;
const holder = signerOf(1);
const voter = signerOf(2).address;
const delegation: Delegation = { account: holder.address, voter, nonce: 0n, expiry: never };

const typed = ({ delegates }: World, message: Delegation, changes: object = {}) => ({
  domain: { name: 'Cloister', version: '1', chainId, verifyingContract: delegates.address, ...changes },
  types,
  primaryType: 'StakeDelegation' as const,
  message,
});
const sign = (loaded: World, by: PrivateKeyAccount, message = delegation, changes: object = {}) =>
  by.signTypedData(typed(loaded, message, changes));
const send = ({ delegates, stranger }: World, { account, voter: to, nonce, expiry }: Delegation, signature: Hex) =>
  delegates.write.delegateBySig([account, to, nonce, expiry, signature], { account: stranger.account });
const notSigned = (loaded: World, message: Delegation) =>
  ['StakeDelegatesNotSigned', [message.account, hashTypedData(typed(loaded, message))]] as const;

describe('StakeDelegates by signature', () => {
  it('delegates for who signed it, whoever sends it, and once', async () => {
    const loaded = await load();
    const { delegates } = loaded;
    const signature = await sign(loaded, holder);
    await send(loaded, delegation, signature);
    const [event] = await delegates.getEvents.StakeDelegated();
    assert.deepEqual(event?.args, { account: getAddress(holder.address), voter: getAddress(voter) });
    assert.equal(await delegates.read.voterOf([holder.address]), getAddress(voter));
    assert.equal(await delegates.read.nonces([holder.address]), 1n);
    await refused(send(loaded, delegation, signature), 'InvalidAccountNonce', [holder.address, 1n]);
    // Back to itself, by the next one.
    const back = { ...delegation, voter: holder.address, nonce: 1n };
    await send(loaded, back, await sign(loaded, holder, back));
    assert.equal(await delegates.read.voterOf([holder.address]), getAddress(holder.address));
  });

  it('refuses what somebody else signed, and what was changed, of another chain or contract', async () => {
    const loaded = await load();
    const { delegates, stranger } = loaded;
    await refused(send(loaded, delegation, await sign(loaded, signerOf(2))), ...notSigned(loaded, delegation));
    const signature = await sign(loaded, holder);
    for (const changes of [
      { voter: stranger.account.address },
      { expiry: never - 1n },
      { account: signerOf(3).address },
    ] as const) {
      const changed = { ...delegation, ...changes };
      await refused(send(loaded, changed, signature), ...notSigned(loaded, changed));
    }
    for (const domain of [{ chainId: 1 }, { verifyingContract: stranger.account.address }, { version: '2' }]) {
      const foreign = await sign(loaded, holder, delegation, domain);
      await refused(send(loaded, delegation, foreign), ...notSigned(loaded, delegation));
    }
    const wrongs: readonly Hex[] = ['0x', `0x${signature.slice(2, -2)}`, `${signature}00`];
    for (const wrong of wrongs) await refused(send(loaded, delegation, wrong), ...notSigned(loaded, delegation));
    assert.equal(await delegates.read.nonces([holder.address]), 0n);
  });

  it('takes no other nonce than the next, and lets its holder use that up', async () => {
    const loaded = await load();
    const later = { ...delegation, account: loaded.stranger.account.address, nonce: 1n };
    await refused(send(loaded, later, toHex(0, { size: 65 })), 'InvalidAccountNonce', [later.account, 0n]);
    await loaded.delegates.write.useNonce({ account: loaded.stranger.account });
    assert.equal(await loaded.delegates.read.nonces([later.account]), 1n);
    await refused(send(loaded, { ...later, nonce: 0n }, toHex(0, { size: 65 })), 'InvalidAccountNonce', [
      later.account,
      1n,
    ]);
  });

  it('counts until its expiry, that second included', async () => {
    const loaded = await load();
    const expiry = BigInt(await networkHelpers.time.latest()) + 1000n;
    const bounded = { ...delegation, expiry };
    const signature = await sign(loaded, holder, bounded);
    await networkHelpers.time.setNextBlockTimestamp(expiry + 1n);
    const late = ['StakeDelegatesSignatureExpired', [expiry, expiry + 1n]] as const;
    const copy = await networkHelpers.takeSnapshot();
    await refused(send(loaded, bounded, signature), ...late);
    await copy.restore();
    await networkHelpers.time.setNextBlockTimestamp(expiry);
    await send(loaded, bounded, signature);
  });

  it('refuses what changes nothing, and leaves the nonce', async () => {
    const loaded = await load();
    for (const to of [zeroAddress, holder.address] as const) {
      const message = { ...delegation, voter: to };
      await refused(send(loaded, message, await sign(loaded, holder, message)), 'StakeDelegatesUnchanged', [
        holder.address,
        holder.address,
      ]);
    }
    assert.equal(await loaded.delegates.read.nonces([holder.address]), 0n);
  });

  it('of an account with code its own word counts, and no key', async () => {
    const loaded = await load();
    const { delegates } = loaded;
    const wallet = await viem.deployContract('UnsafeSmartAccount', [holder.address]);
    const message = { ...delegation, account: wallet.address };
    await refused(send(loaded, message, await sign(loaded, signerOf(2), message)), ...notSigned(loaded, message));
    await wallet.write.setMute([true]);
    const signature = await sign(loaded, holder, message);
    await refused(send(loaded, message, signature), ...notSigned(loaded, message));
    await wallet.write.setMute([false]);
    await send(loaded, message, signature);
    assert.equal(await delegates.read.voterOf([wallet.address]), getAddress(voter));
    await refused(send(loaded, message, signature), 'InvalidAccountNonce', [wallet.address, 1n]);
  });
});
