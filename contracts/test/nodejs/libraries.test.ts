import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { network } from 'hardhat';
import { toHex, zeroHash } from 'viem';
import { devRoot } from '../support/evidence.ts';
import { history2935Code, slotOf2935 } from '../support/history.ts';

const connection = await network.create();
const { networkHelpers, viem } = connection;
const load = () => networkHelpers.loadFixture(deployed);

async function deployed() {
  return { harness: await viem.deployContract('VectorHarness', []), publicClient: await viem.getPublicClient() };
}

describe('BlockHashes', () => {
  it('knows the last 256 blocks, and neither the present nor later ones', async () => {
    const { harness, publicClient } = await load();
    await networkHelpers.mine(300);
    // Calls on the newest block run as if in it: its own hash is not known there.
    const head = await publicClient.getBlockNumber();
    const hashOf = async (blockNumber: bigint) => (await publicClient.getBlock({ blockNumber })).hash;
    assert.equal(await harness.read.blockHashOf([head - 1n], { blockTag: 'latest' }), await hashOf(head - 1n));
    assert.equal(await harness.read.blockHashOf([head - 250n]), await hashOf(head - 250n));
    for (const unknown of [head - 280n, head + 5n, 2n ** 256n - 1n])
      assert.equal(await harness.read.blockHashOf([unknown]), zeroHash);
  });

  it('asks the history contract, and believes neither silence nor answers of another size', async () => {
    const { harness, publicClient } = await load();
    await networkHelpers.mine(300);
    const old = (await publicClient.getBlockNumber()) - 280n;
    const { address, code } = history2935Code;
    const known = toHex(0xabc, { size: 32 });
    await networkHelpers.setCode(address, '0x');
    assert.equal(await harness.read.blockHashOf([old]), zeroHash);
    await networkHelpers.setCode(address, code);
    assert.equal(await harness.read.blockHashOf([old]), zeroHash);
    await networkHelpers.setStorageAt(address, slotOf2935(old), known);
    assert.equal(await harness.read.blockHashOf([old]), known);
    // Answers of two words, of 31 bytes, and one word in a revert.
    for (const code of ['0x60015f5260405ff3', '0x60ff5f53601f5ff3', '0x60015f5260205ffd'] as const) {
      await networkHelpers.setCode(address, code);
      assert.equal(await harness.read.blockHashOf([old]), zeroHash);
    }
  });

  it('asks for nothing beyond the window of 8,191 blocks', async () => {
    const { harness, publicClient } = await load();
    await networkHelpers.mine(8300);
    const head = await publicClient.getBlockNumber();
    // A contract that answers 1 to everything.
    await networkHelpers.setCode(history2935Code.address, '0x60015f5260205ff3');
    assert.equal(await harness.read.blockHashOf([head - 8000n]), toHex(1, { size: 32 }));
    assert.equal(await harness.read.blockHashOf([head - 8250n]), zeroHash);
  });
});

describe('P256Verify', () => {
  const digest = toHex(0xd19e57, { size: 32 });

  it('accepts what the key signed, nothing else', async () => {
    const { harness } = await load();
    const [r, s] = devRoot.sign(digest);
    const { x, y } = devRoot;
    assert.equal(await harness.read.isP256Valid([digest, r, s, x, y]), true);
    for (const [d, a, b, c, e] of [
      [toHex(1, { size: 32 }), r, s, x, y],
      [digest, r ^ 1n, s, x, y],
      [digest, r, s ^ 1n, x, y],
      [digest, r, s, x ^ 1n, y],
      [digest, r, s, y, x],
      [digest, 0n, 0n, x, y],
      [digest, r, s, 0n, 0n],
    ] as const)
      assert.equal(await harness.read.isP256Valid([d, a, b, c, e]), false);
  });

  it('fails closed where the precompile is absent', async () => {
    const older = await network.create({ override: { hardfork: 'prague' } });
    const harness = await older.viem.deployContract('VectorHarness', []);
    const [r, s] = devRoot.sign(digest);
    assert.equal(await harness.read.isP256Valid([digest, r, s, devRoot.x, devRoot.y]), false);
    await older.close();
  });
});
