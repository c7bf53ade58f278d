import {
  admitGovernorCalls,
  type ChainAccount,
  ChainView,
  type GovernedCall,
  governAtOnce,
  handOverToGovernorCalls,
  TimelockReader,
} from '@cloister/chain';
import { type Address, CloisterError, type NetworkFile, zeroAddress } from '@cloister/core';
import { namedContracts, showCall } from '@cloister/sdk';
import { chainId } from './options.ts';

type Contracts = NetworkFile['contracts'];

/** Whether the holders of PHA alone propose here: the deployer's roles were handed over. */
export async function isGoverned(rpc: string, contracts: Contracts, deployer: Address): Promise<boolean> {
  return !(await readerOf(rpc, contracts).hasRole('PROPOSER_ROLE', deployer));
}

/** Makes the calls by the timelock at once, while the deployer may. Throws DEVNET_GOVERNED with what must be proposed instead. */
export async function governHere(
  deployer: ChainAccount,
  rpc: string,
  contracts: Contracts,
  calls: readonly GovernedCall[],
): Promise<void> {
  if (calls.length === 0) return;
  if (!(await isGoverned(rpc, contracts, deployer.address)))
    return governAtOnce(deployer, rpc, contracts.timelock, calls);
  const named = await namedContracts({ contracts }, readerOf(rpc, contracts).view);
  throw new DevnetGovernanceError(
    'DEVNET_GOVERNED',
    'The holders of PHA govern this network, and this start needs what they have not decided',
    `Start the code that it had before, and there: cloister govern propose --title '…' ${calls
      .map((call) => `--call '${showCall({ ...call, value: 0n }, named).text}'`)
      .join(' ')}. Or start anew with --reset, or with another --data DIR`,
  );
}

/**
 * Lets the Governor propose to the timelock, beside the deployer or, where it is handed over, alone. What was handed over stays so. Answers
 * whether it is.
 */
export async function settleGovernance(
  deployer: ChainAccount,
  rpc: string,
  contracts: Contracts,
  handOver: boolean,
): Promise<boolean> {
  const { timelock, governor } = contracts;
  if (await isGoverned(rpc, contracts, deployer.address)) return true;
  const reader = readerOf(rpc, contracts);
  if (!handOver) {
    if (!(await reader.hasRole('PROPOSER_ROLE', governor)))
      await governAtOnce(deployer, rpc, timelock, admitGovernorCalls(timelock, governor));
    return false;
  }
  const delegate = await reader.treasuryDelegate();
  if (delegate !== undefined)
    throw new DevnetGovernanceError(
      'DEVNET_NOT_HANDED_OVER',
      `The treasury's PHA votes by "${delegate}"`,
      'Take that back first: phaToken.delegate of the zero address',
    );
  await governAtOnce(deployer, rpc, timelock, handOverToGovernorCalls(timelock, governor, deployer.address));
  await assertHandedOver(reader, contracts);
  return true;
}

/** That nobody but the Governor proposes or cancels, anybody executes, and the timelock alone changes roles. */
async function assertHandedOver(reader: TimelockReader, { timelock, governor }: Contracts): Promise<void> {
  const holders = await reader.holders(await reader.view.head());
  const expected: typeof holders = {
    PROPOSER_ROLE: [governor],
    CANCELLER_ROLE: [governor],
    EXECUTOR_ROLE: [zeroAddress],
    DEFAULT_ADMIN_ROLE: [timelock],
  };
  for (const [role, accounts] of Object.entries(expected)) {
    const found = holders[role as keyof typeof holders];
    if (found.join() !== accounts.join())
      throw new DevnetGovernanceError(
        'DEVNET_NOT_HANDED_OVER',
        `Expected ${role} of the timelock to be held by "${accounts.join()}", got "${found.join()}"`,
        'Start with --reset, or with another --data DIR',
      );
  }
}

function readerOf(rpc: string, contracts: Contracts): TimelockReader {
  return new TimelockReader(new ChainView({ chainId, rpcs: [rpc] }), contracts);
}

export class DevnetGovernanceError extends CloisterError<'DEVNET_GOVERNED' | 'DEVNET_NOT_HANDED_OVER'> {
  override readonly name = 'DevnetGovernanceError';
  constructor(code: DevnetGovernanceError['code'], message: string, hint: string) {
    super({ code, message, hint });
  }
}
