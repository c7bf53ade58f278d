import type { ContractRefusal, ProposedCall, TimelockHolders } from '@cloister/chain';
import type { Address, Hex } from '@cloister/core';
import { decodeEventLog } from 'viem';
import { type EffectRead, effectReads } from './effectReads.ts';
import type { NamedContract } from './namedContracts.ts';
import { type ShownCall, showCall, valueText } from './shownCalls.ts';

/** What a fork answers: to calls of the timelock one after the other, and to reads behind them. */
export type ForkAnswer = {
  readonly calls: readonly ForkedCall[];
  /** Undefined where a contract refused. */
  readonly reads: readonly (Hex | undefined)[];
};
export type ForkedCall =
  | {
      readonly ok: true;
      readonly logs: readonly { readonly address: Address; readonly topics: readonly Hex[]; readonly data: Hex }[];
    }
  | { readonly ok: false; readonly refusal: Pick<ContractRefusal, 'errorName' | 'args'> };

/** The chain as it will be when a proposal is executed: the same at every question, and nothing of the calls stays. */
export type Fork = (
  calls: readonly ProposedCall[],
  reads: readonly Pick<EffectRead, 'to' | 'data'>[],
) => Promise<ForkAnswer>;

/** One difference that a proposal makes. Values as the contracts' types have them; undefined where the contract answers nothing. */
export type Change = {
  readonly kind: EffectRead['kind'];
  /** Name or address. */
  readonly of: string;
  readonly what: string;
  readonly before: unknown;
  readonly after: unknown;
  readonly text: { readonly before: string; readonly after: string };
};

export type EmittedEvent = { readonly of: string; readonly text: string };

export type ExecutedCall = {
  readonly call: ShownCall;
  /** Why the contract would refuse; null where it would not. */
  readonly refusal: { readonly errorName: string; readonly args: readonly string[] } | null;
  /** The call goes to an address without code: nothing would happen, and nothing fail. */
  readonly withoutCode: boolean;
  readonly events: readonly EmittedEvent[];
};

/** What executing a proposal would do. Where a call is refused, the whole proposal is, and nothing changes. */
export type Effect = {
  readonly ok: boolean;
  readonly calls: readonly ExecutedCall[];
  readonly changes: readonly Change[];
};

/**
 * Executes a proposal's calls on a fork and says what is different behind them: parameters of all named contracts, what the calls name by
 * their arguments, roles of the timelock, balances. Nothing is hidden by choice, but what no getter shows is not seen.
 */
export async function effectOf(
  fork: Fork,
  subject: {
    readonly calls: readonly ProposedCall[];
    readonly contracts: readonly NamedContract[];
    readonly holders: TimelockHolders;
    readonly timelock: Address;
    readonly phaToken: Address;
  },
): Promise<Effect> {
  const { calls, contracts } = subject;
  const shown = calls.map((call) => showCall(call, contracts));
  const reads = effectReads({ ...subject, calls: shown });
  const before = await fork([], reads);
  const after = await fork(calls, reads);
  const codes = new Map(
    reads.map(({ kind, to, data }, index) => [kind === 'code' ? to + data : '', before.reads[index]]),
  );
  const executed = shown.map((call, index): ExecutedCall => {
    const made = after.calls[index];
    const events = made?.ok === true ? made.logs.map((log) => eventOf(log, contracts)) : [];
    const refusal = made?.ok === true ? null : (made?.refusal ?? { errorName: 'without an answer', args: [] });
    const [codeRead] = reads.filter(({ kind, account }) => kind === 'code' && account === call.target);
    const size = codeRead && codes.get(codeRead.to + codeRead.data);
    return {
      call,
      refusal: refusal === null ? null : { errorName: refusal.errorName, args: refusal.args },
      withoutCode: size !== undefined && BigInt(size) === 0n,
      events,
    };
  });
  const ok = executed.every(({ refusal }) => refusal === null);
  return { ok, calls: executed, changes: ok ? changesOf(reads, before.reads, after.reads, contracts) : [] };
}

function changesOf(
  reads: readonly EffectRead[],
  before: readonly (Hex | undefined)[],
  after: readonly (Hex | undefined)[],
  contracts: readonly NamedContract[],
): readonly Change[] {
  return reads.flatMap((read, index) => {
    if (read.kind === 'code' || before[index] === after[index]) return [];
    const [was, is] = [decoded(read, before[index]), decoded(read, after[index])];
    const text = (value: unknown) => (value === undefined ? 'no answer' : valueText(value, contracts));
    const { kind, of, what } = read;
    return [{ kind, of, what, before: was, after: is, text: { before: text(was), after: text(is) } }];
  });
}

function decoded(read: EffectRead, data: Hex | undefined): unknown {
  if (data === undefined) return undefined;
  try {
    return read.decode(data);
  } catch {
    return data;
  }
}

function eventOf(
  log: { readonly address: Address; readonly topics: readonly Hex[]; readonly data: Hex },
  contracts: readonly NamedContract[],
): EmittedEvent {
  const contract = contracts.find(({ address }) => address === log.address);
  const of = contract?.name ?? log.address;
  const raw = { of, text: `${log.topics.join(' ')} ${log.data}` };
  if (contract === undefined) return raw;
  try {
    const topics = log.topics as [Hex, ...Hex[]];
    const { eventName, args } = decodeEventLog({ abi: contract.abi, topics, data: log.data });
    const values = Object.entries((args ?? {}) as Record<string, unknown>);
    return {
      of,
      text: `${eventName}(${values.map(([name, value]) => `${name}: ${valueText(value, contracts)}`).join(', ')})`,
    };
  } catch {
    return raw;
  }
}
