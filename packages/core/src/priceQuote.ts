import { hashStruct, type RecordDomain, structType, typedDataDigest } from './eip712.ts';
import type { Bytes32, Hex } from './hex.ts';
import type { Manifest } from './manifest.ts';
import { type Price, priceOf, priceParts } from './price.ts';
import * as z from './schema.ts';

/** What a worker asks for calls until then, in unix seconds of the chain's clock; the manifest's prices are the most that it may ask. */
export type PriceQuote = Price & { readonly notAfter: bigint };

/** A quote with its receipt signer's signature, as it is announced. */
export type SignedPriceQuote = PriceQuote & { readonly signature: Hex };

const priceQuoteType = structType(
  'PriceQuote(uint128 perCall,uint128 perCpuMs,uint128 perGiBSecond,uint128 perOutputKiB,uint128 perInputToken,uint128 perOutputToken,uint64 notAfter)',
);

/** The EIP-712 digest that the receipt signer signs. */
export function priceQuoteDigest(domain: RecordDomain, quote: PriceQuote): Bytes32 {
  const amounts = priceParts.map((part) => quote[part]);
  return typedDataDigest(domain, hashStruct(priceQuoteType, ...amounts, quote.notAfter));
}

/** What calls of an app cost at a worker: its quote, or the manifest's prices where it has none; undefined where it asks for more than they allow. */
export function agreedPrice(manifest: Pick<Manifest, 'price'>, quote: Price | undefined): Price | undefined {
  const most = priceOf(manifest);
  if (quote === undefined) return most;
  const isWithin = priceParts.every((part) => quote[part] <= most[part]);
  return isWithin ? (Object.fromEntries(priceParts.map((part) => [part, quote[part]])) as Price) : undefined;
}

const amount = z.uintString(96);

/** The form in an announcement. */
export const signedPriceQuoteJson = z.strictObject({
  perCall: amount,
  perCpuMs: amount,
  perGiBSecond: amount,
  perOutputKiB: amount,
  perInputToken: amount,
  perOutputToken: amount,
  notAfter: z.uintString(64),
  signature: z.hexOf(65),
});

export function signedPriceQuoteToJson(quote: SignedPriceQuote): { [key: string]: z.Json } {
  const amounts = priceParts.map((part) => [part, quote[part].toString()]);
  return { ...Object.fromEntries(amounts), notAfter: quote.notAfter.toString(), signature: quote.signature };
}
