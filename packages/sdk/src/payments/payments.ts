import { type ChainAccount, type ChannelStatus, type PaymentsReader, paymentsAbi } from '@cloister/chain';
import type { Address, Bytes32, Channel, NetworkFile } from '@cloister/core';
import type { Hex, LocalAccount } from 'viem';
import { signPhaPermit } from '../phaPermit.ts';
import { PaymentError } from './channelLedger.ts';
import type { Payee, Payer } from './payer.ts';
import type { Charge } from './payerStore.ts';

/** A channel as chain and client see it. Amounts in PHA's smallest unit. */
export type ChannelBalance = {
  readonly id: Bytes32;
  readonly channel: Channel;
  readonly onChain: ChannelStatus;
  /** Whether this client's key signs its vouchers; promised, spent and unknown are known only then. */
  readonly isOurs: boolean;
  readonly promised: bigint;
  /** What receipts state. */
  readonly spent: bigint;
  /** What calls may have cost of which no receipt came. */
  readonly unknown: bigint;
};

export type PaymentsComponents = {
  readonly network: NetworkFile;
  readonly reader: PaymentsReader;
  readonly payer: Payer | undefined;
  readonly account: (account: LocalAccount | Hex) => ChainAccount;
  /** Whom calls of an app would pay. */
  readonly payees: (app: Bytes32, signal: AbortSignal | undefined) => Promise<readonly Omit<Payee, 'signer'>[]>;
};

/** Deposits for calls, what they come to, and their way back. */
export class Payments {
  readonly #components: PaymentsComponents;

  constructor(components: PaymentsComponents) {
    this.#components = components;
  }

  /** The contract's own reads. */
  get reader(): PaymentsReader {
    return this.#components.reader;
  }

  /**
   * Deposits PHA for calls of an app, in one transaction and equal parts, one channel for each operator of its hosts. Answers the channels.
   * Throws PAYMENT_NO_PAYER, PAYMENT_OTHER_PAYER, PAYMENT_NO_OPERATORS, PAYMENT_AMOUNT_INVALID, TransactionError.
   */
  async fund(
    app: Bytes32,
    amount: bigint,
    options: { readonly account: LocalAccount | Hex; readonly signal?: AbortSignal },
  ): Promise<readonly { readonly id: Bytes32; readonly channel: Channel; readonly amount: bigint }[]> {
    const { signal } = options;
    const account = this.#components.account(options.account);
    const payer = this.#payerOf(account);
    const payees = await this.#components.payees(app, signal);
    if (payees.length === 0)
      throw new PaymentError('PAYMENT_NO_OPERATORS', `No verified worker serves app "${app}": there is nobody to pay`);
    const part = amount / BigInt(payees.length);
    if (part <= 0n)
      throw new PaymentError('PAYMENT_AMOUNT_INVALID', `"${amount}" can't be split among "${payees.length}" channels`);
    const rest = amount - part * BigInt(payees.length);
    const deposits = payees.map((payee, index) => ({
      ...payer.channelFor(payee),
      amount: index === 0 ? part + rest : part,
    }));
    await this.#deposit(account, deposits, amount, signal);
    payer.forgetFunds();
    return deposits;
  }

  /** Every channel that an account pays from. */
  async channels(payer: Address, signal?: AbortSignal): Promise<readonly ChannelBalance[]> {
    const { reader } = this.#components;
    const opened = await reader.channelsOf(payer, signal);
    const ledgers = new Map((await this.#components.payer?.ledgers())?.map((ledger) => [ledger.id, ledger]) ?? []);
    return Promise.all(
      opened.map(async ({ id, channel }) => {
        const ledger = ledgers.get(id);
        return {
          id,
          channel,
          onChain: await reader.channel(id, undefined, signal),
          isOurs: channel.payerKey === this.#components.payer?.keyAddress,
          promised: ledger?.promised ?? 0n,
          spent: ledger?.spent ?? 0n,
          unknown: ledger?.unknown ?? 0n,
        };
      }),
    );
  }

  /** What this client's receipts state, oldest first. */
  async history(): Promise<readonly Charge[]> {
    return (await this.#components.payer?.history()) ?? [];
  }

  /**
   * Asks back all that is left in every open channel of the account; where the delay of an earlier wish is over, takes it out. Answers what was
   * done with each.
   */
  async withdraw(options: {
    readonly account: LocalAccount | Hex;
    readonly signal?: AbortSignal;
  }): Promise<readonly { readonly id: Bytes32; readonly step: 'asked' | 'waits' | 'paid'; readonly until: bigint }[]> {
    const { signal } = options;
    const account = this.#components.account(options.account);
    const done: { id: Bytes32; step: 'asked' | 'waits' | 'paid'; until: bigint }[] = [];
    const now = async () => (await this.reader.view.head(signal)).timestamp;
    const contract = { address: this.#components.network.contracts.payments, abi: paymentsAbi };
    for (const { id, channel, onChain } of await this.channels(account.address, signal)) {
      if (onChain.closed) continue;
      if (onChain.withdrawableAt === 0n) {
        await account.write({ ...contract, functionName: 'requestClose', args: [channel] }, signal);
        const { withdrawableAt } = await this.reader.channel(id, undefined, signal);
        done.push({ id, step: 'asked', until: withdrawableAt });
      } else if (onChain.withdrawableAt <= (await now())) {
        await account.write({ ...contract, functionName: 'withdraw', args: [channel] }, signal);
        done.push({ id, step: 'paid', until: onChain.withdrawableAt });
      } else done.push({ id, step: 'waits', until: onChain.withdrawableAt });
    }
    this.#components.payer?.forgetFunds();
    return done;
  }

  async #deposit(
    account: ChainAccount,
    deposits: readonly { readonly channel: Channel; readonly amount: bigint }[],
    sum: bigint,
    signal: AbortSignal | undefined,
  ): Promise<void> {
    const { network } = this.#components;
    const { contracts } = network;
    const permit = { spender: contracts.payments, value: sum };
    const { deadline, v, r, s } = await signPhaPermit(network, this.reader.view, account, permit, signal);
    const args = [deposits.map(({ channel, amount }) => ({ channel, amount })), deadline, v, r, s] as const;
    await account.write(
      { address: contracts.payments, abi: paymentsAbi, functionName: 'depositWithPermit', args },
      signal,
    );
  }

  #payerOf(account: ChainAccount): Payer {
    const { payer } = this.#components;
    if (payer === undefined)
      throw new PaymentError(
        'PAYMENT_NO_PAYER',
        'This client has no key to sign vouchers with',
        'Give createClient a payer: { payer: ADDRESS }',
      );
    if (payer.payer !== account.address)
      throw new PaymentError(
        'PAYMENT_OTHER_PAYER',
        `The client pays for "${payer.payer}", the deposit would be of "${account.address}"`,
      );
    return payer;
  }
}
