import {
  canonicalJson,
  deterministicFunction,
  functionManifest,
  manifestBytes,
  manifestFromJson,
  manifestId,
  manifestOfKind,
  type NetworkFile,
  needsKeys,
  networkFileId,
  outboundPlaces,
  parseCanonicalJson,
  parseManifest,
  parseNetworkFile,
  unavailableFeature,
} from '@cloister/core';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { addr, b32, network } from './helpers.ts';

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
    ['every app', { outbound: ['app:*'] }, /\$\.outbound/],
    ['an app by half its id', { outbound: [`app:0x${'a'.repeat(32)}`] }, /\$\.outbound/],
    ['an app with more behind it', { outbound: [`app:0x${'a'.repeat(64)}.example.com`] }, /\$\.outbound/],
    ['more of the chain than reads', { outbound: ['chain:write'] }, /\$\.outbound/],
    ['a URL with a path as host', { outbound: ['example.com/x'] }, /\$\.outbound/],
    ['a negative price', { price: { ...manifest.price, perCall: '-1' } }, /\$\.price\.perCall/],
    ['an unknown kind', { kind: 'daemon' }, /\$\.kind/],
    ['a name twice', { env: { A: '1' }, secrets: ['A'] }, /"A" stands twice/],
    ['a schedule twice', { schedules: [{ cron: '0 1 * * *' }, { cron: '0 1 * * *' }] }, /"0 1 \* \* \*" stands twice/],
    ['a schedule of no time', { schedules: [{ cron: '0 24 * * *' }] }, /The field "hour" of the schedule/],
    ['a schedule with seconds', { schedules: [{ cron: '0 0 1 * * *' }] }, /five fields/],
    ['3 of 2 answers', { redundancy: { k: 3, n: 2, compare: 'exact' } }, /"3" of "2"/],
  ])('refuses %s', (_, change, message) => {
    expect(() => manifestFromJson({ ...manifest, ...change })).toThrow(message);
  });

  test('tells other apps, the chain and the guest agent from hosts', () => {
    const app = `0x${'a'.repeat(64)}`;
    const outbound = ['example.com', `app:${app}`, 'chain', 'chain:read', 'app:443', 'worker', 'worker:guest'];
    expect(outboundPlaces(manifestFromJson({ ...manifest, outbound }).outbound)).toEqual({
      hosts: ['example.com', 'chain', 'app:443', 'worker'],
      apps: [app],
      readsChain: true,
      asksGuest: true,
    });
    const none = { hosts: ['chain'], apps: [], readsChain: false, asksGuest: false };
    expect(outboundPlaces(['chain'])).toEqual(none);
  });

  test('an app with a guest agent has keys, and its owner says which images get them', () => {
    const asking = functionManifest({ name: 'a', code: manifest.code, outbound: ['worker:guest'] });
    expect(needsKeys(asking)).toBe(true);
    expect(asking.imagePolicy).toBe('both');
    expect(unavailableFeature(asking)).toBeUndefined();
  });

  test('names what this release can not honour', () => {
    expect(unavailableFeature(manifest)).toBeUndefined();
    const withSecrets = { ...manifest, secrets: ['KEY'] };
    expect(unavailableFeature({ ...withSecrets, imagePolicy: 'both' })).toBeUndefined();
    expect(unavailableFeature({ ...manifest, state: { partitions: 1 } })).toBeUndefined();
    const schedules = [{ cron: '* * * * *' }];
    expect(unavailableFeature({ ...manifest, schedules })).toBeUndefined();
    expect(unavailableFeature({ ...manifest, schedules, price: { ...manifest.price, perCall: '1' } })).toMatch(
      /^schedules of an app with a price/,
    );
    expect(unavailableFeature({ ...manifest, schedules, state: { partitions: 1_023 } })).toBeUndefined();
    expect(unavailableFeature({ ...manifest, schedules, state: { partitions: 1_024 } })).toMatch(/^1024 partitions/);
    expect(unavailableFeature({ ...manifest, state: { partitions: 1_024 } })).toBeUndefined();
    const distinct = { ...manifest.placement, distinct: ['operator'] as const };
    expect(unavailableFeature({ ...withSecrets, placement: distinct })).toBeUndefined();
    expect(unavailableFeature({ ...manifest, placement: distinct })).toMatch(/^placement.distinct/);
    expect(unavailableFeature({ ...manifest, imagePolicy: 'pinned' })).toMatch(/^imagePolicy "pinned"/);
    expect(unavailableFeature({ ...manifest, limits: { ...manifest.limits, fuel: 1 } })).toMatch(/^limits.fuel/);
    expect(unavailableFeature({ ...manifest, determinism: 'deterministic' })).toMatch(/^determinism/);
    expect(unavailableFeature({ ...manifest, kind: 'container' })).toBe('runtime "workerd"');
    expect(unavailableFeature({ ...manifest, kind: 'wasm' })).toBe('runtime "workerd"');
  });

  test('of a deterministic function counts fuel, and reaches nothing', () => {
    const fields = { name: 'f', code: { sha256: b32(1), bytes: 100 } };
    const manifest = manifestOfKind('function', { ...fields, ...deterministicFunction });
    expect(manifest).toMatchObject({ runtime: { name: 'quickjs' }, limits: { fuel: 10_000_000_000 } });
    expect(unavailableFeature(manifest)).toBeUndefined();
    expect(unavailableFeature({ ...manifest, determinism: 'none' })).toMatch(/^runtime "quickjs" without determinism/);
    const { fuel: _fuel, ...limits } = manifest.limits;
    expect(unavailableFeature({ ...manifest, limits })).toBe('runtime "quickjs" without limits.fuel');
    expect(unavailableFeature({ ...manifest, outbound: ['chain:read'] })).toMatch(/^outbound/);
    expect(unavailableFeature({ ...manifest, state: { partitions: 1 }, imagePolicy: 'both' })).toMatch(/^state/);
    const secret = { ...manifest, secrets: ['A'], imagePolicy: 'both' as const };
    expect(unavailableFeature(secret)).toBeUndefined();
    expect(manifestOfKind('function', { ...fields, ...deterministicFunction, limits: { fuel: 7 } }).limits.fuel).toBe(
      7,
    );
  });

  test('of a module may count fuel, and be deterministic then', () => {
    const module = manifestOfKind('wasm', { name: 'm', code: { sha256: b32(1), bytes: 100 } });
    expect(module.limits.fuel).toBeUndefined();
    expect(unavailableFeature(module)).toBeUndefined();
    const counted = { ...module, limits: { ...module.limits, fuel: 1_000_000 } };
    expect(parseManifest(manifestBytes(counted))).toEqual(counted);
    expect(unavailableFeature({ ...counted, determinism: 'deterministic' })).toBeUndefined();
    expect(unavailableFeature({ ...module, determinism: 'deterministic' })).toMatch(/^determinism/);
    expect(unavailableFeature({ ...module, outbound: ['example.com'] })).toMatch(/^outbound/);
    expect(() => manifestFromJson({ ...counted, limits: { ...counted.limits, fuel: 0 } })).toThrow(/\$\.limits\.fuel/);
  });
});

describe('network file', () => {
  const link: NonNullable<NetworkFile['bridges']>[number] = {
    name: 'second chain',
    chainId: 31_338,
    rpcs: ['http://127.0.0.1:8546'],
    home: { bridge: addr(0xb1), phaRoute: addr(0xb2) },
    remote: {
      timelock: addr(0xb3),
      committee: addr(0xb4),
      bridge: addr(0xb5),
      phaRoute: addr(0xb6),
      pha: addr(0xb7),
    },
  };

  test('has one id whatever its layout', () => {
    const pretty = bytes(JSON.stringify(network, null, 2));
    expect(networkFileId(parseNetworkFile(pretty))).toBe(networkFileId(network));
  });

  test('pins links to other chains; one without any has the id that it had', () => {
    const linked = parseNetworkFile({ ...network, bridges: [link] });
    expect(linked.bridges).toEqual([link]);
    expect(networkFileId(linked)).not.toBe(networkFileId(network));
    expect(parseNetworkFile(network)).not.toHaveProperty('bridges');
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
    ['a link to nowhere', { bridges: [] }, /\$\.bridges/],
    ['a link to its own chain', { bridges: [{ ...link, chainId: 31_337 }] }, /\$\.bridges\.0\.chainId/],
    ['two links to one chain', { bridges: [link, link] }, /\$\.bridges\.1\.chainId/],
    [
      'plain http to another chain beyond loopback',
      { bridges: [{ ...link, rpcs: ['http://10.0.0.1:8545'] }] },
      /\$\.bridges\.0\.rpcs\.0/,
    ],
    ['a link without the other committee', { bridges: [{ ...link, remote: {} }] }, /\$\.bridges\.0\.remote/],
    [
      'a contract that is no address',
      { contracts: { ...network.contracts, timelock: '0x1' } },
      /\$\.contracts\.timelock/,
    ],
  ])('refuses %s', (_, change, message) => {
    expect(() => parseNetworkFile({ ...network, ...change })).toThrow(message);
  });
});
