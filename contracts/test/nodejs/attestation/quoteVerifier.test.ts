import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import {
  type CollateralSubmission,
  collateralSubmissions,
  fullEvidence,
  knownKeyEvidence,
  rememberingEvidence,
} from '@cloister/attestation/onchain';
import {
  generateP256Key,
  issueCertificate,
  type JsonObject,
  type MintCollateralOptions,
  mintCollateral,
  mintQuote,
  randomSerial,
  signsCertificates,
} from '@cloister/attestation/unsafe-simulated';
import { network } from 'hardhat';
import { concatHex, type Hex, hexToBytes, keccak256, size, sliceHex, toHex, zeroAddress } from 'viem';
import { measurements } from '../../../../packages/attestation/test/synthetic.ts';
import { sgxCollateral, sgxQuote } from '../../../../packages/attestation/test/syntheticSgx.ts';
import {
  type Attestation,
  atNow,
  certificateOf,
  claimsOf,
  deployAttestation,
  makeWorld,
  now,
  platformKeyOf,
  prepare,
  publish,
  sharedRoot,
  submit,
} from '../../support/attestation.ts';
import { refused } from '../../support/refused.ts';

const connection = await network.create(atNow);
const { networkHelpers, viem } = connection;
const publicClient = await viem.getPublicClient();
const day = 86_400;
const world = makeWorld();
const { quote, platform } = world;
const key = platformKeyOf(quote);
const known = knownKeyEvidence(quote);

async function prepared() {
  const attestation = await deployAttestation(connection);
  await prepare(attestation, world);
  return attestation;
}
async function remembered() {
  const attestation = await deployAttestation(connection);
  await prepare(attestation, world);
  await attestation.tdx.write.verify([rememberingEvidence(quote)]);
  return attestation;
}
const load = () => networkHelpers.loadFixture(prepared);
const loadRemembered = () => networkHelpers.loadFixture(remembered);

/** Submits one part of fresh collateral. */
async function submitPart(
  attestation: Attestation,
  what: CollateralSubmission['what'],
  options: Partial<MintCollateralOptions> = {},
): Promise<void> {
  const collateral = mintCollateral(sharedRoot, { issuedAt: now - 60, ...options });
  for (const submission of collateralSubmissions(collateral))
    if (submission.what === what) await submit(attestation, submission);
}

const withStatus = (tcbStatus: string) => (info: JsonObject) => {
  const [first, ...rest] = info.tcbLevels as JsonObject[];
  return { ...info, tcbLevels: [{ ...first, tcbStatus }, ...rest] };
};

function withByte(evidence: Hex, at: number, value?: number): Hex {
  const bytes = hexToBytes(evidence);
  bytes[at] = value ?? (bytes[at] ?? 0) ^ 1;
  return toHex(bytes);
}

const gasOf = async (hash: Promise<Hex>) => (await publicClient.getTransactionReceipt({ hash: await hash })).gasUsed;

describe('deployment', () => {
  it('needs a store and a registry of the same store', async () => {
    const { store, pckRegistry } = await load();
    const other = await viem.deployContract('CollateralStore', [1n, 2n]);
    for (const name of ['TdxVerifier', 'SgxVerifier'] as const) {
      await refused(viem.deployContract(name, [zeroAddress, pckRegistry.address]), 'QuoteVerifierWithoutCode');
      await refused(viem.deployContract(name, [store.address, zeroAddress]), 'QuoteVerifierWithoutCode');
      await refused(viem.deployContract(name, [other.address, pckRegistry.address]), 'QuoteVerifierStoresDiffer');
    }
  });
});

describe('the form of evidence', () => {
  const forms = { full: fullEvidence(quote), remember: rememberingEvidence(quote), known } as const;

  it('is one of three', async () => {
    const { tdx } = await loadRemembered();
    for (const form of [0, 4, 255])
      await refused(tdx.simulate.verify([withByte(forms.full, 0, form)]), 'QuoteVerifierForm', [BigInt(form)]);
    await refused(tdx.simulate.verify(['0x']), 'QuoteVerifierLength', [0n, 1n]);
    await refused(tdx.read.isKnownKey([forms.full]), 'QuoteVerifierForm', [1n]);
  });

  for (const [name, evidence] of Object.entries(forms))
    it(`${name}: cut short anywhere, or with more behind it`, async () => {
      const { tdx } = await loadRemembered();
      for (let length = 1; length < size(evidence); length += 13)
        await refused(tdx.simulate.verify([sliceHex(evidence, 0, length)]), 'QuoteVerifierLength');
      for (const more of ['0x00', '0x01', `0x${'00'.repeat(32)}`] as const)
        await refused(tdx.simulate.verify([concatHex([evidence, more])]), 'QuoteVerifierLength');
    });

  it('authentication data of another length than it has', async () => {
    const { tdx } = await load();
    await refused(tdx.simulate.verify([withByte(forms.full, 578, 31)]), 'QuoteVerifierAttestationKeyType');
    await refused(tdx.simulate.verify([withByte(forms.full, 577, 0xff)]), 'QuoteVerifierLength');
  });

  it('a header that is no TDX header, by what is wrong', async () => {
    const { tdx, sgx } = await load();
    const header = size(forms.full) - 632;
    const of = (at: number, value: number) => tdx.simulate.verify([withByte(forms.full, header + at, value)]);
    await refused(of(0, 3), 'QuoteVerifierQuoteVersion', [3]);
    await refused(of(1, 1), 'QuoteVerifierQuoteVersion', [0x104]);
    await refused(of(0, 5), 'TdxVerifierBody');
    await refused(of(2, 3), 'QuoteVerifierAttestationKeyType', [3]);
    await refused(of(4, 0), 'QuoteVerifierTeeType', [0]);
    await refused(of(7, 1), 'QuoteVerifierTeeType', [0x01000081]);
    await refused(of(12, 0), 'QuoteVerifierVendor');
    await refused(sgx.simulate.verify([forms.full]), 'QuoteVerifierTeeType', [0x81]);
    const enclave = fullEvidence(sgxQuote());
    await refused(tdx.simulate.verify([enclave]), 'QuoteVerifierTeeType', [0]);
    const sgxHeader = size(enclave) - 432;
    await refused(sgx.simulate.verify([withByte(enclave, sgxHeader, 4)]), 'QuoteVerifierQuoteVersion', [4]);
    await refused(sgx.simulate.verify([`${enclave}00`]), 'QuoteVerifierLength', [433n, 432n]);
  });

  it('a body of version 5 of another type or length', async () => {
    const { tdx } = await load();
    const evidence = fullEvidence(mintQuote(platform, measurements, { version: 5, tdVersion: '1.5' }));
    const body = size(evidence) - 702 + 48;
    await tdx.simulate.verify([evidence]);
    await refused(tdx.simulate.verify([withByte(evidence, body, 1)]), 'TdxVerifierBody', [1, 648]);
    await refused(tdx.simulate.verify([withByte(evidence, body, 2)]), 'TdxVerifierBody', [2, 648]);
    await refused(tdx.simulate.verify([withByte(evidence, body, 4)]), 'TdxVerifierBody', [4, 648]);
    await refused(tdx.simulate.verify([withByte(evidence, body + 5, 1)]), 'TdxVerifierBody', [3, 0x01000288]);
    const short = fullEvidence(mintQuote(platform, measurements, { version: 5, tdVersion: '1.0' }));
    const shortBody = size(short) - 638 + 48;
    await tdx.simulate.verify([short]);
    for (const type of [1, 4])
      await refused(tdx.simulate.verify([withByte(short, shortBody, type)]), 'TdxVerifierBody', [type, 584]);
  });

  it('a TD with a service TD, whatever byte of its measurement says so', async () => {
    const { tdx } = await load();
    for (const at of [0, 31, 32, 47]) {
      const mrServiceTd = new Uint8Array(48);
      mrServiceTd[at] = 1;
      const bound = fullEvidence(mintQuote(platform, measurements, { version: 5, tdVersion: '1.5', mrServiceTd }));
      await refused(tdx.simulate.verify([bound]), 'TdxVerifierServiceTd');
    }
  });

  it('configuration of an enclave that is no network file', async () => {
    const { sgx } = await load();
    const enclave = fullEvidence(sgxQuote());
    const padded = withByte(enclave, size(enclave) - 384 + 255, 1);
    await refused(sgx.simulate.verify([padded]), 'SgxVerifierConfigPadding', [toHex(1, { size: 32 })]);
  });

  it('configuration of a TD that is neither a network file nor a dstack app', async () => {
    const { tdx } = await load();
    const head = `0x02${'c5'.repeat(31)}` as const;
    const rest = `0xc5${'00'.repeat(15)}` as const;
    const evidence = fullEvidence(
      mintQuote(platform, { ...measurements, mrConfigId: hexToBytes(concatHex([head, rest])) }),
    );
    await refused(tdx.simulate.verify([evidence]), 'TdxVerifierConfigForm', [head, rest]);
  });
});

describe('platform and collateral', () => {
  it('must be known', async () => {
    const attestation = await deployAttestation(connection);
    await refused(claimsOf(attestation, quote), 'PckRegistryPlatformUnknown', [key]);
    await refused(attestation.tdx.read.recheck([key, toHex(0, { size: 32 })]), 'PckRegistryPlatformUnknown', [key]);
  });

  it('must be there for this type', async () => {
    const attestation = await load();
    const tcb = toHex(0, { size: 32 });
    const missing = [1, toHex(platform.tcb.fmspc), toHex(platform.tcb.pceId), 1];
    await refused(attestation.sgx.read.recheck([key, tcb]), 'QuoteVerifierCollateralMissing', missing);
  });
});

describe('collateral', () => {
  it('must be there in all its parts', async () => {
    const parts = collateralSubmissions(world.collateral);
    for (const left of ['tcb-info', 'qe-identity', 'pck-crl'] as const) {
      const attestation = await deployAttestation(connection);
      for (const part of parts) if (part.what !== left) await submit(attestation, part);
      await attestation.pckRegistry.write.registerPck([certificateOf(quote)]);
      await refused(claimsOf(attestation, quote), 'QuoteVerifierCollateralMissing');
    }
  });

  it('ends with the first of its parts', async () => {
    for (const what of ['root-crl', 'pck-crl', 'tcb-info', 'qe-identity'] as const) {
      const attestation = await load();
      await submitPart(attestation, what, { lifetimeSeconds: 3 * day });
      assert.equal((await claimsOf(attestation, quote)).validUntil, BigInt(now - 60 + 3 * day), what);
    }
    const { root, pckCa } = sharedRoot;
    const certificate = issueCertificate({
      subject: pckCa.commonName,
      issuer: root.commonName,
      publicKey: pckCa.key.publicKey,
      signer: root.key,
      serial: randomSerial(),
      notBefore: now - 60,
      notAfter: now + 2 * day,
      isCa: true,
      keyUsage: signsCertificates,
      issuerPublicKey: root.key.publicKey,
    });
    const attestation = await load();
    await attestation.store.write.submitPckCa([toHex(certificate)]);
    assert.equal((await claimsOf(attestation, quote)).validUntil, BigInt(now + 2 * day));
  });
});

describe('what is remembered', () => {
  it('a verdict: the second check of the same platform costs less and says the same', async () => {
    const attestation = await load();
    const { tdx } = attestation;
    const before = await claimsOf(attestation, quote);
    const first = await gasOf(tdx.write.verify([fullEvidence(quote)]));
    const second = await gasOf(tdx.write.verify([fullEvidence(quote)]));
    assert.ok(second + 30_000n < first, `${first}, then ${second}`);
    assert.deepEqual(await claimsOf(attestation, quote), before);
  });

  it('a key, only where it was asked for and proven', async () => {
    const attestation = await load();
    const { tdx } = attestation;
    assert.equal(await tdx.read.isKnownKey([known]), false);
    await refused(tdx.simulate.verify([known]), 'QuoteVerifierKeyUnknown');
    await tdx.write.verify([fullEvidence(quote)]);
    assert.equal(await tdx.read.isKnownKey([known]), false);
    await refused(tdx.write.verify([withByte(rememberingEvidence(quote), 129)]), 'QuoteVerifierQeSignature');
    assert.equal(await tdx.read.isKnownKey([known]), false);
    await tdx.write.verify([rememberingEvidence(quote)]);
    assert.equal(await tdx.read.isKnownKey([known]), true);
    assert.deepEqual(await claimsOf(attestation, quote, known), await claimsOf(attestation, quote));
  });

  it('renewals by a known key need nothing new, and one signature', async () => {
    const attestation = await loadRemembered();
    const reportData = new Uint8Array(64).fill(0xee);
    const renewal = mintQuote(platform, { ...measurements, reportData });
    const claims = await claimsOf(attestation, renewal, knownKeyEvidence(renewal));
    assert.equal(claims.reportDataHead, toHex(reportData.subarray(0, 32)));
    assert.equal(claims.tcb, (await claimsOf(attestation, quote)).tcb);
  });

  it('of a known key whatever its TD says of its owner', async () => {
    const attestation = await loadRemembered();
    const owned = mintQuote(platform, { ...measurements, mrOwnerConfig: new Uint8Array(48).fill(0xff) });
    assert.equal((await claimsOf(attestation, owned, knownKeyEvidence(owned))).tcbStatus, 1);
  });

  it('nothing for another key, platform, enclave or module than was proven', async () => {
    const { tdx } = await loadRemembered();
    const other = makeWorld();
    const stranger = mintQuote({ ...platform, attestationKey: generateP256Key() }, measurements);
    const svn = Uint8Array.of(7, 1, 3, ...new Array<number>(13).fill(0));
    for (const evidence of [
      knownKeyEvidence(stranger),
      knownKeyEvidence(other.quote),
      // Another platform's name before a quote that this one signed.
      concatHex(['0x03', platformKeyOf(other.quote), sliceHex(known, 33)]),
      // Another enclave's facts: mrSigner, attributes, miscSelect, isvProdId, isvSvn.
      ...[161, 193, 209, 213, 215].map((at) => withByte(known, at)),
      knownKeyEvidence(mintQuote(platform, measurements, { teeTcbSvn: svn })),
      knownKeyEvidence(mintQuote(platform, measurements, { mrSignerSeam: new Uint8Array(48).fill(1) })),
      knownKeyEvidence(mintQuote(platform, measurements, { seamAttributes: new Uint8Array(8).fill(1) })),
    ])
      await refused(tdx.simulate.verify([evidence]), 'QuoteVerifierKeyUnknown');
  });

  it('a known key signs for itself: nobody signs for it', async () => {
    const { tdx } = await loadRemembered();
    await refused(tdx.simulate.verify([withByte(known, 40)]), 'QuoteVerifierSignature');
    await refused(tdx.simulate.verify([withByte(known, size(known) - 1)]), 'QuoteVerifierSignature');
  });

  it('what a known key says is refused like anything else: debug, service TDs', async () => {
    const { tdx } = await loadRemembered();
    const debug = mintQuote(platform, measurements, { tdAttributes: Uint8Array.of(1, 0, 0, 0x10, 0, 0, 0, 0) });
    await refused(tdx.simulate.verify([knownKeyEvidence(debug)]), 'TdxVerifierAttributes', [0x10000001n]);
    const mrServiceTd = new Uint8Array(48).fill(9);
    const bound = mintQuote(platform, measurements, { version: 5, tdVersion: '1.5', mrServiceTd });
    await refused(tdx.simulate.verify([knownKeyEvidence(bound)]), 'TdxVerifierServiceTd');
  });

  it('lasts longer as soon as it matters: on its last day fresh collateral is read', async () => {
    const attestation = await loadRemembered();
    const { store, tdx } = attestation;
    const first = now - 3600 + 30 * day;
    await networkHelpers.time.increaseTo(now + 20 * day);
    await publishAt(attestation, now + 19 * day);
    assert.equal(await store.read.version(), 1);
    assert.equal((await claimsOf(attestation, quote)).validUntil, BigInt(first));
    await networkHelpers.time.increaseTo(first - day);
    assert.equal((await claimsOf(attestation, quote)).validUntil, BigInt(first));
    await networkHelpers.time.increaseTo(first - day / 2);
    const later = BigInt(now + 49 * day);
    assert.equal((await claimsOf(attestation, quote)).validUntil, later);
    assert.equal((await claimsOf(attestation, quote, known)).validUntil, later);
    await tdx.write.verify([known]);
    await networkHelpers.time.increaseTo(now + 49 * day + 1);
    await refused(claimsOf(attestation, quote), 'QuoteVerifierExpired');
    await refused(claimsOf(attestation, quote, known), 'QuoteVerifierExpired');
  });

  async function publishAt(attestation: Attestation, issuedAt: number): Promise<void> {
    const collateral = mintCollateral(sharedRoot, { issuedAt });
    for (const submission of collateralSubmissions(collateral))
      if (submission.what !== 'pck-ca' && submission.what !== 'tcb-signer') await submit(attestation, submission);
  }
});

describe('when collateral changes', () => {
  type Change = (attestation: Attestation) => Promise<void>;
  const at = now - 60;

  /** What every way of asking says now: full evidence, a known key, recheck. */
  async function outcomes(attestation: Attestation, tcb: Hex): Promise<readonly unknown[]> {
    const [status] = await attestation.tdx.read.recheck([key, tcb]);
    const said: unknown[] = [status];
    for (const evidence of [fullEvidence(quote), known])
      said.push(await claimsOf(attestation, quote, evidence).then(({ tcbStatus }) => tcbStatus, errorName));
    return said;
  }

  function errorName(error: unknown): string {
    return /custom error '(\w+)|Error: (\w+)\(/.exec(String(error))?.slice(1).find(Boolean) ?? String(error);
  }

  const cases: readonly (readonly [string, Change, readonly unknown[]])[] = [
    ['nothing', async () => {}, [1, 1, 1]],
    [
      'a downgrade',
      (attestation) => submitPart(attestation, 'tcb-info', { editTcbInfo: withStatus('OutOfDate') }),
      [5, 5, 5],
    ],
    [
      'a level that is revoked',
      (attestation) => submitPart(attestation, 'tcb-info', { editTcbInfo: withStatus('Revoked') }),
      [7, 7, 7],
    ],
    [
      'levels that the platform does not reach',
      (attestation) => submitPart(attestation, 'tcb-info', { editTcbInfo: (info) => ({ ...info, tcbLevels: [] }) }),
      [7, 'QuoteVerifierLevelNotFound', 'QuoteVerifierLevelNotFound'],
    ],
    [
      'a QE that is out of date',
      (attestation) => submitPart(attestation, 'qe-identity', { editQeIdentity: qeLevel(1, 'OutOfDate') }),
      [5, 5, 5],
    ],
    [
      'a QE below every level',
      (attestation) => submitPart(attestation, 'qe-identity', { editQeIdentity: qeLevel(99, 'UpToDate') }),
      [7, 'QuoteVerifierQeLevelNotFound', 'QuoteVerifierQeLevelNotFound'],
    ],
    [
      "another QE than the platform's",
      (attestation) =>
        submitPart(attestation, 'qe-identity', { editQeIdentity: (identity) => ({ ...identity, isvprodid: 9 }) }),
      [7, 'QuoteVerifierQeMismatch', 'QuoteVerifierQeMismatch'],
    ],
    [
      "another module than the platform's",
      (attestation) => submitPart(attestation, 'tcb-info', { editTcbInfo: withModules({ mrsigner: 'AB'.repeat(48) }) }),
      [7, 'TdxVerifierModuleMismatch', 'TdxVerifierModuleMismatch'],
    ],
    [
      'a module of another signer in its first bytes alone',
      (attestation) =>
        submitPart(attestation, 'tcb-info', {
          editTcbInfo: withModules({ mrsigner: `${'AB'.repeat(32)}${'00'.repeat(16)}` }),
        }),
      [7, 'TdxVerifierModuleMismatch', 'TdxVerifierModuleMismatch'],
    ],
    [
      'a module below every level',
      (attestation) =>
        submitPart(attestation, 'tcb-info', {
          editTcbInfo: withModules({ tcbLevels: [{ tcb: { isvsvn: 99 }, tcbDate: date, tcbStatus: 'UpToDate' }] }),
        }),
      [7, 'TdxVerifierModuleLevelNotFound', 'TdxVerifierModuleLevelNotFound'],
    ],
    [
      'a module that is not named any more',
      (attestation) =>
        submitPart(attestation, 'tcb-info', { editTcbInfo: (info) => ({ ...info, tdxModuleIdentities: [] }) }),
      [7, 'TdxVerifierModuleUnknown', 'TdxVerifierModuleUnknown'],
    ],
    [
      'a module that is revoked',
      (attestation) =>
        submitPart(attestation, 'tcb-info', {
          editTcbInfo: withModules({ tcbLevels: [{ tcb: { isvsvn: 0 }, tcbDate: date, tcbStatus: 'Revoked' }] }),
        }),
      [7, 7, 7],
    ],
    [
      "the platform's certificate revoked",
      (attestation) => submitPart(attestation, 'pck-crl', { revokedPcks: [platform.pck.serial] }),
      [7, 'QuoteVerifierRevoked', 'QuoteVerifierRevoked'],
    ],
    [
      'its CA revoked',
      (attestation) => submitPart(attestation, 'root-crl', { revokedBelowRoot: [sharedRoot.pckCa.serial] }),
      [7, 'QuoteVerifierRevoked', 'QuoteVerifierRevoked'],
    ],
    [
      'the signer of its collateral revoked',
      (attestation) => submitPart(attestation, 'root-crl', { revokedBelowRoot: [sharedRoot.tcbSigner.serial] }),
      [7, 'QuoteVerifierRevoked', 'QuoteVerifierRevoked'],
    ],
    [
      'a CRL that has ended already when it is looked at',
      async (attestation) => {
        await submitPart(attestation, 'pck-crl', { lifetimeSeconds: 3600 });
        await networkHelpers.time.increaseTo(at + 3601);
      },
      [1, 'QuoteVerifierExpired', 'QuoteVerifierExpired'],
    ],
  ];
  for (const [name, change, expected] of cases)
    it(`${name}: every way of asking sees it at once`, async () => {
      const attestation = await loadRemembered();
      const { tcb } = await claimsOf(attestation, quote);
      await change(attestation);
      assert.deepEqual(await outcomes(attestation, tcb), expected);
    });

  it('recheck says evaluation and end of now', async () => {
    const attestation = await loadRemembered();
    const { tcb } = await claimsOf(attestation, quote);
    assert.deepEqual(await attestation.tdx.read.recheck([key, tcb]), [1, 20, BigInt(now - 3600 + 30 * day)]);
    await submitPart(attestation, 'tcb-info', {
      lifetimeSeconds: day,
      editTcbInfo: (info) => ({ ...info, tcbEvaluationDataNumber: 21 }),
    });
    assert.deepEqual(await attestation.tdx.read.recheck([key, tcb]), [1, 20, BigInt(at + day)]);
    await networkHelpers.time.increaseTo(at + 2 * day);
    assert.deepEqual(await attestation.tdx.read.recheck([key, tcb]), [1, 20, BigInt(at + day)]);
  });

  it('recheck of what no verifier said is revoked', async () => {
    const { tdx } = await loadRemembered();
    assert.equal((await tdx.read.recheck([key, toHex(0, { size: 32 })]))[0], 7);
  });

  it('recheck of a module that nobody describes is revoked, whatever its shape says', async () => {
    const attestation = await loadRemembered();
    const { store, tdx } = attestation;
    // Where no module stands, what is read of one would reach a level.
    await submitPart(attestation, 'tcb-info', { editTcbInfo: withModules({ mrsigner: '01'.repeat(48) }) });
    const { fmspc, pceId } = platform.tcb;
    const { qeIdentity } = await store.read.collateralOf([2, toHex(fmspc), toHex(pceId), 1]);
    const code = (await publicClient.getCode({ address: qeIdentity.content })) ?? '0x';
    const shape = sliceHex(keccak256(concatHex([keccak256(sliceHex(code, 1, 75)), toHex(0, { size: 32 })])), 0, 6);
    const tcbOf = (version: number) =>
      concatHex([toHex(Uint8Array.of(255, version)), `0x${'ff'.repeat(14)}`, '0x0008', toHex(0, { size: 8 }), shape]);
    assert.equal((await tdx.read.recheck([key, tcbOf(9)]))[0], 7);
  });

  it('what a known key says is remembered under it', async () => {
    const attestation = await loadRemembered();
    const { tdx } = attestation;
    await submitPart(attestation, 'tcb-info', { editTcbInfo: withStatus('OutOfDate') });
    const first = await gasOf(tdx.write.verify([known]));
    const second = await gasOf(tdx.write.verify([known]));
    assert.ok(second + 30_000n < first, `${first}, then ${second}`);
  });

  it('an upgrade is seen as well', async () => {
    const attestation = await networkHelpers.loadFixture(outdated);
    assert.equal((await claimsOf(attestation, quote)).tcbStatus, 5);
    const { tcb } = await claimsOf(attestation, quote);
    await submitPart(attestation, 'tcb-info', { issuedAt: now - 30 });
    assert.deepEqual(await outcomes(attestation, tcb), [1, 1, 1]);
  });

  it('an enclave of SGX, too', async () => {
    const attestation = await networkHelpers.loadFixture(sgxRemembered);
    const evidence = knownKeyEvidence(sgxQuote());
    const claims = await claimsOf(attestation, sgxQuote(), evidence);
    assert.equal(claims.tcbStatus, 1);
    const sgxKey = claims.platformKey;
    assert.equal((await attestation.sgx.read.recheck([sgxKey, claims.tcb]))[0], 1);
    const revoked = mintCollateral(sharedRoot, { issuedAt: now - 30, revokedPcks: [sgxSerial()] });
    for (const submission of collateralSubmissions(revoked))
      if (submission.what === 'pck-crl') await submit(attestation, submission);
    assert.equal((await attestation.sgx.read.recheck([sgxKey, claims.tcb]))[0], 7);
    await refused(claimsOf(attestation, sgxQuote(), evidence), 'QuoteVerifierRevoked', [sgxKey]);
  });

  const date = '2026-01-01T00:00:00Z';

  function qeLevel(isvsvn: number, tcbStatus: string) {
    return (identity: JsonObject) => ({ ...identity, tcbLevels: [{ tcb: { isvsvn }, tcbDate: date, tcbStatus }] });
  }

  function withModules(changes: JsonObject) {
    return (info: JsonObject) => ({
      ...info,
      tdxModuleIdentities: (info.tdxModuleIdentities as JsonObject[]).map((module) => ({ ...module, ...changes })),
    });
  }

  async function outdated() {
    const attestation = await remembered();
    await submitPart(attestation, 'tcb-info', { editTcbInfo: withStatus('OutOfDate') });
    return attestation;
  }

  async function sgxRemembered() {
    const attestation = await deployAttestation(connection);
    await publish(attestation, sgxCollateral(forSgx));
    await attestation.pckRegistry.write.registerPck([certificateOf(sgxQuote())]);
    await attestation.sgx.write.verify([rememberingEvidence(sgxQuote())]);
    return attestation;
  }

  /** TCB info as Intel writes it for SGX. */
  function forSgx(info: JsonObject): JsonObject {
    const { tdxModule: _, tdxModuleIdentities: __, ...rest } = info;
    return {
      ...rest,
      tcbLevels: (info.tcbLevels as JsonObject[]).map((level) => {
        const { tdxtcbcomponents: ___, ...tcb } = level.tcb as JsonObject;
        return { ...level, tcb };
      }),
    };
  }
});

/** The serial number of the enclave's platform certificate. */
function sgxSerial(): Uint8Array {
  const der = Buffer.from(certificateOf(sgxQuote()).slice(2), 'hex');
  const from = der.indexOf(Buffer.from('a003020102', 'hex')) + 5;
  return Uint8Array.from(der.subarray(from + 2, from + 2 + (der[from + 1] ?? 0)));
}
