import { type ProposedCall, timelockRoles } from '@cloister/chain';
import type { Address, Hex } from '@cloister/core';
import { type AbiParameter, decodeFunctionData, getAbiItem } from 'viem';
import type { NamedContract } from './namedContracts.ts';

/** A call as people read it. `contract` and `functionName` are null where they are not known: then only its bytes say what it does. */
export type ShownCall = ProposedCall & {
  readonly contract: string | null;
  readonly functionName: string | null;
  readonly args: readonly ShownArgument[];
  /** In the form that {@link readCall} takes, or what is known of it. */
  readonly text: string;
};

export type ShownArgument = { readonly name: string; readonly type: string; readonly value: unknown };

/** Says what a call does, by the ABIs of the network's contracts. */
export function showCall(call: ProposedCall, contracts: readonly NamedContract[]): ShownCall {
  const contract = contracts.find(({ address }) => address === call.target);
  const sent = call.value === 0n ? '' : ` with ${call.value} wei`;
  const unknown = (name: string | null): ShownCall => ({
    ...call,
    contract: name,
    functionName: null,
    args: [],
    text: `${name ?? call.target}: ${call.data.length > 200 ? `${call.data.slice(0, 200)}…` : call.data}${sent}`,
  });
  if (contract === undefined) return unknown(null);
  try {
    const { functionName, args = [] } = decodeFunctionData({ abi: contract.abi, data: call.data });
    const item = getAbiItem({ abi: contract.abi, name: call.data.slice(0, 10) as Hex });
    const inputs: readonly AbiParameter[] = item?.type === 'function' ? item.inputs : [];
    const shown = args.map((value, index) => ({
      name: inputs[index]?.name ?? '',
      type: inputs[index]?.type ?? '',
      value,
    }));
    const texts = shown.map(({ value }) => valueText(value, contracts));
    const text = `${contract.name}.${functionName}(${texts.join(', ')})${sent}`;
    return { ...call, contract: contract.name, functionName, args: shown, text };
  } catch {
    return unknown(contract.name);
  }
}

const roleNames = new Map<unknown, string>(
  Object.entries(timelockRoles).flatMap(([name, role]) => (name === 'DEFAULT_ADMIN_ROLE' ? [] : [[role, name]])),
);

/** A value of an ABI's type for people: addresses of the network's contracts by their names, text without what a terminal would act on. */
export function valueText(value: unknown, contracts: readonly NamedContract[]): string {
  if (Array.isArray(value)) return `[${value.map((item) => valueText(item, contracts)).join(', ')}]`;
  if (typeof value === 'object' && value !== null)
    return `{${Object.entries(value)
      .map(([name, item]) => `${name}: ${valueText(item, contracts)}`)
      .join(', ')}}`;
  if (typeof value !== 'string') return String(value);
  if (!/^0x[0-9a-fA-F]*$/.test(value)) return JSON.stringify(plainText(value));
  const lower = value.toLowerCase() as Address;
  return contracts.find(({ address }) => address === lower)?.name ?? roleNames.get(lower) ?? lower;
}

/** Text that others wrote, without what moves the cursor, colours or turns the direction of reading; lines stay. */
export function plainText(text: string): string {
  return text.replace(/[\p{Cc}\p{Cf}\u2028\u2029]/gu, (character) =>
    character === '\n' ? character : `\\u${(character.codePointAt(0) ?? 0).toString(16).padStart(4, '0')}`,
  );
}
