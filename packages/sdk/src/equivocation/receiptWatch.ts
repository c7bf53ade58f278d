import {
  type Address,
  type BareReceipt,
  bareReceiptFromJson,
  bareReceiptToJson,
  CloisterError,
  type Json,
  type RecordDomain,
  schema as z,
} from '@cloister/core';
import { type Equivocation, equivocationFromJson, equivocationOf, equivocationToJson } from './equivocation.ts';

/** Where receipts that a client has seen, and the evidence that came of them, outlive its process. Several processes may use one. */
export type ReceiptStore = {
  /** What was kept; of receipts the newest ones are enough. What can't be read may be left out. */
  load(): Promise<{ readonly receipts: readonly unknown[]; readonly evidence: readonly KeptEvidence[] }>;
  /** Adds a receipt. What it throws, the call throws. */
  keep(receipt: Json): Promise<void>;
  /** Adds evidence, for good when this resolves. Answers where it lies, in words for people. */
  keepEvidence(evidence: Json): Promise<string>;
};

/** Evidence as JSON, and where it lies, in words for people. */
export type KeptEvidence = { readonly json: unknown; readonly keptAt: string };

/** Two receipts, and where they are kept; undefined where in this process alone. */
export type FoundEquivocation = {
  readonly equivocation: Equivocation;
  readonly keptAt: string | undefined;
  /** Why the store has not kept them. */
  readonly notKept?: unknown;
};

export type ReceiptWatchInit = {
  /** Default: the process's memory. */
  readonly store?: ReceiptStore;
  /** Told once of each signer that is caught, after the evidence was kept. Must not throw. */
  readonly onEquivocation?: (found: FoundEquivocation) => void;
  /** Receipts that are remembered, the newest ones. @default 1_024 */
  readonly maxReceipts?: number;
};

type Seen = { readonly domain: RecordDomain; readonly signer: Address; readonly bare: BareReceipt };

const defaultMaxReceipts = 1_024;
const maxCaught = 1_024;
const seenJson = z.strictObject({
  chainId: z.uint(),
  registry: z.address,
  signer: z.address,
  receipt: z.jsonObject,
  signature: z.hexOf(65),
});

/**
 * Remembers the receipts that came, by signer, channel and sequence, free calls among them, and notices where a second, different one
 * takes a place. Clients of one network may share one. What was seen longer ago than the bound is forgotten, and can't be compared.
 */
export class ReceiptWatch {
  readonly #init: ReceiptWatchInit;
  readonly #seen = new Map<string, Seen>();
  readonly #caught = new Map<Address, FoundEquivocation>();
  #loading: Promise<void> | undefined;

  constructor(init: ReceiptWatchInit = {}) {
    this.#init = init;
  }

  /** Reads the store, once. Throws what the store throws. */
  load(): Promise<void> {
    this.#loading ??= this.#read().catch((error: unknown) => {
      this.#loading = undefined;
      throw error;
    });
    return this.#loading;
  }

  /** Whether this signer has signed two receipts for one place, by what was seen and loaded. */
  isCaught(signer: Address): boolean {
    return this.#caught.has(signer);
  }

  /**
   * Takes a receipt whose signature was checked. Answers the evidence against its signer: found now, or before, since nothing that it signs
   * can be relied on any more. Throws what the store throws.
   */
  async see(domain: RecordDomain, signer: Address, bare: BareReceipt): Promise<FoundEquivocation | undefined> {
    await this.load();
    const caught = this.#caught.get(signer);
    if (caught !== undefined) return caught;
    const seen = { domain, signer, bare: { receipt: bare.receipt, signature: bare.signature } };
    const known = this.#seen.get(placeOf(seen));
    const equivocation = known && provenBy(known, seen);
    if (equivocation !== undefined) return this.#catch(equivocation);
    if (known !== undefined) {
      // The same again, or one of a store that does not hold.
      this.#seen.set(placeOf(seen), seen);
      return undefined;
    }
    this.#remember(seen);
    const { chainId, registry } = domain;
    await this.#init.store?.keep({ chainId, registry, signer, ...(bareReceiptToJson(bare) as object) });
    return undefined;
  }

  /** Takes a receipt that was kept elsewhere. Where it contradicts another, it is checked anew. */
  remember(domain: RecordDomain, signer: Address, bare: BareReceipt): void {
    this.#remember({ domain, signer, bare });
  }

  #remember(seen: Seen): void {
    const place = placeOf(seen);
    if (this.#seen.has(place)) return;
    this.#seen.set(place, seen);
    const { maxReceipts = defaultMaxReceipts } = this.#init;
    if (this.#seen.size > maxReceipts) this.#seen.delete(this.#seen.keys().next().value as string);
  }

  async #catch(equivocation: Equivocation): Promise<FoundEquivocation> {
    const { store, onEquivocation } = this.#init;
    let found: FoundEquivocation = { equivocation, keptAt: undefined };
    // Whatever becomes of the evidence: a disk that is full makes nobody honest.
    this.#accuse(found);
    try {
      found = { equivocation, keptAt: await store?.keepEvidence(equivocationToJson(equivocation)) };
    } catch (notKept) {
      found = { equivocation, keptAt: undefined, notKept };
    }
    this.#accuse(found);
    onEquivocation?.(found);
    return found;
  }

  #accuse(found: FoundEquivocation): void {
    this.#caught.set(found.equivocation.signer, found);
    if (this.#caught.size > maxCaught) this.#caught.delete(this.#caught.keys().next().value as Address);
  }

  async #read(): Promise<void> {
    const { store } = this.#init;
    if (store === undefined) return;
    const { receipts, evidence } = await store.load();
    for (const { json, keptAt } of evidence) {
      const equivocation = readable(() => equivocationFromJson(json));
      if (equivocation !== undefined) this.#accuse({ equivocation, keptAt });
    }
    for (const json of receipts) {
      const seen = readable(() => seenFromJson(json));
      if (seen !== undefined) this.#remember(seen);
    }
  }
}

function placeOf({ domain, signer, bare: { receipt } }: Seen): string {
  return `${domain.chainId} ${domain.registry} ${signer} ${receipt.channel} ${receipt.sequence}`;
}

/** Both signatures are checked: what lay in a store is believed no more than what comes. */
function provenBy(known: Seen, seen: Seen): Equivocation | undefined {
  return readable(() => equivocationOf(known, seen));
}

function seenFromJson(json: unknown): Seen {
  const { chainId, registry, signer, ...bare } = z.parseWith(seenJson, json, 'seen receipt');
  return { domain: { chainId, registry }, signer, bare: bareReceiptFromJson(bare) };
}

/** Undefined where a store gives back what is none: a line that was half written, say. */
function readable<T>(read: () => T): T | undefined {
  try {
    return read();
  } catch (error) {
    if (error instanceof CloisterError) return undefined;
    throw error;
  }
}

/** A worker has signed two receipts for one place: the answer is not to be used, whatever else holds. */
export class EquivocationError extends CloisterError<'RECEIPT_EQUIVOCATION'> {
  override readonly name = 'EquivocationError';
  readonly equivocation: Equivocation;
  readonly keptAt: string | undefined;
  constructor({ equivocation, keptAt, notKept }: FoundEquivocation) {
    const { signer, receipts } = equivocation;
    const { channel, sequence } = receipts[0].receipt;
    super({
      code: 'RECEIPT_EQUIVOCATION',
      message: `The receipt signer "${signer}" has signed two different receipts for sequence "${sequence}" of channel "${channel}"`,
      meta: { signer, channel, sequence, ...(keptAt === undefined ? {} : { evidence: keptAt }) },
      hint: `Do not use the answer; report the worker, which costs it its bond, with ${keptAt === undefined ? 'client.staking.reportEquivocation' : `"cloister slashes report ${keptAt}"`}`,
      cause: notKept,
    });
    this.equivocation = equivocation;
    this.keptAt = keptAt;
  }
}
