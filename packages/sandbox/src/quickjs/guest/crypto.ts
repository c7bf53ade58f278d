import { host } from './bridge.ts';
import { copyOf } from './bytes.ts';

const algorithms = ['SHA-1', 'SHA-256', 'SHA-384', 'SHA-512'];
const mostRandomBytes = 65_536;

/** What a call throws that has no seed. */
export class NotDeterministicError extends Error {
  override readonly name = 'NotDeterministicError';
  readonly code: string;

  constructor(what: string) {
    super(`${what}: a deterministic function has nothing random in a call without a round (docs/functions.md)`);
    this.code = 'RANDOM_UNAVAILABLE';
  }
}

/** Bytes that follow from the call's seed. Throws NotDeterministicError. */
function randomBytes(length: number, what: string): Uint8Array {
  const bytes = host('random', length);
  if (bytes === undefined) throw new NotDeterministicError(what);
  return new Uint8Array(bytes);
}

/** In [0, 1), of 53 bits. */
export function random(): number {
  const view = new DataView(randomBytes(8, 'Math.random').buffer as ArrayBuffer);
  return Number(view.getBigUint64(0) >> 11n) / 2 ** 53;
}

/** Of Web Cryptography what is the same everywhere. */
export const crypto = {
  getRandomValues<Target extends ArrayBufferView>(target: Target): Target {
    if (!ArrayBuffer.isView(target) || target instanceof DataView || /Float/.test(target[Symbol.toStringTag as never]))
      throw new DOMException('The target is no array of integers', 'TypeMismatchError');
    if (target.byteLength > mostRandomBytes)
      throw new DOMException(`More than ${mostRandomBytes} bytes at once`, 'QuotaExceededError');
    const bytes = randomBytes(target.byteLength, 'crypto.getRandomValues');
    new Uint8Array(target.buffer as ArrayBuffer, target.byteOffset, target.byteLength).set(bytes);
    return target;
  },

  /** RFC 9562, version 4. */
  randomUUID(): string {
    const bytes = randomBytes(16, 'crypto.randomUUID');
    bytes[6] = ((bytes[6] ?? 0) & 0x0f) | 0x40;
    bytes[8] = ((bytes[8] ?? 0) & 0x3f) | 0x80;
    const hex = Array.from(bytes, (byte) => byte.toString(16).padStart(2, '0')).join('');
    return hex.replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, '$1-$2-$3-$4-$5');
  },

  subtle: {
    async digest(algorithm: string | { readonly name: string }, data: unknown): Promise<ArrayBuffer> {
      const name = `${typeof algorithm === 'object' ? algorithm.name : algorithm}`.toUpperCase();
      if (!algorithms.includes(name)) throw new DOMException(`Unrecognized name "${name}"`, 'NotSupportedError');
      return host('digest', name, copyOf(data, 'digest: the data'));
    },
  },
};
