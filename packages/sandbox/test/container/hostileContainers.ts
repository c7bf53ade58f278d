import { readdirSync, readFileSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterEach, beforeAll, describe, expect, test } from 'vitest';
import type { ContainerDriver, LoadedImage, Tenant } from '../../src/index.ts';
import { bytesRead } from '../bytesRead.ts';
import { type Answer, call, never, type WorkloadOverrides } from '../calls.ts';
import { innerAddresses } from '../hostileFunctions.ts';
import { Witness } from '../witness.ts';
import { containerWorkload } from './engine.ts';
import { rawAnswers, rawServer } from './rawServer.ts';
import { systemCall } from './systemCall.ts';

const MiB = 1024 * 1024;
const isLong = process.env.CLOISTER_LONG === '1';

/**
 * What an app's own program tries from inside of a container that runs, beside an app that must not notice: after each test
 * it goes on in the same process, and its files are as they were. One container for as many attacks as leave it running.
 */
export function hostileContainers(driver: ContainerDriver, archive: string): void {
  // Then files of the kernel's that can be written are gVisor's own, and nothing of the machine follows them.
  const ownKernel = driver.engine.runtime === 'runsc';
  describe('hostile containers', () => {
    let image: LoadedImage;
    let witness: Witness;
    let neighbour: Tenant;
    let attacker: Tenant;
    const open = (overrides: WorkloadOverrides = {}): Promise<Tenant> => {
      const limits = {
        memoryBytes: 128 * MiB,
        wallMs: ownKernel ? 30_000 : 10_000,
        outputBytes: MiB,
        ...overrides.limits,
      };
      return driver.open(containerWorkload(image, { ...overrides, limits }), { signal: never });
    };
    const tell = (tenant: Tenant, source: string): Promise<Answer> =>
      call(tenant, '/run', { method: 'POST', body: Buffer.from(source) });
    /** What a piece of a function's body comes to. */
    const inside = async (tenant: Tenant, source: string): Promise<unknown> => {
      const { body, outcome } = await tell(tenant, source);
      expect(outcome).toMatchObject({ status: 'ok' });
      return JSON.parse(body.toString());
    };
    const mark = 'written by the neighbour';
    const look = `return ['/tmp', '/run', '/dev/shm'].map((folder) => [modules.fs.readdirSync(folder), modules.fs.readFileSync(folder + '/mark', 'utf8')])`;

    beforeAll(async () => {
      image = await driver.loadImage(archive, 'actor', never);
      witness = await Witness.open(driver, containerWorkload(image), true);
      neighbour = await open({ tenant: `0x${'66'.repeat(32)}` });
      await inside(
        neighbour,
        `for (const folder of ['/tmp', '/run', '/dev/shm']) modules.fs.writeFileSync(folder + '/mark', ${JSON.stringify(mark)})`,
      );
      attacker = await open({ outboundHosts: innerAddresses.map((url) => `http://${new URL(url).host}`) });
    });
    afterEach(async () => {
      await witness.isWell();
      expect(await inside(neighbour, look)).toEqual(Array.from({ length: 3 }, () => [['mark'], mark]));
    });

    test('what the kernel shows of itself can be neither changed nor read where it is of the machine', async () => {
      const written = [
        ...[
          '/proc/sys/kernel/core_pattern',
          '/proc/sys/vm/drop_caches',
          '/proc/sysrq-trigger',
          '/proc/irq/default_smp_affinity',
        ],
        ...[
          '/proc/self/uid_map',
          '/proc/self/attr/current',
          '/sys/kernel/mm/ksm/run',
          '/sys/power/state',
          '/sys/module/x',
        ],
        ...[
          'memory/memory.limit_in_bytes',
          'memory/cgroup.procs',
          'pids/pids.max',
          'cpu/tasks',
          'cgroup.procs',
          'memory.max',
        ].map((file) => `/sys/fs/cgroup/${file}`),
        ...[
          '/etc/passwd',
          '/etc/hosts',
          '/etc/resolv.conf',
          '/etc/hostname',
          '/actor.mjs',
          '/bin/node',
          '/dev/x',
          '/dev/pts/x',
        ],
      ];
      const read = [
        '/proc/kcore',
        '/proc/kmsg',
        '/proc/kallsyms',
        '/dev/mem',
        '/dev/kmsg',
        '/dev/vda',
        '/dev/sda',
        '/dev/kvm',
      ];
      const found = (await inside(
        attacker,
        `const attempt = (work) => { try { return work(); } catch (error) { return error.code ?? error.message; } };
        return {
          written: ${JSON.stringify(written)}.map((path) => attempt(() => modules.fs.writeFileSync(path, '1', { flag: 'r+' }) ?? 'written')),
          made: ${JSON.stringify(written)}.map((path) => attempt(() => modules.fs.writeFileSync(path + '-new', '1') ?? 'written')),
          moved: ['/bin', '/etc', '/proc', '/sys'].map((path) => attempt(() => modules.fs.renameSync(path, '/tmp/x') ?? 'moved')),
          read: ${JSON.stringify(read)}.map((path) => attempt(() => /[^0\\s\\w$.[\\]-]|[1-9a-f]{8}/.test(modules.fs.readFileSync(path, 'latin1').slice(0, 4096)) ? 'read' : 'nothing')),
          spared: attempt(() => modules.fs.writeFileSync('/proc/self/oom_score_adj', '-1000') ?? 'written'),
        }`,
      )) as Record<string, unknown>;
      const { written: changes, made, moved, read: seen, spared } = found as Record<string, string[]>;
      expect(written.filter((_, index) => changes?.[index] === 'written')).toEqual([]);
      expect(written.filter((_, index) => made?.[index] === 'written')).toEqual([]);
      expect(moved).not.toContain('moved');
      expect(read.filter((_, index) => seen?.[index] === 'read')).toEqual([]);
      if (ownKernel) expect(sparedOfAll()).toEqual([]);
      else expect(['EACCES', 'EPERM', 'EROFS']).toContain(spared);
    });

    test('nothing can be mounted, and no namespace made', async () => {
      const commands = [
        ...[
          '-t tmpfs x /tmp',
          '--bind / /tmp',
          '-t proc x /tmp',
          '-o remount,rw /',
          '-o remount,size=1g /tmp',
          '-t overlay x /tmp',
        ],
        ...['-o remount,rw,bind /etc/hosts', '-t cgroup x /tmp', '-t sysfs x /tmp', '--move /proc /tmp'],
      ].map((words) => ['/bin/mount', ...words.split(' ')]);
      const spaces = [
        '--user',
        '--mount',
        '--net',
        '--pid --fork',
        '--user --map-root-user --mount',
        '--cgroup',
        '--ipc',
        '--uts',
      ];
      const all = [
        ...commands,
        ...spaces.map((words) => ['/bin/unshare', ...words.split(' '), '/bin/node', '-e', '0']),
      ];
      const ends = (await inside(
        attacker,
        `const { spawnSync } = process.getBuiltinModule('node:child_process');
        const { uid } = modules.os.userInfo({ encoding: 'utf8' });
        return [uid, ...${JSON.stringify(all)}.map(([file, ...words]) => { const { status, stderr } = spawnSync(file, words); return [status, String(stderr)]; })]`,
      )) as [number, ...[number | null, string][]];
      const [uid, ...results] = ends;
      expect(uid).toBeGreaterThan(65_534);
      const ended = results.map(([status, said], index) => ({ command: all[index]?.join(' '), status, said }));
      for (const { command, said } of ended)
        expect({ command, said }).toEqual({
          command,
          said: expect.stringMatching(/permission|permitted|superuser|must be/i),
        });
      expect(ended.filter(({ status }) => status === 0)).toEqual([]);
    });

    // The programs that ask it are for this processor.
    const onX64 = process.arch === 'x64' ? test : undefined;
    onX64?.('the kernel hears of nothing that leads out of it', async () => {
      // Names, numbers (syscalls(2)) and arguments; the first two, which anybody may make, show that an answer is one.
      const calls: readonly (readonly [name: string, number: number, ...args: number[]])[] = [
        ['getpid', 39],
        ['a TCP socket', 41, 2, 1],
        ...([
          ['a user namespace', 272, 0x1000_0000],
          ['a user namespace by clone', 56, 0x1000_0011],
          ['a network namespace by clone', 56, 0x4000_0011],
          ['clone3', 435, 0, 0],
          ['mount', 165, 0, 0, 0, 0x1000],
          ['umount2', 166],
          ['pivot_root', 155],
          ['chroot', 161],
          ['setns', 308, 0, 0],
          ['open_tree', 428],
          ['fsopen', 430],
          ['mount_setattr', 442],
          ['a keyring', 250, 0, 0xffff_fffd, 1],
          ['add_key', 248],
          ['io_uring', 425, 1],
          ['bpf', 321],
          ['perf_event_open', 298],
          ['userfaultfd', 323, 0],
          ['open_by_handle_at', 304],
          ['init_module', 175],
          ['kexec_load', 246],
          ['reboot', 169],
          ['sethostname', 170],
          ['iopl', 172, 3],
          ['syslog', 103, 10],
          ['clock_settime', 227],
          ['AF_VSOCK', 41, 40, 1],
          ['AF_ALG', 41, 38, 5],
          ['AF_PACKET', 41, 17, 3],
          ['AF_BLUETOOTH', 41, 31, 3],
          ['the audit by netlink', 41, 16, 3, 9],
          ['the firewall by netlink', 41, 16, 3, 12],
        ] as const),
      ];
      const programs = calls.map(([, number, ...args]) => systemCall(number, args).toString('base64'));
      const errors = (await inside(
        attacker,
        `const { spawnSync } = process.getBuiltinModule('node:child_process');
        return ${JSON.stringify(programs)}.map((program) => { modules.fs.writeFileSync('/tmp/call', Buffer.from(program, 'base64'), { mode: 0o755 }); const { status } = spawnSync('/tmp/call'); modules.fs.unlinkSync('/tmp/call'); return status; })`,
      )) as (number | null)[];
      const [permissionDenied, noSuchCall] = [1, 38];
      expect(errors.slice(0, 2)).toEqual([0, 0]);
      for (const [index, [name]] of calls.entries())
        if (index > 1)
          expect({ name, error: errors[index] }).toEqual({
            name,
            error: expect.toSatisfy((error) => [permissionDenied, noSuchCall].includes(error)),
          });
    });

    test('links lead to nothing but its own files, and no socket of anybody is to be seen', async () => {
      const found = (await inside(
        attacker,
        `const { fs } = modules, targets = ['/etc/shadow', '/root', '/proc/1/root/../../tmp', '/run/cloister', '/run/gate', '/var/lib/containers', '../../../../../../../tmp/cloister-engine-'];
        targets.forEach((target, index) => fs.symlinkSync(target, '/tmp/link' + index));
        const read = targets.map((_, index) => { try { return fs.readdirSync('/tmp/link' + index).length; } catch (error) { return error.code === 'ENOTDIR' ? String(fs.readFileSync('/tmp/link' + index)) : error.code; } });
        targets.forEach((_, index) => fs.unlinkSync('/tmp/link' + index));
        const sockets = [], walk = (folder, depth) => { for (const entry of fs.readdirSync(folder, { withFileTypes: true })) {
          const path = folder + '/' + entry.name;
          if (entry.isSocket() || entry.isFIFO() || entry.isBlockDevice()) sockets.push(path);
          if (entry.isDirectory() && depth < 6) try { walk(path, depth + 1); } catch {}
        } };
        for (const folder of ['/run', '/var', '/tmp', '/dev', '/etc']) walk(folder, 0);
        const descriptors = fs.readdirSync('/proc/self/fd').map((fd) => { try { return fs.readlinkSync('/proc/self/fd/' + fd); } catch { return ''; } });
        return { read, sockets, descriptors: descriptors.filter((name) => name.startsWith('/') && !/^\\/(?:dev|proc)\\//.test(name)), unix: fs.readFileSync('/proc/net/unix', 'utf8').trim().split('\\n').length }`,
      )) as { read: unknown[]; sockets: unknown[]; descriptors: unknown[]; unix: number };
      // Its own "/tmp", which holds the links themselves.
      expect(found.read).toEqual(['ENOENT', 'ENOENT', 7, 'ENOENT', 'ENOENT', 'ENOENT', 'ENOENT']);
      // One line is the head of the table; the relay's sockets are in the same network, and lead to where there is no path.
      expect({ sockets: found.sockets, descriptors: found.descriptors }).toEqual({ sockets: [], descriptors: [] });
    });

    test('nothing inside is reached, by name or address, by the proxy or without, whatever the manifest says', async () => {
      const hits: string[] = [];
      const listener = createServer((request, response) => {
        hits.push(request.url ?? '');
        response.end('inside');
      });
      await new Promise<void>((resolve) => listener.listen(0, resolve));
      const { port } = listener.address() as AddressInfo;
      const targets = [
        ...innerAddresses,
        `http://127.0.0.1:${port}/`,
        `http://localhost:${port}/`,
        `http://[::1]:${port}/`,
      ];
      const { body, outcome } = await tell(
        attacker,
        `return Promise.all(${JSON.stringify(targets)}.map((url) => fetch(url, { signal: AbortSignal.timeout(4000) }).then(({ status }) => status, (error) => error.cause?.code ?? error.name)))`,
      );
      const answers = JSON.parse(body.toString()) as unknown[];
      for (const [index, target] of targets.entries())
        expect({ target, answer: answers[index] }).not.toMatchObject({ target, answer: 200 });
      expect(outcome.refusedHosts).toEqual(expect.arrayContaining(['169.254.169.254:80', '10.0.0.1:80']));
      const raw = (await inside(
        attacker,
        `const ask = (head) => new Promise((resolve) => { let said = ''; modules.net.connect(3128, '127.0.0.1').setTimeout(2000, function () { this.destroy(); }).on('data', (bytes) => { said += bytes; }).on('error', () => {}).on('close', () => resolve(said.split('\\r\\n')[0])).end(head); });
        return Promise.all(['CONNECT 169.254.169.254:443 HTTP/1.1\\r\\n\\r\\n', 'CONNECT 127.0.0.1:${port} HTTP/1.1\\r\\n\\r\\n', 'CONNECT [::ffff:127.0.0.1]:${port} HTTP/1.1\\r\\n\\r\\n', 'GET http://127.0.0.1:${port}/ HTTP/1.1\\r\\n\\r\\n', 'GET http://2130706433:${port}/ HTTP/1.1\\r\\n\\r\\n'].map(ask))`,
      )) as string[];
      for (const line of raw) expect(line).toBe('HTTP/1.1 403 Forbidden');
      expect(hits).toEqual([]);
      listener.close();
    });

    test('whoever asks the gate for something and leaves, or takes all of its connections, harms nobody', async () => {
      const leave = `for (let count = 0; count < 100; count += 1) await new Promise((resolve) => {
          const socket = modules.net.connect(3128, '127.0.0.1');
          socket.on('error', () => {}).on('close', resolve);
          socket.write('GET http://a.example/ HTTP/1.1\\r\\nhost: a\\r\\nconnection: upgrade\\r\\nupgrade: x\\r\\n\\r\\n', () => socket.destroy());
        });
        globalThis.kept = Array.from({ length: 300 }, () => modules.net.connect(3128, '127.0.0.1').on('error', () => {}));
        return new Promise((resolve) => setTimeout(() => resolve(kept.length), 200))`;
      expect(await inside(attacker, leave)).toBe(300);
      await inside(attacker, `for (const socket of globalThis.kept) socket.destroy(); return 0`);
      expect((await call(attacker, '/echo')).outcome.status).toBe('ok');
    });

    test('files of a size that nobody has take none, and cost nobody anything', async () => {
      const sparse = `const { fs } = modules;
        return ['/tmp', '/run', '/dev/shm'].map((folder) => { try { const file = fs.openSync(folder + '/sparse', 'w'); fs.ftruncateSync(file, 2 ** 42); fs.closeSync(file); return fs.statSync(folder + '/sparse').blocks; } catch (error) { return error.code; } finally { fs.rmSync(folder + '/sparse', { force: true }); } })`;
      // gVisor counts blocks by the length of a file, whatever stands in it.
      for (const result of (await inside(attacker, sparse)) as unknown[])
        expect([0, 'EFBIG', 'EINVAL', ...(ownKernel ? [2 ** 33] : [])]).toContain(result);
      expect((await call(attacker, '/echo')).outcome.status).toBe('ok');
    });

    test('answers that are no HTTP, or have no end, are app errors, and the relay goes on', async () => {
      const command = ['-e', rawServer];
      const service = { name: 'web', image, command, environment: {}, tmpfs: [] };
      const app = await open({ limits: { wallMs: 3000 }, container: { services: [service], port: 8080 } });
      for (const what of rawAnswers) {
        const { outcome } = await call(app, `/raw?what=${what}`);
        expect({ what, status: outcome.status }).toEqual({ what, status: 'app-error' });
        expect((await call(app, '/state')).body.toString()).toBe('1');
      }
      const twice = await call(app, '/raw?what=twice');
      expect(twice.body.toString()).toBe('x');
      expect((await call(app, '/state')).body.toString()).toBe('1');
      await app.close();
    });

    test('memory that is files is memory, and its limit ends the app', async () => {
      const fill = `for (const folder of ['/tmp', '/run', '/var/tmp', '/dev/shm', '/dev/shm']) for (let n = 0; n < 60; n += 1) modules.fs.appendFileSync(folder + '/y', Buffer.alloc(1048576, 1)); return 'filled'`;
      expect((await tell(attacker, fill)).outcome).toMatchObject({ status: 'limit', limit: 'memory' });
      // Nothing of it is left.
      expect(await inside(attacker, `return modules.fs.readdirSync('/run')`)).toEqual([]);
    });

    if (!isLong) return;

    test('processes without end are stopped by their number, and end with the app', async () => {
      const fork = `const { spawn } = process.getBuiltinModule('node:child_process');
        let [started, refused] = [0, 0];
        for (let n = 0; n < 600; n += 1) { const child = spawn('/bin/unshare', ['--fork', '/bin/node', '--v8-pool-size=0', '-e', 'setInterval(() => {}, 1e6)'], { stdio: 'ignore', detached: true }); child.on('error', () => { refused += 1; }); if (child.pid !== undefined) started += 1; }
        return new Promise((resolve) => setTimeout(() => resolve({ started, refused }), 500))`;
      const { body, outcome } = await tell(attacker, fork);
      if (outcome.status === 'ok') expect(JSON.parse(body.toString()).started).toBeLessThan(512);
      else expect(['limit', 'app-error']).toContain(outcome.status);
      expect((await call(attacker, '/spin')).outcome.status).toBe('limit');
      expect((await call(attacker, '/echo')).outcome.status).toBe('ok');
    });

    test('files without number end with memory, or with room for them', async () => {
      const make = `let made = 0; try { for (;; made += 1) modules.fs.writeFileSync('/tmp/' + made, ''); } catch (error) { return { made, end: error.code }; }`;
      const app = await open({ limits: { wallMs: 60_000, memoryBytes: 64 * MiB } });
      const { outcome } = await tell(app, make);
      if (outcome.status !== 'ok') expect(outcome).toMatchObject({ status: 'limit', limit: 'memory' });
      await app.close();
    });

    test.each([
      ['in one line', `modules.fs.writeSync(1, Buffer.alloc(65536, 'x'))`],
      ['in lines', `modules.fs.writeSync(2, Buffer.alloc(65536, 'x\\n'))`],
      ['byte by byte', `modules.fs.writeSync(1, 'x')`],
    ])('output without end %s is ended by time, and little of it is ever read', async (_how, write) => {
      const app = await open({ limits: { wallMs: 1500 } });
      const [before, startMs] = [bytesRead(), performance.now()];
      // Where nobody takes it, a write says so and is tried again.
      const [{ outcome }] = await Promise.all([tell(app, `for (;;) try { ${write}; } catch {}`), witness.isWell()]);
      const seconds = Math.ceil((performance.now() - startMs) / 1000) + 1;
      expect(outcome).toMatchObject({ status: 'limit', limit: 'wall' });
      expect(app.logs().length).toBeLessThanOrEqual(1000);
      expect(bytesRead() - before).toBeLessThan(seconds * 2 * MiB + 2 * MiB);
      await app.close();
    });

    test('whoever does not read what it is sent is ended by time', async () => {
      const app = await open({ limits: { wallMs: 1000 } });
      const sent = await call(app, '/wait', { method: 'POST', body: new Uint8Array(32 * MiB) });
      expect(sent.outcome).toMatchObject({ status: 'limit', limit: 'wall' });
      expect((await call(app, '/echo')).outcome.status).toBe('ok');
      await app.close();
    });
  });
}

/** Processes of this machine that the kernel spares when memory runs out, of those that a container has. */
function sparedOfAll(): string[] {
  return readdirSync('/proc').filter((name) => {
    try {
      const isContainer = /libpod|conmon/.test(readFileSync(`/proc/${name}/cgroup`, 'utf8'));
      return isContainer && Number(readFileSync(`/proc/${name}/oom_score_adj`, 'utf8')) <= -1000;
    } catch {
      return false;
    }
  });
}
