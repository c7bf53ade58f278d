import { createFunctionDriver, type FunctionDriverOptions } from '../src/index.ts';
import { never } from './compliance.ts';

/** The sets of walls that can be had on one machine or another, each to be tested wherever it can be built. */
export const wallSets = [
  { name: 'bubblewrap with cgroups', jail: 'bubblewrap', cgroups: true },
  { name: 'bubblewrap without cgroups', jail: 'bubblewrap', cgroups: false },
  { name: 'namespaces with cgroups', jail: 'namespaces', cgroups: true },
  { name: 'namespaces without cgroups', jail: 'namespaces', cgroups: false },
] as const satisfies readonly ({ name: string } & FunctionDriverOptions)[];

/** Those of them that this machine has. */
export async function availableWallSets(): Promise<
  { name: string; options: FunctionDriverOptions; missing: boolean }[]
> {
  const found = [];
  for (const { name, jail, cgroups } of wallSets) {
    const options: FunctionDriverOptions = { jail, cgroups, pooled: 1, restarts: { burst: 100, perSecond: 10 } };
    const driver = createFunctionDriver({ ...options, pooled: 0 });
    await driver.start({ signal: never });
    const { network, memory } = driver.walls;
    found.push({ name, options, missing: !network.present || (memory.by === 'cgroup') !== cgroups });
    await driver.stop();
  }
  return found;
}
