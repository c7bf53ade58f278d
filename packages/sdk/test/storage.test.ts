import { ChainAccount, ChainView, governAtOnce, phaTokenAbi, StorageReader, storageRentAbi } from '@cloister/chain';
import { type Address, type Bytes32, blobClaimDigest, type NetworkFile, type SignedBlobClaim } from '@cloister/core';
import { fromHex, recoverAddress, sha256, toHex, utf8 } from '@cloister/crypto';
import { encodeFunctionData } from 'viem';
import { generatePrivateKey, privateKeyToAddress } from 'viem/accounts';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { rpc } from '../../chain-proof/test/anvil.ts';
import { chainId, startTown, type Town } from '../../chain-proof/test/town.ts';
import { Gateways } from '../src/gateways.ts';
import { reconcile } from '../src/reconcile.ts';
import { Storage } from '../src/storage/storage.ts';

const pha = 10n ** 18n;
const gib = 1n << 30n;
const price = pha / 100n;
const payerKey = generatePrivateKey();
const payer = privateKeyToAddress(payerKey).toLowerCase() as Address;
const by = { account: payerKey };
const app: Bytes32 = `0x${'a1'.repeat(32)}`;
const account = (digit: string): Address => `0x${digit.repeat(40)}`;
const [one, two, three, four] = [
  'https://one.example',
  'https://two.example',
  'https://three.example',
  'https://four.example',
] as const;

let town: Town;
let storage: Storage;
let reader: StorageReader;
let snapshot: unknown;
let claims: { readonly url: string; readonly claim: SignedBlobClaim }[];
const network = () => ({ chainId, contracts: town.deployed as unknown as NetworkFile['contracts'] });

const abouts: Record<string, object> = {
  [one]: { payTo: account('b'), storage: { sellableBytes: Number(8n * gib) } },
  [two]: { payTo: account('c'), storage: { sellableBytes: Number(4n * gib) } },
  // Of the same operator as the second.
  [three]: { payTo: account('c'), storage: { sellableBytes: Number(8n * gib) } },
  [four]: { payTo: null, storage: { sellableBytes: 0 } },
};

/** Gateways as far as storage asks them. */
const fetch: typeof globalThis.fetch = async (input, init) => {
  const request = new Request(input, init);
  const { origin, pathname: path } = new URL(request.url);
  if (path === '/v1/about') return Response.json(abouts[origin]);
  if (path === '/v1/claims') {
    const body = (await request.json()) as SignedBlobClaim;
    claims.push({ url: origin, claim: body });
    if (origin === four) return new Response('no', { status: 503 });
    return Response.json({ blobs: Object.fromEntries(body.blobs.map((id) => [id, 'paid'])) });
  }
  if (path === `/v1/storage/${app}` && origin === one)
    return Response.json({ bytesPaid: 1, bytesKept: 2, blobs: 3, bytesUsed: 4, bytesCovered: 5 });
  return new Response('nothing', { status: 404 });
};

const govern = (value: bigint) =>
  governAtOnce(town.account, town.anvil.url, town.deployed.timelock, [
    {
      target: town.deployed.storageRent,
      data: encodeFunctionData({ abi: storageRentAbi, functionName: 'setPrice', args: [value] }),
    },
  ]);
const phaOf = (holder: Address) =>
  reader.view.read({ address: town.deployed.phaToken, abi: phaTokenAbi, functionName: 'balanceOf', args: [holder] });
const passEpochs = async (count: number) => {
  const rent = { address: town.deployed.storageRent, abi: storageRentAbi } as const;
  const length = await reader.view.read({ ...rent, functionName: 'epochLength', args: [] });
  await rpc(town.anvil.url, 'evm_increaseTime', [count * Number(length)]);
  await rpc(town.anvil.url, 'evm_mine', []);
};

beforeAll(async () => {
  town = await startTown();
  await rpc(town.anvil.url, 'anvil_setBalance', [payer, '0xffffffffffffffffffff']);
  const token = { address: town.deployed.phaToken, abi: phaTokenAbi } as const;
  await town.account.write({ ...token, functionName: 'transfer', args: [payer, 40n * pha] });
  const view = new ChainView({ chainId, rpcs: [town.anvil.url] });
  reader = new StorageReader(view, town.deployed);
  await govern(price);
}, 60_000);
afterAll(() => town.anvil.stop());
beforeEach(async () => {
  if (snapshot !== undefined) await rpc(town.anvil.url, 'evm_revert', [snapshot]);
  snapshot = await rpc(town.anvil.url, 'evm_snapshot', []);
  claims = [];
  reader = new StorageReader(new ChainView({ chainId, rpcs: [town.anvil.url] }), town.deployed);
  storage = new Storage({
    network: network(),
    reader,
    registry: { secretsOf: async () => expect.fail() },
    gateways: new Gateways({ urls: [one, two, three, four], fetch }),
    account: (key) => new ChainAccount({ chainId, rpc: town.anvil.url, account: key }),
    servingApp: async () => expect.fail(),
  });
});

describe('storage', () => {
  test('is quoted once for each operator that could keep so much', async () => {
    const quote = await storage.quote({ bytes: 2n * gib, epochs: 10 });
    expect(quote).toMatchObject({ pricePerEpoch: 2n * price, sum: 40n * price });
    expect(quote.offers.map(({ urls, gateway, cost }) => [urls, gateway, cost])).toEqual([
      [[one], account('b'), 20n * price],
      [[two, three], account('c'), 20n * price],
    ]);
    const large = await storage.quote({ bytes: 5n * gib, epochs: 1 });
    expect(large.offers.map(({ urls }) => urls)).toEqual([[one], [three]]);
    const none = { code: 'STORAGE_NO_GATEWAY' };
    await expect(storage.quote({ bytes: 9n * gib, epochs: 1 })).rejects.toMatchObject(none);
    await expect(storage.quote({ bytes: gib, epochs: 1, gateways: [four] })).rejects.toMatchObject(none);
    await expect(storage.quote({ bytes: 5n, epochs: 1 })).rejects.toMatchObject({
      meta: { errorName: 'StorageRentSizeOutOfRange' },
    });
  });

  test('is paid in one transaction, and shown', async () => {
    const quote = await storage.quote({ bytes: gib, epochs: 10 });
    const rentals = await storage.prepay(app, quote, by);
    const now = await reader.epoch();
    expect(rentals).toMatchObject([
      {
        id: 1n,
        app,
        gateway: account('b'),
        payer,
        size: gib,
        pricePerEpoch: price,
        fromEpoch: now,
        untilEpoch: now + 10,
      },
      { id: 2n, gateway: account('c') },
    ]);
    expect(await phaOf(payer)).toBe(40n * pha - 20n * price);
    const later = await storage.prepay(app, quote, { ...by, fromEpoch: now + 10 });
    expect(later.map(({ id, fromEpoch }) => [id, fromEpoch])).toEqual([
      [3n, now + 10],
      [4n, now + 10],
    ]);
    const status = await storage.status(app);
    expect([status.epoch, status.rentals.length]).toEqual([now, 4]);
    expect(status.gateways.map(({ url, use }) => [url, use?.bytesCovered])).toEqual([
      [one, 5],
      [two, undefined],
      [three, undefined],
      [four, undefined],
    ]);
  });

  test('costs what was quoted or nothing', async () => {
    const quote = await storage.quote({ bytes: gib, epochs: 10 });
    await govern(price + 1n);
    await expect(storage.prepay(app, quote, by)).rejects.toMatchObject({ meta: { errorName: 'StorageRentCostsMore' } });
    expect(await phaOf(payer)).toBe(40n * pha);
  });

  test('is cancelled by who paid, collected by the gateway, and every unit is somewhere', async () => {
    await storage.prepay(app, await storage.quote({ bytes: gib, epochs: 10 }), by);
    await passEpochs(3);
    expect(await storage.cancel(app, { account: town.key })).toEqual([]);
    expect((await books()).owed).toEqual({ 'earned by gateways': 6n * price, 'of epochs to come': 14n * price });
    expect(await storage.cancel(app, by)).toEqual([
      { id: 1n, refund: 6n * price },
      { id: 2n, refund: 6n * price },
    ]);
    expect(await storage.cancel(app, by)).toEqual([]);
    expect(await storage.collect({ ...by, gateway: account('b') })).toEqual([{ id: 1n, amount: 3n * price }]);
    expect(await storage.collect({ ...by, gateway: account('b') })).toEqual([]);
    await passEpochs(5);
    expect(await storage.collect({ ...by, gateway: account('b') })).toEqual([{ id: 1n, amount: price }]);
    expect(await storage.collect(by)).toEqual([]);
    expect([await phaOf(account('b')), await phaOf(payer)]).toEqual([4n * price, 40n * pha - 8n * price]);
    expect(await books()).toMatchObject({
      owed: { 'earned by gateways': 4n * price, 'of epochs to come': 0n },
      surplus: 0n,
      holds: true,
    });
  });

  test('is claimed from each gateway in words for it alone', async () => {
    const blob = toHex(sha256(utf8('code')));
    const done = await storage.claim(app, [blob], by);
    expect(done.map(({ url, blobs, failed }) => [url, blobs[blob], failed === undefined])).toEqual([
      [one, 'paid', true],
      [two, 'paid', true],
      [three, 'paid', true],
      [four, undefined, false],
    ]);
    const domain = { chainId, registry: town.deployed.workerRegistry };
    for (const { url, claim } of claims) {
      const signer = recoverAddress(fromHex(blobClaimDigest(domain, claim)), fromHex(claim.signature));
      expect([claim.gateway, claim.app, claim.blobs, claim.keep, signer]).toEqual([url, app, [blob], true, payer]);
      expect(claim.epoch).toBe(await reader.epoch());
    }
  });
});

async function books() {
  const { custody } = await reconcile({ network: network() as NetworkFile, view: reader.view });
  return custody.find(({ name }) => name === 'StorageRent') ?? expect.fail();
}
