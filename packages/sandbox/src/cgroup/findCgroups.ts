import { mkdirSync, readFileSync } from 'node:fs';
import { join, relative } from 'node:path';
import type { CgroupParent } from './cgroup.ts';
import { openCgroupV1, type V1Directories } from './cgroupV1.ts';
import { openCgroupV2 } from './cgroupV2.ts';

/** Where the kernel's cgroup trees are, and where this process stands in them. */
export type CgroupPlace = {
  readonly v1: V1Directories;
  readonly v2?: { readonly own: string; readonly mountPoint: string };
};

/** Groups of the version that holds the memory controller, or undefined where this process may make none. */
export function findCgroups(): CgroupParent | undefined {
  let place: CgroupPlace;
  try {
    place = parseCgroupPlace(readFileSync('/proc/self/cgroup', 'utf8'), readFileSync('/proc/self/mountinfo', 'utf8'));
  } catch {
    return undefined;
  }
  if (place.v1.memory !== undefined) return openCgroupV1(place.v1);
  return place.v2 === undefined ? undefined : openCgroupV2(place.v2.own, place.v2.mountPoint);
}

/** Groups that an engine can make its own below: by the same path in the tree of every controller. */
export type SharedCgroups = {
  readonly parent: CgroupParent;
  /** How an engine is told of a group that `parent` made. */
  readonly pathOf: (name: string) => string;
};

/** Undefined where this process may make none, or none that hold memory. */
export function findSharedCgroups(): SharedCgroups | undefined {
  let found: { readonly place: CgroupPlace; readonly mounts: readonly CgroupMount[] };
  try {
    const [cgroup, mountinfo] = [
      readFileSync('/proc/self/cgroup', 'utf8'),
      readFileSync('/proc/self/mountinfo', 'utf8'),
    ];
    found = { place: parseCgroupPlace(cgroup, mountinfo), mounts: mountinfo.split('\n').flatMap(parseCgroupMount) };
  } catch {
    return undefined;
  }
  const { place, mounts } = found;
  const { memory } = place.v1;
  const mountPoint = memory === undefined ? place.v2?.mountPoint : pointOf('memory', mounts);
  const parent =
    memory === undefined || mountPoint === undefined
      ? findCgroups()
      : openCgroupV1(sharedDirectories(relative(mountPoint, memory), mounts));
  if (parent === undefined || mountPoint === undefined || !parent.controllers.memory) return undefined;
  return { parent, pathOf: (name) => `/${relative(mountPoint, join(parent.base, name))}` };
}

/** This process may be in groups of different paths; an engine knows only one. */
function sharedDirectories(path: string, mounts: readonly CgroupMount[]): V1Directories {
  const directories: { -readonly [Key in keyof V1Directories]: V1Directories[Key] } = {};
  for (const controller of v1Controllers) {
    const point = pointOf(controller, mounts);
    if (point === undefined) continue;
    const directory = join(point, path);
    try {
      mkdirSync(directory, { recursive: true });
      directories[controller] = directory;
    } catch {
      // A controller that this process may not use.
    }
  }
  return directories;
}

function pointOf(controller: string, mounts: readonly CgroupMount[]): string | undefined {
  return mounts.find(({ controllers }) => controllers.includes(controller))?.point;
}

const v1Controllers = ['memory', 'pids', 'cpu', 'cpuacct'] as const;

/** Reads `/proc/self/cgroup` (cgroups(7)) and `/proc/self/mountinfo` (proc(5)). */
export function parseCgroupPlace(cgroup: string, mountinfo: string): CgroupPlace {
  const mounts = mountinfo.split('\n').flatMap(parseCgroupMount);
  const v1: { -readonly [Key in keyof V1Directories]: V1Directories[Key] } = {};
  let v2: CgroupPlace['v2'];
  for (const line of cgroup.split('\n')) {
    const [, names, path] = /^\d+:([^:]*):(.*)$/.exec(line) ?? [];
    if (names === undefined || path === undefined) continue;
    for (const controller of v1Controllers.filter((name) => names.split(',').includes(name))) {
      const mount = mounts.find((candidate) => candidate.controllers.includes(controller));
      if (mount !== undefined) v1[controller] = join(mount.point, relativeTo(mount.root, path));
    }
    const mount = mounts.find((candidate) => candidate.version === 2);
    if (names === '' && mount !== undefined)
      v2 = { own: join(mount.point, relativeTo(mount.root, path)), mountPoint: mount.point };
  }
  return { v1, ...(v2 === undefined ? {} : { v2 }) };
}

type CgroupMount = { version: 1 | 2; root: string; point: string; controllers: readonly string[] };

function parseCgroupMount(line: string): CgroupMount[] {
  const [before, after] = line.split(' - ');
  const [, , , root, point] = before?.split(' ') ?? [];
  const [type, , options] = after?.split(' ') ?? [];
  if (root === undefined || point === undefined) return [];
  if (type === 'cgroup2') return [{ version: 2, root, point, controllers: [] }];
  if (type === 'cgroup') return [{ version: 1, root, point, controllers: options?.split(',') ?? [] }];
  return [];
}

/** A container may see only a part of the tree, mounted at `root`; its own path is given from the top. */
function relativeTo(root: string, path: string): string {
  if (path === '/') return '';
  if (root === '/' || !(path === root || path.startsWith(`${root}/`))) return path;
  return path.slice(root.length);
}
