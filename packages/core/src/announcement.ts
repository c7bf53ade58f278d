import type { Address, Bytes32 } from './hex.ts';
import { type SignedKeyConfig, signedKeyConfigJson } from './keyConfig.ts';
import { type SignedPriceQuote, signedPriceQuoteJson, signedPriceQuoteToJson } from './priceQuote.ts';
import * as z from './schema.ts';

/** What a worker tells the gateways about itself. Nothing in it is believed before it is verified. */
export type WorkerAnnouncement = {
  readonly format: 'cloister-worker-1';
  readonly workerId: Bytes32;
  readonly operator: Address;
  readonly receiptSigner: Address;
  /** The block whose hash stands in the evidence. */
  readonly attestedBlock: bigint;
  readonly kinds: readonly ('function' | 'wasm' | 'model' | 'container')[];
  /** The evidence document, as @cloister/attestation reads it. */
  readonly evidence: { readonly [key: string]: z.Json };
  /** Newest first. */
  readonly keyConfigs: readonly SignedKeyConfig[];
  /** What it asks for calls; null where the manifests' prices will do. */
  readonly quote: SignedPriceQuote | null;
};

const announcementJson = z.strictObject({
  format: z.literal('cloister-worker-1'),
  workerId: z.bytes32,
  operator: z.address,
  receiptSigner: z.address,
  attestedBlock: z.uintString(64),
  kinds: z.array(z.enumOf(['function', 'wasm', 'model', 'container'])).check(z.refineArray(1, 4)),
  evidence: z.jsonObject,
  keyConfigs: z.array(signedKeyConfigJson).check(z.refineArray(1, 4)),
  quote: z.nullable(signedPriceQuoteJson),
});

export const maxAnnouncementBytes = 256 * 1024;

/** JSON form: bigints as decimal strings. */
export function announcementToJson(announcement: WorkerAnnouncement): z.Json {
  return {
    ...announcement,
    attestedBlock: announcement.attestedBlock.toString(),
    keyConfigs: announcement.keyConfigs.map((config) => ({
      ...config,
      notBefore: config.notBefore.toString(),
      notAfter: config.notAfter.toString(),
    })),
    quote: announcement.quote === null ? null : signedPriceQuoteToJson(announcement.quote),
  };
}

/** Reads an announcement's form; its truth is for the verifier. Throws SchemaError. */
export function announcementFromJson(json: unknown): WorkerAnnouncement {
  return z.parseWith(announcementJson, json, 'worker announcement') as WorkerAnnouncement;
}
