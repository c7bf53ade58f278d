import { concatBytes, sha256, toHex, utf8 } from '@cloister/crypto';
import { describe, expect, test } from 'vitest';
import { mintQuote } from '../src/unsafe-simulated/index.ts';
import { CheckList, verifyRuntimeData } from '../src/verify/index.ts';
import { claimsOf, makeWorld, measurements, outcome } from './synthetic.ts';

const userData = 'ab'.repeat(64);
/** In the form of Azure's host compatibility layer. */
const json = {
  keys: [{ kid: 'HCLAkPub', key_ops: ['sign'], kty: 'RSA', e: 'AQAB', n: 'AAAA' }],
  'vm-configuration': { 'secure-boot': true, 'tpm-enabled': true, vmUniqueId: '0D4D5F10-0000-4000-8000-000000000000' },
  'user-data': userData.toUpperCase(),
};
const runtimeData = utf8(JSON.stringify(json));

/** Claims of a verified quote that binds this runtime data, or other report data. */
async function claimsFor(bytes: Uint8Array, second: Uint8Array = new Uint8Array(32)) {
  const world = makeWorld();
  const reportData = concatBytes(sha256(bytes), second);
  return claimsOf({ ...world, quote: mintQuote(world.platform, { ...measurements, reportData }) });
}

async function verdict(bytes: Uint8Array, claims: { readonly reportData: `0x${string}` | null }): Promise<string> {
  return outcome(() => verifyRuntimeData(bytes, claims).userData ?? 'none');
}

const claims = await claimsFor(runtimeData);

describe('runtime data', () => {
  test('is bound by the evidence of its paravisor', () => {
    const checks = new CheckList();
    const verified = verifyRuntimeData(runtimeData, claims, { checks });
    expect(verified.userData).toBe(`0x${userData}`);
    expect(verified.json.member('vm-configuration').member('secure-boot').boolean()).toBe(true);
    expect(checks.nodes).toMatchObject([{ id: 'runtime-data', ok: true, detail: `user data 0x${userData}` }]);
  });

  test('without user data', async () => {
    const bare = utf8('{"keys":[]}');
    expect(await verdict(bare, await claimsFor(bare))).toBe('none');
  });

  test('changed, padded or cut', async () => {
    const at = 'RUNTIME_DATA_NOT_BOUND at claims.reportData';
    expect(
      await verdict(
        runtimeData.map((byte, index) => (index === 9 ? byte ^ 1 : byte)),
        claims,
      ),
    ).toBe(at);
    expect(await verdict(concatBytes(runtimeData, Uint8Array.of(0)), claims)).toBe(at);
    expect(await verdict(runtimeData.subarray(0, -1), claims)).toBe(at);
    expect(await verdict(new Uint8Array(0), claims)).toBe(at);
  });

  test('where the second half of the report data says something else', async () => {
    expect(await verdict(runtimeData, await claimsFor(runtimeData, new Uint8Array(32).fill(1)))).toBe(
      'RUNTIME_DATA_NOT_BOUND at claims.reportData',
    );
  });

  test('where the hash stands in the second half', async () => {
    const reportData = `0x${'00'.repeat(32)}${toHex(sha256(runtimeData)).slice(2)}` as const;
    expect(await verdict(runtimeData, { reportData })).toBe('RUNTIME_DATA_NOT_BOUND at claims.reportData');
  });

  test('beside evidence without report data', async () => {
    expect(await verdict(runtimeData, { reportData: null })).toBe('RUNTIME_DATA_NOT_BOUND at claims.reportData');
  });

  test.each([
    ['no JSON', utf8('{'), 'MALFORMED_JSON at runtimeData'],
    ['no UTF-8', Uint8Array.of(0xff), 'MALFORMED_RUNTIME_DATA at runtimeData'],
    ['no object', utf8('[]'), 'MALFORMED_RUNTIME_DATA at runtimeData'],
    ['short user data', utf8('{"user-data":"ab"}'), 'MALFORMED_RUNTIME_DATA at runtimeData.user-data'],
    ['user data that is no text', utf8('{"user-data":1}'), 'MALFORMED_RUNTIME_DATA at runtimeData.user-data'],
  ])('that is bound and has %s', async (_, bytes, expected) => {
    expect(await verdict(bytes, await claimsFor(bytes))).toBe(expected);
  });

  test('beyond all bounds', async () => {
    expect(await verdict(new Uint8Array(40_000), claims)).toBe('TOO_LARGE at runtimeData');
  });
});
