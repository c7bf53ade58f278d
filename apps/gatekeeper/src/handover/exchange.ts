import { type Bytes32, schema as z } from '@cloister/core';
import { maxCeremonyMessageBytes } from '../ceremony/ceremonyMessage.ts';

/** What two members say to each other about a ceremony: which messages each has, and those that the other seems to lack. */
export type CeremonyExchange = {
  readonly session: Bytes32;
  readonly have: readonly string[];
  /** Not yet read: each by itself, so that one bad message spoils no other. */
  readonly messages: readonly unknown[];
};

const maxMessages = 512;
export const maxExchangeBytes = 64 * maxCeremonyMessageBytes;

const json = z.strictObject({
  session: z.bytes32,
  have: z.array(z.pattern(/^0x[0-9a-f]{40}:0x[0-9a-f]{64}$/)).check(z.refineArray(0, maxMessages)),
  messages: z.array(z.jsonObject).check(z.refineArray(0, maxMessages)),
});

/** Throws SchemaError. */
export function parseExchange(input: unknown): CeremonyExchange {
  return z.parseWith(json, input, 'ceremony exchange');
}
