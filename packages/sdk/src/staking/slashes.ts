import {
  type ChainAccount,
  type RegistryReader,
  type SlashCase,
  type SlashingReader,
  type StakingReader,
  slashingAbi,
  TransactionError,
} from '@cloister/chain';
import type { Address, Bytes32, NetworkFile } from '@cloister/core';
import type { Hex, LocalAccount } from 'viem';
import { type Equivocation, NoEquivocationError } from '../equivocation/equivocation.ts';
import { StakingError } from './stakingError.ts';

export type SlashesComponents = {
  readonly network: { readonly chainId: number; readonly contracts: Pick<NetworkFile['contracts'], Contract> };
  readonly registry: Pick<RegistryReader, 'workerOfSigner'>;
  readonly bonds: Pick<StakingReader, 'bond'>;
  readonly slashing: SlashingReader;
  readonly account: (account: LocalAccount | Hex) => Pick<ChainAccount, 'write'>;
};
type Contract = 'slashing' | 'workerRegistry';
type By = { readonly account: LocalAccount | Hex; readonly signal?: AbortSignal | undefined };

/** Whom two receipts would cost its bond. `atStake` in PHA's smallest unit. */
export type ReportableEquivocation = {
  readonly caseId: Bytes32;
  readonly workerId: Bytes32;
  readonly pool: Address;
  readonly atStake: bigint;
};

/** Faults that cost a bond: reported, listed, and settled by anyone. */
export class Slashes {
  readonly #components: SlashesComponents;

  constructor(components: SlashesComponents) {
    this.#components = components;
  }

  /** Every case, or those of one operator, with what each rests on. */
  list(operator?: Address, signal?: AbortSignal): Promise<readonly SlashCase[]> {
    return this.#components.slashing.cases(operator, signal);
  }

  /**
   * Whether the chain would take a proof: of this network, by a signer that it knows, who was not reported before and has something at
   * stake. Throws NoEquivocationError, ChainError.
   */
  async check({ domain, signer }: Equivocation, signal?: AbortSignal): Promise<ReportableEquivocation> {
    const { network, registry, bonds, slashing } = this.#components;
    const { chainId, contracts } = network;
    if (domain.chainId !== chainId || domain.registry !== contracts.workerRegistry)
      throw new NoEquivocationError(
        'EQUIVOCATION_OTHER_NETWORK',
        `The receipts are of registry "${domain.registry}" on chain "${domain.chainId}", this network's is "${contracts.workerRegistry}" on "${chainId}"`,
      );
    const [workerId, caseId] = await Promise.all([
      registry.workerOfSigner(signer, signal),
      slashing.proofCaseId('equivocation', signer, signal),
    ]);
    if (BigInt(workerId) === 0n)
      throw new NoEquivocationError(
        'EQUIVOCATION_SIGNER_UNKNOWN',
        `"${signer}" never was the receipt signer of a worker of this network`,
      );
    const [known, { bond, pool }] = await Promise.all([slashing.case(caseId, signal), bonds.bond(workerId, signal)]);
    if (known !== undefined)
      throw new NoEquivocationError(
        'EQUIVOCATION_REPORTED_BEFORE',
        `Case "${caseId}" against signer "${signer}" is ${known.state} already`,
        'See "cloister slashes"',
      );
    if (bond > 0n) return { caseId, workerId, pool, atStake: bond };
    throw new NoEquivocationError(
      'EQUIVOCATION_NOTHING_AT_STAKE',
      `Worker "${workerId}" has no bond that could be taken`,
      'Keep the evidence: it counts as soon as the worker has a bond again',
    );
  }

  /** Shows the chain two different receipts of one signer, channel and sequence, as anyone may. Throws as {@link check}, TransactionError. */
  async report(equivocation: Equivocation, { account, signal }: By): Promise<SlashCase> {
    const { caseId } = await this.check(equivocation, signal);
    const [first, second] = equivocation.receipts;
    const args = [first.receipt, first.signature, second.receipt, second.signature] as const;
    const by = this.#components.account(account);
    await by.write({ ...this.#slashing, functionName: 'reportEquivocation', args }, signal);
    return this.#known(caseId, signal);
  }

  /**
   * Ends a case whose window is over, as anyone may: reporter and treasury are paid. Answers the case; also where somebody else was faster.
   * Throws SLASH_UNKNOWN, SLASH_WINDOW_RUNS with the time in `meta.settleFrom`, SLASH_VETOED, TransactionError.
   */
  async settle(caseId: Bytes32, { account, signal }: By): Promise<SlashCase> {
    const { slashing, account: open } = this.#components;
    const before = await this.#known(caseId, signal);
    if (before.state === 'settled') return before;
    const { timestamp } = await slashing.view.head(signal);
    if (timestamp < before.settleFrom) throw windowRuns(before);
    try {
      await open(account).write({ ...this.#slashing, functionName: 'settle', args: [caseId] }, signal);
    } catch (error) {
      if (!(error instanceof TransactionError) || (await this.#known(caseId, signal)).state !== 'settled') throw error;
    }
    return this.#known(caseId, signal);
  }

  async #known(caseId: Bytes32, signal: AbortSignal | undefined): Promise<SlashCase> {
    const known = await this.#components.slashing.case(caseId, signal);
    if (known === undefined)
      throw new StakingError('SLASH_UNKNOWN', `There is no case "${caseId}"`, 'See "cloister slashes"');
    if (known.state === 'vetoed')
      throw new StakingError('SLASH_VETOED', `Case "${caseId}" was vetoed: what was taken went back`, 'Nothing is due');
    return known;
  }

  get #slashing() {
    return { address: this.#components.network.contracts.slashing, abi: slashingAbi } as const;
  }
}

function windowRuns({ caseId, settleFrom }: SlashCase): StakingError {
  const until = new Date(Number(settleFrom) * 1_000).toISOString();
  return new StakingError(
    'SLASH_WINDOW_RUNS',
    `Case "${caseId}" can be vetoed until ${until}, and settled from then on`,
    'Come back then; gatekeepers settle what is due by themselves',
    { settleFrom },
  );
}
