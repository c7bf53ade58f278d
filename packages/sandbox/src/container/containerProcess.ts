import { randomBytes } from 'node:crypto';
import { access, chmod, chown, mkdir, rm, writeFile } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import type { SharedCgroups } from '../cgroup/findCgroups.ts';
import type { Freezer } from '../cgroup/freezer.ts';
import { EgressGate, type GateOptions } from '../gate/egressGate.ts';
import { parseHostRule } from '../gate/hostRule.ts';
import { ControlChannel } from '../process/controlChannel.ts';
import type { RuntimeProcess } from '../process/runtimeProcess.ts';
import type { ContainerSource, Workload } from '../sandbox.ts';
import { SandboxError, throwIfAborted } from '../sandboxError.ts';
import { readLines } from '../tenant/runtimeOutput.ts';
import { TenantLog } from '../tenantLog.ts';
import type { IdentityPool } from '../walls/identity.ts';
import { proxyPort } from './compose/ports.ts';
import { ContainerClient } from './containerClient.ts';
import {
  type ContainerWalls,
  guestSocketPath,
  hostsFile,
  type Mount,
  maxPids,
  relayConfig,
  serviceConfig,
} from './containerConfig.ts';
import { ContainerGroup } from './containerGroup.ts';
import type { EngineClient } from './engine/engineClient.ts';
import { splitFrames } from './engine/frames.ts';
import type { RelayImage } from './relayImage.ts';

export type ContainerParts = {
  readonly engine: EngineClient;
  /** By which the containers of apps are made. */
  readonly apps: EngineClient;
  /** Of gVisor: what holds the processes of a group between calls. */
  readonly freezers?: ((path: string) => Freezer) | undefined;
  /** Files of the host in every container of an app, for a try-out. Default: none. */
  readonly appMounts?: readonly Mount[];
  readonly cgroups: SharedCgroups;
  readonly identities: IdentityPool;
  readonly relay: RelayImage;
  readonly gate: GateOptions;
  /** The directory in which each app gets its own. */
  readonly directory: string;
  /** The same directory, under a name short enough for the paths of sockets. */
  readonly socketBase: string;
  readonly cpus: number;
};

/** What the containers of an app hold beyond its own memory: the relay, and the engine's process beside each container. */
export const containerOverheadBytes = 128 * 1024 * 1024;
/** What gVisor holds beside each container: the memory of its own two processes, and their threads. */
const gvisorBeside = { bytes: 64 * 1024 * 1024, threads: 64 } as const;
/** Where the engine puts its process beside a container, and with it what gVisor starts, below the app's group. */
const besideContainers = 'conmon';
const relayBytes = 96 * 1024 * 1024;
const relayDeadlineMs = 15_000;
const relayLookMs = 20;
const startDeadlineMs = 30_000;

/** The same of an app of so many services. */
export function overheadOf({ freezers }: Pick<ContainerParts, 'freezers'>, services: number): number {
  return containerOverheadBytes + (freezers === undefined ? 0 : gvisorBeside.bytes * services);
}

/** The containers of one app: first the relay alone, then, once and for ever, with the app's services. */
export class ContainerProcess implements RuntimeProcess {
  readonly confined: ContainerGroup;
  readonly data: ContainerClient;
  /** What a container answers is its own: nothing stands in it for a failure. */
  readonly failureMark = undefined;
  readonly memoryExhausted = false;
  /** @inheritdoc */
  readonly outboundBytes = (): number => this.#gate.passedBytes;
  readonly #parts: ContainerParts;
  readonly #source: ContainerSource;
  readonly #walls: ContainerWalls;
  readonly #directory: string;
  readonly #gate: EgressGate;
  readonly #control: ControlChannel;
  #relayId = '';
  #log = new TenantLog();

  private constructor(
    parts: ContainerParts,
    source: ContainerSource,
    walls: ContainerWalls,
    gate: EgressGate,
    confined: ContainerGroup,
    name: string,
  ) {
    this.confined = confined;
    this.#directory = join(parts.directory, name);
    const socketDir = join(parts.socketBase, name, 'run');
    this.#parts = parts;
    this.#source = source;
    this.#walls = walls;
    this.#gate = gate;
    this.data = new ContainerClient(join(socketDir, 'data.sock'));
    this.#control = new ControlChannel(join(socketDir, 'control.sock'));
    void confined.exited.then(() => {
      this.data.close();
      this.#control.close();
      void gate.close();
    });
  }

  /** Starts the relay, with the walls around it in which the app will be too. Throws PROCESS_FAILED and ABORTED. */
  static async start(
    parts: ContainerParts,
    { tenant, limits }: Workload,
    source: ContainerSource,
    signal: AbortSignal,
  ): Promise<ContainerProcess> {
    throwIfAborted(signal);
    const name = randomBytes(6).toString('hex');
    const directory = join(parts.directory, name);
    const sockets = join(directory, 'run');
    const [appIdentity, relayIdentity] = [parts.identities.take(), parts.identities.take()];
    await mkdir(sockets, { recursive: true, mode: 0o700 });
    await chown(sockets, relayIdentity.uid, relayIdentity.gid);
    const gate = new EgressGate({ ...parts.gate, tunnels: true });
    await gate.listen(join(parts.socketBase, name, 'gate'));
    // The directory around it lets nobody else in.
    await chmod(join(directory, 'gate'), 0o666);
    const cgroup = parts.cgroups.parent.create(name);
    const freezer = parts.freezers?.(`${parts.cgroups.pathOf(name)}/${besideContainers}`);
    const confined = new ContainerGroup({ engine: parts.engine, cgroup, directory, freezer });
    const { length } = source.services;
    const walls = {
      identity: appIdentity,
      cgroupPath: parts.cgroups.pathOf(name),
      memoryBytes: limits.memoryBytes,
      labels: { 'cloister.app': tenant },
    };
    const process = new ContainerProcess(parts, source, walls, gate, confined, name);
    try {
      const memoryBytes = limits.memoryBytes + overheadOf(parts, length);
      const threads = freezer === undefined ? 0 : gvisorBeside.threads * length;
      cgroup.limit({ memoryBytes, pids: maxPids + threads, cpus: parts.cpus });
      const { image, mounts, command } = parts.relay;
      const paths = { folder: '/run/cloister', gate: '/run/gate' };
      const relay = relayConfig({
        image,
        walls: { ...walls, identity: relayIdentity, memoryBytes: relayBytes },
        mounts: [
          ...mounts,
          { source: sockets, target: paths.folder, readOnly: false },
          { source: join(directory, 'gate'), target: paths.gate, readOnly: true },
        ],
        command: [...command, paths.folder, paths.gate, `${proxyPort}`, `${source.port}`],
      });
      process.#relayId = await process.#run(`${name}.relay`, relay, 'relay', signal);
      await process.#relayListens(sockets, signal);
      return process;
    } catch (error) {
      confined.kill();
      await confined.removed;
      await rm(directory, { recursive: true, force: true });
      throw error;
    }
  }

  /** @inheritdoc */
  async load(
    { env, outboundHosts }: Workload,
    _: string,
    log: TenantLog,
    refused: (host: string) => void,
    signal: AbortSignal,
  ): Promise<void> {
    this.#log = log;
    this.#gate.allow(outboundHosts.map(parseHostRule), refused);
    const { services, guestSocket } = this.#source;
    const serviceNames = services.map(({ name }) => name);
    const mounts = await this.#ownFiles(serviceNames, guestSocket);
    for (const service of services) {
      const parts = { service, serviceNames, walls: this.#walls, relayId: this.#relayId };
      const config = serviceConfig({ ...parts, env, mounts });
      await this.#run(`${this.#relayId.slice(0, 12)}.${service.name}`, config, service.name, signal);
    }
    await Promise.race([this.#listens(signal), this.confined.exited]);
  }

  async #ownFiles(serviceNames: readonly string[], guestSocket: string | undefined): Promise<Mount[]> {
    const [hosts, resolver] = [join(this.#directory, 'hosts'), join(this.#directory, 'resolv.conf')];
    await writeFile(hosts, hostsFile(serviceNames), { mode: 0o644 });
    await writeFile(resolver, '', { mode: 0o644 });
    const readOnly = true;
    return [
      { source: hosts, target: '/etc/hosts', readOnly },
      { source: resolver, target: '/etc/resolv.conf', readOnly },
      ...(this.#parts.appMounts ?? []),
      ...(guestSocket === undefined ? [] : [{ source: guestSocket, target: guestSocketPath, readOnly }]),
    ];
  }

  /** The time that an app takes to start is no call's. One that never listens is found out by the first call. */
  async #listens(signal: AbortSignal): Promise<void> {
    await this.#control.tell('/ready', new Uint8Array(), startDeadlineMs, signal).catch(() => {});
    throwIfAborted(signal);
  }

  /** @inheritdoc */
  async answers(deadlineMs: number): Promise<boolean> {
    return this.#control.tell('/ping', new Uint8Array(), deadlineMs, new AbortController().signal).then(
      () => true,
      () => false,
    );
  }

  /** Whether the app answers a request with success in this time, by way of the relay. */
  async appAnswers(deadlineMs: number, signal: AbortSignal): Promise<boolean> {
    const { parts, name } = { parts: this.#parts, name: basename(this.#directory) };
    const channel = new ControlChannel(join(parts.socketBase, name, 'run', 'data.sock'));
    return channel
      .tell('/', new Uint8Array(), deadlineMs, signal)
      .then(
        () => true,
        () => false,
      )
      .finally(() => channel.close());
  }

  /** Makes a container and starts it; what it prints goes to the log from its first byte on. */
  async #run(name: string, config: object, service: string, signal: AbortSignal): Promise<string> {
    const { engine, apps } = this.#parts;
    const isRelay = service === 'relay' && this.#relayId === '';
    const id = await (isRelay ? engine : apps).create(name, config, signal);
    this.confined.add(id, { isRelay });
    const output = await engine.attach(id, signal);
    const closed = new Promise<void>((resolve) => output.once('close', resolve));
    const { stdout, stderr } = splitFrames(output);
    const prefix = this.#source.services.length > 1 ? `${service}: ` : '';
    const print = (level: 'log' | 'error') => (line: string) => {
      if (line !== '') this.#log.add(level, `${prefix}${line}`);
    };
    readLines(stdout, print('log'));
    readLines(stderr, print('error'));
    await engine.start(id, signal);
    const { pid } = await engine.state(id, signal);
    this.confined.running(id, pid, closed);
    return id;
  }

  async #relayListens(sockets: string, signal: AbortSignal): Promise<void> {
    const deadlineMs = performance.now() + relayDeadlineMs;
    for (;;) {
      throwIfAborted(signal);
      const listens = await access(join(sockets, 'control.sock')).then(
        () => true,
        () => false,
      );
      if (listens) return;
      const printed = this.#log.lines().at(-1)?.message;
      if (this.confined.ended || performance.now() > deadlineMs)
        throw new SandboxError({
          code: 'PROCESS_FAILED',
          message: `The relay of an app did not start${printed === undefined ? '' : `: ${printed}`}`,
          retry: true,
        });
      await delay(relayLookMs, undefined, { signal }).catch(() => {});
    }
  }
}
