import { describe } from 'vitest';
import { createFunctionDriver } from '../src/index.ts';
import { sandboxCompliance } from './compliance.ts';
import { actorWorkload } from './functionWorkload.ts';
import { availableWallSets } from './jails.ts';

for (const { name, options, missing } of await availableWallSets()) {
  describe.skipIf(missing)(name, () => {
    sandboxCompliance({
      name: 'function',
      create: () => createFunctionDriver(options),
      workload: actorWorkload,
    });
  });
}
