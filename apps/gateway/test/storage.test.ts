import { globSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { addressOf, generateSecp256k1 } from '@cloister/crypto';
import { afterEach, describe, expect, test } from 'vitest';
import type { GatewayLimits } from '../src/limits.ts';
import { blobOf, idOf, isHere, sendClaim, store, TestApp, TestRentals } from './storageParts.ts';
import { problemOf, TestGateway, until } from './testGateway.ts';

const kB = 1_024;
const block = 4 * kB;
const open: TestGateway[] = [];
afterEach(async () => {
  for (const net of open.splice(0)) await net.stop();
});

/** Three blocks for what nobody pays, eight in all; the chain says what `rentals` do. */
async function gateway(
  rentals: TestRentals,
  limits: Partial<GatewayLimits> = {},
  folder?: string,
): Promise<TestGateway> {
  const bounds = {
    blobStoreBytes: 8 * block,
    freeBlobBytes: 3 * block,
    freeBlobBytesPerApp: block,
    storagePollMs: 3_600_000,
  };
  const net = new TestGateway({ ...bounds, ...limits }, folder);
  net.paid = rentals.read;
  await net.start();
  await until(async () => (await fetch(`${net.url}/v1/storage/0x${'0'.repeat(64)}`)).status === 200);
  open.push(net);
  return net;
}

const here = (net: TestGateway, ...seeds: number[]) => Promise.all(seeds.map((seed) => isHere(net, blobOf(seed))));
const keptAs = async (response: Response) => ((await response.json()) as { kept: string }).kept;
const statusOf = async (net: TestGateway, { app }: TestApp) => (await fetch(`${net.url}/v1/storage/${app}`)).json();
/** Lets the gateway look at the chain: any claim of who may make one does. */
const look = async (net: TestGateway, rentals: TestRentals) => {
  const other = new TestApp().create(net);
  await sendClaim(net, other.claim(net, [idOf(blobOf(999))], { epoch: rentals.epoch }));
};

describe('what nobody pays for', () => {
  test('goes when there is no room, what was not used for longest first', async () => {
    const net = await gateway(new TestRentals());
    for (const seed of [1, 2, 3]) expect(await keptAs(await store(net, blobOf(seed)))).toBe('free');
    await fetch(`${net.url}/v1/blobs/${idOf(blobOf(1))}`).then((response) => response.arrayBuffer());
    await store(net, blobOf(4));
    expect(await here(net, 1, 2, 3, 4)).toEqual([true, false, true, true]);
  });

  test('goes before what an app names, and an app names no more than its part', async () => {
    const net = await gateway(new TestRentals());
    const app = new TestApp().create(net);
    await store(net, blobOf(1), app.claim(net, [idOf(blobOf(1))]));
    await store(net, blobOf(2), app.claim(net, [idOf(blobOf(2))]));
    for (const seed of [3, 4, 5, 6]) await store(net, blobOf(seed));
    expect(await here(net, 1, 2, 5, 6)).toEqual([true, false, true, true]);
  });

  test('does not go for an upload that never comes in full', async () => {
    const net = await gateway(new TestRentals());
    for (const seed of [1, 2, 3]) await store(net, blobOf(seed));
    const bad = await fetch(`${net.url}/v1/blobs/${idOf(blobOf(4))}`, { method: 'PUT', body: blobOf(5) as BodyInit });
    expect(await problemOf(bad)).toMatchObject({ code: 'blob-hash-mismatch' });
    expect(await here(net, 1, 2, 3)).toEqual([true, true, true]);
  });

  test('is refused where a gateway keeps only what is paid, even of an app that is not created yet', async () => {
    const rentals = new TestRentals();
    const net = await gateway(rentals, { freeBlobBytes: 0 });
    const app = new TestApp();
    expect(await problemOf(await store(net, blobOf(1)))).toMatchObject({
      code: 'storage-payment-required',
      status: 402,
    });
    const claim = { ...app.claim(net, [idOf(blobOf(1))]), salt: app.salt };
    expect(await problemOf(await store(net, blobOf(1), claim))).toMatchObject({ code: 'storage-payment-required' });
    rentals.pay(app.app, block, 0, 9);
    expect(await keptAs(await store(net, blobOf(1), claim))).toBe('paid');
    const thief = new TestApp();
    const stolen = { ...thief.claim(net, [idOf(blobOf(2))], { app: app.app }), salt: app.salt };
    expect(await problemOf(await store(net, blobOf(2), stolen))).toMatchObject({ code: 'claim-refused' });
  });
});

describe('what an app pays for', () => {
  test('stays whatever others store, and is not bounded by what one address may store', async () => {
    const rentals = new TestRentals();
    const net = await gateway(rentals, { blobBytesPerClientPerDay: 3 * block });
    const app = new TestApp().create(net);
    rentals.pay(app.app, 5 * block, 0, 9);
    for (const seed of [1, 2, 3, 4, 5])
      expect(await keptAs(await store(net, blobOf(seed), app.claim(net, [idOf(blobOf(seed))])))).toBe('paid');
    for (const seed of [11, 12, 13]) expect((await store(net, blobOf(seed))).status).toBe(201);
    expect(await problemOf(await store(net, blobOf(14)))).toMatchObject({ code: 'rate-limited' });
    expect(await here(net, 1, 2, 3, 4, 5)).toEqual([true, true, true, true, true]);
    expect(await statusOf(net, app)).toEqual({
      app: app.app,
      epoch: 0,
      graceEpochs: 1,
      bytesPaid: 5 * block,
      bytesKept: 5 * block,
      blobs: 5,
      bytesUsed: 5 * block,
      bytesCovered: 5 * block,
    });
  });

  test('drives out what is free, and is refused where all is paid', async () => {
    const rentals = new TestRentals();
    const net = await gateway(rentals);
    const app = new TestApp().create(net);
    rentals.pay(app.app, 100 * block, 0, 9);
    for (const seed of [1, 2, 3]) await store(net, blobOf(seed));
    for (const seed of [11, 12, 13, 14, 15, 16, 17, 18])
      expect(await keptAs(await store(net, blobOf(seed), app.claim(net, [idOf(blobOf(seed))])))).toBe('paid');
    expect(await here(net, 1, 2, 3)).toEqual([false, false, false]);
    for (const claim of [undefined, app.claim(net, [idOf(blobOf(19))])])
      expect(await problemOf(await store(net, blobOf(19), claim))).toMatchObject({ code: 'blob-store-full' });
    expect(await here(net, 11, 18)).toEqual([true, true]);
  });

  test('is what it claimed first: beyond what is paid it is like any other', async () => {
    const rentals = new TestRentals();
    const net = await gateway(rentals);
    const app = new TestApp().create(net);
    rentals.pay(app.app, 2 * block, 0, 9);
    const kept: string[] = [];
    for (const seed of [1, 2, 3, 4])
      kept.push(await keptAs(await store(net, blobOf(seed), app.claim(net, [idOf(blobOf(seed))]))));
    expect(kept).toEqual(['paid', 'paid', 'free', 'free']);
    for (const seed of [11, 12, 13]) await store(net, blobOf(seed));
    // The third is within what an app may name for nothing.
    expect(await here(net, 1, 2, 3, 4)).toEqual([true, true, true, false]);
    expect(await statusOf(net, app)).toMatchObject({ blobs: 3, bytesUsed: 3 * block, bytesCovered: 2 * block });
    // Paying for more covers what is here already.
    rentals.pay(app.app, block, 0, 9);
    await look(net, rentals);
    for (const seed of [21, 22, 23]) await store(net, blobOf(seed));
    expect(await here(net, 1, 2, 3)).toEqual([true, true, true]);
    expect(await statusOf(net, app)).toMatchObject({ bytesPaid: 3 * block, bytesCovered: 3 * block });
  });

  test('can be claimed after it was stored, many at once', async () => {
    const rentals = new TestRentals();
    const net = await gateway(rentals);
    const app = new TestApp().create(net);
    rentals.pay(app.app, 2 * block, 0, 9);
    for (const seed of [1, 2]) await store(net, blobOf(seed));
    const claim = app.claim(
      net,
      [1, 2, 3].map((seed) => idOf(blobOf(seed))),
    );
    const answer = await (await sendClaim(net, claim)).json();
    expect(answer).toEqual({
      app: app.app,
      blobs: { [`0x${idOf(blobOf(1))}`]: 'paid', [`0x${idOf(blobOf(2))}`]: 'paid', [`0x${idOf(blobOf(3))}`]: 'absent' },
    });
    for (const seed of [11, 12, 13, 14]) await store(net, blobOf(seed));
    expect(await here(net, 1, 2)).toEqual([true, true]);
  });

  test('stays through its last epoch and one more, then is free', async () => {
    const rentals = new TestRentals();
    const net = await gateway(rentals, { freeBlobBytesPerApp: 0 });
    const app = new TestApp().create(net);
    rentals.pay(app.app, block, 0, 3);
    await store(net, blobOf(1), app.claim(net, [idOf(blobOf(1))]));
    for (const [epoch, isThere] of [
      [2, true],
      [3, true],
      [4, false],
    ] as const) {
      rentals.epoch = epoch;
      await look(net, rentals);
      for (const seed of [11, 12, 13, 14]) await store(net, blobOf(seed + 10 * epoch));
      expect([epoch, await here(net, 1)]).toEqual([epoch, [isThere]]);
    }
  });

  test('that is cancelled while it is stored stays for the epoch of then and one more', async () => {
    const rentals = new TestRentals();
    const net = await gateway(rentals, { freeBlobBytesPerApp: 0 });
    const app = new TestApp().create(net);
    rentals.pay(app.app, block, 0, 100);
    await store(net, blobOf(1), app.claim(net, [idOf(blobOf(1))]));
    rentals.epoch = 5;
    // As the contract ends it.
    rentals.cancel(0, 6);
    for (const [epoch, isThere] of [
      [5, true],
      [6, true],
      [7, false],
    ] as const) {
      rentals.epoch = epoch;
      await look(net, rentals);
      for (const seed of [11, 12, 13, 14]) await store(net, blobOf(seed + 10 * epoch));
      expect([epoch, await here(net, 1)]).toEqual([epoch, [isThere]]);
    }
  });

  test('by two apps counts for both, and stays while either pays', async () => {
    const rentals = new TestRentals();
    const net = await gateway(rentals, { freeBlobBytesPerApp: 0 });
    const [one, two] = [new TestApp().create(net), new TestApp().create(net)];
    rentals.pay(one.app, block, 0, 2);
    rentals.pay(two.app, block, 0, 9);
    for (const app of [one, two]) await store(net, blobOf(1), app.claim(net, [idOf(blobOf(1))]));
    for (const app of [one, two]) expect(await statusOf(net, app)).toMatchObject({ blobs: 1, bytesCovered: block });
    expect(await keptAs(await store(net, blobOf(2), two.claim(net, [idOf(blobOf(2))])))).toBe('free');
    rentals.epoch = 5;
    await look(net, rentals);
    for (const seed of [11, 12, 13, 14]) await store(net, blobOf(seed));
    expect(await here(net, 1, 2)).toEqual([true, false]);
    // The one that does not pay any more takes its word back: nothing of the other's.
    await sendClaim(net, one.claim(net, [idOf(blobOf(1))], { epoch: 5, keep: false }));
    for (const seed of [21, 22, 23, 24]) await store(net, blobOf(seed));
    expect(await here(net, 1)).toEqual([true]);
  });

  test('has a place among a blob’s claims before those who pay nothing', async () => {
    const rentals = new TestRentals();
    const net = await gateway(rentals);
    const crowd = Array.from({ length: 64 }, () => new TestApp().create(net));
    await store(net, blobOf(1));
    for (const app of crowd) expect((await sendClaim(net, app.claim(net, [idOf(blobOf(1))]))).status).toBe(200);
    const app = new TestApp().create(net);
    rentals.pay(app.app, block, 0, 9);
    expect(await keptAs(await store(net, blobOf(1), app.claim(net, [idOf(blobOf(1))])))).toBe('paid');
    const late = new TestApp().create(net);
    await sendClaim(net, late.claim(net, [idOf(blobOf(1))]));
    expect(await statusOf(net, app)).toMatchObject({ bytesCovered: block });
  });
});

describe('a claim', () => {
  test('of anybody else is refused, with the upload and after it', async () => {
    const rentals = new TestRentals();
    const net = await gateway(rentals);
    const [app, thief] = [new TestApp().create(net), new TestApp().create(net)];
    rentals.pay(app.app, 5 * block, 0, 9);
    rentals.epoch = 4;
    const id = idOf(blobOf(1));
    const now = { epoch: 4 };
    const bad = {
      'another’s key': app.claim(net, [id], now, thief.key),
      'another’s app': { ...thief.claim(net, [id], now), app: app.app },
      'another gateway': app.claim(net, [id], { ...now, gateway: 'https://gateway.example' }),
      'two epochs old': app.claim(net, [id], { epoch: 2 }),
      'of an epoch to come': app.claim(net, [id], { epoch: 5 }),
      'of an epoch it does not state': { ...app.claim(net, [id], { epoch: 2 }), epoch: 4 },
      'for other blobs': { ...app.claim(net, [idOf(blobOf(2))], now), blobs: [`0x${id}`] },
      'taking back turned around': { ...app.claim(net, [id], { ...now, keep: false }), keep: true },
      'no signature': { ...app.claim(net, [id], now), signature: `0x${'00'.repeat(65)}` },
      'an app that nobody has': new TestApp().claim(net, [id], now),
    };
    for (const [name, claim] of Object.entries(bad)) {
      const refusal = expect.objectContaining({ code: 'claim-refused', status: 403 });
      expect([name, await problemOf(await store(net, blobOf(1), claim as never))]).toEqual([name, refusal]);
      await store(net, blobOf(1));
      expect([name, await problemOf(await sendClaim(net, claim))]).toEqual([name, refusal]);
    }
    for (const claim of ['', '[]', '{}', { ...app.claim(net, [id], now), more: 1 }, app.claim(net, [], now)])
      expect(await problemOf(await sendClaim(net, claim))).toMatchObject({ code: 'bad-request' });
    const many = Array.from({ length: 129 }, () => id);
    expect(await problemOf(await sendClaim(net, app.claim(net, many, now)))).toMatchObject({ code: 'bad-request' });
    expect(await problemOf(await sendClaim(net, 'x'.repeat(20_000)))).toMatchObject({ code: 'request-too-large' });
    expect(await statusOf(net, app)).toMatchObject({ blobs: 0, bytesCovered: 0 });
  });

  test('shown again changes nothing, also after it was taken back', async () => {
    const rentals = new TestRentals();
    const net = await gateway(rentals);
    const app = new TestApp().create(net);
    rentals.pay(app.app, block, 0, 9);
    const id = idOf(blobOf(1));
    const keep = app.claim(net, [id]);
    const takeBack = app.claim(net, [id], { keep: false });
    for (let round = 0; round < 3; round++) expect(await keptAs(await store(net, blobOf(1), keep))).toBe('paid');
    expect(await statusOf(net, app)).toMatchObject({ blobs: 1, bytesUsed: block });
    await sendClaim(net, takeBack);
    await sendClaim(net, keep);
    await store(net, blobOf(1), keep);
    expect(await statusOf(net, app)).toMatchObject({ blobs: 0 });
    // Meant anew it counts, and what took it back before does no longer.
    rentals.epoch = 1;
    await sendClaim(net, app.claim(net, [id], { epoch: 1 }));
    await sendClaim(net, takeBack);
    expect(await statusOf(net, app)).toMatchObject({ blobs: 1, bytesCovered: block });
  });

  test('that is taken back makes room for what was claimed later', async () => {
    const rentals = new TestRentals();
    const net = await gateway(rentals);
    const app = new TestApp().create(net);
    rentals.pay(app.app, block, 0, 9);
    for (const seed of [1, 2]) await store(net, blobOf(seed), app.claim(net, [idOf(blobOf(seed))]));
    await sendClaim(net, app.claim(net, [idOf(blobOf(1))], { keep: false }));
    for (const seed of [11, 12, 13]) await store(net, blobOf(seed));
    expect(await here(net, 1, 2)).toEqual([false, true]);
  });

  test('of an active worker’s signer keeps, and takes nothing back', async () => {
    const rentals = new TestRentals();
    const net = await gateway(rentals);
    const app = new TestApp().create(net);
    rentals.pay(app.app, 5 * block, 0, 9);
    const signer = generateSecp256k1();
    const id = idOf(blobOf(1));
    expect(await problemOf(await store(net, blobOf(1), app.claim(net, [id], {}, signer)))).toMatchObject({
      code: 'claim-refused',
    });
    const worker = await net.dial();
    const active = generateSecp256k1();
    net.registry.set(worker.workerId, addressOf(active));
    expect(await keptAs(await store(net, blobOf(1), app.claim(net, [id], {}, active)))).toBe('paid');
    const takeBack = app.claim(net, [id], { keep: false }, active);
    expect(await problemOf(await sendClaim(net, takeBack))).toMatchObject({ code: 'claim-refused' });
  });

  test('of who gave the app away counts no longer', async () => {
    const rentals = new TestRentals();
    const net = await gateway(rentals);
    const [app, heir] = [new TestApp().create(net), new TestApp()];
    rentals.pay(app.app, 5 * block, 0, 9);
    net.owners.set(app.app, heir.owner);
    expect(await problemOf(await store(net, blobOf(1), app.claim(net, [idOf(blobOf(1))])))).toMatchObject({
      code: 'claim-refused',
    });
    expect(await keptAs(await store(net, blobOf(1), app.claim(net, [idOf(blobOf(1))], {}, heir.key)))).toBe('paid');
  });
});

describe('where the chain can’t be read', () => {
  const away = () => Promise.reject(new Error('no chain'));

  test('nothing paid is dropped, a claim is not weighed, and an upload is like any other', async () => {
    const rentals = new TestRentals();
    const net = await gateway(rentals);
    const app = new TestApp().create(net);
    rentals.pay(app.app, block, 0, 3);
    await store(net, blobOf(1), app.claim(net, [idOf(blobOf(1))]));
    rentals.epoch = 50;
    net.paid = away;
    await look(net, rentals);
    for (const seed of [11, 12, 13, 14]) await store(net, blobOf(seed));
    expect(await here(net, 1)).toEqual([true]);
    const claim = app.claim(net, [idOf(blobOf(2))], { epoch: 50 });
    expect(await problemOf(await sendClaim(net, claim))).toMatchObject({ code: 'claims-unavailable', status: 503 });
    expect(await keptAs(await store(net, blobOf(2), claim))).toBe('free');
  });

  test('a restarted gateway drops nothing that an app claimed, and knows it once the chain is back', async () => {
    const rentals = new TestRentals();
    const first = await gateway(rentals);
    const [app, poor] = [new TestApp().create(first), new TestApp().create(first)];
    rentals.pay(app.app, 2 * block, 0, 9);
    for (const seed of [1, 2]) await store(first, blobOf(seed), app.claim(first, [idOf(blobOf(seed))]));
    await store(first, blobOf(3), poor.claim(first, [idOf(blobOf(3))]));
    await store(first, blobOf(4));
    await first.stop({ keepFolder: true });
    open.length = 0;

    const second = new TestGateway(
      { blobStoreBytes: 8 * block, freeBlobBytes: 2 * block, storagePollMs: 100 },
      first.folder,
    );
    second.paid = away;
    await second.start();
    open.push(second);
    for (const seed of [11, 12, 13]) await store(second, blobOf(seed));
    expect(await here(second, 1, 2, 3, 4)).toEqual([true, true, true, false]);
    second.paid = rentals.read;
    await until(async () => (await fetch(`${second.url}/v1/storage/${app.app}`)).status === 200);
    expect(await statusOf(second, app)).toMatchObject({ blobs: 2, bytesCovered: 2 * block });
    expect(await statusOf(second, poor)).toMatchObject({ blobs: 1, bytesCovered: 0 });
    for (const seed of [21, 22, 23]) await store(second, blobOf(seed));
    expect(await here(second, 1, 2)).toEqual([true, true]);
  });

  test('a gateway does not start over claims that it can not read: taken for none, what is paid would be dropped', async () => {
    const rentals = new TestRentals();
    const first = await gateway(rentals);
    const app = new TestApp().create(first);
    rentals.pay(app.app, 2 * block, 0, 9);
    await store(first, blobOf(1), app.claim(first, [idOf(blobOf(1))]));
    await first.stop({ keepFolder: true });
    open.length = 0;
    const name = idOf(blobOf(1));
    const [file] = globSync(`**/${name}.claims`, { cwd: first.folder });
    expect(file).toBeDefined();
    const path = join(first.folder, file ?? '');
    const good = readFileSync(path);
    for (const bad of [
      good.subarray(0, -5),
      Buffer.from(''),
      Buffer.from('{"format":"cloister-blob-claims-2","claims":[]}'),
    ]) {
      writeFileSync(path, bad);
      const second = new TestGateway({ blobStoreBytes: 8 * block, freeBlobBytes: 2 * block }, first.folder);
      await expect(second.start()).rejects.toMatchObject({ code: 'BLOB_CLAIMS_UNREADABLE', meta: { id: name } });
      await second.stop({ keepFolder: true }).catch(() => {});
    }
    writeFileSync(path, good);
    expect(await here(await gateway(rentals, {}, first.folder), 1)).toEqual([true]);
  });
});
