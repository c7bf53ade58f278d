import { type Address, type Bytes32, type Hex, zeroBytes32 } from '@cloister/core';
import { createPublicClient, encodeFunctionData, http, keccak256, stringToHex } from 'viem';
import type { ChainAccount } from './account.ts';
import {
  depositBondAbi,
  emissionAbi,
  epochRecordsAbi,
  epochRewardsAbi,
  gatekeeperCommitteeAbi,
  imageRegistryAbi,
  slashingAbi,
  stakePoolsAbi,
  timelockControllerAbi,
  workerBondsAbi,
  workerRegistryAbi,
} from './generated/index.ts';
import { type TimelockRole, timelockRoles } from './timelockReader.ts';

/** One call that the timelock shall make. */
export type GovernedCall = { readonly target: Address; readonly data: Hex };

/** How an image is made: content and place of its recipe. Zero and nothing only where the network gives no notice. */
export type RecipeReference = { readonly hash: Bytes32; readonly uri: string };

/** The end of what has none. */
export const noExpiry = 2n ** 64n - 1n;

export type AllowedImage = {
  readonly imageId: Hex;
  /** For people, 1 to 64 bytes. */
  readonly label: string;
  readonly recipe: RecipeReference;
  /** Unix seconds; as soon as the network's notice lets it where it is left out. */
  readonly notBefore?: bigint;
  /** Unix seconds; never where it is left out. */
  readonly expiresAt?: bigint;
};

/** The call that lets the network accept an image, once its notice has passed. */
export function allowCall(imageRegistry: Address, image: AllowedImage): GovernedCall {
  const { imageId, label, recipe, notBefore = 0n, expiresAt = noExpiry } = image;
  const args = [imageId, notBefore, expiresAt, label, recipe] as const;
  return { target: imageRegistry, data: encodeFunctionData({ abi: imageRegistryAbi, functionName: 'allow', args }) };
}

/** The same for an image without a recipe: only where the network gives no notice, and counts at once there. */
export function allowImageCall(imageRegistry: Address, imageId: Hex, label: string): GovernedCall {
  return allowCall(imageRegistry, { imageId, label, recipe: { hash: zeroBytes32, uri: '' } });
}

/** The call that ends an image some time after its successor counts. */
export function retireImageCall(
  imageRegistry: Address,
  imageId: Hex,
  successor: Hex,
  overlapSeconds: bigint,
): GovernedCall {
  const args = [imageId, successor, overlapSeconds] as const;
  return { target: imageRegistry, data: encodeFunctionData({ abi: imageRegistryAbi, functionName: 'retire', args }) };
}

/** The call that ends an image earlier than it would; the registry's guardian may make it by itself. @param expiresAt Unix seconds; zero: now. */
export function shortenImageCall(imageRegistry: Address, imageId: Hex, expiresAt: bigint): GovernedCall {
  const args = [imageId, expiresAt] as const;
  return { target: imageRegistry, data: encodeFunctionData({ abi: imageRegistryAbi, functionName: 'shorten', args }) };
}

/** The call that elects a registry's guardian until then, unix seconds; the zero address and zero: nobody. */
export function setImageGuardianCall(imageRegistry: Address, guardian: Address, until: bigint): GovernedCall {
  const args = [guardian, until] as const;
  return {
    target: imageRegistry,
    data: encodeFunctionData({ abi: imageRegistryAbi, functionName: 'setGuardian', args }),
  };
}

/** The call that takes an image back at once. */
export function revokeImageCall(imageRegistry: Address, imageId: Hex): GovernedCall {
  return {
    target: imageRegistry,
    data: encodeFunctionData({ abi: imageRegistryAbi, functionName: 'revoke', args: [imageId] }),
  };
}

/** The call that lets workers run with a network file of this id. */
export function allowConfigCall(imageRegistry: Address, configId: Hex): GovernedCall {
  return {
    target: imageRegistry,
    data: encodeFunctionData({ abi: imageRegistryAbi, functionName: 'allowConfig', args: [configId] }),
  };
}

/** The call that refuses a physical machine at once, in one registry of images: of the workers' or of the gatekeepers'. */
export function blockPlatformCall(imageRegistry: Address, platformId: Hex, reason: string): GovernedCall {
  return {
    target: imageRegistry,
    data: encodeFunctionData({ abi: imageRegistryAbi, functionName: 'blockPlatform', args: [platformId, reason] }),
  };
}

/** What the registry asks of evidence of one TEE type (`TeePolicy` of the contract). */
export type TeePolicy = {
  readonly verifier: Address;
  readonly leaseDurationSeconds: number;
  /** Never `Revoked`. */
  readonly acceptedTcbStatuses: readonly (keyof typeof tcbStatusNumbers)[];
  readonly minimumTcbEvaluationDataNumber: number;
};

/** The numbers that contracts know TCB statuses by (`EvidenceClaims.tcbStatus`). */
export const tcbStatusNumbers = {
  UpToDate: 1,
  SWHardeningNeeded: 2,
  ConfigurationNeeded: 3,
  ConfigurationAndSWHardeningNeeded: 4,
  OutOfDate: 5,
  OutOfDateConfigurationNeeded: 6,
  Revoked: 7,
} as const;

/** The call that sets what evidence of a TEE type must meet: of the WorkerRegistry or of the GatekeeperCommittee, which take it alike. */
export function setTeePolicyCall(registry: Address, teeType: number, policy: TeePolicy): GovernedCall {
  const { verifier, leaseDurationSeconds: leaseDuration, minimumTcbEvaluationDataNumber } = policy;
  const acceptedTcbStatuses = policy.acceptedTcbStatuses.reduce(
    (mask, name) => mask | (1 << tcbStatusNumbers[name]),
    0,
  );
  const args = [teeType, { verifier, leaseDuration, acceptedTcbStatuses, minimumTcbEvaluationDataNumber }] as const;
  return {
    target: registry,
    data: encodeFunctionData({ abi: workerRegistryAbi, functionName: 'setTeePolicy', args }),
  };
}

/** The call that makes an operator eligible as a gatekeeper, or no longer. */
export function setEligibleCall(committee: Address, operator: Address, eligible: boolean): GovernedCall {
  const args = [operator, eligible] as const;
  return {
    target: committee,
    data: encodeFunctionData({ abi: gatekeeperCommitteeAbi, functionName: 'setEligible', args }),
  };
}

/** The call that sets the committee's threshold from its next generation on. */
export function setThresholdCall(committee: Address, threshold: number): GovernedCall {
  return {
    target: committee,
    data: encodeFunctionData({ abi: gatekeeperCommitteeAbi, functionName: 'setThreshold', args: [threshold] }),
  };
}

/** The call that names the contract which says what operators have at stake, and how much they must. */
export function setBondRuleCall(committee: Address, bond: Address, minimum: bigint): GovernedCall {
  return {
    target: committee,
    data: encodeFunctionData({ abi: gatekeeperCommitteeAbi, functionName: 'setBondRule', args: [bond, minimum] }),
  };
}

/** The call that names the app which gatekeepers call to measure workers. */
export function setChallengeAppCall(epochRecords: Address, app: Hex): GovernedCall {
  return {
    target: epochRecords,
    data: encodeFunctionData({ abi: epochRecordsAbi, functionName: 'setChallengeApp', args: [app] }),
  };
}

/** The call that binds workers' evidence to the committee's keys from now on. */
export function setNetworkKeysHashCall(workerRegistry: Address, keysHash: Hex): GovernedCall {
  return {
    target: workerRegistry,
    data: encodeFunctionData({ abi: workerRegistryAbi, functionName: 'setNetworkKeysHash', args: [keysHash] }),
  };
}

/** The contracts of stake, loss and emission, which name each other. */
export type MoneyContracts = {
  readonly stakePools: Address;
  readonly workerBonds: Address;
  readonly workMeter: Address;
  readonly slashing: Address;
  readonly depositBond: Address;
  readonly epochRecords: Address;
  readonly emission: Address;
  readonly epochRewards: Address;
};

/** The calls that tell these contracts of each other, once, after their deployment. */
export function wireMoneyCalls(contracts: MoneyContracts): GovernedCall[] {
  const { stakePools, workerBonds, workMeter, slashing, depositBond, epochRecords, emission, epochRewards } = contracts;
  const call = (target: Address, data: Hex): GovernedCall => ({ target, data });
  return [
    call(stakePools, encodeFunctionData({ abi: stakePoolsAbi, functionName: 'setWorkerBonds', args: [workerBonds] })),
    call(workerBonds, encodeFunctionData({ abi: workerBondsAbi, functionName: 'setSlashing', args: [slashing] })),
    call(workerBonds, encodeFunctionData({ abi: workerBondsAbi, functionName: 'setMeasurer', args: [workMeter] })),
    call(depositBond, encodeFunctionData({ abi: depositBondAbi, functionName: 'setSlasher', args: [slashing] })),
    call(
      slashing,
      encodeFunctionData({
        abi: slashingAbi,
        functionName: 'setGatekeeperSources',
        args: [epochRecords, depositBond],
      }),
    ),
    call(emission, encodeFunctionData({ abi: emissionAbi, functionName: 'setRewards', args: [epochRewards] })),
    call(epochRewards, encodeFunctionData({ abi: epochRewardsAbi, functionName: 'setFeeSink', args: [stakePools] })),
  ];
}

/** The calls by which a timelock takes proposals of a Governor, beside those of who proposed before. */
export function admitGovernorCalls(timelock: Address, governor: Address): GovernedCall[] {
  return [
    roleCall(timelock, 'grantRole', 'PROPOSER_ROLE', governor),
    roleCall(timelock, 'grantRole', 'CANCELLER_ROLE', governor),
  ];
}

/**
 * The calls by which a timelock takes proposals of a Governor alone from then on, and no longer those of who proposed before. Nothing
 * else changes: whatever the timelock owns stays its own.
 */
export function handOverToGovernorCalls(timelock: Address, governor: Address, former: Address): GovernedCall[] {
  return [
    ...admitGovernorCalls(timelock, governor),
    roleCall(timelock, 'revokeRole', 'PROPOSER_ROLE', former),
    roleCall(timelock, 'revokeRole', 'CANCELLER_ROLE', former),
  ];
}

function roleCall(
  timelock: Address,
  functionName: 'grantRole' | 'revokeRole',
  role: Exclude<TimelockRole, 'DEFAULT_ADMIN_ROLE'>,
  account: Address,
): GovernedCall {
  const args = [timelockRoles[role], account] as const;
  return { target: timelock, data: encodeFunctionData({ abi: timelockControllerAbi, functionName, args }) };
}

/** Schedules the calls as one batch and executes them: only where the timelock's delay is zero and the account proposes. */
export async function governAtOnce(
  account: ChainAccount,
  rpc: string,
  timelock: Address,
  calls: readonly GovernedCall[],
): Promise<void> {
  if (calls.length === 0) return;
  // A fresh salt each time: the same batch may be needed again after it was undone.
  const salt = keccak256(
    stringToHex(`${Date.now()}:${await createPublicClient({ transport: http(rpc) }).getBlockNumber()}`),
  );
  const batch = [
    calls.map(({ target }) => target),
    calls.map(() => 0n),
    calls.map(({ data }) => data),
    zeroBytes32,
    salt,
  ] as const;
  await account.write({
    address: timelock,
    abi: timelockControllerAbi,
    functionName: 'scheduleBatch',
    args: [...batch, 0n],
  });
  await account.write({ address: timelock, abi: timelockControllerAbi, functionName: 'executeBatch', args: batch });
}
