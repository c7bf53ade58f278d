import { fromBase64Url, toBase64Url, utf8 } from '@cloister/crypto';
import { CloisterError } from './errors.ts';
import type { Address, Bytes32 } from './hex.ts';
import { type Json, parseBoundedJson } from './jcs.ts';
import * as z from './schema.ts';

/** The headers of x402, version 2, in lower case. */
export const x402Headers = {
  required: 'payment-required',
  signature: 'payment-signature',
  response: 'payment-response',
} as const;

/** What a PAYMENT-RESPONSE says of a payment that was taken; amounts in the token's smallest unit, as decimal strings. */
export type X402Settlement = {
  readonly success: true;
  /** Empty where none was needed. */
  readonly transaction: Bytes32 | '';
  /** CAIP-2. */
  readonly network: string;
  readonly payer: Address;
  readonly amount?: string;
};

/** How a chain is named in x402 (CAIP-2). */
export function x402Network(chainId: number): string {
  return `eip155:${chainId}`;
}

/** Of a header's text. */
export const maxX402HeaderLength = 65_536;

/** A header's value: base64 of JSON. */
export function x402HeaderText(value: unknown): string {
  const text = toBase64Url(utf8(JSON.stringify(value)))
    .replaceAll('-', '+')
    .replaceAll('_', '/');
  return text.padEnd(Math.ceil(text.length / 4) * 4, '=');
}

/** Reads a header's value. Throws X402_HEADER_MALFORMED. */
export function parseX402Header(text: string, what: string): Json {
  try {
    if (text.length > maxX402HeaderLength) throw new X402HeaderError(what, `it has "${text.length}" characters`);
    const bytes = fromBase64Url(
      text
        .replace(/={1,2}$/, '')
        .replaceAll('+', '-')
        .replaceAll('/', '_'),
    );
    return parseBoundedJson(bytes, maxX402HeaderLength, what);
  } catch (cause) {
    if (cause instanceof X402HeaderError) throw cause;
    throw new X402HeaderError(what, cause instanceof Error ? cause.message : String(cause), cause);
  }
}

/**
 * What a receipt's details say of a call that was paid by `exact`. The receipt's own fee is zero then: the sum is what the client authorized
 * before, whatever the call took, and no contract holds it against the receipt.
 */
export type ExactPayment = { readonly amount: bigint; readonly transaction: Bytes32 };

const exactPaymentJson = z.strictObject({
  scheme: z.literal('exact'),
  amount: z.uintString(256),
  transaction: z.bytes32,
});

export function exactPaymentToJson({ amount, transaction }: ExactPayment): { [key: string]: Json } {
  return { scheme: 'exact', amount: amount.toString(), transaction };
}

/** Reads it from a receipt's details; undefined where they name no payment. Throws SchemaError. */
export function exactPaymentIn({ payment }: { readonly [key: string]: Json }): ExactPayment | undefined {
  if (payment === undefined) return undefined;
  const { amount, transaction } = z.parseWith(exactPaymentJson, payment, 'payment in the details of a receipt');
  return { amount, transaction };
}

export class X402HeaderError extends CloisterError<'X402_HEADER_MALFORMED'> {
  override readonly name = 'X402HeaderError';
  constructor(what: string, problem: string, cause?: unknown) {
    super({
      code: 'X402_HEADER_MALFORMED',
      message: `Expected ${what} to be base64 of JSON: ${problem}`,
      hint: 'Cloister speaks version 2 of x402',
      cause,
    });
  }
}
