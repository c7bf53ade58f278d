import { fileURLToPath } from 'node:url';
import { createModelDriver, type ModelDriverOptions, type Workload } from '../src/index.ts';
import type { WorkloadOverrides } from './calls.ts';
import { sandboxCompliance } from './compliance.ts';
import { functionWorkload } from './functionWorkload.ts';
import { behindWalls, type WallSet } from './jails.ts';

const directory = fileURLToPath(new URL('modelEngines', import.meta.url));
const options = ({ jail, cgroups }: WallSet): ModelDriverOptions => ({
  ...{ jail, cgroups, restarts: { burst: 100, perSecond: 10 } },
  unsafeEngine: { directory, module: 'actor.ts' },
});
const workload = (overrides: WorkloadOverrides = {}): Workload =>
  functionWorkload('', {
    kind: 'model',
    model: {
      engine: 'llama-cpp',
      name: 'actor',
      weightsFile: fileURLToPath(import.meta.url),
      contextTokens: 1,
      maxTokens: 1,
    },
    ...overrides,
  });

behindWalls(
  (set) => {
    sandboxCompliance({
      name: 'model',
      create: () => createModelDriver(options(set)),
      workload,
      failure: 'the handler failed',
      keepsState: true,
      reachesHosts: false,
    });
  },
  { short: 'namespaces without cgroups' },
);
