import { type Hex, toHex, zeroHash } from 'viem';
import type { Connection } from '../test/support/accounts.ts';
import {
  anchorAll,
  ascending,
  type Channel,
  channelClaim,
  channelWith,
  deployPayments,
  noVoucher,
  type PaymentsWorld,
  payerKeyOf,
  pha,
  receiptClaim,
  statement,
  withdrawalDelay,
} from '../test/support/payments.ts';
import { receiptWith } from '../test/support/receipts.ts';
import type { World } from '../test/support/world.ts';
import type { Measure } from './measureAttestationGas.ts';

/**
 * Channels of one payer with one operator through one gateway. Claims are measured in the steady state: channel, signer and
 * ledger have had an earlier claim, and each channel shows a new voucher and a higher total.
 */
export async function measurePaymentsGas(connection: Connection, measureOn: (world: World) => Measure): Promise<void> {
  const world = await deployPayments(connection);
  const measure = measureOn(world);
  const { payments, borrower, operator, otherOperator, stranger } = world;
  const { account } = borrower;
  const salted = (salt: number, changes: Partial<Channel> = {}) =>
    channelWith(world, { salt: toHex(salt, { size: 32 }), ...changes });
  const deposit = (channels: readonly Channel[]) =>
    payments.write.deposit([channels.map((channel) => ({ channel, amount: 100n * pha }))], { account });

  const single = salted(0);
  await deposit([salted(1000)]);
  await measure('channel-open', await deposit([single]));
  await measure('channel-top-up', await deposit([single]));
  const operators = [operator, otherOperator, stranger];
  const split = operators.map((one) => salted(2000, { operator: one.account.address }));
  await measure('channel-open-split-3', await deposit(split));

  await claimAll(world, [single], pha);
  await measure('voucher-claim', await claimAll(world, [single], 2n * pha));
  const many = await ascending(
    world,
    Array.from({ length: 64 }, (_, index) => salted(index + 1, { payerKey: payerKeyOf(index).address })),
  );
  await deposit(many);
  await claimAll(world, many, pha);
  await measure('voucher-claim-64', await claimAll(world, many, 2n * pha));

  const { claim, digest, signature } = await receiptClaim(
    world,
    receiptWith({ channel: await payments.read.channelId([single]), sequence: 9n, cumulativeFee: 3n * pha }),
  );
  await measure(
    'receipt-claim',
    await payments.write.claimByReceipts([single.operator, [await shown(world, single, 3n * pha)], [claim]]),
  );
  const digests = [digest, ...Array.from({ length: 4095 }, (_, index) => toHex(index, { size: 32 }))];
  const [proof] = await anchorAll(world, digests);
  await measure('receipts-anchor-4096', await lastTransaction(world));
  if (proof === undefined) throw new Error('Expected a proof');
  await measure('receipt-open', await payments.write.openReceipt([claim.registry, claim.receipt, signature, proof]));

  await measure('fees-distribute', await payments.write.distribute([operator.account.address, single.gateway]));
  await measure('fees-collect', await payments.write.collect([single.gateway]));
  await measure('channel-withdrawal-request', await payments.write.requestWithdrawal([single, pha], { account }));
  await connection.provider.request({ method: 'evm_increaseTime', params: [Number(withdrawalDelay)] });
  await measure('channel-withdraw', await payments.write.withdraw([single]));
  await measureSponsorship(world, measure);
}

/** A sponsored channel of a client that was funded before. */
async function measureSponsorship(world: PaymentsWorld, measure: Measure): Promise<void> {
  const { viem, payments, token, borrower } = world;
  const { account } = borrower;
  const sponsorship = await viem.deployContract('Sponsorship', [payments.address, account.address]);
  await token.write.transfer([sponsorship.address, 10n * pha], { account });
  await sponsorship.write.setCap([payerKeyOf(1).address, 10n * pha], { account });
  const sponsored = (salt: number) =>
    channelWith(world, { payer: sponsorship.address, salt: toHex(salt, { size: 32 }) });
  await sponsorship.write.fund([sponsored(1), pha], { account });
  await measure('sponsored-channel-open', await sponsorship.write.fund([sponsored(2), pha], { account }));
  await measure('sponsored-channel-top-up', await sponsorship.write.fund([sponsored(2), pha], { account }));
}

async function shown(world: PaymentsWorld, channel: Channel, amount: bigint) {
  const key = Array.from({ length: 64 }, (_, seed) => payerKeyOf(seed)).find(
    ({ address }) => address === channel.payerKey,
  );
  return key === undefined ? { channel, ...noVoucher } : channelClaim(world, channel, amount, key);
}

async function claimAll(world: PaymentsWorld, channels: readonly Channel[], total: bigint): Promise<Hex> {
  const shownAll = await Promise.all(channels.map((channel) => shown(world, channel, total + pha)));
  const { claim } = await statement(
    world,
    channels,
    channels.map(() => total),
  );
  return world.payments.write.claim([world.operator.account.address, shownAll, [claim]], {
    account: world.operator.account,
  });
}

async function lastTransaction({ publicClient }: PaymentsWorld): Promise<Hex> {
  const { transactions } = await publicClient.getBlock();
  return transactions.at(-1) ?? zeroHash;
}
