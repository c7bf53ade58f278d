import { spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { afterAll, describe, expect, test } from 'vitest';
import { ConfinedProcess } from '../src/process/confinedProcess.ts';
import { SeatPool } from '../src/process/seatPool.ts';
import { chooseJail } from '../src/walls/chooseJail.ts';
import { IdentityPool } from '../src/walls/identity.ts';
import { createLauncher } from '../src/walls/launcher.ts';
import { compileFilter } from '../src/walls/seccomp/compileFilter.ts';
import { filterProgram, filterRefused } from '../src/walls/seccomp/filterProgram.ts';
import { systemCallNumber } from '../src/walls/seccomp/systemCalls.ts';
import { findTools } from '../src/walls/tools.ts';
import { never } from './calls.ts';
import { systemCall } from './container/systemCall.ts';
import { behindWalls } from './jails.ts';

/** What programs of the machine itself ask of the kernel, which no runtime of a language lets anybody ask for. */
const scratchDir = mkdtempSync(join(tmpdir(), 'cloister-calls-'));
afterAll(() => rmSync(scratchDir, { recursive: true, force: true }));

const [notPermitted, noSuchCall, noSuchFamily] = [1, 38, 97] as const;
const [netlink, packet, alg, vsock] = [16, 17, 38, 40] as const;
const [stream, raw] = [1, 3] as const;
const call = (name: string, ...args: number[]): Buffer => systemCall(systemCallNumber(name), args);
/** Each with the error that the filter gives, where the kernel gives another, or none. */
const calls: Record<string, readonly [program: Buffer, error: number]> = {
  ...{ getpid: [call('getpid'), 0], unix: [call('socket', 1, stream), 0] },
  ...{ tcp: [call('socket', 2, stream), noSuchFamily], tcp6: [call('socket', 10, stream), noSuchFamily] },
  ...{ netlink: [call('socket', netlink, raw), noSuchFamily], packet: [call('socket', packet, raw), noSuchFamily] },
  ...{ alg: [call('socket', alg, 5), noSuchFamily], vsock: [call('socket', vsock, stream), noSuchFamily] },
  io_uring: [call('io_uring_setup', 1, 0), noSuchCall],
  userNamespace: [call('unshare', 0x1000_0000), notPermitted],
  clonedNamespace: [call('clone', 0x1000_0011), notPermitted],
  clone3: [call('clone3', 0, 0), noSuchCall],
  ...{ keyctl: [call('keyctl', 0, -3, 0), notPermitted], ptrace: [call('ptrace', 0), notPermitted] },
  ...{ shmget: [call('shmget', 0, 4096, 0o600), noSuchCall], memfd_secret: [call('memfd_secret', 0), noSuchCall] },
};
const programs = join(scratchDir, 'programs');
mkdirSync(programs);
for (const [name, [program]] of Object.entries(calls)) writeFileSync(join(programs, name), program, { mode: 0o755 });
const isKnown = process.arch === 'x64';

behindWalls(({ jail: choice }) => {
  describe.runIf(isKnown)('a program in a jail', () => {
    test('makes the system calls that it needs, and no others', async () => {
      const tools = findTools();
      const launcher = await createLauncher(tools, never);
      const plan = {
        ...{ executable: process.execPath, fileNames: ['script'], directories: { programs } },
        scratchDir: mkdtempSync(join(scratchDir, 'jail-')),
      };
      const probe = { args: ['--version'], expected: /^v\d/m };
      const jail = await chooseJail(choice, plan, probe, tools, launcher, never);
      expect(jail.walls.systemCalls).toEqual({ present: true, by: 'seccomp filter' });
      const script = join(scratchDir, 'script');
      writeFileSync(
        script,
        `const { spawnSync } = require('node:child_process');
          const ends = ${JSON.stringify(Object.keys(calls))}.map((name) => [name, spawnSync('/programs/' + name, { stdio: 'inherit' }).status]);
          require('node:fs').writeSync(1, JSON.stringify(Object.fromEntries(ends)));`,
      );
      const seats = new SeatPool(launcher, undefined);
      const confined = await ConfinedProcess.start(
        { jail, tools, seats, identities: new IdentityPool() },
        {
          directory: join(plan.scratchDir, 'one'),
          files: { script },
          args: (inside) => ['--jitless', inside.file('script')],
          limits: { memoryBytes: 2 ** 29, pids: 24, cpus: 1, openFiles: 64 },
        },
      );
      const deadline = setTimeout(() => confined.kill(), 15_000);
      const [output, errors] = await Promise.all([text(confined.stdout), text(confined.stderr)]);
      clearTimeout(deadline);
      await confined.exited;
      await seats.stop();
      const expected = Object.fromEntries(Object.entries(calls).map(([name, [, error]]) => [name, error]));
      expect(output === '' ? errors : JSON.parse(output)).toEqual(expected);
    });
  });
});

describe.runIf(isKnown)('the program that puts others under a filter', () => {
  const file = (name: string, filter: Buffer): string => {
    const at = join(scratchDir, name);
    writeFileSync(at, filterProgram(filter), { mode: 0o755 });
    return at;
  };
  const [read, ...needed] = ['read', 'execve', 'exit', 'getpid', 'uname'].map(systemCallNumber) as [number, number];
  const plan = { auditArchitecture: 0xc000_003e, others: new Map(), otherwise: { errno: 77 } };

  test('hands on arguments and environment, and what it started is filtered', () => {
    const filter = file('few', compileFilter({ ...plan, allowed: [read, ...needed] }));
    const end = (name: string): number | null => spawnSync(filter, [join(programs, name)], { env: {} }).status;
    expect(end('getpid')).toBe(0);
    expect(end('io_uring')).toBe(77);
    const all = Array.from({ length: 500 }, (_, number) => number);
    const open = file('open', compileFilter({ ...plan, allowed: all }));
    const script = 'console.log(JSON.stringify([process.argv.slice(1), process.env.GIVEN]))';
    const given = ['a b', '', '--c=ü'];
    const { stdout } = spawnSync(open, [process.execPath, '-e', script, '--', ...given], { env: { GIVEN: 'x y' } });
    expect(JSON.parse(stdout.toString())).toEqual([given, 'x y']);
  });

  test('ends by a number of its own where there is no command, no such program, or no filter that the kernel takes', () => {
    const filter = file('some', compileFilter({ ...plan, allowed: [read, ...needed] }));
    expect(spawnSync(filter, []).status).toBe(filterRefused);
    expect(spawnSync(filter, ['/nonexistent']).status).toBe(filterRefused);
    // A jump beyond the end.
    const broken = file('broken', Buffer.from('0500000001000000', 'hex'));
    expect(spawnSync(broken, [join(programs, 'getpid')]).status).toBe(filterRefused);
  });
});
