import { type ProposedCall, timelockRoles } from '@cloister/chain';
import type { Address, Hex } from '@cloister/core';
import { type AbiFunction, type AbiParameter, encodeFunctionData } from 'viem';
import { GovernanceError } from './governanceError.ts';
import type { NamedContract } from './namedContracts.ts';

type Value = string | readonly Value[] | { readonly [name: string]: Value };

const maxCallLength = 65_536;

/**
 * Reads `Contract.function(arguments)`: a name of the network's contracts, one of their functions, and its arguments: numbers, hexadecimal
 * bytes, true and false, "text", [lists], {structs: by their fields}, or as lists of them, names of contracts for addresses and of roles for their hashes. Throws GOVERN_CALL_MALFORMED,
 * GOVERN_CONTRACT_UNKNOWN, GOVERN_FUNCTION_UNKNOWN, GOVERN_ARGUMENTS.
 */
export function readCall(text: string, contracts: readonly NamedContract[]): ProposedCall {
  const [, name = '', functionName = '', rest] = /^\s*([A-Za-z]\w*)\.(\w+)\s*\((.*)\)\s*$/s.exec(text) ?? [];
  if (rest === undefined || text.length > maxCallLength) throw malformed(text);
  const contract = contracts.find((one) => one.name.toLowerCase() === name.toLowerCase());
  if (contract === undefined)
    throw new GovernanceError(
      'GOVERN_CONTRACT_UNKNOWN',
      `There is no contract "${name}" in this network`,
      `Its contracts are ${contracts.map((one) => one.name).join(', ')}`,
    );
  const functions = contract.abi.filter((item): item is AbiFunction => item.type === 'function').filter(writes);
  const named = functions.filter((item) => item.name === functionName);
  if (named.length === 0)
    throw new GovernanceError(
      'GOVERN_FUNCTION_UNKNOWN',
      `"${contract.name}" has no function "${functionName}" that writes`,
      `It has ${[...new Set(functions.map((item) => item.name))].join(', ')}`,
    );
  const values = readValues(rest, text);
  const item = named.find(({ inputs }) => inputs.length === values.length);
  if (item === undefined)
    throw argumentsError(named[0], `Expected "${named[0]?.inputs.length}" arguments, got "${values.length}"`);
  try {
    const args = item.inputs.map((input, index) => typedValue(values[index] ?? '', input, contracts));
    return { target: contract.address, value: 0n, data: encodeFunctionData({ abi: [item], args }) };
  } catch (cause) {
    if (cause instanceof GovernanceError) throw cause;
    const said = cause instanceof Error ? (cause.message.split('\n')[0] ?? '') : String(cause);
    throw argumentsError(item, said, cause);
  }
}

const writes = ({ stateMutability }: AbiFunction) => stateMutability !== 'view' && stateMutability !== 'pure';

/** Splits `a, "b, c", [d, e]` into values. */
function readValues(text: string, whole: string): readonly Value[] {
  let at = 0;
  const skip = () => {
    while (/\s/.test(text[at] ?? '')) at += 1;
  };
  const list = (end: string | undefined, depth: number): Value[] => {
    if (depth > 8) throw malformed(whole);
    const values: Value[] = [];
    for (skip(); text[at] !== end; skip()) {
      values.push(one(depth));
      skip();
      if (text[at] === ',') {
        at += 1;
        skip();
        if (text[at] === end) throw malformed(whole);
      } else if (text[at] !== end) throw malformed(whole);
    }
    return values;
  };
  const one = (depth: number): Value => {
    if (text[at] === '[') {
      at += 1;
      const values = list(']', depth + 1);
      at += 1;
      return values;
    }
    if (text[at] === '{') return struct(depth + 1);
    const [quoted] = /^"(?:[^"\\]|\\.)*"/s.exec(text.slice(at)) ?? [];
    const [found] = quoted === undefined ? (/^[^\s,[\]{}"]+/.exec(text.slice(at)) ?? []) : [quoted];
    if (found === undefined) throw malformed(whole);
    at += found.length;
    if (quoted === undefined) return found;
    try {
      return JSON.parse(quoted) as string;
    } catch {
      throw malformed(whole);
    }
  };
  const struct = (depth: number): Value => {
    if (depth > 8) throw malformed(whole);
    at += 1;
    const fields: [string, Value][] = [];
    for (skip(); text[at] !== '}'; skip()) {
      const [found, field = ''] = /^(\w+)\s*:\s*/.exec(text.slice(at)) ?? [];
      if (found === undefined) throw malformed(whole);
      at += found.length;
      fields.push([field, one(depth)]);
      skip();
      if (text[at] === ',') at += 1;
      else if (text[at] !== '}') throw malformed(whole);
    }
    at += 1;
    return Object.fromEntries(fields);
  };
  return list(undefined, 0);
}

const isList = (value: Value): value is readonly Value[] => Array.isArray(value);

/** A value as its type asks for it. Ranges are viem's to check. */
function typedValue(value: Value, parameter: AbiParameter, contracts: readonly NamedContract[]): unknown {
  const { type } = parameter;
  const [, of, length] = /^(.*)\[(\d*)\]$/.exec(type) ?? [];
  if (of !== undefined) {
    if (!isList(value) || (length !== '' && value.length !== Number(length))) throw typeError(value, parameter);
    return value.map((item) => typedValue(item, { ...parameter, type: of }, contracts));
  }
  if (type === 'tuple') {
    const { components = [] } = parameter as { components?: readonly AbiParameter[] };
    if (typeof value === 'string' || Object.keys(value).length !== components.length) throw typeError(value, parameter);
    return Object.fromEntries(
      components.map((one, index) => {
        const field = isList(value) ? value[index] : value[one.name ?? ''];
        if (field === undefined) throw typeError(value, parameter);
        return [one.name ?? String(index), typedValue(field, one, contracts)];
      }),
    );
  }
  if (typeof value !== 'string') throw typeError(value, parameter);
  if (type === 'string') return value;
  if (type === 'bool' && /^(true|false)$/.test(value)) return value === 'true';
  if (/^u?int/.test(type) && /^-?(\d{1,78}|0x[0-9a-fA-F]{1,64})$/.test(value)) return BigInt(value);
  if (type === 'address') {
    const address =
      contracts.find(({ name }) => name.toLowerCase() === value.toLowerCase())?.address ?? value.toLowerCase();
    if (/^0x[0-9a-f]{40}$/.test(address)) return address as Address;
  }
  if (/^bytes/.test(type)) {
    const role = timelockRoles[value as keyof typeof timelockRoles];
    if (type === 'bytes32' && role !== undefined) return role;
    if (/^0x([0-9a-fA-F]{2})*$/.test(value)) return value as Hex;
  }
  throw typeError(value, parameter);
}

function malformed(text: string): GovernanceError {
  return new GovernanceError(
    'GOVERN_CALL_MALFORMED',
    `Expected a call such as storageRent.setPrice(1000), got "${text.slice(0, 80)}"`,
    'Text stands in double quotes, lists in [ ], structs in { }',
  );
}

function typeError(value: Value, { name, type }: AbiParameter): GovernanceError {
  return new GovernanceError(
    'GOVERN_ARGUMENTS',
    `Expected ${name || 'an argument'} to be ${type}, got "${JSON.stringify(value).slice(0, 80)}"`,
    'Structs are { name: value, … }',
  );
}

function argumentsError(item: AbiFunction | undefined, problem: string, cause?: unknown): GovernanceError {
  const signature = `${item?.name}(${item?.inputs.map(({ type, name }) => `${type} ${name}`).join(', ')})`;
  return new GovernanceError(
    'GOVERN_ARGUMENTS',
    `${problem} for ${signature}`,
    'Structs are { name: value, … }',
    {},
    cause,
  );
}
