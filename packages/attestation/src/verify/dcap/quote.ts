import { assertAtMost, bounds } from '../bounds.ts';
import { AttestationError } from '../errors.ts';
import { type EnclaveReport, enclaveReportLength, readEnclaveReport } from './enclaveReport.ts';

/** Layouts of the signed body, by what attests. */
export type QuoteBody =
  | { readonly kind: 'tdx'; readonly tdVersion: '1.0' | '1.5'; readonly bytes: Uint8Array }
  | { readonly kind: 'sgx'; readonly bytes: Uint8Array };

/** A quote in its parts; all views into the given bytes. Nothing in it is trusted yet. */
export type Quote = {
  readonly version: 3 | 4 | 5;
  readonly body: QuoteBody;
  /** Header and body as the attestation key signed them. */
  readonly signedPart: Uint8Array;
  /** 16 bytes. */
  readonly qeVendorId: Uint8Array;
  /** 64 bytes, r ‖ s, by the attestation key. */
  readonly signature: Uint8Array;
  /** 64 bytes, x ‖ y. */
  readonly attestationKey: Uint8Array;
  readonly qeReport: EnclaveReport;
  /** 64 bytes, r ‖ s, by the PCK. */
  readonly qeReportSignature: Uint8Array;
  readonly qeAuthData: Uint8Array;
  /** PEM: leaf, PCK CA, root. */
  readonly pckChain: Uint8Array;
};

/** Lengths of the TD report body, and the numbers that version 5 gives the body types. */
const tdBodies = { '1.0': { length: 584, type: 2 }, '1.5': { length: 648, type: 3 } } as const;
const ecdsaP256 = 2;
const teeTypeSgx = 0;
const teeTypeTdx = 0x81;
const certificationDataOfPckChain = 5;
const certificationDataOfQeReport = 6;

/**
 * Reads an ECDSA quote (Intel, "TDX DCAP Quoting Library API", appendix 3; "SGX ECDSA QuoteLibReference", appendix A.4):
 * TDX version 4 and 5 with bodies of TD 1.0 and 1.5, SGX version 3. Declared lengths must fit exactly; after the quote only
 * zero bytes, with which some hosts pad. Throws MALFORMED_QUOTE, UNSUPPORTED_QUOTE, TOO_LARGE.
 */
export function parseQuote(bytes: Uint8Array): Quote {
  assertAtMost(bytes.length, bounds.quote, 'quote');
  const reader = new ByteReader(bytes, 0, bytes.length);
  const version = reader.u16('version');
  if (version !== 3 && version !== 4 && version !== 5) throw unsupported('quote.version', version, '3, 4 or 5');
  const keyType = reader.u16('attestation key type');
  if (keyType !== ecdsaP256) throw unsupported('quote.attestationKeyType', keyType, 'ECDSA with P-256');
  const teeType = reader.u32('TEE type');
  if (teeType !== teeTypeSgx && teeType !== teeTypeTdx) throw unsupported('quote.teeType', teeType, 'SGX or TDX');
  if ((teeType === teeTypeTdx) !== version > 3)
    throw unsupported('quote.version', version, 'version 3 for SGX, 4 or 5 for TDX');
  reader.take(4, 'reserved');
  const qeVendorId = reader.take(16, 'QE vendor id');
  reader.take(20, 'user data');

  const body = readBody(reader, version);
  const signedPart = bytes.subarray(0, reader.position);
  const signatureData = reader.sized(reader.u32('length of the signature data'), 'signature data');
  reader.onlyZeros();

  const signature = signatureData.take(64, 'signature');
  const attestationKey = signatureData.take(64, 'attestation key');
  const certification = version === 3 ? signatureData : readCertification(signatureData, certificationDataOfQeReport);
  const qeReport = readEnclaveReport(certification.take(enclaveReportLength, 'QE report'));
  const qeReportSignature = certification.take(64, 'signature of the QE report');
  const qeAuthData = certification.take(
    certification.u16('length of the QE authentication data'),
    'QE authentication data',
  );
  const chain = readCertification(certification, certificationDataOfPckChain);
  certification.finish();
  signatureData.finish();
  const pckChain = chain.take(chain.left, 'PCK chain');
  return {
    version,
    body,
    signedPart,
    qeVendorId,
    signature,
    attestationKey,
    qeReport,
    qeReportSignature,
    qeAuthData,
    pckChain,
  };
}

function readBody(reader: ByteReader, version: 3 | 4 | 5): QuoteBody {
  if (version === 3) return { kind: 'sgx', bytes: reader.take(enclaveReportLength, 'enclave report') };
  if (version === 4) return { kind: 'tdx', tdVersion: '1.0', bytes: reader.take(tdBodies['1.0'].length, 'TD report') };
  const type = reader.u16('body type');
  const length = reader.u32('body length');
  const tdVersion = type === tdBodies['1.0'].type ? '1.0' : type === tdBodies['1.5'].type ? '1.5' : undefined;
  if (tdVersion === undefined) throw unsupported('quote.bodyType', type, 'a TD report of TDX 1.0 or 1.5');
  if (length !== tdBodies[tdVersion].length)
    throw malformed(reader.position - 4, `Expected a body of ${tdBodies[tdVersion].length} bytes, got "${length}"`);
  return { kind: 'tdx', tdVersion, bytes: reader.take(length, 'TD report') };
}

function readCertification(reader: ByteReader, expected: number): ByteReader {
  const type = reader.u16('type of certification data');
  if (type !== expected) throw unsupported('quote.certificationData', type, `type ${expected}`);
  return reader.sized(reader.u32('length of certification data'), 'certification data');
}

/** Little-endian reader that never leaves its range. */
class ByteReader {
  readonly #bytes: Uint8Array;
  readonly #end: number;
  position: number;

  constructor(bytes: Uint8Array, start: number, end: number) {
    this.#bytes = bytes;
    this.position = start;
    this.#end = end;
  }

  get left(): number {
    return this.#end - this.position;
  }

  take(length: number, what: string): Uint8Array {
    if (length > this.left)
      throw malformed(this.position, `Expected ${length} bytes of ${what}, ${this.left} are left`);
    this.position += length;
    return this.#bytes.subarray(this.position - length, this.position);
  }

  sized(length: number, what: string): ByteReader {
    const start = this.position;
    this.take(length, what);
    return new ByteReader(this.#bytes, start, this.position);
  }

  u16(what: string): number {
    const [low = 0, high = 0] = this.take(2, what);
    return low | (high << 8);
  }

  u32(what: string): number {
    return this.u16(what) + this.u16(what) * 0x10000;
  }

  finish(): void {
    if (this.left > 0) throw malformed(this.position, `Expected the end, ${this.left} bytes are left`);
  }

  onlyZeros(): void {
    for (let at = this.position; at < this.#end; at++)
      if (this.#bytes[at] !== 0) throw malformed(at, 'Expected only zero bytes after the quote');
  }
}

function malformed(offset: number, message: string): AttestationError {
  const place = `quote @ ${offset}`;
  return new AttestationError({ code: 'MALFORMED_QUOTE', place, message: `${message} at "${place}"` });
}

function unsupported(place: string, value: number, expected: string): AttestationError {
  return new AttestationError({
    code: 'UNSUPPORTED_QUOTE',
    place,
    value,
    message: `Expected ${expected} at "${place}", got "${value}"`,
  });
}
