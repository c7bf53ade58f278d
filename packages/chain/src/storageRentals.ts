import type { Address, Bytes32, NetworkFile } from '@cloister/core';
import type { BlockId, ChainLog } from './chainLog.ts';
import type { ChainView } from './chainView.ts';
import { storageRentAbi } from './generated/index.ts';
import { rentalOfLog, type StorageRental } from './storageReader.ts';

/** What one gateway's account is paid to keep, as of a block. */
export type PaidStorage = {
  readonly epoch: number;
  /** Bytes paid for an app in an epoch. */
  bytesOf(app: Bytes32, epoch: number): bigint;
};

export type StorageRentalsInit = {
  readonly view: Pick<ChainView, 'head' | 'finalized' | 'logsUpTo' | 'read'>;
  readonly contracts: Pick<NetworkFile['contracts'], 'storageRent'>;
  /** The account that earns. */
  readonly gateway: Address;
  /** Epochs for which a rental is remembered after its end. */
  readonly graceEpochs: number;
};

/** Rentals that are remembered at once; making more costs somebody billions of gas. What comes beyond them does not count. */
const maxRentals = 250_000;

/**
 * The rentals of one gateway, by the contract's events as all RPCs list them. What is final is read once; what can still be taken back is
 * read again each time.
 */
export class StorageRentals {
  readonly #init: StorageRentalsInit;
  readonly #final = new Map<bigint, StorageRental>();
  #clock: { readonly genesis: bigint; readonly epochLength: bigint } | undefined;
  #readTo = -1n;
  /** The last answer, and what it was made of. */
  #last: { readonly of: string; readonly paid: PaidStorage } | undefined;
  #taken = 0;

  constructor(init: StorageRentalsInit) {
    this.#init = init;
  }

  /** As of the newest block; the same object while neither epoch nor rentals change. Throws ChainError; what was known stays. */
  async read(signal?: AbortSignal): Promise<PaidStorage> {
    const { view } = this.#init;
    const clock = await this.#clockOf(signal);
    const [head, final] = [await view.head(signal), await view.finalized(signal)];
    const end = final.number < head.number ? final : head;
    for (const log of await this.#logs(this.#readTo + 1n, end, signal)) {
      this.#take(this.#final, log);
      this.#taken += 1;
    }
    if (end.number > this.#readTo) this.#readTo = end.number;
    const past = head.timestamp < clock.genesis ? 0n : (head.timestamp - clock.genesis) / clock.epochLength;
    this.#forget(Number(past));
    const rentals = new Map(this.#final);
    const unsure = await this.#logs(this.#readTo + 1n, head, signal);
    for (const log of unsure) this.#take(rentals, log);
    const of = [past, this.#taken, ...unsure.map(({ eventName, args }) => [eventName, ...Object.values(args)])].join();
    if (this.#last?.of !== of) this.#last = { of, paid: paidStorage(rentals.values(), Number(past)) };
    return this.#last.paid;
  }

  #logs(fromBlock: bigint, end: BlockId, signal: AbortSignal | undefined): Promise<readonly ChainLog[]> {
    if (fromBlock > end.number) return Promise.resolve([]);
    const eventNames = ['Prepaid', 'Cancelled'];
    const query = { address: this.#init.contracts.storageRent, abi: storageRentAbi, eventNames, fromBlock };
    return this.#init.view.logsUpTo(query, end, signal);
  }

  #take(rentals: Map<bigint, StorageRental>, log: ChainLog): void {
    if (log.eventName === 'Prepaid') {
      const rental = rentalOfLog(log);
      if (rental.gateway === this.#init.gateway && rentals.size < maxRentals) rentals.set(rental.id, rental);
      return;
    }
    const { rental: id, untilEpoch } = log.args as { readonly rental: bigint; readonly untilEpoch: number };
    const known = rentals.get(id);
    if (known !== undefined) rentals.set(id, { ...known, untilEpoch });
  }

  #forget(epoch: number): void {
    for (const [id, { untilEpoch }] of this.#final)
      if (untilEpoch + this.#init.graceEpochs < epoch) this.#final.delete(id);
  }

  async #clockOf(signal: AbortSignal | undefined): Promise<{ genesis: bigint; epochLength: bigint }> {
    const { view, contracts } = this.#init;
    const rent = { address: contracts.storageRent, abi: storageRentAbi } as const;
    if (this.#clock === undefined) {
      const genesis = await view.read({ ...rent, functionName: 'genesis', args: [] }, signal);
      const length = await view.read({ ...rent, functionName: 'epochLength', args: [] }, signal);
      this.#clock = { genesis, epochLength: BigInt(length) };
    }
    return this.#clock;
  }
}

/** Sums rentals by app. */
export function paidStorage(rentals: Iterable<StorageRental>, epoch: number): PaidStorage {
  const byApp = new Map<Bytes32, StorageRental[]>();
  for (const rental of rentals) {
    const same = byApp.get(rental.app);
    if (same === undefined) byApp.set(rental.app, [rental]);
    else same.push(rental);
  }
  return {
    epoch,
    bytesOf(app, at) {
      let bytes = 0n;
      for (const { fromEpoch, untilEpoch, size } of byApp.get(app) ?? [])
        if (fromEpoch <= at && at < untilEpoch) bytes += size;
      return bytes;
    },
  };
}
