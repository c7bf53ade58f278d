import { CloisterError } from '@cloister/core';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import {
  createFunctionDriver,
  type FunctionDriver,
  type GuestAnswer,
  type GuestService,
  type ServiceName,
  type StateCommit,
  type StateService,
  type Tenant,
  type TenantServices,
} from '../src/index.ts';
import { readAnswer } from './calls.ts';
import { functionWorkload } from './functionWorkload.ts';
import { behindWalls, driverOptions } from './jails.ts';

const never = new AbortController().signal;

/** Keys and values in memory, tagged by what they are. */
class MemoryState implements StateService {
  readonly values = new Map<string, Uint8Array>();
  readonly commits: StateCommit[] = [];
  /** Called before each commit is judged. */
  before: () => void = () => {};

  async get({ partition, key }: { partition: number; key: string }) {
    const value = this.values.get(`${partition}/${key}`);
    return { value, tag: tagOf(value) };
  }

  async list({ partition, prefix, after, limit }: Parameters<StateService['list']>[0]) {
    const keys = [...this.values.keys()]
      .flatMap((name) => (name.startsWith(`${partition}/`) ? [name.slice(name.indexOf('/') + 1)] : []))
      .filter((key) => key.startsWith(prefix) && key > after)
      .sort()
      .slice(0, limit);
    return { keys, tag: keys.join() };
  }

  async commit(commit: StateCommit) {
    this.before();
    this.commits.push(commit);
    for (const { key, tag } of commit.read)
      if ((await this.get({ partition: commit.partition, key })).tag !== tag) throw changed();
    for (const { tag, ...range } of commit.listed)
      if ((await this.list({ ...range, partition: commit.partition })).tag !== tag) throw changed();
    for (const { key, value } of commit.changes) {
      if (value === undefined) this.values.delete(`${commit.partition}/${key}`);
      else this.values.set(`${commit.partition}/${key}`, value.slice());
    }
  }
}

const tagOf = (value: Uint8Array | undefined) =>
  value === undefined ? 'none' : `v${Buffer.from(value).toString('hex').slice(0, 40)}`;
const changed = () => new CloisterError({ code: 'STATE_CHANGED', message: 'It has changed', retry: true });

const source = `
let kept;
export default {
  async fetch(request, env, ctx) {
    const url = new URL(request.url);
    const { state } = ctx;
    switch (url.pathname) {
      case '/given': return Response.json({ ctx: Object.keys(ctx).sort(), env, headers: [...request.headers.keys()].sort() });
      case '/put': await state.put(url.searchParams.get('key'), await request.text()); return new Response();
      case '/get': return Response.json((await state.get(url.searchParams.get('key'), 'text')) ?? null);
      case '/list': return Response.json(await state.list(url.searchParams.get('prefix') ?? ''));
      case '/delete': await state.delete(url.searchParams.get('key')); return new Response();
      case '/count': return Response.json(await state.transaction(async (inside) => {
        const next = ((await inside.get('count', 'json')) ?? 0) + 1;
        inside.put('count', String(next));
        return next;
      }));
      case '/inside': return Response.json(await state.partition(3).transaction(async (inside) => {
        inside.put('b', 'B');
        inside.put('a', 'A');
        inside.delete('a');
        return [await inside.get('b', 'text'), (await inside.get('a')) ?? null, await inside.list()];
      }));
      case '/late': kept = state; return new Response('kept');
      case '/use-late': {
        const failed = await kept.get('x').catch((error) => error);
        return Response.json({ name: failed.name, code: failed.code, retry: failed.retry });
      }
      case '/fails': {
        const failed = await state.get('fails').catch((error) => error);
        return Response.json({ code: failed.code, message: failed.message, retry: failed.retry });
      }
      case '/huge': {
        const failed = await state.put('k', new Uint8Array(9 * 1024 * 1024)).catch((error) => error);
        return Response.json(failed?.code ?? 'stored');
      }
      case '/flood': {
        const answers = await Promise.all(Array.from({ length: 200 }, () => state.get('slow').then(() => 'ok', (error) => error.code ?? 'broken')));
        return Response.json(answers);
      }
      case '/many': {
        for (let i = 0; ; i += 1) {
          const code = await state.get('x').then(() => undefined, (error) => error.code);
          if (code !== undefined) return Response.json([i, code]);
        }
      }
      case '/raw': {
        const door = (await import('cloudflare:workers')).env['cloister door'];
        const headers = { 'cloister-invocation': url.searchParams.get('token') ?? 'none' };
        const body = await request.arrayBuffer();
        const answer = await door.fetch('http://door.invalid/' + url.searchParams.get('name'), { method: 'POST', headers, body });
        return new Response(await answer.text(), { status: answer.status });
      }
      case '/call': {
        const answer = await ctx.call('0x' + '77'.repeat(32), '/there?a=1', { method: 'POST', body: 'question', headers: { 'x-mine': 'yes' } });
        return new Response(answer.status + ' ' + answer.headers.get('x-theirs') + ' ' + await answer.text());
      }
      case '/guest': {
        const { key, signature_chain } = await ctx.guest.getKey('path', 'purpose', 'ed25519');
        await ctx.guest.emitEvent('event', 'ü');
        const { public_key } = await ctx.guest.sign('secp256k1', new Uint8Array([1, 255]));
        const tls = await ctx.guest.getTlsKey({ altNames: ['a.example'], notAfter: 7 });
        const info = await ctx.guest.info();
        const rest = [await ctx.guest.getQuote('x'), await ctx.guest.attest(new Uint8Array([9])), await ctx.guest.version()];
        const { valid } = await ctx.guest.verify('ed25519', 'm', key, public_key);
        return Response.json({ key: [...key], chain: signature_chain.map((one) => [...one]), public_key: [...public_key], tls, info, rest, valid });
      }
      case '/chain': return Response.json([await ctx.chain.block(), await ctx.chain.call({ to: '0x' + '22'.repeat(20), data: '0xaa' }), await ctx.chain.balance('0x' + '33'.repeat(20))]);
    }
    return new Response('no such behaviour', { status: 404 });
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

  const open = (services: readonly ServiceName[] = ['state']) =>
    driver.open(functionWorkload(source, { services, env: { A: '1' } }), { signal: never });
  const ask = async (tenant: Tenant, path: string, services: TenantServices, body = '') => {
    const request = { method: 'POST', path, headers: [], body: Buffer.from(body) } as const;
    const answer = await readAnswer(await tenant.invoke(request, { signal: never, services }));
    const text = answer.body.toString('utf8');
    return { ...answer, text, json: () => JSON.parse(text) as unknown };
  };

  describe('services', () => {
    test('a handler is given what its workload names, and sees nothing of how', async () => {
      const tenant = await open();
      const answer = await ask(tenant, '/given', { state: new MemoryState() });
      expect(answer.json()).toEqual({
        ctx: ['passThroughOnException', 'state', 'waitUntil'],
        env: { A: '1' },
        headers: ['content-length', 'host'],
      });
      await tenant.close();
      const plain = await open([]);
      const given = (await ask(plain, '/given', { state: new MemoryState() })).json() as { ctx: string[] };
      expect(given.ctx).not.toContain('state');
      await plain.close();
    });

    test('keeps, lists and deletes values', async () => {
      const tenant = await open();
      const state = new MemoryState();
      await ask(tenant, '/put?key=a/1', { state }, 'eins');
      await ask(tenant, '/put?key=a/2', { state }, 'zwei ☂');
      await ask(tenant, '/put?key=b', { state }, '');
      expect((await ask(tenant, '/get?key=a/2', { state })).json()).toBe('zwei ☂');
      expect((await ask(tenant, '/get?key=b', { state })).json()).toBe('');
      expect((await ask(tenant, '/get?key=c', { state })).json()).toBeNull();
      expect((await ask(tenant, '/list?prefix=a/', { state })).json()).toEqual(['a/1', 'a/2']);
      await ask(tenant, '/delete?key=a/1', { state });
      expect((await ask(tenant, '/list', { state })).json()).toEqual(['a/2', 'b']);
      await tenant.close();
    });

    test('a transaction sees its own changes and runs again where what it read has changed', async () => {
      const tenant = await open();
      const state = new MemoryState();
      expect((await ask(tenant, '/inside', { state })).json()).toEqual(['B', null, ['b']]);
      expect([...state.values.keys()]).toEqual(['3/b']);
      let others = 2;
      state.before = () => {
        if (others-- > 0) state.values.set('0/count', Buffer.from(String(10 * (3 - others))));
      };
      expect((await ask(tenant, '/count', { state })).json()).toBe(31);
      expect(state.commits.filter(({ read }) => read[0]?.key === 'count')).toHaveLength(3);
      await tenant.close();
    });

    test('calls other apps and reads the chain', async () => {
      const tenant = await open(['call', 'chain']);
      const asked: unknown[] = [];
      const block = { number: '7', hash: '0xbb', timestamp: '9', ageMs: 3 };
      const services: TenantServices = {
        call: {
          async call({ body, ...request }) {
            asked.push({ ...request, body: Buffer.from(body).toString() });
            return { status: 201, headers: [['x-theirs', 'yes']], body: Buffer.from('answer') };
          },
        },
        chain: {
          block: async () => block,
          call: async ({ to, data }) => ({ value: `${to}${data}`, block }),
          balance: async (account) => ({ value: account, block }),
        },
      };
      expect((await ask(tenant, '/call', services)).text).toBe('201 yes answer');
      expect(asked).toEqual([
        {
          app: `0x${'77'.repeat(32)}`,
          method: 'POST',
          path: '/there?a=1',
          headers: expect.arrayContaining([['x-mine', 'yes']]),
          body: 'question',
        },
      ]);
      expect((await ask(tenant, '/chain', services)).json()).toEqual([
        block,
        { value: `0x${'22'.repeat(20)}0xaa`, block },
        { value: `0x${'33'.repeat(20)}`, block },
      ]);
      await tenant.close();
    });

    test("asks the guest agent as dstack's client for Node.js does, in the form of its protocol", async () => {
      const tenant = await open(['guest']);
      const asked: unknown[] = [];
      const answers: Readonly<Record<string, GuestAnswer>> = {
        GetKey: { key: '0a0b', signature_chain: ['01', 'ff00'] },
        Sign: { signature: '05', signature_chain: [], public_key: '0708' },
        GetTlsKey: { key: 'PEM', certificate_chain: ['leaf', 'root'] },
        Info: { app_id: 'id', tcb_info: '{"rtmr3":"00"}' },
        GetQuote: { quote: 'q' },
        Attest: { attestation: 'a' },
        Version: { version: 'v', rev: 'r' },
        Verify: { valid: true },
        EmitEvent: {},
      };
      const guest: GuestService = {
        async ask({ method, request }) {
          asked.push([method, request]);
          return answers[method] ?? {};
        },
      };
      expect((await ask(tenant, '/guest', { guest })).json()).toEqual({
        key: [10, 11],
        chain: [[1], [255, 0]],
        public_key: [7, 8],
        tls: answers.GetTlsKey,
        info: { app_id: 'id', tcb_info: { rtmr3: '00' } },
        rest: [answers.GetQuote, answers.Attest, answers.Version],
        valid: true,
      });
      expect(asked).toEqual([
        ['GetKey', { path: 'path', purpose: 'purpose', algorithm: 'ed25519' }],
        ['EmitEvent', { event: 'event', payload: 'c3bc' }],
        ['Sign', { algorithm: 'secp256k1', data: '01ff' }],
        [
          'GetTlsKey',
          {
            subject: '',
            alt_names: ['a.example'],
            usage_ra_tls: false,
            usage_server_auth: true,
            usage_client_auth: false,
            not_after: 7,
          },
        ],
        ['Info', {}],
        ['GetQuote', { report_data: '78' }],
        ['Attest', { report_data: '09' }],
        ['Version', {}],
        ['Verify', { algorithm: 'ed25519', data: '6d', signature: '0a0b', public_key: '0708' }],
      ]);
      await tenant.close();
    });

    test('errors have names; of what is no error of ours nothing is told', async () => {
      const tenant = await open();
      const state = new MemoryState();
      state.get = async () => {
        throw new CloisterError({ code: 'STATE_HELD', message: 'Another host writes', retry: true });
      };
      expect((await ask(tenant, '/fails', { state })).json()).toEqual({
        code: 'STATE_HELD',
        message: 'Another host writes',
        retry: true,
      });
      state.get = async () => {
        throw new Error('/a/path of this machine');
      };
      expect((await ask(tenant, '/fails', { state })).json()).toEqual({
        code: 'SERVICE_FAILED',
        message: 'The worker failed',
        retry: false,
      });
      await tenant.close();
    });
  });

  describe('attacks on the door', () => {
    test('an invocation that is over has no services any more', async () => {
      const tenant = await open();
      const state = new MemoryState();
      await ask(tenant, '/late', { state });
      expect((await ask(tenant, '/use-late', { state })).json()).toEqual({
        name: 'ServiceError',
        code: 'INVOCATION_OVER',
        retry: false,
      });
      await tenant.close();
    });

    test('what is under way when an invocation ends is told so', async () => {
      const tenant = await open();
      const state = new MemoryState();
      const giving = new AbortController();
      let told: AbortSignal | undefined;
      state.get = async (_wanted: unknown, { signal }: { signal?: AbortSignal } = {}) => {
        told = signal;
        expect(signal?.aborted).toBe(false);
        giving.abort();
        throw new Error('over');
      };
      const request = { method: 'POST', path: '/get?key=a', headers: [], body: new Uint8Array() } as const;
      await expect(tenant.invoke(request, { signal: giving.signal, services: { state } })).rejects.toMatchObject({
        code: 'ABORTED',
      });
      expect(told?.aborted).toBe(true);
      await tenant.close();
    });

    test('code that goes to the door by itself has no more than its invocations have', async () => {
      const tenant = await open();
      const state = new MemoryState();
      expect((await ask(tenant, '/raw?name=state.get&token=none', { state }, '\0\0\0\x02{}')).json()).toMatchObject({
        code: 'INVOCATION_OVER',
      });
      await tenant.close();
    });

    test('a handler that floods the door is refused there, and the next invocation is served', async () => {
      const tenant = await open();
      const state = new MemoryState();
      let atOnce = 0;
      let most = 0;
      const { get } = MemoryState.prototype;
      state.get = async (wanted) => {
        most = Math.max(most, ++atOnce);
        await new Promise((resolve) => setTimeout(resolve, 20));
        atOnce -= 1;
        return get.call(state, wanted);
      };
      const answers = (await ask(tenant, '/flood', { state })).json() as string[];
      expect(answers).toContain('ok');
      expect(most).toBeLessThanOrEqual(32);
      expect(answers.filter((answer) => answer !== 'ok' && answer !== 'SERVICE_BUSY')).toEqual([]);
      state.get = (wanted) => get.call(state, wanted);
      expect((await ask(tenant, '/many', { state })).json()).toEqual([1000, 'SERVICE_LIMIT']);
      expect((await ask(tenant, '/huge', { state })).json()).toBe('SERVICE_LIMIT');
      expect(state.commits).toEqual([]);
      await ask(tenant, '/put?key=a', { state }, 'still here');
      expect((await ask(tenant, '/get?key=a', { state })).json()).toBe('still here');
      await tenant.close();
    });
  });
});
