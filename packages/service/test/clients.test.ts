import type { IncomingMessage } from 'node:http';
import { describe, expect, test } from 'vitest';
import { clientKey, clientOf } from '../src/clientOf.ts';
import { TokenBuckets } from '../src/tokenBuckets.ts';

describe('TokenBuckets', () => {
  test('give a burst, then a rate, each client its own', () => {
    let now = 0;
    const buckets = new TokenBuckets({ burst: 3, perSecond: 2, now: () => now });
    expect([1, 2, 3].map(() => buckets.take('a'))).toEqual([0, 0, 0]);
    expect(buckets.take('a')).toBe(500);
    expect(buckets.take('b')).toBe(0);
    now = 499;
    expect(buckets.take('a')).toBeGreaterThan(0);
    now = 501;
    expect(buckets.take('a')).toBe(0);
    now = 1_000_000;
    expect(buckets.take('a', 4)).toBe(Number.POSITIVE_INFINITY);
    expect(buckets.take('a', 3)).toBe(0);
    expect(buckets.take('a')).toBe(500);
  });

  test('forget the client not seen for longest', () => {
    const buckets = new TokenBuckets({ burst: 1, perSecond: 0.001, maxClients: 2, now: () => 0 });
    buckets.take('a');
    buckets.take('b');
    buckets.take('a');
    buckets.take('c');
    expect(buckets.size).toBe(2);
    expect(buckets.take('a')).toBeGreaterThan(0);
    expect(buckets.take('b')).toBe(0);
  });
});

describe('clients', () => {
  test.each([
    ['203.0.113.7', '203.0.113.7'],
    ['::ffff:203.0.113.7', '203.0.113.7'],
    ['2001:db8:1:2:3:4:5:6', '2001:db8:1:2::/64'],
    ['2001:DB8:1:2:ffff::1', '2001:db8:1:2::/64'],
    ['2001:db8::1', '2001:db8:0:0::/64'],
    ['2001:0db8:0000:0000::1', '2001:db8:0:0::/64'],
    ['::1', '0:0:0:0::/64'],
    ['fe80::1%eth0', 'fe80:0:0:0::/64'],
    ['unknown', 'unknown'],
  ])('%s counts as %s', (address, key) => {
    expect(clientKey(address)).toBe(key);
  });

  test('X-Forwarded-For is believed as far as our own proxies wrote it', () => {
    const request = (header: string | undefined) =>
      ({
        socket: { remoteAddress: '10.0.0.1' },
        headers: header === undefined ? {} : { 'x-forwarded-for': header },
      }) as unknown as IncomingMessage;
    expect(clientOf(request('198.51.100.1'), 0)).toBe('10.0.0.1');
    expect(clientOf(request('6.6.6.6, 198.51.100.1'), 1)).toBe('198.51.100.1');
    expect(clientOf(request('6.6.6.6, 198.51.100.1, 10.0.0.2'), 2)).toBe('198.51.100.1');
    expect(clientOf(request('198.51.100.1'), 2)).toBe('10.0.0.1');
    expect(clientOf(request('nonsense'), 1)).toBe('10.0.0.1');
    expect(clientOf(request(undefined), 1)).toBe('10.0.0.1');
  });
});
