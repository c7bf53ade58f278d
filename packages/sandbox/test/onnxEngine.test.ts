import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { createModelDriver, type ModelDriver, type Tenant } from '../src/index.ts';
import { tensorsFromBytes, tensorsToBytes } from '../src/model/engines/onnx/tensors.ts';
import { call, never } from './calls.ts';
import { functionWorkload } from './functionWorkload.ts';
import { tinyNetwork, tinyOnnx } from './tinyOnnx.ts';

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

describe('an ONNX model', () => {
  let driver: ModelDriver;
  let folder: string;
  let tenant: Tenant;

  const open = async (name: string, bytes: Uint8Array): Promise<Tenant> => {
    const weightsFile = join(folder, name);
    await writeFile(weightsFile, bytes, { mode: 0o444 });
    const model = { engine: 'onnxruntime', name: 'tiny', weightsFile, contextTokens: 1, maxTokens: 1 } as const;
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
