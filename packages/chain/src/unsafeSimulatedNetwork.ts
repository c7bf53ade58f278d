import { type Address, teeTypes } from '@cloister/core';
import { getContractAddress } from 'viem';
import type { ChainAccount } from './account.ts';
import { type DeployableContract, deployContract } from './deploy.ts';
import {
  actRulesAbi,
  actRulesBytecode,
  appRegistryAbi,
  appRegistryBytecode,
  batchAbi,
  batchBytecode,
  cloisterGovernorAbi,
  cloisterGovernorBytecode,
  collateralStoreAbi,
  collateralStoreBytecode,
  committeePurseAbi,
  committeePurseBytecode,
  committeeResultVerifierAbi,
  committeeResultVerifierBytecode,
  depositBondAbi,
  depositBondBytecode,
  epochRecordsAbi,
  epochRecordsBytecode,
  epochRewardsAbi,
  epochRewardsBytecode,
  gatekeeperCommitteeAbi,
  gatekeeperCommitteeBytecode,
  imageRegistryAbi,
  imageRegistryBytecode,
  paymentsAbi,
  paymentsBytecode,
  pckRegistryAbi,
  pckRegistryBytecode,
  phaGenesisAbi,
  phaGenesisBytecode,
  platformAssuranceAbi,
  platformAssuranceBytecode,
  sgxVerifierAbi,
  sgxVerifierBytecode,
  slashingAbi,
  slashingBytecode,
  stakeDelegatesAbi,
  stakeDelegatesBytecode,
  stakePoolsAbi,
  stakePoolsBytecode,
  storageRentAbi,
  storageRentBytecode,
  tdxVerifierAbi,
  tdxVerifierBytecode,
  timelockControllerAbi,
  timelockControllerBytecode,
  workerBondsAbi,
  workerBondsBytecode,
  workerRegistryAbi,
  workerRegistryBytecode,
  workMeterAbi,
  workMeterBytecode,
} from './generated/index.ts';

export type NetworkParameters = {
  readonly chainId: number;
  readonly timelockDelaySeconds: bigint;
  /** Proposes to the timelock until it is handed over to the Governor. */
  readonly proposer: Address;
  /** Genesis allocation of PHA, in its smallest unit. */
  readonly allocation: readonly { readonly holder: Address; readonly amount: bigint }[];
  /** Unix seconds of epoch 0. */
  readonly genesis: bigint;
  readonly epochLengthSeconds: number;
  readonly roundLengthSeconds: number;
  readonly maxAttestedBlockAge: number;
  readonly bondWithdrawalDelaySeconds: bigint;
  /** From a payer's wish for its money back to its payment; 900 at the least. */
  readonly paymentsWithdrawalDelaySeconds: bigint;
  /** Parts of each fee in basis points; the operator gets the rest. */
  readonly feeShares: { readonly gateway: number; readonly gatekeepers: number; readonly treasury: number };
  /** Of a GiB that a gateway keeps for an epoch, in PHA's smallest unit; of purchases, until governance changes it. */
  readonly storagePrice: bigint;
  /** `unbonding` is as long as the three windows of a slash at the least. */
  readonly staking: {
    readonly unbondingSeconds: number;
    readonly maxPauseSeconds: number;
    readonly detectionWindowSeconds: number;
    readonly proofWindowSeconds: number;
    readonly vetoWindowSeconds: number;
    /** Of a slash, for who reported it; basis points. */
    readonly reporterBps: number;
    /** A worker's bond is k times the root of its measured work, and `minimumBond` at the least; PHA's smallest unit. */
    readonly bondFactor: bigint;
    readonly minimumBond: bigint;
  };
  readonly governance: {
    /** Of every time that the Governor has: 60 to 86,400. */
    readonly daySeconds: number;
    /** Votes that a proposal takes, in PHA's smallest unit. */
    readonly proposalThreshold: bigint;
  };
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
  readonly payments: Address;
  /** Shares the gatekeepers' part of fees among them. */
  readonly committeePurse: Address;
  readonly stakePools: Address;
  readonly workerBonds: Address;
  /** Measurer of the bonds. */
  readonly workMeter: Address;
  readonly slashing: Address;
  readonly emission: Address;
  readonly epochRewards: Address;
  readonly storageRent: Address;
  readonly actRules: Address;
  readonly stakeDelegates: Address;
  readonly governor: Address;
};

/** The contract's own bound. */
const minEarningsTimeSeconds = 60;

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
  const imageRegistry = await put({
    name: 'ImageRegistry',
    abi: imageRegistryAbi,
    bytecode: imageRegistryBytecode,
    // Whoever develops waits for no notice.
    args: [timelock, 0n],
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
    // Whoever develops waits for no notice.
    args: [timelock, 0n],
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
  const genesis = await put({
    name: 'PhaGenesis',
    abi: phaGenesisAbi,
    bytecode: phaGenesisBytecode,
    args: [timelock, allocation.map(({ holder }) => holder), allocation.map(({ amount }) => amount), epochRecords],
  });
  // What a contract creates first and second (EIP-161).
  const created = (nonce: bigint) => getContractAddress({ from: genesis, nonce }).toLowerCase() as Address;
  const [phaToken, emission] = [created(1n), created(2n)];
  const depositBond = await put({
    name: 'DepositBond',
    abi: depositBondAbi,
    bytecode: depositBondBytecode,
    args: [timelock, phaToken, parameters.bondWithdrawalDelaySeconds],
  });
  const { staking } = parameters;
  const stakePools = await put({
    name: 'StakePools',
    abi: stakePoolsAbi,
    bytecode: stakePoolsBytecode,
    args: [
      {
        timelock,
        token: phaToken,
        earningsTime: Math.max(parameters.epochLengthSeconds, minEarningsTimeSeconds),
        unbonding: staking.unbondingSeconds,
        maxPause: staking.maxPauseSeconds,
      },
    ],
  });
  const workerBonds = await put({
    name: 'WorkerBonds',
    abi: workerBondsAbi,
    bytecode: workerBondsBytecode,
    args: [timelock, stakePools, workerRegistry, staking.bondFactor, staking.minimumBond],
  });
  const workMeter = await put({
    name: 'WorkMeter',
    abi: workMeterAbi,
    bytecode: workMeterBytecode,
    args: [epochRecords, workerBonds],
  });
  const slashing = await put({
    name: 'Slashing',
    abi: slashingAbi,
    bytecode: slashingBytecode,
    args: [
      {
        timelock,
        workerBonds,
        detectionWindow: staking.detectionWindowSeconds,
        proofWindow: staking.proofWindowSeconds,
        vetoWindow: staking.vetoWindowSeconds,
        treasury: timelock,
        reporterBps: staking.reporterBps,
      },
    ],
  });
  const committeePurse = await put({
    name: 'CommitteePurse',
    abi: committeePurseAbi,
    bytecode: committeePurseBytecode,
    args: [phaToken, gatekeeperCommittee],
  });
  const payments = await put({
    name: 'Payments',
    abi: paymentsAbi,
    bytecode: paymentsBytecode,
    args: [
      {
        timelock,
        token: phaToken,
        workerRegistry,
        stakePools,
        withdrawalDelay: parameters.paymentsWithdrawalDelaySeconds,
        gatekeepers: committeePurse,
        // Until governance names another, what is the treasury's waits where it can decide.
        treasury: timelock,
        shares: parameters.feeShares,
      },
    ],
  });
  const epochRewards = await put({
    name: 'EpochRewards',
    abi: epochRewardsAbi,
    bytecode: epochRewardsBytecode,
    args: [timelock, emission],
  });
  const storageRent = await put({
    name: 'StorageRent',
    abi: storageRentAbi,
    bytecode: storageRentBytecode,
    args: [
      {
        timelock,
        token: phaToken,
        genesis: parameters.genesis,
        epochLength: parameters.epochLengthSeconds,
        price: parameters.storagePrice,
      },
    ],
  });
  const { daySeconds, proposalThreshold } = parameters.governance;
  const actRules = await put({
    name: 'ActRules',
    abi: actRulesAbi,
    bytecode: actRulesBytecode,
    args: [{ timelock, day: daySeconds, stakePools, depositBond, payments, gatekeeperImages: gatekeeperImageRegistry }],
  });
  const stakeDelegates = await put({
    name: 'StakeDelegates',
    abi: stakeDelegatesAbi,
    bytecode: stakeDelegatesBytecode,
    args: [],
  });
  const governor = await put({
    name: 'CloisterGovernor',
    abi: cloisterGovernorAbi,
    bytecode: cloisterGovernorBytecode,
    args: [actRules, stakeDelegates, { ...governorRulesOf(daySeconds), proposalThreshold }],
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
    payments,
    committeePurse,
    stakePools,
    workerBonds,
    workMeter,
    slashing,
    emission,
    epochRewards,
    storageRent,
    actRules,
    stakeDelegates,
    governor,
  };
}

/** What docs/governance.md chooses, in days of so many seconds. */
function governorRulesOf(daySeconds: number) {
  return {
    votingDelay: 2 * daySeconds,
    votingPeriod: 5 * daySeconds,
    voteExtension: 2 * daySeconds,
    quorumBps: 400,
    superQuorumBps: 1_500,
  };
}
