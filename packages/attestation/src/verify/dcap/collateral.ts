import { assertAtMost, bounds } from '../bounds.ts';
import { AttestationError } from '../errors.ts';
import { JsonValue } from '../json.ts';

/**
 * What stands beside a quote: Intel's signed statements and the certificates that lead to them. Keys and forms are those
 * that PCCS clients exchange. Untrusted until `verifyCollateral`.
 */
export type Collateral = {
  /** PEM: the PCK CA, the root. */
  readonly pck_crl_issuer_chain: string;
  /** DER in hexadecimal. */
  readonly root_ca_crl: string;
  readonly pck_crl: string;
  /** PEM: the TCB signer, the root. */
  readonly tcb_info_issuer_chain: string;
  /** JSON exactly as signed. */
  readonly tcb_info: string;
  /** r ‖ s in hexadecimal. */
  readonly tcb_info_signature: string;
  readonly qe_identity_issuer_chain: string;
  readonly qe_identity: string;
  readonly qe_identity_signature: string;
};

const limits: Readonly<Record<keyof Collateral, number>> = {
  pck_crl_issuer_chain: bounds.certificateChain,
  root_ca_crl: 2 * bounds.crl,
  pck_crl: 2 * bounds.crl,
  tcb_info_issuer_chain: bounds.certificateChain,
  tcb_info: bounds.signedJson,
  tcb_info_signature: 128,
  qe_identity_issuer_chain: bounds.certificateChain,
  qe_identity: bounds.signedJson,
  qe_identity_signature: 128,
};

export const collateralKeys = Object.keys(limits) as readonly (keyof Collateral)[];

/**
 * Some services add the platform's own chain here. It is allowed and never read: a quote is verified by the chain that it
 * carries, or anyone who hands over collateral could replace it.
 */
const ignoredKey = 'pck_certificate_chain';

/** Reads the form of collateral: every part present, text, bounded, nothing unknown. Throws COLLATERAL_MISSING, MALFORMED_COLLATERAL, TOO_LARGE. */
export function readCollateral(json: unknown, path = 'collateral'): Collateral {
  const object = new JsonValue(json, path, 'MALFORMED_COLLATERAL').onlyMembers([...collateralKeys, ignoredKey]);
  const read: Partial<Record<keyof Collateral, string>> = {};
  for (const key of collateralKeys) {
    const member = object.member(key);
    if (member.absent)
      throw new AttestationError({
        code: 'COLLATERAL_MISSING',
        place: member.path,
        message: `Expected "${key}" in the collateral`,
        hint: 'A verifier never takes a missing revocation list for an empty one',
      });
    const text = member.text(Number.MAX_SAFE_INTEGER);
    assertAtMost(text.length, limits[key], member.path);
    if (text === '')
      throw new AttestationError({
        code: 'COLLATERAL_MISSING',
        place: member.path,
        message: `Expected "${key}" not to be empty`,
      });
    if (!text.isWellFormed()) throw member.fail('Expected well-formed text');
    read[key] = text;
  }
  return read as Collateral;
}
