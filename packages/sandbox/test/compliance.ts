import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import {
  type Invocation,
  type Outcome,
  type SandboxDriver,
  SandboxError,
  type SandboxErrorCode,
  type Tenant,
  type Workload,
  type WorkloadLimits,
} from '../src/index.ts';

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
  readonly workload: (overrides?: WorkloadOverrides) => Workload;
  /** What the outcome of `/fail` says. */
  readonly failure: string;
  /** Whether calls of one process see what an earlier one left; else `/state` is "1" for each. */
  readonly keepsState: boolean;
  /** Whether the code can reach hosts at all. */
  readonly reachesHosts: boolean;
};

export type WorkloadOverrides = Partial<Omit<Workload, 'limits'>> & { limits?: Partial<WorkloadLimits> };

export const never = new AbortController().signal;
const tenantId = (digit: string): `0x${string}` => `0x${digit.repeat(64)}`;

export type Answer = { status: number; headers: Map<string, string>; body: Buffer; outcome: Outcome };

/** One call, read to its end. */
export async function call(
  tenant: Tenant,
  path: string,
  {
    signal = never,
    ...request
  }: { signal?: AbortSignal; method?: string; headers?: [string, string][]; body?: Uint8Array } = {},
): Promise<Answer> {
  return readAnswer(
    await tenant.invoke({ method: 'GET', headers: [], body: new Uint8Array(), ...request, path }, { signal }),
  );
}

export async function readAnswer({ status, headers, body, finished }: Invocation): Promise<Answer> {
  const chunks: Uint8Array[] = [];
  for await (const chunk of body) chunks.push(chunk);
  return { status, headers: new Map(headers), body: Buffer.concat(chunks), outcome: await finished };
}

export async function codeOf(promise: Promise<unknown>): Promise<SandboxErrorCode | 'no error'> {
  try {
    await promise;
    return 'no error';
  } catch (error) {
    if (error instanceof SandboxError) return error.code;
    throw error;
  }
}

/** What every driver must do, whatever it runs. */
export function sandboxCompliance(subject: ComplianceSubject): void {
  describe(`${subject.name}: compliance`, () => {
    let driver: SandboxDriver;
    const tenants: Tenant[] = [];
    const open = async (overrides: WorkloadOverrides = {}): Promise<Tenant> => {
      const tenant = await driver.open(subject.workload(overrides), { signal: never });
      tenants.push(tenant);
      return tenant;
    };

    beforeAll(async () => {
      driver = subject.create();
      await driver.start({ signal: never });
    });
    afterEach(async () => {
      await Promise.all(tenants.splice(0).map((tenant) => tenant.close()));
    });
    afterAll(() => driver.stop());

    test('hands the request over whole, and the environment', async () => {
      const tenant = await open({ env: { GREETING: 'Grüß Gott' } });
      const { status, body, outcome } = await call(tenant, '/echo?a=1&b=%20', {
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
      expect(seen.env).toEqual({ GREETING: 'Grüß Gott' });
      expect(seen.headers).toMatchObject({ 'x-one': '1', 'x-two': 'b', host: 'app.example:8080' });
    });

    test('streams an answer and meters it', async () => {
      const { body, outcome } = await call(await open(), '/bytes?n=3000000');
      expect(body.length).toBe(3_000_000);
      expect(outcome).toMatchObject({ status: 'ok', refusedHosts: [] });
      expect(outcome.metering.outputBytes).toBe(3_000_000);
      expect(outcome.metering.cpuMs).toBeGreaterThan(0);
      expect(outcome.metering.wallMs).toBeGreaterThan(0);
      expect(outcome.metering.peakMemoryBytes).toBeGreaterThan(1_000_000);
    });

    test('an answer comes while it is being made, and a large request whole', async () => {
      const tenant = await open({ limits: { outputBytes: 10_000_000, wallMs: 30_000 } });
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
      const large = new Uint8Array(8 * 1024 * 1024).fill(7);
      const echoed = await call(tenant, '/echo', { method: 'POST', body: large });
      expect(JSON.parse(echoed.body.toString())).toMatchObject({ bodyLength: large.length });
    });

    test('what the environment holds is in no log, no outcome and no error', async () => {
      const secret = 'the-value-of-a-secret';
      const tenant = await open({ env: { KEY: secret }, limits: { wallMs: 1000, outputBytes: 1000 } });
      const outcomes: unknown[] = [];
      for (const path of ['/fail', '/break', '/wait', '/bytes?n=5000', '/nothing'])
        outcomes.push((await call(tenant, path)).outcome);
      await tenant
        .invoke({ method: 'GET /', path: '/', headers: [], body: new Uint8Array() }, { signal: never })
        .catch((error: SandboxError) => outcomes.push(error.toJSON(), error.stack));
      expect(outcomes).toHaveLength(7);
      expect(JSON.stringify([outcomes, tenant.logs()])).not.toContain(secret);
    });

    test('a call that failed is metered as one that did not', async () => {
      const tenant = await open({ limits: { wallMs: 300 } });
      for (const path of ['/fail', '/spin']) {
        const { status, metering } = (await call(tenant, path)).outcome;
        expect(status).not.toBe('ok');
        for (const value of [metering.wallMs, metering.cpuMs, metering.peakMemoryBytes])
          expect(value).toBeGreaterThan(0);
      }
    });

    test('an exception is an app error, and the next call works', async () => {
      const tenant = await open();
      const failed = await call(tenant, '/fail');
      expect(failed).toMatchObject({ status: 500, outcome: { status: 'app-error', message: subject.failure } });
      expect(failed.body.length).toBe(0);
      expect((await call(tenant, '/echo')).outcome.status).toBe('ok');
    });

    test('an answer that breaks off is an app error', async () => {
      const tenant = await open();
      expect((await call(tenant, '/break')).outcome.status).toBe('app-error');
      expect((await call(tenant, '/echo')).outcome.status).toBe('ok');
    });

    test.each(['/spin', '/wait'])('%s passes the wall-clock limit, and the next call works', async (path) => {
      const tenant = await open({ limits: { wallMs: 300 } });
      expect((await call(tenant, path)).outcome).toMatchObject({ status: 'limit', limit: 'wall' });
      expect((await call(tenant, '/echo')).outcome.status).toBe('ok');
      expect(tenant.logs().some((line) => line.level === 'system')).toBe(true);
    });

    test('passes the processor limit', async () => {
      const tenant = await open({ limits: { wallMs: 15_000, cpuMs: 200 } });
      const { outcome } = await call(tenant, '/spin');
      expect(outcome).toMatchObject({ status: 'limit', limit: 'cpu' });
      expect(outcome.metering.cpuMs).toBeGreaterThanOrEqual(200);
      expect((await call(tenant, '/echo')).outcome.status).toBe('ok');
    });

    test('passes the memory limit', async () => {
      const tenant = await open({ limits: { memoryBytes: 64 * 1024 * 1024 } });
      expect((await call(tenant, '/memory')).outcome).toMatchObject({ status: 'limit', limit: 'memory' });
      expect((await call(tenant, '/echo')).outcome.status).toBe('ok');
    });

    test('passes the output limit, after exactly so many bytes', async () => {
      const tenant = await open({ limits: { outputBytes: 100_000 } });
      const { body, outcome } = await call(tenant, '/bytes?n=1000000000');
      expect(outcome).toMatchObject({ status: 'limit', limit: 'output' });
      expect(outcome.metering.outputBytes).toBe(100_000);
      expect(body.length).toBe(100_000);
      expect((await call(tenant, '/bytes?n=100000')).outcome.status).toBe('ok');
    });

    test('keeps what the tenant prints to itself, and bounded', async () => {
      const tenant = await open();
      expect((await call(tenant, '/print?n=3')).outcome.status).toBe('ok');
      await expect.poll(() => tenant.logs().map((line) => line.message)).toEqual(['line 0', 'line 1', 'line 2']);
      await call(tenant, '/print?n=30000');
      await expect.poll(() => tenant.logs().at(-1)?.message, { timeout: 10_000 }).toBe('line 29999');
      expect(tenant.logs().length).toBeLessThanOrEqual(1000);
    });

    test('one call more than allowed is refused by name', async () => {
      const tenant = await open({ limits: { maxConcurrent: 2, wallMs: 1500 } });
      const busy = [call(tenant, '/wait'), call(tenant, '/wait')];
      expect(await codeOf(call(tenant, '/echo'))).toBe('TENANT_BUSY');
      const statuses = (await Promise.all(busy)).map(({ outcome }) => outcome.status);
      expect(statuses).toContain('limit');
      await expect.poll(() => codeOf(call(tenant, '/echo')), { timeout: 10_000 }).toBe('no error');
    });

    test('many calls at once all get their own answer', async () => {
      const tenant = await open({ limits: { maxConcurrent: 32 } });
      const sizes = Array.from({ length: 32 }, (_, index) => 1000 + index);
      const answers = await Promise.all(sizes.map((size) => call(tenant, `/bytes?n=${size}`)));
      expect(answers.map(({ body }) => body.length)).toEqual(sizes);
    });

    test.each(['/wait', '/spin'])(
      'a caller that gives up during %s gets ABORTED, and the next call works',
      async (path) => {
        const tenant = await open({ limits: { wallMs: 1000, maxConcurrent: 1 } });
        const abort = new AbortController();
        const invoked = call(tenant, path, { signal: abort.signal });
        setTimeout(() => abort.abort(), 100);
        expect(await codeOf(invoked)).toBe('ABORTED');
        // The place comes free when the code has let go of it or has been ended.
        await expect.poll(() => codeOf(call(tenant, '/echo')), { timeout: 10_000 }).toBe('no error');
        expect(await codeOf(call(tenant, '/echo', { signal: AbortSignal.abort() }))).toBe('ABORTED');
      },
    );

    test('a caller that stops reading is told so, and the next call works', async () => {
      const tenant = await open({ limits: { outputBytes: 100_000_000, maxConcurrent: 1 } });
      const { body, finished } = await tenant.invoke(
        { method: 'GET', path: '/bytes?n=50000000', headers: [], body: new Uint8Array() },
        { signal: never },
      );
      for await (const _chunk of body) break;
      expect(await codeOf(finished)).toBe('ABORTED');
      await expect.poll(() => codeOf(call(tenant, '/echo')), { timeout: 10_000 }).toBe('no error');
    });

    test('a caller that never reads holds nobody up', async () => {
      const tenant = await open({ limits: { outputBytes: 100_000_000, wallMs: 500, maxConcurrent: 2 } });
      await call(tenant, '/state');
      const request = { method: 'GET', headers: [], body: new Uint8Array() };
      const small = await tenant.invoke({ ...request, path: '/bytes?n=1000' }, { signal: never });
      expect((await small.finished).status).toBe('ok');
      const large = await tenant.invoke({ ...request, path: '/bytes?n=50000000' }, { signal: never });
      expect(await large.finished).toMatchObject({ status: 'limit', limit: 'wall' });
      // The same process as before: it has not been ended for its caller's slowness.
      expect((await call(tenant, '/state')).body.toString()).toBe(subject.keepsState ? '2' : '1');
      expect(tenant.logs().filter(({ message }) => message.includes('the process was ended'))).toEqual([]);
    });

    test('neighbours go on while one spins', async () => {
      const [spinning, neighbour] = [await open({ tenant: tenantId('a') }), await open({ tenant: tenantId('b') })];
      const abort = new AbortController();
      const spin = codeOf(call(spinning, '/spin', { signal: abort.signal }));
      for (let index = 0; index < 5; index += 1) expect((await call(neighbour, '/echo')).outcome.status).toBe('ok');
      abort.abort();
      expect(await spin).toBe('ABORTED');
    });

    test('neighbours keep what they have while one is ended by its limits', async () => {
      const neighbour = await open({ tenant: tenantId('b') });
      const bad = await open({
        tenant: tenantId('a'),
        limits: { memoryBytes: 64 * 1024 * 1024, wallMs: 2000, outputBytes: 10_000 },
      });
      let calls = 0;
      for (const path of ['/fail', '/break', '/memory', '/bytes?n=1000000', '/print?n=5000']) {
        await call(bad, path);
        calls += 1;
        const { body, outcome } = await call(neighbour, '/state');
        expect(outcome.status).toBe('ok');
        expect(body.toString()).toBe(subject.keepsState ? String(calls) : '1');
        expect(neighbour.logs()).toEqual([]);
      }
    });

    test('tenants share nothing, not even two of the same app', async () => {
      const [one, other] = [await open(), await open()];
      expect((await call(one, '/state')).body.toString()).toBe('1');
      expect((await call(one, '/state')).body.toString()).toBe(subject.keepsState ? '2' : '1');
      expect((await call(other, '/state')).body.toString()).toBe('1');
    });

    if (!subject.reachesHosts) {
      test('refuses a workload that names hosts', async () => {
        expect(await codeOf(open({ outboundHosts: ['api.example.com'] }))).toBe('INVALID_WORKLOAD');
      });
    } else {
      test('refuses a host that the manifest does not name', async () => {
        const tenant = await open({ outboundHosts: ['api.example.com'] });
        const refused = await call(tenant, `/fetch?url=${encodeURIComponent('https://other.example.com/')}`);
        expect(refused.status).toBe(500);
        expect(refused.outcome).toMatchObject({ status: 'refused', refusedHosts: ['other.example.com'] });
        const caught = await call(tenant, `/fetch-caught?url=${encodeURIComponent('https://other.example.com/')}`);
        expect(caught.outcome).toMatchObject({ status: 'ok', refusedHosts: ['other.example.com'] });
        expect((await call(tenant, '/echo')).outcome.refusedHosts).toEqual([]);
      });
    }

    test('a closed tenant says so', async () => {
      const tenant = await open();
      const waiting = codeOf(call(tenant, '/wait'));
      // The call has to be under way, not merely begun.
      await call(tenant, '/echo');
      await tenant.close();
      expect(await waiting).toBe('TENANT_CLOSED');
      expect(await codeOf(call(tenant, '/echo'))).toBe('TENANT_CLOSED');
      await tenant.close();
    });

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
      const tenant = await open();
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
      for (const request of bad)
        expect(await codeOf(tenant.invoke(request, { signal: never }))).toBe('INVALID_REQUEST');
      // None of them took a place.
      expect((await call(tenant, '/echo')).outcome.status).toBe('ok');
    });

    test('says when it is used before its start and after its end', async () => {
      const other = subject.create();
      expect(await codeOf(other.open(subject.workload(), { signal: never }))).toBe('NOT_STARTED');
      expect(() => other.walls).toThrow(SandboxError);
      expect(await codeOf(other.start({ signal: AbortSignal.abort() }))).toBe('ABORTED');
      await other.start({ signal: never });
      const tenant = await other.open(subject.workload(), { signal: never });
      const waiting = codeOf(call(tenant, '/wait'));
      await call(tenant, '/echo');
      await other.stop();
      expect(await waiting).toBe('STOPPED');
      expect(await codeOf(call(tenant, '/echo'))).toBe('STOPPED');
      expect(await codeOf(other.open(subject.workload(), { signal: never }))).toBe('STOPPED');
      await other.stop();
    });
  });
}
