import type { ChainView, RegistryReader, ShownOnChain, ShownReceipts } from '@cloister/chain';
import { type Address, type RecordDomain, receiptDigest } from '@cloister/core';
import { fromHex, recoverAddress } from '@cloister/crypto';
import type { ReceiptWatch } from '@cloister/sdk';

export type PublicReceiptsComponents = {
  readonly view: Pick<ChainView, 'finalized'>;
  readonly shown: Pick<ShownReceipts, 'between'>;
  readonly registry: Pick<RegistryReader, 'workerOfSigner'>;
  readonly receipts: Pick<ReceiptWatch, 'see'>;
};

/** Before the block that is final when a member starts. */
const lookBackBlocks = 7_200n;
/** Read at once. */
const pageBlocks = 64n;

/**
 * Compares the receipts that became public on the chain with each other, and with those of this member's challenges. One RPC's word is
 * enough for it: a receipt speaks for itself, and what an RPC keeps back another member's shows.
 */
export class PublicReceipts {
  readonly #components: PublicReceiptsComponents;
  readonly #domain: RecordDomain;
  #next: bigint | undefined;

  constructor(components: PublicReceiptsComponents, init: { readonly domain: RecordDomain }) {
    this.#components = components;
    this.#domain = init.domain;
  }

  /** Reads on, up to the last final block. */
  async tick(signal: AbortSignal): Promise<void> {
    const { view, shown } = this.#components;
    const { number } = await view.finalized(signal);
    let from = this.#next ?? (number > lookBackBlocks ? number - lookBackBlocks : 0n);
    while (from <= number) {
      const last = from + pageBlocks - 1n;
      const to = last < number ? last : number;
      for (const receipt of await shown.between(from, to, signal)) await this.#compare(receipt, signal);
      from = to + 1n;
      this.#next = from;
    }
  }

  async #compare({ registry, bare }: ShownOnChain, signal: AbortSignal): Promise<void> {
    const { registry: workers, receipts } = this.#components;
    if (registry !== this.#domain.registry) return;
    const signer = signerOf(this.#domain, bare);
    // Anybody can sign receipts with a key that is nobody's.
    if (signer === undefined || BigInt(await workers.workerOfSigner(signer, signal)) === 0n) return;
    await receipts.see(this.#domain, signer, bare);
  }
}

function signerOf(domain: RecordDomain, { receipt, signature }: ShownOnChain['bare']): Address | undefined {
  try {
    return recoverAddress(fromHex(receiptDigest(domain, receipt)), fromHex(signature));
  } catch {
    return undefined; // signed by no key
  }
}
