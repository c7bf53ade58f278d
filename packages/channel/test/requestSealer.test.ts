import { toHex } from '@cloister/crypto';
import { expect, test } from 'vitest';
import { RequestSealer } from '../src/client/requestSealer.ts';
import { KeyRing } from '../src/worker/keyRing.ts';
import { leaseEnd, now, readAll, respond, someCall, someRequest } from './sealedCall.ts';

/** Until what was asked for in the next turn is done. */
const idle = () => new Promise((resolve) => setTimeout(resolve, 20));
const keyOf = (encapsulated: Uint8Array) => toHex(encapsulated.subarray(7, 39));

async function announcedKey() {
  const ring = new KeyRing();
  const { config } = await ring.rotate(now, leaseEnd);
  return { ring, config };
}

test('a prepared call opens and is answered like any other', async () => {
  const { ring, config } = await announcedKey();
  const sealer = new RequestSealer();
  for (let call = 0; call < 3; call++) {
    const request = someRequest({ body: Uint8Array.of(call) });
    const sealed = await sealer.seal({ keyConfig: config, call: someCall(), request });
    sealer.prepare(config);
    await idle();
    const opened = await ring.open(sealed.encapsulated, now);
    expect(opened.request).toEqual(request);
    expect([opened.inputSalt, opened.outputSalt]).toEqual([sealed.inputSalt, sealed.outputSalt]);
    const events = await readAll(sealed, await respond(opened, [Uint8Array.of(9)], Uint8Array.of(7)));
    expect(events.at(-1)).toEqual({ type: 'final', trailer: Uint8Array.of(7) });
  }
});

test('no key agreement serves two calls, however they overlap', async () => {
  const { config } = await announcedKey();
  const sealer = new RequestSealer();
  sealer.prepare(config);
  sealer.prepare(config);
  await idle();
  const seal = () => sealer.seal({ keyConfig: config, call: someCall(), request: someRequest() });
  const keys = (await Promise.all([seal(), seal(), seal()])).map(({ encapsulated }) => keyOf(encapsulated));
  sealer.prepare(config);
  await idle();
  keys.push(keyOf((await seal()).encapsulated), keyOf((await seal()).encapsulated));
  expect(new Set(keys).size).toBe(keys.length);
});

test('what was prepared for one key is never used for another', async () => {
  const [first, second] = [await announcedKey(), await announcedKey()];
  const sealer = new RequestSealer();
  sealer.prepare(first.config);
  await idle();
  const sealed = await sealer.seal({ keyConfig: second.config, call: someCall(), request: someRequest() });
  expect((await second.ring.open(sealed.encapsulated, now)).request).toEqual(someRequest());
});

test('a call that is refused before it is sealed leaves what waits for the next', async () => {
  const { ring, config } = await announcedKey();
  const sealer = new RequestSealer();
  sealer.prepare(config);
  await idle();
  const refused = sealer.seal({ keyConfig: config, call: someCall(), request: someRequest({ method: 'CONNECT' }) });
  await expect(refused).rejects.toMatchObject({ code: 'REQUEST_MALFORMED' });
  const sealed = await sealer.seal({ keyConfig: config, call: someCall(), request: someRequest() });
  expect((await ring.open(sealed.encapsulated, now)).request).toEqual(someRequest());
});

test('preparing for what is no key says nothing; sealing to it does', async () => {
  const sealer = new RequestSealer();
  sealer.prepare(new Uint8Array(3));
  await idle();
  await expect(
    sealer.seal({ keyConfig: new Uint8Array(3), call: someCall(), request: someRequest() }),
  ).rejects.toMatchObject({ code: expect.stringMatching(/^KEY_CONFIG_/) });
});

test('discarding drops what waits', async () => {
  const { ring, config } = await announcedKey();
  const sealer = new RequestSealer();
  sealer.prepare(config);
  await idle();
  sealer.discard();
  const sealed = await sealer.seal({ keyConfig: config, call: someCall(), request: someRequest() });
  expect((await ring.open(sealed.encapsulated, now)).request).toEqual(someRequest());
});
