import { CloisterError } from '@cloister/core';
import { afterAll, beforeAll, expect, test } from 'vitest';
import {
  createFunctionDriver,
  type FunctionDriver,
  type ScheduledEvent,
  type Tenant,
  type TenantServices,
  type WishedTransaction,
} from '../src/index.ts';
import { readAnswer } from './calls.ts';
import { functionWorkload } from './functionWorkload.ts';
import { behindWalls, driverOptions } from './jails.ts';

const never = new AbortController().signal;
const event: ScheduledEvent = { scheduledTime: 1_764_000_000_000, cron: '0 * * * *', id: '0xaa', attempt: 2 };

const source = `
let told = [];
export default {
  async scheduled(event, env, ctx) {
    if (env.FAILS) throw new Error('no luck');
    ctx.waitUntil(new Promise((resolve) => setTimeout(resolve, 50)).then(async () => told.push(['late', await ctx.chain?.account()])));
    told.push([event, Object.keys(ctx).sort(), Object.keys(env)]);
  },
  async fetch(request, env, ctx) {
    if (new URL(request.url).pathname === '/told') return Response.json([told, [...request.headers.keys()].sort()]);
    const { chain } = ctx;
    const wished = { to: '0x' + 'AB'.repeat(20), value: 5n, id: 'once' };
    const refused = await chain.send({ ...wished, id: 'refused' }).catch((error) => error.code);
    return Response.json([
      Object.keys(chain).sort(), await chain.account(), await chain.send(wished), refused,
      await chain.receipt('0x' + '11'.repeat(32)), (await chain.receipt('0x' + '22'.repeat(32))) ?? 'none', await chain.signMessage('hi'),
    ]);
  },
};
`;

behindWalls((set) => {
  let driver: FunctionDriver;
  beforeAll(async () => {
    driver = createFunctionDriver(driverOptions(set));
    await driver.start({ signal: never });
  });
  afterAll(() => driver.stop());

  const run = (tenant: Tenant, services: TenantServices = {}, scheduled: ScheduledEvent | undefined = event) =>
    invoke(tenant, { scheduled }, services);
  const invoke = async (tenant: Tenant, fields: object, services: TenantServices = {}) => {
    const request = { method: 'GET', path: '/', headers: [], body: new Uint8Array(), ...fields };
    return readAnswer(await tenant.invoke(request, { signal: never, services }));
  };
  const block = { number: '7', hash: '0xbb', timestamp: '9', ageMs: 3 };
  const account = (sent: WishedTransaction[] = []): TenantServices => ({
    account: {
      address: async () => '0xme',
      async send(wished) {
        sent.push(wished);
        if (wished.id === 'refused') throw new CloisterError({ code: 'CHAIN_FEE_TOO_HIGH', message: 'too much' });
        return { hash: '0x99', nonce: 4 };
      },
      receipt: async (hash) => (hash.startsWith('0x11') ? { status: 'success', block } : undefined),
      signMessage: async (message) => Buffer.from(message).toString('hex'),
    },
  });

  test('a run by schedule calls the other handler, with its services until what it left going is done', async () => {
    const tenant = await driver.open(functionWorkload(source, { scheduled: true, services: ['account'] }), {
      signal: never,
    });
    expect((await run(tenant, account())).status).toBe(204);
    const [told, headers] = JSON.parse((await invoke(tenant, { path: '/told' })).body.toString());
    expect(told).toEqual([
      [{ type: 'scheduled', ...event }, ['chain', 'passThroughOnException', 'waitUntil'], []],
      ['late', '0xme'],
    ]);
    expect(headers).not.toContain('cloister-scheduled');
    expect(tenant.logs().map(({ message }) => message)).toEqual([
      expect.stringMatching(/^Schedule "0 \* \* \* \*" of 2025-11-24T16:00:00.000Z, attempt 2: "ok" after \d+ ms/),
    ]);
    await tenant.close();
  });

  test('no caller can make one, and an app without schedules has none', async () => {
    const tenant = await driver.open(functionWorkload(source, { scheduled: true }), { signal: never });
    const forged = { path: '/told', headers: [['cloister-scheduled', JSON.stringify(event)]] };
    expect(JSON.parse((await invoke(tenant, forged)).body.toString())[0]).toEqual([]);
    await tenant.close();
    const plain = await driver.open(functionWorkload(source), { signal: never });
    await expect(run(plain)).rejects.toMatchObject({ code: 'INVALID_REQUEST' });
    await plain.close();
  });

  test('one that throws, or finds no handler, is an error of the app that its owner can read', async () => {
    const failing = await driver.open(functionWorkload(source, { scheduled: true, env: { FAILS: '1' } }), {
      signal: never,
    });
    expect((await run(failing)).outcome).toMatchObject({ status: 'app-error', message: 'no luck' });
    expect(failing.logs().at(-1)?.message).toMatch(/"app-error"/);
    await failing.close();
    const without = 'export default { fetch() { return new Response(); } };';
    const tenant = await driver.open(functionWorkload(without, { scheduled: true }), { signal: never });
    expect((await run(tenant)).outcome).toMatchObject({ message: expect.stringContaining('a method "scheduled"') });
    expect((await invoke(tenant, {})).status).toBe(200);
    await tenant.close();
  });

  test("the app's account stands in ctx.chain", async () => {
    const tenant = await driver.open(functionWorkload(source, { services: ['account'] }), { signal: never });
    const sent: WishedTransaction[] = [];
    const answer = await invoke(tenant, {}, account(sent));
    expect(JSON.parse(answer.body.toString())).toEqual([
      ['account', 'receipt', 'send', 'signMessage'],
      ...['0xme', { hash: '0x99', nonce: 4 }, 'CHAIN_FEE_TOO_HIGH', { status: 'success', block }, 'none', '6869'],
    ]);
    const wished = { to: `0x${'ab'.repeat(20)}`, data: '0x', value: '5' };
    expect(sent).toEqual([
      { ...wished, id: 'refused' },
      { ...wished, id: 'once' },
    ]);
    await tenant.close();
  });
});
