import { describe, test } from 'vitest';
import { createFunctionDriver, type FunctionDriverOptions } from '../src/index.ts';
import { never } from './calls.ts';

export type WallSet = { readonly name: string; readonly jail: 'bubblewrap' | 'namespaces'; readonly cgroups: boolean };

/** The sets of walls that can be had on one machine or another. */
const wallSets = [
  { name: 'bubblewrap with cgroups', jail: 'bubblewrap', cgroups: true },
  { name: 'namespaces without cgroups', jail: 'namespaces', cgroups: false },
  { name: 'bubblewrap without cgroups', jail: 'bubblewrap', cgroups: false },
  { name: 'namespaces with cgroups', jail: 'namespaces', cgroups: true },
] as const satisfies readonly WallSet[];

const found = await Promise.all(wallSets.map(async (set) => ({ set, missing: await isMissing(set) })));

/**
 * Runs tests behind each set of walls, or behind two that have nothing in common where `long` isn't asked for. One that
 * can't be built here is one skipped test; the other with the same jail or the same groups then takes its place.
 * @param options `short`: in the short run this set alone, where it can be had: for kinds that share their walls with others
 */
export function behindWalls(
  tests: (set: WallSet) => void,
  {
    all = process.env.CLOISTER_LONG === '1',
    short,
  }: { readonly all?: boolean; readonly short?: (typeof wallSets)[number]['name'] } = {},
): void {
  const available = found.filter(({ missing }) => !missing).map(({ set }) => set);
  for (const { set, missing } of found) {
    if (missing) test.skip(`${set.name}: can't be built here`, () => {});
  }
  const diagonal = available.filter(({ name }) => wallSets.findIndex((set) => set.name === name) < 2);
  const usual = diagonal.length === 0 ? available : diagonal;
  const asked = available.filter(({ name }) => name === short);
  const chosen = all ? available : asked.length > 0 ? asked : usual;
  for (const set of chosen) describe(set.name, () => tests(set));
}

export function driverOptions({ jail, cgroups }: WallSet): FunctionDriverOptions {
  return { jail, cgroups, pooled: 1, restarts: { burst: 100, perSecond: 10 } };
}

async function isMissing(set: WallSet): Promise<boolean> {
  const driver = createFunctionDriver({ ...driverOptions(set), pooled: 0 });
  await driver.start({ signal: never });
  const { network, memory } = driver.walls;
  await driver.stop();
  return !network.present || (memory.by === 'cgroup') !== set.cgroups;
}
