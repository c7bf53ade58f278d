import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { createModelDriver, type ModelDriver, type Tenant, type Workload } from '../src/index.ts';
import { processTree } from '../src/process/procFs.ts';
import { bytesRead } from './bytesRead.ts';
import { call, never, type WorkloadOverrides } from './calls.ts';
import { functionWorkload } from './functionWorkload.ts';
import { behindWalls } from './jails.ts';
import { Witness } from './witness.ts';

/** Code that has broken out of its runtime, in a process of a real driver, with the driver at the other end of its sockets. */
const directory = fileURLToPath(new URL('modelEngines', import.meta.url));
const isRoot = process.getuid?.() === 0;
const isLong = process.env.CLOISTER_LONG === '1';
const MiB = 1024 * 1024;
const workload = (overrides: WorkloadOverrides = {}): Workload =>
  functionWorkload('', {
    kind: 'model',
    model: {
      engine: 'llama-cpp',
      name: 'attacker',
      weightsFile: fileURLToPath(import.meta.url),
      contextTokens: 1,
      maxTokens: 1,
    },
    ...overrides,
    limits: { wallMs: 5000, memoryBytes: 64 * MiB, ...overrides.limits },
  });

behindWalls(
  ({ jail, cgroups }) => {
    const runDir = mkdtempSync(join(tmpdir(), 'cloister-broken-'));
    let driver: ModelDriver;
    let witness: Witness;
    beforeAll(async () => {
      const unsafeEngine = { directory, module: 'attacker.ts' };
      driver = createModelDriver({
        enginesDir: '/nonexistent',
        jail,
        cgroups,
        runDir,
        unsafeEngine,
        restarts: { burst: 100, perSecond: 10 },
      });
      await driver.start({ signal: never });
      witness = await Witness.open(driver, workload(), true);
    });
    afterAll(async () => {
      await driver.stop();
      rmSync(runDir, { recursive: true, force: true });
    });

    const attack = async (overrides: WorkloadOverrides, use: (tenant: Tenant) => Promise<void>): Promise<void> => {
      const tenant = await driver.open(workload(overrides), { signal: never });
      await use(tenant).finally(() => tenant.close());
      await witness.isWell();
    };

    describe('a process that has been taken over', () => {
      test('takes no room on a disk, changes nothing, and keeps its sockets as they are', async ({ skip }) => {
        skip(!isRoot, 'only a user of its own can be kept from its directory');
        await attack({}, async (tenant) => {
          for (const folder of ['/run', '/', '/host', '/engines']) {
            const { body } = await call(tenant, `/files?in=${folder}`);
            const { socketGone, socketMoved, ...others } = JSON.parse(body.toString());
            for (const result of [others.directories, others.empty, others.links, others.hardLinks])
              expect({ folder, ...result }).toMatchObject({ folder, made: 0 });
            for (const result of [others.sparse, others.weights, others.opened, socketGone, socketMoved])
              expect({ folder, result }).not.toEqual({ folder, result: 'done' });
          }
          expect((await call(tenant, '/state')).outcome.status).toBe('ok');
        });
      });

      test('has so many descriptors and no more', async () => {
        await attack({}, async (tenant) => {
          const { opened, end } = JSON.parse((await call(tenant, '/descriptors')).body.toString());
          expect(end).toBe('EMFILE');
          expect(opened).toBeLessThan(512);
          expect((await call(tenant, '/state')).outcome.status).toBe('ok');
        });
      });

      test('forks until its limit, and takes all of them with it', async ({ skip }) => {
        skip(!cgroups && !isRoot, 'without either, nothing counts processes');
        const before = processTree(process.pid).length;
        await attack({ limits: { memoryBytes: 1024 * MiB } }, async (tenant) => {
          const { body, outcome } = await call(tenant, '/forks');
          if (outcome.status === 'ok') {
            const { started, refused } = JSON.parse(body.toString());
            expect(started).toBeGreaterThan(1);
            expect(started).toBeLessThan(64);
            expect(started + refused).toBe(300);
          } else expect(['limit', 'app-error']).toContain(outcome.status);
        });
        await expect.poll(() => processTree(process.pid).length, { timeout: 5000 }).toBeLessThanOrEqual(before + 2);
      });

      test('that fills memory is ended by its limit', async () => {
        await attack({}, async (tenant) => {
          expect((await call(tenant, '/memory')).outcome).toMatchObject({ status: 'limit', limit: 'memory' });
        });
      });

      test.each(
        [
          ['byte by byte', 'size=1'],
          ['in pieces without a line', 'size=60000'],
          ['line by line', 'size=1&end=%0A'],
          ['in empty lines', 'size=0&end=%0A'],
        ].slice(0, isLong ? undefined : 2),
      )('that floods its output %s is ended by its limit, and others go on meanwhile', async (_how, query) => {
        await attack({ limits: { wallMs: 1000 } }, async (tenant) => {
          await call(tenant, '/state');
          const [before, startMs] = [bytesRead(), performance.now()];
          const [{ outcome }] = await Promise.all([call(tenant, `/flood?${query}`), witness.isWell()]);
          const bytes = bytesRead() - before;
          const seconds = Math.ceil((performance.now() - startMs) / 1000) + 1;
          expect(outcome).toMatchObject({ status: 'limit', limit: 'wall' });
          expect(tenant.logs().length).toBeLessThanOrEqual(1000);
          // What this process reads of it is bounded for each second that has begun, and so is what it does with it; whoever
          // writes large pieces could have it read a hundred times as much. (Small ones are counted: runtimeOutput.test.ts.)
          expect(bytes).toBeGreaterThan(2000);
          expect(bytes).toBeLessThan(seconds * 2 * MiB + MiB);
        });
      });

      test('that gives up by a fault leaves no dump of its memory', async () => {
        const folders = (): string[] => [process.cwd(), '/', runDir].flatMap((folder) => readdirSync(folder));
        const before = folders();
        await attack({}, async (tenant) => {
          await call(tenant, '/state');
          for (const pid of processTree(process.pid).slice(1))
            if (nameOf(pid) === 'program') expect(limitsOf(pid)).toMatch(/Max core file size\s+1\s+1/);
          const { outcome } = await call(tenant, '/abort');
          expect(outcome).toMatchObject({
            status: 'app-error',
            message: expect.stringContaining('ended during the call'),
          });
          expect((await call(tenant, '/state')).body.toString()).toBe('1');
        });
        expect(folders().filter((name) => /^core(?:\.|$)/.test(name) && !before.includes(name))).toEqual([]);
      });

      test.each(['/exit', '/kill-all'])('that ends itself by %s is named, and the next call works', async (path) => {
        await attack({}, async (tenant) => {
          const { outcome } = await call(tenant, path);
          expect(outcome.status).toBe('app-error');
          expect((await call(tenant, '/state')).body.toString()).toBe('1');
        });
      });

      // As the first process of its namespace it can't be stopped, by itself least of all.
      test.skipIf(jail === 'namespaces')('that stops itself is ended by its limit', async () => {
        await attack({ limits: { wallMs: 400 } }, async (tenant) => {
          expect((await call(tenant, '/stop')).outcome).toMatchObject({ status: 'limit', limit: 'wall' });
          expect((await call(tenant, '/state')).outcome.status).toBe('ok');
        });
      });

      test('that answers with no HTTP is an app error, however it does it, and the next call works', async () => {
        await attack({ limits: { wallMs: 3000 } }, async (tenant) => {
          const whats = ['headers', 'header', 'continue', 'status', 'length', 'lengths', 'both', 'chunk', 'extension'];
          for (const what of [...whats, 'trailers', 'nothing']) {
            const { status } = (await call(tenant, `/raw?what=${what}`)).outcome;
            expect({ what, status }).toEqual({ what, status: 'app-error' });
            expect((await call(tenant, '/state')).outcome.status).toBe('ok');
            await witness.isWell();
          }
        });
      });

      test('that answers twice has its second answer taken for nobody', async () => {
        await attack({ limits: { wallMs: 1500 } }, async (tenant) => {
          const { body, outcome } = await call(tenant, '/raw?what=twice');
          expect(outcome.status).toBe('app-error');
          expect(body.toString()).toBe('x');
        });
      });

      test('that reports what nobody can read is believed nothing', async () => {
        await attack({ limits: { wallMs: 1500 } }, async (tenant) => {
          const { body, outcome } = await call(tenant, '/raw?what=report');
          expect(body.toString()).toBe('x');
          expect(['ok', 'app-error']).toContain(outcome.status);
        });
      });

      test('that drips a head for ever is ended by its limit', async () => {
        await attack({ limits: { wallMs: 500 } }, async (tenant) => {
          expect((await call(tenant, '/raw?what=drip')).outcome).toMatchObject({ status: 'limit', limit: 'wall' });
        });
      });

      test('that answers in pieces of one byte gets no further than others, and this process is not kept busy', async () => {
        await attack({ limits: { wallMs: 2000, outputBytes: 256 * 1024 } }, async (tenant) => {
          const before = bytesRead();
          const [{ outcome, body }] = await Promise.all([call(tenant, '/raw?what=pieces'), witness.isWell()]);
          expect(outcome).toMatchObject({ status: 'limit', limit: 'output' });
          expect(body.length).toBe(256 * 1024);
          // Six bytes for each of the answer, and a little more: it stops reading where the answer is as long as it may be.
          expect(bytesRead() - before).toBeLessThan(6 * 256 * 1024 + MiB);
        });
      });
    });
  },
  { short: 'namespaces without cgroups' },
);

function nameOf(pid: number): string {
  return readFileSync(`/proc/${pid}/comm`, 'utf8').trim();
}

function limitsOf(pid: number): string {
  return readFileSync(`/proc/${pid}/limits`, 'utf8');
}
