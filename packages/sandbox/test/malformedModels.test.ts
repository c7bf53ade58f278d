import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { tinyModel } from '../../../examples/chat/tinyModel.ts';
import {
  createModelDriver,
  type LimitName,
  type ModelDriver,
  type ModelEngineName,
  type Outcome,
} from '../src/index.ts';
import { checkGguf } from '../src/model/engines/ggufHeader.ts';
import { checkOnnx } from '../src/model/engines/onnxHeader.ts';
import { call, never } from './calls.ts';
import { functionWorkload } from './functionWorkload.ts';
import { greedyOnnx, lyingGguf, lyingOnnx, onnxRequest } from './lyingModels.ts';
import { mutate } from './mutations.ts';
import { field, message, number, tinyOnnx } from './tinyOnnx.ts';

/** Weights that say what isn't so, to the checks before the engines and to the engines themselves. */
const isLong = process.env.CLOISTER_LONG === '1';
const onnxEngines: readonly ModelEngineName[] = isLong ? ['onnxruntime', 'onnxruntime-web'] : ['onnxruntime'];
const MiB = 1024 * 1024;
const slow = { timeout: isLong ? 900_000 : 90_000 };
const folder = mkdtempSync(join(tmpdir(), 'cloister-malformed-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

describe('the checks before any engine', () => {
  test.each<[string, Uint8Array, (path: string) => void]>([
    ['ONNX', tinyOnnx(), checkOnnx],
    ['GGUF', tinyModel().subarray(0, 20_000), checkGguf],
  ])('of %s pass or refuse by name, whatever was changed', (name, original, check) => {
    const file = join(folder, `${name}.bin`);
    const count = isLong ? 20_000 : 300;
    let refused = 0;
    for (let seed = 1; seed <= count; seed += 1) {
      writeFileSync(file, mutate(original, seed));
      try {
        check(file);
      } catch (error) {
        expect({ seed, error }).toMatchObject({ seed, error: { name: 'MalformedFileError' } });
        refused += 1;
      }
    }
    expect(refused).toBeGreaterThan(count / 10);
  });

  test('of ONNX refuse a tensor of another file, wherever it stands', () => {
    const file = join(folder, 'external.onnx');
    const external = message([number(1, 4), number(2, 1), field(13, message([field(1, 'location'), field(2, 'x')]))]);
    const located = message([number(1, 4), number(2, 1), number(14, 1)]);
    const attribute = (id: number, content: Buffer) => message([field(1, 'a'), field(id, content)]);
    const inGraph = (tensor: Buffer) => message([field(2, 'g'), field(5, tensor)]);
    const inNode = (given: Buffer) => message([field(4, 'If'), field(5, given)]);
    const model = (id: number, content: Buffer) =>
      message([number(1, 8), field(7, message([field(2, 'g')])), field(id, content)]);
    for (const tensor of [external, located]) {
      const places = [
        model(7, inGraph(tensor)),
        model(7, message([field(15, field(1, tensor))])),
        model(7, field(1, inNode(attribute(5, tensor)))),
        model(7, field(1, inNode(attribute(10, tensor)))),
        model(7, field(1, inNode(attribute(22, field(2, tensor))))),
        model(7, field(1, inNode(attribute(6, field(1, inNode(attribute(11, inGraph(tensor)))))))),
        model(20, field(2, inGraph(tensor))),
        model(25, field(7, inNode(attribute(5, tensor)))),
        model(25, field(11, attribute(5, tensor))),
      ];
      for (const [index, bytes] of places.entries()) {
        writeFileSync(file, bytes);
        expect(() => checkOnnx(file), `${index}`).toThrow(/in another file/);
      }
    }
    // Numbers below zero, and the word that a tensor is where it should be, are in order.
    const minusOne = Buffer.from('18ffffffffffffffffff01', 'hex');
    writeFileSync(file, model(7, message([inNode(minusOne), field(5, message([number(1, 4), number(14, 0)]))])));
    checkOnnx(file);
  });

  test('of ONNX refuse what two readers would read differently', () => {
    const file = join(folder, 'odd.onnx');
    const head = message([number(1, 8), field(7, message([field(2, 'g')]))]);
    // Field 7 by a tag of five bytes, of which a reader of 32 bits sees the lower four.
    writeFileSync(file, Buffer.concat([head, Buffer.from('ba8080801000', 'hex')]));
    expect(() => checkOnnx(file)).toThrow(/has a field/);
    // A node longer than its graph.
    writeFileSync(file, Buffer.concat([number(1, 8), Buffer.from('3a040a08', 'hex'), Buffer.alloc(20)]));
    expect(() => checkOnnx(file)).toThrow(/are left|beyond/);
    let deep = message([field(2, 'g')]);
    for (let level = 0; level < 40; level += 1) deep = field(1, field(5, field(6, deep)));
    writeFileSync(file, message([number(1, 8), field(7, deep)]));
    expect(() => checkOnnx(file)).toThrow(/nested deeper/);
  });
});

describe('an engine that is given', () => {
  let driver: ModelDriver;
  beforeAll(async () => {
    driver = createModelDriver({ restarts: { burst: 100, perSecond: 10 } });
    await driver.start({ signal: never });
  });
  afterAll(() => driver.stop());

  const open = (engine: ModelEngineName, bytes: Uint8Array, wallMs = 30_000) => {
    const weightsFile = join(folder, `${Math.random()}.weights`);
    writeFileSync(weightsFile, bytes, { mode: 0o444 });
    const model = { engine, name: 'tiny', weightsFile, contextTokens: 256, maxTokens: 8 };
    const limits = { wallMs, memoryBytes: 192 * MiB };
    return driver.open(functionWorkload('', { kind: 'model', model, limits }), { signal: never });
  };

  const infer = { path: '/v1/infer', body: onnxRequest };
  const complete = {
    path: '/v1/completions',
    body: JSON.stringify({ model: 'tiny', prompt: 'the river', max_tokens: 4, seed: 1 }),
  };

  /** How a call of these weights ends, beside a model of somebody else that must not notice. */
  const outcomeOf = async (
    engine: ModelEngineName,
    bytes: Uint8Array,
    wallMs?: number,
  ): Promise<Outcome & { answered: number }> => {
    const { path, body } = engine === 'llama-cpp' ? complete : infer;
    const tenant = await open(engine, bytes, wallMs);
    const { outcome, status } = await call(tenant, path, { method: 'POST', body: Buffer.from(body) });
    await tenant.close();
    return { ...outcome, answered: status };
  };

  /** By name, without the engine's own words, and without anything of the machine's. */
  const isNamed = (name: string, { status, limit, message = '' }: Outcome): void => {
    expect({ name, known: ['ok', 'app-error', 'limit'].includes(status) }).toEqual({ name, known: true });
    if (status === 'limit')
      expect({ name, limit }).toMatchObject({ name, limit: expect.stringMatching(/^(?:memory|wall|cpu)$/) });
    if (status === 'app-error') expect(message.length).toBeGreaterThan(0);
    expect(message).not.toMatch(/root:|import |BEGIN/);
  };

  test.each(onnxEngines)('%s refuses ONNX that lies by name, and others go on', slow, async (engine) => {
    const witness = await open(engine, tinyOnnx());
    for (const [name, bytes] of Object.entries(lyingOnnx).filter((_, index) => isLong || index % 4 === 2)) {
      const outcome = await outcomeOf(engine, bytes);
      isNamed(name, outcome);
      expect({ name, status: outcome.status }).not.toEqual({ name, status: 'ok' });
      expect((await call(witness, '/v1/model')).outcome.status).toBe('ok');
    }
    await witness.close();
  });

  test.each(onnxEngines)('%s ends by a limit where ONNX asks for more than there is', slow, async (engine) => {
    const witness = await open(engine, tinyOnnx());
    for (const [name, { file, limits }] of Object.entries(greedyOnnx)) {
      // One that can only be waited for isn't given long.
      const outcome = await outcomeOf(engine, file, limits.includes('memory') ? 15_000 : 1500);
      isNamed(name, outcome);
      // An allocation that is refused is the engine's own error.
      if (outcome.status !== 'app-error' || !limits.includes('memory'))
        expect({ name, limit: outcome.limit }).toEqual({ name, limit: expect.stringMatching(limits.join('|')) });
      expect((await call(witness, '/v1/model')).outcome.status).toBe('ok');
    }
    await witness.close();
  });

  test.each<readonly [ModelEngineName, () => Uint8Array]>([
    ...onnxEngines.map((engine) => [engine, tinyOnnx] as const),
    ['llama-cpp', tinyModel] as const,
  ])('%s with changed bytes ends by name, and others go on', slow, async (engine, original) => {
    const witness = await open(engine, original());
    for (let seed = 1; seed <= (isLong ? 150 : 2); seed += 1) {
      isNamed(`seed ${seed}`, await outcomeOf(engine, mutate(original(), seed)));
      const path = engine === 'llama-cpp' ? '/v1/models' : '/v1/model';
      expect((await call(witness, path)).outcome.status).toBe('ok');
    }
    await witness.close();
  });

  test('GGUF whose numbers fit nothing ends by name, and others go on', slow, async () => {
    const witness = await open('llama-cpp', tinyModel());
    const lies = Object.entries(lyingGguf());
    const ends = new Set<LimitName | Outcome['status']>();
    for (const [name, bytes] of lies.filter((_, index) => isLong || index % 24 === 0)) {
      const outcome = await outcomeOf('llama-cpp', bytes);
      isNamed(name, outcome);
      ends.add(outcome.limit ?? outcome.status);
      expect((await call(witness, '/v1/models')).outcome.status).toBe('ok');
    }
    expect(ends).toContain('app-error');
    await witness.close();
  });
});
