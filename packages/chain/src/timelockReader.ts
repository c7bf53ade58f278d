import { type Address, type Bytes32, type NetworkFile, zeroAddress, zeroBytes32 } from '@cloister/core';
import { keccak256, stringToHex } from 'viem';
import type { BlockId } from './chainLog.ts';
import type { ChainView } from './chainView.ts';
import { phaTokenAbi, timelockControllerAbi } from './generated/index.ts';

/** OpenZeppelin's roles of a TimelockController. */
export const timelockRoles = {
  PROPOSER_ROLE: keccak256(stringToHex('PROPOSER_ROLE')),
  CANCELLER_ROLE: keccak256(stringToHex('CANCELLER_ROLE')),
  EXECUTOR_ROLE: keccak256(stringToHex('EXECUTOR_ROLE')),
  DEFAULT_ADMIN_ROLE: zeroBytes32,
} as const satisfies Record<string, Bytes32>;
export type TimelockRole = keyof typeof timelockRoles;

/** Who holds which role of a network's timelock. The zero address as an executor: anybody executes what is due. */
export type TimelockHolders = Readonly<Record<TimelockRole, readonly Address[]>>;

/** The timelock of a network: who proposes to it, and whether the treasury's PHA votes. */
export class TimelockReader {
  readonly view: ChainView;
  readonly #contracts: Pick<NetworkFile['contracts'], 'timelock' | 'phaToken'>;

  constructor(view: ChainView, contracts: Pick<NetworkFile['contracts'], 'timelock' | 'phaToken'>) {
    this.view = view;
    this.#contracts = contracts;
  }

  /** Who holds the roles at a block: by all events up to it, each holder read from the contract. Throws ChainError. */
  async holders(at: BlockId, signal?: AbortSignal): Promise<TimelockHolders> {
    const query = { address: this.#contracts.timelock, abi: timelockControllerAbi, fromBlock: 0n };
    const granted = await this.view.logsUpTo({ ...query, eventNames: ['RoleGranted'] }, at, signal);
    const of = async (role: TimelockRole): Promise<readonly Address[]> => {
      const named = granted.flatMap(({ args }) =>
        args.role === timelockRoles[role] ? [lower(String(args.account))] : [],
      );
      const accounts = [...new Set(named)];
      const holds = await Promise.all(accounts.map((account) => this.hasRole(role, account, at.number, signal)));
      return accounts.filter((_, index) => holds[index]);
    };
    const [PROPOSER_ROLE, CANCELLER_ROLE, EXECUTOR_ROLE, DEFAULT_ADMIN_ROLE] = await Promise.all([
      of('PROPOSER_ROLE'),
      of('CANCELLER_ROLE'),
      of('EXECUTOR_ROLE'),
      of('DEFAULT_ADMIN_ROLE'),
    ]);
    return { PROPOSER_ROLE, CANCELLER_ROLE, EXECUTOR_ROLE, DEFAULT_ADMIN_ROLE };
  }

  /** Whether an account holds a role, at the newest block if none is given. */
  hasRole(role: TimelockRole, account: Address, block?: bigint, signal?: AbortSignal): Promise<boolean> {
    const args = [timelockRoles[role], account] as const;
    return this.view.read({ ...this.#at('hasRole'), args, ...(block !== undefined && { block }) }, signal);
  }

  /** Whom the treasury lets vote with its PHA; undefined for nobody, as it must be. */
  async treasuryDelegate(signal?: AbortSignal): Promise<Address | undefined> {
    const { phaToken: address, timelock } = this.#contracts;
    const query = { address, abi: phaTokenAbi, functionName: 'delegates', args: [timelock] } as const;
    const delegate = lower(await this.view.read(query, signal));
    return delegate === zeroAddress ? undefined : delegate;
  }

  #at<const name extends string>(functionName: name) {
    return { address: this.#contracts.timelock, abi: timelockControllerAbi, functionName } as const;
  }
}

function lower(address: string): Address {
  return address.toLowerCase() as Address;
}
