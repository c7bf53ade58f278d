import { equalBytes, fromHex, utf8 } from '@cloister/crypto';
import { type CheckList, check } from '../checks.ts';
import { AttestationError } from '../errors.ts';
import { assertRoots, type RoleTableName, rolesOf, type TrustRoot } from '../roots.ts';
import { type Certificate, parseCertificate } from '../x509/certificate.ts';
import { assertNotRevoked, assertSigningLeaf, verifyCrl, verifyIssued, verifyRoot } from '../x509/chain.ts';

import { type Crl, parseCrl } from '../x509/crl.ts';
import { readPemChain } from '../x509/pem.ts';
import { verifySignature } from '../x509/signature.ts';
import { assertUnixTime, assertValidAt, isoTime, type Validity } from '../x509/times.ts';
import { type Collateral, readCollateral } from './collateral.ts';
import { parseQeIdentity, type QeIdentity } from './qeIdentity.ts';
import { assertRole, type Role } from './roles.ts';
import { parseTcbInfo, type TcbInfo } from './tcbInfo.ts';

export type VerifyCollateralOptions = {
  /** Root keys that the caller trusts, all real or all simulated. */
  readonly roots: readonly TrustRoot[];
  /** Unix seconds. */
  readonly now: number;
  /** Takes down what is checked. */
  readonly checks?: CheckList | undefined;
};

/**
 * Collateral whose every signature holds. Good for any number of quotes; `validities` must hold again at each use, which
 * `verifyTdxQuote` sees to.
 */
export type VerifiedCollateral = {
  readonly root: Certificate;
  readonly trustRoot: TrustRoot;
  readonly roots: readonly TrustRoot[];
  readonly roles: RoleTableName;
  /** The CA that signs `pckCrl`; PCK certificates must come from it. */
  readonly pckCa: Certificate;
  readonly pckCrl: Crl;
  readonly rootCrl: Crl;
  readonly tcbInfo: TcbInfo;
  readonly qeIdentity: QeIdentity;
  /** Everything that expires. */
  readonly validities: readonly Validity[];
  /** Unix seconds: the earliest end of them. */
  readonly notAfter: number;
};

/**
 * Verifies collateral up to the given roots: both signer chains, both CRLs, both signed documents, in the order of trust.
 * Everything is checked by its issuer's key, name, role and constraints, and is valid at `now`. Throws AttestationError.
 */
export async function verifyCollateral(
  collateral: Collateral,
  options: VerifyCollateralOptions,
): Promise<VerifiedCollateral> {
  const { roots, now, checks } = options;
  assertRoots(roots);
  assertUnixTime(now);
  const parts = readCollateral(collateral);
  const { tcbChain, qeChain, pckChain, rootCrl, pckCrl } = check(
    checks,
    'form',
    'Chains and lists have their form',
    () => ({
      tcbChain: readIssuerChain(parts.tcb_info_issuer_chain, 'collateral.tcb_info_issuer_chain'),
      qeChain: readIssuerChain(parts.qe_identity_issuer_chain, 'collateral.qe_identity_issuer_chain'),
      pckChain: readIssuerChain(parts.pck_crl_issuer_chain, 'collateral.pck_crl_issuer_chain'),
      rootCrl: parseCrl(readHex(parts.root_ca_crl, 'collateral.root_ca_crl'), 'collateral.root_ca_crl'),
      pckCrl: parseCrl(readHex(parts.pck_crl, 'collateral.pck_crl'), 'collateral.pck_crl'),
    }),
  );

  const root = tcbChain.root;
  const { trustRoot, roles } = await check(checks, 'root', 'All chains end in one trusted root', async (inner) => {
    const trusted = await verifyRoot(root, roots, 'intel');
    const names = rolesOf(trusted);
    for (const other of [qeChain.root, pckChain.root]) await assertSameRoot(other, root, roots);
    // A simulated root that follows Intel's names has a name of its own; its key is what is trusted.
    if (names === 'dev' || !trusted.simulated) assertRole(root, 'root', names);
    inner?.note(`${root.commonName}, key ${trusted.spkiSha256}${trusted.simulated ? ', SIMULATED' : ''}`);
    return { trustRoot: trusted, roles: names };
  });
  await check(checks, 'root-crl', 'The root signed its revocation list', () => verifyCrl(rootCrl, root));
  await check(checks, 'signers', "Intel's signers are issued by the root, for this role, and not revoked", async () => {
    await verifySigner(tcbChain.signer, root, rootCrl, 'tcbSigning', roles);
    if (!equalBytes(qeChain.signer.der, tcbChain.signer.der))
      await verifySigner(qeChain.signer, root, rootCrl, 'tcbSigning', roles);
  });
  await check(checks, 'pck-ca', 'The PCK CA is issued by the root, for this role, and not revoked', async (inner) => {
    await verifyIssued(pckChain.signer, root, 1);
    assertRole(pckChain.signer, 'pckCa', roles);
    assertNotRevoked(pckChain.signer, rootCrl);
    inner?.note(pckChain.signer.commonName);
  });
  await check(checks, 'pck-crl', 'It signed its revocation list', (inner) => {
    inner?.note(`${pckCrl.revoked.size} revoked`);
    return verifyCrl(pckCrl, pckChain.signer);
  });

  const tcbInfo = await check(checks, 'tcb-info', 'The TCB info is signed and has its form', async (inner) => {
    await verifyDocument(parts.tcb_info, parts.tcb_info_signature, tcbChain.signer, 'collateral.tcb_info');
    const info = parseTcbInfo(parts.tcb_info, 'collateral.tcb_info');
    inner?.note(`${info.id} of ${info.fmspc}, evaluation data number ${info.tcbEvaluationDataNumber}`);
    return info;
  });
  const qeIdentity = await check(checks, 'qe-identity', 'The QE identity is signed and has its form', async (inner) => {
    await verifyDocument(parts.qe_identity, parts.qe_identity_signature, qeChain.signer, 'collateral.qe_identity');
    const identity = parseQeIdentity(parts.qe_identity, 'collateral.qe_identity');
    inner?.note(`${identity.id}, evaluation data number ${identity.tcbEvaluationDataNumber}`);
    return identity;
  });
  check(checks, 'tee-type', 'Both are of one type of TEE', () => assertSameTee(tcbInfo, qeIdentity));

  const validities = [
    tcbInfo.validity,
    qeIdentity.validity,
    rootCrl.validity,
    pckCrl.validity,
    ...[tcbChain, qeChain, pckChain].flatMap((chain) => [chain.signer.validity, chain.root.validity]),
  ];
  const notAfter = Math.min(...validities.map((validity) => validity.notAfter));
  check(checks, 'dates', 'Certificates, lists and documents are valid now', (inner) => {
    assertValidAt(validities, now);
    inner?.note(`at ${isoTime(now)}, until ${isoTime(notAfter)}`);
  });
  return {
    root,
    trustRoot,
    roots,
    roles,
    pckCa: pckChain.signer,
    pckCrl,
    rootCrl,
    tcbInfo,
    qeIdentity,
    validities,
    notAfter,
  };
}

type IssuerChain = { readonly signer: Certificate; readonly root: Certificate };

/** A chain of exactly a signer and the root above it: Intel's PKI has no other. */
function readIssuerChain(pem: string, place: string): IssuerChain {
  const [signerDer, rootDer] = readPemChain(pem, 2, place);
  if (signerDer === undefined || rootDer === undefined)
    throw new AttestationError({
      code: 'CHAIN_LENGTH',
      place,
      message: `Expected a signer and the root at "${place}"`,
    });
  return { signer: parseCertificate(signerDer, `${place}[0]`), root: parseCertificate(rootDer, `${place}[1]`) };
}

/** That another chain ends in the same root, or in another certificate of a trusted root's key. */
async function assertSameRoot(other: Certificate, root: Certificate, roots: readonly TrustRoot[]): Promise<void> {
  if (equalBytes(other.der, root.der)) return;
  await verifyRoot(other, roots, 'intel');
  if (equalBytes(other.spki, root.spki) && equalBytes(other.subject, root.subject)) return;
  throw new AttestationError({
    code: 'ROOT_UNTRUSTED',
    place: other.place,
    value: other.commonName,
    message: `Expected "${other.place}" to be the root at "${root.place}"`,
  });
}

async function verifySigner(
  signer: Certificate,
  root: Certificate,
  rootCrl: Crl,
  role: Role,
  roles: RoleTableName,
): Promise<void> {
  await verifyIssued(signer, root, 0);
  assertSigningLeaf(signer);
  assertRole(signer, role, roles);
  assertNotRevoked(signer, rootCrl);
}

async function verifyDocument(text: string, signatureHex: string, signer: Certificate, place: string): Promise<void> {
  const signature = readHex(signatureHex, `${place}_signature`);
  await verifySignature(signer.publicKey, 'ecdsa-sha256', utf8(text), signature, place);
}

function assertSameTee(tcbInfo: TcbInfo, qeIdentity: QeIdentity): void {
  const expected = tcbInfo.id === 'TDX' ? 'TD_QE' : 'QE';
  if (qeIdentity.id !== expected)
    throw new AttestationError({
      code: 'TEE_TYPE_MISMATCH',
      place: 'collateral.qe_identity.id',
      value: qeIdentity.id,
      message: `Expected the QE identity "${expected}" beside TCB info "${tcbInfo.id}", got "${qeIdentity.id}"`,
    });
}

function readHex(text: string, place: string): Uint8Array {
  if (text.length % 2 !== 0 || !/^[0-9a-fA-F]*$/.test(text))
    throw new AttestationError({
      code: 'MALFORMED_HEX',
      place,
      message: `Expected bytes in hexadecimal at "${place}"`,
    });
  return fromHex(text);
}
