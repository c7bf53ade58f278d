import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { findSharedCgroups } from '../cgroup/findCgroups.ts';
import { findFreezers } from '../cgroup/freezer.ts';
import type { GateOptions } from '../gate/egressGate.ts';
import type { LoadedImage, WallReport, Workload } from '../sandbox.ts';
import { SandboxError } from '../sandboxError.ts';
import { ProcessDriver, type ProcessDriverOptions, type Started } from '../tenant/processDriver.ts';
import type { RunDirectory } from '../tenant/runDirectory.ts';
import { IdentityPool } from '../walls/identity.ts';
import { missing, present } from '../walls/jail.ts';
import { findTools } from '../walls/tools.ts';
import { type ContainerParts, ContainerProcess, containerOverheadBytes, overheadOf } from './containerProcess.ts';
import { gvisorName } from './engine/gvisor.ts';
import { type Engine, startPodman } from './engine/podmanService.ts';
import { ImageShelf } from './imageShelf.ts';
import { loadRelayImage } from './relayImage.ts';
import { tryOut, tryOutGvisor } from './tryOut.ts';

/** Restarts by default: 10 at once, then one in five seconds. */
export type ContainerDriverOptions = Omit<ProcessDriverOptions, 'jail' | 'cgroups'> & {
  /** Images and containers: a directory of this driver alone, kept over restarts. Default: `engine` in the run directory. */
  readonly storageDir?: string;
  /** Of all images together, without compression. Default 16 GiB. */
  readonly maxImageBytes?: number;
  readonly gate?: GateOptions;
  /**
   * gVisor, a kernel of its own around each container: used where it is installed and holds, never, or nothing is run without it.
   * Default `auto`.
   */
  readonly gvisor?: 'auto' | 'off' | 'required';
};

const defaultImageBytes = 16 * 1024 ** 3;
/** Where the storage is that nobody keeps, in the run directory. */
const ownStorage = 'engine';
const clearDeadlineMs = 60_000;

type StartedContainers = Started & {
  readonly engine: Engine;
  readonly parts: ContainerParts;
  readonly shelf: ImageShelf;
  /** Why apps run without gVisor; undefined where they have it. */
  readonly withoutGvisor: string | undefined;
};

/** Runs containers of OCI images on podman, a group of them for each tenant, in a network of their own. */
export class ContainerDriver extends ProcessDriver<StartedContainers> {
  readonly kind = 'container';
  readonly runtimes = ['oci'];
  protected readonly overheadBytes = containerOverheadBytes;
  protected override readonly runDirectoryInit = { prefix: 'cloister-engine-', clear: endLostEngine };
  readonly #options: ContainerDriverOptions;
  readonly #removals = new Set<Promise<void>>();

  constructor(options: ContainerDriverOptions = {}) {
    super(options, { burst: 10, perSecond: 0.2 });
    this.#options = options;
  }

  /** The engine that runs them. */
  get engine(): Pick<Engine, 'name' | 'version' | 'runtime'> {
    const { name, version, runtime } = this.started.engine;
    return { name, version, runtime };
  }

  /**
   * Checks an archive of an image, as `docker save` makes it, and has it ready for workloads. Throws ImageError for one that
   * lies or would do harm, PROCESS_FAILED.
   * @param name what stands for the archive's bytes, such as their hash: an image is checked once
   */
  loadImage(file: string, name: string, signal: AbortSignal): Promise<LoadedImage> {
    return this.started.shelf.load(file, name, signal);
  }

  /** Why apps run without gVisor; undefined where they have it. */
  get withoutGvisor(): string | undefined {
    return this.started.withoutGvisor;
  }

  /** Throws START_FAILED where there is no engine, or no control group to hold memory, or no gVisor where it is required. */
  protected async prepare(runDirectory: RunDirectory, signal: AbortSignal): Promise<StartedContainers> {
    const { gvisor = 'auto' } = this.#options;
    if (gvisor === 'off') return this.#prepare(runDirectory, undefined, 'it is turned off', signal);
    const { runsc } = findTools();
    let reason = '"runsc" is not installed';
    if (runsc !== undefined)
      try {
        return await this.#prepare(runDirectory, runsc, undefined, signal);
      } catch (error) {
        if (!(error instanceof SandboxError) || error.code !== 'START_FAILED') throw error;
        reason = error.message;
      }
    if (gvisor === 'required') throw noGvisor(reason);
    return this.#prepare(runDirectory, undefined, reason, signal);
  }

  async #prepare(
    runDirectory: RunDirectory,
    runsc: string | undefined,
    withoutGvisor: string | undefined,
    signal: AbortSignal,
  ): Promise<StartedContainers> {
    const { storageDir = join(runDirectory.path, ownStorage), gate = {}, cpus = 1, maxImageBytes } = this.#options;
    const socketPath = join(runDirectory.path, 'engine.sock');
    const engine = await startPodman({ storageDir, socketPath, gvisor: runsc !== undefined }, signal);
    // Only now: the engine has ended what an earlier worker left in its groups.
    const cgroups = findSharedCgroups();
    try {
      if (cgroups === undefined) throw noGroups();
      const freezers = runsc === undefined ? undefined : findFreezers();
      if (runsc !== undefined && freezers === undefined) throw unusable('Nothing here holds a group between calls');
      const relay = await loadRelayImage(engine.client, runDirectory.path, signal);
      const { path: directory, socketBase } = runDirectory;
      const parts: ContainerParts = {
        ...{ engine: engine.client, apps: engine.apps, cgroups, relay, gate, directory, socketBase, cpus, freezers },
        identities: new IdentityPool(),
      };
      await tryOut(parts, signal);
      if (runsc !== undefined) await tryOutGvisor(parts, runsc, signal);
      const maxBytes = maxImageBytes ?? defaultImageBytes;
      return {
        engine,
        parts,
        shelf: new ImageShelf(engine.client, { directory, maxBytes }),
        cgroups: cgroups.parent,
        walls: wallsOf(engine, cgroups.parent.controllers),
        withoutGvisor,
        lower: async () => {
          await Promise.all(this.#removals);
          await engine.stop();
          await cgroups.parent.remove();
        },
      };
    } catch (error) {
      await engine.stop();
      await cgroups?.parent.remove();
      if (error instanceof SandboxError && error.code === 'PROCESS_FAILED') throw unusable(error.message);
      throw error;
    }
  }

  protected admit({ kind, container }: Workload): void {
    if (container === undefined) throw noContainer(kind);
  }

  protected override overheadOf({ container }: Workload): number {
    return overheadOf(this.started.parts, container?.services.length ?? 0);
  }

  protected async takeProcess(
    workload: Workload,
    { parts }: StartedContainers,
    signal: AbortSignal,
  ): Promise<ContainerProcess> {
    if (workload.container === undefined) throw noContainer(workload.kind);
    const process = await ContainerProcess.start(parts, workload, workload.container, signal);
    const { removed } = process.confined;
    this.#removals.add(removed);
    void removed.then(() => this.#removals.delete(removed));
    return process;
  }
}

/**
 * Ends the containers of a driver that was lost, and with them what they hold of the machine: mounts, groups, locks of the
 * engine's. Only an engine on the same storage knows them. Throws START_FAILED.
 */
async function endLostEngine(directory: string): Promise<void> {
  const storageDir = join(directory, ownStorage);
  if (!existsSync(storageDir)) return;
  const socketPath = join(directory, 'engine.sock');
  // It begins by removing all that is there.
  const engine = await startPodman({ storageDir, socketPath }, AbortSignal.timeout(clearDeadlineMs));
  await engine.stop();
}

function wallsOf({ name, runtime }: Engine, controllers: { pids: boolean; cpu: boolean }): WallReport {
  const by = `${name} with ${runtime}`;
  return {
    network: present(by),
    filesystem: present(by),
    identity: present(
      runtime === gvisorName ? 'a kernel of its own, without capabilities' : 'a user of its own, without capabilities',
    ),
    systemCalls: present(runtime === gvisorName ? 'gVisor, with a seccomp filter inside and around' : 'seccomp filter'),
    memory: present('cgroup'),
    pids: controllers.pids ? present('cgroup') : missing('no control group counts processes here'),
    cpu: controllers.cpu ? present('cgroup') : missing('no control group shares the processor here', 'wall clock'),
  };
}

function unusable(reason: string): SandboxError {
  return new SandboxError({
    code: 'START_FAILED',
    message: `No engine for containers: podman can't run any here. ${reason}`,
    hint: 'Try "podman run" as the worker\'s user, or leave containers to other workers',
  });
}

function noGvisor(reason: string): SandboxError {
  return new SandboxError({
    code: 'START_FAILED',
    message: `Containers are to run in gVisor alone, which does not work here: ${reason}`,
    hint: 'Install runsc, or let containers run without it ("gvisor": "auto")',
  });
}

function noGroups(): SandboxError {
  return new SandboxError({
    code: 'START_FAILED',
    message: 'No engine for containers: no control group can be made here to hold their memory',
    hint: 'Give the worker cgroups, or leave containers to other workers',
  });
}

function noContainer(kind: string): SandboxError {
  return new SandboxError({ code: 'INVALID_WORKLOAD', message: `This driver runs containers, not a "${kind}"` });
}
