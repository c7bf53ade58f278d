import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { type Outcome, type SandboxDriver, SandboxError, type Tenant, type Workload } from '../src/index.ts';
import { type Answer, type CallOptions, call, codeOf, never, type WorkloadOverrides } from './calls.ts';
import { Witness } from './witness.ts';

/**
 * What a driver brings to the suite: itself, and a workload of its kind that does what the request's path says.
 * `/echo` answers with JSON {method, path, headers, env, bodyLength}; `/bytes?n=` with n bytes in small pieces; `/fail` fails
 * before it answers; `/break` after it has begun; `/spin` never lets go of the processor; `/wait` never answers, but lets
 * others run; `/print?n=` prints n lines; `/memory` takes memory without end; `/state` counts the calls of its process;
 * `/fetch?url=` answers with what is there; `/fetch-caught?url=` answers 200 even if nothing can be had.
 */
export type ComplianceSubject = {
  readonly name: string;
  readonly create: () => SandboxDriver;
  /** One that has been started, where that takes long. Default: one that is created. */
  readonly started?: SandboxDriver;
  readonly workload: (overrides?: WorkloadOverrides) => Workload;
  /** What the outcome of `/fail` says. */
  readonly failure: string;
  /** Whether calls of one process see what an earlier one left; else `/state` is "1" for each. */
  readonly keepsState: boolean;
  /** Whether the code can reach hosts at all. */
  readonly reachesHosts: boolean;
};

const MiB = 1024 * 1024;

/** What every driver must do, whatever it runs. */
export function sandboxCompliance(subject: ComplianceSubject): void {
  describe(`${subject.name}: compliance`, () => {
    const secret = 'the-value-of-a-secret';
    const env = { GREETING: 'Grüß Gott', KEY: secret };
    let driver: SandboxDriver;
    let witness: Witness;
    /** What callers and owners were told: outcomes, and errors. */
    const told: unknown[] = [];
    const opened: Tenant[] = [];
    const open = async (overrides: WorkloadOverrides = {}): Promise<Tenant> => {
      const tenant = await driver.open(subject.workload({ env, ...overrides }), { signal: never });
      opened.push(tenant);
      return tenant;
    };
    /** A tenant that several tests use: to start one is most of what a test costs. Where one ends it, the next call starts it again. */
    const shared = (overrides: WorkloadOverrides): (() => Promise<Tenant>) => {
      let tenant: Promise<Tenant> | undefined;
      return () => {
        tenant ??= open(overrides);
        return tenant;
      };
    };
    const roomy = shared({
      limits: { wallMs: 30_000, outputBytes: 10_000_000, maxConcurrent: 32 },
      ...(subject.reachesHosts ? { outboundHosts: ['api.example.com'] } : {}),
    });
    const hasty = shared({ limits: { wallMs: 1500, outputBytes: 100_000_000, maxConcurrent: 2 } });
    const single = shared({ limits: { wallMs: 3000, outputBytes: 100_000_000, maxConcurrent: 1 } });
    const small = shared({ limits: { wallMs: 15_000, memoryBytes: 64 * MiB, outputBytes: 100_000 } });

    const ask = async (tenant: Tenant, path: string, options: CallOptions = {}): Promise<Answer> => {
      const answer = await call(tenant, path, options);
      told.push(answer.outcome);
      return answer;
    };
    const calls = async (tenant: Tenant): Promise<number> => Number((await ask(tenant, '/state')).body.toString());

    beforeAll(async () => {
      const created = subject.create();
      expect(await codeOf(created.open(subject.workload(), { signal: never }))).toBe('NOT_STARTED');
      expect(() => created.walls).toThrow(SandboxError);
      expect(await codeOf(created.start({ signal: AbortSignal.abort() }))).toBe('ABORTED');
      driver = subject.started ?? created;
      await driver.start({ signal: never });
      witness = await Witness.open(driver, subject.workload(), subject.keepsState);
    });
    afterAll(() => driver.stop());

    describe('in use', () => {
      // Whatever a test does to its tenant, a neighbour keeps what it has.
      afterEach(() => witness.isWell());

      test('hands the request over whole, and the environment', async () => {
        const { status, body, outcome } = await ask(await roomy(), '/echo?a=1&b=%20', {
          method: 'POST',
          headers: [
            ['X-One', '1'],
            ['x-two', 'b'],
            ['Host', 'app.example:8080'],
          ],
          body: new Uint8Array(70_000),
        });
        const seen = JSON.parse(body.toString());
        expect(status).toBe(200);
        expect(outcome.status).toBe('ok');
        expect(seen).toMatchObject({ method: 'POST', path: '/echo?a=1&b=%20', bodyLength: 70_000 });
        expect(seen.env).toEqual(env);
        expect(seen.headers).toMatchObject({ 'x-one': '1', 'x-two': 'b', host: 'app.example:8080' });
      });

      test('streams an answer and meters it', async () => {
        const { body, outcome } = await ask(await roomy(), '/bytes?n=3000000');
        expect(body.length).toBe(3_000_000);
        expect(outcome).toMatchObject({ status: 'ok', refusedHosts: [] });
        expect(outcome.metering.outputBytes).toBe(3_000_000);
        expect(outcome.metering.cpuMs).toBeGreaterThan(0);
        expect(outcome.metering.wallMs).toBeGreaterThan(0);
        expect(outcome.metering.peakMemoryBytes).toBeGreaterThan(1_000_000);
      });

      test('an answer comes while it is being made, and a large request whole', async () => {
        const tenant = await roomy();
        const request = { method: 'GET', path: '/bytes?n=5000000', headers: [], body: new Uint8Array() };
        const { body, finished } = await tenant.invoke(request, { signal: never });
        let ended = false;
        void finished.then(() => {
          ended = true;
        });
        let length = 0;
        for await (const chunk of body) {
          if (length === 0) expect(ended).toBe(false);
          length += chunk.length;
        }
        expect(length).toBe(5_000_000);
        const large = new Uint8Array(8 * MiB).fill(7);
        const echoed = await ask(tenant, '/echo', { method: 'POST', body: large });
        expect(JSON.parse(echoed.body.toString())).toMatchObject({ bodyLength: large.length });
      });

      test('an exception is an app error, metered as any call, and the next call works', async () => {
        const tenant = await roomy();
        const failed = await ask(tenant, '/fail');
        expect(failed).toMatchObject({ status: 500, outcome: { status: 'app-error', message: subject.failure } });
        expect(failed.body.length).toBe(0);
        isMetered(failed.outcome);
        expect((await ask(tenant, '/echo')).outcome.status).toBe('ok');
      });

      test('an answer that breaks off is an app error', async () => {
        const tenant = await roomy();
        expect((await ask(tenant, '/break')).outcome.status).toBe('app-error');
        expect((await ask(tenant, '/echo')).outcome.status).toBe('ok');
      });

      test('keeps what the tenant prints to itself, and bounded', async () => {
        const tenant = await roomy();
        const before = tenant.logs().length;
        expect((await ask(tenant, '/print?n=3')).outcome.status).toBe('ok');
        await expect
          .poll(() =>
            tenant
              .logs()
              .slice(before)
              .map((line) => line.message),
          )
          .toEqual(['line 0', 'line 1', 'line 2']);
        await ask(tenant, '/print?n=3000');
        await expect.poll(() => tenant.logs().at(-1)?.message, { timeout: 10_000 }).toBe('line 2999');
        expect(tenant.logs().length).toBeLessThanOrEqual(1000);
      });

      test('many calls at once all get their own answer', async () => {
        const tenant = await roomy();
        const sizes = Array.from({ length: 32 }, (_, index) => 1000 + index);
        const answers = await Promise.all(sizes.map((size) => ask(tenant, `/bytes?n=${size}`)));
        expect(answers.map(({ body }) => body.length)).toEqual(sizes);
      });

      test.each(['/spin', '/wait'])('%s passes the wall-clock limit, and the next call works', async (path) => {
        const tenant = await hasty();
        const { outcome } = await ask(tenant, path);
        expect(outcome).toMatchObject({ status: 'limit', limit: 'wall' });
        isMetered(outcome);
        expect((await ask(tenant, '/echo')).outcome.status).toBe('ok');
        expect(tenant.logs().some((line) => line.level === 'system')).toBe(true);
      });

      test('a caller that never reads holds nobody up', async () => {
        const tenant = await hasty();
        const [known, before] = [tenant.logs().length, await calls(tenant)];
        const request = { method: 'GET', headers: [], body: new Uint8Array() };
        const short = await tenant.invoke({ ...request, path: '/bytes?n=1000' }, { signal: never });
        expect((await short.finished).status).toBe('ok');
        const long = await tenant.invoke({ ...request, path: '/bytes?n=5000000' }, { signal: never });
        expect(await long.finished).toMatchObject({ status: 'limit', limit: 'wall' });
        // The same process as before: it has not been ended for its caller's slowness.
        expect(await calls(tenant)).toBe(subject.keepsState ? before + 1 : 1);
        const ends = tenant.logs().slice(known);
        expect(ends.filter(({ message }) => message.includes('the process was ended'))).toEqual([]);
      });

      test('one call more than allowed is refused by name', async () => {
        const tenant = await hasty();
        // A place that another test's call had comes free when the code has let go of it.
        const both = () => codeOf(Promise.all([ask(tenant, '/echo'), ask(tenant, '/echo')]));
        await expect.poll(both, { timeout: 10_000 }).toBe('no error');
        const busy = [ask(tenant, '/wait'), ask(tenant, '/wait')];
        expect(await codeOf(ask(tenant, '/echo'))).toBe('TENANT_BUSY');
        const statuses = (await Promise.all(busy)).map(({ outcome }) => outcome.status);
        expect(statuses).toContain('limit');
        await expect.poll(() => codeOf(ask(tenant, '/echo')), { timeout: 10_000 }).toBe('no error');
      });

      test('passes the processor limit', async () => {
        const tenant = await open({ limits: { wallMs: 15_000, cpuMs: 200 } });
        const { outcome } = await ask(tenant, '/spin');
        expect(outcome).toMatchObject({ status: 'limit', limit: 'cpu' });
        expect(outcome.metering.cpuMs).toBeGreaterThanOrEqual(200);
        expect((await ask(tenant, '/echo')).outcome.status).toBe('ok');
      });

      test('passes the memory limit', async () => {
        const tenant = await small();
        expect((await ask(tenant, '/memory')).outcome).toMatchObject({ status: 'limit', limit: 'memory' });
        expect((await ask(tenant, '/echo')).outcome.status).toBe('ok');
      });

      test('passes the output limit, after exactly so many bytes', async () => {
        const tenant = await small();
        const { body, outcome } = await ask(tenant, '/bytes?n=1000000000');
        expect(outcome).toMatchObject({ status: 'limit', limit: 'output' });
        expect(outcome.metering.outputBytes).toBe(100_000);
        expect(body.length).toBe(100_000);
        expect((await ask(tenant, '/bytes?n=100000')).outcome.status).toBe('ok');
      });

      test('a caller that stops reading is told so, and the next call works', async () => {
        const tenant = await single();
        const { body, finished } = await tenant.invoke(
          { method: 'GET', path: '/bytes?n=50000000', headers: [], body: new Uint8Array() },
          { signal: never },
        );
        for await (const _chunk of body) break;
        expect(await codeOf(finished)).toBe('ABORTED');
        await expect.poll(() => codeOf(ask(tenant, '/echo')), { timeout: 10_000 }).toBe('no error');
      });

      test.each(['/wait', '/spin'])(
        'a caller that gives up during %s gets ABORTED, and the next call works',
        async (path) => {
          const tenant = await single();
          const abort = new AbortController();
          const invoked = ask(tenant, path, { signal: abort.signal });
          setTimeout(() => abort.abort(), 100);
          expect(await codeOf(invoked)).toBe('ABORTED');
          // The place comes free when the code has let go of it or has been ended.
          await expect.poll(() => codeOf(ask(tenant, '/echo')), { timeout: 10_000 }).toBe('no error');
          expect(await codeOf(ask(tenant, '/echo', { signal: AbortSignal.abort() }))).toBe('ABORTED');
        },
      );

      test('two tenants of one app share nothing, and one that is closed says so', async () => {
        const [one, other] = [await roomy(), await open()];
        const before = await calls(one);
        expect(await calls(one)).toBe(subject.keepsState ? before + 1 : 1);
        expect(await calls(other)).toBe(1);
        const waiting = codeOf(ask(other, '/wait'));
        // The call has to be under way, not merely begun.
        await ask(other, '/echo');
        await other.close();
        expect(await waiting).toBe('TENANT_CLOSED');
        expect(await codeOf(ask(other, '/echo'))).toBe('TENANT_CLOSED');
        await other.close();
      });

      if (!subject.reachesHosts) {
        test('refuses a workload that names hosts', async () => {
          expect(await codeOf(open({ outboundHosts: ['api.example.com'] }))).toBe('INVALID_WORKLOAD');
        });
      } else {
        test('refuses a host that the manifest does not name', async () => {
          const tenant = await roomy();
          const refused = await ask(tenant, `/fetch?url=${encodeURIComponent('https://other.example.com/')}`);
          expect(refused.status).toBe(500);
          expect(refused.outcome).toMatchObject({ status: 'refused', refusedHosts: ['other.example.com'] });
          const caught = await ask(tenant, `/fetch-caught?url=${encodeURIComponent('https://other.example.com/')}`);
          expect(caught.outcome).toMatchObject({ status: 'ok', refusedHosts: ['other.example.com'] });
          expect((await ask(tenant, '/echo')).outcome.refusedHosts).toEqual([]);
        });
      }

      test.each([
        [{ tenant: '0x12' as const }],
        [{ version: 'x' as '0x' }],
        [{ code: new Uint8Array([0xff, 0xfe]) }],
        [{ code: new Uint8Array(17 * 1024 * 1024) }],
        [{ env: { A: 'x'.repeat(2_000_000) } }],
        [{ outboundHosts: ['https://a.example/path'] }],
        [{ outboundHosts: ['*.example.com'] }],
        [{ limits: { memoryBytes: 0 } }],
        [{ limits: { memoryBytes: Number.NaN } }],
        [{ limits: { wallMs: 1e12 } }],
        [{ limits: { outputBytes: -1 } }],
        [{ limits: { maxConcurrent: 0.5 } }],
        [{ compatibilityDate: 'tomorrow' }],
      ] satisfies [WorkloadOverrides][])('refuses a workload that nobody can run: %#', async (overrides) => {
        expect(await codeOf(open(overrides))).toBe('INVALID_WORKLOAD');
      });

      test('refuses a request that HTTP cannot carry', async () => {
        const tenant = await roomy();
        const good = { method: 'GET', path: '/echo', headers: [], body: new Uint8Array() };
        const bad = [
          { ...good, path: 'echo' },
          { ...good, path: '/a b' },
          { ...good, path: '/a\r\nx: y' },
          { ...good, path: `/${'a'.repeat(10_000)}` },
          { ...good, method: 'GET /x HTTP/1.1\r\n' },
          { ...good, method: 'CONNECT' },
          { ...good, body: new Uint8Array(1) },
          { ...good, headers: [['a b', 'c'] as const] },
          { ...good, headers: [['a', 'b\r\nc: d'] as const] },
          { ...good, headers: [['host', 'a/b'] as const] },
          { ...good, headers: [['a', 'x'.repeat(40_000)] as const] },
        ];
        // More of them than calls that it may have at once: none of them takes a place.
        for (const request of [...bad, ...bad, ...bad]) {
          const refusal = tenant.invoke(request, { signal: never });
          expect(await codeOf(refusal)).toBe('INVALID_REQUEST');
          told.push(await refusal.catch((error: SandboxError) => [error.toJSON(), error.stack]));
        }
        expect((await ask(tenant, '/echo')).outcome.status).toBe('ok');
      });

      test('neighbours go on while one spins', async () => {
        const abort = new AbortController();
        const spin = codeOf(ask(await small(), '/spin', { signal: abort.signal }));
        for (let index = 0; index < 5; index += 1) await witness.isWell();
        abort.abort();
        expect(await spin).toBe('ABORTED');
      });

      test('what the environment holds is in no log, no outcome and no error', () => {
        const statuses = new Set(told.flatMap((each) => (isOutcome(each) ? [each.status] : [])));
        expect([...statuses].sort()).toEqual([
          'app-error',
          'limit',
          'ok',
          ...(subject.reachesHosts ? ['refused'] : []),
        ]);
        expect(told.filter((each) => !isOutcome(each)).length).toBeGreaterThan(10);
        expect(opened.filter((tenant) => tenant.logs().length > 0).length).toBeGreaterThan(2);
        expect(JSON.stringify([told, opened.map((tenant) => tenant.logs())])).not.toContain(secret);
      });
    });

    test('says when it is used after its end', async () => {
      const tenant = await roomy();
      const waiting = codeOf(ask(tenant, '/wait'));
      await ask(tenant, '/echo');
      await driver.stop();
      expect(await waiting).toBe('STOPPED');
      expect(await codeOf(ask(tenant, '/echo'))).toBe('STOPPED');
      expect(await codeOf(driver.open(subject.workload(), { signal: never }))).toBe('STOPPED');
      expect(() => driver.walls).toThrow(SandboxError);
      await driver.stop();
    });
  });
}

function isMetered({ metering }: Outcome): void {
  for (const value of [metering.wallMs, metering.cpuMs, metering.peakMemoryBytes]) expect(value).toBeGreaterThan(0);
}

function isOutcome(value: unknown): value is Outcome {
  return typeof value === 'object' && value !== null && 'metering' in value;
}
