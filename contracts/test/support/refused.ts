import assert from 'node:assert/strict';
import { decodeErrorResult, type Hex, isHex } from 'viem';
import { contractErrorsAbi } from '../../../packages/chain/src/generated/contractErrors.ts';

const ecdsaErrors = [
  { type: 'error', name: 'ECDSAInvalidSignature', inputs: [] },
  { type: 'error', name: 'ECDSAInvalidSignatureLength', inputs: [{ name: 'length', type: 'uint256' }] },
  { type: 'error', name: 'ECDSAInvalidSignatureS', inputs: [{ name: 's', type: 'bytes32' }] },
] as const;
const harnessErrors = [
  {
    type: 'error',
    name: 'UnsafeScriptedVerifierNoCollateral',
    inputs: [{ name: 'platformKey', type: 'bytes32' }],
  },
] as const;
const abi = [...contractErrorsAbi, ...ecdsaErrors, ...harnessErrors] as const;

/** Expects a revert with exactly this error and, where given, these values. */
export async function refused(call: Promise<unknown>, errorName: string, args?: readonly unknown[]): Promise<void> {
  const thrown = await call.then(
    () => assert.fail(`Expected a refusal by "${errorName}", the call went through`),
    (error: unknown) => error,
  );
  const data = revertDataOf(thrown);
  assert.ok(data !== undefined && data !== '0x', `Expected a refusal by "${errorName}", got ${describe(thrown)}`);
  const decoded = decodeErrorResult({ abi, data });
  assert.equal(decoded.errorName, errorName, `Refused by "${decoded.errorName}" (${decoded.args?.join(', ')})`);
  if (args !== undefined) assert.deepEqual((decoded.args ?? []).map(plain), args.map(plain));
}

/** The name of the error that a call is refused with; undefined where it goes through. */
export async function refusalOf(call: Promise<unknown>): Promise<string | undefined> {
  try {
    await call;
    return undefined;
  } catch (error) {
    const data = revertDataOf(error);
    if (data === undefined || data === '0x') throw error;
    return decodeErrorResult({ abi, data }).errorName;
  }
}

function plain(value: unknown): unknown {
  return typeof value === 'string' && isHex(value)
    ? value.toLowerCase()
    : typeof value === 'number'
      ? BigInt(value)
      : value;
}

function revertDataOf(thrown: unknown, depth = 0): Hex | undefined {
  if (typeof thrown !== 'object' || thrown === null || depth > 8) return undefined;
  const { raw, data, cause } = thrown as { raw?: unknown; data?: unknown; cause?: unknown };
  for (const candidate of [raw, data, (data as { data?: unknown } | undefined)?.data])
    if (isHex(candidate)) return candidate;
  return revertDataOf(cause, depth + 1);
}

function describe(thrown: unknown): string {
  return thrown instanceof Error ? thrown.message : String(thrown);
}
