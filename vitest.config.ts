import { defineConfig } from 'vitest/config';

/** Unit and integration tests of the packages and applications. Contract tests run under Hardhat, scenarios under `npm run e2e`. */
export default defineConfig({
  test: {
    include: [
      'packages/*/{src,test}/**/*.test.ts',
      'apps/*/{src,test}/**/*.test.ts',
      'test/**/*.test.ts',
      'examples/*/test/**/*.test.ts',
    ],
    testTimeout: 20_000,
    hookTimeout: 60_000,
    coverage: {
      provider: 'v8',
      include: ['packages/*/src/**/*.ts', 'apps/*/src/**/*.ts'],
      exclude: ['**/*.test.ts', 'packages/chain/src/generated/**'],
      reporter: ['text-summary', 'lcov'],
    },
  },
});
