import os from 'node:os';
import { configDefaults, defineConfig } from 'vitest/config';

/** What changes the process that it runs in: clocks, listeners, modules put in another's place, programs started. */
const isolated = [
  'packages/{build,enclave,sandbox,service}/{src,test}/**/*.test.ts',
  'packages/sdk/test/call.test.ts',
  'apps/worker/test/registration.test.ts',
  'apps/{cli,devnet}/{src,test}/**/*.test.ts',
  'examples/*/test/**/*.test.ts',
  'test/**/*.test.ts',
];

/** Unit and integration tests of the packages and applications. Contract tests run under Hardhat, scenarios under `npm run e2e`. */
export default defineConfig({
  test: {
    // One more than there are processors: tests of sandboxes and networks mostly wait for other processes.
    maxWorkers: os.availableParallelism() + 1,
    testTimeout: 20_000,
    hookTimeout: 60_000,
    projects: [
      {
        extends: true,
        test: {
          name: 'shared',
          include: ['packages/*/{src,test}/**/*.test.ts', 'apps/*/{src,test}/**/*.test.ts'],
          exclude: [...configDefaults.exclude, ...isolated],
          // Files of one worker share the modules that they import: two minutes less.
          isolate: false,
        },
      },
      { extends: true, test: { name: 'isolated', include: isolated } },
    ],
    coverage: {
      provider: 'v8',
      include: ['packages/*/src/**/*.ts', 'apps/*/src/**/*.ts'],
      exclude: ['**/*.test.ts', 'packages/chain/src/generated/**'],
      reporter: ['text-summary', 'lcov'],
    },
  },
});
