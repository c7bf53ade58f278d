import { JsonValue } from '../json.ts';
import type { Validity } from '../x509/times.ts';
import { assertExactly, readSvnLevels, readValidity, type SvnLevel } from './tcbInfo.ts';

/** Intel's identity of the quoting enclave, version 2. */
export type QeIdentity = {
  readonly id: 'TD_QE' | 'QE';
  readonly validity: Validity;
  readonly tcbEvaluationDataNumber: number;
  /** 4 bytes each, in the byte order of the report. */
  readonly miscSelect: Uint8Array;
  readonly miscSelectMask: Uint8Array;
  /** 16 bytes each. */
  readonly attributes: Uint8Array;
  readonly attributesMask: Uint8Array;
  /** 32 bytes. */
  readonly mrSigner: Uint8Array;
  readonly isvProdId: number;
  readonly levels: readonly SvnLevel[];
};

/** Reads a QE identity whose signature has been verified. Throws MALFORMED_COLLATERAL, UNSUPPORTED_COLLATERAL. */
export function parseQeIdentity(text: string, path: string): QeIdentity {
  const json = JsonValue.parse(text, path, 'MALFORMED_COLLATERAL');
  const id = json.member('id').oneOf(['TD_QE', 'QE']);
  assertExactly(json.member('version'), 2);
  return {
    id,
    validity: readValidity(json),
    tcbEvaluationDataNumber: json.member('tcbEvaluationDataNumber').integer(0xffffffff),
    miscSelect: json.member('miscselect').bytes(4),
    miscSelectMask: json.member('miscselectMask').bytes(4),
    attributes: json.member('attributes').bytes(16),
    attributesMask: json.member('attributesMask').bytes(16),
    mrSigner: json.member('mrsigner').bytes(32),
    isvProdId: json.member('isvprodid').integer(0xffff),
    levels: readSvnLevels(json.member('tcbLevels')),
  };
}
