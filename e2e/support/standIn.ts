import fs from 'node:fs';
import path from 'node:path';
import type { RunningDevnet } from '../devnet.ts';
import { type AppProcess, startApp } from './appProcess.ts';
import { partOf } from './processes.ts';
import { until } from './until.ts';

export type StandInOptions = {
  readonly folder: string;
  readonly signal: AbortSignal;
  /** Modules loaded before the program, as URLs. */
  readonly imports?: readonly string[];
  /** What its configuration says otherwise than the launcher's. */
  readonly config?: object;
};

/**
 * Starts a gatekeeper of a running network anew, as the scenario's own process: with modules of the test's loaded before it, which a
 * launcher hands to nobody. The launcher's process is put to sleep first, since it would start another where that one ended; the new
 * one opens what its device sealed, as after any restart. `stop` ends both, and the launcher starts its own again.
 */
export async function standIn(network: RunningDevnet, name: string, options: StandInOptions): Promise<AppProcess> {
  const { folder, signal, imports } = options;
  const file = path.join(network.data, 'logs', `${name}.json`);
  // One that sleeps before it was ready would be ended by its launcher, and another started.
  const pid = await until(
    `${name} runs and is ready`,
    () => {
      const running = partOf(network.pid, name);
      const said = fs.readFileSync(path.join(network.data, 'logs', `${name}.log`), 'utf8');
      return said.includes(`"ready":true,"name":"gatekeeper","pid":${running},`) && running;
    },
    { signal, withinMs: 60_000 },
  );
  const config = { ...(JSON.parse(fs.readFileSync(file, 'utf8')) as object), ...options.config };
  process.kill(pid, 'SIGSTOP');
  // Woken, it would go on with what it remembers, which is no longer so.
  const end = () => process.kill(pid, 'SIGKILL');
  try {
    const started = await startApp('gatekeeper', {
      config,
      folder,
      signal,
      ...(imports === undefined ? {} : { imports }),
    });
    return { ...started, stop: () => started.stop().finally(end) };
  } catch (error) {
    end();
    throw error;
  }
}

/** The URL of a module in e2e/preloads, with what it is told. */
export function preload(name: 'wrongClock' | 'oneRoad', parameters: Readonly<Record<string, number>>): string {
  const url = new URL(`../preloads/${name}.ts`, import.meta.url);
  for (const [key, value] of Object.entries(parameters)) url.searchParams.set(key, String(value));
  return url.href;
}
