import { contractErrorsAbi } from '@cloister/chain';
import type { Hex } from '@cloister/core';
import { type Abi, decodeFunctionData, encodeErrorResult, encodeFunctionResult } from 'viem';
import { type StubCall, StubRevert } from './stubRpc.ts';

/** A contract's functions by name, as a test has them. */
export type StubHandlers = Record<string, (...args: never[]) => unknown>;

/** Answers a call by the function that it names; addresses come to it in lower case. */
export function dispatch(abi: Abi, call: StubCall, handlers: StubHandlers): Hex {
  const { functionName, args = [] } = decodeFunctionData({ abi, data: call.data });
  const handler = handlers[functionName];
  if (handler === undefined) throw new Error(`The stub has no ${functionName}`);
  const result = handler(...(lowerCase(args) as never[]));
  return encodeFunctionResult({ abi, functionName, result } as Parameters<typeof encodeFunctionResult>[0]);
}

/** viem gives addresses with checksums; the maps are keyed by lower case. */
function lowerCase(value: unknown): unknown {
  if (typeof value === 'string') return value.toLowerCase();
  if (Array.isArray(value)) return value.map(lowerCase);
  if (typeof value === 'object' && value !== null)
    return Object.fromEntries(Object.entries(value).map(([key, inner]) => [key, lowerCase(inner)]));
  return value;
}

export type Refusal = { readonly errorName: string; readonly args: readonly unknown[] };

export function revert({ errorName, args }: Refusal): StubRevert {
  return new StubRevert(
    encodeErrorResult({ abi: contractErrorsAbi, errorName, args } as unknown as Parameters<
      typeof encodeErrorResult
    >[0]),
  );
}
