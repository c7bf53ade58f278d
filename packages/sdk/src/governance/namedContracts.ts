import {
  actRulesAbi,
  appRegistryAbi,
  ChainError,
  type ChainView,
  cloisterGovernorAbi,
  committeePurseAbi,
  depositBondAbi,
  emissionAbi,
  epochRecordsAbi,
  epochRewardsAbi,
  gatekeeperCommitteeAbi,
  imageRegistryAbi,
  paymentsAbi,
  phaTokenAbi,
  slashingAbi,
  stakeDelegatesAbi,
  stakePoolsAbi,
  storageRentAbi,
  timelockControllerAbi,
  workerBondsAbi,
  workerRegistryAbi,
  workMeterAbi,
} from '@cloister/chain';
import { type Address, type NetworkFile, zeroAddress } from '@cloister/core';
import type { Abi } from 'viem';

/** A contract of a network, by the name that proposals are written and shown with. */
export type NamedContract = { readonly name: string; readonly address: Address; readonly abi: Abi };

/** What each name of the network file stands for. */
const abis: Readonly<Record<keyof NetworkFile['contracts'], Abi>> = {
  timelock: timelockControllerAbi,
  phaToken: phaTokenAbi,
  imageRegistry: imageRegistryAbi,
  workerRegistry: workerRegistryAbi,
  appRegistry: appRegistryAbi,
  gatekeeperCommittee: gatekeeperCommitteeAbi,
  epochRecords: epochRecordsAbi,
  payments: paymentsAbi,
  stakePools: stakePoolsAbi,
  workerBonds: workerBondsAbi,
  slashing: slashingAbi,
  emission: emissionAbi,
  epochRewards: epochRewardsAbi,
  storageRent: storageRentAbi,
  governor: cloisterGovernorAbi,
};

/** Contracts that others name: whose getter, and what stands behind it. */
const named: readonly {
  readonly name: string;
  readonly abi: Abi;
  readonly by: keyof NetworkFile['contracts'];
  readonly getter: string;
}[] = [
  { name: 'gatekeeperImageRegistry', abi: imageRegistryAbi, by: 'gatekeeperCommittee', getter: 'imageRegistry' },
  { name: 'depositBond', abi: depositBondAbi, by: 'gatekeeperCommittee', getter: 'bond' },
  { name: 'workMeter', abi: workMeterAbi, by: 'workerBonds', getter: 'measurer' },
  { name: 'committeePurse', abi: committeePurseAbi, by: 'payments', getter: 'gatekeepers' },
  { name: 'actRules', abi: actRulesAbi, by: 'governor', getter: 'actRules' },
  { name: 'stakeDelegates', abi: stakeDelegatesAbi, by: 'governor', getter: 'stakeDelegates' },
];

/**
 * The contracts of a network: those of its file, and those that they name now. Of one whose getter is not answered nothing is known. Throws
 * ChainError where the chain can't be read.
 */
export async function namedContracts(
  { contracts }: Pick<NetworkFile, 'contracts'>,
  view: Pick<ChainView, 'read'>,
  signal?: AbortSignal,
): Promise<readonly NamedContract[]> {
  const ofFile = Object.entries(abis).map(([name, abi]) => ({
    name,
    address: contracts[name as keyof NetworkFile['contracts']],
    abi,
  }));
  const found = await Promise.all(
    named.map(async ({ name, abi, by, getter }): Promise<readonly NamedContract[]> => {
      try {
        const query = { address: contracts[by], abi: abis[by], functionName: getter, args: [] };
        const address = String(await view.read(query, signal)).toLowerCase() as Address;
        return address === zeroAddress ? [] : [{ name, address, abi }];
      } catch (error) {
        if (error instanceof ChainError && notThere.has(error.code)) return [];
        throw error;
      }
    }),
  );
  const all = [...ofFile, ...found.flat()];
  // The first name of an address is its own.
  return all.filter(({ address }, index) => all.findIndex((other) => other.address === address) === index);
}

const notThere: ReadonlySet<string> = new Set(['CHAIN_NO_CONTRACT', 'CHAIN_READ_REVERTED']);
