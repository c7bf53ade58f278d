import { readFileSync } from 'node:fs';
import { platformOfQuote } from '@cloister/attestation/onchain';
import { type Collateral, parseQuote } from '@cloister/attestation/verify';
import { p256 } from '@noble/curves/nist.js';
import { bytesToHex, concatBytes, type Hex, hexToBytes } from 'viem';

/** Unix seconds around which the recorded collateral is valid. */
export const recordedAt = 1_800_000_000;

/** What scripts/mintRecordedPlatform.ts writes. */
export type PlatformRecord = {
  /** The DEV root's key. */
  readonly rootX: Hex;
  readonly rootY: Hex;
  readonly collateral: Collateral;
  /** TDX, version 4, of the image and network file of the tests. */
  readonly quote: Hex;
  /** The attestation key's scalar. */
  readonly attestationKey: Hex;
};

export const recordPath = new URL('recordedPlatform.json', import.meta.url);

/** Bytes in a version-4 quote: where MRCONFIGID and report_data lie, and the attestation key's signature. */
const mrConfigIdAt = 232;
const reportDataAt = 568;
const signatureAt = 636;

/** A synthetic platform whose every byte is the same each time: what it costs is, too. */
export function recordedPlatform() {
  const record = JSON.parse(readFileSync(recordPath, 'utf8')) as PlatformRecord;
  const template = hexToBytes(record.quote);
  const secret = hexToBytes(record.attestationKey);
  return {
    root: { x: BigInt(record.rootX), y: BigInt(record.rootY) },
    collateral: record.collateral,
    certificate: bytesToHex(platformOfQuote(template).certificate),
    /** The platform's quote over two words of report_data; with another MRCONFIGID where given. */
    quoteOver(head: Hex, tail: Hex, mrConfigId?: Uint8Array): Uint8Array {
      const quote = Uint8Array.from(template);
      if (mrConfigId !== undefined) quote.set(mrConfigId, mrConfigIdAt);
      quote.set(concatBytes([hexToBytes(head), hexToBytes(tail)]), reportDataAt);
      quote.set(p256.sign(parseQuote(quote).signedPart, secret, { lowS: false }), signatureAt);
      return quote;
    },
  };
}
