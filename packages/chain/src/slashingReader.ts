import { type Address, type Bytes32, type Hex, type NetworkFile, zeroAddress, zeroBytes32 } from '@cloister/core';
import { pad } from 'viem';
import type { ChainView } from './chainView.ts';
import { slashingAbi } from './generated/index.ts';

export const offences = ['equivocation', 'two-records', 'wrong-result', 'silence', 'downtime'] as const;
export const slashStates = ['none', 'open', 'settled', 'vetoed'] as const;

/** What a case rests on: a proof that anybody can check, or a judge's word. */
export type SlashEvidence =
  | {
      readonly kind: 'proof';
      /** Who signed both. */
      readonly signer: Address;
      /** Of the two receipts, or records; they stand in the report's transaction. */
      readonly digests: readonly [Bytes32, Bytes32];
    }
  | {
      readonly kind: 'judgement';
      readonly judge: Address;
      /** Unix seconds. */
      readonly occurredAt: bigint;
      readonly evidence: Hex;
    };

/** A fault, what it costs, and how it stands. */
export type SlashCase = {
  readonly caseId: Bytes32;
  readonly offence: (typeof offences)[number];
  readonly state: (typeof slashStates)[number];
  /** Whose pool, or whose bond as a gatekeeper. */
  readonly operator: Address;
  /** The worker's id; the operator of a gatekeeper, filled up with zeros. */
  readonly subject: Bytes32;
  /** In PHA's smallest unit. */
  readonly amount: bigint;
  /** Null where nobody gets the reporter's part. */
  readonly reporter: Address | null;
  /** Unix seconds from which anybody may settle it, and nobody veto it any more. */
  readonly settleFrom: bigint;
  /** Null where no RPC told it. */
  readonly evidence: SlashEvidence | null;
};

/** Typed reads of a network's cases of slashing through a {@link ChainView}. */
export class SlashingReader {
  readonly view: ChainView;
  readonly #address: Address;

  constructor(view: ChainView, contracts: Pick<NetworkFile['contracts'], 'slashing'>) {
    this.view = view;
    this.#address = contracts.slashing;
  }

  /** Every case, or those of one operator, oldest first: as one RPC lists them, each read from the contract. */
  async cases(operator?: Address, signal?: AbortSignal): Promise<readonly SlashCase[]> {
    const [opened, proofs, judgements] = await Promise.all([
      this.#events('CaseOpened', operator === undefined ? {} : { operator }, signal),
      this.#events('ProofShown', {}, signal),
      this.#events('JudgementShown', {}, signal),
    ]);
    const evidence = new Map(
      [...proofs, ...judgements].map((event) => [event.caseId as Bytes32, evidenceOf(event)] as const),
    );
    const ids = [...new Set(opened.map(({ caseId }) => caseId as Bytes32))];
    return Promise.all(ids.map((caseId) => this.#caseOf(caseId, evidence.get(caseId) ?? null, signal)));
  }

  /** One case; undefined where there is none. */
  async case(caseId: Bytes32, signal?: AbortSignal): Promise<SlashCase | undefined> {
    const [proofs, judgements] = await Promise.all([
      this.#events('ProofShown', { caseId }, signal),
      this.#events('JudgementShown', { caseId }, signal),
    ]);
    const [event] = [...proofs, ...judgements];
    const found = await this.#caseOf(caseId, event === undefined ? null : evidenceOf(event), signal);
    return found.state === 'none' ? undefined : found;
  }

  /** The id of the case that a proof against a signer opens: each signer has one of each kind. */
  proofCaseId(offence: 'equivocation' | 'two-records', signer: Address, signal?: AbortSignal): Promise<Bytes32> {
    const args = [offences.indexOf(offence), pad(signer), zeroBytes32] as const;
    return this.view.read({ ...this.#at('caseIdOf'), args }, signal);
  }

  /** Basis points of a settled case that its reporter gets. */
  reporterBps(signal?: AbortSignal): Promise<number> {
    return this.view.read({ ...this.#at('reporterBps'), args: [] }, signal);
  }

  async treasury(signal?: AbortSignal): Promise<Address> {
    return lower(await this.view.read({ ...this.#at('treasury'), args: [] }, signal));
  }

  async #caseOf(caseId: Bytes32, evidence: SlashEvidence | null, signal: AbortSignal | undefined): Promise<SlashCase> {
    const kept = await this.view.read({ ...this.#at('caseOf'), args: [caseId] }, signal);
    const { offence, state, operator, subject, amount, reporter, settleFrom } = kept;
    return {
      caseId,
      offence: offences[offence] ?? 'downtime',
      state: slashStates[state] ?? 'none',
      operator: lower(operator),
      subject,
      amount,
      reporter: reporter === zeroAddress ? null : lower(reporter),
      settleFrom: BigInt(settleFrom),
      evidence,
    };
  }

  async #events(eventName: string, args: Record<string, unknown>, signal: AbortSignal | undefined) {
    const query = { address: this.#address, abi: slashingAbi, eventName, args };
    return (await this.view.events(query, signal)) as readonly Readonly<Record<string, unknown>>[];
  }

  #at<const name extends string>(functionName: name) {
    return { address: this.#address, abi: slashingAbi, functionName } as const;
  }
}

function evidenceOf(event: Readonly<Record<string, unknown>>): SlashEvidence {
  if ('judge' in event)
    return {
      kind: 'judgement',
      judge: lower(String(event.judge)),
      occurredAt: BigInt(event.occurredAt as bigint),
      evidence: event.evidence as Hex,
    };
  return {
    kind: 'proof',
    signer: lower(String(event.signer)),
    digests: [event.firstDigest as Bytes32, event.secondDigest as Bytes32],
  };
}

function lower(address: string): Address {
  return address.toLowerCase() as Address;
}
