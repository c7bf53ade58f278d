import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { network } from 'hardhat';
import { type Address, getAddress, type PrivateKeyAccount, parseSignature, toHex, zeroAddress } from 'viem';
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

describe('PhaToken routes', () => {
  it('burn what they are allowed and mint back no more than went out through them', async () => {
    const { token, genesis, alice, bob, carol } = await load();
    const issued = genesis[0] + genesis[1];
    const from = alice.account.address;
    const [route, other] = [carol.account, bob.account];
    await refused(token.write.crosschainBurn([from, 7n], { account: route }), 'ERC20InsufficientAllowance');
    await refused(token.write.crosschainMint([from, 1n], { account: route }), 'PhaTokenOutstandingExceeded', [
      route.address,
      0,
      1,
    ]);
    await token.write.approve([route.address, 7n]);
    await token.write.crosschainBurn([from, 7n], { account: route });
    await refused(token.write.crosschainBurn([from, 1n], { account: route }), 'ERC20InsufficientAllowance');
    // A holder is a route of its own, without an allowance.
    await token.write.crosschainBurn([other.address, 5n], { account: other });
    assert.deepEqual(
      [
        await token.read.outstandingOf([route.address]),
        await token.read.outstandingOf([other.address]),
        await token.read.outstanding(),
        await token.read.totalSupply(),
        await token.read.issuedEver(),
      ],
      [7n, 5n, 12n, issued - 12n, issued],
    );
    await refused(token.write.crosschainMint([from, 8n], { account: route }), 'PhaTokenOutstandingExceeded', [
      route.address,
      7,
      8,
    ]);
    await token.write.crosschainMint([route.address, 7n], { account: route });
    assert.equal(await token.read.balanceOf([route.address]), 7n);
    assert.equal(await token.read.outstanding(), 5n);
    assert.equal(await token.read.issuedEver(), issued);
    await refused(token.write.crosschainMint([from, 1n], { account: route }), 'PhaTokenOutstandingExceeded');
  });

  it('keep their sum for every past moment, and say ERC-7802', async () => {
    const { token, alice } = await load();
    const from = alice.account.address;
    const now = async () => (await (await viem.getPublicClient()).getBlock()).timestamp;
    await token.write.crosschainBurn([from, 7n]);
    const first = await now();
    await networkHelpers.time.increase(100);
    await token.write.crosschainMint([from, 3n]);
    await networkHelpers.time.increase(100);
    const past = (at: bigint) => token.read.bridgedOutAt([at]);
    assert.deepEqual([await past(first - 1n), await past(first), await past(first + 99n)], [0n, 7n, 7n]);
    assert.equal(await past((await now()) - 1n), 4n);
    await refused(past((await now()) + 1_000n), 'ERC5805FutureLookup');
    const supports = (id: `0x${string}`) => token.read.supportsInterface([id]);
    assert.deepEqual(
      [await supports('0x33331994'), await supports('0x01ffc9a7'), await supports('0xffffffff')],
      [true, true, false],
    );
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

describe('PhaToken authorizations', () => {
  const transferTypes = [
    { name: 'from', type: 'address' },
    { name: 'to', type: 'address' },
    { name: 'value', type: 'uint256' },
    { name: 'validAfter', type: 'uint256' },
    { name: 'validBefore', type: 'uint256' },
    { name: 'nonce', type: 'bytes32' },
  ] as const;
  const types = {
    TransferWithAuthorization: transferTypes,
    ReceiveWithAuthorization: transferTypes,
    CancelAuthorization: [
      { name: 'authorizer', type: 'address' },
      { name: 'nonce', type: 'bytes32' },
    ],
  } as const;
  const holder = signerOf(78);
  const another = signerOf(79);
  const late = 4_000_000_000n;
  const nonce = (salt: number) => toHex(salt, { size: 32 });

  async function funded() {
    const world = await deployed();
    await world.token.write.transfer([holder.address, 100n]);
    const { token, bob, carol } = world;
    const to = bob.account.address;
    type Changes = {
      readonly signer?: PrivateKeyAccount;
      readonly domain?: { readonly chainId?: number; readonly verifyingContract?: Address; readonly name?: string };
      readonly as?: 'TransferWithAuthorization' | 'ReceiveWithAuthorization';
      readonly validAfter?: bigint;
      readonly validBefore?: bigint;
      /** What is asked of the token, where it is another amount than was signed. */
      readonly asked?: bigint;
    };
    const domainWith = (changes: Changes['domain']) => ({
      name: 'Phala',
      version: '1',
      chainId,
      verifyingContract: token.address,
      ...changes,
    });
    /** The arguments of an authorization of 5 units from the holder to bob. */
    const authorization = async (kind: NonNullable<Changes['as']>, salt: number, changes: Changes = {}) => {
      const { validAfter = 0n, validBefore = late } = changes;
      const signature = await (changes.signer ?? holder).signTypedData({
        domain: domainWith(changes.domain),
        types,
        primaryType: changes.as ?? kind,
        message: { from: holder.address, to, value: 5n, validAfter, validBefore, nonce: nonce(salt) },
      });
      const { r, s, yParity } = parseSignature(signature);
      const value = changes.asked ?? 5n;
      return [holder.address, to, value, validAfter, validBefore, nonce(salt), 27 + yParity, r, s] as const;
    };
    const cancellation = async (salt: number, changes: Changes = {}) => {
      const signature = await (changes.signer ?? holder).signTypedData({
        domain: domainWith(changes.domain),
        types,
        primaryType: 'CancelAuthorization',
        message: { authorizer: holder.address, nonce: nonce(salt) },
      });
      const { r, s, yParity } = parseSignature(signature);
      return [holder.address, nonce(salt), 27 + yParity, r, s] as const;
    };
    /** Anyone carries a transfer; only who is paid, a receipt. */
    const transfer = async (salt: number, changes: Changes = {}) =>
      token.write.transferWithAuthorization(await authorization('TransferWithAuthorization', salt, changes), {
        account: carol.account,
      });
    const receive = async (salt: number, changes: Changes = {}, account = bob.account) =>
      token.write.receiveWithAuthorization(await authorization('ReceiveWithAuthorization', salt, changes), { account });
    const cancel = async (salt: number, changes: Changes = {}) =>
      token.write.cancelAuthorization(await cancellation(salt, changes), { account: carol.account });
    return { ...world, to, transfer, receive, cancel };
  }
  const loadFunded = () => networkHelpers.loadFixture(funded);

  it('pay once, whoever carries them, and leave permits as they are', async () => {
    const { token, genesis, to, transfer, receive } = await loadFunded();
    await transfer(1);
    assert.equal(await token.read.balanceOf([to]), genesis[1] + 5n);
    assert.equal(await token.read.authorizationState([holder.address, nonce(1)]), true);
    assert.equal(await token.read.authorizationState([holder.address, nonce(2)]), false);
    await receive(2);
    assert.equal(await token.read.balanceOf([to]), genesis[1] + 10n);
    assert.equal(await token.read.balanceOf([holder.address]), 90n);
    assert.equal(await token.read.nonces([holder.address]), 0n);
    for (const salt of [1, 2]) {
      await refused(transfer(salt), 'ERC3009UsedAuthorization', [holder.address, nonce(salt)]);
      await refused(receive(salt), 'ERC3009UsedAuthorization', [holder.address, nonce(salt)]);
    }
    assert.equal(await token.read.balanceOf([holder.address]), 90n);
  });

  it('to receive are used by who is paid alone', async () => {
    const { token, to, carol, receive } = await loadFunded();
    await refused(receive(1, {}, carol.account), 'ERC20InvalidReceiver', [to]);
    assert.equal(await token.read.authorizationState([holder.address, nonce(1)]), false);
    await receive(1);
  });

  it('hold neither before their time nor after it', async () => {
    const { transfer, receive, token } = await loadFunded();
    const now = (await (await viem.getPublicClient()).getBlock()).timestamp;
    for (const use of [transfer, receive]) {
      await refused(use(1, { validAfter: late - 1n }), 'ERC3009InvalidAuthorizationTime', [late - 1n, late]);
      await refused(use(1, { validBefore: now }), 'ERC3009InvalidAuthorizationTime', [0, now]);
    }
    assert.equal(await token.read.authorizationState([holder.address, nonce(1)]), false);
    await transfer(1, { validAfter: now - 1n, validBefore: now + 1_000n });
  });

  it('are refused from another signer, domain or kind, and for another amount', async () => {
    const { transfer, receive, token } = await loadFunded();
    for (const use of [transfer, receive]) {
      await refused(use(1, { signer: another }), 'ERC3009InvalidSignature');
      await refused(use(1, { domain: { chainId: chainId + 1 } }), 'ERC3009InvalidSignature');
      await refused(use(1, { domain: { verifyingContract: another.address } }), 'ERC3009InvalidSignature');
      await refused(use(1, { domain: { name: 'Other' } }), 'ERC3009InvalidSignature');
      await refused(use(1, { asked: 6n }), 'ERC3009InvalidSignature');
    }
    // Else anyone could carry what only the receiver may use, and so keep a contract from counting it.
    await refused(transfer(1, { as: 'ReceiveWithAuthorization' }), 'ERC3009InvalidSignature');
    await refused(receive(1, { as: 'TransferWithAuthorization' }), 'ERC3009InvalidSignature');
    assert.equal(await token.read.balanceOf([holder.address]), 100n);
  });

  it('are cancelled by the holder’s signature, for ever', async () => {
    const { token, transfer, receive, cancel } = await loadFunded();
    await refused(cancel(1, { signer: another }), 'ERC3009InvalidSignature');
    await refused(cancel(1, { domain: { chainId: chainId + 1 } }), 'ERC3009InvalidSignature');
    await cancel(1);
    assert.equal(await token.read.authorizationState([holder.address, nonce(1)]), true);
    await refused(transfer(1), 'ERC3009UsedAuthorization', [holder.address, nonce(1)]);
    await refused(receive(1), 'ERC3009UsedAuthorization', [holder.address, nonce(1)]);
    await refused(cancel(1), 'ERC3009UsedAuthorization', [holder.address, nonce(1)]);
    await transfer(2);
    await refused(cancel(2), 'ERC3009UsedAuthorization', [holder.address, nonce(2)]);
  });

  it('move no more than the holder has', async () => {
    const { token, transfer } = await loadFunded();
    for (let salt = 1; salt <= 20; ++salt) await transfer(salt);
    assert.equal(await token.read.balanceOf([holder.address]), 0n);
    await refused(transfer(21), 'ERC20InsufficientBalance', [holder.address, 0, 5]);
    assert.equal(await token.read.authorizationState([holder.address, nonce(21)]), false);
  });
});
