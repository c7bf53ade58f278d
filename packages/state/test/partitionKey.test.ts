import { SecretBytes } from '@cloister/crypto';
import { partitionKey } from '@cloister/state';
import { expect, test } from 'vitest';

test('each partition has a key of its own, which its signature alone gives', async () => {
  const signature = (byte: number) => new SecretBytes(new Uint8Array(96).fill(byte));
  const key = await partitionKey(signature(1), 3);
  expect(key.length).toBe(32);
  expect(key.equals(await partitionKey(signature(1), 3))).toBe(true);
  for (const other of [await partitionKey(signature(1), 4), await partitionKey(signature(2), 3)])
    expect(key.equals(other)).toBe(false);
});
