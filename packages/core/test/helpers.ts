import type { NetworkFile, Receipt } from '@cloister/core';

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
