import { fromUtf8, utf8 } from '@cloister/crypto';
import { fromBase64, toBase64 } from './base64.ts';
import { assertAtMost, bounds } from './bounds.ts';
import { type Collateral, collateralKeys, readCollateral } from './dcap/collateral.ts';
import { AttestationError } from './errors.ts';
import { JsonValue } from './json.ts';

/** Evidence as it travels: what a TEE signed and what is needed to verify it. Says nothing about who may trust it. */
export type EvidenceDocument = TdxDocument | SgxDocument | SnpDocument | NitroDocument;

/** A quote of a TD with its collateral. */
export type TdxDocument = {
  readonly format: 'cloister-evidence-1';
  readonly teeType: 'tdx';
  /** Base64. */
  readonly quote: string;
  readonly collateral: Collateral;
  /** What the registers stand for. Verified by replay; absent where nobody needs it. */
  readonly eventLog?: EventLogText;
};

/** A quote of an SGX enclave with its collateral. */
export type SgxDocument = {
  readonly format: 'cloister-evidence-1';
  readonly teeType: 'sgx';
  /** Base64. */
  readonly quote: string;
  readonly collateral: Collateral;
};

/** An event log as text: a firmware's as base64, a dstack guest's as the JSON text that its agent gave. */
export type EventLogText = { readonly kind: 'ccel' | 'dstack'; readonly log: string };

/** A report of AMD SEV-SNP with the certificates of the key that signed it. */
export type SnpDocument = {
  readonly format: 'cloister-evidence-1';
  readonly teeType: 'sev-snp';
  /** Base64, as are all below. */
  readonly report: string;
  /** DER: VCEK or VLEK, the ASK or ASVK that issued it, the ARK above. */
  readonly certificates: { readonly leaf: string; readonly intermediate: string; readonly root: string };
  /** DER: the ARK's revocation list. */
  readonly crl: string;
};

/** A document that the Nitro hypervisor signed, with its certificates in it. */
export type NitroDocument = {
  readonly format: 'cloister-evidence-1';
  readonly teeType: 'nitro';
  /** Base64 of the COSE_Sign1. */
  readonly document: string;
};

/** A document with nothing but text in it. */
export type EvidenceJson = { readonly [member: string]: string | { readonly [member: string]: string } };

/** The parts of an SNP document as bytes. */
export type SnpParts = {
  readonly report: Uint8Array;
  readonly leaf: Uint8Array;
  readonly intermediate: Uint8Array;
  readonly root: Uint8Array;
  readonly crl: Uint8Array;
};

const format = 'cloister-evidence-1';

/** An evidence document of a TDX quote and its collateral. */
export function evidenceDocument(quote: Uint8Array, collateral: Collateral, eventLog?: EventLogText): TdxDocument {
  const log = eventLog === undefined ? {} : { eventLog };
  return { format, teeType: 'tdx', quote: toBase64(quote), collateral, ...log };
}

/** An evidence document of an SGX quote and its collateral. */
export function sgxEvidenceDocument(quote: Uint8Array, collateral: Collateral): SgxDocument {
  return { format, teeType: 'sgx', quote: toBase64(quote), collateral };
}

/** An evidence document of an SNP report, all parts in binary. */
export function snpEvidenceDocument(report: Uint8Array, parts: Omit<SnpParts, 'report'>): SnpDocument {
  const { leaf, intermediate, root, crl } = parts;
  return {
    format,
    teeType: 'sev-snp',
    report: toBase64(report),
    certificates: { leaf: toBase64(leaf), intermediate: toBase64(intermediate), root: toBase64(root) },
    crl: toBase64(crl),
  };
}

/** An evidence document of a Nitro attestation document (COSE_Sign1). */
export function nitroEvidenceDocument(document: Uint8Array): NitroDocument {
  return { format, teeType: 'nitro', document: toBase64(document) };
}

/** The bytes of the quote in a document. Throws TEE_TYPE_MISMATCH where it holds none, MALFORMED_BASE64, TOO_LARGE. */
export function quoteOf(document: EvidenceDocument): Uint8Array {
  if (document.teeType === 'tdx' || document.teeType === 'sgx')
    return decode(document.quote, bounds.quote, 'evidence.quote');
  throw new AttestationError({
    code: 'TEE_TYPE_MISMATCH',
    place: 'evidence.teeType',
    value: document.teeType,
    message: `Expected evidence with a quote, got "${document.teeType}"`,
  });
}

/** The parts of an SNP document. Throws MALFORMED_BASE64, TOO_LARGE. */
export function snpPartsOf({ report, certificates, crl }: SnpDocument): SnpParts {
  const certificate = (name: keyof SnpDocument['certificates']): Uint8Array =>
    decode(certificates[name], bounds.certificate, `evidence.certificates.${name}`);
  return {
    report: decode(report, bounds.snpReport, 'evidence.report'),
    leaf: certificate('leaf'),
    intermediate: certificate('intermediate'),
    root: certificate('root'),
    crl: decode(crl, bounds.crl, 'evidence.crl'),
  };
}

/** The COSE_Sign1 of a Nitro document. Throws MALFORMED_BASE64, TOO_LARGE. */
export function nitroDocumentOf(document: NitroDocument): Uint8Array {
  return decode(document.document, bounds.nitroDocument, 'evidence.document');
}

/** UTF-8 JSON of a document, members in a fixed order. */
export function serialiseEvidence(document: EvidenceDocument): Uint8Array {
  return utf8(JSON.stringify(evidenceJson(document)));
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
  json.member('format').oneOf([format]);
  const teeType = json.member('teeType').oneOf(['tdx', 'sgx', 'sev-snp', 'nitro']);
  if (teeType === 'sev-snp') return readSnp(json);
  if (teeType === 'nitro') return readNitro(json);
  return readQuote(json, teeType);
}

function readQuote(json: JsonValue, teeType: 'tdx' | 'sgx'): TdxDocument | SgxDocument {
  json.onlyMembers(['format', 'teeType', 'quote', 'collateral', ...(teeType === 'tdx' ? ['eventLog'] : [])]);
  const quote = json.member('quote').text(base64Length(bounds.quote));
  decode(quote, bounds.quote, 'evidence.quote');
  const collateral = readCollateral(json.member('collateral').raw, 'evidence.collateral');
  if (teeType === 'sgx') return { format, teeType, quote, collateral };
  const eventLog = json.member('eventLog');
  return { format, teeType, quote, collateral, ...(eventLog.absent ? {} : { eventLog: readEventLog(eventLog) }) };
}

function readEventLog(json: JsonValue): EventLogText {
  json.onlyMembers(['kind', 'log']);
  return { kind: json.member('kind').oneOf(['ccel', 'dstack']), log: json.member('log').text(bounds.eventLogText) };
}

function readSnp(json: JsonValue): SnpDocument {
  json.onlyMembers(['format', 'teeType', 'report', 'certificates', 'crl']);
  const certificates = json.member('certificates').onlyMembers(['leaf', 'intermediate', 'root']);
  const certificate = (name: string): string => certificates.member(name).text(base64Length(bounds.certificate));
  const crl = json.member('crl');
  if (crl.absent)
    throw new AttestationError({
      code: 'COLLATERAL_MISSING',
      place: crl.path,
      message: 'Expected "crl" in the evidence',
      hint: 'A verifier never takes a missing revocation list for an empty one',
    });
  const document: SnpDocument = {
    format,
    teeType: 'sev-snp',
    report: json.member('report').text(base64Length(bounds.snpReport)),
    certificates: {
      leaf: certificate('leaf'),
      intermediate: certificate('intermediate'),
      root: certificate('root'),
    },
    crl: crl.text(base64Length(bounds.crl)),
  };
  snpPartsOf(document);
  return document;
}

function readNitro(json: JsonValue): NitroDocument {
  json.onlyMembers(['format', 'teeType', 'document']);
  const document: NitroDocument = {
    format,
    teeType: 'nitro',
    document: json.member('document').text(base64Length(bounds.nitroDocument)),
  };
  nitroDocumentOf(document);
  return document;
}

/** A document as plain JSON, members in a fixed order, to stand inside another record. */
export function evidenceJson(document: EvidenceDocument): EvidenceJson {
  const { teeType } = document;
  if (teeType === 'nitro') return { format, teeType, document: document.document };
  if (teeType === 'sev-snp') {
    const { leaf, intermediate, root } = document.certificates;
    return { format, teeType, report: document.report, certificates: { leaf, intermediate, root }, crl: document.crl };
  }
  const collateral = Object.fromEntries(collateralKeys.map((key) => [key, document.collateral[key]]));
  const { kind, log } = (teeType === 'tdx' ? document.eventLog : undefined) ?? {};
  const eventLog = kind === undefined || log === undefined ? {} : { eventLog: { kind, log } };
  return { format, teeType, quote: document.quote, collateral, ...eventLog };
}

function decode(text: string, max: number, place: string): Uint8Array {
  assertAtMost(text.length, base64Length(max), place);
  return fromBase64(text, place);
}

function base64Length(bytes: number): number {
  return Math.ceil(bytes / 3) * 4;
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
