import { fileURLToPath } from 'node:url';
import { createModelDriver, type ModelDriverOptions, type ModelEngineName, type Workload } from '../src/index.ts';
import type { WorkloadOverrides } from './calls.ts';
import { sandboxCompliance } from './compliance.ts';
import { functionWorkload } from './functionWorkload.ts';
import { behindWalls, type WallSet } from './jails.ts';

const directory = fileURLToPath(new URL('modelEngines', import.meta.url));
const options = ({ jail, cgroups }: WallSet): ModelDriverOptions => ({
  ...{ jail, cgroups, restarts: { burst: 100, perSecond: 10 } },
  unsafeEngine: { directory, module: 'actor.ts' },
});
const workload = (engine: ModelEngineName, overrides: WorkloadOverrides = {}): Workload =>
  functionWorkload('', {
    kind: 'model',
    model: {
      engine,
      name: 'actor',
      weightsFile: fileURLToPath(import.meta.url),
      contextTokens: 1,
      maxTokens: 1,
    },
    ...overrides,
  });

/** What opens a model stands in for each engine: the walls, limits and words around it are what is tested. */
const engines: readonly ModelEngineName[] =
  process.env.CLOISTER_LONG === '1' ? ['llama-cpp', 'onnxruntime-web'] : ['llama-cpp'];

behindWalls(
  (set) => {
    for (const engine of engines)
      sandboxCompliance({
        name: engine === 'llama-cpp' ? 'model' : `model on ${engine}`,
        create: () => createModelDriver(options(set)),
        workload: (overrides) => workload(engine, overrides),
        failure: 'the handler failed',
        keepsState: true,
        reachesHosts: false,
      });
  },
  { short: 'namespaces without cgroups' },
);
