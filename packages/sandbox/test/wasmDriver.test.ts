import { WasmDriver } from '../src/index.ts';
import { sandboxCompliance } from './compliance.ts';
import { behindWalls, driverOptions } from './jails.ts';
import { actorModule } from './wasm/actor.ts';

behindWalls(
  (set) => {
    sandboxCompliance({
      name: 'wasm',
      create: () => new WasmDriver(driverOptions(set)),
      workload: actorModule,
      failure: 'The module ended with the code 1',
      keepsState: false,
      reachesHosts: false,
    });
  },
  { short: 'namespaces without cgroups' },
);
