import type { Address, Bytes32, NetworkFile } from '@cloister/core';
import type { ChainLog } from './chainLog.ts';
import type { ChainView } from './chainView.ts';
import { storageRentAbi } from './generated/index.ts';

/** So many bytes for one app at one gateway, from one epoch up to another. Amounts in PHA's smallest unit. */
export type StorageRental = {
  readonly id: bigint;
  readonly app: Bytes32;
  /** The account that the gateway names. */
  readonly gateway: Address;
  /** Gets back what is cancelled. */
  readonly payer: Address;
  /** Bytes. */
  readonly size: bigint;
  readonly pricePerEpoch: bigint;
  readonly fromEpoch: number;
  /** The first epoch that is not paid. */
  readonly untilEpoch: number;
};

/** A rental and where its money stands. */
export type StorageRentalStatus = StorageRental & {
  /** By past epochs, not collected yet. */
  readonly earned: bigint;
  /** What cancelling would bring back now. */
  readonly refundable: bigint;
};

/** Whose rentals; no field for all there ever were. */
export type RentalFilter = { readonly app?: Bytes32; readonly gateway?: Address };

/** Typed reads of a network's prepaid storage through a {@link ChainView}. */
export class StorageReader {
  readonly view: ChainView;
  readonly #address: Address;

  constructor(view: ChainView, contracts: Pick<NetworkFile['contracts'], 'storageRent'>) {
    this.view = view;
    this.#address = contracts.storageRent;
  }

  /** Of a GiB for an epoch, of purchases made now. */
  price(signal?: AbortSignal): Promise<bigint> {
    return this.view.read({ ...this.#rent('price'), args: [] }, signal);
  }

  /** What an epoch of so many bytes costs. Throws CHAIN_READ_REVERTED for less than 1 MiB or more than 1 PiB. */
  pricePerEpoch(size: bigint, signal?: AbortSignal): Promise<bigint> {
    return this.view.read({ ...this.#rent('pricePerEpoch'), args: [size] }, signal);
  }

  epoch(signal?: AbortSignal): Promise<number> {
    return this.view.read({ ...this.#rent('epoch'), args: [] }, signal);
  }

  totalHeld(signal?: AbortSignal): Promise<bigint> {
    return this.view.read({ ...this.#rent('totalHeld'), args: [] }, signal);
  }

  /** Throws CHAIN_READ_REVERTED where there is none. */
  async rental(id: bigint, signal?: AbortSignal): Promise<StorageRentalStatus> {
    const { number: block } = await this.view.head(signal);
    const [rental, earned, refundable] = await Promise.all([
      this.view.read({ ...this.#rent('rentalOf'), args: [id], block }, signal),
      this.view.read({ ...this.#rent('earned'), args: [id], block }, signal),
      this.view.read({ ...this.#rent('refundable'), args: [id], block }, signal),
    ]);
    const { app, size, pricePerEpoch, fromEpoch, untilEpoch } = rental;
    const parties = { gateway: lower(rental.gateway), payer: lower(rental.payer) };
    return { id, app, ...parties, size, pricePerEpoch, fromEpoch, untilEpoch, earned, refundable };
  }

  /** Rentals by app or gateway, oldest first: one RPC lists them, and all say the same of each. */
  async rentals(filter: RentalFilter, signal?: AbortSignal): Promise<readonly StorageRentalStatus[]> {
    const query = { address: this.#address, abi: storageRentAbi, eventName: 'Prepaid', args: { ...filter } };
    const events = (await this.view.events(query, signal)) as readonly { readonly rental?: bigint }[];
    const ids = [...new Set(events.flatMap(({ rental }) => (rental === undefined ? [] : [rental])))];
    const found: StorageRentalStatus[] = [];
    for (let from = 0; from < ids.length; from += portion)
      found.push(...(await Promise.all(ids.slice(from, from + portion).map((id) => this.rental(id, signal)))));
    return found;
  }

  #rent<const name extends string>(functionName: name) {
    return { address: this.#address, abi: storageRentAbi, functionName } as const;
  }
}

const portion = 32;

/** What a purchase's event says. */
export function rentalOfLog({ args }: ChainLog): StorageRental {
  const { rental, app, gateway, payer, size, pricePerEpoch, fromEpoch, untilEpoch } = args as {
    readonly rental: bigint;
    readonly app: Bytes32;
    readonly gateway: Address;
    readonly payer: Address;
    readonly size: bigint;
    readonly pricePerEpoch: bigint;
    readonly fromEpoch: number;
    readonly untilEpoch: number;
  };
  const parties = { gateway: lower(gateway), payer: lower(payer) };
  return { id: rental, app, ...parties, size, pricePerEpoch, fromEpoch, untilEpoch };
}

function lower(address: Address): Address {
  return address.toLowerCase() as Address;
}
