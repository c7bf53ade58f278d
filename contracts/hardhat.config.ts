import { createRequire } from 'node:module';
import toolbox from '@nomicfoundation/hardhat-toolbox-viem';
import { defineConfig } from 'hardhat/config';

const soljson = createRequire(import.meta.url).resolve('solc/soljson.js');

const compiler = {
  version: '0.8.37',
  path: soljson,
  settings: {
    optimizer: { enabled: true, runs: 10_000 },
    evmVersion: 'cancun',
    // Without the metadata hash a changed comment leaves the bytecode, and so every address, as it was.
    metadata: { bytecodeHash: 'none' },
    outputSelection: { '*': { '*': ['storageLayout'] } },
  },
};

export default defineConfig({
  plugins: [toolbox],
  paths: { sources: ['src', 'test/harness'], tests: { solidity: 'test/fuzz', nodejs: 'test/nodejs' } },
  solidity: {
    npmFilesToBuild: ['@openzeppelin/contracts/governance/TimelockController.sol'],
    compilers: [compiler],
    // Claims are the network's most frequent transaction: the optimizer over the intermediate code saves a fifth of them.
    // Without it their stack is too deep.
    overrides: {
      'src/payments/Payments.sol': { ...compiler, settings: { ...compiler.settings, viaIR: true } },
      // Near the limit of code size: optimized for a thousand runs it is 1,900 bytes smaller, for a few gas a call.
      'src/staking/StakePools.sol': {
        ...compiler,
        settings: { ...compiler.settings, optimizer: { enabled: true, runs: 1_000 } },
      },
      // OpenZeppelin's Governor is most of it. Optimized for size: a vote costs a few hundred gas more.
      'src/governance/governor/CloisterGovernor.sol': {
        ...compiler,
        settings: { ...compiler.settings, optimizer: { enabled: true, runs: 200 } },
      },
    },
  },
  test: { solidity: { fuzz: { runs: 256 } } },
  // Osaka brings P256VERIFY at 0x100; the bytecode itself asks for cancun only.
  networks: { default: { type: 'edr-simulated', hardfork: 'osaka' } },
});
