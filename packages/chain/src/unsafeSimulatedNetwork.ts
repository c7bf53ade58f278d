import { type Address, teeTypes } from '@cloister/core';
import type { ChainAccount } from './account.ts';
import { type DeployableContract, deployContract } from './deploy.ts';
import {
  appRegistryAbi,
  appRegistryBytecode,
  batchAbi,
  batchBytecode,
  collateralStoreAbi,
  collateralStoreBytecode,
  committeeResultVerifierAbi,
  committeeResultVerifierBytecode,
  depositBondAbi,
  depositBondBytecode,
  epochRecordsAbi,
  epochRecordsBytecode,
  gatekeeperCommitteeAbi,
  gatekeeperCommitteeBytecode,
  imageRegistryAbi,
  imageRegistryBytecode,
  pckRegistryAbi,
  pckRegistryBytecode,
  phaTokenAbi,
  phaTokenBytecode,
  platformAssuranceAbi,
  platformAssuranceBytecode,
  sgxVerifierAbi,
  sgxVerifierBytecode,
  tdxVerifierAbi,
  tdxVerifierBytecode,
  timelockControllerAbi,
  timelockControllerBytecode,
  workerRegistryAbi,
  workerRegistryBytecode,
} from './generated/index.ts';

export type NetworkParameters = {
  readonly chainId: number;
  readonly timelockDelaySeconds: bigint;
  /** Proposes to the timelock until governance lands. */
  readonly proposer: Address;
  /** Genesis allocation of PHA, in its smallest unit. */
  readonly allocation: readonly { readonly holder: Address; readonly amount: bigint }[];
  /** Unix seconds of epoch 0. */
  readonly genesis: bigint;
  readonly epochLengthSeconds: number;
  readonly roundLengthSeconds: number;
  readonly maxAttestedBlockAge: number;
  readonly bondWithdrawalDelaySeconds: bigint;
  /** P-256 key of the network's DEV root: only for networks that are simulated for ever. */
  readonly simulatedRoot: { readonly x: bigint; readonly y: bigint };
};

export type DeployedNetwork = {
  readonly timelock: Address;
  readonly phaToken: Address;
  readonly imageRegistry: Address;
  readonly collateralStore: Address;
  readonly pckRegistry: Address;
  readonly tdxVerifier: Address;
  readonly sgxVerifier: Address;
  readonly platformAssurance: Address;
  readonly batch: Address;
  readonly workerRegistry: Address;
  readonly appRegistry: Address;
  /** Images and network files of gatekeepers: apart from those of workers. */
  readonly gatekeeperImageRegistry: Address;
  readonly depositBond: Address;
  readonly gatekeeperCommittee: Address;
  /** Take the committee's word for evidence that the chain can't check. */
  readonly snpVerifier: Address;
  readonly nitroVerifier: Address;
  readonly epochRecords: Address;
};

/**
 * Deploys the contracts of a network that accepts simulated evidence, for ever: for development. Deploys what is not yet there, by CREATE2: the same parameters give the same addresses, and a second run deploys
 * nothing. Throws DEPLOY_NO_FACTORY, DEPLOY_FAILED.
 */
export async function deployUnsafeSimulatedNetwork(
  account: ChainAccount,
  rpc: string,
  parameters: NetworkParameters,
  onDeployed: (name: string, address: Address) => void = () => {},
): Promise<DeployedNetwork> {
  const put = (contract: DeployableContract) => deployContract(account, rpc, contract, onDeployed);
  const { allocation, proposer, simulatedRoot } = parameters;
  const timelock = await put({
    name: 'TimelockController',
    abi: timelockControllerAbi,
    bytecode: timelockControllerBytecode,
    // Anyone may execute what is due; nobody administers the roles from outside.
    args: [
      parameters.timelockDelaySeconds,
      [proposer],
      ['0x0000000000000000000000000000000000000000'],
      '0x0000000000000000000000000000000000000000',
    ],
  });
  const phaToken = await put({
    name: 'PhaToken',
    abi: phaTokenAbi,
    bytecode: phaTokenBytecode,
    args: [allocation.map(({ holder }) => holder), allocation.map(({ amount }) => amount)],
  });
  const imageRegistry = await put({
    name: 'ImageRegistry',
    abi: imageRegistryAbi,
    bytecode: imageRegistryBytecode,
    args: [timelock],
  });
  const collateralStore = await put({
    name: 'CollateralStore',
    abi: collateralStoreAbi,
    bytecode: collateralStoreBytecode,
    // The same code as on a network of real machines: only the root is another one.
    args: [simulatedRoot.x, simulatedRoot.y],
  });
  const pckRegistry = await put({
    name: 'PckRegistry',
    abi: pckRegistryAbi,
    bytecode: pckRegistryBytecode,
    args: [collateralStore],
  });
  const behind = [collateralStore, pckRegistry];
  const tdxVerifier = await put({
    name: 'TdxVerifier',
    abi: tdxVerifierAbi,
    bytecode: tdxVerifierBytecode,
    args: behind,
  });
  const sgxVerifier = await put({
    name: 'SgxVerifier',
    abi: sgxVerifierAbi,
    bytecode: sgxVerifierBytecode,
    args: behind,
  });
  const workerRegistry = await put({
    name: 'WorkerRegistry',
    abi: workerRegistryAbi,
    bytecode: workerRegistryBytecode,
    args: [
      {
        timelock,
        imageRegistry,
        genesis: parameters.genesis,
        epochLength: parameters.epochLengthSeconds,
        roundLength: parameters.roundLengthSeconds,
        maxAttestedBlockAge: parameters.maxAttestedBlockAge,
        simulatedAllowed: true,
      },
    ],
  });
  const appRegistry = await put({ name: 'AppRegistry', abi: appRegistryAbi, bytecode: appRegistryBytecode, args: [] });
  const platformAssurance = await put({
    name: 'PlatformAssurance',
    abi: platformAssuranceAbi,
    bytecode: platformAssuranceBytecode,
    args: [timelock, workerRegistry],
  });
  const gatekeeperImageRegistry = await put({
    name: 'ImageRegistry of gatekeepers',
    abi: imageRegistryAbi,
    bytecode: imageRegistryBytecode,
    args: [timelock],
  });
  const depositBond = await put({
    name: 'DepositBond',
    abi: depositBondAbi,
    bytecode: depositBondBytecode,
    args: [timelock, phaToken, parameters.bondWithdrawalDelaySeconds],
  });
  const gatekeeperCommittee = await put({
    name: 'GatekeeperCommittee',
    abi: gatekeeperCommitteeAbi,
    bytecode: gatekeeperCommitteeBytecode,
    args: [
      {
        timelock,
        imageRegistry: gatekeeperImageRegistry,
        workerRegistry,
        maxAttestedBlockAge: parameters.maxAttestedBlockAge,
        simulatedAllowed: true,
        // All its members are of one made-up vendor.
        diversityWaived: true,
      },
    ],
  });
  const byResult = (name: string, teeType: number) =>
    put({
      name,
      abi: committeeResultVerifierAbi,
      bytecode: committeeResultVerifierBytecode,
      args: [gatekeeperCommittee, workerRegistry, teeType],
    });
  const snpVerifier = await byResult('CommitteeResultVerifier of SEV-SNP', teeTypes['sev-snp']);
  const nitroVerifier = await byResult('CommitteeResultVerifier of Nitro', teeTypes.nitro);
  const epochRecords = await put({
    name: 'EpochRecords',
    abi: epochRecordsAbi,
    bytecode: epochRecordsBytecode,
    args: [timelock, gatekeeperCommittee, workerRegistry],
  });
  const batch = await put({ name: 'Batch', abi: batchAbi, bytecode: batchBytecode, args: [] });
  return {
    timelock,
    phaToken,
    imageRegistry,
    collateralStore,
    pckRegistry,
    tdxVerifier,
    sgxVerifier,
    workerRegistry,
    appRegistry,
    platformAssurance,
    batch,
    gatekeeperImageRegistry,
    depositBond,
    gatekeeperCommittee,
    snpVerifier,
    nitroVerifier,
    epochRecords,
  };
}
