import fc from 'fast-check';
import ipaddr from 'ipaddr.js';
import { describe, expect, test } from 'vitest';
import { isPublicAddress } from './publicAddress.ts';

describe('isPublicAddress', () => {
  test.each([
    '1.1.1.1',
    '8.8.8.8',
    '93.184.216.34',
    '172.15.255.255',
    '172.32.0.1',
    '100.63.255.255',
    '100.128.0.1',
    '2606:4700::1111',
    '2a00:1450:4001::1',
  ])('%s is public', (address) => {
    expect(isPublicAddress(address)).toBe(true);
  });

  test.each([
    // RFC 6890 and its successors, in the order of the IANA registry of IPv4.
    ...[
      '0.0.0.0',
      '0.1.2.3',
      '10.0.0.1',
      '10.255.255.255',
      '100.64.0.1',
      '100.127.255.255',
      '127.0.0.1',
      '127.255.255.254',
    ],
    ...['169.254.0.1', '169.254.169.254', '172.16.0.1', '172.31.255.255', '192.0.0.1', '192.0.2.1', '192.88.99.1'],
    ...['192.168.0.1', '198.18.0.1', '198.19.255.255', '198.51.100.1', '203.0.113.1', '224.0.0.1', '239.255.255.255'],
    ...['240.0.0.1', '255.255.255.255'],
    // IPv6.
    ...[
      '::',
      '::1',
      '::ffff:127.0.0.1',
      '::ffff:8.8.8.8',
      '::ffff:0:8.8.8.8',
      '::7f00:1',
      '64:ff9b::a00:1',
      '64:ff9b::808:808',
    ],
    ...[
      '64:ff9b:1::1',
      '100::1',
      '2001::1',
      '2001:0:7f00:1::',
      '2001:10::1',
      '2001:20::1',
      '2001:db8::1',
      '2002:7f00:1::',
    ],
    ...[
      '2002:a00:1::',
      '3fff::1',
      '5f00::1',
      'fc00::1',
      'fd00:ec2::254',
      'fe80::1',
      'fe80::1%eth0',
      'fec0::1',
      'ff02::1',
    ],
    // Not addresses, or addresses in clothes.
    ...[
      '',
      'localhost',
      '127.1',
      '0x7f.0.0.1',
      '2130706433',
      '0177.0.0.1',
      '1.1.1.1 ',
      '01.1.1.1',
      '8.8.8',
      '1.1.1.1:80',
      '[::1]',
      '8.8.8.8%1',
    ],
  ])('"%s" is not', (address) => {
    expect(isPublicAddress(address)).toBe(false);
  });

  test('no address inside a private range is ever public, however it is written', () => {
    const ranges = [
      '10.0.0.0/8',
      '127.0.0.0/8',
      '169.254.0.0/16',
      '172.16.0.0/12',
      '192.168.0.0/16',
      '100.64.0.0/10',
    ].map((range) => ipaddr.IPv4.parseCIDR(range));
    fc.assert(
      fc.property(fc.constantFrom(...ranges), fc.nat(0xffff_ffff), ([network, bits], noise) => {
        const value = network.toByteArray().reduce((sum, byte) => sum * 256 + byte, 0) + (noise % 2 ** (32 - bits));
        const bytes = [24, 16, 8, 0].map((shift) => Math.floor(value / 2 ** shift) % 256);
        const address = new ipaddr.IPv4(bytes);
        return [
          address.toString(),
          address.toIPv4MappedAddress().toString(),
          address.toIPv4MappedAddress().toNormalizedString(),
        ].every((text) => !isPublicAddress(text));
      }),
    );
  });
});
