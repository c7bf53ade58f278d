import {
  phaTokenAbi,
  type TimelockHolders,
  type TimelockRole,
  timelockControllerAbi,
  timelockRoles,
} from '@cloister/chain';
import { type Address, type Hex, zeroAddress } from '@cloister/core';
import { type AbiFunction, type AbiParameter, decodeFunctionResult, encodeFunctionData, pad } from 'viem';
import type { NamedContract } from './namedContracts.ts';
import type { ShownCall } from './shownCalls.ts';

/** Something that is read before and after a proposal. */
export type EffectRead = {
  readonly kind: 'parameter' | 'role' | 'balance' | 'code';
  /** Name of the contract, or the account. */
  readonly of: string;
  readonly what: string;
  readonly to: Address;
  readonly data: Hex;
  readonly decode: (data: Hex) => unknown;
  /** Whose, where it is about one account. */
  readonly account?: Address;
};

/**
 * Where a fork puts code of two instructions that tell of any account what no contract does: what it has in wei, and how long its code is.
 * Their addresses are text, which nobody has a key for.
 */
export const probes = {
  /** PUSH0 CALLDATALOAD BALANCE PUSH0 MSTORE PUSH1 32 PUSH0 RETURN */
  balance: { address: '0x70726f62652d62616c616e636500000000000001', code: '0x5f35315f5260205ff3' },
  /** PUSH0 CALLDATALOAD EXTCODESIZE PUSH0 MSTORE PUSH1 32 PUSH0 RETURN */
  codeSize: { address: '0x70726f62652d636f6465000000000000000000ff', code: '0x5f353b5f5260205ff3' },
} as const satisfies Record<string, { readonly address: Address; readonly code: Hex }>;

/** Of one getter with arguments: so many combinations of what the calls name. */
const maxCombinations = 8;
const maxAccounts = 64;

/** All that is compared: every getter without arguments, those of what the calls name, roles, and balances. */
export function effectReads(subject: {
  readonly calls: readonly ShownCall[];
  readonly contracts: readonly NamedContract[];
  readonly holders: TimelockHolders;
  readonly timelock: Address;
  readonly phaToken: Address;
}): readonly EffectRead[] {
  const { calls, contracts } = subject;
  const all = [
    ...contracts.flatMap((contract) =>
      getters(contract).flatMap((item) => (item.inputs.length === 0 ? [readOf(contract, item, [])] : [])),
    ),
    ...roleReads(subject),
    ...accountReads(subject),
    // What was asked for above by a better name is not asked for again.
    ...calls.flatMap((call) => keyedReads(call, contracts)),
  ];
  const seen = new Set<string>();
  return all.filter(({ to, data }) => !seen.has(to + data) && seen.add(to + data));
}

function getters({ abi }: NamedContract): readonly AbiFunction[] {
  return abi.filter(
    (item): item is AbiFunction =>
      item.type === 'function' &&
      (item.stateMutability === 'view' || item.stateMutability === 'pure') &&
      item.outputs.length > 0,
  );
}

function readOf(contract: NamedContract, item: AbiFunction, args: readonly unknown[]): EffectRead {
  const abi = [item];
  return {
    kind: 'parameter',
    of: contract.name,
    what: args.length === 0 ? item.name : `${item.name}(${args.join(', ')})`,
    to: contract.address,
    data: encodeFunctionData({ abi, functionName: item.name, args }),
    decode: (data) => {
      const value = decodeFunctionResult({ abi, functionName: item.name, data }) as unknown;
      if (item.outputs.length < 2) return value;
      const values = value as readonly unknown[];
      return Object.fromEntries(item.outputs.map(({ name }, index) => [name || String(index), values[index]]));
    },
  };
}

/** Getters of a call's contract, asked for what the call names: whoever allows an image asks whether it is allowed. */
function keyedReads(call: ShownCall, contracts: readonly NamedContract[]): readonly EffectRead[] {
  const contract = contracts.find(({ address }) => address === call.target);
  if (contract === undefined) return [];
  const values = call.args.flatMap(({ type, value }) => leaves(type, value));
  return getters(contract).flatMap((item) => {
    if (item.inputs.length === 0 || item.inputs.length > 2) return [];
    return combinations(item.inputs, values).map((args) => readOf(contract, item, args));
  });
}

type Leaf = { readonly type: string; readonly value: unknown };

/** Words that can name something: no text, no truth. */
function leaves(type: string, value: unknown): readonly Leaf[] {
  if (Array.isArray(value))
    return value.slice(0, maxCombinations).flatMap((item) => leaves(type.replace(/\[\d*\]$/, ''), item));
  return /^(address|bytes\d+|uint\d+)$/.test(type) ? [{ type, value }] : [];
}

function combinations(inputs: readonly AbiParameter[], values: readonly Leaf[]): readonly (readonly unknown[])[] {
  return inputs
    .reduce<readonly (readonly unknown[])[]>(
      (found, { type }) =>
        found.flatMap((args) => values.filter((leaf) => leaf.type === type).map(({ value }) => [...args, value])),
      [[]],
    )
    .slice(0, maxCombinations);
}

function roleReads({ calls, holders, timelock }: Parameters<typeof effectReads>[0]): readonly EffectRead[] {
  const accounts = [...new Set([...Object.values(holders).flat(), ...addressesIn(calls), zeroAddress])].slice(
    0,
    maxAccounts,
  );
  const abi = timelockControllerAbi;
  return accounts.flatMap((account) =>
    (Object.keys(timelockRoles) as TimelockRole[]).map((role): EffectRead => {
      const args = [timelockRoles[role], account] as const;
      return {
        kind: 'role',
        of: 'timelock',
        what: `${role} of ${account === zeroAddress ? 'anybody' : account}`,
        to: timelock,
        data: encodeFunctionData({ abi, functionName: 'hasRole', args }),
        decode: (data) => decodeFunctionResult({ abi, functionName: 'hasRole', data }),
        account,
      };
    }),
  );
}

function accountReads({
  calls,
  contracts,
  timelock,
  phaToken,
}: Parameters<typeof effectReads>[0]): readonly EffectRead[] {
  const named = [
    timelock,
    ...calls.map(({ target }) => target),
    ...addressesIn(calls),
    ...contracts.map(({ address }) => address),
  ];
  const accounts = [...new Set(named)].slice(0, maxAccounts);
  return accounts.flatMap((account): EffectRead[] => {
    const of = contracts.find(({ address }) => address === account)?.name ?? account;
    const pha = { abi: phaTokenAbi, functionName: 'balanceOf' } as const;
    const probed = { of, account, data: pad(account), decode: BigInt };
    return [
      {
        kind: 'balance',
        of,
        what: 'PHA',
        to: phaToken,
        data: encodeFunctionData({ ...pha, args: [account] }),
        decode: BigInt,
        account,
      },
      { ...probed, kind: 'balance', what: 'wei', to: probes.balance.address },
      { ...probed, kind: 'code', what: 'code', to: probes.codeSize.address },
    ];
  });
}

function addressesIn(calls: readonly ShownCall[]): readonly Address[] {
  const found = calls.flatMap(({ args }) => args.flatMap(({ type, value }) => leaves(type, value)));
  return found.flatMap(({ type, value }) => (type === 'address' ? [String(value).toLowerCase() as Address] : []));
}
