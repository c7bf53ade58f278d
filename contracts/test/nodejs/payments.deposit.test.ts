import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { depositsNonce } from '@cloister/core';
import { network } from 'hardhat';
import { getAddress, hashTypedData, parseSignature, toHex, zeroAddress } from 'viem';
import {
  type Channel,
  channelClaim,
  channelWith,
  type Deposit,
  deployPayments,
  gatewayAccount,
  noVoucher,
  open,
  type PaymentsWorld,
  payerKeyOf,
  pha,
  shares,
  signAuthorization,
  statement,
  treasuryAccount,
  withdrawalDelay,
} from '../support/payments.ts';
import { refused } from '../support/refused.ts';
import { chainId, signerOf } from '../support/world.ts';

const connection = await network.create();
const { networkHelpers } = connection;
const deployed = () => deployPayments(connection);
const load = () => networkHelpers.loadFixture(deployed);
const most = 2n ** 84n - 1n;
const holder = signerOf(77);
const farAway = 4_000_000_000n;
const salt = toHex(5, { size: 32 });

async function opened() {
  const world = await load();
  const channel = channelWith(world);
  const id = await open(world, channel, 100n);
  return { world, channel, id, as: { account: world.borrower.account } };
}

const stateOf = async (world: PaymentsWorld, channel: Channel) =>
  world.payments.read.channelOf([await world.payments.read.channelId([channel])]);

async function claim(world: PaymentsWorld, channel: Channel, total: bigint) {
  const stated = await statement(world, [channel], [total]);
  await world.payments.write.claim([
    world.operator.account.address,
    [await channelClaim(world, channel, total)],
    [stated.claim],
  ]);
}

describe('construction', () => {
  it('refuses delays, shares and addresses out of range', async () => {
    const world = await load();
    const deploy = (changes: object) =>
      world.viem.deployContract('Payments', [{ ...world.paymentsSettings, ...changes }]);
    await refused(deploy({ withdrawalDelay: 899n }), 'PaymentsDelayOutOfRange', [899, 900, 2_592_000]);
    await refused(deploy({ withdrawalDelay: 2_592_001n }), 'PaymentsDelayOutOfRange');
    await refused(deploy({ workerRegistry: zeroAddress }), 'PaymentsRegistryWithoutCode', [zeroAddress]);
    await refused(deploy({ token: zeroAddress }), 'FeeLedgerTokenWithoutCode', [zeroAddress]);
    await refused(deploy({ stakePools: zeroAddress }), 'FeeLedgerSinkWithoutCode', [zeroAddress]);
    await refused(deploy({ treasury: zeroAddress }), 'FeeLedgerRecipientMissing');
    await refused(deploy({ gatekeepers: zeroAddress }), 'FeeLedgerRecipientMissing');
    for (const [changes, maximum] of [
      [{ gateway: 2001 }, 2000],
      [{ gatekeepers: 1001 }, 1000],
      [{ treasury: 1001 }, 1000],
    ] as const)
      await refused(deploy({ shares: { ...shares, ...changes } }), 'FeeLedgerShareOutOfRange', [maximum + 1, maximum]);
    await deploy({ withdrawalDelay: 900n, shares: { gateway: 2000, gatekeepers: 1000, treasury: 1000 } });
  });
});

describe('a deposit', () => {
  it('opens channels with several operators in one transaction, and is added to by anyone', async () => {
    const world = await load();
    const { payments, token, operator, otherOperator, borrower, stranger } = world;
    const channels = [operator, otherOperator].map((one) => channelWith(world, { operator: one.account.address }));
    const deposits = channels.map((channel, index) => ({ channel, amount: BigInt(index + 1) * pha }));
    await payments.write.deposit([deposits], { account: borrower.account });
    await payments.write.deposit([deposits], { account: stranger.account });
    for (const [index, channel] of channels.entries())
      assert.equal((await stateOf(world, channel)).deposited, 2n * BigInt(index + 1) * pha);
    assert.equal(await payments.read.totalHeld(), 6n * pha);
    assert.equal(await token.read.balanceOf([payments.address]), 6n * pha);
  });

  it('opens none in another’s name, for nobody, of nothing, or beyond its bounds', async () => {
    const world = await load();
    const { payments, borrower, stranger } = world;
    const account = borrower.account;
    const channel = channelWith(world);
    const id = await payments.read.channelId([channel]);
    const write = (deposits: Deposit[], by = account) => payments.write.deposit([deposits], { account: by });
    await refused(write([{ channel, amount: 1n }], stranger.account), 'PaymentsPayerNotFunder', [
      id,
      account.address,
      stranger.account.address,
    ]);
    for (const changes of [{ operator: zeroAddress }, { payerKey: zeroAddress }])
      await refused(write([{ channel: channelWith(world, changes), amount: 1n }]), 'PaymentsPartyMissing');
    await refused(write([{ channel, amount: 0n }]), 'PaymentsAmountOutOfRange', [0, most]);
    await refused(write([{ channel, amount: most + 1n }]), 'PaymentsAmountOutOfRange', [most + 1n, most]);
    await refused(write([]), 'PaymentsBatchOutOfRange', [0, 256]);
    await write([
      { channel, amount: 5n },
      { channel, amount: 6n },
    ]);
    await refused(write([{ channel, amount: most - 10n }]), 'PaymentsAmountOutOfRange', [most - 10n, most - 11n]);
    assert.equal((await stateOf(world, channel)).deposited, 11n);
  });

  it('by permit, also where somebody used the permit before', async () => {
    const world = await load();
    const { payments, token, borrower, deployer, stranger, viem } = world;
    await token.write.transfer([holder.address, 100n], { account: borrower.account });
    await networkHelpers.impersonateAccount(holder.address);
    await networkHelpers.setBalance(holder.address, 10n ** 18n);
    const wallet = await viem.getWalletClient(holder.address);
    const deposits = [{ channel: channelWith(world, { payer: holder.address }), amount: 40n }];
    const permit = async (value: bigint, nonce: bigint) => {
      const hash = hashTypedData({
        domain: { name: 'Phala', version: '1', chainId, verifyingContract: token.address },
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
        message: { owner: holder.address, spender: payments.address, value, nonce, deadline: farAway },
      });
      const { r, s, yParity } = parseSignature(await holder.sign({ hash }));
      return [27 + yParity, r, s] as const;
    };
    const [v, r, s] = await permit(40n, 0n);
    await payments.write.depositWithPermit([deposits, farAway, v, r, s], { account: wallet.account });
    const raced = await permit(40n, 1n);
    await token.write.permit([holder.address, payments.address, 40n, farAway, ...raced], { account: stranger.account });
    await payments.write.depositWithPermit([deposits, farAway, ...raced], { account: wallet.account });
    assert.equal(await token.read.balanceOf([holder.address]), 20n);
    await refused(
      payments.write.depositWithPermit([deposits, farAway, ...raced], { account: wallet.account }),
      'ERC20InsufficientAllowance',
    );
    await refused(
      payments.write.depositWithPermit([deposits, farAway, v, r, s], { account: deployer.account }),
      'ERC20InsufficientAllowance',
    );
  });

  it('by an authorization that pays for these deposits alone', async () => {
    const world = await load();
    const { payments, token, borrower, stranger } = world;
    await token.write.transfer([holder.address, 100n], { account: borrower.account });
    const deposits = [{ channel: channelWith(world, { payer: holder.address }), amount: 40n }];
    const nonce = await payments.read.authorizationNonce([deposits, salt]);
    assert.equal(nonce, depositsNonce(deposits, salt));
    const message = {
      from: holder.address,
      to: payments.address,
      value: 40n,
      validAfter: 0n,
      validBefore: farAway,
      nonce,
    };
    const signature = await signAuthorization(token.address, 'ReceiveWithAuthorization', message, holder);
    const write = (given: Deposit[], by = salt) =>
      payments.write.depositWithAuthorization([given, holder.address, by, 0n, farAway, ...signature], {
        account: stranger.account,
      });
    const diverted = channelWith(world, { payer: holder.address, payerKey: payerKeyOf(9).address });
    await refused(write([{ channel: diverted, amount: 40n }]), 'ERC3009InvalidSignature');
    await refused(write(deposits, toHex(6, { size: 32 })), 'ERC3009InvalidSignature');
    await refused(
      token.write.receiveWithAuthorization(
        [message.from, message.to, message.value, 0n, farAway, nonce, ...signature],
        { account: stranger.account },
      ),
      'ERC20InvalidReceiver',
    );
    await write(deposits);
    await refused(write(deposits), 'ERC3009UsedAuthorization');
    assert.equal(await payments.read.totalHeld(), 40n);
    assert.equal(await token.read.balanceOf([payments.address]), 40n);
  });
});

describe('a withdrawal', () => {
  it('pays the payer after the delay what was asked back, or what claims have left', async () => {
    const { world, channel, id, as } = await opened();
    const { payments, token, borrower, stranger } = world;
    await payments.write.requestWithdrawal([channel, 60n], as);
    const { withdrawableAt } = await stateOf(world, channel);
    assert.equal(withdrawableAt, BigInt(await networkHelpers.time.latest()) + withdrawalDelay);
    await refused(payments.write.withdraw([channel]), 'PaymentsNotWithdrawable');
    await claim(world, channel, 70n);
    await networkHelpers.time.setNextBlockTimestamp(withdrawableAt);
    const before = await token.read.balanceOf([borrower.account.address]);
    await payments.write.withdraw([channel], { account: stranger.account });
    assert.equal((await token.read.balanceOf([borrower.account.address])) - before, 30n);
    await refused(payments.write.withdraw([channel]), 'PaymentsNoWithdrawal', [id]);
    assert.equal((await stateOf(world, channel)).deposited, 70n);
    await claim(world, channel, 90n);
    assert.equal((await stateOf(world, channel)).claimed, 70n);
    assert.equal(await payments.read.totalHeld(), 70n);
  });

  it('a new wish starts anew, top-ups change nothing, and the payer takes it back', async () => {
    const { world, channel, id, as } = await opened();
    const { payments } = world;
    await payments.write.requestWithdrawal([channel, 60n], as);
    const first = (await stateOf(world, channel)).withdrawableAt;
    await networkHelpers.time.increase(100);
    await payments.write.requestWithdrawal([channel, 10n], as);
    await open(world, channel, 5n);
    const { withdrawing, withdrawableAt } = await stateOf(world, channel);
    assert.equal(withdrawing, 10n);
    assert.ok(withdrawableAt > first);
    await refused(payments.write.cancelWithdrawal([channel]), 'PaymentsCallerNotPayer');
    await payments.write.cancelWithdrawal([channel], as);
    await refused(payments.write.cancelWithdrawal([channel], as), 'PaymentsNoWithdrawal', [id]);
    await networkHelpers.time.increase(withdrawalDelay);
    await refused(payments.write.withdraw([channel]), 'PaymentsNoWithdrawal');
  });

  it('is asked by the payer alone, of an open channel, of something', async () => {
    const { world, channel, as } = await opened();
    const { payments, stranger } = world;
    const by = { account: stranger.account };
    await refused(payments.write.requestWithdrawal([channel, 1n], by), 'PaymentsCallerNotPayer');
    await refused(payments.write.requestClose([channel], by), 'PaymentsCallerNotPayer');
    await refused(payments.write.requestWithdrawal([channel, 0n], as), 'PaymentsAmountOutOfRange', [0, most]);
    await refused(payments.write.requestWithdrawal([channel, most + 1n], as), 'PaymentsAmountOutOfRange');
    const unknown = channelWith(world, { salt });
    await refused(payments.write.requestWithdrawal([unknown, 1n], as), 'PaymentsChannelUnknown');
  });

  it('that closes pays all that is left and ends the channel; claims of it pay nothing more', async () => {
    const { world, channel, id, as } = await opened();
    const { payments } = world;
    await claim(world, channel, 30n);
    await payments.write.requestClose([channel], as);
    await networkHelpers.time.increase(withdrawalDelay);
    await payments.write.withdraw([channel]);
    const { deposited, claimed, closed } = await stateOf(world, channel);
    assert.deepEqual([deposited, claimed, closed], [30n, 30n, true]);
    await refused(payments.write.deposit([[{ channel, amount: 1n }]], as), 'PaymentsChannelClosed', [id]);
    await claim(world, channel, 90n);
    assert.equal((await stateOf(world, channel)).claimed, 30n);
  });

  it('the operator lets money go at once, as much as is left', async () => {
    const { world, channel, as } = await opened();
    const { payments, operator } = world;
    const by = { account: operator.account };
    await claim(world, channel, 30n);
    await refused(payments.write.release([channel, 1n], as), 'PaymentsCallerNotOperator');
    await refused(payments.write.release([channel, 71n], by), 'PaymentsAmountOutOfRange', [71, 70]);
    await refused(payments.write.release([channel, 0n], by), 'PaymentsAmountOutOfRange');
    await payments.write.release([channel, 70n], by);
    assert.equal(await payments.read.totalHeld(), 30n);
  });
});

describe('fees', () => {
  it('of an operator with a pool go to the pool, and nothing is paid twice', async () => {
    const { world, channel } = await opened();
    const { payments, sink, operator, token } = world;
    const party = operator.account.address;
    await sink.write.openPool([party]);
    await refused(payments.write.distribute([party, gatewayAccount]), 'FeeLedgerNothingToDistribute');
    await claim(world, channel, 100n);
    await payments.write.distribute([party, gatewayAccount]);
    await payments.write.collectForOperator([party]);
    assert.equal(await sink.read.feesOf([party]), 80n);
    assert.equal(await token.read.balanceOf([sink.address]), 80n);
    await refused(payments.write.collectForOperator([party]), 'FeeLedgerNothingOwed', [party]);
    await payments.write.collect([gatewayAccount]);
    await refused(payments.write.collect([gatewayAccount]), 'FeeLedgerNothingOwed', [gatewayAccount]);
  });

  it('without a gateway leave its part to the operator', async () => {
    const world = await load();
    const channel = channelWith(world, { gateway: zeroAddress });
    await open(world, channel, 100n);
    await claim(world, channel, 100n);
    const party = world.operator.account.address;
    await world.payments.write.distribute([party, zeroAddress]);
    assert.equal(await world.payments.read.owedToOperator([party]), 90n);
    assert.equal(await world.payments.read.owed([zeroAddress]), 0n);
  });

  it('are not handed to a sink that leaves some', async () => {
    const world = await load();
    const forgetful = await world.viem.deployContract('UnsafeForgetfulSink', [world.token.address]);
    const payments = await world.viem.deployContract('Payments', [
      { ...world.paymentsSettings, stakePools: forgetful.address },
    ]);
    const other = { ...world, payments } as PaymentsWorld;
    await world.token.write.approve([payments.address, pha], { account: world.borrower.account });
    const channel = channelWith(other);
    await open(other, channel, 100n);
    await claim(other, channel, 100n);
    const party = world.operator.account.address;
    await payments.write.distribute([party, gatewayAccount]);
    await refused(payments.write.collectForOperator([party]), 'FeeLedgerFeesNotTaken', [party, 80]);
  });

  it('are governed by the timelock alone, within bounds; only a surplus can be swept', async () => {
    const { world } = await opened();
    const { payments, token, borrower, govern, workers } = world;
    const wider = { gateway: 2000, gatekeepers: 0, treasury: 0 };
    for (const attempt of [
      () => payments.write.setFeeShares([wider]),
      () => payments.write.setFeeRecipients([treasuryAccount, treasuryAccount]),
      () => payments.write.sweepSurplus(),
      () => payments.write.setWorkerRegistry([workers.address]),
    ])
      await refused(attempt(), 'GovernedCallerNotTimelock');
    await govern(payments, 'setFeeShares', [wider]);
    assert.deepEqual(await payments.read.feeShares(), wider);
    await govern(payments, 'setFeeRecipients', [gatewayAccount, treasuryAccount]);
    assert.equal(await payments.read.gatekeepers(), getAddress(gatewayAccount));
    await refused(govern(payments, 'sweepSurplus', []), 'FeeLedgerNoSurplus');
    await token.write.transfer([payments.address, 7n], { account: borrower.account });
    await govern(payments, 'sweepSurplus', []);
    assert.equal(await token.read.balanceOf([treasuryAccount]), 7n);
    assert.equal(await token.read.balanceOf([payments.address]), 100n);
  });

  it('the voucher domain is told as ERC-5267 has it', async () => {
    const { world, channel } = await opened();
    const [fields, name, version, id, contract] = await world.payments.read.eip712Domain();
    assert.deepEqual(
      [fields, name, version, id, contract.toLowerCase()],
      ['0x0f', 'x402 Batch Settlement', '1', BigInt(chainId), world.payments.address.toLowerCase()],
    );
    await world.payments.write.claim([world.operator.account.address, [{ channel, ...noVoucher }], []]);
  });
});
