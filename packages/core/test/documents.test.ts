import {
  canonicalJson,
  functionManifest,
  manifestBytes,
  manifestFromJson,
  manifestId,
  networkFileId,
  parseCanonicalJson,
  parseManifest,
  parseNetworkFile,
  unavailableFeature,
} from '@cloister/core';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { b32, network } from './helpers.ts';

const bytes = (text: string) => new TextEncoder().encode(text);

describe('canonical JSON (RFC 8785)', () => {
  test('sorts members by UTF-16 units and prints numbers as ECMAScript does (RFC 8785, 3.2.2 and 3.2.3)', () => {
    const sample = {
      numbers: [JSON.parse('333333333.33333329'), 1e30, 4.5, 2e-3, 0.000000000000000000000000001],
      string: '€$\u000f\nA\'B"\\\\"/',
      literals: [null, true, false],
    };
    expect(canonicalJson(sample)).toBe(
      '{"literals":[null,true,false],"numbers":[333333333.3333333,1e+30,4.5,0.002,1e-27],"string":"€$\\u000f\\nA\'B\\"\\\\\\\\\\"/"}',
    );
    expect(canonicalJson({ '\u20ac': 1, '\r': 2, '\ufb33': 3, '1': 4, '\u{1f600}': 5, '\u0080': 6, '\u00f6': 7 })).toBe(
      '{"\\r":2,"1":4,"\u0080":6,"ö":7,"€":1,"😀":5,"\ufb33":3}',
    );
  });

  test('any JSON value comes back from its canonical bytes', () => {
    fc.assert(
      fc.property(fc.jsonValue({ maxDepth: 4, noUnicodeString: false }), (value) => {
        fc.pre(JSON.stringify(value).isWellFormed() && !JSON.stringify(value).includes('\\ud'));
        const text = canonicalJson(value);
        expect(canonicalJson(parseCanonicalJson(bytes(text), 1e6, 'value'))).toBe(text);
      }),
    );
  });

  test.each([
    ['a member twice', '{"a":1,"a":1}', 'JSON_NOT_CANONICAL'],
    ['white space', '{ "a":1}', 'JSON_NOT_CANONICAL'],
    ['members out of order', '{"b":1,"a":1}', 'JSON_NOT_CANONICAL'],
    ['no JSON', '{', 'JSON_MALFORMED'],
    ['a lone surrogate', '"\\ud800"', 'JCS_NOT_JSON'],
    ['too deep', '['.repeat(40) + ']'.repeat(40), 'JCS_NOT_JSON'],
    ['too large', `"${'x'.repeat(200)}"`, 'JSON_TOO_LARGE'],
  ])('refuses %s', (_, text, code) => {
    expect(() => parseCanonicalJson(bytes(text), 100, 'value')).toThrow(expect.objectContaining({ code }));
  });
});

describe('manifest', () => {
  const manifest = functionManifest({ name: 'hello', code: { sha256: b32(1), bytes: 100 } });

  test('survives its stored bytes; one changed value changes the id', () => {
    expect(parseManifest(manifestBytes(manifest))).toEqual(manifest);
    expect(manifestId({ ...manifest, env: { A: '1' } })).not.toBe(manifestId(manifest));
  });

  test.each([
    ['an unknown field', { surprise: true }, /unknown field "surprise"/],
    ['an absurd memory limit', { limits: { ...manifest.limits, memoryBytes: 1e15 } }, /\$\.limits\.memoryBytes/],
    ['no time at all', { limits: { ...manifest.limits, wallMs: 0 } }, /\$\.limits\.wallMs/],
    ['a fraction of a call', { limits: { ...manifest.limits, maxConcurrent: 1.5 } }, /\$\.limits\.maxConcurrent/],
    ['a wildcard host', { outbound: ['*'] }, /\$\.outbound/],
    ['a URL with a path as host', { outbound: ['example.com/x'] }, /\$\.outbound/],
    ['a negative price', { price: { perCall: '-1', perCpuMs: '0' } }, /\$\.price\.perCall/],
    ['an unknown kind', { kind: 'daemon' }, /\$\.kind/],
    ['a name twice', { env: { A: '1' }, secrets: ['A'] }, /"A" stands twice/],
    ['3 of 2 answers', { redundancy: { k: 3, n: 2, compare: 'exact' } }, /"3" of "2"/],
  ])('refuses %s', (_, change, message) => {
    expect(() => manifestFromJson({ ...manifest, ...change })).toThrow(message);
  });

  test('names what this release can not honour', () => {
    expect(unavailableFeature(manifest)).toBeUndefined();
    const withSecrets = { ...manifest, secrets: ['KEY'] };
    expect(unavailableFeature({ ...withSecrets, imagePolicy: 'both' })).toBeUndefined();
    expect(unavailableFeature({ ...manifest, state: { partitions: 1 } })).toBe('state');
    const distinct = { ...manifest.placement, distinct: ['operator'] as const };
    expect(unavailableFeature({ ...withSecrets, placement: distinct })).toBeUndefined();
    expect(unavailableFeature({ ...manifest, placement: distinct })).toMatch(/^placement.distinct/);
    expect(unavailableFeature({ ...manifest, imagePolicy: 'pinned' })).toMatch(/^imagePolicy "pinned"/);
  });
});

describe('network file', () => {
  test('has one id whatever its layout', () => {
    const pretty = bytes(JSON.stringify(network, null, 2));
    expect(networkFileId(parseNetworkFile(pretty))).toBe(networkFileId(network));
  });

  test.each([
    ['an unknown field', { more: 1 }, /unknown field "more"/],
    ['plain http beyond loopback', { rpcs: ['http://10.0.0.1:8545'] }, /\$\.rpcs\.0/],
    [
      'plain http in a network that is not simulated',
      { simulated: false, trustRoots: [{ ...network.trustRoots[0], simulated: false }] },
      /plain http/,
    ],
    ['a simulated root in a network that is not', { simulated: false }, /\$\.trustRoots\.0/],
    [
      'a simulated root without DEV in its name',
      { trustRoots: [{ ...network.trustRoots[0], name: 'root' }] },
      /named DEV/,
    ],
    ['credentials in a URL', { gateways: ['https://user@example.com'] }, /\$\.gateways\.0/],
    ['no RPC', { rpcs: [] }, /\$\.rpcs/],
    [
      'a contract that is no address',
      { contracts: { ...network.contracts, timelock: '0x1' } },
      /\$\.contracts\.timelock/,
    ],
  ])('refuses %s', (_, change, message) => {
    expect(() => parseNetworkFile({ ...network, ...change })).toThrow(message);
  });
});
