import { type Address, type Bytes32, type Hex, zeroAddress } from '@cloister/core';
import { decodeFunctionData, decodeFunctionResult, encodeFunctionData } from 'viem';
import type { ChainView } from './chainView.ts';
import {
  appRegistryAbi,
  appTimelockAbi,
  appTimelockFactoryAbi,
  appTimelockFactoryBytecode,
} from './generated/index.ts';

/** What `deployContract` takes to put the factory of app timelocks on a chain: it has the same address on each. */
export const appTimelockFactory = {
  name: 'AppTimelockFactory',
  abi: appTimelockFactoryAbi,
  bytecode: appTimelockFactoryBytecode,
  args: [],
} as const;

/** Where that factory stands: whoever finds that it created an app's owner knows that owner's code. */
export const appTimelockFactoryAddress: Address = '0x5ac35fc64b86d9ba9d30ac538659f3a92fd5d026';

/** As the contract counts them. */
export const announcementStates = [
  'unknown',
  'waiting',
  'ready',
  'expired',
  'executed',
  'vetoed',
  'cancelled',
] as const;

/** A call that the owner of an app has announced. */
export type AnnouncedCall = {
  /** From 1. */
  readonly number: number;
  readonly state: (typeof announcementStates)[number];
  /** Unix seconds from which anyone may execute it. */
  readonly readyAt: bigint;
  /** Unix seconds from which nobody may. */
  readonly expiresAt: bigint;
  /** The registry's function, or the timelock's own; undefined where it is none that this release knows. */
  readonly does:
    | { readonly of: 'registry' | 'timelock'; readonly name: string; readonly args: readonly unknown[] }
    | undefined;
  /** The app that it changes; undefined where it is about the timelock, and so about all its apps, or where nobody can tell. */
  readonly app: Bytes32 | undefined;
  readonly data: Hex;
};

/** The terms on which an app's owner changes it. */
export type AppTimelockStatus = {
  readonly owner: Address;
  readonly delaySeconds: number;
  readonly vetoers: readonly Address[];
  /** Those that are not executed, vetoed or cancelled, oldest first. */
  readonly open: readonly AnnouncedCall[];
};

const graceSeconds = 14n * 86_400n;

/** Owners of apps that announce what they do, through a {@link ChainView}: at the newest block on which all RPCs agree. */
export class AppTimelockReader {
  readonly view: ChainView;

  constructor(view: ChainView) {
    this.view = view;
  }

  /**
   * The timelock that owns an app; undefined where the owner is an account, or a contract that the factory did not create: such a one may
   * look like a timelock and be none. Throws ChainError.
   */
  async statusOf(account: Address, signal?: AbortSignal): Promise<AppTimelockStatus | undefined> {
    if (account === zeroAddress) return undefined;
    const { number: block } = await this.view.head(signal);
    const of = { abi: appTimelockFactoryAbi, functionName: 'isTimelock' } as const;
    const call = { to: appTimelockFactoryAddress, data: encodeFunctionData({ ...of, args: [account] }), block };
    const answer = await this.view.call(call, signal);
    // Nobody has put the factory on this chain.
    if (answer === '0x' || !decodeFunctionResult({ ...of, data: answer })) return undefined;
    const at = <const name extends string>(functionName: name) =>
      ({ address: account, abi: appTimelockAbi, functionName, block }) as const;
    const [owner, delaySeconds, vetoers, numbers] = await Promise.all([
      this.view.read({ ...at('owner'), args: [] }, signal),
      this.view.read({ ...at('delay'), args: [] }, signal),
      this.view.read({ ...at('vetoers'), args: [] }, signal),
      this.view.read({ ...at('openNumbers'), args: [] }, signal),
    ]);
    const open = await Promise.all(
      [...numbers]
        .sort((left, right) => left - right)
        .map(async (number) =>
          announcedCall(number, await this.view.read({ ...at('announcementOf'), args: [number] }, signal)),
        ),
    );
    const lower = (address: string) => address.toLowerCase() as Address;
    return { owner: lower(owner), delaySeconds, vetoers: vetoers.map(lower), open };
  }
}

function announcedCall(
  number: number,
  { state, toRegistry, readyAt, data }: { state: number; toRegistry: boolean; readyAt: bigint; data: Hex },
): AnnouncedCall {
  const does = decoded(toRegistry, data);
  const [first] = does?.args ?? [];
  return {
    number,
    state: announcementStates[state] ?? 'unknown',
    readyAt,
    expiresAt: readyAt + graceSeconds,
    does,
    // Every function of the registry that an owner calls names its app first, but `create`.
    app: does?.of === 'registry' && does.name !== 'create' ? (first as Bytes32) : undefined,
    data,
  };
}

function decoded(toRegistry: boolean, data: Hex): AnnouncedCall['does'] {
  try {
    const { functionName, args } = decodeFunctionData({ abi: toRegistry ? appRegistryAbi : appTimelockAbi, data });
    return { of: toRegistry ? 'registry' : 'timelock', name: functionName, args: args ?? [] };
  } catch {
    return undefined;
  }
}
