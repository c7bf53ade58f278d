import { spawnSync } from 'node:child_process';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { createModelDriver, type ModelDriver, type ModelEngineName, type Tenant } from '../src/index.ts';
import { tensorsFromBytes, tensorsToBytes } from '../src/model/engines/onnx/tensors.ts';
import { checkOnnx } from '../src/model/engines/onnxHeader.ts';
import { defaultEnginesDir } from '../src/model/installedEngines.ts';
import { call, never } from './calls.ts';
import { functionWorkload } from './functionWorkload.ts';
import { field, message, node, onnxModel, tensor, tinyNetwork, tinyOnnx, value } from './tinyOnnx.ts';

const require = createRequire(import.meta.url);
const rows = [
  [1, 2, 3, 4],
  [-1, 0.5, 0, 2],
];
/** The same network in plain JavaScript. */
const expected = rows.flatMap((row) => {
  const { w1, b1, w2, b2 } = tinyNetwork;
  const sum = (from: readonly number[], weights: readonly number[], bias: readonly number[]) =>
    bias.map((start, column) =>
      from.reduce((all, x, at) => all + x * (weights[at * bias.length + column] ?? 0), start),
    );
  return sum(
    sum(row, w1, b1).map((x) => Math.max(0, x)),
    w2,
    b2,
  );
});
const x = { type: 'float32', shape: [2, 4], data: rows.flat() };

const isLong = process.env.CLOISTER_LONG === '1';
/** The second engine shares all but its opening with the first: the short run has its own tests below. */
const engines: readonly ModelEngineName[] = isLong ? ['onnxruntime', 'onnxruntime-web'] : ['onnxruntime'];

describe.each(engines)('an ONNX model on %s', (engine) => {
  let driver: ModelDriver;
  let folder: string;
  let tenant: Tenant;

  const open = async (name: string, bytes: Uint8Array): Promise<Tenant> => {
    const weightsFile = join(folder, name);
    await writeFile(weightsFile, bytes, { mode: 0o444 });
    const model = { engine, name: 'tiny', weightsFile, contextTokens: 1, maxTokens: 1 } as const;
    return driver.open(functionWorkload('', { kind: 'model', model, limits: { wallMs: 30_000 } }), { signal: never });
  };
  const infer = (body: unknown, headers: [string, string][] = []) =>
    call(tenant, '/v1/infer', {
      method: 'POST',
      headers,
      body: body instanceof Uint8Array ? body : new TextEncoder().encode(JSON.stringify(body)),
    });

  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'cloister-onnx-'));
    driver = createModelDriver();
    await driver.start({ signal: never });
    tenant = await open('tiny.onnx', tinyOnnx());
  });
  afterAll(async () => {
    await driver.stop();
    await rm(folder, { recursive: true });
  });

  test('says what it takes and gives', async () => {
    const { body } = await call(tenant, '/v1/model');
    expect(JSON.parse(body.toString())).toEqual({
      id: 'tiny',
      inputs: [{ name: 'x', type: 'float32', shape: ['n', 4] }],
      outputs: [{ name: 'y', type: 'float32', shape: ['n', 2] }],
    });
  });

  test('computes what the network computes, in JSON', async () => {
    const { body, status, outcome } = await infer({ inputs: { x } });
    expect([status, outcome.status]).toEqual([200, 'ok']);
    const { y } = JSON.parse(body.toString()).outputs;
    expect([y.type, y.shape]).toEqual(['float32', [2, 2]]);
    for (const [index, value] of expected.entries()) expect(y.data[index]).toBeCloseTo(value, 4);
  });

  test('and in safetensors', async () => {
    const given = tensorsToBytes(new Map([['x', { ...x, data: Float32Array.from(x.data) }]]));
    const { body, headers } = await infer(given, [['content-type', 'application/vnd.safetensors']]);
    expect(headers.get('content-type')).toBe('application/vnd.safetensors');
    const y = tensorsFromBytes(body).get('y');
    expect(y?.shape).toEqual([2, 2]);
    for (const [index, value] of expected.entries()) expect(Number(y?.data[index])).toBeCloseTo(value, 4);
  });

  test.each([
    ['no tensors', {}, 'invalid_value'],
    ['a missing input', { inputs: {} }, 'missing_input'],
    ['an unknown input', { inputs: { x, z: x } }, 'unknown_input'],
    ['an unknown output', { inputs: { x }, outputs: ['z'] }, 'unknown_output'],
    ['another type', { inputs: { x: { ...x, type: 'float64' } } }, 'invalid_value'],
    ['another shape', { inputs: { x: { ...x, shape: [4, 2] } } }, 'invalid_value'],
    ['fewer numbers than the shape says', { inputs: { x: { ...x, data: [1] } } }, 'invalid_value'],
    ['a shape of exabytes', { inputs: { x: { ...x, shape: [2 ** 40, 2 ** 40] } } }, 'invalid_value'],
    ['text for numbers', { inputs: { x: { ...x, data: x.data.map(String) } } }, 'invalid_value'],
    ['what is not honoured', { inputs: { x }, more: 1 }, 'unsupported_parameter'],
  ])('refuses %s by name', async (_, body, code) => {
    const { status, body: answer, outcome } = await infer(body);
    expect([status, JSON.parse(answer.toString()).error.code, outcome.status]).toEqual([400, code, 'ok']);
  });

  test.each([
    ['a header longer than the body', Buffer.from('ff00000000000000', 'hex')],
    ['a header that is no JSON', Buffer.from('0200000000000000787a', 'hex')],
    ['nothing', Buffer.alloc(3)],
    [
      'a place outside',
      Buffer.concat([
        Buffer.from('4400000000000000', 'hex'),
        Buffer.from('{"x":{"dtype":"F32","shape":[2,4],"data_offsets":[0,32]}}'.padEnd(0x44)),
      ]),
    ],
  ])('refuses safetensors with %s', async (_, bytes) => {
    const { status, body } = await infer(Uint8Array.from(bytes), [['content-type', 'application/vnd.safetensors']]);
    expect([status, JSON.parse(body.toString()).error.code]).toEqual([400, 'invalid_tensors']);
  });

  test.each([
    ['is cut', tinyOnnx().subarray(0, 100), /are left/],
    ['is none', Buffer.from('\x0f\x0f'), /no ONNX/],
    ['is empty', Buffer.alloc(0), /no ONNX/],
    ['has a graph that lies about its length', Buffer.from('08083affffffff0f', 'hex'), /are left/],
    ['has a graph that the engine refuses', Buffer.from('08083a02ffff', 'hex'), /./],
  ])('a file that %s is an attested failure, and others go on', async (_, bytes, message) => {
    const broken = await open('broken.onnx', bytes);
    expect((await call(broken, '/v1/model')).outcome).toMatchObject({
      status: 'app-error',
      message: expect.stringMatching(message),
    });
    expect((await call(tenant, '/v1/model')).outcome.status).toBe('ok');
    await broken.close();
  });
});

describe('the second engine, in WebAssembly', () => {
  let folder: string;
  let drivers: [ModelDriver, ModelDriver];
  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'cloister-onnx-web-'));
    drivers = [createModelDriver(), createModelDriver()];
    await Promise.all(drivers.map((driver) => driver.start({ signal: never })));
  });
  afterAll(async () => {
    await Promise.all(drivers.map((driver) => driver.stop()));
    await rm(folder, { recursive: true });
  });

  const stored = async (bytes: Uint8Array): Promise<string> => {
    const file = join(folder, `${Math.random()}.onnx`);
    await writeFile(file, bytes, { mode: 0o444 });
    return file;
  };
  const open = async (driver: ModelDriver, engine: ModelEngineName, bytes: Uint8Array): Promise<Tenant> => {
    const model = { engine, name: 'tiny', weightsFile: await stored(bytes), contextTokens: 1, maxTokens: 1 } as const;
    const workload = functionWorkload('', { kind: 'model', model, limits: { wallMs: 30_000 } });
    return driver.open(workload, { signal: never });
  };
  const inferBytes = async (tenant: Tenant, data: Float32Array, width: number) => {
    const { body, outcome } = await call(tenant, '/v1/infer', {
      method: 'POST',
      headers: [['content-type', 'application/vnd.safetensors']],
      body: tensorsToBytes(new Map([['x', { type: 'float32', shape: [data.length / width, width], data }]])),
    });
    expect(outcome.status).toBe('ok');
    return body;
  };

  /** Sums of numbers of many sizes, which come out otherwise in another order, and functions that no two libraries round alike. */
  const width = 96;
  const weights = Array.from({ length: width * width }, (_, at) => Math.sin(at) * 10 ** ((at % 7) - 8));
  const rough = onnxModel(
    message([
      ...[node('MatMul', ['x', 'w'], 'a'), node('Softmax', ['a'], 'b'), node('Erf', ['a'], 'c')],
      ...[node('Exp', ['b'], 'd'), node('Tanh', ['c'], 'e'), node('Mul', ['d', 'e'], 'y')],
      field(2, 'rough'),
      tensor('w', [width, width], weights),
      field(11, value('x', width)),
      field(12, value('y', width)),
    ]),
  );
  const input = Float32Array.from({ length: 4 * width }, (_, at) => Math.cos(at * 1.7) * 10 ** ((at % 5) - 2));

  test('gives the same bytes in two processes, again and again, and what the first one gives to a few bits', async () => {
    const [one, other, native] = await Promise.all([
      open(drivers[0], 'onnxruntime-web', rough),
      open(drivers[1], 'onnxruntime-web', rough),
      open(drivers[0], 'onnxruntime', rough),
    ]);
    const [bytes, again, natives] = await Promise.all([
      inferBytes(one, input, width),
      inferBytes(other, input, width),
      inferBytes(native, input, width),
    ]);
    expect(again).toEqual(bytes);
    expect(await inferBytes(one, input, width)).toEqual(bytes);
    const [y, expected] = [bytes, natives].map((found) => {
      const { shape, data } = tensorsFromBytes(found).get('y') ?? expect.fail('no y');
      return { shape, numbers: Array.from(data, Number) };
    }) as [{ shape: number[]; numbers: number[] }, { shape: number[]; numbers: number[] }];
    expect(y.shape).toEqual([4, width]);
    const differences = y.numbers.map((found, at) => Math.abs(found - (expected.numbers[at] ?? Number.NaN)));
    expect(Math.max(...differences)).toBeLessThan(1e-5);
    expect(new Set(y.numbers).size).toBeGreaterThan(100);

    const odd = Float32Array.from(input);
    // NaNs of several kinds, one in each row.
    new Uint32Array(odd.buffer).set([0x7fc0_1234], 0);
    new Uint32Array(odd.buffer).set([0xffab_cdef], width);
    const nans = tensorsFromBytes(await inferBytes(one, odd, width)).get('y')?.data as Float32Array;
    const bits = new Uint32Array(nans.buffer, nans.byteOffset, 2 * width);
    expect(new Set(bits)).toEqual(new Set([0x7fc0_0000]));
  });

  const drawing = (operator: string) =>
    message([node(operator, ['x'], 'y'), field(2, 'draw'), field(11, value('x', 2)), field(12, value('y', 2))]);
  const subgraph = field(6, drawing('RandomNormalLike'));
  const inGraph = onnxModel(message([node('If', ['x'], 'y', [message([field(1, 'then_branch'), subgraph])])]));
  const inFunction = Buffer.concat([tinyOnnx(), field(25, field(7, field(4, 'Bernoulli')))]);

  test.each<[string, Uint8Array, string]>([
    ['draws at random', onnxModel(drawing('RandomUniformLike')), 'RandomUniformLike'],
    ['draws in a graph of a node', inGraph, 'RandomNormalLike'],
    ['draws in a function', inFunction, 'Bernoulli'],
  ])('has no use for a file that %s, and says by which operator', async (_, bytes, operator) => {
    const file = await stored(bytes);
    expect(() => checkOnnx(file, { random: false })).toThrow(`"${operator}"`);
    checkOnnx(file);
  });

  if (isLong) {
    test('refuses such a file in a call; the first engine says different things in each', async () => {
      const bytes = onnxModel(drawing('RandomUniformLike'));
      const web = await open(drivers[0], 'onnxruntime-web', bytes);
      expect((await call(web, '/v1/model')).outcome).toMatchObject({
        ...{ status: 'app-error', message: expect.stringContaining('draws at random') },
      });
      const native = await open(drivers[0], 'onnxruntime', bytes);
      const zeros = new Float32Array(8);
      expect(await inferBytes(native, zeros, 2)).not.toEqual(await inferBytes(native, zeros, 2));
    });

    test('holds no instruction whose result the processor chooses', () => {
      const file = join(defaultEnginesDir, 'node_modules/onnxruntime-web/dist/ort-wasm-simd-threaded.wasm');
      const validate = (...enabled: string[]) =>
        spawnSync(process.execPath, [require.resolve('wabt/bin/wasm-validate'), ...enabled, file], {
          encoding: 'utf8',
        });
      // The validator knows relaxed SIMD and has it off; what is off and there, it refuses.
      expect(validate('--enable-threads')).toMatchObject({ status: 0, stderr: '' });
      expect(validate('--enable-threads', '--disable-simd').status).not.toBe(0);
    });
  }
});
