import type { Address, BareReceipt, Hex, NetworkFile, Receipt } from '@cloister/core';
import { concat, decodeFunctionData, numberToHex } from 'viem';
import type { ChainView } from './chainView.ts';
import { paymentsAbi } from './generated/index.ts';

/** A receipt that somebody has shown to the contract of payments. Nothing of it is checked; its signature says whose it is. */
export type ShownOnChain = { readonly registry: Address; readonly bare: BareReceipt };

type Claimed = { readonly registry: Address; readonly r: Hex; readonly vs: Hex; readonly receipt: Receipt };

/** The receipts that became public on the chain: those that were opened out of an anchored root, and those that claims were made with. */
export class ShownReceipts {
  readonly #view: Pick<ChainView, 'calldata'>;
  readonly #payments: Address;

  constructor(view: Pick<ChainView, 'calldata'>, contracts: Pick<NetworkFile['contracts'], 'payments'>) {
    this.#view = view;
    this.#payments = contracts.payments;
  }

  /** Of these blocks, both ends included, as one RPC has them; of transactions that went to the contract by themselves, not in a batch. */
  async between(fromBlock: bigint, toBlock: bigint, signal?: AbortSignal): Promise<readonly ShownOnChain[]> {
    const query = { address: this.#payments, abi: paymentsAbi, eventNames: ['ReceiptOpened', 'ChannelClaimed'] };
    const sent = await this.#view.calldata({ ...query, fromBlock, toBlock }, signal);
    return sent.flatMap(receiptsInCalldata);
  }
}

/** The receipts in what was sent to the contract of payments; none where it was something else. */
export function receiptsInCalldata(data: Hex): readonly ShownOnChain[] {
  const call = decoded(data);
  if (call?.functionName === 'openReceipt') {
    const [registry, receipt, signature] = call.args;
    return [{ registry: lower(registry), bare: { receipt, signature } }];
  }
  if (call?.functionName === 'claimByReceipts' || call?.functionName === 'claimByAnchoredReceipts')
    return call.args[2].map(claimed);
  return [];
}

/** The signature in 65 bytes: claims have it in the form of ERC-2098, whose highest bit is v. */
function claimed({ registry, r, vs, receipt }: Claimed): ShownOnChain {
  const word = BigInt(vs);
  const signature = concat([
    r,
    numberToHex(word & ((1n << 255n) - 1n), { size: 32 }),
    word >> 255n === 0n ? '0x1b' : '0x1c',
  ]);
  return { registry: lower(registry), bare: { receipt, signature } };
}

function decoded(data: Hex) {
  try {
    return decodeFunctionData({ abi: paymentsAbi, data });
  } catch {
    return undefined; // no call that the contract has
  }
}

function lower(address: string): Address {
  return address.toLowerCase() as Address;
}
