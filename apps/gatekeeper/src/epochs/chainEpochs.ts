import {
  BondHistory,
  type ChainAccount,
  CommitteeHistory,
  type CommitteeReader,
  type EpochFacts,
  EpochRecordsReader,
  epochRecordsAbi,
  type NetworkClock,
  onChainRecord,
  type RegistryHistory,
  readEpochFacts,
} from '@cloister/chain';
import { type Address, committeeProof, type EpochRecord, type Hex, type NetworkFile } from '@cloister/core';
import type { EpochChain } from './epochChain.ts';

export type ChainEpochsComponents = {
  readonly reader: CommitteeReader;
  readonly history: RegistryHistory;
  readonly clock: NetworkClock;
  /** The operator's account: pays for records. */
  readonly operator: ChainAccount;
};

/** The contract of epoch records, and what records follow from, read through all RPCs of the network. */
export class ChainEpochs implements EpochChain {
  readonly #components: ChainEpochsComponents;
  readonly #committee: CommitteeHistory;
  readonly #records: EpochRecordsReader;
  readonly #bonds: BondHistory;
  readonly #contracts: NetworkFile['contracts'];

  constructor(components: ChainEpochsComponents, contracts: NetworkFile['contracts']) {
    this.#components = components;
    const { view } = components.reader;
    this.#committee = new CommitteeHistory(view, contracts);
    this.#records = new EpochRecordsReader(view, contracts);
    this.#bonds = new BondHistory(view, contracts);
    this.#contracts = contracts;
  }

  async finalTimestamp(signal: AbortSignal): Promise<bigint> {
    return (await this.#components.reader.view.finalized(signal)).timestamp;
  }

  async newestTimestamp(signal: AbortSignal): Promise<bigint> {
    return (await this.#components.reader.view.head(signal)).timestamp;
  }

  factsOf(epoch: bigint, signal: AbortSignal): Promise<EpochFacts | undefined> {
    const { reader, history: registry, clock } = this.#components;
    const histories = { registry, committee: this.#committee, bonds: this.#bonds };
    return readEpochFacts({ view: reader.view, ...histories, contracts: this.#contracts, clock }, epoch, signal);
  }

  lastRecorded(signal: AbortSignal): Promise<bigint | undefined> {
    return this.#records.lastRecorded(undefined, signal);
  }

  async post(record: EpochRecord, signatures: ReadonlyMap<Address, Hex>, signal: AbortSignal): Promise<void> {
    const { reader, operator } = this.#components;
    const { number } = await reader.view.head(signal);
    // The contract asks the committee of now, which may have changed since the newest final block.
    const { generation } = await reader.status(number, signal);
    const signers = generation.members.map(({ signer }) => signer);
    const proof = committeeProof(signers, generation.threshold, signatures);
    if (proof === undefined) return;
    await operator.write(
      {
        address: this.#contracts.epochRecords,
        abi: epochRecordsAbi,
        functionName: 'post',
        args: [onChainRecord(record), proof],
      },
      signal,
    );
  }
}
