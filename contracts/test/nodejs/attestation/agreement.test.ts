import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { collateralSubmissions, fullEvidence } from '@cloister/attestation/onchain';
import {
  bareHex,
  type CertificateSpec,
  type CertifiedKey,
  createSimulatedPlatform,
  extension,
  generateP256Key,
  issueCertificate,
  issueCrl,
  type JsonObject,
  mintQuote,
  randomSerial,
  sgxExtension,
  signDocument,
  signsCertificates,
  signsData,
  toPem,
} from '@cloister/attestation/unsafe-simulated';
import {
  AttestationError,
  appraise,
  type Collateral,
  parseQuote,
  type SgxClaims,
  type TdxClaims,
  tcbStatuses,
  verifyCollateral,
  verifySgxQuote,
  verifyTdxQuote,
} from '@cloister/attestation/verify';
import { dstackMrConfigId, mrConfigIdOf } from '@cloister/core';
import { network } from 'hardhat';
import { concatHex, type Hex, keccak256, padHex, sliceHex, stringToHex, toHex } from 'viem';
import { measurements } from '../../../../packages/attestation/test/synthetic.ts';
import { sgxCollateral, sgxQuote, sgxWorld } from '../../../../packages/attestation/test/syntheticSgx.ts';
import {
  type Attestation,
  atNow,
  certificateOf,
  claimsOf,
  deployAttestation,
  devName,
  makeWorld,
  now,
  platformKeyOf,
  sharedRoot,
  submit,
} from '../../support/attestation.ts';
import { refusalOf } from '../../support/refused.ts';

// The same evidence through both verifiers. Where both refuse, each must do so for its own right reason: the error stands
// in the table. What the two have no common form of is at the end, by itself.

type Evidence = {
  readonly quote: Uint8Array;
  readonly collateral: Collateral;
  /** A PCK CA beside the one of the collateral, DER. */
  readonly otherCa?: Uint8Array;
  /** Unix seconds at which the quote is verified; the collateral is submitted before. */
  readonly at?: number;
};

const connection = await network.create(atNow);
const { networkHelpers } = connection;
const deployed = () => deployAttestation(connection);
const order = 0xffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551n;
const day = 86_400;

/** By the off-chain verifier with the policy that the contracts have built in; or the code of the refusal. */
async function offChain({ quote, collateral, at = now + 60 }: Evidence): Promise<TdxClaims | SgxClaims | string> {
  try {
    const verified = await verifyCollateral(collateral, { roots: [sharedRoot.trustRoot], now: at });
    const { kind } = parseQuote(quote).body;
    const claims = await (kind === 'tdx' ? verifyTdxQuote : verifySgxQuote)(quote, verified, { now: at });
    const appraisal = appraise(claims, { unsafeAllowSimulated: true, tcbStatuses: allButRevoked });
    const judgedLater = appraisal.ok || appraisal.refusal.code === 'TCB_STATUS_REFUSED';
    return judgedLater ? claims : appraisal.refusal.code;
  } catch (error) {
    if (error instanceof AttestationError) return error.code;
    throw error;
  }
}

const allButRevoked = tcbStatuses.filter((status) => status !== 'Revoked');

type ChainClaims = Awaited<ReturnType<typeof claimsOf>>;

/** By the contracts, from nothing: every submission, the platform, the quote. */
async function onChain(evidence: Evidence): Promise<ChainClaims | string> {
  const attestation = await networkHelpers.loadFixture(deployed);
  const { quote, collateral, otherCa, at } = evidence;
  const steps: (() => Promise<unknown>)[] = [
    ...(otherCa === undefined ? [] : [() => attestation.store.write.submitPckCa([toHex(otherCa)])]),
    () => attestation.pckRegistry.write.registerPck([certificateOf(quote)]),
  ];
  let submissions: readonly (() => Promise<unknown>)[];
  try {
    submissions = collateralSubmissions(collateral).map((part) => () => submit(attestation, part));
  } catch (error) {
    if (error instanceof AttestationError) return error.code;
    throw error;
  }
  for (const step of [...submissions, ...steps]) {
    const refusal = await refusalOf(step());
    if (refusal !== undefined) return refusal;
  }
  if (at !== undefined) await networkHelpers.time.increaseTo(at);
  return claimsOrRefusal(attestation, quote);
}

async function claimsOrRefusal(attestation: Attestation, quote: Uint8Array): Promise<ChainClaims | string> {
  let claims: ChainClaims | undefined;
  const refusal = await refusalOf(
    claimsOf(attestation, quote).then((result) => {
      claims = result;
    }),
  );
  return refusal ?? claims ?? assert.fail('Expected claims or a refusal');
}

/** What the chain's claims must be where the off-chain verifier's are these. */
function expectedOnChain(claims: TdxClaims | SgxClaims, quote: Uint8Array): ChainClaims {
  const tdx = claims.teeType === 'tdx';
  const { signedPart, qeReport } = parseQuote(quote);
  return {
    teeType: tdx ? 2 : 1,
    attestedBy: 1,
    simulated: claims.simulated,
    debug: claims.debug,
    tcbStatus: tcbStatuses.indexOf(claims.tcbStatus) + 1,
    tcbEvaluationDataNumber: claims.tcbEvaluationDataNumber,
    validUntil: BigInt(claims.notAfter),
    imageId: tdx ? claims.imageId : sgxImageId(claims.mrEnclave),
    configId: claims.configId ?? assert.fail('A configuration that is none was accepted on chain'),
    platformId: padHex(claims.platformId, { size: 32, dir: 'right' }),
    evidenceHash: keccak256(signedPart),
    reportDataHead: sliceHex(claims.reportData, 0, 32),
    reportDataTail: sliceHex(claims.reportData, 32),
    platformKey: platformKeyOf(quote),
    tcb: concatHex([
      tdx ? claims.teeTcbSvn : padHex('0x', { size: 16 }),
      toHex(qeReport.isvSvn, { size: 2 }),
      padHex('0x', { size: 14 }),
    ]),
  };
}

function sgxImageId(mrEnclave: Hex): Hex {
  return keccak256(concatHex([keccak256(stringToHex('cloister/image: v1')), toHex(1, { size: 32 }), mrEnclave]));
}

/** Without the six bytes that only tell collateral apart. */
function withoutShape(claims: ChainClaims): ChainClaims {
  return { ...claims, tcb: concatHex([sliceHex(claims.tcb, 0, 18), padHex('0x', { size: 14 })]) };
}

/** Both accept, with the same claims. */
async function accepted(evidence: Evidence, status: string): Promise<void> {
  const off = await offChain(evidence);
  const on = await onChain(evidence);
  if (typeof off === 'string') assert.fail(`Refused off chain: ${off}`);
  if (typeof on === 'string') assert.fail(`Refused on chain: ${on}`);
  assert.equal(off.tcbStatus, status);
  assert.deepEqual(withoutShape(on), expectedOnChain(off, evidence.quote));
}

/* EVIDENCE */

const withStatus =
  (tcbStatus: string) =>
  (tcbInfo: JsonObject): JsonObject => {
    const [first, ...rest] = tcbInfo.tcbLevels as JsonObject[];
    return { ...tcbInfo, tcbLevels: [{ ...first, tcbStatus, advisoryIDs: ['DEV-SA-7'] }, ...rest] };
  };
const outdatedQe = (identity: JsonObject): JsonObject => ({
  ...identity,
  tcbLevels: [{ tcb: { isvsvn: 1 }, tcbDate: '2026-01-01T00:00:00Z', tcbStatus: 'OutOfDate' }],
});
const withModules =
  (changes: JsonObject) =>
  (info: JsonObject): JsonObject => ({
    ...info,
    tdxModuleIdentities: (info.tdxModuleIdentities as JsonObject[]).map((module) => ({ ...module, ...changes })),
  });
const moduleLevel = (isvsvn: number, tcbStatus: string) => ({
  tcbLevels: [{ tcb: { isvsvn }, tcbDate: '2026-01-01T00:00:00Z', tcbStatus }],
});
/** TCB info as Intel writes it for SGX: no module, no TDX components. */
const forSgx =
  (levels: (levels: JsonObject[]) => JsonObject[] = (same) => same) =>
  (info: JsonObject): JsonObject => {
    const { tdxModule: _, tdxModuleIdentities: __, ...rest } = info;
    const stripped = (info.tcbLevels as JsonObject[]).map((level) => {
      const { tdxtcbcomponents: ___, ...tcb } = level.tcb as JsonObject;
      return { ...level, tcb };
    });
    return { ...rest, tcbLevels: levels(stripped) };
  };
const svn = (first: number, version: number, third = 3): Uint8Array =>
  Uint8Array.of(first, version, third, ...new Array<number>(13).fill(0));

function flipped(quote: Uint8Array, at: number): Uint8Array {
  return quote.map((byte, index) => (index === at ? byte ^ 1 : byte));
}

/** The quote with the other s that the same signature has, at an offset. */
function withOtherS(quote: Uint8Array, at: number): Uint8Array {
  const copy = Uint8Array.from(quote);
  const s = BigInt(toHex(copy.subarray(at, at + 32)));
  copy.set(Buffer.from(toHex(order - s, { size: 32 }).slice(2), 'hex'), at);
  return copy;
}

function below(issuer: CertifiedKey, commonName: string, changes: Partial<CertificateSpec> = {}): CertifiedKey {
  const key = generateP256Key();
  const serial = randomSerial();
  const certificate = issueCertificate({
    subject: commonName,
    issuer: issuer.commonName,
    publicKey: key.publicKey,
    signer: issuer.key,
    serial,
    notBefore: now - day,
    notAfter: now + 365 * day,
    isCa: false,
    keyUsage: signsData,
    issuerPublicKey: issuer.key.publicKey,
    ...changes,
  });
  return { key, commonName, serial, certificate };
}

const { root, pckCa } = sharedRoot;

/** A platform of another issuer than the collateral's CA. */
function ofOtherIssuer(issuer: CertifiedKey): Evidence {
  const platform = createSimulatedPlatform(sharedRoot, { now, issuer });
  const chain = [platform.pck.certificate, issuer.certificate, root.certificate];
  const { collateral } = makeWorld();
  return { quote: mintQuote(platform, measurements, { chain }), collateral, otherCa: issuer.certificate };
}

function tcbInfoBy(signer: CertifiedKey, ...chain: readonly Uint8Array[]): Evidence {
  const world = makeWorld();
  const { collateral } = world;
  return {
    ...world,
    collateral: {
      ...collateral,
      ...signDocument('tcb_info', collateral.tcb_info, signer.key),
      tcb_info_issuer_chain: toPem(signer.certificate, ...chain),
    },
  };
}

function collateralWith(parts: Partial<Collateral>): Evidence {
  const world = makeWorld();
  return { ...world, collateral: { ...world.collateral, ...parts } };
}

describe('both accept, and say the same', () => {
  const low = { components: [2, 2, 1, 1, 3, 0, 0, 4, 0, 0, 0, 0, 0, 0, 0, 0], pceSvn: 12 };
  const cases: readonly (readonly [string, () => Evidence, string])[] = [
    ['TDX v4', () => makeWorld(), 'UpToDate'],
    ['TDX v5, TD 1.0', () => makeWorld({ quote: { version: 5 } }), 'UpToDate'],
    ['TDX v5, TD 1.5', () => makeWorld({ quote: { version: 5, tdVersion: '1.5' } }), 'UpToDate'],
    ['SGX v3', () => ({ quote: sgxQuote(), collateral: sgxCollateral(forSgx()) }), 'UpToDate'],
    [
      'SGX out of date',
      () => ({ quote: sgxQuote(), collateral: sgxCollateral(forSgx((levels) => levels.slice(1))) }),
      'OutOfDate',
    ],
    ...(['SWHardeningNeeded', 'ConfigurationNeeded', 'ConfigurationAndSWHardeningNeeded', 'Revoked'] as const).map(
      (status) => [status, () => makeWorld({ collateral: { editTcbInfo: withStatus(status) } }), status] as const,
    ),
    [
      'OutOfDateConfigurationNeeded',
      () => makeWorld({ collateral: { editTcbInfo: withStatus('OutOfDateConfigurationNeeded') } }),
      'OutOfDateConfigurationNeeded',
    ],
    ['the second level', () => makeWorld({ platform: { tcb: low } }), 'OutOfDate'],
    [
      'a level whose higher components hide no lower one',
      () =>
        makeWorld({
          platform: { tcb: { components: [255, 255, 255, 255, 255, 255, 255, 4, ...new Array(8).fill(255)] } },
        }),
      'OutOfDate',
    ],
    [
      'components above 127',
      () => makeWorld({ platform: { tcb: { components: new Array(16).fill(200) } } }),
      'UpToDate',
    ],
    ['a QE out of date', () => makeWorld({ collateral: { editQeIdentity: outdatedQe } }), 'OutOfDate'],
    [
      'a QE out of date on a platform in need of configuration',
      () => makeWorld({ collateral: { editTcbInfo: withStatus('ConfigurationNeeded'), editQeIdentity: outdatedQe } }),
      'OutOfDateConfigurationNeeded',
    ],
    [
      'a revoked QE',
      () =>
        makeWorld({ collateral: { editQeIdentity: (identity) => ({ ...identity, ...moduleLevel(1, 'Revoked') }) } }),
      'Revoked',
    ],
    ['a module out of date', () => makeWorld({ quote: { teeTcbSvn: svn(5, 1) } }), 'OutOfDate'],
    [
      'a revoked module',
      () => makeWorld({ collateral: { editTcbInfo: withModules(moduleLevel(0, 'Revoked')) } }),
      'Revoked',
    ],
    ...(
      [
        ['a dstack app', dstackMrConfigId(toHex(0xc5, { size: 32 }))],
        ['a dstack app whose compose hash begins with zeros', dstackMrConfigId(toHex(1, { size: 32 }))],
        ['a dstack app whose compose hash ends in a zero byte', dstackMrConfigId(toHex(0xc500, { size: 32 }))],
        ['a network file whose id begins with 01', mrConfigIdOf(`0x01${'1a'.repeat(31)}`)],
        ['no configuration', new Uint8Array(48)],
      ] as const
    ).map(
      ([what, mrConfigId]) =>
        [
          `a TD started with ${what}`,
          () => {
            const world = makeWorld();
            return { ...world, quote: mintQuote(world.platform, { ...measurements, mrConfigId }) };
          },
          'UpToDate',
        ] as const,
    ),
    ['module version 0', () => makeWorld({ quote: { teeTcbSvn: svn(5, 0) } }), 'UpToDate'],
    ...['TDX_1a', 'TDX_1A'].map(
      (id) =>
        [
          `module version 26, written "${id}"`,
          () => makeWorld({ quote: { teeTcbSvn: svn(6, 0x1a) }, collateral: { editTcbInfo: withModules({ id }) } }),
          'UpToDate',
        ] as const,
    ),
    [
      'module attributes that the mask leaves out',
      () =>
        makeWorld({
          quote: { seamAttributes: Uint8Array.of(1, 0, 0, 0, 0, 0, 0, 0) },
          collateral: { editTcbInfo: withModules({ attributesMask: '00'.repeat(8) }) },
        }),
      'UpToDate',
    ],
    [
      'TCB info whose components say what they are',
      () => makeWorld({ collateral: { editTcbInfo: describedComponents } }),
      'UpToDate',
    ],
    [
      'an earlier evaluation of the QE',
      () => makeWorld({ collateral: { editQeIdentity: (identity) => ({ ...identity, tcbEvaluationDataNumber: 19 }) } }),
      'UpToDate',
    ],
    [
      'a certificate that ends before its collateral',
      () => makeWorld({ platform: { certificate: { notAfter: now + 5 * day } } }),
      'UpToDate',
    ],
    ['a quote signature with the higher s', () => higherS(636 + 32), 'UpToDate'],
    ['a signature of the QE report with the higher s', () => higherS(636 + 128 + 6 + 384 + 32), 'UpToDate'],
    [
      'zeros behind the quote',
      () => {
        const world = makeWorld();
        return { ...world, quote: Uint8Array.from([...world.quote, ...new Array(100).fill(0)]) };
      },
      'UpToDate',
    ],
    ['other PCKs revoked', () => makeWorld({ collateral: { revokedPcks: serials(50) } }), 'UpToDate'],
    ['the last second', () => ({ ...makeWorld(), at: now - 3600 + 30 * day }), 'UpToDate'],
  ];
  for (const [name, make, status] of cases) it(name, () => accepted(make(), status));

  function higherS(at: number): Evidence {
    const world = makeWorld();
    const { quote } = world;
    // Of the two, the one in the upper half.
    const s = BigInt(toHex(quote.subarray(at, at + 32)));
    return { ...world, quote: s > order / 2n ? quote : withOtherS(quote, at) };
  }

  function describedComponents(info: JsonObject): JsonObject {
    const described = (list: unknown) =>
      (list as JsonObject[]).map((component, index) =>
        index === 0
          ? { ...component, category: 'BIOS', type: 'Early Microcode Update' }
          : index === 3
            ? { ...component, category: 'OS/VMM' }
            : component,
      );
    return {
      ...info,
      tcbLevels: (info.tcbLevels as JsonObject[]).map((level) => {
        const tcb = level.tcb as JsonObject;
        return {
          ...level,
          tcb: {
            ...tcb,
            sgxtcbcomponents: described(tcb.sgxtcbcomponents),
            tdxtcbcomponents: described(tcb.tdxtcbcomponents),
          },
        };
      }),
    };
  }
});

function serials(count: number): Uint8Array[] {
  return Array.from({ length: count }, randomSerial);
}

describe('both refuse, each by its name', () => {
  const name = (role: 'pckCa' | 'pck' | 'tcbSigning') => devName(role);
  const cases: readonly (readonly [string, () => Evidence, string, string])[] = [
    ['collateral that is over', () => ({ ...makeWorld(), at: now + 31 * day }), 'EXPIRED', 'QuoteVerifierExpired'],
    [
      'a second after the last',
      () => ({ ...makeWorld(), at: now - 3600 + 30 * day + 1 }),
      'EXPIRED',
      'QuoteVerifierExpired',
    ],
    [
      'a platform certificate that is over',
      () => makeWorld({ platform: { certificate: { notAfter: now - 1 } } }),
      'EXPIRED',
      'PckRegistryExpired',
    ],
    [
      'a platform certificate of tomorrow',
      () => makeWorld({ platform: { certificate: { notBefore: now + day } } }),
      'NOT_YET_VALID',
      'PckRegistryNotYetValid',
    ],
    ['a revoked PCK', revokedPck, 'REVOKED', 'PckRegistryRevoked'],
    [
      'a revoked PCK CA',
      () => makeWorld({ collateral: { revokedBelowRoot: [pckCa.serial] } }),
      'REVOKED',
      'CollateralStoreRevoked',
    ],
    [
      'a revoked TCB signer',
      () => makeWorld({ collateral: { revokedBelowRoot: [...serials(9), sharedRoot.tcbSigner.serial] } }),
      'REVOKED',
      'CollateralStoreRevoked',
    ],
    ['a PCK CRL by a stranger', () => strangersCrl(false), 'ISSUER_KEY_ID_MISMATCH', 'CollateralStoreIssuer'],
    [
      "a PCK CRL by a stranger that names the CA's key",
      () => strangersCrl(true),
      'SIGNATURE_INVALID',
      'CollateralStoreSignature',
    ],
    ['a PCK CRL of 2001', oldCrl, 'EXPIRED', 'CollateralStoreExpired'],
    [
      'the CRLs exchanged',
      () => {
        const { collateral } = makeWorld();
        return collateralWith({ pck_crl: collateral.root_ca_crl, root_ca_crl: collateral.pck_crl });
      },
      'CRL_ISSUER_MISMATCH',
      'CollateralStoreIssuer',
    ],
    ['an empty PCK CRL', () => collateralWith({ pck_crl: '' }), 'COLLATERAL_MISSING', 'COLLATERAL_MISSING'],
    ['CRLs that are garbage', () => collateralWith({ root_ca_crl: 'deadbeef' }), 'MALFORMED_DER', 'DerReaderMalformed'],
    [
      'TCB info by a PCK leaf',
      () => {
        const { platform } = makeWorld();
        return tcbInfoBy(platform.pck, pckCa.certificate);
      },
      'ROOT_UNTRUSTED',
      'CollateralStoreRole',
    ],
    [
      'TCB info by another leaf below the root',
      () => tcbInfoBy(below(root, name('pck')), root.certificate),
      'WRONG_ROLE',
      'CollateralStoreRole',
    ],
    [
      'TCB info by a signer that is a CA',
      () => tcbInfoBy(below(root, name('tcbSigning'), { isCa: true, keyUsage: 0x86 }), root.certificate),
      'CA_NOT_ALLOWED',
      'CollateralStoreCaNotAllowed',
    ],
    [
      'TCB info by a signer that may not sign',
      () => tcbInfoBy(below(root, name('tcbSigning'), { keyUsage: 0x40 }), root.certificate),
      'KEY_USAGE_FORBIDS',
      'CollateralStoreKeyUsage',
    ],
    [
      'TCB info by a signer that a stranger certified',
      () =>
        tcbInfoBy(
          below({ ...root, key: generateP256Key() }, name('tcbSigning'), { issuerPublicKey: undefined }),
          root.certificate,
        ),
      'SIGNATURE_INVALID',
      'CollateralStoreSignature',
    ],
    [
      "a TCB signer with another issuer's name",
      () => tcbInfoBy(below(root, name('tcbSigning'), { issuer: 'DEV unsafe simulated other' }), root.certificate),
      'ISSUER_NAME_MISMATCH',
      'CollateralStoreIssuer',
    ],
    [
      'TCB info that was edited',
      () => collateralWith({ tcb_info: makeWorld().collateral.tcb_info.replace('OutOfDate', 'UpToDate') }),
      'SIGNATURE_INVALID',
      'CollateralStoreSignature',
    ],
    [
      'TCB info whose end is no date',
      () => makeWorld({ collateral: { editTcbInfo: (info) => ({ ...info, nextUpdate: 'x' }) } }),
      'MALFORMED_COLLATERAL',
      'JsonReaderMalformed',
    ],
    [
      'TCB info of 15 components',
      () =>
        makeWorld({
          collateral: {
            editTcbInfo: (info) => ({
              ...info,
              tcbLevels: [{ tcb: { sgxtcbcomponents: new Array(15).fill({ svn: 0 }), pcesvn: 0 } }],
            }),
          },
        }),
      'MALFORMED_COLLATERAL',
      'JsonReaderMalformed',
    ],
    [
      'a module twice',
      () =>
        makeWorld({
          collateral: {
            editTcbInfo: (info) => {
              const modules = info.tdxModuleIdentities as JsonObject[];
              return { ...info, tdxModuleIdentities: [...modules, ...modules] };
            },
          },
        }),
      'MALFORMED_COLLATERAL',
      'JsonReaderMalformed',
    ],
    [
      'an intermediate of CA:FALSE',
      () => ofOtherIssuer(below(root, name('pckCa'))),
      'NOT_A_CA',
      'CollateralStoreNotCa',
    ],
    [
      'an intermediate of another role',
      () => ofOtherIssuer(below(root, 'DEV unsafe simulated PCK CA', { isCa: true, keyUsage: signsCertificates })),
      'WRONG_ROLE',
      'CollateralStoreRole',
    ],
    [
      'a PCK whose CRL was not submitted',
      () => ofOtherIssuer(below(root, devName('pckCa', 'processor'), { isCa: true, keyUsage: signsCertificates })),
      'CRL_ISSUER_MISMATCH',
      'QuoteVerifierCollateralMissing',
    ],
    [
      'a PCK issued by a PCK',
      () => {
        const { platform } = makeWorld();
        const evidence = ofOtherIssuer(platform.pck);
        return { ...evidence, otherCa: platform.pck.certificate };
      },
      'ISSUER_NAME_MISMATCH',
      'CollateralStoreRole',
    ],
    [
      "an issuer's name that is not the CA's",
      () => makeWorld({ platform: { certificate: { issuer: 'DEV unsafe simulated other' } } }),
      'ISSUER_NAME_MISMATCH',
      'PckRegistryIssuerUnknown',
    ],
    [
      "a PCK with another issuer's key id",
      () => makeWorld({ platform: { certificate: { issuerPublicKey: root.key.publicKey } } }),
      'ISSUER_KEY_ID_MISMATCH',
      'PckRegistryIssuerUnknown',
    ],
    [
      'a PCK signed by a stranger',
      () => makeWorld({ platform: { certificate: { signer: generateP256Key() } } }),
      'SIGNATURE_INVALID',
      'PckRegistrySignature',
    ],
    [
      'a PCK that is a CA',
      () => makeWorld({ platform: { certificate: { isCa: true, keyUsage: signsData } } }),
      'CA_NOT_ALLOWED',
      'PckRegistryCaNotAllowed',
    ],
    [
      'a PCK that may not sign',
      () => makeWorld({ platform: { certificate: { keyUsage: 0x08 } } }),
      'KEY_USAGE_FORBIDS',
      'PckRegistryKeyUsage',
    ],
    [
      "a PCK of another role's name",
      () => makeWorld({ platform: { certificate: { subject: name('tcbSigning') } } }),
      'WRONG_ROLE',
      'PckRegistryRole',
    ],
    [
      "a PCK of Intel's own name",
      () => makeWorld({ platform: { certificate: { subject: 'Intel SGX PCK Certificate' } } }),
      'WRONG_ROLE',
      'PckRegistryRole',
    ],
    [
      'TCB info of another FMSPC',
      () => makeWorld({ platform: { tcb: { fmspc: new Uint8Array(6) } } }),
      'FMSPC_MISMATCH',
      'QuoteVerifierCollateralMissing',
    ],
    [
      'TCB info of another PCE',
      () => makeWorld({ collateral: { editTcbInfo: (info) => ({ ...info, pceId: '0001' }) } }),
      'PCE_ID_MISMATCH',
      'QuoteVerifierCollateralMissing',
    ],
    [
      'collateral of SGX for a TD',
      () => ({ quote: makeWorld().quote, collateral: sgxCollateral(forSgx()) }),
      'TEE_TYPE_MISMATCH',
      'QuoteVerifierCollateralMissing',
    ],
    [
      'collateral of TDX for an enclave',
      () => ({ quote: sgxQuote(), collateral: sgxWorld.collateral }),
      'TEE_TYPE_MISMATCH',
      'QuoteVerifierCollateralMissing',
    ],
    [
      'a platform below every level',
      () => makeWorld({ platform: { tcb: { components: new Array<number>(16).fill(0) } } }),
      'TCB_LEVEL_NOT_FOUND',
      'QuoteVerifierLevelNotFound',
    ],
    [
      'a PCE below every level',
      () => makeWorld({ platform: { tcb: { pceSvn: 11 } } }),
      'TCB_LEVEL_NOT_FOUND',
      'QuoteVerifierLevelNotFound',
    ],
    [
      'a module of version 0 below every level',
      () => makeWorld({ quote: { teeTcbSvn: svn(4, 0) } }),
      'TCB_LEVEL_NOT_FOUND',
      'QuoteVerifierLevelNotFound',
    ],
    [
      'no levels at all',
      () => makeWorld({ collateral: { editTcbInfo: (info) => ({ ...info, tcbLevels: [] }) } }),
      'TCB_LEVEL_NOT_FOUND',
      'QuoteVerifierLevelNotFound',
    ],
    [
      'a module of another signer',
      () => makeWorld({ quote: { mrSignerSeam: new Uint8Array(48).fill(1) } }),
      'TDX_MODULE_MISMATCH',
      'TdxVerifierModuleMismatch',
    ],
    [
      'a module whose signer differs in the last byte',
      () => makeWorld({ quote: { mrSignerSeam: new Uint8Array(48).fill(1, 47) } }),
      'TDX_MODULE_MISMATCH',
      'TdxVerifierModuleMismatch',
    ],
    [
      'a module of other attributes',
      () => makeWorld({ quote: { seamAttributes: Uint8Array.of(0, 0, 0, 0, 0, 0, 0, 1) } }),
      'TDX_MODULE_MISMATCH',
      'TdxVerifierModuleMismatch',
    ],
    [
      'a module that TCB info does not know',
      () => makeWorld({ collateral: { editTcbInfo: (info) => ({ ...info, tdxModuleIdentities: [] }) } }),
      'TDX_MODULE_UNKNOWN',
      'TdxVerifierModuleUnknown',
    ],
    [
      'TCB info without module identities',
      () =>
        makeWorld({
          collateral: { editTcbInfo: ({ tdxModuleIdentities: _, ...info }) => info },
        }),
      'TDX_MODULE_UNKNOWN',
      'TdxVerifierModuleUnknown',
    ],
    [
      'a module below every level of its own',
      () => makeWorld({ quote: { teeTcbSvn: svn(1, 1) } }),
      'TDX_MODULE_LEVEL_NOT_FOUND',
      'TdxVerifierModuleLevelNotFound',
    ],
    [
      'a QE of another vendor',
      () => makeWorld({ quote: { qeVendorId: new Uint8Array(16) } }),
      'QE_VENDOR_UNKNOWN',
      'QuoteVerifierVendor',
    ],
    [
      'a QE report that another key signed',
      () => makeWorld({ quote: { qeReportSigner: root.key } }),
      'SIGNATURE_INVALID',
      'QuoteVerifierQeSignature',
    ],
    ...(
      [
        ['binds another key', 0, 320, 352, 'QE_KEY_NOT_BOUND', 'QuoteVerifierKeyNotBound'],
        ['binds more than the key', 1, 383, 384, 'QE_KEY_NOT_BOUND', 'QuoteVerifierKeyNotBound'],
        ['has another MISCSELECT', 1, 16, 17, 'QE_IDENTITY_MISMATCH', 'QuoteVerifierQeMismatch'],
        ['has other attributes', 0x31, 48, 49, 'QE_IDENTITY_MISMATCH', 'QuoteVerifierQeMismatch'],
        ['has another signer', 1, 128, 160, 'QE_IDENTITY_MISMATCH', 'QuoteVerifierQeMismatch'],
        ['is another product', 1, 256, 257, 'QE_IDENTITY_MISMATCH', 'QuoteVerifierQeMismatch'],
        ['is below every level', 0, 258, 260, 'QE_LEVEL_NOT_FOUND', 'QuoteVerifierQeLevelNotFound'],
      ] as const
    ).map(
      ([what, value, from, to, code, error]) =>
        [
          `a QE that ${what}`,
          () => makeWorld({ quote: { editQeReport: (report) => report.fill(value, from, to) } }),
          code,
          error,
        ] as const,
    ),
    [
      'a debug QE, under a mask that would allow it',
      () =>
        makeWorld({
          quote: { editQeReport: (report) => report.fill(0x17, 48, 49) },
          collateral: { editQeIdentity: (identity) => ({ ...identity, attributesMask: '00'.repeat(16) }) },
        }),
      'QE_IDENTITY_MISMATCH',
      'QuoteVerifierQeMismatch',
    ],
    [
      'a debug TD',
      () => makeWorld({ quote: { tdAttributes: Uint8Array.of(1, 0, 0, 0x10, 0, 0, 0, 0) } }),
      'DEBUG_REFUSED',
      'TdxVerifierAttributes',
    ],
    [
      'reserved attributes of a TD',
      () => makeWorld({ quote: { tdAttributes: Uint8Array.of(0, 0, 0, 0x10, 1, 0, 0, 0) } }),
      'ATTRIBUTES_REFUSED',
      'TdxVerifierAttributes',
    ],
    [
      'a TD without SEPT_VE_DISABLE',
      () => makeWorld({ quote: { tdAttributes: new Uint8Array(8) } }),
      'ATTRIBUTES_REFUSED',
      'TdxVerifierAttributes',
    ],
    [
      'a bound service TD',
      () => makeWorld({ quote: { version: 5, tdVersion: '1.5', mrServiceTd: new Uint8Array(48).fill(7, 47) } }),
      'SERVICE_TD_REFUSED',
      'TdxVerifierServiceTd',
    ],
    [
      'a debug enclave',
      () => ({ quote: sgxQuote(0x07), collateral: sgxCollateral(forSgx()) }),
      'DEBUG_REFUSED',
      'SgxVerifierDebug',
    ],
  ];
  for (const [what, make, code, error] of cases)
    it(what, async () => {
      const evidence = make();
      assert.equal(await offChain(evidence), code);
      assert.equal(await onChain(evidence), error);
    });

  function revokedPck(): Evidence {
    const world = makeWorld();
    const { collateral } = makeWorld({ collateral: { revokedPcks: [...serials(20), world.platform.pck.serial] } });
    return { ...world, collateral };
  }

  function strangersCrl(namesCa: boolean): Evidence {
    const dates = { thisUpdate: now - 60, nextUpdate: now + day };
    const signer = generateP256Key();
    const issuerPublicKey = (namesCa ? pckCa.key : signer).publicKey;
    const crl = issueCrl({ ...dates, issuer: pckCa.commonName, signer, issuerPublicKey, revoked: [] });
    return collateralWith({ pck_crl: bareHex(crl) });
  }

  function oldCrl(): Evidence {
    const dates = { thisUpdate: 990_000_000, nextUpdate: 992_000_000 };
    const crl = issueCrl({ ...dates, issuer: pckCa.commonName, signer: pckCa.key, revoked: [] });
    return collateralWith({ pck_crl: bareHex(crl) });
  }
});

describe('both refuse every quote of which a bit was changed', () => {
  const world = makeWorld();
  const sgx = { quote: sgxQuote(), collateral: sgxCollateral(forSgx()) };
  /** Where the parts of a quote begin behind its signed part: signature, key, QE report, its signature, what it binds. */
  const parts = (signed: number, header: number) => [
    ...[signed + 4, signed + 4 + 32, signed + 4 + 64, signed + 4 + 96],
    ...[0, 16, 48, 64, 128, 256, 258, 320, 383, 384, 416, 450, 481].map((offset) => signed + 4 + 128 + header + offset),
  ];
  for (const [name, evidence, signed, header] of [
    ['TDX', world, 632, 6],
    ['SGX', sgx, 432, 0],
  ] as const)
    it(name, async () => {
      const attestation = await networkHelpers.loadFixture(deployed);
      for (const part of collateralSubmissions(evidence.collateral)) await submit(attestation, part);
      await attestation.pckRegistry.write.registerPck([certificateOf(evidence.quote)]);
      assert.equal(typeof (await claimsOrRefusal(attestation, evidence.quote)), 'object');
      const inSigned = Array.from({ length: Math.ceil(signed / 13) }, (_, index) => 13 * index);
      for (const at of [...inSigned, signed - 1, ...parts(signed, header)]) {
        const quote = flipped(evidence.quote, at);
        assert.equal(typeof (await offChain({ ...evidence, quote })), 'string', `byte ${at}, off chain`);
        // A header that no encoder reads is refused before the chain sees it.
        const encoded = encodable(quote);
        if (encoded !== undefined)
          assert.equal(typeof (await claimsOrRefusal(attestation, quote)), 'string', `byte ${at}, on chain`);
      }
    });

  function encodable(quote: Uint8Array): Hex | undefined {
    try {
      return fullEvidence(quote);
    } catch (error) {
      if (error instanceof AttestationError) return undefined;
      throw error;
    }
  }
});

describe('where they differ', () => {
  it('a TD whose MRCONFIGID is neither network file nor dstack app: the chain refuses, off chain it is for the policy', async () => {
    const { platform, collateral } = makeWorld();
    const dstack = dstackMrConfigId(toHex(0xc5, { size: 32 }));
    for (const mrConfigId of [
      new Uint8Array(48).fill(0xc0),
      // dstack's other versions, and values that the first one never has.
      ...[dstack.with(0, 2), dstack.with(0, 3), dstack.with(0, 0), dstack.with(33, 1), dstack.with(47, 1)],
    ]) {
      const quote = mintQuote(platform, { ...measurements, mrConfigId });
      const claims = await offChain({ quote, collateral });
      if (typeof claims === 'string' || claims.teeType !== 'tdx') assert.fail(`Expected claims of a TD: ${claims}`);
      assert.deepEqual([claims.configId, claims.composeHash], [null, null]);
      assert.equal(await onChain({ quote, collateral }), 'TdxVerifierConfigForm');
    }
  });

  it('JSON in another form than that in which Intel signs it: the chain has a reader for that one only', async () => {
    const world = makeWorld();
    for (const text of [
      world.collateral.tcb_info.replace('{', '{ '),
      world.collateral.tcb_info.replace('"tcbType":0', '"tcbType":0,"other":1'),
    ]) {
      const collateral = { ...world.collateral, ...signDocument('tcb_info', text, sharedRoot.tcbSigner.key) };
      assert.equal(typeof (await offChain({ ...world, collateral })), 'object');
      assert.equal(await onChain({ ...world, collateral }), 'JsonReaderMalformed');
    }
  });

  it('certificates without key ids: the chain finds issuers by them', async () => {
    const leaf = makeWorld({ platform: { certificate: { issuerPublicKey: undefined } } });
    assert.equal(typeof (await offChain(leaf)), 'object');
    assert.equal(await onChain(leaf), 'PckRegistryKeyIdMissing');
  });

  it('an extension that neither reads, twice: off chain it is refused, on chain not noticed', async () => {
    const twice = [1, 2].map(() => extension('1.2.3.4', Uint8Array.of(5, 0)));
    const world = makeWorld();
    const extensions = [sgxExtension(world.platform.tcb), ...twice];
    const doubled = makeWorld({ platform: { certificate: { extensions } } });
    assert.equal(await offChain(doubled), 'MALFORMED_CERTIFICATE');
    // The encoder refuses such a certificate too; whoever writes another one may submit it.
    const attestation = await networkHelpers.loadFixture(deployed);
    for (const part of collateralSubmissions(doubled.collateral)) await submit(attestation, part);
    await attestation.pckRegistry.write.registerPck([toHex(doubled.platform.pck.certificate)]);
  });

  it('an evaluation number beyond two bytes: the chain has no room for it', async () => {
    const world = makeWorld({
      collateral: { editTcbInfo: (info) => ({ ...info, tcbEvaluationDataNumber: 65_536 }) },
    });
    assert.equal(typeof (await offChain(world)), 'object');
    assert.equal(await onChain(world), 'JsonReaderMalformed');
  });

  it("the root's own certificate: the chain knows its key, and nothing else of it", async () => {
    const world = makeWorld();
    const certificate = issueCertificate({
      subject: root.commonName,
      issuer: root.commonName,
      publicKey: root.key.publicKey,
      signer: root.key,
      serial: root.serial,
      notBefore: now - 2 * day,
      notAfter: now - day,
      isCa: true,
      pathLength: 1,
      keyUsage: signsCertificates,
    });
    const collateral = {
      ...world.collateral,
      tcb_info_issuer_chain: toPem(sharedRoot.tcbSigner.certificate, certificate),
    };
    assert.equal(await offChain({ ...world, collateral }), 'EXPIRED');
    assert.equal(typeof (await onChain({ ...world, collateral })), 'object');
  });
});
