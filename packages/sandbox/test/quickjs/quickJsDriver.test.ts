import { QuickJsDriver } from '../../src/index.ts';
import { sandboxCompliance } from '../compliance.ts';
import { behindWalls, driverOptions } from '../jails.ts';
import { actorWorkload } from './workload.ts';

behindWalls(
  (set) =>
    sandboxCompliance({
      name: 'deterministic function',
      create: () => new QuickJsDriver(driverOptions(set)),
      workload: actorWorkload,
      failure: 'Error: the handler failed\n    at fetch (app.js:20:19)',
      keepsState: false,
      reachesHosts: false,
    }),
  { short: 'bubblewrap with cgroups' },
);
