import type { Address, Hex } from '@cloister/core';
import {
  BaseError,
  keccak256,
  MethodNotFoundRpcError,
  MethodNotSupportedRpcError,
  numberToHex,
  type PublicClient,
  stringToHex,
} from 'viem';
import { type ContractRefusal, refusalIn } from './refusal.ts';

export type SimulatedCall = {
  readonly from?: Address;
  readonly to: Address;
  readonly data: Hex;
  /** In wei. */
  readonly value?: bigint;
};

/** Calls that are made one after the other on the state of a block, and what is read behind them; nothing of it stays. */
export type Simulation = {
  readonly block: bigint;
  /** Unix seconds that the calls see; later than the block. The reads see a second more. */
  readonly timestamp: bigint;
  readonly calls: readonly SimulatedCall[];
  readonly reads: readonly SimulatedCall[];
  /** What accounts have in place of their own: code, or words of their storage. */
  readonly overrides?: readonly {
    readonly address: Address;
    readonly code?: Hex;
    readonly storage?: Readonly<Record<Hex, Hex>>;
  }[];
};

export type SimulatedLog = { readonly address: Address; readonly topics: readonly Hex[]; readonly data: Hex };

/** What became of one call: what it answered and emitted, or why the contract refused it. */
export type SimulatedResult =
  | { readonly ok: true; readonly data: Hex; readonly logs: readonly SimulatedLog[] }
  | { readonly ok: false; readonly refusal: ContractRefusal };

export type SimulatedResults = {
  readonly calls: readonly SimulatedResult[];
  readonly reads: readonly SimulatedResult[];
};

type RawCall = {
  readonly status?: Hex;
  readonly returnData?: Hex;
  readonly logs?: readonly { readonly address: Address; readonly topics: readonly Hex[]; readonly data: Hex }[];
  readonly error?: { readonly data?: Hex; readonly message?: string };
};

/** Of a read: no getter needs more, and one that loops takes nothing from the others. */
const readGas = 1_000_000n;

/** Asks one RPC (`eth_simulateV1`); undefined where it has no such method. */
export async function simulateBy(client: PublicClient, simulation: Simulation): Promise<SimulatedResults | undefined> {
  const { block, timestamp, calls, reads, overrides = [] } = simulation;
  const stateOverrides = Object.fromEntries(
    overrides.map(({ address, code, storage }) => [
      address,
      { ...(code !== undefined && { code }), ...(storage !== undefined && { stateDiff: storage }) },
    ]),
  );
  const request = {
    blockStateCalls: [
      { blockOverrides: { time: numberToHex(timestamp) }, stateOverrides, calls: calls.map((call) => rawCall(call)) },
      { blockOverrides: { time: numberToHex(timestamp + 1n) }, calls: reads.map((call) => rawCall(call, readGas)) },
    ],
    validation: false,
  };
  try {
    const answered = (await client.request({
      method: 'eth_simulateV1',
      params: [request, numberToHex(block)],
    } as unknown as Parameters<PublicClient['request']>[0])) as unknown as readonly {
      readonly calls: readonly RawCall[];
    }[];
    const [made, read] = [answered[0]?.calls ?? [], answered[1]?.calls ?? []];
    return {
      calls: calls.map((_, index) => resultOf(made[index])),
      reads: reads.map((_, index) => resultOf(read[index])),
    };
  } catch (error) {
    if (isUnknownMethod(error)) return undefined;
    throw error;
  }
}

/** The same for the same results, whatever an RPC says beside them. */
export function resultsDigest({ calls, reads }: SimulatedResults): Hex {
  const parts = [...calls, ...reads].map((result) => {
    if (!result.ok) return `refused ${result.refusal.errorName} ${result.refusal.args}`;
    return `${result.data} ${result.logs.map(({ address, topics, data }) => `${address}${topics}${data}`.toLowerCase())}`;
  });
  return keccak256(stringToHex(parts.join('\n')));
}

function rawCall({ from, to, data, value }: SimulatedCall, gas?: bigint) {
  return {
    ...(from !== undefined && { from }),
    to,
    input: data,
    ...(value !== undefined && value > 0n && { value: numberToHex(value) }),
    ...(gas !== undefined && { gas: numberToHex(gas) }),
  };
}

function resultOf(raw: RawCall | undefined): SimulatedResult {
  if (raw?.status === '0x1') {
    const logs = (raw.logs ?? []).map(({ address, topics, data }) => ({
      address: address.toLowerCase() as Address,
      topics,
      data,
    }));
    return { ok: true, data: raw.returnData ?? '0x', logs };
  }
  // Nodes differ in where they put what the contract reverted with.
  const data = [raw?.error?.data, raw?.returnData].find((one) => typeof one === 'string' && one.length >= 10);
  return { ok: false, refusal: refusalIn(data) };
}

function isUnknownMethod(error: unknown): boolean {
  if (!(error instanceof BaseError)) return false;
  const known = error.walk((one) => one instanceof MethodNotFoundRpcError || one instanceof MethodNotSupportedRpcError);
  return known !== null;
}
