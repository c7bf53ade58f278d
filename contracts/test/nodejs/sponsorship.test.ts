import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { network } from 'hardhat';
import { toHex, zeroAddress } from 'viem';
import {
  type Channel,
  channelClaim,
  channelWith,
  deployPayments,
  payerKeyOf,
  pha,
  statement,
  withdrawalDelay,
} from '../support/payments.ts';
import { refused } from '../support/refused.ts';
import { hour } from '../support/world.ts';

const connection = await network.create();
const { networkHelpers } = connection;
const { time } = networkHelpers;
const load = () => networkHelpers.loadFixture(deployed);
const client = payerKeyOf(1).address;
const other = payerKeyOf(2).address;

/** The borrower sponsors with 100 PHA; its one client may use 10 an epoch. */
async function deployed() {
  const world = await deployPayments(connection);
  const { viem, payments, token, borrower } = world;
  const asSponsor = { account: borrower.account };
  const sponsorship = await viem.deployContract('Sponsorship', [payments.address, borrower.account.address]);
  await token.write.transfer([sponsorship.address, 100n * pha], asSponsor);
  await sponsorship.write.setCap([client, 10n * pha], asSponsor);
  for (const address of [client, other]) {
    await networkHelpers.impersonateAccount(address);
    await networkHelpers.setBalance(address, pha);
  }
  const channel = (changes: Partial<Channel> = {}): Channel =>
    channelWith(world, { payer: sponsorship.address, payerKey: client, ...changes });
  const fund = (one: Channel, amount: bigint, account: `0x${string}` = client) =>
    sponsorship.write.fund([one, amount], { account });
  const depositedIn = async (one: Channel) =>
    (await payments.read.channelOf([await payments.read.channelId([one])])).deposited;
  /** What the client signs away and a signer of the operator says that it earned. */
  const drain = async (one: Channel, amount: bigint) =>
    payments.write.claim([
      one.operator,
      [await channelClaim(world, one, amount)],
      [(await statement(world, [one], [amount])).claim],
    ]);
  const nextEpoch = async () => {
    const genesis = await world.workers.read.genesis();
    const now = BigInt(await time.latest());
    await time.increaseTo(genesis + ((now - genesis) / BigInt(hour) + 1n) * BigInt(hour));
  };
  return { ...world, sponsorship, asSponsor, channel, fund, depositedIn, drain, nextEpoch };
}

describe('a sponsorship', () => {
  it('opens channels of a client and adds to them, within its cap of the epoch', async () => {
    const { sponsorship, payments, token, channel, fund, depositedIn, nextEpoch, borrower } = await load();
    await nextEpoch();
    const epoch = await sponsorship.read.epoch();
    const [one, two] = [channel(), channel({ salt: toHex(1, { size: 32 }) })];
    await fund(one, 4n * pha);
    const [event] = await sponsorship.getEvents.Funded();
    const expected = { epoch, amount: 4n * pha, left: 6n * pha };
    const { client: ofClient, operator, ...args } = event?.args ?? {};
    assert.deepEqual(args, expected);
    assert.equal(ofClient, client);
    assert.equal(operator?.toLowerCase(), one.operator.toLowerCase());
    await fund(two, 5n * pha);
    await fund(one, pha);
    assert.deepEqual([await depositedIn(one), await depositedIn(two)], [5n * pha, 5n * pha]);
    assert.equal(await sponsorship.read.leftOf([client]), 0n);
    await refused(fund(one, 1n), 'SponsorshipCapExceeded', [client, epoch, 1n, 0n]);
    await nextEpoch();
    assert.equal(await sponsorship.read.epoch(), epoch + 1n);
    await refused(fund(two, 10n * pha + 1n), 'SponsorshipCapExceeded', [client, epoch + 1n, 10n * pha + 1n, 10n * pha]);
    await fund(two, 10n * pha);
    assert.equal(await token.read.balanceOf([sponsorship.address]), 80n * pha);
    assert.equal(await token.read.allowance([sponsorship.address, payments.address]), 0n);
    // An idle epoch is not saved up.
    await nextEpoch();
    await nextEpoch();
    assert.equal(await sponsorship.read.leftOf([client]), 10n * pha);
    await fund(one, 10n * pha, borrower.account.address);
    await refused(fund(one, 1n, borrower.account.address), 'SponsorshipCapExceeded');
  });

  it('is used by nobody else, for no other key, and for no other payer', async () => {
    const { sponsorship, payments, channel, fund, stranger, borrower, operator } = await load();
    for (const account of [other, stranger.account.address, operator.account.address])
      await refused(fund(channel(), pha, account), 'SponsorshipCallerNotClient', [account, client]);
    await refused(fund(channel({ payerKey: other }), pha, other), 'SponsorshipCapExceeded', [
      other,
      await sponsorship.read.epoch(),
      pha,
      0n,
    ]);
    await refused(fund(channel({ payerKey: other }), pha), 'SponsorshipCallerNotClient', [client, other]);
    const own = channel({ payer: borrower.account.address });
    await refused(fund(own, pha), 'SponsorshipPayerNotThis', [borrower.account.address]);
    // Nor past it: nobody but the sponsorship opens a channel that it pays.
    await refused(
      payments.write.deposit([[{ channel: channel(), amount: pha }]], { account: stranger.account }),
      'PaymentsPayerNotFunder',
    );
    await refused(fund(channel(), 0n), 'PaymentsAmountOutOfRange');
    await refused(fund(channel({ operator: zeroAddress }), 1n), 'PaymentsPartyMissing');
  });

  it('a client that acts together with an operator gets the caps of the epochs it used, and no more', async () => {
    const { sponsorship, payments, token, channel, fund, drain, nextEpoch, operator } = await load();
    await nextEpoch();
    for (const salt of [0, 1, 2]) {
      const one = channel({ salt: toHex(salt, { size: 32 }) });
      await fund(one, 10n * pha);
      await refused(fund(one, 1n), 'SponsorshipCapExceeded');
      await drain(one, 1_000n * pha);
      await nextEpoch();
    }
    const [party, gateway] = [operator.account.address, channel().gateway] as const;
    assert.equal(await payments.read.undistributed([party, gateway]), 30n * pha);
    assert.equal(await token.read.balanceOf([sponsorship.address]), 70n * pha);
  });

  it('the sponsor takes back what is left, from channels only after the delay in which workers claim', async () => {
    const { sponsorship, payments, token, channel, fund, drain, asSponsor, borrower } = await load();
    const one = channel();
    await fund(one, 10n * pha);
    const before = await token.read.balanceOf([borrower.account.address]);
    await sponsorship.write.take([90n * pha], asSponsor);
    assert.equal(await token.read.balanceOf([borrower.account.address]), before + 90n * pha);
    await assert.rejects(sponsorship.write.take([1n], asSponsor));
    await sponsorship.write.requestClose([one], asSponsor);
    await refused(payments.write.withdraw([one]), 'PaymentsNotWithdrawable');
    await drain(one, 3n * pha);
    await time.increase(withdrawalDelay);
    await payments.write.withdraw([one]);
    assert.equal(await token.read.balanceOf([sponsorship.address]), 7n * pha);
    await sponsorship.write.take([7n * pha], asSponsor);
    await refused(fund(one, 1n), 'PaymentsChannelClosed');
  });

  it('of what comes back to it the client has nothing more', async () => {
    const { sponsorship, payments, token, channel, fund, asSponsor, operator } = await load();
    const one = channel();
    await fund(one, 10n * pha);
    await payments.write.release([one, 4n * pha], { account: operator.account });
    assert.equal(await token.read.balanceOf([sponsorship.address]), 94n * pha);
    await sponsorship.write.requestWithdrawal([one, pha], asSponsor);
    await sponsorship.write.cancelWithdrawal([one], asSponsor);
    await refused(payments.write.withdraw([one]), 'PaymentsNoWithdrawal');
    assert.equal(await sponsorship.read.leftOf([client]), 0n);
    await refused(fund(one, 1n), 'SponsorshipCapExceeded');
  });

  it('nobody but the sponsor sets caps, takes, or asks anything back', async () => {
    const { sponsorship, payments, channel, fund, stranger, borrower } = await load();
    const one = channel();
    await fund(one, pha);
    for (const account of [client, stranger.account.address]) {
      const as = { account };
      for (const call of [
        sponsorship.write.setCap([account, 1n], as),
        sponsorship.write.take([1n], as),
        sponsorship.write.requestWithdrawal([one, 1n], as),
        sponsorship.write.requestClose([one], as),
        sponsorship.write.cancelWithdrawal([one], as),
      ])
        await refused(call, 'SponsorshipCallerNotSponsor', [account, borrower.account.address]);
      await refused(payments.write.requestClose([one], as), 'PaymentsCallerNotPayer');
    }
  });

  it('a cap that is lowered counts at once, a raised one too', async () => {
    const { sponsorship, channel, fund, asSponsor } = await load();
    await fund(channel(), 6n * pha);
    await sponsorship.write.setCap([client, 5n * pha], asSponsor);
    assert.equal(await sponsorship.read.leftOf([client]), 0n);
    await refused(fund(channel(), 1n), 'SponsorshipCapExceeded');
    await sponsorship.write.setCap([client, 7n * pha], asSponsor);
    assert.equal((await sponsorship.getEvents.CapSet())[0]?.args.perEpoch, 7n * pha);
    assert.equal(await sponsorship.read.capOf([client]), 7n * pha);
    await fund(channel(), pha);
    await refused(fund(channel(), 1n), 'SponsorshipCapExceeded');
  });

  it('is built over Payments, for somebody', async () => {
    const { viem, payments, stranger } = await load();
    const nobody = stranger.account.address;
    await refused(viem.deployContract('Sponsorship', [nobody, nobody]), 'SponsorshipWithoutCode', [nobody]);
    await refused(viem.deployContract('Sponsorship', [payments.address, zeroAddress]), 'SponsorshipSponsorMissing');
  });
});
