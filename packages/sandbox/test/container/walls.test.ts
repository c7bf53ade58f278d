import { spawn } from 'node:child_process';
import { mkdirSync, readdirSync, readFileSync, utimesSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest';
import { ContainerDriver, type ContainerService, type LoadedImage, type Tenant } from '../../src/index.ts';
import { call, never, type WorkloadOverrides } from '../calls.ts';
import { archive, containerWorkload, folder, options, removeFolder, sleepArchive, started } from './engine.ts';
import { hostileContainers } from './hostileContainers.ts';

const MiB = 1024 * 1024;
vi.setConfig({ testTimeout: 120_000, hookTimeout: 60_000 });

if (typeof started === 'string') test.skip(`containers: ${started}`, () => {});
else {
  const driver = started;
  afterAll(async () => {
    await driver.stop();
    await removeFolder();
  });
  describe('the walls of containers', () => {
    let image: LoadedImage;
    let tenant: Tenant;
    const open = (overrides: WorkloadOverrides = {}): Promise<Tenant> =>
      driver.open(containerWorkload(image, overrides), { signal: never });
    const service = (name: string, more: Partial<ContainerService> = {}): ContainerService => ({
      ...{ name, image, environment: {}, tmpfs: [] },
      ...more,
    });
    beforeAll(async () => {
      image = await driver.loadImage(archive, 'actor', never);
      tenant = await open();
    });

    /** What a piece of a function's body comes to inside. */
    async function inside(source: string, where = tenant): Promise<unknown> {
      const { body, outcome } = await call(where, `/run?what=${encodeURIComponent(source)}`);
      expect(outcome.status).toBe('ok');
      return JSON.parse(body.toString());
    }
    const reads = (path: string): string => `return modules.fs.readFileSync(${JSON.stringify(path)}, 'utf8')`;

    test('all stand, by their own word', () => {
      expect(Object.entries(driver.walls).filter(([, wall]) => !wall.present)).toEqual([]);
    });

    test('the kernel holds them: no capabilities, no new ones, a filter, a user that nobody else is', async () => {
      const status = String(await inside(reads('/proc/self/status')));
      const field = (name: string): string => new RegExp(`^${name}:\\s+(.*)$`, 'm').exec(status)?.[1] ?? '';
      for (const set of ['CapInh', 'CapPrm', 'CapEff', 'CapBnd', 'CapAmb']) expect(Number(`0x${field(set)}`)).toBe(0);
      expect([field('NoNewPrivs'), field('Seccomp')]).toEqual(['1', '2']);
      const ids = field('Uid').split('\t').map(Number);
      expect(ids.every((id) => id > 65_534 && id === ids[0])).toBe(true);
      expect(field('Groups').trim()).toMatch(/^(?:\d+)?$/);
      const other = await open();
      expect(await inside('return process.getuid()', other)).not.toBe(ids[0]);
      await other.close();
    });

    test('there is no network but its own', async () => {
      expect(await inside('return Object.keys(modules.os.networkInterfaces())')).toEqual(['lo']);
      const dial = (host: string, port: number): string => `return new Promise((resolve) => {
        const socket = modules.net.connect(${port}, ${JSON.stringify(host)});
        socket.on('connect', () => resolve('connected')).on('error', (error) => resolve(error.code));
      })`;
      const listener = createServer().listen(0);
      const { port } = listener.address() as { port: number };
      for (const [host, at] of [
        ['127.0.0.1', port],
        ['169.254.169.254', 80],
        ['10.88.0.1', 80],
        ['1.1.1.1', 443],
      ] as const)
        expect(['ECONNREFUSED', 'ENETUNREACH'], host).toContain(await inside(dial(host, at)));
      listener.close();
      expect(await inside(`return modules.dns.lookup('example.com')`)).toHaveProperty('error');
    });

    test('nothing can be written but folders in memory, which have an end', async () => {
      for (const path of ['/x', '/bin/x', '/etc/x', '/proc/sys/kernel/hostname', '/sys/x', '/root/x'])
        expect(await inside(`modules.fs.writeFileSync(${JSON.stringify(path)}, 'x')`), path).toHaveProperty('error');
      expect(await inside(`modules.fs.writeFileSync('/tmp/x', 'x'); return modules.fs.readdirSync('/tmp')`)).toEqual([
        'x',
      ]);
      const app = await open({
        limits: { memoryBytes: 512 * MiB },
        container: { services: [service('web', { tmpfs: ['/own'] })], port: 8080 },
      });
      for (const path of ['/tmp', '/run', '/var/tmp', '/dev/shm', '/own']) {
        const fill = `const name = '${path}/y', file = modules.fs.openSync(name, 'w');
          let [mebibytes, end] = [0, 'never'];
          try { for (; mebibytes < 100; mebibytes += 1) modules.fs.writeSync(file, Buffer.alloc(1048576)); }
          catch (error) { end = error.code; }
          modules.fs.unlinkSync(name); modules.fs.closeSync(file);
          return { mebibytes, end };`;
        expect({ path, ...((await inside(fill, app)) as object) }).toEqual({ path, mebibytes: 64, end: 'ENOSPC' });
      }
      await app.close();
    });

    test('nothing of the machine is seen: its processes, its files, its devices', async () => {
      const pids = (await inside(
        `return modules.fs.readdirSync('/proc').filter((name) => /^\\d+$/.test(name))`,
      )) as string[];
      expect(pids).toEqual(['1']);
      expect(await inside(`return modules.fs.existsSync(${JSON.stringify(folder)})`)).toBe(false);
      const devices = (await inside(`return modules.fs.readdirSync('/dev')`)) as string[];
      expect(devices.filter((name) => /^(?:sd|vd|nvme|mem|kmem|kvm|loop|mapper)/.test(name))).toEqual([]);
      expect(await inside(reads('/etc/hosts'))).toBe('127.0.0.1 localhost\n::1 localhost\n127.0.0.1 web\n');
      expect(await inside(reads('/etc/resolv.conf'))).toBe('');
      expect(await inside(`process.kill(-1, 0); return 'signalled'`)).toHaveProperty('error');
    });

    test('services reach each other by name, and each has its folder, words and variables', async () => {
      const services = [
        service('store', {
          command: ['/actor.mjs', '7000'],
          environment: { ROLE: 'store', A: 'b=c' },
          tmpfs: ['/data'],
        }),
        service('web', { workingDir: '/bin', environment: { ROLE: 'web' } }),
      ];
      const app = await open({ env: { SECRET: 's' }, container: { services, port: 8080 } });
      expect(await inside(`return [process.cwd(), process.env.ROLE, process.env.SECRET]`, app)).toEqual([
        '/bin',
        'web',
        's',
      ]);
      const { body } = await call(app, `/fetch?url=${encodeURIComponent('http://store:7000/echo')}`);
      expect(JSON.parse(body.toString()).env).toEqual({ ROLE: 'store', A: 'b=c', SECRET: 's' });
      await app.close();
    });

    test("a socket of the worker's is where apps for dstack look for it", async () => {
      const path = join(folder, 'guest.sock');
      const guest = createServer((socket) => socket.end('guest')).listen(path);
      await new Promise((resolve) => guest.once('listening', resolve));
      const { chmodSync } = await import('node:fs');
      chmodSync(path, 0o666);
      const app = await open({ container: { services: [service('web')], port: 8080, guestSocket: path } });
      const ask = `return new Promise((resolve, reject) =>
        modules.net.connect('/var/run/dstack.sock').on('data', (bytes) => resolve(String(bytes))).on('error', reject))`;
      expect(await inside(ask, app)).toBe('guest');
      await app.close();
      guest.close();
    });

    test('the end of any container is the end of its app', async () => {
      const job = service('job', { command: ['/actor.mjs', '7000'] });
      const app = await open({ container: { services: [service('web'), job], port: 8080 } });
      // It may not listen yet.
      const dials = `for (;;) await fetch('http://job:7000/exit?n=0').catch(() => new Promise((again) => setTimeout(again, 20)))`;
      const { outcome } = await call(app, `/run?what=${encodeURIComponent(dials)}`);
      expect(outcome).toMatchObject({ status: 'app-error', message: "The app's process ended during the call (0)" });
      await app.close();
      const failing = await call(tenant, '/exit?n=3');
      expect(failing.outcome).toMatchObject({
        status: 'app-error',
        message: "The app's process ended during the call (3)",
      });
      expect((await call(tenant, '/echo')).outcome.status).toBe('ok');
    });

    test('what a killed worker leaves of containers, mounts and processes is gone at the next start', async () => {
      const [runDir, storageDir, temporary] = ['run', 'storage', 'tmp'].map((name) => join(folder, name)) as Paths;
      mkdirSync(temporary);
      vi.stubEnv('TMPDIR', temporary);
      const script = join(import.meta.dirname, 'orphanWorker.ts');
      const child = spawn(process.execPath, [script, runDir, storageDir, await sleepArchive()], {
        stdio: ['ignore', 'pipe', 'inherit'],
      });
      const pids = JSON.parse(String(await new Promise((resolve) => child.stdout.once('data', resolve)))) as number[];
      const killed = new Promise((resolve) => child.once('exit', resolve));
      child.kill('SIGKILL');
      await killed;
      const [abandoned = ''] = readdirSync(temporary).filter((name) => name.startsWith('cloister-engine-'));
      const storages = [storageDir, join(temporary, abandoned)];
      const left = (): object[] => storages.map((storage, index) => ({ ...leftIn(storage), app: runs(pids[index]) }));
      // Each app and its relay, with a process of the engine beside each; a root and a folder of shared memory for each.
      for (const each of left()) expect(each).toMatchObject({ app: true, monitors: 2, mounts: 4 });
      // Nobody is to be taken for lost who has only just begun.
      utimesSync(join(temporary, abandoned), 0, 0);

      const next = [new ContainerDriver(options({ storageDir, runDir })), new ContainerDriver(options())];
      await Promise.all(next.map((each) => each.start({ signal: never })));
      await expect.poll(() => storages.map((_, index) => runs(pids[index]))).toEqual([false, false]);
      await Promise.all(next.map((each) => each.stop()));
      await expect.poll(left).toEqual(storages.map(() => ({ app: false, monitors: 0, mounts: 0 })));
      expect(readdirSync(temporary)).toEqual([]);
      expect(
        readdirSync(join(storageDir, 'root', 'overlay-containers')).filter((name) => /^[0-9a-f]{64}$/.test(name)),
      ).toEqual([]);
      vi.unstubAllEnvs();
    });

    test('an archive that lies never reaches the engine', async () => {
      const bytes = readFileSync(archive);
      // A byte of the program in its last layer.
      const at = bytes.indexOf('A program that does what');
      bytes[at] = 0x61;
      const lying = join(folder, 'lying.tar');
      writeFileSync(lying, bytes);
      await expect(driver.loadImage(lying, 'lying', never)).rejects.toMatchObject({ code: 'IMAGE_MISMATCH' });
    });
  });

  hostileContainers(driver, archive);
}

type Paths = [runDir: string, storageDir: string, temporary: string];

/** What the machine holds for an engine of this storage: processes beside its containers, and mounts. */
function leftIn(storage: string): { monitors: number; mounts: number } {
  const lines = readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .map((name) => readOr(`/proc/${name}/cmdline`));
  const mounts = readFileSync('/proc/self/mountinfo', 'utf8').split('\n');
  return {
    monitors: lines.filter((line) => line.includes('conmon') && line.includes(storage)).length,
    mounts: mounts.filter((line) => line.split(' ')[4]?.startsWith(storage)).length,
  };
}

function runs(pid = 0): boolean {
  return readOr(`/proc/${pid}/cgroup`).includes('libpod');
}

function readOr(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return '';
  }
}
