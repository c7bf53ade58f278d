import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { tryWrite } from './groupFiles.ts';

/** Holds all processes of a control group where they are, traced ones too, which a signal would not. */
export interface Freezer {
  /** False where the kernel refuses it, or has no such group. */
  freeze(): boolean;
  thaw(): void;
}

/**
 * Of a group, by its path as engines are told of it: the freezer's own tree where the kernel mounts one (version 1,
 * cgroup-v1/freezer-subsystem.rst), else the file that every group of version 2 has. Undefined where neither is.
 */
export function findFreezers(
  mountinfo: string = readFileSync('/proc/self/mountinfo', 'utf8'),
): ((path: string) => Freezer) | undefined {
  const place = freezerPlace(mountinfo);
  if (place === undefined) return undefined;
  const [frozen, thawed] = place.version === 1 ? ['FROZEN', 'THAWED'] : ['1', '0'];
  return (path) => {
    const file = join(place.point, path, place.version === 1 ? 'freezer.state' : 'cgroup.freeze');
    return {
      freeze: () => existsSync(file) && tryWrite(file, frozen),
      thaw: () => void tryWrite(file, thawed),
    };
  };
}

function freezerPlace(mountinfo: string): { readonly version: 1 | 2; readonly point: string } | undefined {
  const mounts = mountinfo.split('\n').flatMap((line) => {
    const [before = '', after = ''] = line.split(' - ');
    const [type = '', , options = ''] = after.split(' ');
    const point = before.split(' ')[4];
    return point === undefined ? [] : [{ type, options: options.split(','), point }];
  });
  const own = mounts.find(({ type, options }) => type === 'cgroup' && options.includes('freezer'));
  if (own !== undefined) return { version: 1, point: own.point };
  // A tree of version 2 beside those of version 1 holds no group that an engine makes there.
  const unified = mounts.some(({ type }) => type === 'cgroup')
    ? undefined
    : mounts.find(({ type }) => type === 'cgroup2');
  return unified === undefined ? undefined : { version: 2, point: unified.point };
}
