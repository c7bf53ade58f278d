import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { network } from 'hardhat';
import { concatHex, type Hex, padHex, toHex, zeroHash } from 'viem';
import { devRoot } from '../support/evidence.ts';
import { history2935Code, slotOf2935 } from '../support/history.ts';
import { signerOf } from '../support/world.ts';

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
    const oneBlock = async (blockNumber: bigint) => harness.read.blockHashOf([blockNumber], { blockTag: 'latest' });
    assert.equal(await oneBlock(head - 8191n), toHex(1, { size: 32 }));
    assert.equal(await oneBlock(head - 8192n), zeroHash);
    assert.equal(await harness.read.blockHashOf([head - 8250n]), zeroHash);
  });
});

describe('CommitteeProof', () => {
  const digest = toHex(0xd19e57, { size: 32 });
  const bitmap = (bits: number) => toHex(bits, { size: 4 });
  const word = (value: Hex) => padHex(value, { size: 32 });
  const noOne = word('0x');
  const sign = (...seeds: readonly number[]) => Promise.all(seeds.map((seed) => signerOf(seed).sign({ hash: digest })));

  it('counts signatures of members alone, exactly as many as are asked for', async () => {
    const { harness } = await load();
    const [first, second, third] = [1, 2, 3].map((seed) => word(signerOf(seed).address));
    if (first === undefined || second === undefined || third === undefined) throw new Error('Expected three words');
    const holds = (roll: readonly Hex[], threshold: number, bits: number, signatures: readonly Hex[]) =>
      harness.read.committeeHolds([digest, concatHex([bitmap(bits), ...signatures]), concatHex(roll), threshold]);
    const two = [first, second, noOne, noOne, noOne, noOne];
    assert.equal(await holds(two, 2, 0b11, await sign(1, 2)), true);
    assert.equal(await holds(two, 1, 0b10, await sign(2)), true);
    // One signature, with room for two.
    assert.equal(await holds(two, 2, 0b01, [...(await sign(1)), toHex(new Uint8Array(65))]), false);
    assert.equal(await holds(two, 2, 0b01, await sign(1, 2)), false);
    assert.equal(await holds(two, 1, 0b11, await sign(1)), false);
    // Who stands behind the members, as an operator or a key, is none.
    const one = [first, second, third];
    assert.equal(await holds(one, 2, 0b011, await sign(1, 2)), false);
    assert.equal(await holds(one, 2, 0b101, await sign(1, 3)), false);
    // What recovers nobody is not signed by a member of no address.
    assert.equal(await holds([noOne, noOne, noOne], 1, 0b1, [toHex(new Uint8Array(65))]), false);
    assert.equal(await holds(two, 0, 0, []), false);
  });

  it('finds nothing behind a roll', async () => {
    const { harness } = await load();
    const roll = concatHex([toHex(1, { size: 32 }), toHex(2, { size: 32 }), toHex(3, { size: 32 })]);
    assert.deepEqual(await harness.read.rollWord([roll, roll, 2n]), [toHex(3, { size: 32 }), 96n]);
    assert.deepEqual(await harness.read.rollWord([roll, roll, 3n]), [zeroHash, 96n]);
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
