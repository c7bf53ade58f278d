import { fromHex, fromUtf8 } from '@cloister/crypto';
import { type AppraisalContext, appraise } from './appraisal/appraise.ts';
import { type AppraisalPolicy, parsePolicy } from './appraisal/policy.ts';
import { assertAtMost, bounds } from './bounds.ts';
import { CheckList, type CheckNode, check } from './checks.ts';
import type { Claims } from './claims.ts';
import { type Collateral, readCollateral } from './dcap/collateral.ts';
import type { TcbStatus } from './dcap/tcbStatus.ts';
import { AttestationError } from './errors.ts';
import {
  type EvidenceDocument,
  evidenceDocument,
  nitroEvidenceDocument,
  parseEvidence,
  sgxEvidenceDocument,
} from './evidenceDocument.ts';
import { EvidenceVerifier } from './evidenceVerifier.ts';
import { JsonValue } from './json.ts';
import { type Refusal, refusalOf } from './refusal.ts';
import { pinnedRoots, type TrustRoot } from './roots.ts';

export type VerifyEvidenceFileOptions = {
  /** An evidence document of any type; or a bare quote, raw or in hexadecimal; or a bare Nitro document. */
  readonly evidenceBytes: Uint8Array;
  /** JSON of Intel's collateral: needed for a bare quote, and in place of a document's own where given. */
  readonly collateral?: Uint8Array;
  /** Unix seconds. */
  readonly at: number;
  /** Default: the pinned roots. To name others is to accept what they sign, simulated or not, unless the policy says otherwise. */
  readonly roots?: readonly TrustRoot[];
  /** A policy, or the bytes of a policy file. */
  readonly policy?: AppraisalPolicy | Uint8Array;
  /** What is known beside the evidence. */
  readonly context?: Omit<AppraisalContext, 'checks'>;
  /** How old a Nitro document may be, in seconds. Default: as `verifyNitroDocument`. */
  readonly nitroMaxAgeSeconds?: number | undefined;
  /** Whether the result has the tree of what was checked. Default: false. */
  readonly tree?: boolean;
};

/** What `cloister verify-evidence` prints. */
export type EvidenceResult = {
  readonly ok: boolean;
  /** Null where the evidence itself does not hold; present where only the appraisal refuses. */
  readonly teeType: Claims['teeType'] | null;
  /** Null too where the vendor gives none. */
  readonly tcbStatus: TcbStatus | null;
  readonly advisories: readonly string[];
  readonly claims: Claims | null;
  readonly refusal?: Refusal;
  /** What was checked, up to the first thing that does not hold. */
  readonly tree?: readonly CheckNode[];
};

/** Verifies and appraises an evidence file. Refusals are results; only defects throw. */
export async function verifyEvidenceFile(options: VerifyEvidenceFileOptions): Promise<EvidenceResult> {
  const checks = options.tree === true ? new CheckList() : undefined;
  let claims: Claims | null = null;
  let refusal: Refusal | undefined;
  try {
    const policy = readPolicy(options);
    const verifier = new EvidenceVerifier({
      roots: options.roots ?? pinnedRoots,
      nitroMaxAgeSeconds: options.nitroMaxAgeSeconds,
      maxCollaterals: 1,
      maxChains: 1,
    });
    const document = readFiles(options.evidenceBytes, options.collateral);
    const verified: Claims = await check(checks, 'evidence', 'The evidence verifies up to a trusted root', (inner) =>
      verifier.verify(document, options.at, inner),
    );
    claims = verified;
    check(checks, 'appraisal', 'It is acceptable under the policy', (inner) =>
      appraiseOrThrow(verified, policy, { ...options.context, checks: inner }),
    );
  } catch (error) {
    if (!(error instanceof AttestationError)) throw error;
    refusal = refusalOf(error);
  }
  return {
    ok: claims !== null && refusal === undefined,
    teeType: claims?.teeType ?? null,
    tcbStatus: claims?.tcbStatus ?? null,
    advisories: claims?.advisories ?? [],
    claims,
    ...(refusal === undefined ? {} : { refusal }),
    ...(checks === undefined ? {} : { tree: checks.nodes }),
  };
}

/** A refusal as an error, which is how the tree learns of it. */
function appraiseOrThrow(claims: Claims, policy: AppraisalPolicy, context: AppraisalContext): void {
  const appraisal = appraise(claims, policy, context);
  if (!appraisal.ok) throw new AttestationError(appraisal.refusal);
}

/** To name roots is to accept what they sign, simulated or not. */
function readPolicy({ policy, roots }: VerifyEvidenceFileOptions): AppraisalPolicy {
  if (policy instanceof Uint8Array) return parsePolicy(policy);
  return policy ?? (roots === undefined ? {} : { unsafeAllowSimulated: true });
}

/** The lowest byte of the TEE type in a quote's header: 0 is SGX. The verifier reads it strictly and refuses another. */
const teeTypeAt = 4;
/** How a COSE_Sign1 begins: an array of 4, with or without its tag. */
const coseHeads = [0x84, 0xd2];

function readFiles(evidence: Uint8Array, collateralFile: Uint8Array | undefined): EvidenceDocument {
  const collateral = collateralFile === undefined ? undefined : readCollateralFile(collateralFile);
  if (firstCharacter(evidence) === '{') {
    const document = parseEvidence(evidence);
    if (collateral === undefined) return document;
    if ('collateral' in document) return { ...document, collateral };
    throw noCollateral(document.teeType);
  }
  if (coseHeads.includes(evidence[0] ?? 0)) {
    assertAtMost(evidence.length, bounds.nitroDocument, 'evidence');
    if (collateral !== undefined) throw noCollateral('nitro');
    return nitroEvidenceDocument(evidence);
  }
  if (collateral === undefined)
    throw new AttestationError({
      code: 'COLLATERAL_MISSING',
      place: 'collateral',
      message: 'Expected collateral beside a bare quote',
      hint: 'Pass the collateral as a file of its own, or an evidence document',
    });
  const quote = rawQuote(evidence);
  return quote[teeTypeAt] === 0 ? sgxEvidenceDocument(quote, collateral) : evidenceDocument(quote, collateral);
}

/** Passing it over in silence would let somebody believe that it was used. */
function noCollateral(teeType: string): AttestationError {
  return new AttestationError({
    code: 'TEE_TYPE_MISMATCH',
    place: 'collateral',
    value: teeType,
    message: `Expected collateral beside a quote of Intel's only, got evidence of "${teeType}"`,
  });
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
