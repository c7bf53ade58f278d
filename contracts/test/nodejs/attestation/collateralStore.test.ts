import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { type CollateralSubmission, collateralSubmissions } from '@cloister/attestation/onchain';
import {
  type CertificateSpec,
  type CrlSpec,
  extension,
  generateP256Key,
  issueCertificate,
  issueCrl,
  type JsonObject,
  type MintCollateralOptions,
  mintCollateral,
  randomSerial,
  signP256,
  signsCertificates,
  signsData,
} from '@cloister/attestation/unsafe-simulated';
import { network } from 'hardhat';
import { type Hex, keccak256, sliceHex, stringToHex, toHex, zeroAddress, zeroHash } from 'viem';
import {
  atNow,
  deployAttestation,
  devName,
  intelRoot,
  keyOf,
  makeWorld,
  now,
  platformKeyOf,
  publish,
  sharedRoot,
  submit,
} from '../../support/attestation.ts';
import { refused } from '../../support/refused.ts';

const connection = await network.create(atNow);
const { networkHelpers, viem } = connection;
const day = 86_400;
const { root, pckCa, tcbSigner } = sharedRoot;
const good = mintCollateral(sharedRoot, { issuedAt: now - 3600 });

const empty = () => deployAttestation(connection);
async function filled() {
  const attestation = await deployAttestation(connection);
  await publish(attestation, good);
  return attestation;
}
const load = () => networkHelpers.loadFixture(filled);
const loadEmpty = () => networkHelpers.loadFixture(empty);

/** One part of fresh collateral; later by `later` seconds than the one that is there. */
function part(
  what: CollateralSubmission['what'],
  options: Partial<MintCollateralOptions> = {},
  later = 10,
): CollateralSubmission {
  const collateral = mintCollateral(sharedRoot, { issuedAt: now - 3600 + later, ...options });
  const found = collateralSubmissions(collateral).find((submission) => submission.what === what);
  return found ?? assert.fail(`Expected "${what}"`);
}

function certificate(changes: Partial<CertificateSpec> = {}): Hex {
  return toHex(
    issueCertificate({
      subject: devName('tcbSigning'),
      issuer: root.commonName,
      publicKey: tcbSigner.key.publicKey,
      signer: root.key,
      serial: randomSerial(),
      notBefore: now - 3600,
      notAfter: now + 365 * day,
      isCa: false,
      keyUsage: signsData,
      issuerPublicKey: root.key.publicKey,
      ...changes,
    }),
  );
}

function caCertificate(changes: Partial<CertificateSpec> = {}): Hex {
  return certificate({
    subject: devName('pckCa'),
    publicKey: pckCa.key.publicKey,
    isCa: true,
    pathLength: 0,
    keyUsage: signsCertificates,
    ...changes,
  });
}

function crl(changes: Partial<CrlSpec> = {}): Hex {
  const spec = { issuer: pckCa.commonName, signer: pckCa.key, thisUpdate: now - 60, nextUpdate: now + 30 * day };
  return toHex(issueCrl({ ...spec, revoked: [], ...changes }));
}

const rootCrl = (changes: Partial<CrlSpec> = {}) => crl({ issuer: root.commonName, signer: root.key, ...changes });

/** A statement signed by the present signer. */
function signed(json: Hex, key = tcbSigner.key): readonly [Hex, Hex, Hex] {
  const signature = toHex(signP256(key, Buffer.from(json.slice(2), 'hex')));
  return [json, sliceHex(signature, 0, 32), sliceHex(signature, 32)];
}

const lowered = (tcbStatus: string) => (info: JsonObject) => {
  const [first, ...rest] = info.tcbLevels as JsonObject[];
  return { ...info, tcbLevels: [{ ...first, tcbStatus }, ...rest] };
};

describe('the root', () => {
  it("is real where it is Intel's key, and simulated anywhere else", async () => {
    const real = await viem.deployContract('CollateralStore', [intelRoot.x, intelRoot.y]);
    assert.equal(await real.read.simulated(), false);
    for (const [x, y] of [
      [intelRoot.x, intelRoot.y ^ 1n],
      [intelRoot.x ^ 1n, intelRoot.y],
      [intelRoot.y, intelRoot.x],
    ] as const) {
      const other = await viem.deployContract('CollateralStore', [x, y]);
      assert.equal(await other.read.simulated(), true);
    }
    const { store } = await load();
    assert.equal(await store.read.ROOT_X(), keyOf(sharedRoot).x);
    assert.equal(await store.read.ROOT_Y(), keyOf(sharedRoot).y);
  });

  it('must be a key', async () => {
    await refused(viem.deployContract('CollateralStore', [0n, 1n]), 'CollateralStoreRootMissing', [0n, 1n]);
    await refused(viem.deployContract('CollateralStore', [1n, 0n]), 'CollateralStoreRootMissing', [1n, 0n]);
  });
});

it('a chain without P256VERIFY takes nothing', async () => {
  const older = await network.create({ override: { ...atNow.override, hardfork: 'prague' } });
  const { store } = await deployAttestation(older);
  await refused(store.write.submitRootCrl([rootCrl()]), 'CollateralStoreSignature');
  await older.close();
});

it('a chain with something else where P256VERIFY is takes nothing, unless it says 1 in one word', async () => {
  const older = await network.create({ override: { ...atNow.override, hardfork: 'prague' } });
  const { store } = await deployAttestation(older);
  // One word that says 2, 1 in a revert, two words of which the first says 1, and 31 bytes.
  for (const code of [
    '0x60025f5260205ff3',
    '0x60015f5260205ffd',
    '0x60015f5260405ff3',
    '0x60015f52601f6001f3',
  ] as const) {
    await older.networkHelpers.setCode('0x0000000000000000000000000000000000000100', code);
    await refused(store.write.submitRootCrl([rootCrl()]), 'CollateralStoreSignature');
  }
  await older.networkHelpers.setCode('0x0000000000000000000000000000000000000100', '0x60015f5260205ff3');
  await store.write.submitRootCrl([rootCrl()]);
  await older.close();
});

describe("below Intel's root", () => {
  const intels = () => viem.deployContract('CollateralStore', [intelRoot.x, intelRoot.y]);

  it("only the names of Intel's roles are roles", async () => {
    const store = await intels();
    const simulated = 'CollateralStoreRole';
    const issuer = 'Intel SGX Root CA';
    await refused(store.write.submitTcbSigner([certificate()]), simulated);
    await refused(store.write.submitPckCa([caCertificate()]), simulated);
    await refused(store.write.submitRootCrl([rootCrl()]), 'CollateralStoreIssuer');
    // Of these only the signature is wrong.
    const signature = 'CollateralStoreSignature';
    await refused(store.write.submitRootCrl([rootCrl({ issuer })]), signature);
    await refused(store.write.submitTcbSigner([certificate({ issuer, subject: 'Intel SGX TCB Signing' })]), signature);
    for (const subject of ['Intel SGX PCK Platform CA', 'Intel SGX PCK Processor CA'])
      await refused(store.write.submitPckCa([caCertificate({ issuer, subject })]), signature);
    await refused(store.write.submitPckCa([caCertificate({ issuer, subject: 'Intel SGX PCK CA' })]), simulated);
  });

  it("only the name of Intel's platform certificates is theirs", async () => {
    const pckRegistry = await viem.deployContract('PckRegistry', [(await intels()).address]);
    const register = (subject: string) => pckRegistry.write.registerPck([certificate({ subject })]);
    await refused(register(devName('pck')), 'PckRegistryRole');
    await refused(register('Intel SGX PCK Certificate'), 'PckRegistryIssuerUnknown');
  });
});

describe('the order of trust', () => {
  it('starts with the list of the root', async () => {
    const { store } = await loadEmpty();
    await refused(store.write.submitPckCa([caCertificate()]), 'CollateralStoreRootCrlMissing');
    await refused(store.write.submitTcbSigner([certificate()]), 'CollateralStoreRootCrlMissing');
    await store.write.submitRootCrl([rootCrl({ nextUpdate: now + day })]);
    assert.deepEqual(await store.read.rootCrl(), [now - 60, now + day]);
    await networkHelpers.time.increaseTo(now + 2 * day);
    await refused(store.write.submitPckCa([caCertificate()]), 'CollateralStoreRootCrlMissing');
  });

  it('no list of an unknown CA, no statement without a signer', async () => {
    const { store } = await loadEmpty();
    await refused(store.write.submitPckCrl([crl()]), 'CollateralStoreIssuer');
    await refused(store.write.submitTcbInfo(signed('0x7b7d')), 'CollateralStoreSignerMissing', []);
    await refused(store.write.submitQeIdentity(signed('0x7b7d')), 'CollateralStoreSignerMissing', []);
  });

  it('each event names what was taken, and the version after it', async () => {
    const { store } = await loadEmpty();
    const submissions = collateralSubmissions(good);
    const seen: unknown[] = [];
    for (const submission of submissions) {
      await submit({ store } as Awaited<ReturnType<typeof empty>>, submission);
      const events = [
        ...(await store.getEvents.RootCrlSubmitted()),
        ...(await store.getEvents.PckCaSubmitted()),
        ...(await store.getEvents.TcbSignerSubmitted()),
        ...(await store.getEvents.PckCrlSubmitted()),
        ...(await store.getEvents.TcbInfoSubmitted()),
        ...(await store.getEvents.QeIdentitySubmitted()),
      ];
      assert.equal(events.length, 1);
      seen.push([events[0]?.eventName, events[0]?.args.version]);
    }
    assert.deepEqual(seen, [
      ['RootCrlSubmitted', 1],
      ['PckCaSubmitted', 1],
      ['PckCrlSubmitted', 1],
      ['TcbSignerSubmitted', 1],
      ['TcbInfoSubmitted', 1],
      ['QeIdentitySubmitted', 1],
    ]);
  });
});

describe('newer replaces older, never the reverse', () => {
  it('the same again is nothing newer, whatever it is', async () => {
    const attestation = await load();
    for (const submission of collateralSubmissions(good))
      await refused(submit(attestation, submission), 'CollateralStoreNotNewer');
  });

  it('older ones stay away, with the times', async () => {
    const { store } = await load();
    const at = now - 3600;
    const older = { thisUpdate: at - 1 };
    await refused(store.write.submitRootCrl([rootCrl(older)]), 'CollateralStoreNotNewer', [at - 1, at]);
    await refused(store.write.submitPckCrl([crl(older)]), 'CollateralStoreNotNewer', [at - 1, at]);
    await refused(submit(await load(), part('tcb-info', {}, -1)), 'CollateralStoreNotNewer', [at - 1, at]);
    await refused(submit(await load(), part('qe-identity', {}, -1)), 'CollateralStoreNotNewer', [at - 1, at]);
    const begins = now - day;
    await refused(store.write.submitPckCa([caCertificate({ notBefore: begins })]), 'CollateralStoreNotNewer', [
      begins,
      begins,
    ]);
    await refused(store.write.submitTcbSigner([certificate({ notBefore: begins })]), 'CollateralStoreNotNewer', [
      begins,
      begins,
    ]);
  });

  it('a newer statement of an earlier evaluation stays away', async () => {
    const attestation = await load();
    const earlier = (document: JsonObject) => ({ ...document, tcbEvaluationDataNumber: 19 });
    for (const submission of [
      part('tcb-info', { editTcbInfo: earlier }),
      part('qe-identity', { editQeIdentity: earlier }),
    ])
      await refused(submit(attestation, submission), 'CollateralStoreEvaluationLowered', [19, 20]);
  });

  it('a CA known by its name and key id keeps its key', async () => {
    const { store } = await load();
    const other = generateP256Key();
    const der = issueCertificate({
      subject: devName('pckCa'),
      issuer: root.commonName,
      publicKey: other.publicKey,
      signer: root.key,
      serial: randomSerial(),
      notBefore: now - 60,
      notAfter: now + day,
      isCa: true,
      keyUsage: signsCertificates,
      issuerPublicKey: root.key.publicKey,
    });
    // The other key under the key id of the CA's.
    const [ours, theirs] = [pckCa.key.publicKey, other.publicKey].map((key) => keyIdOf(key));
    const renamed = Buffer.from(
      toHex(der)
        .replace(theirs ?? '', ours ?? '')
        .slice(2),
      'hex',
    );
    const resigned = resign(renamed);
    await refused(store.write.submitPckCa([toHex(resigned)]), 'CollateralStoreKeyChanged');
    // Keys that have one coordinate in common with the CA's.
    const [x, y] = [pckCa.key.publicKey.subarray(0, 32), pckCa.key.publicKey.subarray(32)];
    for (const publicKey of [concat(x, y.toReversed()), concat(x.toReversed(), y)]) {
      const changed = caCertificate({ publicKey, notBefore: now - 60 }).replace(keyIdOf(publicKey), ours ?? '');
      const resignedToo = resign(Buffer.from(changed.slice(2), 'hex'));
      await refused(store.write.submitPckCa([toHex(resignedToo)]), 'CollateralStoreKeyChanged');
    }
    await store.write.submitPckCa([toHex(der)]);
  });
});

/** What each of these is taken until, and from when it is: both ends belong to it. */
describe('times', () => {
  const at = now + 5 * day;
  type Store = Awaited<ReturnType<typeof empty>>['store'];
  const takesAt = async (second: number, send: (store: Store) => Promise<unknown>, error?: string) => {
    const { store } = await load();
    await networkHelpers.time.setNextBlockTimestamp(second);
    if (error === undefined) await send(store);
    else await refused(send(store), error);
  };

  it('of certificates', async () => {
    for (const send of [
      (spec: Partial<CertificateSpec>) => (store: Store) => store.write.submitTcbSigner([certificate(spec)]),
      (spec: Partial<CertificateSpec>) => (store: Store) => store.write.submitPckCa([caCertificate(spec)]),
    ]) {
      await takesAt(at - 1, send({ notBefore: at }), 'CollateralStoreNotYetValid');
      await takesAt(at, send({ notBefore: at }));
      await takesAt(at, send({ notAfter: at }));
      await takesAt(at + 1, send({ notAfter: at }), 'CollateralStoreExpired');
    }
  });

  it('of lists', async () => {
    for (const send of [
      (spec: Partial<CrlSpec>) => (store: Store) => store.write.submitRootCrl([rootCrl(spec)]),
      (spec: Partial<CrlSpec>) => (store: Store) => store.write.submitPckCrl([crl(spec)]),
    ]) {
      await takesAt(at - 1, send({ thisUpdate: at }), 'CollateralStoreNotYetValid');
      await takesAt(at, send({ thisUpdate: at }));
      await takesAt(at, send({ nextUpdate: at }));
      await takesAt(at + 1, send({ nextUpdate: at }), 'CollateralStoreExpired');
    }
  });

  it("of the root's list, under which certificates are taken", async () => {
    const under = async (store: Store) => {
      await store.write.submitRootCrl([rootCrl({ nextUpdate: at })]);
      return (second: number) => networkHelpers.time.setNextBlockTimestamp(second);
    };
    for (const [second, error] of [
      [at, undefined],
      [at + 1, 'CollateralStoreRootCrlMissing'],
    ] as const) {
      const { store } = await load();
      await (await under(store))(second);
      const sent = store.write.submitTcbSigner([certificate()]);
      if (error === undefined) await sent;
      else await refused(sent, error, [at, at + 1]);
    }
  });

  it('of a CA and a signer, of what they sign', async () => {
    for (const [second, ca, signer] of [
      [at, undefined, undefined],
      [at + 1, 'CollateralStoreExpired', 'CollateralStoreSignerExpired'],
    ] as const) {
      for (const [error, send] of [
        [ca, (store: Store) => store.write.submitPckCrl([crl()])],
        [signer, (store: Store) => submit({ store } as Awaited<ReturnType<typeof empty>>, part('tcb-info'))],
      ] as const) {
        const { store } = await load();
        await store.write.submitPckCa([caCertificate({ notAfter: at })]);
        await store.write.submitTcbSigner([certificate({ notAfter: at })]);
        await networkHelpers.time.setNextBlockTimestamp(second);
        if (error === undefined) await send(store);
        else await refused(send(store), error);
      }
    }
  });

  it('beyond 2106 end then', async () => {
    const { store } = await load();
    const last = 2 ** 32 - 1;
    await store.write.submitTcbSigner([certificate({ notAfter: last + 1000 })]);
    assert.equal((await store.getEvents.TcbSignerSubmitted())[0]?.args.notAfter, last);
    await store.write.submitPckCa([caCertificate({ notAfter: last + 1000 })]);
    assert.equal((await store.getEvents.PckCaSubmitted())[0]?.args.notAfter, last);
    await store.write.submitRootCrl([rootCrl({ nextUpdate: last + 1000 })]);
    assert.deepEqual(await store.read.rootCrl(), [now - 60, last]);
  });

  it('begin with the first second that there is', async () => {
    const { store } = await loadEmpty();
    await store.write.submitRootCrl([rootCrl()]);
    await store.write.submitTcbSigner([certificate({ notBefore: 0 })]);
    const attestation = { store } as Awaited<ReturnType<typeof empty>>;
    for (const what of ['tcb-info', 'qe-identity'] as const)
      await submit(attestation, part(what, { issuedAt: 0, lifetimeSeconds: now + day }));
  });
});

describe('the version', () => {
  const versionAfter = async (...submissions: readonly CollateralSubmission[]) => {
    const attestation = await load();
    assert.equal(await attestation.store.read.version(), 1);
    for (const submission of submissions) await submit(attestation, submission);
    return attestation.store.read.version();
  };

  it('stays where everything only lasts longer', async () => {
    const all = (['root-crl', 'pck-crl', 'tcb-info', 'qe-identity'] as const).map((what) => part(what));
    assert.equal(await versionAfter(...all), 1);
    const attestation = await load();
    await attestation.store.write.submitTcbSigner([certificate()]);
    assert.equal(await attestation.store.read.version(), 1);
  });

  it('stays where advisories alone change, and where another kind of platform is added', async () => {
    const advised = (info: JsonObject) => {
      const [first, ...rest] = info.tcbLevels as JsonObject[];
      return { ...info, tcbLevels: [{ ...first, advisoryIDs: ['DEV-SA-1', 'DEV-SA-2'] }, ...rest] };
    };
    assert.equal(await versionAfter(part('tcb-info', { editTcbInfo: advised })), 1);
    const other = (info: JsonObject) => ({ ...lowered('OutOfDate')(info), fmspc: '010203040506' });
    assert.equal(await versionAfter(part('tcb-info', { editTcbInfo: other })), 1);
  });

  it('grows where a status changes, an evaluation, a revocation', async () => {
    const evaluated = (document: JsonObject) => ({ ...document, tcbEvaluationDataNumber: 21 });
    for (const submission of [
      part('tcb-info', { editTcbInfo: lowered('OutOfDate') }),
      part('tcb-info', { editTcbInfo: evaluated }),
      part('qe-identity', { editQeIdentity: evaluated }),
      part('qe-identity', { editQeIdentity: (identity) => ({ ...identity, isvprodid: 3 }) }),
      part('pck-crl', { revokedPcks: [randomSerial()] }),
      part('root-crl', { revokedBelowRoot: [pckCa.serial] }),
      part('root-crl', { revokedBelowRoot: [tcbSigner.serial] }),
    ])
      assert.equal(await versionAfter(submission), 2);
    assert.equal(await versionAfter(part('root-crl', { revokedBelowRoot: [randomSerial()] })), 1);
  });

  it('grows where something ends earlier than before', async () => {
    for (const what of ['root-crl', 'pck-crl', 'tcb-info', 'qe-identity'] as const)
      assert.equal(await versionAfter(part(what, { lifetimeSeconds: 20 * day })), 2);
    const { store } = await load();
    await store.write.submitPckCa([caCertificate({ notAfter: now + day })]);
    assert.equal(await store.read.version(), 2);
  });

  it('stays where newer collateral ends when the present does', async () => {
    const ends = now - 3600 + 30 * day;
    const { store } = await load();
    await store.write.submitRootCrl([rootCrl({ nextUpdate: ends })]);
    await store.write.submitPckCrl([crl({ nextUpdate: ends })]);
    assert.equal(await store.read.version(), 1);
    const lifetimeSeconds = 30 * day - 10;
    assert.equal(
      await versionAfter(part('tcb-info', { lifetimeSeconds }), part('qe-identity', { lifetimeSeconds })),
      1,
    );
  });

  it('grows again when a revocation is taken back', async () => {
    const revoked = part('root-crl', { revokedBelowRoot: [pckCa.serial] });
    assert.equal(await versionAfter(revoked, part('root-crl', {}, 20)), 3);
  });
});

describe('revocations', () => {
  it('of a CA: its list is refused; a new certificate of it is welcome', async () => {
    const attestation = await load();
    const { store } = attestation;
    await submit(attestation, part('root-crl', { revokedBelowRoot: [pckCa.serial] }));
    await refused(store.write.submitPckCrl([crl()]), 'CollateralStoreRevoked');
    await store.write.submitPckCa([caCertificate()]);
    await store.write.submitPckCrl([crl()]);
  });

  it('of the signer: what it signs is refused, and gives way to whatever its successor signs', async () => {
    const attestation = await load();
    const { store } = attestation;
    await submit(attestation, part('root-crl', { revokedBelowRoot: [tcbSigner.serial] }));
    await refused(submit(attestation, part('tcb-info')), 'CollateralStoreSignerRevoked', [1]);
    const successor = { ...tcbSigner, key: generateP256Key() };
    await store.write.submitTcbSigner([certificate({ publicKey: successor.key.publicKey })]);
    await refused(submit(attestation, part('tcb-info')), 'CollateralStoreSignature');
    const later = mintCollateral(
      { ...sharedRoot, tcbSigner: successor },
      {
        issuedAt: now - 7200,
        editTcbInfo: (info) => ({ ...info, tcbEvaluationDataNumber: 3 }),
      },
    );
    for (const submission of collateralSubmissions(later))
      if (submission.what === 'tcb-info') await submit(attestation, submission);
    const { tcbInfo, signersRevoked } = await store.read.collateralOf([2, '0xde5100000000', '0x0000', 1]);
    assert.deepEqual([tcbInfo.evaluation, tcbInfo.signer, tcbInfo.issuedAt], [3, 2, now - 7200]);
    // The QE identity is still the revoked one's.
    assert.equal(signersRevoked, true);
    // The QE identity is still the revoked one's.
    assert.equal(signersRevoked, true);
    const both = async () => (await store.read.collateralOf([2, '0xde5100000000', '0x0000', 1])).signersRevoked;
    for (const submission of collateralSubmissions(later))
      if (submission.what === 'qe-identity') await submit(attestation, submission);
    assert.equal(await both(), false);
  });

  it('of the signer of TCB info alone', async () => {
    const attestation = await load();
    const { store } = attestation;
    const successor = { ...tcbSigner, key: generateP256Key() };
    await store.write.submitTcbSigner([certificate({ publicKey: successor.key.publicKey })]);
    const later = mintCollateral({ ...sharedRoot, tcbSigner: successor }, { issuedAt: now - 60 });
    for (const submission of collateralSubmissions(later))
      if (submission.what === 'qe-identity') await submit(attestation, submission);
    const revoked = async () => (await store.read.collateralOf([2, '0xde5100000000', '0x0000', 1])).signersRevoked;
    assert.equal(await revoked(), false);
    await submit(attestation, part('root-crl', { revokedBelowRoot: [tcbSigner.serial] }));
    assert.equal(await revoked(), true);
  });

  it('are found at the first, the last and any place of a list, and nowhere else', async () => {
    const serials = Array.from({ length: 60 }, randomSerial);
    const attestation = await load();
    await submit(attestation, part('pck-crl', { revokedPcks: [...serials, ...serials] }));
    const events = await attestation.store.getEvents.PckCrlSubmitted();
    assert.equal(events[0]?.args.revoked, 60n);
    const { revocations } = await attestation.store.read.collateralOf([2, '0xde5100000000', '0x0000', 1]);
    const code = await (await viem.getPublicClient()).getCode({ address: revocations });
    const tags = serials.map((serial) => keccak256(serial).slice(2, 34)).sort();
    assert.equal(code, `0x00${tags.join('')}`);
  });

  it('of nobody take no room', async () => {
    const { store } = await load();
    const { revocations } = await store.read.collateralOf([2, '0xde5100000000', '0x0000', 1]);
    assert.equal(revocations, zeroAddress);
  });
});

describe('signers', () => {
  it('end what they sign', async () => {
    const attestation = await load();
    await attestation.store.write.submitTcbSigner([certificate({ notAfter: now + day })]);
    await submit(attestation, part('tcb-info'));
    const { tcbInfo } = await attestation.store.read.collateralOf([2, '0xde5100000000', '0x0000', 1]);
    assert.equal(tcbInfo.validUntil, now + day);
    await networkHelpers.time.increaseTo(now + day + 1);
    await refused(submit(attestation, part('tcb-info', {}, 20)), 'CollateralStoreSignerExpired');
  });

  it('are at most 151', async () => {
    const { store } = await load();
    for (let index = 2; index <= 151; index++)
      await store.write.submitTcbSigner([certificate({ notBefore: now - 3600 + index })]);
    await refused(store.write.submitTcbSigner([certificate({ notBefore: now - 60 })]), 'CollateralStoreTooMany', [
      152n,
      151n,
    ]);
  });
});

describe('CAs', () => {
  it("are at most 254, and the root's list reaches every one of them in a transaction", async () => {
    const { store } = await load();
    const anotherCa = () => [caCertificate({ publicKey: generateP256Key().publicKey })] as const;
    const last = randomSerial();
    for (let index = 2; index < 254; index++) await store.write.submitPckCa(anotherCa());
    await store.write.submitPckCa([caCertificate({ publicKey: generateP256Key().publicKey, serial: last })]);
    await refused(store.write.submitPckCa(anotherCa()), 'CollateralStoreTooMany', [255n, 254n]);
    const hash = await store.write.submitRootCrl([rootCrl({ revoked: [pckCa.serial, last] })]);
    const { gasUsed } = await (await viem.getPublicClient()).getTransactionReceipt({ hash });
    assert.ok(gasUsed < 16_777_216n / 2n, `${gasUsed} gas`);
    for (const [index, revoked] of [
      [1, true],
      [2, false],
      [253, false],
      [254, true],
    ] as const) {
      const { pckCaRevoked } = await store.read.collateralOf([2, '0xde5100000000', '0x0000', index]);
      assert.equal(pckCaRevoked, revoked, `CA ${index}`);
    }
  });

  it('that nobody submitted count as revoked', async () => {
    const { store } = await load();
    for (const index of [0, 2, 255])
      assert.equal((await store.read.collateralOf([2, '0xde5100000000', '0x0000', index])).pckCaRevoked, true);
    assert.deepEqual((await store.read.pckCaOf([zeroHash]))[0], 0);
    const [index, ca] = await store.read.pckCaOf([zeroHash]);
    assert.deepEqual([index, ca.keyX, ca.keyY, ca.notAfter, ca.revoked], [0, 0n, 0n, 0, false]);
  });
});

describe('certificates', () => {
  it('of a CA must name its key', async () => {
    const { store } = await load();
    const der = Buffer.from(caCertificate().slice(2), 'hex');
    // The subject key id under an extension id that nobody knows.
    const at = der.indexOf(Buffer.from('0603551d0e', 'hex'));
    der[at + 4] = 0x7f;
    await refused(store.write.submitPckCa([toHex(resign(der))]), 'CollateralStoreKeyIdMissing', []);
    await refused(store.write.submitPckCrl([withoutKeyId()]), 'CollateralStoreKeyIdMissing', []);
  });

  it('with an unknown critical extension, an extension twice, or too many bytes', async () => {
    const { store } = await load();
    const unknown = extension('1.2.3.4', Uint8Array.of(5, 0), true);
    await refused(store.write.submitTcbSigner([certificate({ extensions: [unknown] })]), 'X509Unsupported');
    const usage = extension('2.5.29.15', Uint8Array.of(3, 2, 6, 0xc0), true);
    await refused(store.write.submitTcbSigner([certificate({ extensions: [usage] })]), 'DerReaderMalformed');
    const large = extension('1.2.3.4', new Uint8Array(5000));
    await refused(store.write.submitTcbSigner([certificate({ extensions: [large] })]), 'X509TooLarge');
  });

  it('cut short anywhere', async () => {
    const { store } = await load();
    const der = certificate();
    for (let length = 0; length < (der.length - 2) / 2; length += 7)
      await refused(store.simulate.submitTcbSigner([sliceHexOrNothing(der, length)]), 'DerReaderMalformed');
    await refused(store.simulate.submitTcbSigner([`${der}00`]), 'DerReaderMalformed');
  });

  it('that sign CRLs, but no certificates, are no CA of platforms', async () => {
    const { store } = await load();
    await refused(store.write.submitPckCa([caCertificate({ keyUsage: 0x02 })]), 'CollateralStoreKeyUsage', [2n, 6n]);
    await refused(store.write.submitPckCa([caCertificate({ keyUsage: 0x04 })]), 'CollateralStoreKeyUsage', [4n, 6n]);
  });

  it('of another role are named by the hash of their common name', async () => {
    const { store } = await load();
    await refused(
      store.write.submitPckCa([caCertificate({ subject: 'Intel SGX PCK Platform CA' })]),
      'CollateralStoreRole',
      [keccak256(stringToHex('Intel SGX PCK Platform CA'))],
    );
  });
});

describe('revocation lists', () => {
  it('that are partial, of tomorrow, over, or of another key', async () => {
    const { store } = await load();
    const delta = extension('2.5.29.27', Uint8Array.of(2, 1, 1), true);
    await refused(store.write.submitPckCrl([crl({ extensions: [delta] })]), 'X509Unsupported');
    const tomorrow = now + day;
    await refused(store.write.submitPckCrl([crl({ thisUpdate: tomorrow })]), 'CollateralStoreNotYetValid');
    await refused(store.write.submitPckCrl([crl({ nextUpdate: now - 1 })]), 'CollateralStoreExpired');
    await refused(
      store.write.submitPckCrl([crl({ signer: generateP256Key(), issuerPublicKey: pckCa.key.publicKey })]),
      'CollateralStoreSignature',
    );
    await refused(store.write.submitRootCrl([crl()]), 'CollateralStoreIssuer');
    await refused(store.write.submitRootCrl([rootCrl({ thisUpdate: tomorrow })]), 'CollateralStoreNotYetValid');
    await refused(store.write.submitRootCrl([rootCrl({ nextUpdate: now - 1 })]), 'CollateralStoreExpired');
    await refused(store.write.submitRootCrl([rootCrl({ signer: pckCa.key })]), 'CollateralStoreSignature');
  });

  it('of more than 256 kB are not read', async () => {
    const { store } = await load();
    const large = toHex(new Uint8Array(262_145));
    await refused(store.simulate.submitPckCrl([large], { gas: 16_777_216n }), 'X509TooLarge', [262_145n, 262_144n]);
  });
});

describe('statements', () => {
  it('in any other form, however small the difference', async () => {
    const { store } = await load();
    const text = mintCollateral(sharedRoot, { issuedAt: now - 60 }).tcb_info;
    const edits: readonly (readonly [RegExp | string, string])[] = [
      ['"version":3', '"version":4'],
      ['"TDX"', '"TDY"'],
      ['"tcbType":0', '"tcbType":1'],
      ['"tcbType":0', '"tcbType":00'],
      ['"tcbEvaluationDataNumber":20', '"tcbEvaluationDataNumber":65536'],
      ['"tcbEvaluationDataNumber":20', '"tcbEvaluationDataNumber":-1'],
      ['"tcbEvaluationDataNumber":20', '"tcbEvaluationDataNumber":2e1'],
      ['"pcesvn":13', '"pcesvn":013'],
      ['"pcesvn":13', '"pcesvn":65536'],
      ['{"svn":3}', '{"svn":256}'],
      ['{"svn":3}', '{"svn":"3"}'],
      ['{"svn":3}', '{"svn":3,"other":"x"}'],
      ['{"svn":3}', '{"svn":3,"category":"a\\"b"}'],
      ['{"svn":3}', `{"svn":3,"category":"${'x'.repeat(65)}"}`],
      ['{"svn":3}', '{"svn":3,"category":"ü"}'],
      ['{"svn":3}', '{"svn":3,"category":"\n"}'],
      ['"UpToDate"', '"UpToDatf"'],
      ['"UpToDate"', '"Fine"'],
      ['"UpToDate"', '"UpToDate '],
      ['"mrsigner":"0', '"mrsigner":"g'],
      ['"mrsigner":"0', '"mrsigner":" '],
      ['"mrsigner":"0', '"mrsigner":"00'],
      ['"attributesMask":"FF', '"attributesMask":"F'],
      ['T', ' '],
      [/"issueDate":"\d{4}/, '"issueDate":"1969'],
      [/"issueDate":"(\d{4})-\d\d/, '"issueDate":"$1-13'],
      [/"issueDate":"(\d{4}-\d\d)-\d\d/, '"issueDate":"$1-32'],
      [/,"tcbLevels":\[\{"tcb":\{"sgx/, ',"tcbLevels":[,{"tcb":{"sgx'],
      [/\]\}$/, ',]}'],
      [/\}$/, ''],
      [/\}$/, '},'],
      [/\}$/, '}}'],
      [/\}$/, '} '],
      [/^/, ' '],
    ];
    for (const [from, to] of edits) {
      const edited = text.replace(from, to);
      assert.notEqual(edited, text, String(from));
      await refused(store.simulate.submitTcbInfo(signed(stringToHex(edited))), 'JsonReaderMalformed');
    }
    await store.simulate.submitTcbInfo(signed(stringToHex(text)));
  });

  it('cut short anywhere, whatever follows in the call', async () => {
    const { store } = await load();
    const { tcb_info, qe_identity } = mintCollateral(sharedRoot, { issuedAt: now - 60 });
    for (let length = 0; length < tcb_info.length; length += 61)
      await refused(
        store.simulate.submitTcbInfo(signed(stringToHex(tcb_info.slice(0, length)))),
        'JsonReaderMalformed',
      );
    for (let length = 0; length < qe_identity.length; length += 17)
      await refused(
        store.simulate.submitQeIdentity(signed(stringToHex(qe_identity.slice(0, length)))),
        'JsonReaderMalformed',
      );
  });

  it('one in the place of the other', async () => {
    const { store } = await load();
    const { tcb_info, qe_identity } = mintCollateral(sharedRoot, { issuedAt: now - 60 });
    await refused(store.simulate.submitQeIdentity(signed(stringToHex(tcb_info))), 'JsonReaderMalformed');
    await refused(store.simulate.submitTcbInfo(signed(stringToHex(qe_identity))), 'JsonReaderMalformed');
  });

  it('as large as they may be are read', async () => {
    const { store } = await load();
    const large = signed(stringToHex(' '.repeat(32_768)));
    await refused(store.simulate.submitTcbInfo(large), 'JsonReaderMalformed');
    await refused(store.simulate.submitQeIdentity(large), 'JsonReaderMalformed');
    const certificateBytes = toHex(new Uint8Array(4096));
    await refused(store.simulate.submitTcbSigner([certificateBytes]), 'DerReaderMalformed');
    const list = toHex(new Uint8Array(262_144));
    await refused(store.simulate.submitPckCrl([list], { gas: 16_777_216n }), 'DerReaderMalformed');
  });

  it('beyond all bounds', async () => {
    const { store } = await load();
    const large = signed(stringToHex(' '.repeat(32_769)));
    await refused(store.simulate.submitTcbInfo(large), 'IntelJsonTooLarge', [32_769n, 32_768n]);
    await refused(store.simulate.submitQeIdentity(large), 'IntelJsonTooLarge', [32_769n, 32_768n]);
  });

  it('of tomorrow, over, or signed by somebody else', async () => {
    const attestation = await load();
    await refused(submit(attestation, part('tcb-info', { issuedAt: now + day })), 'CollateralStoreNotYetValid');
    await refused(submit(attestation, part('qe-identity', { lifetimeSeconds: 60 })), 'CollateralStoreExpired');
    const { tcb_info } = mintCollateral(sharedRoot, { issuedAt: now - 60 });
    const forged = signed(stringToHex(tcb_info), root.key);
    await refused(attestation.store.write.submitTcbInfo(forged), 'CollateralStoreSignature');
  });

  it('that find no room for their content, for want of gas, change nothing', async () => {
    const attestation = await load();
    const submission = part('tcb-info', { editTcbInfo: lowered('OutOfDate') });
    if (!('json' in submission)) assert.fail('Expected a statement');
    const args = [submission.json, submission.r, submission.s] as const;
    let gas = await attestation.store.estimateGas.submitTcbInfo(args);
    // The creation gets 63/64 of what is left: with less than it needs, it fails and the rest says so.
    let named = false;
    for (; gas > 100_000n && !named; gas -= 1_000n)
      named = await refused(attestation.store.simulate.submitTcbInfo(args, { gas }), 'CodeBlobNotCreated').then(
        () => true,
        () => false,
      );
    assert.equal(named, true);
    assert.equal(await attestation.store.read.version(), 1);
  });
});

describe('what nobody submitted is not there', () => {
  it('of any kind of platform', async () => {
    const { store, pckRegistry } = await load();
    const unknown = await store.read.collateralOf([2, '0x010203040506', '0x0000', 9]);
    assert.equal(unknown.tcbInfo.content, zeroAddress);
    assert.equal(unknown.pckCrlNextUpdate, 0);
    const [index] = await store.read.pckCaOf([toHex(1, { size: 32 })]);
    assert.equal(index, 0);
    const key = platformKeyOf(makeWorld().quote);
    await refused(pckRegistry.read.platformOf([key]), 'PckRegistryPlatformUnknown', [key]);
  });
});

/** The CRL without its extensions, signed again. */
function withoutKeyId(): Hex {
  const der = Buffer.from(crl({ thisUpdate: now - 30 }).slice(2), 'hex');
  const at = der.indexOf(Buffer.from('0603551d23', 'hex'));
  der[at + 4] = 0x7f;
  return toHex(resign(der, pckCa.key));
}

function concat(left: Uint8Array, right: Uint8Array): Uint8Array {
  return Uint8Array.from([...left, ...right]);
}

/** The key id that certificates bear of a key, in hexadecimal. */
function keyIdOf(publicKey: Uint8Array): string {
  const der = toHex(
    issueCertificate({
      subject: 'x',
      issuer: 'x',
      publicKey,
      signer: root.key,
      serial: Uint8Array.of(1),
      notBefore: now,
      notAfter: now,
      isCa: false,
      keyUsage: signsData,
    }),
  );
  const marker = '0603551d0e04160414';
  const at = der.indexOf(marker) + marker.length;
  return der.slice(at, at + 40);
}

/** A signed form whose signed part was edited, with a signature over it as it is now. */
function resign(der: Uint8Array, key = root.key): Uint8Array {
  const bytes = Buffer.from(der);
  const start = headerLength(bytes, 0);
  const header = headerLength(bytes, start);
  const length = header === 2 ? bytes.readUInt8(start + 1) : bytes.readUIntBE(start + 2, header - 2);
  const tbs = bytes.subarray(start, start + header + length);
  const algorithm = Buffer.from('300a06082a8648ce3d040302', 'hex');
  const signature = Buffer.from(signP256(key, tbs));
  const pair = element(0x30, Buffer.concat([0, 32].map((from) => integerOf(signature.subarray(from, from + 32)))));
  const bits = element(0x03, Buffer.concat([Buffer.from([0]), pair]));
  return element(0x30, Buffer.concat([tbs, algorithm, bits]));
}

/** Bytes of tag and length. */
function headerLength(bytes: Buffer, at: number): number {
  const first = bytes.readUInt8(at + 1);
  return first < 0x80 ? 2 : 2 + (first & 0x7f);
}

function integerOf(bytes: Buffer): Buffer {
  let start = 0;
  while (start < bytes.length - 1 && bytes[start] === 0) start++;
  const trimmed = bytes.subarray(start);
  return element(0x02, (trimmed[0] ?? 0) >= 0x80 ? Buffer.concat([Buffer.from([0]), trimmed]) : trimmed);
}

function element(tag: number, contents: Buffer): Buffer {
  const { length } = contents;
  const header =
    length < 0x80 ? [tag, length] : length < 0x100 ? [tag, 0x81, length] : [tag, 0x82, length >> 8, length & 0xff];
  return Buffer.concat([Buffer.from(header), contents]);
}

function sliceHexOrNothing(data: Hex, length: number): Hex {
  return length === 0 ? '0x' : sliceHex(data, 0, length);
}
