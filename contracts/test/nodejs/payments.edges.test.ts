import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { network } from 'hardhat';
import { getAddress, type Hex, toHex, zeroAddress } from 'viem';
import {
  addWorker,
  anchorAll,
  ascending,
  type Channel,
  channelClaim,
  channelWith,
  deployPayments,
  gatewayAccount,
  noVoucher,
  open,
  type PaymentsWorld,
  pha,
  receiptClaim,
  type StatementChanges,
  statement,
  withdrawalDelay,
} from '../support/payments.ts';
import { receiptWith } from '../support/receipts.ts';
import { refused } from '../support/refused.ts';
import { enroll, register, registrySettings, signerOf, teePolicy, teeTdx } from '../support/world.ts';

const connection = await network.create();
const { networkHelpers } = connection;
const load = () => networkHelpers.loadFixture(deployed);
const deployed = () => deployPayments(connection);
const most = 2n ** 84n - 1n;
const { address: signer } = signerOf(1);

async function opened() {
  const world = await load();
  const channel = channelWith(world);
  const id = await open(world, channel, 100n);
  return { world, channel, id, operator: world.operator.account.address, as: { account: world.borrower.account } };
}

async function claim(world: PaymentsWorld, channel: Channel, total: bigint, changes: StatementChanges = {}) {
  const stated = await statement(world, [channel], [total], changes);
  const shown = await channelClaim(world, channel, 90n);
  await world.payments.write.claim([world.operator.account.address, [shown], [stated.claim]]);
}

const stateOf = (world: PaymentsWorld, id: Hex) => world.payments.read.channelOf([id]);
/** What the last transaction says that it paid. */
const paid = async (world: PaymentsWorld) =>
  (await world.payments.getEvents.ChannelClaimed()).map(({ args }) => [args.channel, args.paid]);

describe('a batch', () => {
  it('of two channels and two signers counts these lists, and nothing that stands behind them', async () => {
    const world = await load();
    const { payments, operator } = world;
    await addWorker(world, { signer: signerOf(2).address });
    const salts = [1, 2].map((salt) => toHex(salt, { size: 32 }));
    const channels = await ascending(
      world,
      salts.map((salt) => channelWith(world, { salt })),
    );
    const ids = await Promise.all(channels.map((channel) => open(world, channel, 100n)));
    const shown = await Promise.all(channels.map((channel) => channelClaim(world, channel, 90n)));
    const first = await statement(world, channels, [5n, 6n]);
    const second = await statement(world, channels, [7n, 8n], { signer: signerOf(2) });
    await payments.write.claim([operator.account.address, shown, [first.claim, second.claim]]);
    assert.deepEqual(await paid(world), [
      [ids[0], 12n],
      [ids[1], 14n],
    ]);
    assert.equal(await payments.read.undistributed([operator.account.address, gatewayAccount]), 26n);
    // What lies behind the channels in memory begins with the words of their ids.
    assert.equal((await payments.read.totalOf([toHex(0x100, { size: 32 }), signer]))[0], 0n);
  });

  it('says nothing of channels that it leaves as they were', async () => {
    const { world, channel, id } = await opened();
    await claim(world, channel, 5n);
    assert.deepEqual(await paid(world), [[id, 5n]]);
    await claim(world, channel, 5n);
    assert.deepEqual(await paid(world), []);
    await claim(world, channel, 4n);
    assert.deepEqual(await paid(world), []);
  });

  it('is of 256 at most', async () => {
    const { world, channel, as } = await opened();
    const deposits = (length: number) => [Array.from({ length }, () => ({ channel, amount: 1n }))] as const;
    await refused(world.payments.write.deposit(deposits(257), as), 'PaymentsBatchOutOfRange', [257, 256]);
    await world.payments.write.deposit(deposits(256), as);
    assert.equal(await world.payments.read.totalHeld(), 356n);
  });
});

describe('an anchored claim', () => {
  it('of a signer that is not evicted pays as any other', async () => {
    const { world, channel, id, operator } = await opened();
    const stated = await statement(world, [channel], [4n]);
    const receipt = await receiptClaim(world, receiptWith({ channel: id, cumulativeFee: 6n }));
    const [one, other] = await anchorAll(world, [stated.digest, receipt.digest]);
    const shown = [await channelClaim(world, channel, 90n)];
    assert.ok(one !== undefined && other !== undefined);
    await world.payments.write.claimAnchored([operator, shown, [stated.claim], [one]]);
    assert.equal((await stateOf(world, id)).claimed, 4n);
    await world.payments.write.claimByAnchoredReceipts([operator, shown, [receipt.claim], [other]]);
    assert.equal((await stateOf(world, id)).claimed, 6n);
  });
});

describe('a signer’s registry', () => {
  /** The operator's worker with the same signer in another registry, which is the present one from then on. */
  async function moved(world: PaymentsWorld) {
    const { viem, timelock, images, settings, govern, payments, verifier, operator } = world;
    const next = await viem.deployContract('WorkerRegistry', [
      registrySettings(timelock.address, images.address, settings.genesis),
    ]);
    await govern(next, 'setTeePolicy', [teeTdx, teePolicy(verifier.address)]);
    await register(world, await enroll(world, operator, next), { registry: next });
    await govern(payments, 'setWorkerRegistry', [next.address]);
    return next;
  }

  it('stays the one by which its highest total counts, whatever lower one another knows', async () => {
    const { world, channel, id, operator } = await opened();
    await claim(world, channel, 9n);
    const next = await moved(world);
    await claim(world, channel, 8n, { registry: next.address });
    const elsewhere = { ...world, workers: next } as PaymentsWorld;
    const { claim: receipt } = await receiptClaim(elsewhere, receiptWith({ channel: id, cumulativeFee: 7n }));
    await world.payments.write.claimByReceipts([operator, [{ channel, ...noVoucher }], [receipt]]);
    const of = async () => world.payments.read.totalOf([id, signer]);
    assert.deepEqual(await of(), [9n, getAddress(world.workers.address)]);
    await claim(world, channel, 10n, { registry: next.address });
    assert.deepEqual(await of(), [10n, getAddress(next.address)]);
    // It is one total, not one in each registry.
    assert.equal((await stateOf(world, id)).earned, 10n);
  });

  it('is not the zero address where the signer has no total', async () => {
    const { world, channel } = await opened();
    const refusal = [zeroAddress, world.workers.address];
    const unknown = { signer: signerOf(9), registry: zeroAddress };
    await refused(claim(world, channel, 5n, unknown), 'PaymentsRegistryNotCurrent', refusal);
  });
});

describe('bounds', () => {
  it('a channel holds all but 2^84, and may ask it back', async () => {
    const world = await load();
    const { viem, borrower, paymentsSettings } = world;
    const as = { account: borrower.account };
    const token = await viem.deployContract('PhaToken', [[borrower.account.address], [most]]);
    const payments = await viem.deployContract('Payments', [{ ...paymentsSettings, token: token.address }]);
    await token.write.approve([payments.address, most], as);
    const channel = channelWith(world);
    await payments.write.deposit([[{ channel, amount: most }]], as);
    await payments.write.requestWithdrawal([channel, most], as);
    await networkHelpers.time.increase(withdrawalDelay);
    await payments.write.withdraw([channel]);
    assert.equal(await token.read.balanceOf([borrower.account.address]), most);
  });

  it('a withdrawal of a part leaves the rest', async () => {
    const { world, channel, id, as } = await opened();
    const { payments, token, borrower } = world;
    await payments.write.requestWithdrawal([channel, 10n], as);
    await networkHelpers.time.increase(withdrawalDelay);
    const before = await token.read.balanceOf([borrower.account.address]);
    await payments.write.withdraw([channel]);
    assert.equal((await token.read.balanceOf([borrower.account.address])) - before, 10n);
    const { deposited, closed } = await stateOf(world, id);
    assert.deepEqual([deposited, closed, await payments.read.totalHeld()], [90n, false, 90n]);
  });

  it('a deposit says what was paid out of it only where something was', async () => {
    const { world, channel, id, as } = await opened();
    assert.deepEqual(await paid(world), []);
    await claim(world, channel, 200n);
    await world.payments.write.claim([channel.operator, [await channelClaim(world, channel, 200n)], []], as);
    await open(world, channel, 30n);
    assert.deepEqual(await paid(world), [[id, 30n]]);
  });

  it('the longest delay is 30 days', async () => {
    const { viem, paymentsSettings } = await load();
    const payments = await viem.deployContract('Payments', [{ ...paymentsSettings, withdrawalDelay: 2_592_000n }]);
    assert.equal(await payments.read.withdrawalDelay(), 2_592_000n);
  });
});

describe('a sponsorship', () => {
  it('counts each epoch by itself, and the time before genesis as the first', async () => {
    const world = await load();
    const { viem, timelock, images, borrower, paymentsSettings } = world;
    const as = { account: borrower.account };
    const genesis = BigInt(await networkHelpers.time.latest()) + 5_000n;
    const clock = await viem.deployContract('WorkerRegistry', [
      registrySettings(timelock.address, images.address, genesis),
    ]);
    const settings = { ...paymentsSettings, workerRegistry: clock.address };
    const payments = await viem.deployContract('Payments', [settings]);
    const sponsorship = await viem.deployContract('Sponsorship', [payments.address, borrower.account.address]);
    await world.token.write.transfer([sponsorship.address, pha], as);
    const channel = channelWith(world, { payer: sponsorship.address });
    await sponsorship.write.setCap([channel.payerKey, 10n], as);
    assert.equal(await sponsorship.read.epoch(), 0n);
    await sponsorship.write.fund([channel, 10n], as);
    assert.equal(await sponsorship.read.leftOf([channel.payerKey]), 0n);
    await networkHelpers.time.increaseTo(genesis + 3_600n);
    await sponsorship.write.fund([channel, 4n], as);
    assert.equal(await sponsorship.read.leftOf([channel.payerKey]), 6n);
    await sponsorship.write.fund([channel, 6n], as);
    assert.equal(await payments.read.totalHeld(), 20n);
  });
});
