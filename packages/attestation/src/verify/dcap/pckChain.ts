import { equalBytes, sha256 } from '@cloister/crypto';
import type { BoundedCache } from '../boundedCache.ts';
import { type CheckList, check } from '../checks.ts';
import { AttestationError } from '../errors.ts';
import { type Certificate, parseCertificate } from '../x509/certificate.ts';
import { assertNotRevoked, assertSigningLeaf, verifyIssued, verifyRoot } from '../x509/chain.ts';
import { hexOf } from '../x509/der.ts';
import { readPemChain } from '../x509/pem.ts';
import { type PckExtension, readPckExtension } from './pckExtension.ts';
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
  checks?: CheckList,
): Promise<PckChain> {
  const key = cache === undefined ? '' : `${collateral.roles}:${collateral.trustRoot.spkiSha256}:${hexOf(sha256(pem))}`;
  const known = cache?.get(key);
  if (known !== undefined) checks?.note('verified before: the same bytes, under the same root');
  const chain = known ?? (await verifyFresh(pem, collateral, checks));
  if (known === undefined) cache?.set(key, chain);
  check(checks, 'revocation', 'Neither CA nor platform is revoked, by the lists of their own issuers', () => {
    assertNotRevoked(chain.ca, collateral.rootCrl);
    assertCrlOfCa(chain.ca, collateral);
    assertNotRevoked(chain.leaf, collateral.pckCrl);
  });
  return chain;
}

async function verifyFresh(
  pem: Uint8Array,
  collateral: VerifiedCollateral,
  checks: CheckList | undefined,
): Promise<PckChain> {
  const { leaf, ca, rootDer } = check(checks, 'form', 'A leaf, a PCK CA and the root', () => readChain(pem));
  const root = await check(checks, 'root', 'The root is that of the collateral', () =>
    equalBytes(rootDer, collateral.root.der) ? collateral.root : verifyOtherRoot(rootDer, collateral),
  );
  await check(checks, 'ca', 'The root issued the PCK CA', async (inner) => {
    await verifyIssued(ca, root, 1);
    assertRole(ca, 'pckCa', collateral.roles);
    inner?.note(ca.commonName);
  });
  return check(checks, 'leaf', "That CA issued the platform's certificate", async () => {
    await verifyIssued(leaf, ca, 0);
    assertSigningLeaf(leaf);
    assertRole(leaf, 'pck', collateral.roles);
    return { leaf, ca, root, platform: readPckExtension(leaf) };
  });
}

function readChain(pem: Uint8Array): {
  readonly leaf: Certificate;
  readonly ca: Certificate;
  readonly rootDer: Uint8Array;
} {
  const [leafDer, caDer, rootDer] = readPemChain(pem, 3, place);
  if (leafDer === undefined || caDer === undefined || rootDer === undefined)
    throw new AttestationError({
      code: 'CHAIN_LENGTH',
      place,
      message: `Expected a leaf, a PCK CA and the root at "${place}"`,
    });
  return { leaf: parseCertificate(leafDer, `${place}[0]`), ca: parseCertificate(caDer, `${place}[1]`), rootDer };
}

/** Another certificate of the same root key, as after a renewal. */
async function verifyOtherRoot(der: Uint8Array, collateral: VerifiedCollateral): Promise<Certificate> {
  const root = parseCertificate(der, `${place}[2]`);
  await verifyRoot(root, [collateral.trustRoot], 'intel');
  return root;
}

/** The CRL at hand must be the one of this chain's CA: Intel has two, and a list of the other says nothing. */
function assertCrlOfCa(ca: Certificate, collateral: VerifiedCollateral): void {
  const { pckCa } = collateral;
  if (equalBytes(ca.spki, pckCa.spki) && equalBytes(ca.subject, pckCa.subject)) return;
  throw new AttestationError({
    code: 'CRL_ISSUER_MISMATCH',
    place: 'collateral.pck_crl',
    value: pckCa.commonName,
    message: `Expected the PCK CRL of "${ca.commonName}", which issued the platform's certificate, got the one of "${pckCa.commonName}"`,
    hint: 'Fetch the CRL of the CA that the quote names',
  });
}
