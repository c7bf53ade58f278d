import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest';
import { createFunctionDriver, type FunctionDriver, type Tenant } from '../src/index.ts';
import { processTree } from '../src/process/procFs.ts';
import { call, codeOf, never, type WorkloadOverrides } from './calls.ts';
import { actorWorkload, functionWorkload } from './functionWorkload.ts';
import { greedy, handler, innerAddresses, oddFailures } from './hostileFunctions.ts';
import { behindWalls, driverOptions } from './jails.ts';
import { Witness } from './witness.ts';

behindWalls(
  (set) => {
    const options = driverOptions(set);
    describe('hostile functions', () => {
      const runDir = mkdtempSync(join(tmpdir(), 'cloister-hostile-'));
      let driver: FunctionDriver;
      let witness: Witness;
      beforeAll(async () => {
        driver = createFunctionDriver({ ...options, runDir, pooled: 2, pooledMemoryBytes: 64 * 1024 * 1024 });
        await driver.start({ signal: never });
        witness = await Witness.open(driver, actorWorkload({ env: { OWN: 'x' } }), true);
      });
      afterAll(async () => {
        await driver.stop();
        rmSync(runDir, { recursive: true, force: true });
      });
      const withTenant = async (
        source: string,
        overrides: WorkloadOverrides,
        use: (tenant: Tenant) => Promise<void>,
      ) => {
        const limits = { memoryBytes: 64 * 1024 * 1024, wallMs: 5000, ...overrides.limits };
        const tenant = await driver.open(functionWorkload(source, { ...overrides, limits }), { signal: never });
        await use(tenant).finally(() => tenant.close());
        await witness.isWell();
      };

      test.each(Object.entries(oddFailures))('code that %s is an app error', async (_name, source) => {
        await withTenant(source, { outboundHosts: ['example.com'] }, async (tenant) => {
          for (const _attempt of [1, 2]) {
            const { status, body, outcome } = await call(tenant, '/');
            // Without a handler, a request goes on to where its URL points: to the gate, which refuses it.
            expect(outcome.status).toBe(source.startsWith('//') ? 'refused' : 'app-error');
            expect(outcome.message?.length ?? 0).toBeGreaterThan(0);
            expect(outcome.message?.length ?? 0).toBeLessThanOrEqual(1024);
            expect({ status, length: body.length }).toEqual({ status: 500, length: 0 });
          }
        });
      });

      test.each(Object.entries(greedy))('code that %s is ended by its limit', async (_name, { source, limit }) => {
        await withTenant(source, { limits: { wallMs: limit === 'wall' ? 250 : 15_000 } }, async (tenant) => {
          expect((await call(tenant, '/')).outcome).toMatchObject({ status: 'limit', limit });
        });
      });

      test('floods its log, and nothing reaches the output of this process', async () => {
        const spies = [process.stdout, process.stderr].map((stream) => vi.spyOn(stream, 'write'));
        const flood =
          'const l = "mark-of-the-tenant ".repeat(500); for (let i = 0; i < 100000; i += 1) console.log(i, l); return new Response();';
        await withTenant(handler(flood), { limits: { wallMs: 700 } }, async (tenant) => {
          expect((await call(tenant, '/')).outcome.status).not.toBe('ok');
          const lines = tenant.logs();
          expect(lines.length).toBeLessThanOrEqual(1000);
          expect(lines.reduce((sum, { message }) => sum + message.length, 0)).toBeLessThanOrEqual(300_000);
        });
        expect(
          spies.flatMap(({ mock }) => mock.calls).some(([text]) => String(text).includes('mark-of-the-tenant')),
        ).toBe(false);
        for (const spy of spies) spy.mockRestore();
      });

      test('a rejection that nobody handles harms nothing', async () => {
        await withTenant(handler('Promise.reject(new Error("x")); return new Response("y");'), {}, async (tenant) => {
          expect((await call(tenant, '/')).outcome.status).toBe('ok');
          expect((await call(tenant, '/')).outcome.status).toBe('ok');
        });
      });

      test('polluted prototypes stay in the tenant', async () => {
        const pollute = `
        Object.prototype.get = () => { throw 1; }; Headers.prototype.get = () => 'x'; Promise.prototype.then = () => {};
        Response.prototype.constructor = null; Object.prototype.webSocket = true; String.prototype.slice = () => 'forged';`;
        await withTenant(handler('throw new Error("genuine");', pollute), {}, async (tenant) => {
          expect((await call(tenant, '/')).outcome).toMatchObject({ status: 'app-error', message: 'genuine' });
        });
      });

      test('an answer cannot pass for a report of the loader, nor hide one', async () => {
        const forged = `return new Response('{"message":"forged"}', { headers: { 'cloister-failure': request.headers.get('x-guess'), 'cloister-refused': 'x' } });`;
        await withTenant(handler(forged), {}, async (tenant) => {
          const answer = await call(tenant, '/', { headers: [['x-guess', 'undefined']] });
          expect(answer).toMatchObject({ status: 200, outcome: { status: 'ok' } });
        });
      });

      test('headers that are too many or too long are an app error', async () => {
        const many = 'return new Response("x", { headers: { a: "x".repeat(200000) } });';
        await withTenant(handler(many), {}, async (tenant) => {
          expect((await call(tenant, '/')).outcome.status).toBe('app-error');
        });
      });

      test('work left behind gets no processor time when its grace is over', async () => {
        const source = handler(
          'ctx.waitUntil((async () => { for (;;) await new Promise((r) => setTimeout(r, 0)); })()); return new Response("x");',
        );
        await withTenant(source, { limits: { wallMs: 3000, maxConcurrent: 1 } }, async (tenant) => {
          expect((await call(tenant, '/')).outcome.status).toBe('ok');
          await new Promise((resolve) => setTimeout(resolve, 2500));
          const { outcome } = await call(tenant, '/');
          expect(outcome.status).toBe('ok');
          // One second of grace and the two calls: well below the time that has passed.
          expect(outcome.metering.cpuMs).toBeLessThan(2000);
        });
      });

      test('code that spins after its answer is ended by the next call, which names the limit', async () => {
        const source = handler(
          'ctx.waitUntil((async () => { await new Promise((r) => setTimeout(r, 5)); for (;;); })()); return new Response("x");',
        );
        await withTenant(source, { limits: { wallMs: 500 } }, async (tenant) => {
          expect((await call(tenant, '/')).outcome.status).toBe('ok');
          await new Promise((resolve) => setTimeout(resolve, 50));
          expect((await call(tenant, '/')).outcome).toMatchObject({ status: 'limit', limit: 'wall' });
          expect((await call(tenant, '/')).outcome.status).toBe('ok');
        });
      });

      test('a process killed in the middle of a call is named, and the next call works', async () => {
        const tenant = await driver.open(actorWorkload({ tenant: `0x${'33'.repeat(32)}` }), { signal: never });
        const before = await call(tenant, '/state');
        expect(before.body.toString()).toBe('1');
        const waiting = call(tenant, '/wait');
        await call(tenant, '/echo');
        // The youngest process tree below this one that isn't waiting in the pool: found by elimination, ended from outside.
        for (const pid of processTree(process.pid).slice(1)) killIfThere(pid, 'SIGKILL');
        const { outcome } = await waiting;
        expect(outcome.status).toBe('app-error');
        expect(outcome.message).toContain('ended during the call');
        expect((await call(tenant, '/state')).body.toString()).toBe('1');
        await tenant.close();
        // All processes were ended, its own too.
        await witness.close();
        witness = await Witness.open(driver, actorWorkload(), true);
      });

      test('a process that ends too often is not started again at once', async () => {
        const limited = createFunctionDriver({ ...options, pooled: 0, restarts: { burst: 2, perSecond: 0.001 } });
        await limited.start({ signal: never });
        const tenant = await limited.open(actorWorkload({ limits: { wallMs: 100 } }), { signal: never });
        const spin = () => call(tenant, '/spin').then(({ outcome }) => outcome.limit);
        expect([await spin(), await spin()]).toEqual(['wall', 'wall']);
        expect(await codeOf(spin())).toBe('TENANT_RESTARTING');
        await limited.stop();
      });

      test('reaches nothing inside, by address or name, whatever the manifest says', async () => {
        const hits: string[] = [];
        const listener = createServer((request, response) => {
          hits.push(request.url ?? '');
          response.end('inside');
        });
        await new Promise<void>((resolve) => listener.listen(0, '127.0.0.1', resolve));
        const { port } = listener.address() as AddressInfo;
        const targets = [
          ...innerAddresses,
          `http://127.0.0.1:${port}/`,
          `http://localhost:${port}/`,
          `http://[::1]:${port}/`,
        ];
        const outboundHosts = targets.map((target) => `http://${new URL(target).host}`);
        const source = handler('return fetch(new URL(request.url).searchParams.get("url"));');
        await withTenant(source, { outboundHosts }, async (tenant) => {
          for (const target of targets) {
            const { status, outcome } = await call(tenant, `/?url=${encodeURIComponent(target)}`);
            expect({ target, status }).toEqual({ target, status: 500 });
            expect(['refused', 'app-error']).toContain(outcome.status);
            // A name may not resolve at all on this machine; an address always gets as far as the check.
            if (/^http:\/\/[[0-9]/.test(target))
              expect({ target, outcome: outcome.status }).toEqual({ target, outcome: 'refused' });
          }
        });
        expect(hits).toEqual([]);
        listener.close();
      });

      test('finds no way to the sockets of this driver', async () => {
        const tenant = await driver.open(actorWorkload(), { signal: never });
        const sockets = readdirSync(runDir).map((name) => join(runDir, name));
        const urls = [
          ...sockets.map((path) => `http://unix:${path}:/`),
          'http://unix:/run/control.sock:/ping',
          'unix:///run/data.sock',
          'file:///etc/passwd',
          'http://control.invalid/ping',
          'http://loader/',
        ];
        for (const url of urls) {
          const { outcome } = await call(tenant, `/fetch?url=${encodeURIComponent(url)}`);
          expect({ url, status: outcome.status }).not.toEqual({ url, status: 'ok' });
        }
        await tenant.close();
      });
    });
  },
  { short: 'bubblewrap with cgroups' },
);

/** Others of the tree may have ended with the one killed before. */
function killIfThere(pid: number, signal: NodeJS.Signals): void {
  try {
    process.kill(pid, signal);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error;
  }
}
