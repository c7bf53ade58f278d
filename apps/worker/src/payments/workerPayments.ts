import { type ChainAccount, PaymentsReader, type RegistryReader } from '@cloister/chain';
import type { Address, NetworkFile, Price } from '@cloister/core';
import type { Logger } from '@cloister/service';
import type { ReceiptBook, SignDigest } from '../receiptBook.ts';
import { Cashier } from './cashier.ts';
import { ChannelFunds } from './channelFunds.ts';
import { Claims } from './claims.ts';
import { ExactDesk } from './exactDesk.ts';
import { PaymentDesk } from './paymentDesk.ts';
import { memoryJournal, SettlementJournal } from './settlementJournal.ts';
import { Settler, type SettlerInit } from './settler.ts';

export type WorkerPaymentsComponents = {
  readonly network: NetworkFile;
  readonly registry: RegistryReader;
  readonly operator: ChainAccount;
  readonly receiptSigner: { readonly address: Address; readonly sign: SignDigest };
  readonly book: ReceiptBook;
  readonly log: Logger;
};

export type WorkerPaymentsInit = SettlerInit & {
  /** Where what clients owe is written down; undefined keeps it in memory. */
  readonly journalFile: string | undefined;
  /** What this worker asks for calls; undefined: what manifests say. */
  readonly prices?: Price | undefined;
  /** Whether single transfers are taken too, each a transaction of this operator's before its call. */
  readonly exact: boolean;
};

/** How a worker takes payment and gets it: the cashier for calls, the settler for the chain. */
export function workerPayments(
  { network, registry, operator, receiptSigner, book, log }: WorkerPaymentsComponents,
  { journalFile, exact, prices, ...init }: WorkerPaymentsInit,
): { readonly cashier: Cashier; readonly settler: Settler } {
  const { workerRegistry, payments } = network.contracts;
  const domain = { chainId: network.chainId, registry: workerRegistry };
  const reader = new PaymentsReader(registry.view, network.contracts);
  const { address: signer, sign } = receiptSigner;
  const desk = new PaymentDesk({
    domain,
    payments: { chainId: network.chainId, payments },
    operator: operator.address,
    signer,
    funds: new ChannelFunds(reader),
    isOperators: async (other, signal) => {
      const workerId = await registry.workerOfSigner(other, signal);
      return (await registry.workerStatus(workerId, undefined, signal)).operator === operator.address;
    },
    book,
  });
  const {
    chainId,
    contracts: { phaToken },
  } = network;
  const cashier = new Cashier({
    channels: desk,
    exact: exact
      ? new ExactDesk({ chainId, phaToken, view: registry.view, operator, receiptSigner: signer })
      : undefined,
    prices,
  });
  const contracts = { payments, registry: workerRegistry };
  const settler = new Settler(
    {
      domain,
      signer,
      sign,
      channels: () => desk.channels(),
      totals: () => book.totals(),
      reader,
      registry,
      journal: journalFile === undefined ? memoryJournal() : new SettlementJournal(journalFile, contracts),
      claims: new Claims({ domain, payments, operator }),
      log,
    },
    init,
  );
  return { cashier, settler };
}
