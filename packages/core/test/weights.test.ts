import { describe, expect, test } from 'vitest';
import {
  type Bytes32,
  canonicalJson,
  functionManifest,
  type ManifestFields,
  manifestFromJson,
  manifestOfKind,
  parseWeightsList,
  unavailableFeature,
  type WeightsList,
  weightsChunkLength,
  weightsListBytes,
} from '../src/index.ts';

const id = (digit: string): Bytes32 => `0x${digit.repeat(64)}`;
const list: WeightsList = {
  format: 'cloister-weights-1',
  sha256: id('a'),
  bytes: 5_000,
  chunkBytes: 2_048,
  chunks: [id('1'), id('2'), id('3')],
};
const bytesOf = (value: object) => new TextEncoder().encode(canonicalJson(value));

describe('a list of weights', () => {
  test('reads as it was written, and knows the length of each blob', () => {
    expect(parseWeightsList(weightsListBytes(list))).toEqual(list);
    expect(list.chunks.map((_, index) => weightsChunkLength(list, index))).toEqual([2_048, 2_048, 904]);
  });

  test.each([
    ['a blob too few', { ...list, chunks: list.chunks.slice(1) }],
    ['a blob too many', { ...list, chunks: [...list.chunks, id('4')] }],
    ['no bytes', { ...list, bytes: 0 }],
  ])('%s does not make up the file', (_, odd) => {
    expect(() => parseWeightsList(bytesOf(odd))).toThrow(/do not make up/);
  });

  test.each([
    ['another format', { ...list, format: 'cloister-weights-2' }],
    ['no blobs', { ...list, bytes: 0, chunks: [] }],
    ['pieces that no blob holds', { ...list, chunkBytes: 1 << 30, bytes: 1 << 30, chunks: [id('1')] }],
    ['a field more', { ...list, more: 1 }],
    ['a hash that is none', { ...list, sha256: '0x12' }],
  ])('%s is refused', (_, odd) => {
    expect(() => parseWeightsList(bytesOf(odd))).toThrow();
  });

  test('has one form', () => {
    expect(() => parseWeightsList(new TextEncoder().encode(JSON.stringify(list)))).toThrow(/canonical/);
  });
});

describe('the manifest of a model', () => {
  const modelManifest = (name: string, given: ManifestFields) =>
    manifestOfKind('model', { runtime: { name, compatibilityDate: '2026-11-01' }, ...given });
  const fields = { name: 'tiny', code: { sha256: id('c'), bytes: 300 } };

  test('has defaults that workers can honour', () => {
    const manifest = modelManifest('llama-cpp', fields);
    expect(manifest).toMatchObject({ kind: 'model', runtime: { name: 'llama-cpp' }, model: { contextTokens: 4_096 } });
    expect(unavailableFeature(manifest)).toBeUndefined();
    for (const engine of ['onnxruntime', 'onnxruntime-web'])
      expect(unavailableFeature(modelManifest(engine, fields))).toBeUndefined();
    // Nothing is counted: what answers for all machines alike is no word for what a call costs.
    const counted = { ...fields, determinism: 'deterministic' } as const;
    expect(unavailableFeature(modelManifest('onnxruntime-web', counted))).toContain('limits.fuel');
  });

  test.each([
    ['outbound hosts', { outbound: ['api.example'] }],
    ['secrets', { secrets: ['KEY'] }],
    ['env', { env: { A: 'b' } }],
    ['runtime', { runtime: { name: 'workerd', compatibilityDate: '2026-11-01' } }],
  ])('%s: refused, because data runs no code that could use it', (word, extra) => {
    expect(unavailableFeature(modelManifest('llama-cpp', { ...fields, ...extra }))).toContain(word);
  });

  test('may have its weights sealed', () => {
    const code = { ...fields.code, sealed: { digest: id('d'), keyVersion: 1 } };
    expect(unavailableFeature(modelManifest('llama-cpp', { ...fields, code }))).toBeUndefined();
  });

  test('its counts are bounded, and a function has none', () => {
    expect(() => modelManifest('llama-cpp', { ...fields, model: { contextTokens: 0, maxTokens: 1 } })).toThrow();
    expect(() => modelManifest('llama-cpp', { ...fields, model: { contextTokens: 2 ** 40, maxTokens: 1 } })).toThrow();
    const model = { contextTokens: 10, maxTokens: 5 };
    expect(() => functionManifest({ ...fields, model })).toThrow(/has no field "model"/);
    const { model: _, ...without } = modelManifest('llama-cpp', fields);
    expect(unavailableFeature(manifestFromJson(without))).toContain('model');
  });
});
