import { afterEach, expect, test } from 'vitest';
import {
  createFunctionDriver,
  MemoryBudget,
  runtimeOverheadBytes,
  WasmDriver,
  wasmOverheadBytes,
} from '../src/index.ts';
import { call, codeOf, never } from './calls.ts';
import { actorWorkload } from './functionWorkload.ts';
import { actorModule } from './wasm/actor.ts';

const MiB = 1024 * 1024;
const drivers: { stop(): Promise<void> }[] = [];
afterEach(async () => {
  for (const driver of drivers.splice(0)) await driver.stop();
});

test('drivers of one machine promise no more memory together than it has, however little their tenants use', async () => {
  const [aFunction, aModule] = [128 * MiB + runtimeOverheadBytes, 64 * MiB + wasmOverheadBytes];
  const memory = new MemoryBudget(2 * aFunction + aModule + 10 * MiB);
  const functions = createFunctionDriver({ memory, pooled: 0 });
  const modules = new WasmDriver({ memory, pooled: 0 });
  drivers.push(functions, modules);
  for (const driver of [functions, modules]) await driver.start({ signal: never });

  const one = await functions.open(actorWorkload(), { signal: never });
  const small = await modules.open(actorModule({ limits: { memoryBytes: 64 * MiB } }), { signal: never });
  const two = await functions.open(actorWorkload(), { signal: never });
  const promised = memory.promisedBytes;
  const third = functions.open(actorWorkload(), { signal: never });
  await expect(third).rejects.toMatchObject({ code: 'SANDBOX_FULL', retry: true });
  await expect(
    modules.open(actorModule({ limits: { memoryBytes: 4096 * MiB } }), { signal: never }),
  ).rejects.toMatchObject({ code: 'SANDBOX_FULL', retry: false });
  // Nobody who was there before is worse off.
  expect(memory.promisedBytes).toBe(promised);
  for (const tenant of [one, small, two]) expect((await call(tenant, '/echo')).outcome.status).toBe('ok');
  // A process that was ended by its limit keeps its tenant's promise: the next one gets it.
  const [, killed] = await Promise.all([one.close(), call(two, '/memory')]);
  expect(killed.outcome.limit).toBe('memory');
  expect(memory.promisedBytes).toBe(promised - aFunction);
  const late = await functions.open(actorWorkload(), { signal: never });
  expect((await call(late, '/echo')).outcome.status).toBe('ok');
  for (const tenant of [small, two, late]) await tenant.close();
  expect(memory.promisedBytes).toBe(0);
});

test('waiting processes count, and a driver whose own do not fit says so', async () => {
  const memory = new MemoryBudget(3 * runtimeOverheadBytes);
  const driver = createFunctionDriver({ memory, pooled: 2 });
  drivers.push(driver);
  await driver.start({ signal: never });
  expect(memory.promisedBytes).toBe(2 * runtimeOverheadBytes);
  expect(await codeOf(createFunctionDriver({ memory, pooled: 2 }).start({ signal: never }))).toBe('SANDBOX_FULL');
  await driver.stop();
  expect(memory.promisedBytes).toBe(0);
});

test('a workload that can not be opened leaves nothing promised', async () => {
  const memory = new MemoryBudget(1024 * MiB);
  const driver = createFunctionDriver({ memory, pooled: 0 });
  drivers.push(driver);
  await driver.start({ signal: never });
  expect(await codeOf(driver.open(actorWorkload({ tenant: '0x12' }), { signal: never }))).toBe('INVALID_WORKLOAD');
  expect(await codeOf(driver.open(actorWorkload(), { signal: AbortSignal.abort() }))).toBe('ABORTED');
  const abort = new AbortController();
  const opening = codeOf(driver.open(actorWorkload(), { signal: abort.signal }));
  abort.abort();
  expect(await opening).toBe('ABORTED');
  expect(memory.promisedBytes).toBe(0);
});
