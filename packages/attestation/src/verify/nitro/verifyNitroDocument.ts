import { type Hex, nitroImageId } from '@cloister/core';
import { toHex } from '@cloister/crypto';
import { type CheckList, check } from '../checks.ts';
import type { NitroClaims } from '../claims.ts';
import { AttestationError } from '../errors.ts';
import { assertRoots, devPrefix, rolesOf, type TrustRoot } from '../roots.ts';
import { type Certificate, parseCertificate } from '../x509/certificate.ts';
import { assertSigningLeaf, verifyIssued, verifyRoot } from '../x509/chain.ts';
import { awsProfile } from '../x509/profile.ts';
import { verifySignature } from '../x509/signature.ts';
import { assertUnixTime, assertValidAt, isoTime } from '../x509/times.ts';
import { type AttestationDocument, parseAttestationDocument } from './attestationDocument.ts';

export type VerifyNitroOptions = {
  /** Root keys that the caller trusts, all real or all simulated. */
  readonly roots: readonly TrustRoot[];
  /** Unix seconds. */
  readonly now: number;
  /**
   * How old a document may be, in seconds. Its certificates live for hours, and AWS's revocation lists don't come with it, so
   * age stands in for them. Default: 3 hours, the life of a leaf.
   */
  readonly maxAgeSeconds?: number | undefined;
  /** Takes down what is checked. */
  readonly checks?: CheckList | undefined;
};

const defaultMaxAgeSeconds = 3 * 3600;
/** How far AWS's clock may be ahead of the verifier's. */
const maxAheadSeconds = 300;
const rootName = 'aws.nitro-enclaves';

/**
 * Verifies a Nitro attestation document: the chain in it up to a trusted root, each link by key, name and constraints and
 * valid when the document was signed; the leaf issued to the module that the document names; the signature; that the document
 * is recent. What it returns is true of the enclave; whether that is acceptable is for `appraise`, which must follow.
 * Throws AttestationError.
 */
export async function verifyNitroDocument(bytes: Uint8Array, options: VerifyNitroOptions): Promise<NitroClaims> {
  const { roots, now, maxAgeSeconds = defaultMaxAgeSeconds, checks } = options;
  assertRoots(roots);
  assertUnixTime(now);
  assertUnixTime(maxAgeSeconds);
  const { document, chain, root, leaf } = check(checks, 'form', 'Document and certificates have their form', () => {
    const parsed = parseAttestationDocument(bytes);
    return { document: parsed, ...readChain(parsed.payload) };
  });
  const { payload, signedPart, signature } = document;
  const signedAt = Math.floor(payload.timestampMs / 1000);

  const trustRoot = await check(checks, 'root', "The chain's root is trusted", async (inner) => {
    const trusted = await verifyRoot(root, roots, 'aws');
    assertRootName(root, rolesOf(trusted) === 'dev');
    inner?.note(`${root.commonName}, key ${trusted.spkiSha256}${trusted.simulated ? ', SIMULATED' : ''}`);
    return trusted;
  });
  await check(checks, 'chain', 'Each certificate is issued by the one above it', async (inner) => {
    for (const [index, certificate] of chain.entries()) {
      const issuer = chain[index - 1];
      if (issuer !== undefined) await verifyIssued(certificate, issuer, chain.length - 1 - index);
    }
    inner?.note(chain.map(({ commonName }) => commonName).join(' ← '));
  });
  check(checks, 'leaf', 'The leaf is issued to the module that the document names', (inner) => {
    assertSigningLeaf(leaf);
    assertModule(leaf, payload, rolesOf(trustRoot) === 'dev');
    inner?.note(payload.moduleId);
  });
  check(checks, 'dates', 'All were valid when the document was signed', (inner) => {
    const validities = chain.map(({ validity }) => validity);
    assertValidAt(validities, signedAt);
    inner?.note(`at ${isoTime(signedAt)}`);
  });
  await check(checks, 'signature', 'The leaf signed the document', () =>
    verifySignature(leaf.publicKey, 'ecdsa-sha384', signedPart, signature, 'document'),
  );
  check(checks, 'age', 'The document is recent', () => assertRecent(signedAt, now, maxAgeSeconds));
  return claimsOf(
    payload,
    trustRoot.simulated,
    signedAt,
    now,
    Math.min(signedAt + maxAgeSeconds, root.validity.notAfter),
  );
}

/** The bundle from the root on, with the leaf at its end. */
function readChain({ caBundle, certificate }: AttestationDocument): {
  readonly chain: readonly Certificate[];
  readonly root: Certificate;
  readonly leaf: Certificate;
} {
  const chain = caBundle.map((der, index) => parseCertificate(der, `document.cabundle[${index}]`, awsProfile));
  const [root] = chain;
  if (root === undefined)
    throw new AttestationError({
      code: 'CHAIN_LENGTH',
      place: 'document.cabundle',
      message: 'Expected the root and what it issued at "document.cabundle"',
    });
  const leaf = parseCertificate(certificate, 'document.certificate', awsProfile);
  return { chain: [...chain, leaf], root, leaf };
}

function assertRootName({ place, commonName }: Certificate, isDev: boolean): void {
  const expected = isDev ? devPrefix + rootName : rootName;
  if (commonName === expected) return;
  throw wrongRole(place, expected, commonName);
}

/** A leaf is of one enclave: `i-0827e799ec9232d44-enc019b5640fdf630d6.us-east-1.aws` of the module of the same name. */
function assertModule({ place, commonName }: Certificate, { moduleId }: AttestationDocument, isDev: boolean): void {
  const expected = `${isDev ? devPrefix : ''}${moduleId}.`;
  if (commonName.startsWith(expected)) return;
  throw wrongRole(place, `${expected}…`, commonName);
}

function wrongRole(place: string, expected: string, got: string): AttestationError {
  return new AttestationError({
    code: 'WRONG_ROLE',
    place,
    value: got,
    message: `Expected "${place}" to be issued to "${expected}", got "${got}"`,
  });
}

function assertRecent(signedAt: number, now: number, maxAgeSeconds: number): void {
  const place = 'document.payload.timestamp';
  if (signedAt > now + maxAheadSeconds)
    throw new AttestationError({
      code: 'FROM_THE_FUTURE',
      place,
      value: signedAt,
      message: `Expected a document signed by "${isoTime(now)}", got one of "${isoTime(signedAt)}"`,
      hint: 'Check the clock',
    });
  if (signedAt + maxAgeSeconds < now)
    throw new AttestationError({
      code: 'TOO_OLD',
      place,
      value: signedAt,
      message: `Expected a document of at most ${maxAgeSeconds} s of age at "${isoTime(now)}", got one of "${isoTime(signedAt)}"`,
      hint: 'Get fresh evidence',
    });
}

function claimsOf(
  payload: AttestationDocument,
  simulated: boolean,
  signedAt: number,
  verifiedAt: number,
  notAfter: number,
): NitroClaims {
  const { pcrs, userData, nonce, publicKey } = payload;
  const pcr = (index: number): Uint8Array => pcrs.get(index) ?? new Uint8Array(48);
  const used = [...pcrs].filter(([, value]) => value.some((byte) => byte !== 0));
  const hexOrNull = (bytes: Uint8Array | null): Hex | null => (bytes === null ? null : toHex(bytes));
  return {
    teeType: 'nitro',
    simulated,
    tcbStatus: null,
    advisories: [],
    platformId: null,
    // AWS: the registers of an enclave in debug mode are all zero.
    debug: pcr(0).every((byte) => byte === 0),
    moduleId: payload.moduleId,
    signedAt,
    pcrs: Object.fromEntries(used.map(([index, value]) => [String(index), toHex(value)])),
    userData: hexOrNull(userData),
    nonce: hexOrNull(nonce),
    publicKey: hexOrNull(publicKey),
    reportData: userData?.length === 64 ? toHex(userData) : null,
    imageId: nitroImageId(pcr(0), pcr(1), pcr(2)),
    configId: null,
    verifiedAt,
    notAfter,
  };
}
