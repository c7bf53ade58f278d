import { fromHex, fromUtf8 } from '@cloister/crypto';
import { appraise } from './appraise.ts';
import { assertAtMost, bounds } from './bounds.ts';
import type { Claims } from './claims.ts';
import { type Collateral, readCollateral } from './collateral.ts';
import { AttestationError } from './errors.ts';
import { parseEvidence, quoteOf } from './evidenceDocument.ts';
import { JsonValue } from './json.ts';
import { type AppraisalPolicy, parsePolicy } from './policy.ts';
import { type Refusal, refusalOf } from './refusal.ts';
import { intelSgxRoot, type TrustRoot } from './roots.ts';
import type { TcbStatus } from './tcbStatus.ts';
import { verifyCollateral } from './verifyCollateral.ts';
import { verifySgxQuote } from './verifySgxQuote.ts';
import { verifyTdxQuote } from './verifyTdxQuote.ts';

export type VerifyEvidenceFileOptions = {
  /** An evidence document, or a bare quote, raw or in hexadecimal. */
  readonly evidenceBytes: Uint8Array;
  /** JSON of collateral: needed for a bare quote, and in place of a document's own where given. */
  readonly collateral?: Uint8Array;
  /** Unix seconds. */
  readonly at: number;
  /** Default: the pinned root. To name others is to accept what they sign, simulated or not, unless the policy says otherwise. */
  readonly roots?: readonly TrustRoot[];
  /** A policy, or the bytes of a policy file. */
  readonly policy?: AppraisalPolicy | Uint8Array;
};

/** What `cloister verify-evidence` prints. */
export type EvidenceResult = {
  readonly ok: boolean;
  /** Null where the evidence itself does not hold; present where only the appraisal refuses. */
  readonly teeType: Claims['teeType'] | null;
  readonly tcbStatus: TcbStatus | null;
  readonly advisories: readonly string[];
  readonly claims: Claims | null;
  readonly refusal?: Refusal;
};

/** Verifies and appraises an evidence file. Refusals are results; only defects throw. */
export async function verifyEvidenceFile(options: VerifyEvidenceFileOptions): Promise<EvidenceResult> {
  let claims: Claims | null = null;
  try {
    const roots = options.roots ?? [intelSgxRoot];
    const policy =
      options.policy instanceof Uint8Array
        ? parsePolicy(options.policy)
        : (options.policy ?? defaultPolicy(options.roots));
    const { quote, collateral } = readFiles(options.evidenceBytes, options.collateral);
    const verified = await verifyCollateral(collateral, { roots, now: options.at });
    claims = await (isSgx(quote) ? verifySgxQuote : verifyTdxQuote)(quote, verified, { now: options.at });
    const appraisal = appraise(claims, policy);
    return result(claims, appraisal.ok ? undefined : appraisal.refusal);
  } catch (error) {
    if (error instanceof AttestationError) return result(claims, refusalOf(error));
    throw error;
  }
}

/** Which verifier to ask; it reads the type itself and refuses another. */
function isSgx(quote: Uint8Array): boolean {
  return quote[4] === 0;
}

function defaultPolicy(roots: readonly TrustRoot[] | undefined): AppraisalPolicy {
  return roots === undefined ? {} : { unsafeAllowSimulated: true };
}

function result(claims: Claims | null, refusal: Refusal | undefined): EvidenceResult {
  return {
    ok: claims !== null && refusal === undefined,
    teeType: claims?.teeType ?? null,
    tcbStatus: claims?.tcbStatus ?? null,
    advisories: claims?.advisories ?? [],
    claims,
    ...(refusal === undefined ? {} : { refusal }),
  };
}

function readFiles(
  evidence: Uint8Array,
  collateralFile: Uint8Array | undefined,
): { quote: Uint8Array; collateral: Collateral } {
  const collateral = collateralFile === undefined ? undefined : readCollateralFile(collateralFile);
  if (firstCharacter(evidence) === '{') {
    const document = parseEvidence(evidence);
    return { quote: quoteOf(document), collateral: collateral ?? document.collateral };
  }
  if (collateral === undefined)
    throw new AttestationError({
      code: 'COLLATERAL_MISSING',
      place: 'collateral',
      message: 'Expected collateral beside a bare quote',
      hint: 'Pass the collateral as a file of its own, or an evidence document',
    });
  return { quote: rawQuote(evidence), collateral };
}

function readCollateralFile(bytes: Uint8Array): Collateral {
  assertAtMost(bytes.length, bounds.evidenceDocument, 'collateral');
  let text: string;
  try {
    text = fromUtf8(bytes);
  } catch (cause) {
    throw new AttestationError({
      code: 'MALFORMED_JSON',
      place: 'collateral',
      message: 'Expected the collateral in UTF-8',
      cause,
    });
  }
  return readCollateral(JsonValue.parse(text, 'collateral', 'MALFORMED_COLLATERAL').raw);
}

/** A quote begins with its version, 3 to 5 in binary; as text it is hexadecimal. */
function rawQuote(bytes: Uint8Array): Uint8Array {
  assertAtMost(bytes.length, 2 * bounds.quote + 4, 'evidence');
  if ((bytes[0] ?? 0) < 0x20) return bytes;
  const digits = decodeAscii(bytes).trim().replace(/^0x/, '');
  if (digits.length % 2 !== 0 || !/^[0-9a-fA-F]*$/.test(digits))
    throw new AttestationError({
      code: 'MALFORMED_EVIDENCE',
      place: 'evidence',
      message: 'Expected an evidence document, or a quote in binary or hexadecimal',
    });
  return fromHex(digits);
}

function decodeAscii(bytes: Uint8Array): string {
  let text = '';
  for (const byte of bytes) text += String.fromCharCode(byte);
  return text;
}

function firstCharacter(bytes: Uint8Array): string | undefined {
  for (const byte of bytes.subarray(0, 64)) if (byte > 0x20) return String.fromCharCode(byte);
  return undefined;
}
