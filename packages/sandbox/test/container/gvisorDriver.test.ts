import { afterAll, describe, expect, test, vi } from 'vitest';
import { call, never } from '../calls.ts';
import { sandboxCompliance } from '../compliance.ts';
import { archive, containerSubject, containerWorkload, removeFolder, started } from './engine.ts';

vi.setConfig({ testTimeout: 240_000, hookTimeout: 120_000 });
afterAll(removeFolder);

if (typeof started === 'string') test.skip(`containers: in gVisor: ${started}`, () => {});
else {
  const driver = started;
  const image = await driver.loadImage(archive, 'actor', never);
  describe('gVisor', () => {
    // The whole takes a minute of both processors.
    if (process.env.CLOISTER_LONG === '1') sandboxCompliance(containerSubject('container in gVisor', driver, image));
    else {
      afterAll(() => driver.stop());
      test('runs an app, whose calls are answered', async () => {
        const tenant = await driver.open(containerWorkload(image), { signal: never });
        expect((await call(tenant, '/echo')).outcome.status).toBe('ok');
      });
    }
  });
}
