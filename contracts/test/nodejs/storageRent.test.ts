import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { network } from 'hardhat';
import { type Address, getAddress, maxUint256, parseSignature, toHex, zeroAddress, zeroHash } from 'viem';
import { refused } from '../support/refused.ts';
import { deployStorageRent, gib, type Purchase, storageGateway, storagePrice } from '../support/storageRent.ts';
import { chainId, hour, signerOf } from '../support/world.ts';

const connection = await network.create();
const { networkHelpers } = connection;
const { time } = networkHelpers;
const otherGateway: Address = '0x6a7e0000000000000000000000000000000000b2';
const load = () => networkHelpers.loadFixture(deployed);

async function deployed() {
  const world = await deployStorageRent(connection);
  const { rent, token, borrower, genesis } = world;
  const purchase = (changes: Partial<Purchase> = {}): Purchase => ({
    app: toHex(0xa, { size: 32 }),
    gateway: storageGateway,
    size: gib,
    fromEpoch: 0,
    epochs: 10,
    ...changes,
  });
  const buy = (purchases: readonly Purchase[], maxSum = maxUint256, account = borrower.account) =>
    rent.write.prepay([[...purchases], maxSum], { account });
  const epoch = () => rent.read.epoch();
  const toEpoch = (number: number) => time.increaseTo(genesis + BigInt(number * hour) + 1n);
  const of = (holder: Address) => token.read.balanceOf([holder]);
  const books = async () => [await rent.read.totalHeld(), await of(rent.address)];
  return { ...world, purchase, buy, epoch, toEpoch, of, books, asPayer: { account: borrower.account } };
}

describe('prepaid storage', () => {
  it('is earned epoch by epoch, and collected by anyone for the gateway', async () => {
    const { rent, purchase, buy, epoch, toEpoch, of, books } = await load();
    await buy([purchase()]);
    const begun = await epoch();
    assert.deepEqual(await books(), [10n * storagePrice, 10n * storagePrice]);
    await rent.write.collect([storageGateway, [1n]]);
    assert.equal(await of(storageGateway), 0n);
    await toEpoch(begun + 3);
    assert.equal(await rent.read.earned([1n]), 3n * storagePrice);
    await rent.write.collect([storageGateway, [1n]]);
    await rent.write.collect([storageGateway, [1n]]);
    assert.equal(await of(storageGateway), 3n * storagePrice);
    await toEpoch(begun + 500);
    await rent.write.collect([storageGateway, [1n]]);
    assert.equal(await of(storageGateway), 10n * storagePrice);
    assert.deepEqual(await books(), [0n, 0n]);
  });

  it('is bought at several gateways at once, by a permit too, and never for more than was said', async () => {
    const { rent, token, purchase, buy, borrower, books } = await load();
    const two = [purchase(), purchase({ gateway: otherGateway, size: gib + 1n })];
    // Rounded up: a byte more than a GiB.
    const dearer = storagePrice + storagePrice / gib + 1n;
    const sum = 10n * storagePrice + 10n * dearer;
    await refused(buy(two, sum - 1n), 'StorageRentCostsMore', [sum, sum - 1n]);
    await buy(two, sum);
    assert.deepEqual(await books(), [sum, sum]);
    assert.deepEqual(await rent.read.rentalOf([2n]), {
      payer: (await rent.read.rentalOf([1n])).payer,
      fromEpoch: 0,
      untilEpoch: 10,
      gateway: '0x6a7e0000000000000000000000000000000000B2',
      collectedUntil: 0,
      pricePerEpoch: dearer,
      size: gib + 1n,
      app: purchase().app,
    });

    const holder = signerOf(77);
    await token.write.transfer([holder.address, 10n * storagePrice], { account: borrower.account });
    await networkHelpers.impersonateAccount(holder.address);
    await networkHelpers.setBalance(holder.address, 10n ** 18n);
    const deadline = maxUint256;
    const { r, s, yParity } = parseSignature(
      await holder.signTypedData({
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
        message: { owner: holder.address, spender: rent.address, value: 10n * storagePrice, nonce: 0n, deadline },
      }),
    );
    const permit = [deadline, 27 + yParity, r, s] as const;
    // Somebody may have shown the permit before.
    await token.write.permit([holder.address, rent.address, 10n * storagePrice, ...permit]);
    await rent.write.prepayWithPermit([[purchase()], 10n * storagePrice, ...permit], { account: holder.address });
    assert.equal(await token.read.balanceOf([holder.address]), 0n);
  });

  it('goes back from the next epoch on to who paid, and to nobody else', async () => {
    const { rent, purchase, buy, epoch, toEpoch, of, asPayer, borrower, stranger, books } = await load();
    await buy([purchase()]);
    const begun = await epoch();
    await toEpoch(begun + 3);
    await refused(rent.write.cancel([[1n]], { account: stranger.account }), 'StorageRentCallerNotPayer', [
      stranger.account.address,
      borrower.account.address,
    ]);
    const before = await of(borrower.account.address);
    assert.equal(await rent.read.refundable([1n]), 6n * storagePrice);
    await rent.write.cancel([[1n]], asPayer);
    assert.equal((await of(borrower.account.address)) - before, 6n * storagePrice);
    assert.equal((await rent.read.rentalOf([1n])).untilEpoch, begun + 4);
    await refused(rent.write.cancel([[1n]], asPayer), 'StorageRentEnded', [1n, BigInt(begun + 4)]);
    // The epoch of the cancellation is the gateway's still.
    await toEpoch(begun + 9);
    await rent.write.collect([storageGateway, [1n]]);
    assert.equal(await of(storageGateway), 4n * storagePrice);
    assert.deepEqual(await books(), [0n, 0n]);
  });

  it('goes back whole before it begins, once', async () => {
    const { rent, purchase, buy, epoch, of, asPayer, borrower, toEpoch } = await load();
    const begun = await epoch();
    const before = await of(borrower.account.address);
    await buy([purchase({ fromEpoch: begun + 5 })]);
    await refused(rent.write.cancel([[1n, 1n]], asPayer), 'StorageRentEnded', [1n, BigInt(begun + 5)]);
    await rent.write.cancel([[1n]], asPayer);
    assert.equal(await of(borrower.account.address), before);
    await toEpoch(begun + 30);
    assert.equal(await rent.read.earned([1n]), 0n);
    await rent.write.collect([storageGateway, [1n]]);
    assert.equal(await of(storageGateway), 0n);
  });

  it('is topped up and extended by further rentals, each at the price of its purchase', async () => {
    const { rent, govern, purchase, buy, epoch, toEpoch, of } = await load();
    await buy([purchase()]);
    const begun = await epoch();
    await govern(rent, 'setPrice', [5n * storagePrice]);
    await buy([purchase({ size: gib / 2n, epochs: 4 }), purchase({ fromEpoch: begun + 10, epochs: 1 })]);
    assert.equal((await rent.read.rentalOf([1n])).pricePerEpoch, storagePrice);
    await toEpoch(begun + 20);
    await rent.write.collect([storageGateway, [1n, 2n, 3n]]);
    assert.equal(await of(storageGateway), 10n * storagePrice + 10n * storagePrice + 5n * storagePrice);
  });

  it('pays one gateway only out of its own rentals', async () => {
    const { rent, purchase, buy, epoch, toEpoch } = await load();
    await buy([purchase(), purchase({ gateway: otherGateway })]);
    await toEpoch((await epoch()) + 2);
    await refused(rent.write.collect([storageGateway, [1n, 2n]]), 'StorageRentOfAnotherGateway', [
      2n,
      '0x6a7e0000000000000000000000000000000000B2',
    ]);
    await rent.write.collect([storageGateway, [1n, 1n]]);
    assert.equal(await rent.read.earned([2n]), 2n * storagePrice);
  });

  it('is bounded: batch, parties, size, epochs, price', async () => {
    const { rent, govern, purchase, buy, epoch, stranger } = await load();
    const most = 1n << 50n;
    const now = await epoch();
    await refused(buy([]), 'StorageRentBatchOutOfRange', [0n, 64n]);
    await refused(buy(Array.from({ length: 65 }, () => purchase())), 'StorageRentBatchOutOfRange', [65n, 64n]);
    await refused(buy([purchase(), purchase({ app: zeroHash })]), 'StorageRentPartyMissing', [1n]);
    await refused(buy([purchase({ gateway: zeroAddress })]), 'StorageRentPartyMissing', [0n]);
    for (const size of [0n, (1n << 20n) - 1n, most + 1n, (1n << 64n) - 1n])
      await refused(buy([purchase({ size })]), 'StorageRentSizeOutOfRange', [size, 1n << 20n, most]);
    const latest = BigInt(now + 20_000);
    await refused(buy([purchase({ epochs: 0 })]), 'StorageRentEpochsOutOfRange', [BigInt(now), BigInt(now), latest]);
    const far = 2 ** 48 - 1;
    await refused(buy([purchase({ fromEpoch: far, epochs: far })]), 'StorageRentEpochsOutOfRange', [
      2n * BigInt(far),
      BigInt(far),
      latest,
    ]);
    await refused(rent.read.rentalOf([1n]), 'StorageRentUnknown', [1n]);
    await refused(rent.write.collect([storageGateway, [0n]]), 'StorageRentUnknown', [0n]);
    await refused(rent.write.setPrice([1n], { account: stranger.account }), 'GovernedCallerNotTimelock');
    await govern(rent, 'setPrice', [10n ** 27n]);
    // The largest amounts there are: the sum is right, and the token has not so much.
    const batch = Array.from({ length: 64 }, () => purchase({ size: most, epochs: 20_000 }));
    await refused(buy(batch), 'ERC20InsufficientAllowance');
  });

  it('is deployed with a token, a clock and a price, or not at all', async () => {
    const { rent, token, genesis, timelock } = await load();
    const settings = { timelock: timelock.address, token: token.address, genesis, epochLength: hour, price: 1n };
    const made = (changes: Partial<typeof settings>) =>
      connection.viem.deployContract('StorageRent', [{ ...settings, ...changes }]);
    await refused(made({ token: otherGateway }), 'StorageRentWithoutCode', [getAddress(otherGateway)]);
    await refused(made({ epochLength: 0 }), 'StorageRentClockMissing');
    const most = 10n ** 27n;
    for (const price of [0n, most + 1n]) await refused(made({ price }), 'StorageRentPriceOutOfRange', [price, most]);
    assert.equal(await (await made({ price: most })).read.price(), most);
    // Before the network's genesis there is its first epoch.
    assert.equal(await (await made({ genesis: genesis + 10n ** 9n })).read.epoch(), 0);
    assert.equal(await rent.read.price(), storagePrice);
  });

  it('begins now where its epoch is over, and is worth nothing to the gateway before it begins', async () => {
    const { rent, purchase, buy, epoch, toEpoch } = await load();
    await toEpoch((await epoch()) + 7);
    const now = await epoch();
    await buy([purchase({ fromEpoch: now - 1, size: 1n << 20n }), purchase({ fromEpoch: now + 3 })]);
    const { fromEpoch, untilEpoch, collectedUntil } = await rent.read.rentalOf([1n]);
    assert.deepEqual([fromEpoch, untilEpoch, collectedUntil], [now, now + 10, now]);
    assert.equal(await rent.read.earned([2n]), 0n);
    await rent.write.collect([storageGateway, [1n, 2n]]);
    assert.deepEqual(await rent.getEvents.Collected(), [], 'nothing was earned, and nothing is told');
  });

  it('has nothing to take back once it is over', async () => {
    const { rent, purchase, buy, epoch, toEpoch, asPayer } = await load();
    await buy([purchase()]);
    const end = (await epoch()) + 10;
    await toEpoch(end + 4);
    assert.equal(await rent.read.refundable([1n]), 0n);
    await refused(rent.write.cancel([[1n]], asPayer), 'StorageRentEnded', [1n, BigInt(end)]);
  });

  it('is cancelled and collected in bounded batches', async () => {
    const { rent, purchase, buy, asPayer } = await load();
    await buy([purchase()]);
    for (const ids of [[], Array.from({ length: 65 }, () => 1n)]) {
      const bounds = [BigInt(ids.length), 64n];
      await refused(rent.write.cancel([ids], asPayer), 'StorageRentBatchOutOfRange', bounds);
      await refused(rent.write.collect([storageGateway, ids]), 'StorageRentBatchOutOfRange', bounds);
    }
  });
});
