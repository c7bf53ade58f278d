import type { Hex } from '@cloister/core';
import { equalBytes, fromHex, toHex, utf8 } from '@cloister/crypto';
import { type Collateral, readCollateral } from '../verify/dcap/collateral.ts';
import { AttestationError } from '../verify/errors.ts';
import { readPemChain } from '../verify/x509/pem.ts';

/** One call to the contract CollateralStore. */
export type CollateralSubmission =
  | { readonly what: 'root-crl' | 'pck-ca' | 'tcb-signer' | 'pck-crl'; readonly der: Hex }
  /** The exact bytes that were signed, and the two halves of the signature. */
  | { readonly what: 'tcb-info' | 'qe-identity'; readonly json: Hex; readonly r: Hex; readonly s: Hex };

/**
 * What collateral is to the chain, in the order in which the contract can check it: each is signed by what stands before
 * it. Reads forms only; the contract checks every signature. Throws AttestationError.
 */
export function collateralSubmissions(untrusted: Collateral): readonly CollateralSubmission[] {
  const collateral = readCollateral(untrusted);
  const pckCa = signerOf(collateral, 'pck_crl_issuer_chain');
  const tcbSigner = signerOf(collateral, 'tcb_info_issuer_chain');
  const qeSigner = signerOf(collateral, 'qe_identity_issuer_chain');
  const identity = statement(collateral, 'qe_identity');
  return [
    { what: 'root-crl', der: hexOf(collateral, 'root_ca_crl') },
    { what: 'pck-ca', der: toHex(pckCa) },
    { what: 'pck-crl', der: hexOf(collateral, 'pck_crl') },
    { what: 'tcb-signer', der: toHex(tcbSigner) },
    statement(collateral, 'tcb_info'),
    // Statements must be signed by the signer submitted last. Intel has one for both.
    ...(equalBytes(tcbSigner, qeSigner) ? [] : [{ what: 'tcb-signer', der: toHex(qeSigner) } as const]),
    identity,
  ];
}

/** The certificate at the front of an issuer chain; the root behind it is the contract's own. */
function signerOf(collateral: Collateral, key: keyof Collateral): Uint8Array {
  const place = `collateral.${key}`;
  const [signer, root] = readPemChain(collateral[key], 2, place);
  if (signer === undefined || root === undefined)
    throw new AttestationError({
      code: 'CHAIN_LENGTH',
      place,
      message: `Expected a signer and the root at "${place}"`,
    });
  return signer;
}

function statement(collateral: Collateral, key: 'tcb_info' | 'qe_identity'): CollateralSubmission {
  const signature = hexOf(collateral, `${key}_signature`);
  const place = `collateral.${key}_signature`;
  if (signature.length !== 2 + 2 * 64)
    throw new AttestationError({
      code: 'MALFORMED_HEX',
      place,
      value: signature.length,
      message: `Expected a signature of 64 bytes at "${place}"`,
    });
  return {
    what: key === 'tcb_info' ? 'tcb-info' : 'qe-identity',
    json: toHex(utf8(collateral[key])),
    r: `0x${signature.slice(2, 66)}`,
    s: `0x${signature.slice(66)}`,
  };
}

function hexOf(collateral: Collateral, key: keyof Collateral): Hex {
  const text = collateral[key];
  if (text.length % 2 !== 0 || !/^[0-9a-fA-F]*$/.test(text))
    throw new AttestationError({
      code: 'MALFORMED_HEX',
      place: `collateral.${key}`,
      message: `Expected bytes in hexadecimal at "collateral.${key}"`,
    });
  return toHex(fromHex(text));
}
