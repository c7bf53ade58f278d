import type { BridgeLink, Hex, ImageRecipe, NetworkFile, Receipt } from '@cloister/core';

/** Bytes32 made of one repeated byte. */
export const b32 = (byte: number): `0x${string}` => `0x${byte.toString(16).padStart(2, '0').repeat(32)}`;
export const addr = (byte: number): `0x${string}` => `0x${byte.toString(16).padStart(2, '0').repeat(20)}`;

export const domain = { chainId: 31337, registry: addr(0x77) } as const;

export const receipt: Receipt = {
  app: b32(1),
  manifest: b32(2),
  keyVersion: 1n,
  epoch: 7n,
  channel: b32(0),
  sequence: 42n,
  context: b32(3),
  requestHash: b32(4),
  inputCommitment: b32(5),
  outputCommitment: b32(6),
  status: 0,
  fee: 0n,
  cumulativeFee: 0n,
  blockNumber: 1234n,
  blockHash: b32(8),
  time: 1_790_000_000n,
  detailsHash: b32(9),
};

export const network: NetworkFile = {
  format: 'cloister-network-1',
  name: 'devnet',
  chainId: 31337,
  contracts: {
    timelock: addr(1),
    phaToken: addr(2),
    imageRegistry: addr(3),
    workerRegistry: addr(4),
    appRegistry: addr(5),
    gatekeeperCommittee: addr(6),
    epochRecords: addr(7),
    payments: addr(0xd1),
    stakePools: addr(0xd2),
    workerBonds: addr(0xd3),
    slashing: addr(0xd4),
    emission: addr(0xd5),
    epochRewards: addr(0xd6),
    storageRent: addr(0xd7),
    governor: addr(0xd8),
  },
  rpcs: ['http://127.0.0.1:8545'],
  gateways: ['http://127.0.0.1:8080'],
  trustRoots: [{ tee: 'tdx', spkiSha256: b32(0xaa), simulated: true, name: 'DEV root' }],
  networkKeys: null,
  simulated: true,
};

const words48 = (byte: number): Hex => `0x${byte.toString(16).padStart(2, '0').repeat(48)}`;
const registers = { mrtd: words48(1), rtmr0: words48(2), rtmr1: words48(3), rtmr2: words48(4) };

/** One with reference values of each form. */
export const imageRecipe: ImageRecipe = {
  format: 'cloister-image-recipe-1',
  source: { uri: 'https://git.example/cloister.git', revision: 'c0'.repeat(20) },
  build: 'npm run image -- --network network.json',
  platform: 'linux-x64',
  runtime: '24.14.0',
  references: [
    { form: 'simulated-tdx', ...registers },
    { form: 'tdx', ...registers, rtmr0: words48(5) },
    { form: 'dstack', ...registers, composeHash: b32(0xc5) },
    { form: 'simulated-sev-snp', measurement: words48(6) },
    { form: 'sev-snp', measurement: words48(7) },
    { form: 'sgx', mrEnclave: b32(8) },
    { form: 'nitro', pcr0: words48(9), pcr1: words48(10), pcr2: words48(11) },
  ],
};

/** A link of {@link network} to a second chain. */
export const link: BridgeLink = {
  name: 'second chain',
  chainId: 31_338,
  rpcs: ['http://127.0.0.1:8546'],
  home: { bridge: addr(0xb1), phaRoute: addr(0xb2) },
  remote: { timelock: addr(0xb3), committee: addr(0xb4), bridge: addr(0xb5), phaRoute: addr(0xb6), pha: addr(0xb7) },
};
