import { assertAtMost, bounds } from '../bounds.ts';
import { type CheckList, check } from '../checks.ts';
import { AttestationError } from '../errors.ts';
import { assertRoots, devPrefix, rolesOf, type TrustRoot } from '../roots.ts';
import { type Certificate, parseCertificate } from '../x509/certificate.ts';
import { assertNotRevoked, assertSigningLeaf, verifyCrl, verifyIssued, verifyRoot } from '../x509/chain.ts';
import { parseCrl } from '../x509/crl.ts';
import { amdProfile } from '../x509/profile.ts';
import type { PublicKey } from '../x509/publicKey.ts';
import { assertUnixTime, assertValidAt, isoTime, type Validity } from '../x509/times.ts';
import { type EndorsementExtensions, readEndorsementExtensions } from './endorsementExtensions.ts';
import { type SnpProduct, snpProducts } from './product.ts';

/** DER, as they come with a report. */
export type SnpCertificates = {
  /** VCEK or VLEK. */
  readonly leaf: Uint8Array;
  /** ASK, or ASVK above a VLEK. */
  readonly intermediate: Uint8Array;
  /** ARK. */
  readonly root: Uint8Array;
  /** The ARK's revocation list. */
  readonly crl: Uint8Array;
};

export type VerifySnpKeyOptions = {
  /** Root keys that the caller trusts, all real or all simulated. */
  readonly roots: readonly TrustRoot[];
  /** Unix seconds. */
  readonly now: number;
  /** Takes down what is checked. */
  readonly checks?: CheckList | undefined;
};

/** A key that signs reports, whose certificates hold. Good for any number of reports; `validities` must hold again at each use. */
export type VerifiedSnpKey = EndorsementExtensions & {
  readonly product: SnpProduct;
  readonly signer: 'vcek' | 'vlek';
  readonly publicKey: PublicKey;
  readonly trustRoot: TrustRoot;
  readonly validities: readonly Validity[];
  /** Unix seconds: the earliest end of them. */
  readonly notAfter: number;
};

const place = {
  leaf: 'certificates.leaf',
  intermediate: 'certificates.intermediate',
  root: 'certificates.root',
  crl: 'crl',
};

/**
 * Verifies the certificates of the key that signed a report, in the order of trust: ARK (its key is trusted, it signs itself),
 * its revocation list, ASK or ASVK, VCEK or VLEK, each by key, exact name, role and constraints; valid at `now`.
 * Throws AttestationError.
 */
export async function verifySnpKey(parts: SnpCertificates, options: VerifySnpKeyOptions): Promise<VerifiedSnpKey> {
  const { roots, now, checks } = options;
  assertRoots(roots);
  assertUnixTime(now);
  const { ark, ask, leaf, crl } = check(checks, 'form', 'Certificates and revocation list have their form', () => ({
    ark: readCertificate(parts.root, place.root),
    ask: readCertificate(parts.intermediate, place.intermediate),
    leaf: readCertificate(parts.leaf, place.leaf),
    crl: parseCrl(parts.crl, place.crl, amdProfile),
  }));
  const { trustRoot, prefix, product } = await check(checks, 'root', 'The ARK is a trusted root', async (inner) => {
    const trusted = await verifyRoot(ark, roots, 'amd');
    const names = rolesOf(trusted) === 'dev' ? devPrefix : '';
    const found = snpProducts.find((candidate) => ark.commonName === `${names}ARK-${candidate}`);
    if (found === undefined)
      throw wrongRole(
        ark,
        snpProducts.map((candidate) => `${names}ARK-${candidate}`),
      );
    inner?.note(`${ark.commonName}, key ${trusted.spkiSha256}${trusted.simulated ? ', SIMULATED' : ''}`);
    return { trustRoot: trusted, prefix: names, product: found };
  });
  await check(checks, 'crl', 'The ARK signed its revocation list', (inner) => {
    inner?.note(`${crl.revoked.size} revoked`);
    return verifyCrl(crl, ark);
  });
  const signer = await check(checks, 'ask', 'It issued the ASK or ASVK, for this role', async (inner) => {
    await verifyIssued(ask, ark, 1);
    const isVlek = ask.commonName === `${prefix}SEV-VLEK-${product}`;
    if (!isVlek) assertName(ask, `${prefix}SEV-${product}`);
    inner?.note(ask.commonName);
    return isVlek ? 'vlek' : 'vcek';
  });
  const extensions = await check(checks, 'leaf', 'That issued the VCEK or VLEK, of this product', async (inner) => {
    await verifyIssued(leaf, ask, 0);
    assertSigningLeaf(leaf);
    assertName(leaf, `${prefix}SEV-${signer === 'vlek' ? 'VLEK' : 'VCEK'}`);
    const read = readEndorsementExtensions(leaf, product, signer);
    assertProduct(read.productName, product);
    inner?.note(read.cspId === undefined ? read.productName : `${read.productName}, for "${read.cspId}"`);
    return read;
  });
  check(checks, 'revocation', 'Neither is revoked', () => {
    // AMD's list is of what the ARK issued. A chip's certificate has no serial number of its own, but one on the list is refused.
    assertNotRevoked(ask, crl);
    assertNotRevoked(leaf, crl);
  });
  const validities = [ark.validity, ask.validity, leaf.validity, crl.validity];
  const notAfter = Math.min(...validities.map((validity) => validity.notAfter));
  check(checks, 'dates', 'Certificates and list are valid now', (inner) => {
    assertValidAt(validities, now);
    inner?.note(`at ${isoTime(now)}, until ${isoTime(notAfter)}`);
  });
  return { ...extensions, product, signer, publicKey: leaf.publicKey, trustRoot, validities, notAfter };
}

function readCertificate(der: Uint8Array, at: string): Certificate {
  assertAtMost(der.length, bounds.certificate, at);
  return parseCertificate(der, at, amdProfile);
}

function assertName(certificate: Certificate, expected: string): void {
  if (certificate.commonName !== expected) throw wrongRole(certificate, [expected]);
}

/** The name in a certificate is that of the line, alone or with a stepping: `Milan-B0`. */
function assertProduct(productName: string, product: SnpProduct): void {
  if (productName === product || productName.startsWith(`${product}-`)) return;
  throw new AttestationError({
    code: 'PRODUCT_MISMATCH',
    place: `${place.leaf}.productName`,
    value: productName,
    message: `Expected a key of "${product}", as its chain is, got "${productName}"`,
  });
}

function wrongRole({ place: at, commonName }: Certificate, names: readonly string[]): AttestationError {
  return new AttestationError({
    code: 'WRONG_ROLE',
    place: at,
    value: commonName,
    message: `Expected "${at}" to be issued to "${names.join('" or "')}", got "${commonName}"`,
  });
}
