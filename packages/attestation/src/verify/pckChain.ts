import { equalBytes, sha256 } from '@cloister/crypto';
import type { BoundedCache } from './boundedCache.ts';
import { type Certificate, parseCertificate } from './certificate.ts';
import { assertNotRevoked, assertSigningLeaf, verifyIssued, verifyRoot } from './chain.ts';
import { hexOf } from './der.ts';
import { AttestationError } from './errors.ts';
import { type PckExtension, readPckExtension } from './pckExtension.ts';
import { readPemChain } from './pem.ts';
import { assertRole } from './roles.ts';
import type { VerifiedCollateral } from './verifyCollateral.ts';

/** A platform's chain whose signatures, names, roles and constraints hold. Dates and revocation are checked at each use. */
export type PckChain = {
  readonly leaf: Certificate;
  readonly ca: Certificate;
  readonly root: Certificate;
  readonly platform: PckExtension;
};

const place = 'quote.pckChain';

/**
 * Verifies the chain in a quote up to the root of the collateral, or takes it from the cache. The cache's key covers the
 * chain's bytes and the root's key and roles; what changes with time or collateral is never cached.
 */
export async function verifyPckChain(
  pem: Uint8Array,
  collateral: VerifiedCollateral,
  cache: BoundedCache<PckChain> | undefined,
): Promise<PckChain> {
  const key = cache === undefined ? '' : `${collateral.roles}:${collateral.trustRoot.spkiSha256}:${hexOf(sha256(pem))}`;
  const known = cache?.get(key);
  const chain = known ?? (await verifyFresh(pem, collateral));
  if (known === undefined) cache?.set(key, chain);
  assertNotRevoked(chain.ca, collateral.rootCrl);
  assertCrlOfCa(chain.ca, collateral);
  assertNotRevoked(chain.leaf, collateral.pckCrl);
  return chain;
}

async function verifyFresh(pem: Uint8Array, collateral: VerifiedCollateral): Promise<PckChain> {
  const [leafDer, caDer, rootDer] = readPemChain(pem, 3, place);
  if (leafDer === undefined || caDer === undefined || rootDer === undefined)
    throw new AttestationError({
      code: 'CHAIN_LENGTH',
      place,
      message: `Expected a leaf, a PCK CA and the root at "${place}"`,
    });
  const leaf = parseCertificate(leafDer, `${place}[0]`);
  const ca = parseCertificate(caDer, `${place}[1]`);
  const root = equalBytes(rootDer, collateral.root.der) ? collateral.root : await verifyOtherRoot(rootDer, collateral);

  await verifyIssued(ca, root, 1);
  assertRole(ca, 'pckCa', collateral.roles);
  await verifyIssued(leaf, ca, 0);
  assertSigningLeaf(leaf);
  assertRole(leaf, 'pck', collateral.roles);
  return { leaf, ca, root, platform: readPckExtension(leaf) };
}

/** Another certificate of the same root key, as after a renewal. */
async function verifyOtherRoot(der: Uint8Array, collateral: VerifiedCollateral): Promise<Certificate> {
  const root = parseCertificate(der, `${place}[2]`);
  await verifyRoot(root, [collateral.trustRoot]);
  return root;
}

/** The CRL at hand must be the one of this chain's CA: Intel has two, and a list of the other says nothing. */
function assertCrlOfCa(ca: Certificate, collateral: VerifiedCollateral): void {
  const { pckCa } = collateral;
  if (equalBytes(ca.publicKey, pckCa.publicKey) && equalBytes(ca.subject, pckCa.subject)) return;
  throw new AttestationError({
    code: 'CRL_ISSUER_MISMATCH',
    place: 'collateral.pck_crl',
    value: pckCa.commonName,
    message: `Expected the PCK CRL of "${ca.commonName}", which issued the platform's certificate, got the one of "${pckCa.commonName}"`,
    hint: 'Fetch the CRL of the CA that the quote names',
  });
}
