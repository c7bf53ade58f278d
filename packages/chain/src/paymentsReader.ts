import { type Address, type Bytes32, type Channel, type NetworkFile, zeroAddress } from '@cloister/core';
import type { ChainView } from './chainView.ts';
import { paymentsAbi, phaTokenAbi } from './generated/index.ts';

/** A payment channel as the contract has it. Amounts in PHA's smallest unit. */
export type ChannelStatus = {
  readonly opened: boolean;
  readonly closed: boolean;
  readonly deposited: bigint;
  /** The highest voucher and the sum of totals that were shown; `claimed` is the least of these and the deposit. */
  readonly voucher: bigint;
  readonly earned: bigint;
  readonly claimed: bigint;
  /** What the payer asked back: everything that will be left where it closes the channel. */
  readonly withdrawing: bigint;
  readonly isClosing: boolean;
  /** Unix seconds; zero where nothing was asked back. */
  readonly withdrawableAt: bigint;
};

/** A channel and who opened it when. */
export type OpenedChannel = { readonly id: Bytes32; readonly channel: Channel };

const closeAll = (1n << 128n) - 1n;

/** Typed reads of a network's payments through a {@link ChainView}. */
export class PaymentsReader {
  readonly view: ChainView;
  readonly #contracts: Pick<NetworkFile['contracts'], 'payments' | 'phaToken'>;

  constructor(view: ChainView, contracts: Pick<NetworkFile['contracts'], 'payments' | 'phaToken'>) {
    this.view = view;
    this.#contracts = contracts;
  }

  async channel(id: Bytes32, block?: bigint, signal?: AbortSignal): Promise<ChannelStatus> {
    const state = await this.view.read({ ...this.#payments('channelOf'), args: [id], ...at(block) }, signal);
    const isClosing = state.withdrawing === closeAll;
    const left = state.deposited - state.claimed;
    return { ...state, withdrawing: isClosing || state.withdrawing > left ? left : state.withdrawing, isClosing };
  }

  /** The channels that an account pays from, oldest first, as one RPC lists them. */
  async channelsOf(payer: Address, signal?: AbortSignal): Promise<readonly OpenedChannel[]> {
    const events = await this.view.events(
      {
        address: this.#contracts.payments,
        abi: paymentsAbi,
        eventName: 'ChannelOpened',
        args: { payer },
      },
      signal,
    );
    return events.flatMap((event) => {
      const { channel: id, parties } = event as { channel?: Bytes32; parties?: Channel };
      if (id === undefined || parties === undefined) return [];
      const { payerKey, operator, gateway, salt } = parties;
      const channel = {
        payer: lower(parties.payer),
        payerKey: lower(payerKey),
        operator: lower(operator),
        gateway: lower(gateway),
        salt,
      };
      return [{ id, channel }];
    });
  }

  /** Seconds from the wish for money back to its payment. */
  withdrawalDelay(signal?: AbortSignal): Promise<bigint> {
    return this.view.read({ ...this.#payments('withdrawalDelay'), args: [] }, signal);
  }

  /** The highest total of a signer in a channel that was shown. */
  async totalOf(channel: Bytes32, signer: Address, block?: bigint, signal?: AbortSignal): Promise<bigint> {
    const [total] = await this.view.read(
      { ...this.#payments('totalOf'), args: [channel, signer], ...at(block) },
      signal,
    );
    return total;
  }

  /** The block in which a root over receipts or statements was anchored first; zero where it never was. */
  anchoredAt(root: Bytes32, signal?: AbortSignal): Promise<bigint> {
    return this.view.read({ ...this.#payments('anchoredAt'), args: [root] }, signal);
  }

  /** Claimed by way of a gateway and not split among the parties yet. */
  undistributed(operator: Address, gateway: Address = zeroAddress, signal?: AbortSignal): Promise<bigint> {
    return this.view.read({ ...this.#payments('undistributed'), args: [operator, gateway] }, signal);
  }

  owedToOperator(operator: Address, signal?: AbortSignal): Promise<bigint> {
    return this.view.read({ ...this.#payments('owedToOperator'), args: [operator] }, signal);
  }

  owed(account: Address, signal?: AbortSignal): Promise<bigint> {
    return this.view.read({ ...this.#payments('owed'), args: [account] }, signal);
  }

  /** All that the contract must have for others. */
  totalHeld(signal?: AbortSignal): Promise<bigint> {
    return this.view.read({ ...this.#payments('totalHeld'), args: [] }, signal);
  }

  /** An account's PHA. */
  phaOf(account: Address, signal?: AbortSignal): Promise<bigint> {
    const token = { address: this.#contracts.phaToken, abi: phaTokenAbi, functionName: 'balanceOf' } as const;
    return this.view.read({ ...token, args: [account] }, signal);
  }

  #payments<const name extends string>(functionName: name) {
    return { address: this.#contracts.payments, abi: paymentsAbi, functionName } as const;
  }
}

function at(block: bigint | undefined): { block?: bigint } {
  return block === undefined ? {} : { block };
}

function lower(address: Address): Address {
  return address.toLowerCase() as Address;
}
