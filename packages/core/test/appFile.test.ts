import { describe, expect, test } from 'vitest';
import {
  appFileDescriptions,
  appFileFields,
  appFileFromJson,
  appFileSchema,
  functionManifest,
  SchemaError,
  wholeFields,
  zeroBytes32,
} from '../src/index.ts';
import { manifestJson } from '../src/manifest.ts';

const code = { sha256: zeroBytes32, bytes: 1 };

describe('the form of cloister.json', () => {
  test('is that of the manifest but for format and code: a field that is added there is one here', () => {
    const top = appFileFields().filter((path) => !/[.[]/.test(path));
    const own = ['$schema', 'main', 'sealCode', 'secretsFile', 'storageEpochs'];
    const { format, code: _, ...fields } = manifestJson.shape;
    expect(top.sort()).toEqual([...own, ...Object.keys(fields)].sort());
  });

  test('every field is described, and nothing else', () => {
    const fields = new Set(appFileFields());
    const missing = [...fields].filter((path) => appFileDescriptions[path] === undefined);
    expect(missing, 'give each a line in src/appFileDescriptions.ts, and run scripts/makeAppFileSchema.ts').toEqual([]);
    expect(Object.keys(appFileDescriptions).filter((path) => !fields.has(path))).toEqual([]);
  });

  test('as JSON Schema has the bounds, asks for main alone, and admits no other field', () => {
    const schema = appFileSchema() as unknown as {
      required: string[];
      additionalProperties: boolean;
      properties: Record<string, { maxItems?: number; properties?: Record<string, object>; required?: string[] }>;
    };
    expect(schema.required).toEqual(['main']);
    expect(schema.additionalProperties).toBe(false);
    expect(schema.properties.outbound?.maxItems).toBe(64);
    expect(schema.properties.limits?.required).toBeUndefined();
    expect(schema.properties.limits?.properties?.memoryBytes).toMatchObject({
      minimum: 32 * 1024 * 1024,
      maximum: 4096 * 1024 * 1024,
      description: expect.stringContaining('Default'),
    });
  });

  test.each([
    ['an unknown field', { main: 'a', more: 1 }, ['more'], 'unknown field "more"'],
    ['an unknown field inside', { main: 'a', limits: { memory: 1 } }, ['limits', 'memory'], 'unknown field "memory"'],
    ['too little', { main: 'a', limits: { memoryBytes: 5 } }, ['limits', 'memoryBytes'], 'at least 33554432'],
    ['too much', { main: 'a', placement: { replicas: 65 } }, ['placement', 'replicas'], 'at most 64'],
    ['another type', { main: 3 }, ['main'], 'expected string'],
    ['none of the choices', { main: 'a', kind: 'x' }, ['kind'], 'expected "function" or "wasm" or'],
    ['a text of another form', { main: 'a', name: 'No Name' }, ['name'], 'does not match'],
    ['an item of a list', { main: 'a', outbound: ['ok.example', '*'] }, ['outbound', 1], 'does not match'],
    ['a long list', { main: 'a', secrets: Array(65).fill('A') }, ['secrets'], '0 to 64 items'],
    ['the code', { main: 'a', code }, ['code'], 'unknown field'],
    ['in part what has no default', { main: 'a', chain: { chainId: 1 } }, ['chain', 'calls'], 'expected array'],
    ['a list', [], [], 'expected object'],
  ])('refuses %s, and says where and what', (_, json, place, problem) => {
    const read = () => appFileFromJson(json);
    expect(read).toThrow(SchemaError);
    expect(read).toThrow(
      expect.objectContaining({ code: 'SCHEMA_MISMATCH', place, problem: expect.stringContaining(problem) }),
    );
  });
});

describe('wholeFields', () => {
  test('fills what an object leaves out from the defaults of the kind, and takes lists whole', () => {
    const file = appFileFromJson({
      main: 'a',
      placement: { replicas: 3 },
      outbound: ['x.example'],
      limits: { wallMs: 50 },
    });
    const manifest = functionManifest({ ...wholeFields(file, 'function'), name: 'a', code });
    const usual = functionManifest({ name: 'a', code });
    expect(manifest).toEqual({
      ...usual,
      placement: { ...usual.placement, replicas: 3 },
      outbound: ['x.example'],
      limits: { ...usual.limits, wallMs: 50 },
    });
  });

  test('gives no field that the file does not give, so that defaults which depend on others stay open', () => {
    expect(
      wholeFields(appFileFromJson({ $schema: 's', main: 'a', name: 'n', kind: 'wasm', sealCode: true }), 'wasm'),
    ).toEqual({});
  });

  test('goes on from what is known of the code, not from the kind', () => {
    const stated = { runtime: { name: 'onnxruntime', compatibilityDate: '2026-11-01' } };
    const file = appFileFromJson({ main: 'a.onnx', runtime: { compatibilityDate: '2026-11-02' } });
    expect(wholeFields(file, 'model', stated).runtime).toEqual({
      name: 'onnxruntime',
      compatibilityDate: '2026-11-02',
    });
  });
});
