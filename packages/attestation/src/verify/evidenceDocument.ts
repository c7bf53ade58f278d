import { fromUtf8, utf8 } from '@cloister/crypto';
import { fromBase64, toBase64 } from './base64.ts';
import { assertAtMost, bounds } from './bounds.ts';
import { type Collateral, collateralKeys, readCollateral } from './collateral.ts';
import { AttestationError } from './errors.ts';
import { JsonValue } from './json.ts';

/** Evidence as it travels: a quote and what is needed to verify it. Says nothing about who may trust it. */
export type EvidenceDocument = {
  readonly format: 'cloister-evidence-1';
  readonly teeType: 'tdx';
  /** Base64. */
  readonly quote: string;
  readonly collateral: Collateral;
};

/** An evidence document of a quote and its collateral. */
export function evidenceDocument(quote: Uint8Array, collateral: Collateral): EvidenceDocument {
  return { format: 'cloister-evidence-1', teeType: 'tdx', quote: toBase64(quote), collateral };
}

/** The bytes of the quote in a document. Throws MALFORMED_BASE64, TOO_LARGE. */
export function quoteOf(document: EvidenceDocument): Uint8Array {
  assertAtMost(document.quote.length, Math.ceil(bounds.quote / 3) * 4, 'evidence.quote');
  return fromBase64(document.quote, 'evidence.quote');
}

/** UTF-8 JSON of a document, members in a fixed order. */
export function serialiseEvidence(document: EvidenceDocument): Uint8Array {
  const { format, teeType, quote } = document;
  const collateral = Object.fromEntries(collateralKeys.map((key) => [key, document.collateral[key]]));
  return utf8(JSON.stringify({ format, teeType, quote, collateral }));
}

/**
 * Reads an evidence document, as bytes or as parsed JSON: strict members, bounded parts. Checks its form only.
 * Throws MALFORMED_EVIDENCE, MALFORMED_JSON, MALFORMED_BASE64, COLLATERAL_MISSING, MALFORMED_COLLATERAL, TOO_LARGE.
 */
export function parseEvidence(input: Uint8Array | object): EvidenceDocument {
  const json =
    input instanceof Uint8Array
      ? JsonValue.parse(evidenceText(input), 'evidence', 'MALFORMED_EVIDENCE')
      : new JsonValue(input, 'evidence', 'MALFORMED_EVIDENCE');
  json.onlyMembers(['format', 'teeType', 'quote', 'collateral']);
  const document: EvidenceDocument = {
    format: json.member('format').oneOf(['cloister-evidence-1']),
    teeType: json.member('teeType').oneOf(['tdx']),
    quote: json.member('quote').text(Math.ceil(bounds.quote / 3) * 4),
    collateral: readCollateral(json.member('collateral').raw, 'evidence.collateral'),
  };
  quoteOf(document);
  return document;
}

/** The text of an evidence file, bounded. */
function evidenceText(bytes: Uint8Array): string {
  assertAtMost(bytes.length, bounds.evidenceDocument, 'evidence');
  try {
    return fromUtf8(bytes);
  } catch (cause) {
    throw new AttestationError({
      code: 'MALFORMED_JSON',
      place: 'evidence',
      message: 'Expected the evidence in UTF-8',
      cause,
    });
  }
}
