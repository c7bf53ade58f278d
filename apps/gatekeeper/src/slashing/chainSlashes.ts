import {
  type ChainAccount,
  type ChainLog,
  type ChainView,
  FinalLogs,
  onChainRecord,
  RegistryReader,
  SlashingReader,
  StakingReader,
  slashingAbi,
} from '@cloister/chain';
import type { Bytes32, NetworkFile } from '@cloister/core';
import { type Equivocation, NoEquivocationError, Slashes } from '@cloister/sdk';
import type { TwoRecords } from './recordWatch.ts';
import type { OpenCase, SlashChain } from './slashChain.ts';

/** Open cases that are followed; each has cost somebody a bond, and later ones are found after a restart. */
const maxOpenCases = 4_096;

/** The contract of slashing, read as everything that members decide by, and written to from the operator's account. */
export class ChainSlashes implements SlashChain {
  readonly #view: ChainView;
  readonly #operator: ChainAccount;
  readonly #contracts: NetworkFile['contracts'];
  readonly #slashing: SlashingReader;
  readonly #slashes: Slashes;
  readonly #logs: FinalLogs;
  readonly #open = new Map<Bytes32, bigint>();

  constructor(view: ChainView, operator: ChainAccount, network: Pick<NetworkFile, 'chainId' | 'contracts'>) {
    const { contracts } = network;
    this.#view = view;
    this.#operator = operator;
    this.#contracts = contracts;
    this.#slashing = new SlashingReader(view, contracts);
    this.#slashes = new Slashes({
      network,
      registry: new RegistryReader(view, contracts),
      bonds: new StakingReader(view, contracts),
      slashing: this.#slashing,
      // The one account of this process: its transactions follow each other.
      account: () => operator,
    });
    const eventNames = ['CaseOpened', 'CaseSettled', 'CaseVetoed'];
    const query = { address: contracts.slashing, abi: slashingAbi, eventNames };
    this.#logs = new FinalLogs(view, query, (log) => this.#take(log));
  }

  async finalTimestamp(signal: AbortSignal): Promise<bigint> {
    return (await this.#view.finalized(signal)).timestamp;
  }

  async openCases(signal: AbortSignal): Promise<readonly OpenCase[]> {
    await this.#logs.follow(await this.#view.finalized(signal), signal);
    return [...this.#open].map(([caseId, settleFrom]) => ({ caseId, settleFrom }));
  }

  async report(equivocation: Equivocation, signal: AbortSignal): Promise<Bytes32> {
    return (await this.#slashes.report(equivocation, { account: this.#operator.address, signal })).caseId;
  }

  async reportTwoRecords({ signer, records }: TwoRecords, signal: AbortSignal): Promise<Bytes32> {
    const caseId = await this.#slashing.proofCaseId('two-records', signer, signal);
    const known = await this.#slashing.case(caseId, signal);
    if (known !== undefined)
      throw new NoEquivocationError(
        'EQUIVOCATION_REPORTED_BEFORE',
        `Case "${caseId}" against gatekeeper "${signer}" is ${known.state} already`,
      );
    const [first, second] = records;
    const args = [
      onChainRecord(first.record),
      first.signature,
      onChainRecord(second.record),
      second.signature,
    ] as const;
    const contract = { address: this.#contracts.slashing, abi: slashingAbi };
    await this.#operator.write({ ...contract, functionName: 'reportTwoRecords', args }, signal);
    return caseId;
  }

  async settle(caseId: Bytes32, signal: AbortSignal): Promise<void> {
    await this.#slashes.settle(caseId, { account: this.#operator.address, signal });
  }

  #take({ eventName, args }: ChainLog): void {
    const caseId = args.caseId as Bytes32;
    if (eventName !== 'CaseOpened') this.#open.delete(caseId);
    else if (this.#open.size < maxOpenCases) this.#open.set(caseId, BigInt(args.settleFrom as number));
  }
}
