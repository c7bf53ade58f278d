import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type Tenant, WasmDriver } from '../src/index.ts';
import { processTree } from '../src/process/procFs.ts';
import { call, codeOf, never, type WorkloadOverrides } from './calls.ts';
import { behindWalls, driverOptions } from './jails.ts';
import { actorModule, wasmWorkload } from './wasm/actor.ts';
import { moduleOf, section } from './wasm/binary.ts';
import { command, data, reactor } from './wasm/snippets.ts';
import { wat } from './wasm/wat.ts';
import { Witness } from './witness.ts';

const MiB = 1024 * 1024;
const post = (body: string) => ({ method: 'POST', body: new TextEncoder().encode(body) });

behindWalls(
  (set) => {
    let driver: WasmDriver;
    let witness: Witness;
    beforeAll(async () => {
      driver = new WasmDriver(driverOptions(set));
      await driver.start({ signal: never });
      witness = await Witness.open(driver, actorModule(), false);
    });
    afterAll(() => driver.stop());
    const withModule = async (
      code: Uint8Array,
      overrides: WorkloadOverrides,
      use: (tenant: Tenant) => Promise<void>,
    ) => {
      const limits = { memoryBytes: 64 * MiB, wallMs: 10_000, ...overrides.limits };
      const tenant = await driver.open(wasmWorkload(code, { ...overrides, limits }), { signal: never });
      await use(tenant).finally(() => tenant.close());
      await witness.isWell();
    };
    const fuel = { limits: { fuel: 1_000_000 } };
    const deterministic = { ...fuel, deterministic: true };

    describe('hostile modules', () => {
      const loop = '(loop (br 0))';
      const grow = '(loop (if (i32.eq (memory.grow (i32.const 1)) (i32.const -1)) (then (unreachable))) (br 0))';
      const nest = '(func $nest (call $nest) (call $nest))';
      const flood = '(loop (call $write (i32.const 1) (i32.const 0) (i32.const 65536)) (br 0))';
      const start = `(func $first ${loop}) (start $first)`;
      const slow = { limits: { wallMs: 400 } };
      test.each([
        ['loops for ever', command(loop), slow, 'wall'],
        ['loops for ever, counted', command(loop), fuel, 'fuel'],
        ['loops before it begins', command('', start), slow, 'wall'],
        ['loops before it begins, counted', command('', start), fuel, 'fuel'],
        ['takes memory', command(grow), {}, 'memory'],
        ['asks for more memory than there is', command('', '', 1025), {}, 'memory'],
        [
          'asks for the whole address space at once',
          command('(drop (memory.grow (i32.const -1))) (unreachable)'),
          {},
          'memory',
        ],
        ['nests without end, and must do the same everywhere', command('(call $nest)', nest), deterministic, 'stack'],
        ['floods its answer', command(flood), {}, 'output'],
        [
          'fills memory again and again, counted',
          command('(loop (memory.fill (i32.const 0) (i32.const 1) (i32.const 131072)) (br 0))'),
          fuel,
          'fuel',
        ],
        [
          'asks the host again and again, counted',
          command('(loop (drop (call $clock_time_get (i32.const 0) (i64.const 0) (i32.const 64))) (br 0))'),
          fuel,
          'fuel',
        ],
      ] as const)('that %s is ended by its limit, each time', async (_name, code, overrides, limit) => {
        await withModule(code, overrides, async (tenant) => {
          for (const _attempt of [1, 2])
            expect((await call(tenant, '/')).outcome).toMatchObject({ status: 'limit', limit });
          // What a module meets by itself doesn't cost the process.
          const ended = tenant.logs().some(({ message }) => message.includes('the process was ended'));
          expect(ended).toBe(limit === 'wall' || limit === 'output');
        });
      });

      test.each([
        ['nests without end', command('(call $nest)', nest), /nested too deeply/],
        ['traps', command('unreachable'), /trapped: unreachable/],
        ['divides by zero', command('(drop (i32.div_u (i32.const 1) (i32.const 0)))'), /trapped: divide by zero/],
        [
          'reads beyond its memory',
          command('(drop (i32.load (i32.const -4)))'),
          /trapped: memory access out of bounds/,
        ],
        ['ends with a code', command('(call $proc_exit (i32.const -1))'), /ended with the code 4294967295/],
        ['has data beyond its memory', command('', data(2 * 65_536 - 2, 'abc')), /data segment/],
        [
          'imports what nobody offers',
          wat('(module (import "env" "system" (func)) (memory (export "memory") 1) (func (export "_start")))'),
          /imports "env" "system"/,
        ],
        [
          'imports with other parameters',
          wat(
            '(module (import "wasi_snapshot_preview1" "fd_write" (func (param i64))) (memory (export "memory") 1) (func (export "_start")))',
          ),
          /imports "fd_write" with other parameters/,
        ],
        ['exports no start', wat('(module (memory (export "memory") 1))'), /neither "_start" nor/],
        ['exports no memory', wat('(module (func (export "_start")))'), /does not export its memory/],
        [
          'has a start of the wrong type',
          wat('(module (memory (export "memory") 1) (func (export "_start") (param i32)))'),
          /not a function of the right type/,
        ],
        ['is nothing but a head', moduleOf(), /neither "_start" nor/],
        ['lies about the size of a section', moduleOf([1, 0xff, 0xff, 0xff, 0x7f, 0]), /WASM|ends in the middle/],
        ['has an unknown section', moduleOf(section(77, 0)), /section of kind 77/],
        [
          'writes a head that is none',
          command(`(call $write (i32.const 3) (i32.const 64) (i32.const 5))`, data(64, 'hello')),
          /lines "Name: value"/,
        ],
        [
          'writes a header of the worker',
          command(`(call $write (i32.const 3) (i32.const 64) (i32.const 15))`, data(64, 'cloister-app: 1')),
          /lines "Name: value"/,
        ],
        [
          'writes a head that is too long',
          command('(call $write (i32.const 3) (i32.const 64) (i32.const 20000))'),
          /longer than 16384/,
        ],
        [
          'writes its head after its answer',
          command(
            `(call $write (i32.const 1) (i32.const 64) (i32.const 1)) (call $write (i32.const 3) (i32.const 64) (i32.const 4))`,
            data(64, 'a: b'),
          ),
          /after the answer had begun/,
        ],
      ])('that %s is an app error, each time', async (_name, code, message) => {
        await withModule(code, {}, async (tenant) => {
          for (const _attempt of [1, 2]) {
            const { outcome } = await call(tenant, '/');
            expect(outcome).toMatchObject({ status: 'app-error', message: expect.stringMatching(message) });
          }
        });
      });

      test('addresses beyond the memory are an error of the call, not of the host', async () => {
        const odd = [
          '(call $fd_write (i32.const 1) (i32.const -8) (i32.const 1) (i32.const 8))',
          '(call $fd_write (i32.const 1) (i32.const 0) (i32.const -1) (i32.const 8))',
          '(call $fd_write (i32.const 1) (i32.const 32) (i32.const 1) (i32.const 8))',
          '(call $fd_write (i32.const 1) (i32.const 0) (i32.const 1) (i32.const 131070))',
          '(call $fd_read (i32.const 0) (i32.const 32) (i32.const 1) (i32.const 8))',
          '(call $environ_get (i32.const -1) (i32.const 0))',
          '(call $environ_sizes_get (i32.const 131070) (i32.const 0))',
          '(call $random_get (i32.const 0) (i32.const -1))',
          '(call $clock_time_get (i32.const 0) (i64.const 0) (i32.const 131070))',
          '(call $poll_oneoff (i32.const 131060) (i32.const 0) (i32.const 1) (i32.const 0))',
          '(call $args_get (i32.const 131072) (i32.const 131072))',
        ];
        const body = odd.map((each) => `(if (i32.ne ${each} (i32.const 21)) (then (unreachable)))`).join('\n');
        const vector = '(data (i32.const 32) "\\00\\00\\01\\00\\00\\00\\02\\00")';
        await withModule(command(body, vector), {}, async (tenant) => {
          expect((await call(tenant, '/')).outcome).toMatchObject({ status: 'ok' });
        });
      });

      test('there are no files, directories and sockets', async () => {
        const descriptors = [0, 1, 2, 3, 4, 5, 100].map(
          (
            fd,
          ) => `(if (i32.ne (call $fd_prestat_get (i32.const ${fd}) (i32.const 64)) (i32.const 8)) (then (unreachable)))
        (if (i32.eqz (call $path_open (i32.const ${fd}) (i32.const 0) (i32.const 64) (i32.const 11) (i32.const 0) (i64.const -1) (i64.const -1) (i32.const 0) (i32.const 128))) (then (unreachable)))
        (if (i32.eqz (call $sock_send (i32.const ${fd}) (i32.const 64) (i32.const 1) (i32.const 0) (i32.const 128))) (then (unreachable)))`,
        );
        const others = [4, 5, 100, -1].map(
          (fd) =>
            `(if (i32.ne (call $fd_write (i32.const ${fd}) (i32.const 64) (i32.const 0) (i32.const 128)) (i32.const 8)) (then (unreachable)))`,
        );
        await withModule(
          command([...descriptors, ...others].join('\n'), data(64, '/etc/passwd')),
          {},
          async (tenant) => {
            expect((await call(tenant, '/')).outcome).toMatchObject({ status: 'ok' });
          },
        );
      });

      test('the memory of ended calls does not add up', async () => {
        const touch =
          '(drop (memory.grow (i32.const 760))) (memory.fill (i32.const 0) (i32.const 7) (i32.const 49807360))';
        await withModule(command(touch), {}, async (tenant) => {
          for (let count = 0; count < 20; count += 1)
            expect({ count, outcome: (await call(tenant, '/')).outcome }).toMatchObject({ outcome: { status: 'ok' } });
        });
      });

      test('a process killed in the middle of a call is named, and the next call works', async () => {
        const tenant = await driver.open(actorModule({ tenant: `0x${'33'.repeat(32)}` }), { signal: never });
        const waiting = call(tenant, '/wait');
        await call(tenant, '/echo');
        for (const pid of processTree(process.pid).slice(1)) killIfThere(pid);
        expect((await waiting).outcome).toMatchObject({
          status: 'app-error',
          message: expect.stringContaining('ended during the call'),
        });
        expect((await call(tenant, '/echo')).outcome.status).toBe('ok');
        await tenant.close();
      });
    });

    describe('a command', () => {
      test('sets the head of its answer on descriptor 3', async () => {
        const head = 'Status: 404\nContent-Type: text/plain\r\nX-Mine:  a  b \n';
        const code = command(
          `(call $write (i32.const 3) (i32.const 64) (i32.const ${head.length})) (call $write (i32.const 1) (i32.const 64) (i32.const 6))`,
          data(64, head),
        );
        await withModule(code, {}, async (tenant) => {
          const { status, headers, body, outcome } = await call(tenant, '/');
          expect({ status, body: body.toString(), outcome: outcome.status }).toEqual({
            status: 404,
            body: 'Status',
            outcome: 'ok',
          });
          expect([...headers]).toEqual([
            ['content-type', 'text/plain'],
            ['x-mine', 'a  b'],
          ]);
        });
      });

      test.each([
        ['HEAD', ''],
        ['GET', 'Status: 204\n'],
        ['GET', 'Status: 304\n'],
      ])('has no body to %s %j, and yet an outcome', async (method, head) => {
        const code = command(
          `(call $write (i32.const 3) (i32.const 64) (i32.const ${head.length})) (call $write (i32.const 1) (i32.const 64) (i32.const 5))`,
          data(64, `${head}.....`),
        );
        await withModule(code, {}, async (tenant) => {
          for (const _attempt of [1, 2]) {
            const { body, outcome } = await call(tenant, '/', { method });
            expect({ length: body.length, status: outcome.status }).toEqual({ length: 0, status: 'ok' });
          }
        });
      });

      test('no caller can pass for another, nor set what libraries read', async () => {
        const tenant = await driver.open(actorModule({ env: { HTTP_MODE: 'mine' } }), { signal: never });
        const headers: [string, string][] = [
          ['Proxy', 'evil'],
          ['cloister_caller_app', 'forged'],
          ['Mode', 'theirs'],
          ['X-A', '1'],
          ['x-a', '2'],
        ];
        const seen = JSON.parse((await call(tenant, '/echo', { headers })).body.toString());
        expect(seen.headers).toEqual({ mode: 'mine', host: 'app.cloister.invalid', 'x-a': '1, 2' });
        await tenant.close();
      });

      test('leaves nothing behind: each call is an instance of its own', async () => {
        const count = `(i32.store8 (i32.const 64) (i32.add (i32.const 48) (i32.add (global.get $n) (i32.load (i32.const 80))))) (global.set $n (i32.const 1)) (i32.store (i32.const 80) (i32.const 1)) (call $write (i32.const 1) (i32.const 64) (i32.const 1))`;
        await withModule(command(count, '(global $n (mut i32) (i32.const 0))'), {}, async (tenant) => {
          for (let index = 0; index < 5; index += 1) expect((await call(tenant, '/')).body.toString()).toBe('0');
        });
      });

      test('that is counted says how much it used, the same each time and however it ends', async () => {
        const loop =
          '(local i32) (loop (br_if 0 (i32.lt_u (local.tee 0 (i32.add (local.get 0) (i32.const 1))) (i32.const 1000))))';
        await withModule(command(loop), fuel, async (tenant) => {
          // Seven instructions a round.
          for (const _attempt of [1, 2]) expect((await call(tenant, '/')).outcome.metering.fuel).toBe(7000);
        });
        await withModule(command(`${loop} unreachable`), fuel, async (tenant) => {
          expect((await call(tenant, '/')).outcome).toMatchObject({ status: 'app-error', metering: { fuel: 7001 } });
        });
        await withModule(command(loop), { limits: { fuel: 6999 } }, async (tenant) => {
          expect((await call(tenant, '/')).outcome).toMatchObject({
            status: 'limit',
            limit: 'fuel',
            metering: { fuel: 6999 },
          });
        });
        await withModule(command(loop), {}, async (tenant) => {
          expect((await call(tenant, '/')).outcome.metering.fuel).toBeUndefined();
        });
      });

      test('that is deterministic has no time and nothing random', async () => {
        const asks = `(i64.store (i32.const 64) (i64.const 7))
        (if (call $clock_time_get (i32.const 0) (i64.const 0) (i32.const 64)) (then (unreachable)))
        (if (i64.ne (i64.load (i32.const 64)) (i64.const 0)) (then (call $proc_exit (i32.const 2))))
        (if (i32.ne (call $random_get (i32.const 64) (i32.const 8)) (i32.const 52)) (then (call $proc_exit (i32.const 3))))`;
        await withModule(command(asks), deterministic, async (tenant) => {
          expect((await call(tenant, '/')).outcome).toMatchObject({ status: 'ok' });
        });
        await withModule(command(asks), {}, async (tenant) => {
          expect((await call(tenant, '/')).outcome).toMatchObject({ message: 'The module ended with the code 2' });
        });
      });
    });

    describe('a reactor', () => {
      const answer =
        '(i64.or (i64.shl (i64.extend_i32_u (local.get $head)) (i64.const 32)) (i64.extend_i32_u (i32.add (local.get $headSize) (local.get $bodySize))))';

      test('gets head and body, and answers with what it gives back', async () => {
        await withModule(reactor(answer), {}, async (tenant) => {
          const { body, outcome } = await call(tenant, '/a?b=c', { ...post('the body'), headers: [['X-One', '1']] });
          expect(outcome.status).toBe('ok');
          expect(body.toString()).toBe('POST /a?b=c\nhost: app.cloister.invalid\nx-one: 1the body');
        });
      });

      test('is initialized before it is called, and has the streams of a command', async () => {
        const code = reactor(
          `(call $write (i32.const 3) (i32.const 64) (i32.const 11)) (call $write (i32.const 1) (i32.const 80) (i32.const 5)) (i64.const 0x5000000003)`,
          `${data(64, 'Status: 201')} (func (export "_initialize") (i32.store (i32.const 80) (i32.const 0x64636261)) (i32.store8 (i32.const 84) (i32.const 33)))`,
        );
        await withModule(code, fuel, async (tenant) => {
          const { status, body, outcome } = await call(tenant, '/');
          expect({ status, body: body.toString() }).toEqual({ status: 201, body: 'abcd!abc' });
          expect(outcome.metering.fuel).toBeGreaterThan(100);
        });
      });

      test.each([
        ['an answer beyond its memory', reactor('(i64.const 0x7fffffff00000010)')],
        [
          'room that is not there',
          wat(
            '(module (memory (export "memory") 1) (func (export "cloister_allocate") (param i32) (result i32) (i32.const -1)) (func (export "cloister_handle") (param i32 i32 i32 i32) (result i64) (i64.const 0)))',
          ),
        ],
        [
          'no room at all',
          wat(
            '(module (memory (export "memory") 1) (func (export "cloister_handle") (param i32 i32 i32 i32) (result i64) (i64.const 0)))',
          ),
        ],
        [
          'two ways to be run',
          wat(
            '(module (memory (export "memory") 1) (func (export "_start")) (func (export "cloister_handle") (param i32 i32 i32 i32) (result i64) (i64.const 0)))',
          ),
        ],
        [
          'another handler',
          wat(
            '(module (memory (export "memory") 1) (func (export "cloister_handle") (param i32) (result i64) (i64.const 0)))',
          ),
        ],
      ])('that gives %s is an app error', async (_name, code) => {
        await withModule(code, {}, async (tenant) => {
          expect((await call(tenant, '/')).outcome.status).toBe('app-error');
        });
      });
    });

    test('a workload that asks for determinism without fuel is refused', async () => {
      expect(await codeOf(driver.open(wasmWorkload(command(''), { deterministic: true }), { signal: never }))).toBe(
        'INVALID_WORKLOAD',
      );
      expect(await codeOf(driver.open(wasmWorkload(command(''), { kind: 'function' }), { signal: never }))).toBe(
        'INVALID_WORKLOAD',
      );
    });
  },
  { short: 'bubblewrap with cgroups' },
);

/** Others of the tree may have ended with the one killed before. */
function killIfThere(pid: number): void {
  try {
    process.kill(pid, 'SIGKILL');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error;
  }
}
