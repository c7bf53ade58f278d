import { CloisterError } from '@cloister/core';

/** Everything that evidence, collateral or a policy can be refused for. */
export type AttestationErrorCode =
  // Form
  | 'TOO_LARGE'
  | 'MALFORMED_DER'
  | 'MALFORMED_PEM'
  | 'MALFORMED_BASE64'
  | 'MALFORMED_HEX'
  | 'MALFORMED_JSON'
  | 'MALFORMED_QUOTE'
  | 'MALFORMED_CERTIFICATE'
  | 'MALFORMED_CRL'
  | 'MALFORMED_COLLATERAL'
  | 'MALFORMED_EVIDENCE'
  | 'MALFORMED_POLICY'
  | 'MALFORMED_REPORT'
  | 'MALFORMED_CBOR'
  | 'MALFORMED_DOCUMENT'
  | 'MALFORMED_TOKEN'
  | 'MALFORMED_KEYS'
  | 'MALFORMED_RUNTIME_DATA'
  | 'INVALID_TIME'
  | 'UNSUPPORTED_QUOTE'
  | 'UNSUPPORTED_CERTIFICATE'
  | 'UNSUPPORTED_CRL'
  | 'UNSUPPORTED_COLLATERAL'
  | 'UNSUPPORTED_REPORT'
  | 'UNSUPPORTED_DOCUMENT'
  | 'UNSUPPORTED_TOKEN'
  // Trust
  | 'ROOTS_INVALID'
  | 'ROOT_UNTRUSTED'
  | 'COLLATERAL_MISSING'
  // Certificates and CRLs
  | 'CHAIN_LENGTH'
  | 'SIGNATURE_INVALID'
  | 'ISSUER_NAME_MISMATCH'
  | 'ISSUER_KEY_ID_MISMATCH'
  | 'NOT_A_CA'
  | 'CA_NOT_ALLOWED'
  | 'PATH_LENGTH_EXCEEDED'
  | 'KEY_USAGE_FORBIDS'
  | 'WRONG_ROLE'
  | 'NOT_YET_VALID'
  | 'EXPIRED'
  | 'REVOKED'
  | 'CRL_ISSUER_MISMATCH'
  // Quote against collateral
  | 'TEE_TYPE_MISMATCH'
  | 'QE_VENDOR_UNKNOWN'
  | 'QE_KEY_NOT_BOUND'
  | 'QE_IDENTITY_MISMATCH'
  | 'QE_LEVEL_NOT_FOUND'
  | 'FMSPC_MISMATCH'
  | 'PCE_ID_MISMATCH'
  | 'TDX_MODULE_UNKNOWN'
  | 'TDX_MODULE_MISMATCH'
  | 'TDX_MODULE_LEVEL_NOT_FOUND'
  | 'TCB_LEVEL_NOT_FOUND'
  // SNP report against its certificates
  | 'PRODUCT_MISMATCH'
  | 'SIGNING_KEY_MISMATCH'
  | 'TCB_MISMATCH'
  | 'CHIP_ID_MISMATCH'
  // Freshness of what has no collateral
  | 'TOO_OLD'
  | 'FROM_THE_FUTURE'
  // Tokens
  | 'KEY_UNKNOWN'
  | 'ISSUER_MISMATCH'
  | 'AUDIENCE_MISMATCH'
  | 'NONCE_MISMATCH'
  | 'GPU_NOT_ATTESTED'
  // Data bound by its hash
  | 'RUNTIME_DATA_NOT_BOUND'
  // Event logs against a verified quote
  | 'MALFORMED_EVENT_LOG'
  | 'UNSUPPORTED_EVENT_LOG'
  | 'EVENT_LOG_MISMATCH'
  | 'EVENT_DIGEST_MISMATCH'
  | 'EVENT_MISSING'
  | 'EVENT_DUPLICATE'
  | 'EVENT_MISPLACED'
  // Appraisal
  | 'TEE_TYPE_REFUSED'
  | 'SIMULATED_REFUSED'
  | 'TCB_STATUS_REFUSED'
  | 'TCB_FLOOR_MISSING'
  | 'TCB_TOO_OLD'
  | 'ADVISORY_REFUSED'
  | 'TCB_EVALUATION_TOO_OLD'
  | 'DEBUG_REFUSED'
  | 'ATTRIBUTES_REFUSED'
  | 'SERVICE_TD_REFUSED'
  | 'IMAGE_NOT_ALLOWED'
  | 'CONFIG_MISMATCH'
  | 'REPORT_DATA_MISMATCH'
  | 'ASSURANCE_TOO_LOW'
  | 'GPU_REFUSED';

export type AttestationErrorInit = {
  readonly code: AttestationErrorCode;
  /** Where: a JSON path, a certificate, an offset, as in `collateral.pck_crl @ 17`. */
  readonly place: string;
  /** One sentence in sentence case, offending values quoted, no final period. */
  readonly message: string;
  /** The value that was refused, where there is one. */
  readonly value?: unknown;
  readonly hint?: string;
  readonly cause?: unknown;
};

/** Evidence, collateral or policy that does not hold: what, where, and the value. The only error that this package's verifier throws. */
export class AttestationError extends CloisterError<AttestationErrorCode> {
  override readonly name = 'AttestationError';
  /** Where it does not hold. */
  readonly place: string;
  /** The value that was refused, undefined where there is none. */
  readonly value: unknown;

  constructor(init: AttestationErrorInit) {
    super({
      code: init.code,
      message: init.message,
      meta: { place: init.place, ...(init.value === undefined ? {} : { value: init.value }) },
      hint: init.hint,
      cause: init.cause,
    });
    this.place = init.place;
    this.value = init.value;
  }
}
