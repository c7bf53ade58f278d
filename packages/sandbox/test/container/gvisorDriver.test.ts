import { afterAll, describe, expect, test, vi } from 'vitest';
import { ContainerDriver } from '../../src/index.ts';
import { call, never } from '../calls.ts';
import { sandboxCompliance } from '../compliance.ts';
import { archive, containerWorkload, options, removeFolder, started } from './engine.ts';

vi.setConfig({ testTimeout: 240_000, hookTimeout: 120_000 });
afterAll(removeFolder);

if (typeof started === 'string') test.skip(`containers: in gVisor: ${started}`, () => {});
else {
  const driver = started;
  const image = await driver.loadImage(archive, 'actor', never);
  describe('gVisor', () => {
    // The whole takes a minute of both processors.
    if (process.env.CLOISTER_LONG !== '1') {
      test('runs an app, whose calls are answered', async () => {
        const tenant = await driver.open(containerWorkload(image), { signal: never });
        expect((await call(tenant, '/echo')).outcome.status).toBe('ok');
        await driver.stop();
      });
      return;
    }
    sandboxCompliance({
      name: 'container in gVisor',
      create: () => new ContainerDriver(options()),
      started: driver,
      workload: (overrides) => containerWorkload(image, overrides),
      failure: 'The answer broke off or was not valid HTTP',
      keepsState: true,
      reachesHosts: true,
    });
  });
}
