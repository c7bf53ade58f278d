import { equalBytes } from './bytes.ts';
import { CryptoError } from './errors.ts';

const printed = '[secret]';

/**
 * Bytes that must not be printed, logged or compared by accident. Every text form of it reads "[secret]".
 * It takes the array over without a copy, so that `wipe()` leaves none behind: the caller must not keep it.
 */
export class SecretBytes {
  readonly #bytes: Uint8Array;
  #wiped = false;

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes;
  }

  get length(): number {
    return this.#bytes.length;
  }

  /** The bytes themselves, not a copy. Don't keep them longer than the next statement. Throws SECRET_WIPED after `wipe()`. */
  reveal(): Uint8Array {
    if (this.#wiped)
      throw new CryptoError({
        code: 'SECRET_WIPED',
        message: 'The secret has been wiped',
        hint: 'Use the key that replaced it',
      });
    return this.#bytes;
  }

  /** Overwrites the bytes with zeros; every later use throws. */
  wipe(): void {
    this.#bytes.fill(0);
    this.#wiped = true;
  }

  /** Whether both hold the same bytes, in constant time. */
  equals(other: SecretBytes): boolean {
    return equalBytes(this.reveal(), other.reveal());
  }

  toJSON(): string {
    return printed;
  }

  toString(): string {
    return printed;
  }

  [Symbol.toPrimitive](): string {
    return printed;
  }

  [Symbol.for('nodejs.util.inspect.custom')](): string {
    return printed;
  }
}
