import { afterAll, describe, test, vi } from 'vitest';
import { ContainerDriver } from '../../src/index.ts';
import { never } from '../calls.ts';
import { sandboxCompliance } from '../compliance.ts';
import { archive, containerWorkload, options, removeFolder, started } from './engine.ts';

vi.setConfig({ testTimeout: 240_000, hookTimeout: 120_000 });
afterAll(removeFolder);

if (typeof started === 'string') test.skip(`containers: in gVisor: ${started}`, () => {});
else {
  const driver = started;
  const image = await driver.loadImage(archive, 'actor', never);
  describe('gVisor', () => {
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
