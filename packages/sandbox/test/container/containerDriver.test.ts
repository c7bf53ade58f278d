import { afterAll, describe, test, vi } from 'vitest';
import { ContainerDriver, type LoadedImage } from '../../src/index.ts';
import { never } from '../calls.ts';
import { sandboxCompliance } from '../compliance.ts';
import { archive, containerWorkload, missingEngine, options, removeFolder } from './engine.ts';

// Of these, one starts an engine of its own and gives it an image of 130 MB.
vi.setConfig({ testTimeout: 60_000, hookTimeout: 60_000 });
afterAll(removeFolder);

/** Loads the image when it is started, before there is any workload. */
class DriverOfActor extends ContainerDriver {
  override async start({ signal }: { signal: AbortSignal }): Promise<void> {
    await super.start({ signal });
    image = await this.loadImage(archive, 'actor', never);
  }
}
let image: LoadedImage;
const unloaded: LoadedImage = {
  id: `0x${'0'.repeat(64)}`,
  config: { entrypoint: ['/a'], command: [], environment: [], workingDir: '', volumes: [], diffIds: [] },
};

if (missingEngine !== undefined) test.skip(`containers: ${missingEngine}`, () => {});
else
  describe('podman', () => {
    sandboxCompliance({
      name: 'container',
      create: () => new DriverOfActor(options()),
      workload: (overrides) => containerWorkload(image ?? unloaded, overrides),
      failure: 'The answer broke off or was not valid HTTP',
      keepsState: true,
      reachesHosts: true,
    });
  });
