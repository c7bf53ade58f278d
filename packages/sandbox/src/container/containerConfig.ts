import type { ContainerService } from '../sandbox.ts';
import type { Identity } from '../walls/identity.ts';
import { commandOf } from '../workload.ts';
import { proxyPort } from './compose/ports.ts';

/** A file or folder of the host, by its place inside. */
export type Mount = { readonly source: string; readonly target: string; readonly readOnly: boolean };

/** What the walls of a container depend on. */
export type ContainerWalls = {
  /** Whom all of its processes run as. */
  readonly identity: Identity;
  /** The control group that the engine makes one below, as engines are told of it. */
  readonly cgroupPath: string;
  readonly memoryBytes: number;
  readonly labels: Readonly<Record<string, string>>;
};

const tmpBytes = 64 * 1024 * 1024;
/** Folders in memory that every container has: an engine that is told nothing of the last two lets each fill half of the machine's. */
const ownFolders = ['/tmp', '/run', '/var/tmp'];
const openFiles = 1_024;
/** Processes and threads of all containers of an app. */
export const maxPids = 512;
/** Where apps for dstack look for the guest agent. */
export const guestSocketPath = '/var/run/dstack.sock';

/** What every container has in common, in the form of the API's "ContainerCreate". */
function walled({ identity, cgroupPath, memoryBytes, labels }: ContainerWalls, mounts: readonly Mount[]) {
  return {
    User: `${identity.uid}:${identity.gid}`,
    Labels: labels,
    Healthcheck: { Test: ['NONE'] },
    HostConfig: {
      ReadonlyRootfs: true,
      CapDrop: ['ALL'],
      SecurityOpt: ['no-new-privileges'],
      IpcMode: 'private',
      ShmSize: tmpBytes,
      CgroupParent: cgroupPath,
      Memory: memoryBytes,
      MemorySwap: memoryBytes,
      Ulimits: [
        { Name: 'nofile', Soft: openFiles, Hard: openFiles },
        // Named, since an engine would otherwise raise it beyond what it may.
        { Name: 'nproc', Soft: maxPids, Hard: maxPids },
        { Name: 'core', Soft: 0, Hard: 0 },
      ],
      LogConfig: { Type: 'none' },
      RestartPolicy: { Name: 'no' },
      Mounts: mounts.map(({ source, target, readOnly }) => ({
        Type: 'bind',
        Source: source,
        Target: target,
        ReadOnly: readOnly,
      })),
    },
  };
}

export type RelayConfig = {
  readonly image: string;
  readonly walls: ContainerWalls;
  readonly mounts: readonly Mount[];
  readonly command: readonly string[];
};

/** The relay: it has the network, with nothing in it but itself. */
export function relayConfig({ image, walls, mounts, command }: RelayConfig): object {
  const common = walled(walls, mounts);
  return {
    ...common,
    Image: image,
    Entrypoint: command,
    Cmd: [],
    Env: [],
    HostConfig: { ...common.HostConfig, NetworkMode: 'none' },
  };
}

export type ServiceConfig = {
  readonly service: ContainerService;
  /** Of all services. */
  readonly serviceNames: readonly string[];
  readonly walls: ContainerWalls;
  /** Whose network it shares. */
  readonly relayId: string;
  /** What the app's manifest and secrets give. */
  readonly env: Readonly<Record<string, string>>;
  /** Files of the host in the place of those that an engine makes after the machine's own. */
  readonly mounts: readonly Mount[];
};

/** Names that lead to this network: there is nobody to ask for others. */
export function hostsFile(serviceNames: readonly string[]): string {
  return ['127.0.0.1 localhost', '::1 localhost', ...serviceNames.map((name) => `127.0.0.1 ${name}`), ''].join('\n');
}

export function serviceConfig({ service, serviceNames, walls, relayId, env, mounts }: ServiceConfig): object {
  const { image, environment, workingDir, tmpfs } = service;
  const common = walled(walls, mounts);
  const folders = new Set([...ownFolders, ...tmpfs, ...image.config.volumes]);
  const variables = {
    ...variablesOf(image.config.environment),
    ...proxyVariables(serviceNames),
    ...environment,
    ...env,
  };
  return {
    ...common,
    Image: `sha256:${image.id.slice(2)}`,
    Hostname: service.name,
    Entrypoint: commandOf(service),
    Cmd: [],
    Env: Object.entries(variables).map(([name, value]) => `${name}=${value}`),
    WorkingDir: workingDir ?? (image.config.workingDir || '/'),
    HostConfig: {
      ...common.HostConfig,
      NetworkMode: `container:${relayId}`,
      Tmpfs: Object.fromEntries([...folders].map((path) => [path, `size=${tmpBytes},mode=1777,nosuid,nodev`])),
    },
  };
}

/** By which programs find the way out: the gate, which lets through what the manifest names; but not to their own services. */
function proxyVariables(serviceNames: readonly string[]): Record<string, string> {
  const [proxy, near] = [`http://127.0.0.1:${proxyPort}`, ['localhost', '127.0.0.1', '::1', ...serviceNames].join()];
  return {
    ...{ http_proxy: proxy, https_proxy: proxy, no_proxy: near },
    ...{ HTTP_PROXY: proxy, HTTPS_PROXY: proxy, NO_PROXY: near },
  };
}

function variablesOf(list: readonly string[]): Record<string, string> {
  return Object.fromEntries(
    list.flatMap((text) => {
      const equals = text.indexOf('=');
      return equals < 1 ? [] : [[text.slice(0, equals), text.slice(equals + 1)]];
    }),
  );
}
