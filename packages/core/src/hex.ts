import { CloisterError } from './errors.ts';

/** Lower-case hexadecimal with a 0x prefix. */
export type Hex = `0x${string}`;
/** 20 bytes, lower case: an account or contract on the chain. */
export type Address = Hex;
/** 32 bytes: a hash or an id. */
export type Bytes32 = Hex;

export const zeroBytes32: Bytes32 = `0x${'0'.repeat(64)}`;
export const zeroAddress: Address = `0x${'0'.repeat(40)}`;

/** Whether the value is a 0x-prefixed hexadecimal string of exactly `bytes` bytes. */
export function isHexOf(value: unknown, bytes: number): value is Hex {
  return typeof value === 'string' && value.length === 2 + bytes * 2 && /^0x[0-9a-fA-F]*$/.test(value);
}

/** The value as 32 bytes in lower case. Throws INVALID_BYTES32 for anything else. */
export function asBytes32(value: unknown, what = 'value'): Bytes32 {
  if (isHexOf(value, 32)) return value.toLowerCase() as Bytes32;
  throw new HexError('INVALID_BYTES32', what, value, '0x and 64 hexadecimal digits');
}

/** The value as an address in lower case. Throws INVALID_ADDRESS for anything else. */
export function asAddress(value: unknown, what = 'address'): Address {
  if (isHexOf(value, 20)) return value.toLowerCase() as Address;
  throw new HexError('INVALID_ADDRESS', what, value, '0x and 40 hexadecimal digits');
}

export class HexError extends CloisterError<'INVALID_BYTES32' | 'INVALID_ADDRESS'> {
  override readonly name = 'HexError';
  constructor(code: 'INVALID_BYTES32' | 'INVALID_ADDRESS', what: string, value: unknown, expected: string) {
    super({ code, message: `Expected ${what} to be ${expected}, got "${String(value).slice(0, 80)}"`, meta: { what } });
  }
}
