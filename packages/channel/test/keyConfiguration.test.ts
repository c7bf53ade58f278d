import { fromHex, randomBytes, toHex } from '@cloister/crypto';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { ChannelError } from '../src/shared/channelError.ts';
import { encodeKeyConfig, parseKeyConfig } from '../src/shared/keyConfiguration.ts';
import { hostileBytes } from './sealedCall.ts';

const key = '31e1f05a740102115220e9af918f738674aec95f54db6e04eb705aae8e798155';

describe('key configuration', () => {
  test('has the bytes of RFC 9458 §3', () => {
    const config = { keyId: 1, publicKey: fromHex(key) };
    expect(toHex(encodeKeyConfig(config))).toBe(`0x010020${key}000400010002`);
    expect(parseKeyConfig(encodeKeyConfig(config))).toEqual(config);
  });

  test('may offer other suites beside ours', () => {
    expect(parseKeyConfig(fromHex(`07 0020 ${key} 000c 00010001 00010003 00010002`.replaceAll(' ', ''))).keyId).toBe(7);
  });

  test.each([
    ['empty', '', 'KEY_CONFIG_MALFORMED'],
    ['another KEM', `010010${key}000400010002`, 'KEY_CONFIG_UNSUPPORTED'],
    ['no suite of ours', `010020${key}000400010001`, 'KEY_CONFIG_UNSUPPORTED'],
    ['export only', `010020${key}00040001ffff`, 'KEY_CONFIG_UNSUPPORTED'],
    ['an empty suite list', `010020${key}0000`, 'KEY_CONFIG_MALFORMED'],
    ['a suite list of odd length', `010020${key}000500010002ff`, 'KEY_CONFIG_MALFORMED'],
    ['a suite list beyond the end', `010020${key}000800010002`, 'KEY_CONFIG_MALFORMED'],
    ['bytes after the end', `010020${key}00040001000200`, 'KEY_CONFIG_MALFORMED'],
    ['the length of a list of configurations in front', `0029010020${key}000400010002`, 'KEY_CONFIG_UNSUPPORTED'],
    ['a cut key', `010020${key.slice(2)}`, 'KEY_CONFIG_MALFORMED'],
  ])('%s is refused', (_, hex, code) => {
    expect(() => parseKeyConfig(fromHex(hex))).toThrow(expect.objectContaining({ code }));
  });

  test('key ids and keys out of bounds are refused', () => {
    for (const keyId of [-1, 256, 1.5])
      expect(() => encodeKeyConfig({ keyId, publicKey: randomBytes(32) })).toThrow(ChannelError);
    expect(() => encodeKeyConfig({ keyId: 1, publicKey: randomBytes(31) })).toThrow(ChannelError);
  });

  test('no bytes make it throw anything else', () => {
    fc.assert(
      fc.property(hostileBytes, (bytes) => {
        try {
          const { keyId, publicKey } = parseKeyConfig(bytes);
          expect(bytes[0]).toBe(keyId);
          expect(publicKey.length).toBe(32);
        } catch (error) {
          expect(error).toBeInstanceOf(ChannelError);
        }
      }),
      { numRuns: 1_000 },
    );
  });
});
