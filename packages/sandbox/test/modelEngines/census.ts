// All that code which has broken out can find out about where it is, but for times. Values that differ from process to process
// without saying anything of others stand for themselves by name: <own user>.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import * as fs from 'node:fs';
import { connect } from 'node:net';
import * as os from 'node:os';

/** @param port where something listens on this machine, outside the walls */
export async function census(port: number): Promise<object> {
  return {
    files: walk('/'),
    places: Object.fromEntries(
      [
        '/proc',
        '/proc/1',
        '/proc/self/cgroup',
        '/sys/fs/cgroup',
        '/dev',
        '/dev/shm',
        '/tmp',
        '/var',
        '/etc',
        '/run/..',
        '/run/../..',
      ].map((place) => [place, listed(place)]),
    ),
    descriptors: Array.from({ length: 64 }, (_, descriptor) => described(descriptor)),
    processes: await processes(),
    outsiders: [65_536, 100_000, 4_000_000].map((pid) => answered(() => process.kill(pid, 0))),
    interfaces: answered(() => JSON.stringify(os.networkInterfaces())),
    reach: await Promise.all(
      [
        ...[1, 22, 53, 80, 443, 8545, 18_545, 47_311, port].map((each) => ({ host: '127.0.0.1', port: each })),
        { host: '::1', port: 47_311 },
        { host: '169.254.169.254', port: 80 },
        { path: '\0cloister-first-tenant' },
        { path: '/run/control.sock.other' },
      ].map(reached),
    ),
    environment: { ...process.env, PWD: undefined, OLDPWD: undefined, SHLVL: undefined, _: undefined },
    process: {
      uid: owner(process.getuid?.() ?? -1),
      gid: owner(process.getgid?.() ?? -1),
      groups: process.getgroups?.().map(owner),
      cwd: process.cwd(),
      umask: process.umask(),
      title: process.title,
      arguments: process.argv.map((each) => each.replace(/^\/.*\/(?=run|host)/, '/')),
      limits: reportOf().userLimits,
      libraries: reportOf().sharedObjects,
    },
    machine: { hostname: os.hostname(), release: os.release(), processors: os.cpus().length, memory: os.totalmem() },
    errors: [
      answered(() => fs.readFileSync('/nowhere')),
      answered(() => fs.readFileSync('/')),
      answered(() => process.setuid?.(0)),
      answered(() => process.chdir('/root')),
      answered(() => fs.readdirSync('/run/../../..').length),
    ],
  };
}

function walk(folder: string, depth = 0): string[] {
  const names = listed(folder);
  if (typeof names === 'string' || depth > 6) return [`${folder}: ${names}`];
  return names.flatMap((name) => {
    const path = `${folder === '/' ? '' : folder}/${name}`;
    const status = fs.lstatSync(path, { throwIfNoEntry: false });
    if (status === undefined) return [`${path}: gone`];
    const { mode, size, uid, gid } = status;
    const kind = status.isDirectory() ? '' : ` ${size} bytes`;
    const line = `${path} ${mode.toString(8)} ${owner(uid)} ${owner(gid)}${kind}`;
    return [line, ...(status.isDirectory() ? walk(path, depth + 1) : [])];
  });
}

function owner(id: number): string {
  return id === process.getuid?.() || id === process.getgid?.() ? '<own user>' : String(id);
}

function listed(folder: string): string[] | string {
  try {
    return fs.readdirSync(folder).sort();
  } catch (error) {
    return codeOf(error);
  }
}

function described(descriptor: number): string {
  try {
    const status = fs.fstatSync(descriptor);
    if (status.isSocket()) return 'socket';
    if (status.isFIFO()) return 'pipe';
    if (status.isCharacterDevice()) return 'device';
    return status.isDirectory() ? 'directory' : `other ${status.mode.toString(8)}`;
  } catch (error) {
    return codeOf(error);
  }
}

/**
 * What can be signalled: alone, with a child of its own to show that there would be something to see, and after it. Groups of
 * processes are asked for, not ids: an id may be a thread's, and Node.js has threads that end when they are done, such as the
 * one that reads certificates as `node:http` is loaded.
 */
async function processes(): Promise<object> {
  const seen = (): object => ({
    others: answered(() => process.kill(-1, 0)),
    groups: Array.from({ length: 500 }, (_, index) => answered(() => process.kill(-(index + 2), 0))).filter(
      (answer) => answer !== 'kill ESRCH',
    ),
  });
  const alone = seen();
  // Its streams are its parent's: there is no /dev/null here.
  const child = spawn(process.execPath, ['-e', 'setInterval(() => {}, 1e6)'], { stdio: 'inherit', detached: true });
  const withChild = seen();
  child.kill('SIGKILL');
  await once(child, 'exit');
  return { alone, withChild, after: seen() };
}

function reached(options: { host?: string; port?: number; path?: string }): Promise<string> {
  return new Promise((resolve) => {
    const socket = connect(options as { path: string }, () => {
      socket.destroy();
      resolve('reached');
    });
    socket.once('error', (error) => resolve(codeOf(error)));
  });
}

type Report = { readonly userLimits?: object; readonly sharedObjects?: readonly string[] };

function reportOf(): Report {
  return (process.report?.getReport() ?? {}) as Report;
}

function answered(work: () => unknown): string {
  try {
    return String(work());
  } catch (error) {
    return error instanceof Error ? error.message : String(error);
  }
}

function codeOf(error: unknown): string {
  return error instanceof Error && 'code' in error ? String(error.code) : String(error);
}
