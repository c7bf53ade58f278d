import { expect, test } from 'vitest';
import {
  assertPolicyAllows,
  type ChainPolicy,
  functionManifest,
  type Hex,
  manifestFromJson,
  needsKeys,
} from '../src/index.ts';

const to = `0x${'aa'.repeat(20)}` as const;
const other = `0x${'bb'.repeat(20)}` as const;
const policy: ChainPolicy = {
  chainId: 31_337,
  calls: [
    { to, selectors: ['0xa9059cbb', '0x095ea7b3'] },
    { to: other, selectors: ['0x'] },
  ],
  maxValueWei: '10',
  maxFeeWei: '1000',
  maxPerDay: 3,
  messages: false,
};
const manifest = functionManifest({
  name: 'paying',
  code: { sha256: `0x${'11'.repeat(32)}`, bytes: 1 },
  chain: policy,
});

test('a manifest with a policy keeps it, has keys, and lets its owner choose the images', () => {
  expect(manifestFromJson(JSON.parse(JSON.stringify(manifest)))).toEqual(manifest);
  expect(needsKeys(manifest)).toBe(true);
  expect(manifest.imagePolicy).toBe('both');
});

test.each<[Hex, Hex, bigint]>([
  [to, '0xa9059cbb', 0n],
  [to, `0x095ea7b3${'00'.repeat(64)}`, 10n],
  [other, '0x', 10n],
])('allows %s %s with %s wei', (address, data, valueWei) => {
  expect(() => assertPolicyAllows(policy, { to: address, data, valueWei })).not.toThrow();
});

test.each<[string, Hex, Hex, bigint, string]>([
  ['another address', `0x${'cc'.repeat(20)}`, '0xa9059cbb', 0n, 'CHAIN_CONTRACT_NOT_ALLOWED'],
  ['another function', to, '0xa9059cbc', 0n, 'CHAIN_FUNCTION_NOT_ALLOWED'],
  ['a function of another contract', other, '0xa9059cbb', 0n, 'CHAIN_FUNCTION_NOT_ALLOWED'],
  ['no function', to, '0x', 0n, 'CHAIN_FUNCTION_NOT_ALLOWED'],
  ['three bytes of one', to, '0xa9059c', 0n, 'CHAIN_FUNCTION_NOT_ALLOWED'],
  ['one byte where there may be none', other, '0x00', 0n, 'CHAIN_FUNCTION_NOT_ALLOWED'],
  ['a wei more', to, '0xa9059cbb', 11n, 'CHAIN_VALUE_TOO_HIGH'],
  ['less than nothing', to, '0xa9059cbb', -1n, 'CHAIN_VALUE_TOO_HIGH'],
])('refuses %s', (_, address, data, valueWei, code) => {
  expect(() => assertPolicyAllows(policy, { to: address, data, valueWei })).toThrow(expect.objectContaining({ code }));
});

test.each([
  ['a selector of three bytes', { calls: [{ to, selectors: ['0xa9059c'] }] }, /\$\.chain\.calls\.0\.selectors/],
  ['a contract without functions', { calls: [{ to, selectors: [] }] }, /\$\.chain\.calls\.0\.selectors/],
  ['an address in other letters', { calls: [{ to: to.toUpperCase(), selectors: ['0x'] }] }, /\$\.chain\.calls\.0\.to/],
  ['a value below zero', { maxValueWei: '-1' }, /\$\.chain\.maxValueWei/],
  ['a field too many', { anything: true }, /unknown field "anything"/],
])('a manifest with %s is refused', (_, change, message) => {
  expect(() => manifestFromJson({ ...manifest, chain: { ...policy, ...change } })).toThrow(message);
});
