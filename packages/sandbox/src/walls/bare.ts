import { join } from 'node:path';
import { type Jail, type JailPlan, missing } from './jail.ts';

/** No jail: a process of its own, and nothing more. For systems that have no namespaces. */
export function bareJail(plan: JailPlan, reason: string): Jail {
  return {
    name: 'none',
    separatesUsers: false,
    walls: {
      network: missing(reason),
      filesystem: missing(reason),
      identity: missing(reason),
      systemCalls: missing(reason),
    },
    command: async (process) => [
      plan.executable,
      ...process.args({
        runDir: process.runDir,
        file: (name) => process.files[name] ?? plan.directories?.[name] ?? join(plan.scratchDir, name),
      }),
    ],
  };
}
