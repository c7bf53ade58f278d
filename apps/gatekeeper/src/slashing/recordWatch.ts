import type { Address, Bytes32, EpochRecord, Hex } from '@cloister/core';

export type SignedRecord = { readonly record: EpochRecord; readonly signature: Hex };

/** Two different records of one member for one epoch and attempt: proof for anybody. */
export type TwoRecords = { readonly signer: Address; readonly records: readonly [SignedRecord, SignedRecord] };

/** Members that signed, in the attempts of the last epochs. */
const maxSigned = 4_096;

/** Remembers what each member signed in each attempt of an epoch, and notices where it is another record. */
export class RecordWatch {
  readonly #onTwoRecords: (proof: TwoRecords) => void;
  readonly #signed = new Map<string, SignedRecord & { readonly digest: Bytes32 }>();

  constructor(onTwoRecords: (proof: TwoRecords) => void) {
    this.#onTwoRecords = onTwoRecords;
  }

  /** Takes members' signatures over a record, which were checked. */
  see(record: EpochRecord, digest: Bytes32, signatures: Iterable<readonly [Address, Hex]>): void {
    for (const [signer, signature] of signatures) {
      const place = `${record.epoch} ${record.attempt} ${signer}`;
      const known = this.#signed.get(place);
      if (known === undefined) this.#remember(place, { record, signature, digest });
      else if (known.digest !== digest)
        this.#onTwoRecords({
          signer,
          records: [
            { record: known.record, signature: known.signature },
            { record, signature },
          ],
        });
    }
  }

  #remember(place: string, signed: SignedRecord & { readonly digest: Bytes32 }): void {
    this.#signed.set(place, signed);
    if (this.#signed.size > maxSigned) this.#signed.delete(this.#signed.keys().next().value as string);
  }
}
