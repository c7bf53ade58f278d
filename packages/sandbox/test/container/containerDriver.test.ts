import { afterAll, describe, test, vi } from 'vitest';
import { never } from '../calls.ts';
import { sandboxCompliance } from '../compliance.ts';
import { archive, containerSubject, removeFolder, started } from './engine.ts';

vi.setConfig({ testTimeout: 60_000, hookTimeout: 60_000 });
afterAll(removeFolder);

if (typeof started === 'string') test.skip(`containers: ${started}`, () => {});
else {
  const driver = started;
  const image = await driver.loadImage(archive, 'actor', never);
  describe('podman', () => {
    sandboxCompliance(containerSubject('container', driver, image));
  });
}
