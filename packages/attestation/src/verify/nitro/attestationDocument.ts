import { concatBytes, equalBytes, fromHex, utf8 } from '@cloister/crypto';
import { assertAtMost, bounds } from '../bounds.ts';
import { AttestationError } from '../errors.ts';
import { CborReader } from './cbor.ts';

/** What the Nitro hypervisor signed (AWS, "Cryptographic attestation", and the Nitro Secure Module's `attestation_process.md`). */
export type AttestationDocument = {
  readonly moduleId: string;
  /** Milliseconds since 1970. */
  readonly timestampMs: number;
  /** 48 bytes each, by index. */
  readonly pcrs: ReadonlyMap<number, Uint8Array>;
  /** DER. */
  readonly certificate: Uint8Array;
  /** DER, the root first, the leaf's issuer last. */
  readonly caBundle: readonly Uint8Array[];
  readonly publicKey: Uint8Array | null;
  readonly userData: Uint8Array | null;
  readonly nonce: Uint8Array | null;
};

/** A COSE_Sign1 (RFC 9052 §4.2) in its parts. Nothing in it is trusted yet. */
export type SignedDocument = {
  readonly payload: AttestationDocument;
  /** Sig_structure: what the signature is over. */
  readonly signedPart: Uint8Array;
  /** 96 bytes, r ‖ s. */
  readonly signature: Uint8Array;
};

const coseSign1Tag = 18;
/** {1: -35}: ES384 (RFC 9053 §2.1), the only algorithm that AWS signs with. */
const protectedHeader = fromHex('a1013822');
/** The beginning of Sig_structure: an array of 4, "Signature1", the protected header, no external data. */
const signaturePrefix = concatBytes(
  Uint8Array.of(0x84, 0x6a),
  utf8('Signature1'),
  Uint8Array.of(0x40 | protectedHeader.length),
  protectedHeader,
  Uint8Array.of(0x40),
);

/** Limits of the Nitro Secure Module's own specification. */
const limits = { certificates: 8, certificate: 1024, publicKey: 1024, userData: 512, nonce: 512, pcrs: 32 } as const;
const pcrLength = 48;

/**
 * Reads a Nitro attestation document strictly: ES384 alone, no unprotected header, each field once, of its size; SHA-384
 * registers. Throws MALFORMED_CBOR, MALFORMED_DOCUMENT, UNSUPPORTED_DOCUMENT, TOO_LARGE.
 */
export function parseAttestationDocument(bytes: Uint8Array): SignedDocument {
  assertAtMost(bytes.length, bounds.nitroDocument, 'document');
  const reader = new CborReader(bytes, 'document');
  reader.optionalTag(coseSign1Tag);
  if (reader.array(4, 'COSE_Sign1') !== 4) throw malformed('document', 'Expected a COSE_Sign1 of 4 parts');
  if (!equalBytes(reader.byteString(64, 'the protected header'), protectedHeader))
    throw new AttestationError({
      code: 'UNSUPPORTED_DOCUMENT',
      place: 'document.protected',
      message: 'Expected a protected header that names ES384 and nothing else',
    });
  reader.entries(0, 'the unprotected header', () => {
    throw malformed('document.unprotected', 'Expected no unprotected header');
  });
  const payloadAt = reader.position;
  const payload = reader.byteString(bounds.nitroDocument, 'the payload');
  const payloadItem = bytes.subarray(payloadAt, reader.position);
  const signature = reader.byteString(96, 'the signature');
  if (signature.length !== 96) throw malformed('document.signature', 'Expected a signature of 96 bytes');
  reader.finish('COSE_Sign1');
  return { payload: readPayload(payload), signedPart: concatBytes(signaturePrefix, payloadItem), signature };
}

function readPayload(bytes: Uint8Array): AttestationDocument {
  const reader = new CborReader(bytes, 'document.payload');
  const read: { -readonly [Key in keyof AttestationDocument]?: AttestationDocument[Key] } = {};
  const seen = new Set<string>();
  reader.entries(9, 'the payload', () => {
    const key = reader.text(32, 'a key');
    if (seen.has(key)) throw malformed('document.payload', `Expected "${key}" once`);
    seen.add(key);
    if (key === 'module_id') read.moduleId = readModuleId(reader);
    else if (key === 'digest') assertSha384(reader.text(16, 'the digest'));
    else if (key === 'timestamp') read.timestampMs = reader.unsigned(Number.MAX_SAFE_INTEGER, 'the timestamp');
    else if (key === 'pcrs') read.pcrs = readPcrs(reader);
    else if (key === 'certificate') read.certificate = reader.byteString(limits.certificate, 'the certificate');
    else if (key === 'cabundle') read.caBundle = readBundle(reader);
    else if (key === 'public_key') read.publicKey = reader.byteStringOrNull(limits.publicKey, 'the public key');
    else if (key === 'user_data') read.userData = reader.byteStringOrNull(limits.userData, 'the user data');
    else if (key === 'nonce') read.nonce = reader.byteStringOrNull(limits.nonce, 'the nonce');
    else throw malformed('document.payload', `Expected no field "${key}"`);
  });
  reader.finish('the payload');
  const { moduleId, timestampMs, pcrs, certificate, caBundle } = read;
  const complete =
    moduleId !== undefined &&
    timestampMs !== undefined &&
    pcrs !== undefined &&
    certificate !== undefined &&
    caBundle !== undefined &&
    seen.has('digest');
  if (!complete) throw malformed('document.payload', 'Expected all fields that are not optional');
  const { publicKey = null, userData = null, nonce = null } = read;
  return { moduleId, timestampMs, pcrs, certificate, caBundle, publicKey, userData, nonce };
}

function readModuleId(reader: CborReader): string {
  const id = reader.text(128, 'the module id');
  if (!/^[\x21-\x7e]+$/.test(id)) throw malformed('document.payload.module_id', 'Expected an id in ASCII');
  return id;
}

function assertSha384(digest: string): void {
  if (digest === 'SHA384') return;
  throw new AttestationError({
    code: 'UNSUPPORTED_DOCUMENT',
    place: 'document.payload.digest',
    value: digest,
    message: `Expected registers of "SHA384", got "${digest}"`,
  });
}

function readPcrs(reader: CborReader): ReadonlyMap<number, Uint8Array> {
  const pcrs = new Map<number, Uint8Array>();
  reader.entries(limits.pcrs, 'the PCRs', () => {
    const index = reader.unsigned(limits.pcrs - 1, 'the index of a PCR');
    const value = reader.byteString(pcrLength, 'a PCR');
    if (value.length !== pcrLength || pcrs.has(index))
      throw malformed(`document.payload.pcrs[${index}]`, `Expected each PCR once, of ${pcrLength} bytes`);
    pcrs.set(index, value);
  });
  for (const index of [0, 1, 2])
    if (!pcrs.has(index)) throw malformed(`document.payload.pcrs[${index}]`, 'Expected PCR0 to PCR2');
  return pcrs;
}

function readBundle(reader: CborReader): readonly Uint8Array[] {
  const count = reader.array(limits.certificates, 'the CA bundle');
  return Array.from({ length: count }, () => reader.byteString(limits.certificate, 'a CA certificate'));
}

function malformed(place: string, message: string): AttestationError {
  return new AttestationError({ code: 'MALFORMED_DOCUMENT', place, message: `${message} at "${place}"` });
}
