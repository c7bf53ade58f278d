import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { describe, it } from 'node:test';
import { network } from 'hardhat';
import { size } from 'viem';
import { type Artifact, generatedContracts } from '../../scripts/generatedFiles.ts';
import { deployWorld, signerOf } from '../support/world.ts';

const maxCodeBytes = 24_576;
const maxInitcodeBytes = 49_152;
const maxTransactionGas = 16_777_216n;

describe('limits that hold on every chain', () => {
  for (const [source, name] of generatedContracts)
    it(`${name} fits: code, initcode`, () => {
      const path = new URL(`../../artifacts/${source}/${name}.json`, import.meta.url);
      const { bytecode, deployedBytecode } = JSON.parse(readFileSync(path, 'utf8')) as Artifact;
      assert.ok(size(deployedBytecode) <= maxCodeBytes, `${size(deployedBytecode)} bytes of code`);
      assert.ok(size(bytecode) <= maxInitcodeBytes, `${size(bytecode)} bytes of initcode`);
    });

  it('every deployment fits into one transaction, a genesis of 100 holders too', async () => {
    const connection = await network.create();
    const { viem } = connection;
    const world = await deployWorld(connection);
    const holders = Array.from({ length: 100 }, (_, index) => signerOf(1000 + index).address);
    await viem.deployContract('PhaToken', [holders, holders.map(() => 10n ** 18n)]);
    const head = await world.publicClient.getBlockNumber();
    let seen = 0;
    for (let number = 1n; number <= head; number += 1n) {
      const block = await world.publicClient.getBlock({ blockNumber: number, includeTransactions: true });
      for (const { hash, to, input } of block.transactions) {
        const { gasUsed } = await world.publicClient.getTransactionReceipt({ hash });
        assert.ok(gasUsed <= maxTransactionGas, `${gasUsed} gas`);
        if (to !== null) continue;
        seen += 1;
        assert.ok(size(input) <= maxInitcodeBytes, `${size(input)} bytes of initcode with its arguments`);
      }
    }
    assert.ok(seen >= 6, `${seen} deployments seen`);
  });
});
