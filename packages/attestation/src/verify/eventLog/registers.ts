import type { Hex } from '@cloister/core';
import { concatBytes, sha384, toHex } from '@cloister/crypto';
import type { TdxClaims } from '../claims.ts';
import { eventLogError } from './eventLogError.ts';

export const registerNames = ['rtmr0', 'rtmr1', 'rtmr2', 'rtmr3'] as const;

/** A run-time measurement register of a TD. */
export type RegisterName = (typeof registerNames)[number];

/** The registers as a verified quote states them: 48 bytes each. `TdxClaims` are such. */
export type Registers = Pick<TdxClaims, RegisterName>;

/** One extension: the register becomes SHA-384(register ‖ digest) (Intel TDX module specification, TDG.MR.RTMR.EXTEND). */
export type Extension = { readonly register: RegisterName; readonly digest: Uint8Array };

/** The registers after these extensions, from zero. */
export function replay(extensions: Iterable<Extension>): Registers {
  const values = Object.fromEntries(registerNames.map((name) => [name, new Uint8Array(48)])) as Record<
    RegisterName,
    Uint8Array
  >;
  for (const { register, digest } of extensions) values[register] = sha384(concatBytes(values[register], digest));
  return {
    rtmr0: toHex(values.rtmr0),
    rtmr1: toHex(values.rtmr1),
    rtmr2: toHex(values.rtmr2),
    rtmr3: toHex(values.rtmr3),
  };
}

/**
 * Refuses a log whose replay does not give these registers: EVENT_LOG_MISMATCH, its place the first register that differs, its
 * value what the log gives.
 */
export function assertReplays(
  extensions: Iterable<Extension>,
  expected: Registers,
  compared: readonly RegisterName[] = registerNames,
): void {
  const replayed = replay(extensions);
  for (const name of registerNames)
    if (compared.includes(name) && !sameHex(replayed[name], expected[name]))
      throw eventLogError(
        'EVENT_LOG_MISMATCH',
        name,
        `Expected the events to give "${expected[name].slice(0, 100)}"`,
        replayed[name],
        'The log is not the one that this quote was made after, or it was changed',
      );
}

function sameHex(left: Hex, right: Hex): boolean {
  return left.toLowerCase() === right.toLowerCase();
}
