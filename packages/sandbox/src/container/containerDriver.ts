import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { findSharedCgroups } from '../cgroup/findCgroups.ts';
import type { GateOptions } from '../gate/egressGate.ts';
import type { LoadedImage, WallReport, Workload } from '../sandbox.ts';
import { SandboxError } from '../sandboxError.ts';
import { ProcessDriver, type ProcessDriverOptions, type Started } from '../tenant/processDriver.ts';
import type { RunDirectory } from '../tenant/runDirectory.ts';
import { IdentityPool } from '../walls/identity.ts';
import { missing, present } from '../walls/jail.ts';
import { type ContainerParts, ContainerProcess, containerOverheadBytes } from './containerProcess.ts';
import { type Engine, startPodman } from './engine/podmanService.ts';
import { ImageShelf } from './imageShelf.ts';
import { loadRelayImage } from './relayImage.ts';
import { tryOut } from './tryOut.ts';

/** Restarts by default: 10 at once, then one in five seconds. */
export type ContainerDriverOptions = Omit<ProcessDriverOptions, 'jail' | 'cgroups'> & {
  /** Images and containers: a directory of this driver alone, kept over restarts. Default: `engine` in the run directory. */
  readonly storageDir?: string;
  /** Of all images together, without compression. Default 16 GiB. */
  readonly maxImageBytes?: number;
  readonly gate?: GateOptions;
};

const defaultImageBytes = 16 * 1024 ** 3;
/** Where the storage is that nobody keeps, in the run directory. */
const ownStorage = 'engine';
const clearDeadlineMs = 60_000;

type StartedContainers = Started & {
  readonly engine: Engine;
  readonly parts: ContainerParts;
  readonly shelf: ImageShelf;
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

  /** Throws START_FAILED where there is no engine, or no control group to hold memory. */
  protected async prepare(runDirectory: RunDirectory, signal: AbortSignal): Promise<StartedContainers> {
    const { storageDir = join(runDirectory.path, ownStorage), gate = {}, cpus = 1, maxImageBytes } = this.#options;
    const socketPath = join(runDirectory.path, 'engine.sock');
    const engine = await startPodman({ storageDir, socketPath }, signal);
    // Only now: the engine has ended what an earlier worker left in its groups.
    const cgroups = findSharedCgroups();
    try {
      if (cgroups === undefined) throw noGroups();
      const relay = await loadRelayImage(engine.client, runDirectory.path, signal);
      const { path: directory, socketBase } = runDirectory;
      const parts: ContainerParts = {
        ...{ engine: engine.client, cgroups, relay, gate, directory, socketBase, cpus },
        identities: new IdentityPool(),
      };
      await tryOut(parts, signal);
      const maxBytes = maxImageBytes ?? defaultImageBytes;
      return {
        engine,
        parts,
        shelf: new ImageShelf(engine.client, { directory, maxBytes }),
        cgroups: cgroups.parent,
        walls: wallsOf(engine, cgroups.parent.controllers),
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
    identity: present('a user of its own, without capabilities'),
    systemCalls: present('seccomp filter'),
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
