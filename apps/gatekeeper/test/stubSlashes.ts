import { TransactionError } from '@cloister/chain';
import type { Bytes32 } from '@cloister/core';
import { type Equivocation, NoEquivocationError } from '@cloister/sdk';
import type { TwoRecords } from '../src/slashing/recordWatch.ts';
import type { OpenCase, SlashChain } from '../src/slashing/slashChain.ts';

export const vetoSeconds = 100n;

/** With the contract's rules: a case for each signer, settled once, not before its time. */
export class StubSlashes implements SlashChain {
  now = 1_000n;
  readonly reported: Equivocation[] = [];
  readonly settled: Bytes32[] = [];
  cases: OpenCase[] = [];
  /** In place of taking a report. */
  refuses: Error | undefined;
  /** Cases that the chain will not end. */
  readonly stuck = new Set<Bytes32>();
  tries = 0;
  /** Whether what was settled is final. */
  isFinal = true;

  finalTimestamp = async () => this.now;
  openCases = async () => this.cases.filter(({ caseId }) => !this.isFinal || !this.settled.includes(caseId));

  report = async (equivocation: Equivocation) => {
    this.tries += 1;
    if (this.refuses !== undefined) throw this.refuses;
    const caseId: Bytes32 = `0x${equivocation.signer.slice(2).padStart(64, '0')}`;
    if (this.cases.some((known) => known.caseId === caseId))
      throw new NoEquivocationError('EQUIVOCATION_REPORTED_BEFORE', 'known');
    this.reported.push(equivocation);
    this.cases.push({ caseId, settleFrom: this.now + vetoSeconds });
    return caseId;
  };

  readonly records: TwoRecords[] = [];
  reportTwoRecords = async (proof: TwoRecords) => {
    this.tries += 1;
    if (this.refuses !== undefined) throw this.refuses;
    this.records.push(proof);
    return `0x${'02'.repeat(32)}` as const;
  };

  settle = async (caseId: Bytes32) => {
    this.tries += 1;
    const found = this.cases.find((known) => known.caseId === caseId);
    if (found === undefined || this.now < found.settleFrom || this.stuck.has(caseId))
      throw new TransactionError('TRANSACTION_REFUSED', 'not now', {});
    if (!this.settled.includes(caseId)) this.settled.push(caseId);
  };
}
