import { describe, expect, test } from 'vitest';
import {
  type ContainerList,
  canonicalJson,
  containerListBytes,
  type Manifest,
  manifestFromJson,
  manifestOfKind,
  needsKeys,
  outboundPlaces,
  parseContainerList,
  unavailableFeature,
} from '../src/index.ts';

const archive = {
  sha256: `0x${'a'.repeat(64)}`,
  bytes: 5_000,
  chunkBytes: 4_096,
  chunks: [`0x${'1'.repeat(64)}`, `0x${'2'.repeat(64)}`],
} as const;
const list: ContainerList = {
  format: 'cloister-containers-1',
  compose: 'services: {}\n',
  images: { 'r.example/a:1': archive },
};
const bytesOf = (value: unknown): Uint8Array => new TextEncoder().encode(canonicalJson(value as never));

describe('a list of containers', () => {
  test('reads as it was written', () => expect(parseContainerList(containerListBytes(list))).toEqual(list));

  test.each([
    ['another format', { ...list, format: 'cloister-weights-1' }],
    ['a field more', { ...list, more: 1 }],
    ['a name that is none', { ...list, images: { '../a': archive } }],
    ['a hash that is none', { ...list, images: { a: { ...archive, sha256: '0x12' } } }],
    ['blobs of another length', { ...list, images: { a: { ...archive, bytes: 9_000 } } }],
    ['a compose file without end', { ...list, compose: 'a'.repeat(65_537) }],
  ])('is refused with %s', (_, value) => {
    expect(() => parseContainerList(bytesOf(value))).toThrow();
  });

  test('only in its canonical form', () => {
    expect(() => parseContainerList(new TextEncoder().encode(`${canonicalJson(list as never)} `))).toThrow(/canonical/);
  });
});

describe('the manifest of containers', () => {
  const code = { sha256: `0x${'3'.repeat(64)}`, bytes: 10 } as const;
  const manifestOf = (given: Partial<Manifest> = {}): Manifest =>
    manifestOfKind('container', { name: 'notes', code, container: { service: 'web', port: 8080 }, ...given });

  test('has limits of its own, and can be run', () => {
    const manifest = manifestOf({ outbound: ['api.example.com'] });
    expect(manifest).toMatchObject({
      kind: 'container',
      runtime: { name: 'oci' },
      limits: { memoryBytes: 268_435_456 },
    });
    expect(unavailableFeature(manifest)).toBeUndefined();
  });

  test('may name the guest agent, beside hosts: then it has keys, and runs where it is placed', () => {
    const asking = manifestOf({ outbound: ['worker:guest', 'api.example.com'] });
    expect(unavailableFeature(asking)).toBeUndefined();
    expect([needsKeys(asking), asking.imagePolicy]).toEqual([true, 'both']);
    expect(outboundPlaces(asking.outbound)).toMatchObject({ asksGuest: true, hosts: ['api.example.com'] });
    const plain = manifestOf({ outbound: ['api.example.com'] });
    expect([needsKeys(plain), plain.imagePolicy, outboundPlaces(plain.outbound).asksGuest]).toEqual([
      false,
      'network',
      false,
    ]);
    for (const near of ['worker:guest:443', 'worker:Guest', 'worker:', 'http://worker:guest'])
      expect(() => manifestOf({ outbound: [near] }), near).toThrow();
    expect(unavailableFeature(manifestOf({ outbound: ['worker:guest', 'chain:read'] }))).toContain('"chain:read"');
  });

  test.each<[string, string, Partial<Manifest>]>([
    ['an app that it would call', 'outbound of kind "container"', { outbound: [`app:0x${'4'.repeat(64)}`] }],
    ['reads of the chain', 'chain:read', { outbound: ['chain:read'] }],
    ['state', 'state', { state: { partitions: 1 } }],
    ['sealed code', 'sealed images', { code: { ...code, sealed: { digest: code.sha256, keyVersion: 1 } } }],
  ])('cannot have %s', (_, what, given) => {
    expect(unavailableFeature(manifestOf(given))).toContain(what);
  });

  test('names service and port, which no other kind does', () => {
    const { container: _, ...without } = manifestOf();
    expect(unavailableFeature(manifestFromJson(without))).toContain('without "container"');
    const wrong = { ...manifestOf(), kind: 'function', runtime: { name: 'workerd', compatibilityDate: '2026-11-01' } };
    expect(() => manifestFromJson(wrong)).toThrow(/no field "container"/);
    for (const container of [{ service: 'web', port: 0 }, { service: '../web', port: 80 }, { service: 'web' }])
      expect(() => manifestFromJson({ ...manifestOf(), container })).toThrow();
  });
});
