import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { network } from 'hardhat';
import { concatHex, type Hex, keccak256, toHex, zeroAddress } from 'viem';
import { refused } from '../../support/refused.ts';

const connection = await network.create();
const { networkHelpers, viem } = connection;
const deployed = async () => ({ harness: await viem.deployContract('BlobHarness', []) });
const load = () => networkHelpers.loadFixture(deployed);

describe('bytes kept as code', () => {
  it('come back as they were, and nothing for nothing', async () => {
    const { harness } = await load();
    for (const length of [1, 31, 32, 33, 300, 24_575]) {
      const data = toHex(Uint8Array.from({ length }, (_, index) => index % 251));
      await harness.write.write([data]);
      const blob = (await harness.getEvents.Written())[0]?.args.blob ?? zeroAddress;
      assert.equal(await harness.read.read([blob]), data);
      assert.equal(await harness.read.holds([blob, data]), true);
      assert.equal(await harness.read.holds([blob, `${data}00`]), false);
      assert.equal(await harness.read.holds([zeroAddress, data]), false);
      assert.equal(await harness.read.holds([blob, '0x']), false);
    }
    await harness.write.write(['0x']);
    assert.equal((await harness.getEvents.Written())[0]?.args.blob, zeroAddress);
    assert.equal(await harness.read.read([zeroAddress]), '0x');
    assert.equal(await harness.read.holds([zeroAddress, '0x']), true);
  });

  it('are at most as many as code may have, less one', async () => {
    const { harness } = await load();
    const data = toHex(new Uint8Array(24_576));
    await refused(harness.simulate.write([data]), 'CodeBlobTooLarge', [24_576n, 24_575n]);
  });
});

describe('lists of revocations', () => {
  const tagOf = (index: number): Hex => keccak256(toHex(index)).slice(0, 34) as Hex;

  it('stand in order, each tag once', async () => {
    const { harness } = await load();
    const tags = Array.from({ length: 40 }, (_, index) => tagOf(index));
    const expected = concatHex([...tags].sort());
    assert.equal(await harness.read.listOf([tags]), expected);
    assert.equal(await harness.read.listOf([[...tags].reverse()]), expected);
    assert.equal(await harness.read.listOf([[...tags, ...tags, ...tags]]), expected);
    assert.equal(await harness.read.listOf([[]]), '0x');
  });

  it('hold what was put in, at every place of every length, and nothing else', async () => {
    const { harness } = await load();
    for (let length = 0; length <= 9; length++) {
      const tags = Array.from({ length }, (_, index) => tagOf(index));
      const list = length === 0 ? '0x' : concatHex([...tags].sort());
      for (const tag of tags) assert.equal(await harness.read.contains([list, tag]), true);
      for (const other of [tagOf(100), `0x${'00'.repeat(16)}`, `0x${'ff'.repeat(16)}`] as const)
        assert.equal(await harness.read.contains([list, other]), false);
    }
  });
});
