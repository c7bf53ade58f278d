import { execFileSync } from 'node:child_process';
import { mkdtempSync, readdirSync, readFileSync, readlinkSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { CgroupParent } from '../src/cgroup/cgroup.ts';
import { findCgroups } from '../src/cgroup/findCgroups.ts';
import { ConfinedProcess, type Surroundings } from '../src/process/confinedProcess.ts';
import type { ProcessExit } from '../src/process/processExit.ts';
import { SeatPool } from '../src/process/seatPool.ts';
import { chooseJail } from '../src/walls/chooseJail.ts';
import { IdentityPool } from '../src/walls/identity.ts';
import { createLauncher } from '../src/walls/launcher.ts';
import { findTools } from '../src/walls/tools.ts';
import { never } from './calls.ts';
import { behindWalls } from './jails.ts';

/**
 * What code can do that has broken out of its runtime and runs as it likes in the jail: Node stands in for it, since it
 * can try everything that a program can.
 */
const MiB = 1024 * 1024;
/** What shells set of their own accord. */
const shellVariables = new Set(['PWD', 'OLDPWD', 'SHLVL', '_']);
const isRoot = process.getuid?.() === 0;

const attack = `
const fs = require('node:fs'), net = require('node:net'), os = require('node:os'), { spawnSync, spawn } = require('node:child_process');
const attempt = (f) => { try { return f(); } catch (error) { return error.code ?? error.message; } };
const reach = (options) => new Promise((resolve) => {
  const socket = net.connect(options, () => { socket.destroy(); resolve('reached'); });
  socket.on('error', (error) => resolve(error.code));
  setTimeout(() => resolve('timeout'), 2000).unref();
});
(async () => {
  const port = Number(process.argv[2]);
  const report = {
    uid: process.getuid(), gid: process.getgid(), groups: process.getgroups(),
    environment: Object.keys(process.env),
    root: attempt(() => fs.readdirSync('/')),
    passwd: attempt(() => fs.readFileSync('/etc/passwd', 'utf8')),
    proc: attempt(() => fs.readdirSync('/proc')),
    outside: attempt(() => fs.readFileSync(process.argv[3], 'utf8')),
    writes: ['/x', '/tmp/x', '/program', '/dev/x', '/lib/x', '/config'].map((path) => attempt(() => fs.writeFileSync(path, 'x') ?? 'written')),
    runFile: attempt(() => fs.writeFileSync('/run/x', 'x'.repeat(100)) ?? 'written'),
    loopback: await reach({ host: '127.0.0.1', port }),
    loopback6: await reach({ host: '::1', port }),
    metadata: await reach({ host: '169.254.169.254', port: 80 }),
    internet: await reach({ host: '1.1.1.1', port: 443 }),
    interfaces: attempt(() => Object.keys(os.networkInterfaces())),
    killParent: attempt(() => process.kill(process.ppid || 1, 'SIGKILL') && 'killed'),
    killOutside: attempt(() => process.kill(Number(process.argv[4]), 'SIGKILL') && 'killed'),
    setuid: attempt(() => process.setuid(0) ?? 'became root'),
    hostname: os.hostname(),
    priority: attempt(() => os.setPriority(0, -10) ?? 'raised'),
  };
  fs.writeSync(1, JSON.stringify(report));
})();
`;

const forkBomb = `
const { spawn } = require('node:child_process');
let started = 0, refused = 0;
for (let i = 0; i < 200; i += 1) {
  // There is no /dev/null to open in place of these streams.
  const child = spawn(process.execPath || '/program', ['-e', 'setTimeout(() => {}, 60000)'], { stdio: 'inherit' });
  child.on('error', () => { refused += 1; });
  if (child.pid) started += 1;
}
setTimeout(() => { require('node:fs').writeSync(1, JSON.stringify({ started, refused })); process.exit(); }, 500);
`;

const memoryBomb = 'const kept = []; for (;;) kept.push(Buffer.alloc(4 * 1024 * 1024, 1));';

behindWalls(
  ({ name, jail: choice, cgroups: withGroups }) => {
    describe('code that has broken out', () => {
      const scratchDir = mkdtempSync(join(tmpdir(), 'cloister-escape-'));
      let surroundings: Surroundings;
      let groups: CgroupParent | undefined;
      beforeAll(async () => {
        const tools = findTools();
        const launcher = await createLauncher(tools, never);
        const plan = { executable: process.execPath, fileNames: ['config'], scratchDir };
        const probe = { args: ['--version'], expected: /^v\d/m };
        const jail = await chooseJail(choice, plan, probe, tools, launcher, never);
        const cgroups = withGroups ? findCgroups() : undefined;
        surroundings = { jail, tools, seats: new SeatPool(launcher, cgroups), identities: new IdentityPool() };
        groups = cgroups;
      });
      afterAll(async () => {
        await surroundings.seats.stop();
        await groups?.remove();
        rmSync(scratchDir, { recursive: true, force: true });
      });

      let count = 0;
      const run = async (
        script: string,
        args: string[],
        memoryMiB = 512,
      ): Promise<{ output: string; exit: ProcessExit; process: ConfinedProcess }> => {
        const config = join(scratchDir, 'config.txt');
        writeFileSync(config, script);
        count += 1;
        const process = await ConfinedProcess.start(surroundings, {
          directory: join(scratchDir, `${name.replaceAll(' ', '-')}-${count}`),
          files: { config },
          args: (inside) => ['--jitless', inside.file('config'), ...args],
          limits: {
            memoryBytes: memoryMiB * MiB,
            pids: 24,
            cpus: 1,
            openFiles: 256,
            ...(withGroups ? {} : { dataBytes: memoryMiB * MiB }),
          },
        });
        process.stderr.resume();
        const deadline = setTimeout(() => process.kill(), 15_000);
        const [output, exit] = await Promise.all([text(process.stdout), process.exited]);
        clearTimeout(deadline);
        return { output, exit, process };
      };

      test('sees nothing, reaches nothing, changes nothing', async () => {
        const secret = join(scratchDir, 'secret');
        writeFileSync(secret, 'of the worker', { mode: 0o644 });
        const listener = createServer((_request, response) => response.end());
        await new Promise<void>((resolve) => listener.listen(0, resolve));
        const { port } = listener.address() as AddressInfo;
        const { output } = await run(attack, [`${port}`, secret, `${process.pid}`]);
        listener.close();
        const report = JSON.parse(output);

        if (isRoot) {
          expect(report.uid).toBeGreaterThan(100_000);
          expect(report.gid).toBe(report.uid);
        }
        expect(report.groups.filter((group: number) => group !== report.gid)).toEqual([]);
        expect(report.environment.filter((variable: string) => !shellVariables.has(variable))).toEqual([]);
        expect(report.root).not.toContain('etc');
        expect(report.root).not.toContain('home');
        expect(report.passwd).toBe('ENOENT');
        expect(report.proc).toBe('ENOENT');
        expect(report.outside).toBe('ENOENT');
        for (const result of report.writes) expect(result).not.toBe('written');
        expect(report.runFile).not.toBe('written');
        for (const result of [report.loopback, report.loopback6, report.metadata, report.internet])
          expect(result).toBe('EAFNOSUPPORT');
        expect(report.interfaces).toBe('ERR_SYSTEM_ERROR');
        expect(report.killOutside).toBe('ESRCH');
        expect(report.setuid).not.toBe('became root');
        expect(report.priority).not.toBe('raised');
      });

      test('has no capabilities, no new privileges, and namespaces of its own', async () => {
        const directory = join(scratchDir, `look-${name.replaceAll(' ', '-')}`);
        const config = join(scratchDir, 'config.txt');
        writeFileSync(config, 'public');
        const confined = await ConfinedProcess.start(surroundings, {
          directory,
          files: { config },
          args: () => ['-e', 'setTimeout(() => {}, 60000); require("node:fs").writeSync(1, "ready")'],
          limits: { memoryBytes: 512 * MiB, pids: 32, cpus: 1, openFiles: 64 },
        });
        await new Promise((resolve) => confined.stdout.once('data', resolve));
        const pid = confined.programPid ?? 0;
        const status = readFileSync(`/proc/${pid}/status`, 'utf8');
        for (const set of ['CapInh', 'CapPrm', 'CapEff', 'CapBnd', 'CapAmb'])
          expect(status).toMatch(new RegExp(`${set}:\\t0{16}\n`));
        expect(status).toMatch(/NoNewPrivs:\t1/);
        expect(status).toMatch(/Seccomp:\t2/);
        for (const kind of ['net', 'pid', 'mnt', 'ipc', 'uts'])
          expect(readlinkSync(`/proc/${pid}/ns/${kind}`)).not.toBe(readlinkSync(`/proc/self/ns/${kind}`));
        const limits = readFileSync(`/proc/${pid}/limits`, 'utf8');
        // Not 0, which lets a program of the system have the dump.
        expect(limits).toMatch(/Max core file size\s+1\s+1/);
        expect(limits).toMatch(/Max file size\s+0\s+0/);
        expect(limits).toMatch(/Max open files\s+64\s+64/);
        // Nothing of this process has come along but the three streams and descriptor 3, whatever this process holds open.
        const sockets = readdirSync(`/proc/${pid}/fd`)
          .filter((fd) => Number(fd) > 3)
          .map((fd) => readlinkSync(`/proc/${pid}/fd/${fd}`));
        expect(sockets.filter((target) => target.startsWith('/') && target !== '/dev/null')).toEqual([]);
        confined.kill();
        await confined.exited;
      });

      test('a fork bomb stops at its limit and dies whole', async ({ skip }) => {
        skip(!withGroups && !isRoot, 'without either, nothing counts processes');
        const { output, process: confined } = await run(forkBomb, [], 1024);
        // Node itself has some threads, and so has each of its children, which may say that it got none.
        const { started, refused } = JSON.parse(output.slice(output.lastIndexOf('{"started"')));
        expect(started).toBeGreaterThan(0);
        expect(started).toBeLessThan(24);
        expect(started + refused).toBe(200);
        await confined.exited;
        expect(survivors(scratchDir)).toEqual([]);
      });

      test('a memory bomb is ended by the kernel', async () => {
        const { exit } = await run(memoryBomb, [], 512);
        expect(exit.signal === null && exit.code === 0).toBe(false);
        if (withGroups) expect(exit.outOfMemory).toBe(true);
      });
    });
  },
  { all: true },
);

/** Processes that still run a program of the jail below `directory`. */
function survivors(directory: string): string[] {
  return execFileSync('ps', ['-eo', 'pid,stat,args'], { encoding: 'utf8' })
    .split('\n')
    .filter((line) => line.includes(directory) && !line.includes('ps -eo'));
}
