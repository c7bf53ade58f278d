import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import {
  createFunctionDriver,
  createModelDriver,
  type SandboxDriver,
  type Tenant,
  WasmDriver,
  type Workload,
} from '../src/index.ts';
import { call, codeOf, never } from './calls.ts';
import { censusFunction } from './censusFunction.ts';
import { functionWorkload } from './functionWorkload.ts';
import { behindWalls, driverOptions } from './jails.ts';
import { wasmWorkload } from './wasm/actor.ts';
import { censusModule } from './wasm/census.ts';

/**
 * What a tenant can find out while others are there, byte for byte what it finds out alone. Each kind takes its census through
 * its own runtime; code that has broken out, as the kind 'model' has it here, with every call of the system that Node.js makes.
 */
const directory = fileURLToPath(new URL('modelEngines', import.meta.url));
const secret = 'the-secret-of-the-first-tenant';
const first = { tenant: `0x${'aa'.repeat(32)}`, env: { SECRET: secret } } as const;
const second = { tenant: `0x${'bb'.repeat(32)}`, env: { OWN: 'mine' } } as const;

type Kind = {
  readonly driver: SandboxDriver;
  readonly workload: (who: Partial<Workload>) => Workload;
  readonly path: string;
};

behindWalls((set) => {
  const kinds = new Map<string, Kind>();
  const neighbours: Tenant[] = [];
  const pending: Promise<unknown>[] = [];
  const abort = new AbortController();
  let port = 0;
  const metrics = createServer((_request, response) => response.end(`calls{app="${first.tenant}"} 1`));
  beforeAll(async () => {
    const options = driverOptions(set);
    const model = {
      ...({ engine: 'llama-cpp', name: 'attacker', weightsFile: fileURLToPath(import.meta.url) } as const),
      ...{ contextTokens: 1, maxTokens: 1 },
    };
    kinds.set('function', {
      driver: createFunctionDriver(options),
      workload: (who) => functionWorkload(censusFunction, who),
      path: '/census',
    });
    kinds.set('wasm', {
      driver: new WasmDriver(options),
      workload: (who) => wasmWorkload(censusModule(), who),
      path: '/',
    });
    kinds.set('model, broken out', {
      driver: createModelDriver({
        ...options,
        enginesDir: '/nonexistent',
        unsafeEngine: { directory, module: 'attacker.ts' },
      }),
      workload: (who) => functionWorkload('', { kind: 'model', model, ...who }),
      path: '/census',
    });
    for (const { driver } of kinds.values()) await driver.start({ signal: never });
    // As a worker's health server, on a port of this machine.
    await new Promise<void>((resolve) => metrics.listen(0, '127.0.0.1', resolve));
    port = (metrics.address() as AddressInfo).port;
  });
  afterAll(async () => {
    abort.abort();
    await Promise.all(pending);
    for (const { driver } of kinds.values()) await driver.stop();
    metrics.close();
  });

  const census = async ({ driver, workload, path }: Kind): Promise<Buffer> => {
    const tenant = await driver.open(workload(second), { signal: never });
    const { body, outcome } = await call(tenant, `${path}?port=${port}`);
    expect(outcome.status).toBe('ok');
    const again = await call(tenant, path === '/census' ? '/state' : path);
    expect(again.outcome.status).toBe('ok');
    expect(JSON.stringify([tenant.logs(), outcome])).not.toContain(secret);
    await tenant.close();
    return body;
  };

  /** A tenant of each kind that has secrets, prints, keeps things, and is in the middle of calls. */
  const moveIn = async (): Promise<void> => {
    for (const [name, { driver, workload, path }] of kinds) {
      const tenant = await driver.open(workload(first), { signal: never });
      neighbours.push(tenant);
      await call(tenant, name === 'function' ? '/leave' : path);
      if (name.startsWith('model')) {
        // No socket but those of Unix can be had; one of those in no folder is seen by whoever shares its network.
        expect((await call(tenant, '/listen')).body.toString()).toBe('EAFNOSUPPORT, listening');
        pending.push(codeOf(call(tenant, '/busy', { signal: abort.signal })));
      }
    }
  };

  describe('a second tenant', () => {
    test('finds what it finds alone, byte for byte, whoever else is there', async () => {
      const alone = new Map<string, Buffer>();
      for (const [name, kind] of kinds) alone.set(name, await census(kind));
      const { processes } = JSON.parse(String(alone.get('model, broken out')));
      // Nobody else; and a child of its own, which shows that somebody else would be seen.
      expect(processes.alone).toEqual({ others: 'kill ESRCH', groups: [] });
      expect(processes.withChild).toEqual({ others: 'true', groups: ['true'] });
      // Twice alone: whatever differs without anybody else is no finding.
      for (const [name, kind] of kinds)
        expect({ name, found: (await census(kind)).toString('latin1') }).toEqual({
          name,
          found: alone.get(name)?.toString('latin1'),
        });
      await moveIn();
      for (const [name, kind] of kinds) {
        const expected = alone.get(name)?.toString('latin1');
        const found = await census(kind);
        expect({ name, found: found.toString('latin1') }).toEqual({ name, found: expected });
        expect(found.includes(secret)).toBe(false);
        expect(found.length).toBeGreaterThan(1000);
      }
      for (const tenant of neighbours) await tenant.close();
    });
  });
});
