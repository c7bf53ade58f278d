import { type ChildProcess, spawn } from 'node:child_process';
import { mkdir, readFile, rm, writeFile } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { SandboxError, throwIfAborted } from '../../sandboxError.ts';
import { findTools, type Tools } from '../../walls/tools.ts';
import { EngineClient } from './engineClient.ts';
import { endLostSandboxes, gvisorName, gvisorProgram } from './gvisor.ts';
import { seccompProfile } from './seccompProfile.ts';

export type PodmanOptions = {
  /** For images and containers, of this worker alone. Kept over restarts, so that what a killed worker left is found. */
  readonly storageDir: string;
  /** Where the service listens. */
  readonly socketPath: string;
  /** Whether containers of apps are made in gVisor. Default: they have the runtime that all others have. */
  readonly gvisor?: boolean;
};

/** An engine of this driver's own: nobody else's containers are in it. */
export type Engine = {
  readonly client: EngineClient;
  /** By which containers of apps are made; all else of them goes by the other. */
  readonly apps: EngineClient;
  readonly name: 'podman';
  readonly version: string;
  /** Of apps' containers. */
  readonly runtime: string;
  stop(): Promise<void>;
};

/** Settings of the service that makes most containers, and of the one that makes those of gVisor. */
const [settingsFile, gvisorSettingsFile] = ['containers.conf', 'containers.gvisor.conf'];
const startDeadlineMs = 15_000;
const stopDeadlineMs = 5_000;
/** A container that another needs can't be removed before that one. */
const removePasses = 3;

/** Starts podman's service on a socket of our own, empty: containers and images of an earlier life are removed. Throws START_FAILED. */
export async function startPodman(options: PodmanOptions, signal: AbortSignal): Promise<Engine> {
  const tools = findTools();
  const { podman } = tools;
  const runtime = tools.runc ?? tools.crun;
  if (podman === undefined || runtime === undefined)
    throw noEngine(`"${podman === undefined ? 'podman' : 'runc'}" is not installed`);
  if (process.getuid?.() !== 0)
    throw noEngine('Only root can give each container a user and a control group of its own');
  if (seccompProfile() === undefined) throw noEngine(`There is no filter of system calls for "${process.arch}"`);
  const environment = await configure(options, runtime);
  endLostSandboxes(options.storageDir);
  const children = [serve(tools, podman, options, environment)];
  const stop = async (): Promise<void> => void (await Promise.all(children.map(end)));
  try {
    const client = new EngineClient(options.socketPath);
    const version = await answered(client, children[0] as ChildProcess, signal);
    await removeAll(client, signal);
    const own = { client, apps: client, name: 'podman', version, runtime: basename(runtime), stop } as const;
    if (options.gvisor !== true) return own;
    // A service has one runtime for all that it makes. This one makes in the same storage, and both know both.
    const socketPath = `${options.socketPath}.${gvisorName}`;
    const other = { ...environment, CONTAINERS_CONF: join(options.storageDir, gvisorSettingsFile) };
    const child = serve(tools, podman, { ...options, socketPath }, other);
    children.push(child);
    const apps = new EngineClient(socketPath);
    await answered(apps, child, signal);
    return { ...own, apps, runtime: gvisorName };
  } catch (error) {
    await stop();
    if (signal.aborted) throw error;
    throw noEngine(error instanceof Error ? error.message : 'podman did not start');
  }
}

/** Containers first, of which those go last whose network others are in; then the images, which are checked anew when they are needed. */
async function removeAll(client: EngineClient, signal: AbortSignal): Promise<void> {
  for (let left = await client.containers(signal), pass = 1; left.length > 0; pass += 1) {
    for (const id of left)
      await client.remove(id, signal).catch((error: unknown) => {
        if (pass === removePasses) throw error;
      });
    left = await client.containers(signal);
  }
  for (const id of await client.images(signal)) await client.removeImage(id, signal);
}

/** Settings of this service alone: what the machine has for people's own containers changes nothing here. */
async function configure({ storageDir }: PodmanOptions, runtime: string): Promise<NodeJS.ProcessEnv> {
  const at = (name: string): string => join(storageDir, name);
  await mkdir(at('config/containers'), { recursive: true, mode: 0o700 });
  await forgetOtherBoot(storageDir);
  const { runsc } = findTools();
  // Known to it wherever it is installed: containers of an earlier life may have it.
  const gvisor = runsc === undefined ? undefined : await gvisorProgram(storageDir, runsc);
  const settings = (seccomp: string, used: string): string =>
    [
      '[containers]',
      // The service needs no right to raise its own limits.
      'default_ulimits = ["nofile=1024:1024", "nproc=1024:1024"]',
      'default_capabilities = []',
      'log_driver = "none"',
      'netns = "none"',
      `seccomp_profile = ${JSON.stringify(at(seccomp))}`,
      '[engine]',
      'cgroup_manager = "cgroupfs"',
      'events_logger = "none"',
      `runtime = ${JSON.stringify(used)}`,
      ...(gvisor === undefined ? [] : ['[engine.runtimes]', `${gvisorName} = [${JSON.stringify(gvisor)}]`]),
      '',
    ].join('\n');
  await writeFile(at('seccomp.json'), JSON.stringify(seccompProfile()));
  await writeFile(at(settingsFile), settings('seccomp.json', runtime));
  await writeFile(at('seccomp.gvisor.json'), JSON.stringify(seccompProfile({ clone3: true })));
  await writeFile(at(gvisorSettingsFile), settings('seccomp.gvisor.json', gvisorName));
  await writeFile(
    at('storage.conf'),
    [
      '[storage]',
      'driver = "overlay"',
      `graphroot = ${JSON.stringify(at('root'))}`,
      `runroot = ${JSON.stringify(at('run'))}`,
      '[storage.options.overlay]',
      'skip_mount_home = "true"',
      '',
    ].join('\n'),
  );
  // Images come from archives whose hashes are checked before, and from nowhere else.
  await writeFile(at('registries.conf'), 'unqualified-search-registries = []\n');
  await writeFile(at('config/containers/policy.json'), '{"default":[{"type":"insecureAcceptAnything"}]}');
  return {
    PATH: '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin',
    HOME: storageDir,
    XDG_CONFIG_HOME: at('config'),
    TMPDIR: at('tmp'),
    CONTAINERS_CONF: at(settingsFile),
    CONTAINERS_STORAGE_CONF: at('storage.conf'),
    CONTAINERS_REGISTRIES_CONF: at('registries.conf'),
  };
}

/** What the engine believes to be running, and its mounts, ended with the machine. */
async function forgetOtherBoot(storageDir: string): Promise<void> {
  const file = join(storageDir, 'boot');
  const boot = await readFile('/proc/sys/kernel/random/boot_id', 'utf8');
  const earlier = await readFile(file, 'utf8').catch(() => '');
  if (earlier !== boot)
    for (const name of ['run', 'tmp']) await rm(join(storageDir, name), { recursive: true, force: true });
  await mkdir(join(storageDir, 'tmp'), { recursive: true, mode: 0o700 });
  await writeFile(file, boot);
}

function serve(
  { setpriv }: Tools,
  podman: string,
  { storageDir, socketPath }: PodmanOptions,
  env: NodeJS.ProcessEnv,
): ChildProcess {
  const command = [
    // Ends with us, however we end.
    ...(setpriv === undefined ? [] : [setpriv, '--pdeathsig', 'KILL']),
    // Its folders stand in the settings: given here, they would drop the other options of its storage.
    ...[podman, '--tmpdir', join(storageDir, 'tmp'), 'system', 'service', '--time=0', `unix://${socketPath}`],
  ];
  const child = spawn(command[0] ?? podman, command.slice(1), { env, cwd: '/', stdio: ['ignore', 'ignore', 'pipe'] });
  // Told where it doesn't start; later lines are progress.
  child.stderr?.on('data', () => {});
  child.on('error', () => {});
  return child;
}

async function answered(client: EngineClient, child: ChildProcess, signal: AbortSignal): Promise<string> {
  let said = '';
  child.stderr?.on('data', (chunk: Buffer) => {
    said = `${said}${chunk.toString('utf8')}`.slice(-2_000);
  });
  const deadlineMs = performance.now() + startDeadlineMs;
  for (;;) {
    throwIfAborted(signal);
    if (child.exitCode !== null || child.signalCode !== null)
      throw noEngine(`podman ended at once: ${said.trim().split('\n').at(-1) ?? ''}`);
    try {
      return await client.version(signal);
    } catch (error) {
      if (performance.now() > deadlineMs) throw error;
    }
    await delay(50, undefined, { signal }).catch(() => {});
  }
}

async function end(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null || child.pid === undefined) return;
  const gone = new Promise<void>((resolve) => child.once('exit', () => resolve()));
  child.kill('SIGTERM');
  const timer = setTimeout(() => child.kill('SIGKILL'), stopDeadlineMs);
  await gone.finally(() => clearTimeout(timer));
}

function noEngine(reason: string): SandboxError {
  return new SandboxError({
    code: 'START_FAILED',
    message: `No engine for containers: ${reason}`,
    hint: 'Install podman and runc, and run the worker as root, or leave containers to other workers',
  });
}
