import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { packTotals } from '@cloister/core';
import { network } from 'hardhat';
import { type Address, encodeFunctionData, getAddress, type Hex, toHex, zeroAddress, zeroHash } from 'viem';
import { defaultImageId } from '../support/evidence.ts';
import {
  addWorker,
  anchorAll,
  ascending,
  type Channel,
  channelClaim,
  channelWith,
  compact,
  deployPayments,
  gatekeepersAccount,
  gatewayAccount,
  malleated,
  noVoucher,
  open,
  type PaymentsWorld,
  payerKeyOf,
  pha,
  receiptClaim,
  type StatementChanges,
  statement,
  treasuryAccount,
} from '../support/payments.ts';
import { receiptWith } from '../support/receipts.ts';
import { refused } from '../support/refused.ts';
import { lastRecord, register, registrySettings, signerOf } from '../support/world.ts';

const connection = await network.create();
const { networkHelpers } = connection;
const load = () => networkHelpers.loadFixture(deployed);
const deployed = () => deployPayments(connection);

async function opened() {
  const world = await load();
  const channel = channelWith(world);
  const id = await open(world, channel, 100n * pha);
  return { world, channel, id };
}

/** Claims one channel with a voucher and a signer's total. */
async function claim(
  world: PaymentsWorld,
  channel: Channel,
  voucher: bigint,
  total: bigint,
  changes: StatementChanges = {},
) {
  const shown = voucher === 0n ? { channel, ...noVoucher } : await channelClaim(world, channel, voucher);
  return world.payments.write.claim([
    operatorOf(world),
    [shown],
    [(await statement(world, [channel], [total], changes)).claim],
  ]);
}

const operatorOf = (world: PaymentsWorld) => world.operator.account.address;

async function claimedOf(world: PaymentsWorld, channel: Channel): Promise<bigint> {
  return (await world.payments.read.channelOf([await world.payments.read.channelId([channel])])).claimed;
}

describe('a claim', () => {
  it('pays the increase of the total, split by the shares, to the unit', async () => {
    const { world, channel, id } = await opened();
    const { payments, token, operator } = world;
    await claim(world, channel, 10n * pha, 7n * pha + 3n);
    assert.equal(await claimedOf(world, channel), 7n * pha + 3n);
    assert.deepEqual(await payments.read.totalOf([id, signerOf(1).address]), [
      7n * pha + 3n,
      getAddress(world.workers.address),
    ]);
    const [party, through] = [operator.account.address, gatewayAccount] as const;
    assert.equal(await payments.read.undistributed([party, through]), 7n * pha + 3n);
    await payments.write.distribute([party, through]);
    const fee = 7n * pha + 3n;
    const parts = [fee / 10n, fee / 20n, fee / 20n] as const;
    assert.equal(await payments.read.owed([gatewayAccount]), parts[0]);
    assert.equal(await payments.read.owed([gatekeepersAccount]), parts[1]);
    assert.equal(await payments.read.owed([treasuryAccount]), parts[2]);
    const rest = fee - parts[0] - parts[1] - parts[2];
    assert.equal(await payments.read.owedToOperator([party]), rest);
    await payments.write.collect([gatewayAccount]);
    await payments.write.collectForOperator([party]);
    assert.equal(await token.read.balanceOf([gatewayAccount]), parts[0]);
    assert.equal(await token.read.balanceOf([party]), rest);
    assert.equal(await payments.read.totalHeld(), 100n * pha - parts[0] - rest);
    assert.equal(await token.read.balanceOf([payments.address]), await payments.read.totalHeld());
  });

  it('never pays above the voucher, and pays the rest with a better one, without a new statement', async () => {
    const { world, channel } = await opened();
    await claim(world, channel, 5n, 8n);
    assert.equal(await claimedOf(world, channel), 5n);
    await world.payments.write.claim([operatorOf(world), [await channelClaim(world, channel, 6n)], []]);
    assert.equal(await claimedOf(world, channel), 6n);
    await world.payments.write.claim([operatorOf(world), [await channelClaim(world, channel, 50n)], []]);
    assert.equal(await claimedOf(world, channel), 8n);
  });

  it('never pays above the deposit, and pays the rest out of the next one', async () => {
    const { world, channel } = await opened();
    const { payments, operator } = world;
    await claim(world, channel, 200n * pha, 150n * pha);
    assert.equal(await claimedOf(world, channel), 100n * pha);
    await open(world, channel, 30n * pha);
    assert.equal(await claimedOf(world, channel), 130n * pha);
    assert.equal(await payments.read.undistributed([operator.account.address, gatewayAccount]), 130n * pha);
    await open(world, channel, 30n * pha);
    assert.equal(await claimedOf(world, channel), 150n * pha);
  });

  it('pays nothing twice: not the same claim, nor an old total or voucher', async () => {
    const { world, channel } = await opened();
    await claim(world, channel, 10n, 7n);
    await claim(world, channel, 10n, 7n);
    await claim(world, channel, 9n, 6n);
    assert.equal(await claimedOf(world, channel), 7n);
    const { voucher } = await world.payments.read.channelOf([await world.payments.read.channelId([channel])]);
    assert.equal(voucher, 10n);
  });

  it('pays nothing for a total without voucher, and nothing for a voucher without total', async () => {
    const { world, channel } = await opened();
    await world.payments.write.claim([operatorOf(world), [await channelClaim(world, channel, 10n)], []]);
    assert.equal(await claimedOf(world, channel), 0n);
    const another = channelWith(world, { salt: toHex(1, { size: 32 }) });
    await open(world, another, 10n);
    await claim(world, another, 0n, 5n);
    assert.equal(await claimedOf(world, another), 0n);
  });

  it('adds up several signers of the operator', async () => {
    const { world, channel } = await opened();
    await addWorker(world, { signer: signerOf(2).address });
    await claim(world, channel, 20n, 7n);
    await claim(world, channel, 20n, 4n, { signer: signerOf(2) });
    assert.equal(await claimedOf(world, channel), 11n);
  });

  it('takes totals beyond what any channel holds as that much', async () => {
    const { world, channel } = await opened();
    const most = 2n ** 128n - 1n;
    await claim(world, channel, most, most);
    await claim(world, channel, most, most);
    const state = await world.payments.read.channelOf([await world.payments.read.channelId([channel])]);
    assert.deepEqual([state.voucher, state.earned, state.claimed], [2n ** 84n - 1n, 2n ** 84n - 1n, 100n * pha]);
  });

  it('of many channels pays each its own, whichever gateway carries it', async () => {
    const world = await load();
    const gateways: Address[] = [gatewayAccount, zeroAddress, gatewayAccount];
    const channels = await ascending(
      world,
      gateways.map((gateway, index) => channelWith(world, { gateway, salt: toHex(index, { size: 32 }) })),
    );
    for (const channel of channels) await open(world, channel, 100n);
    const totals = [5n, 0n, 9n];
    const shown = await Promise.all(channels.map((channel) => channelClaim(world, channel, 50n)));
    await world.payments.write.claim([operatorOf(world), shown, [(await statement(world, channels, totals)).claim]]);
    for (const [index, channel] of channels.entries()) assert.equal(await claimedOf(world, channel), totals[index]);
    const through = async (gateway: Address) =>
      world.payments.read.undistributed([world.operator.account.address, gateway]);
    assert.equal((await through(gatewayAccount)) + (await through(zeroAddress)), 14n);
  });

  it('leads to the same in any order', async () => {
    const world = await load();
    await addWorker(world, { signer: signerOf(2).address });
    const [one, two] = [0, 1].map((salt) => channelWith(world, { salt: toHex(salt, { size: 32 }) }));
    assert.ok(one !== undefined && two !== undefined);
    for (const channel of [one, two]) await open(world, channel, 100n);
    const steps = [
      (channel: Channel) => claim(world, channel, 5n, 10n),
      (channel: Channel) => claim(world, channel, 13n, 3n, { signer: signerOf(2) }),
      (channel: Channel) => open(world, channel, 7n),
      (channel: Channel) => claim(world, channel, 11n, 9n),
    ];
    for (const step of steps) await step(one);
    for (const step of [...steps].reverse()) await step(two);
    assert.equal(await claimedOf(world, one), 13n);
    assert.equal(await claimedOf(world, two), 13n);
  });
});

describe('a claim is refused', () => {
  it('for another key’s voucher, another chain’s, another contract’s, and a malleated one', async () => {
    const { world, channel } = await opened();
    const write = async (shown: Awaited<ReturnType<typeof channelClaim>>) =>
      world.payments.write.claim([operatorOf(world), [shown], []]);
    for (const shown of [
      await channelClaim(world, channel, 5n, payerKeyOf(2)),
      await channelClaim(world, channel, 5n, payerKeyOf(1), { chainId: 1 }),
      await channelClaim(world, channel, 5n, payerKeyOf(1), { payments: world.workers.address }),
    ])
      await refused(write(shown), 'PaymentsVoucherNotByPayerKey');
    const good = await channelClaim(world, channel, 5n);
    await assert.rejects(write({ ...good, ...malleated(good) }));
    await refused(write({ ...good, vs: toHex(2n ** 255n - 1n, { size: 32 }) }), 'ECDSAInvalidSignatureS');
    await write(good);
  });

  it('where two client processes mix up their channels', async () => {
    const { world, channel } = await opened();
    const other = channelWith(world, { payerKey: payerKeyOf(2).address });
    await open(world, other, 10n);
    await refused(
      world.payments.write.claim([operatorOf(world), [await channelClaim(world, other, 5n, payerKeyOf(1))], []]),
      'PaymentsVoucherNotByPayerKey',
      [await world.payments.read.channelId([other]), payerKeyOf(1).address, payerKeyOf(2).address],
    );
    await world.payments.write.claim([operatorOf(world), [await channelClaim(world, other, 5n, payerKeyOf(2))], []]);
    await claim(world, channel, 5n, 4n);
    assert.deepEqual([await claimedOf(world, channel), await claimedOf(world, other)], [4n, 0n]);
  });

  it('for channels that are unsorted, repeated, unknown, none, or too many', async () => {
    const { world, channel } = await opened();
    const second = channelWith(world, { salt: toHex(1, { size: 32 }) });
    await open(world, second, 1n);
    const sorted = await ascending(world, [channel, second]);
    const shown = sorted.map((one) => ({ channel: one, ...noVoucher }));
    const [first, last] = shown;
    assert.ok(first !== undefined && last !== undefined);
    const write = (channels: typeof shown) => world.payments.write.claim([operatorOf(world), channels, []]);
    await write(shown);
    await refused(write([last, first]), 'PaymentsChannelsNotAscending');
    await refused(write([first, first]), 'PaymentsChannelsNotAscending');
    await refused(write([]), 'PaymentsBatchOutOfRange', [0, 256]);
    await refused(write(Array.from({ length: 257 }, () => first)), 'PaymentsBatchOutOfRange', [257, 256]);
    const unknown = channelWith(world, { salt: toHex(2, { size: 32 }) });
    await refused(write([{ channel: unknown, ...noVoucher }]), 'PaymentsChannelUnknown', [
      await world.payments.read.channelId([unknown]),
    ]);
  });

  it('for a signer of nobody, of another operator, and for a statement of another domain', async () => {
    const { world, channel } = await opened();
    const { operator, otherOperator } = world;
    await addWorker(world, { operator: otherOperator, signer: signerOf(3).address });
    await refused(claim(world, channel, 5n, 4n, { signer: signerOf(9) }), 'PaymentsSignerNotOfOperator', [
      signerOf(9).address,
      operator.account.address,
      zeroAddress,
    ]);
    await refused(claim(world, channel, 5n, 4n, { signer: signerOf(3) }), 'PaymentsSignerNotOfOperator', [
      signerOf(3).address,
      operator.account.address,
      otherOperator.account.address,
    ]);
    for (const domain of [{ chainId: 1 }, { registry: world.payments.address }])
      await refused(claim(world, channel, 5n, 4n, { domain }), 'PaymentsSignerNotOfOperator');
  });

  it('where a channel is another operator’s than the claim says, with either name', async () => {
    const { world, channel } = await opened();
    const foreign = channelWith(world, {
      operator: world.otherOperator.account.address,
      salt: toHex(1, { size: 32 }),
    });
    await open(world, foreign, 10n);
    const { claim: stated } = await statement(world, [foreign], [1n]);
    for (const [operator, one] of [
      [operatorOf(world), foreign],
      [foreign.operator, channel],
    ] as const)
      await refused(
        world.payments.write.claim([operator, [{ channel: one, ...noVoucher }], [stated]]),
        'PaymentsChannelUnknown',
      );
  });

  it('for words that are no address or no amount', async () => {
    const { world, channel } = await opened();
    const { abi, address } = world.payments;
    const shown = await channelClaim(world, channel, 5n);
    const data = encodeFunctionData({ abi, functionName: 'claim', args: [operatorOf(world), [shown], []] });
    const words = 2 + 8;
    // Behind operator, two offsets and the length: payer, payer key, gateway, salt, amount.
    for (const place of [4, 5, 6, 8]) {
      const at = words + 64 * place;
      const dirty = `${data.slice(0, at)}8${data.slice(at + 1)}` as Hex;
      await assert.rejects(world.borrower.sendTransaction({ to: address, data: dirty }));
    }
    await world.borrower.sendTransaction({ to: address, data });
  });

  it('for lists that do not fit', async () => {
    const { world, channel } = await opened();
    const shown = [{ channel, ...noVoucher }];
    const { claim: stated } = await statement(world, [channel], [5n]);
    const write = (totals: bigint[], tail = '') =>
      world.payments.write.claim([operatorOf(world), shown, [{ ...stated, totals: `${packTotals(totals)}${tail}` }]]);
    await refused(write([]), 'PaymentsTotalsLengthMismatch', [16, 0]);
    await refused(write([5n, 5n]), 'PaymentsTotalsLengthMismatch', [16, 32]);
    await refused(write([5n], '00'), 'PaymentsTotalsLengthMismatch', [16, 17]);
    await refused(write([0n]), 'PaymentsStatementEmpty');
    await refused(
      world.payments.write.claimAnchored([operatorOf(world), shown, [stated], []]),
      'PaymentsProofsLengthMismatch',
      [1, 0],
    );
    const { claim: receipt } = await receiptClaim(world, receiptWith({}));
    await refused(
      world.payments.write.claimByAnchoredReceipts([operatorOf(world), shown, [receipt], []]),
      'PaymentsProofsLengthMismatch',
      [1, 0],
    );
  });
});

describe('a claim by receipts', () => {
  it('takes a signer’s last receipt as its total, whichever comes first', async () => {
    const { world, channel, id } = await opened();
    const receipt = (cumulativeFee: bigint) => receiptClaim(world, receiptWith({ channel: id, cumulativeFee }));
    const shown = await channelClaim(world, channel, 50n);
    await world.payments.write.claimByReceipts([
      operatorOf(world),
      [shown],
      [(await receipt(7n)).claim, (await receipt(5n)).claim],
    ]);
    assert.equal(await claimedOf(world, channel), 7n);
    await claim(world, channel, 0n, 9n);
    assert.equal(await claimedOf(world, channel), 9n);
  });

  it('refuses a receipt of another channel, of no channel of the claim, and of another’s worker', async () => {
    const { world, channel, id } = await opened();
    const shown = [{ channel, ...noVoucher }];
    const { claim: free } = await receiptClaim(world, receiptWith({ channel: zeroHash, cumulativeFee: 7n }));
    await refused(
      world.payments.write.claimByReceipts([operatorOf(world), shown, [free]]),
      'PaymentsReceiptOfAnotherChannel',
      [id, zeroHash],
    );
    const mine = receiptWith({ channel: id, cumulativeFee: 7n });
    const { claim: beyond } = await receiptClaim(world, mine, signerOf(1), 1n);
    await refused(
      world.payments.write.claimByReceipts([operatorOf(world), shown, [beyond]]),
      'PaymentsIndexOutOfRange',
      [1, 1],
    );
    const { claim: forged } = await receiptClaim(world, mine, signerOf(9));
    await refused(
      world.payments.write.claimByReceipts([operatorOf(world), shown, [forged]]),
      'PaymentsSignerNotOfOperator',
    );
  });
});

describe('after an eviction for cause', () => {
  async function evict(world: PaymentsWorld) {
    const record = await lastRecord(world, world.workerId);
    await world.govern(world.images, 'revoke', [defaultImageId]);
    await world.workers.write.evict([world.workerId, record]);
    return world.workers.read.evictionBlockOf([signerOf(1).address]);
  }

  it('only what was anchored before counts, statements and receipts alike', async () => {
    const { world, channel, id } = await opened();
    const { payments } = world;
    const stated = await statement(world, [channel], [4n]);
    const early = await receiptClaim(world, receiptWith({ channel: id, cumulativeFee: 6n }));
    const [proof, receiptProof] = await anchorAll(world, [stated.digest, early.digest]);
    const evictionBlock = await evict(world);
    const { address: signer } = signerOf(1);
    const shown = [await channelClaim(world, channel, 50n)];
    assert.ok(proof !== undefined && receiptProof !== undefined);

    await refused(payments.write.claim([operatorOf(world), shown, [stated.claim]]), 'PaymentsSignerEvicted', [
      signer,
      evictionBlock,
    ]);
    await refused(payments.write.claimByReceipts([operatorOf(world), shown, [early.claim]]), 'PaymentsSignerEvicted');
    const backdated = await receiptClaim(world, receiptWith({ channel: id, cumulativeFee: 40n, blockNumber: 1n }));
    const [late] = await anchorAll(world, [backdated.digest]);
    assert.ok(late !== undefined);
    await refused(
      payments.write.claimByAnchoredReceipts([operatorOf(world), shown, [backdated.claim], [late]]),
      'PaymentsAnchoredTooLate',
      [signer, evictionBlock, await payments.read.anchoredAt([late.root])],
    );
    await refused(
      payments.write.claimByAnchoredReceipts([operatorOf(world), shown, [backdated.claim], [receiptProof]]),
      'AnchorsNotInTree',
    );
    await refused(
      payments.write.claimAnchored([
        operatorOf(world),
        shown,
        [stated.claim],
        [{ ...proof, root: toHex(9, { size: 32 }) }],
      ]),
      'AnchorsRootUnknown',
      [toHex(9, { size: 32 })],
    );
    assert.equal(await claimedOf(world, channel), 0n);
    await payments.write.claimAnchored([operatorOf(world), shown, [stated.claim], [proof]]);
    assert.equal(await claimedOf(world, channel), 4n);
    await payments.write.claimByAnchoredReceipts([operatorOf(world), shown, [early.claim], [receiptProof]]);
    assert.equal(await claimedOf(world, channel), 6n);
  });

  it('what was anchored in the block of the eviction itself comes too late', async () => {
    const { world, channel } = await opened();
    const stated = await statement(world, [channel], [4n]);
    const record = await lastRecord(world, world.workerId);
    await world.govern(world.images, 'revoke', [defaultImageId]);
    await connection.provider.request({ method: 'evm_setAutomine', params: [false] });
    const options = { gas: 1_000_000n };
    const before = await world.publicClient.getBlockNumber();
    const anchoring = anchorAll(world, [stated.digest]);
    const evicting = world.workers.write.evict([world.workerId, record], options);
    const [proofs] = await Promise.all([anchoring, evicting]);
    await connection.provider.request({ method: 'evm_mine', params: [] });
    await connection.provider.request({ method: 'evm_setAutomine', params: [true] });
    const [proof] = proofs;
    assert.ok(proof !== undefined);
    assert.equal(await world.payments.read.anchoredAt([proof.root]), before + 1n);
    assert.equal(await world.workers.read.evictionBlockOf([signerOf(1).address]), before + 1n);
    await refused(
      world.payments.write.claimAnchored([
        operatorOf(world),
        [await channelClaim(world, channel, 5n)],
        [stated.claim],
        [proof],
      ]),
      'PaymentsAnchoredTooLate',
    );
  });

  it('a signer that was replaced or retired without cause stays claimable', async () => {
    const { world, channel } = await opened();
    await register(world, world.workerId, { signer: signerOf(5).address });
    await claim(world, channel, 50n, 4n);
    await world.workers.write.retire([world.workerId], { account: world.operator.account });
    await claim(world, channel, 50n, 6n, { signer: signerOf(5) });
    assert.equal(await claimedOf(world, channel), 10n);
  });
});

describe('another worker registry', () => {
  it('takes new signers; one of the registry before counts where it has a total already', async () => {
    const { world, channel } = await opened();
    const { payments, timelock, images, settings } = world;
    await claim(world, channel, 50n, 4n);
    const next = await world.viem.deployContract('WorkerRegistry', [
      registrySettings(timelock.address, images.address, settings.genesis),
    ]);
    await world.govern(payments, 'setWorkerRegistry', [next.address]);
    await claim(world, channel, 50n, 6n);
    assert.equal(await claimedOf(world, channel), 6n);
    const fresh = channelWith(world, { salt: toHex(1, { size: 32 }) });
    await open(world, fresh, 10n);
    await refused(claim(world, fresh, 5n, 4n), 'PaymentsRegistryNotCurrent', [world.workers.address, next.address]);
    await refused(claim(world, channel, 50n, 8n, { registry: next.address }), 'PaymentsSignerNotOfOperator');
  });
});

describe('anchors', () => {
  it('keep the first block of a root, whoever anchors it again', async () => {
    const world = await load();
    const root = toHex(7, { size: 32 });
    assert.equal(await world.payments.read.anchoredAt([root]), 0n);
    await world.payments.write.anchor([root]);
    const first = await world.publicClient.getBlockNumber();
    await world.payments.write.anchor([root], { account: world.stranger.account });
    assert.equal(await world.payments.read.anchoredAt([root]), first);
  });

  it('open a receipt to its signer and block, not a node or a malleated signature', async () => {
    const world = await load();
    const { claim: one, digest, signature } = await receiptClaim(world, receiptWith({ cumulativeFee: 4n }));
    const [proof] = await anchorAll(world, [digest, toHex(1, { size: 32 }), toHex(2, { size: 32 })]);
    assert.ok(proof !== undefined);
    const anchored = await world.publicClient.getBlockNumber();
    const { result } = await world.payments.simulate.openReceipt([one.registry, one.receipt, signature, proof]);
    assert.deepEqual(result, [signerOf(1).address, anchored]);
    await world.payments.write.openReceipt([one.registry, one.receipt, signature, proof]);
    const [event] = await world.payments.getEvents.ReceiptOpened();
    assert.deepEqual(event?.args, {
      digest,
      signer: signerOf(1).address,
      root: proof.root,
      blockNumber: anchored,
    });
    await refused(
      world.payments.write.openReceipt([one.registry, one.receipt, signature, { ...proof, siblings: [] }]),
      'AnchorsNotInTree',
    );
    const { r } = compact(signature);
    const order = 0xfffffffffffffffffffffffffffffffebaaedce6af48a03bbfd25e8cd0364141n;
    const s = order - BigInt(`0x${signature.slice(66, 130)}`);
    const v = signature.endsWith('1b') ? '1c' : '1b';
    const other = `${r}${toHex(s, { size: 32 }).slice(2)}${v}` as const;
    await refused(
      world.payments.write.openReceipt([one.registry, one.receipt, other, proof]),
      'ECDSAInvalidSignatureS',
    );
  });
});
