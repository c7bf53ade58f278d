import { createFunctionDriver } from '../src/index.ts';
import { sandboxCompliance } from './compliance.ts';
import { actorWorkload } from './functionWorkload.ts';
import { behindWalls, driverOptions } from './jails.ts';

behindWalls((set) => {
  sandboxCompliance({
    name: 'function',
    create: () => createFunctionDriver(driverOptions(set)),
    workload: actorWorkload,
    failure: 'the handler failed',
    keepsState: true,
    reachesHosts: true,
  });
});
