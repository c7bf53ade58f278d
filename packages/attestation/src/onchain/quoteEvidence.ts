import type { Hex } from '@cloister/core';
import { concatBytes, toHex } from '@cloister/crypto';
import { parseQuote, type Quote } from '../verify/dcap/quote.ts';
import { AttestationError } from '../verify/errors.ts';
import { platformOfQuote } from './platformOfQuote.ts';

/** The first byte of evidence as the contracts TdxVerifier and SgxVerifier read it (IQuoteVerifier.sol). */
const forms = { full: 1, remember: 2, knownKey: 3 } as const;

/** Where an enclave's report has what a known key's evidence repeats (Intel SDM vol. 3D, table 38-21). */
const report = { miscSelect: 16, attributes: 48, mrSigner: 128, isvProdId: 256 } as const;

/**
 * A quote for the chain: what its signatures cover, and the signatures. The certificates stay behind: the chain knows the
 * platform already (`platformOfQuote`). Throws AttestationError for what is no quote.
 */
export function fullEvidence(quote: Uint8Array): Hex {
  return toHex(everything(forms.full, parseQuote(quote), quote));
}

/** {@link fullEvidence} that asks the chain to remember the attestation key for {@link knownKeyEvidence}: dearer once. */
export function rememberingEvidence(quote: Uint8Array): Hex {
  return toHex(everything(forms.remember, parseQuote(quote), quote));
}

/** A quote by an attestation key that the chain remembers: one signature is left to check. */
export function knownKeyEvidence(quote: Uint8Array): Hex {
  const { signature, attestationKey, qeReport, signedPart } = parseQuote(quote);
  const { platformKey } = platformOfQuote(quote);
  const of = (offset: number, length: number) => qeReport.bytes.subarray(offset, offset + length);
  return toHex(
    concatBytes(
      Uint8Array.of(forms.knownKey),
      platformKey,
      signature,
      attestationKey,
      of(report.mrSigner, 32),
      of(report.attributes, 16),
      of(report.miscSelect, 4),
      // ISVPRODID and ISVSVN stand side by side.
      of(report.isvProdId, 4),
      signedPart,
    ),
  );
}

function everything(form: number, parsed: Quote, quote: Uint8Array): Uint8Array {
  const { signature, attestationKey, qeReport, qeReportSignature, qeAuthData, signedPart } = parsed;
  if (qeAuthData.length > 0xffff)
    throw new AttestationError({
      code: 'MALFORMED_QUOTE',
      place: 'quote.qeAuthData',
      value: qeAuthData.length,
      message: 'Expected at most 65535 bytes of QE authentication data',
    });
  return concatBytes(
    Uint8Array.of(form),
    platformOfQuote(quote).publicKey,
    signature,
    qeReport.bytes,
    qeReportSignature,
    Uint8Array.of(qeAuthData.length >> 8, qeAuthData.length & 0xff),
    attestationKey,
    qeAuthData,
    signedPart,
  );
}
