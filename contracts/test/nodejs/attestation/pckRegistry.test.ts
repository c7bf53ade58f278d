import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { collateralSubmissions } from '@cloister/attestation/onchain';
import {
  type CertificateSpec,
  issueCertificate,
  mintCollateral,
  type PlatformTcb,
  randomSerial,
  sgxExtension,
  signsCertificates,
  signsData,
} from '@cloister/attestation/unsafe-simulated';
import { network } from 'hardhat';
import { type Hex, keccak256, toHex, zeroAddress } from 'viem';
import {
  atNow,
  certificateOf,
  deployAttestation,
  devName,
  makeWorld,
  now,
  platformKeyOf,
  publish,
  sharedRoot,
  submit,
} from '../../support/attestation.ts';
import { refusalOf, refused } from '../../support/refused.ts';

const connection = await network.create(atNow);
const { networkHelpers, viem } = connection;
const day = 86_400;
const { pckCa } = sharedRoot;
const world = makeWorld();
const { platform } = world;
const key = platformKeyOf(world.quote);

async function filled() {
  const attestation = await deployAttestation(connection);
  await publish(attestation, world.collateral);
  return attestation;
}
const load = () => networkHelpers.loadFixture(filled);

/** A certificate of the platform's key. */
function certificate(changes: Partial<CertificateSpec> = {}, tcb: Partial<PlatformTcb> = {}): Hex {
  return toHex(
    issueCertificate({
      subject: devName('pck'),
      issuer: pckCa.commonName,
      publicKey: platform.pck.key.publicKey,
      signer: pckCa.key,
      serial: randomSerial(),
      notBefore: now - day,
      notAfter: now + 3000 * day,
      isCa: false,
      keyUsage: signsData,
      issuerPublicKey: pckCa.key.publicKey,
      extensions: [sgxExtension({ ...platform.tcb, ...tcb })],
      ...changes,
    }),
  );
}

/** A newer certificate of the CA. */
function caCertificate(notAfter: number): Hex {
  const { root } = sharedRoot;
  return toHex(
    issueCertificate({
      subject: pckCa.commonName,
      issuer: root.commonName,
      publicKey: pckCa.key.publicKey,
      signer: root.key,
      serial: randomSerial(),
      notBefore: now - 60,
      notAfter,
      isCa: true,
      keyUsage: signsCertificates,
      issuerPublicKey: root.key.publicKey,
    }),
  );
}

describe('a platform', () => {
  it('is known by its key, and as Intel certified it', async () => {
    const { pckRegistry } = await load();
    await pckRegistry.write.registerPck([certificateOf(world.quote)]);
    const { ppid, components, pceSvn, fmspc, pceId } = platform.tcb;
    assert.deepEqual(await pckRegistry.read.platformOf([key]), {
      components: toHex(Uint8Array.from(components)),
      pceSvn,
      fmspc: toHex(fmspc),
      pceId: toHex(pceId),
      notAfter: now + 2555 * day,
      pckCa: 1,
      ppid: toHex(ppid),
      serialTag: keccak256(platform.pck.serial).slice(0, 34),
    });
    assert.equal(key, keccak256(platform.pck.key.publicKey));
    const [event] = await pckRegistry.getEvents.PlatformRegistered();
    assert.deepEqual(event?.args, {
      platformKey: key,
      ppid: toHex(ppid),
      fmspc: toHex(fmspc),
      notAfter: now + 2555 * day,
    });
  });

  it('is unknown before, under its key and any other', async () => {
    const { pckRegistry } = await load();
    for (const unknown of [key, toHex(0, { size: 32 }), toHex(7, { size: 32 })])
      await refused(pckRegistry.read.platformOf([unknown]), 'PckRegistryPlatformUnknown', [unknown]);
  });

  it('may be registered by anyone, but once', async () => {
    const { pckRegistry } = await load();
    const [, stranger] = await viem.getWalletClients();
    await pckRegistry.write.registerPck([certificateOf(world.quote)], stranger && { account: stranger.account });
    const ends = BigInt(now + 2555 * day);
    await refused(pckRegistry.write.registerPck([certificateOf(world.quote)]), 'PckRegistryNotNewer', [ends, ends]);
  });

  it('gets another certificate only where it ends later and says the same', async () => {
    const { pckRegistry } = await load();
    await pckRegistry.write.registerPck([certificateOf(world.quote)]);
    const higher = platform.tcb.components.map((svn) => svn + 1);
    for (const tcb of [
      { components: higher },
      { pceSvn: platform.tcb.pceSvn + 1 },
      { ppid: new Uint8Array(16) },
      { fmspc: new Uint8Array(6) },
      { pceId: Uint8Array.of(0, 1) },
    ])
      await refused(pckRegistry.write.registerPck([certificate({}, tcb)]), 'PckRegistryPlatformChanged', [key]);
    const serial = randomSerial();
    await pckRegistry.write.registerPck([certificate({ serial })]);
    const { notAfter, serialTag } = await pckRegistry.read.platformOf([key]);
    assert.deepEqual([notAfter, serialTag], [now + 3000 * day, keccak256(serial).slice(0, 34)]);
  });

  it('of a certificate beyond 2106 ends then', async () => {
    const { pckRegistry } = await load();
    await pckRegistry.write.registerPck([certificate({ notAfter: 5_000_000_000 })]);
    assert.equal((await pckRegistry.read.platformOf([key])).notAfter, 0xffff_ffff);
  });
});

describe('the issuer', () => {
  it('must not be revoked', async () => {
    const attestation = await load();
    const revoked = mintCollateral(sharedRoot, { issuedAt: now - 60, revokedBelowRoot: [pckCa.serial] });
    const [rootCrl] = collateralSubmissions(revoked);
    if (rootCrl !== undefined) await submit(attestation, rootCrl);
    await refused(attestation.pckRegistry.write.registerPck([certificate()]), 'PckRegistryIssuerRevoked', [1]);
  });

  it('must hold now', async () => {
    const { pckRegistry } = await load();
    await networkHelpers.time.increaseTo(now + 3650 * day + 1);
    await refused(
      pckRegistry.write.registerPck([certificate({ notAfter: now + 4000 * day })]),
      'PckRegistryIssuerExpired',
    );
  });
});

it('both ends of a certificate and of its issuer belong to them', async () => {
  const at = now + 5 * day;
  for (const [second, changes, issuerEnds, error] of [
    [at - 1, { notBefore: at }, undefined, 'PckRegistryNotYetValid'],
    [at, { notBefore: at }, undefined, undefined],
    [at, { notAfter: at }, undefined, undefined],
    [at + 1, { notAfter: at }, undefined, 'PckRegistryExpired'],
    [at, {}, at, undefined],
    [at + 1, {}, at, 'PckRegistryIssuerExpired'],
  ] as const) {
    const { pckRegistry, store } = await load();
    if (issuerEnds !== undefined) await store.write.submitPckCa([caCertificate(issuerEnds)]);
    await networkHelpers.time.setNextBlockTimestamp(second);
    const registered = pckRegistry.write.registerPck([certificate(changes)]);
    if (error === undefined) await registered;
    else await refused(registered, error, [at, second]);
  }
});

describe('the certificate', () => {
  it('must have the SGX extension, whole', async () => {
    const { pckRegistry } = await load();
    await refused(pckRegistry.write.registerPck([certificate({ extensions: [] })]), 'PckRegistryExtensionMissing', []);
    const { ppid, fmspc, components } = platform.tcb;
    for (const tcb of [
      { ppid: ppid.subarray(1) },
      { ppid: new Uint8Array(17) },
      { fmspc: fmspc.subarray(1) },
      { pceId: new Uint8Array(3) },
      { components: components.slice(1) },
      { components: [...components, 1] },
      { components: components.map(() => 256) },
      { pceSvn: 65_536 },
    ])
      await refused(pckRegistry.write.registerPck([certificate({}, tcb)]), 'DerReaderMalformed');
  });

  it('is refused with any of its bytes changed', async () => {
    const { pckRegistry } = await load();
    const der = Buffer.from(certificateOf(world.quote).slice(2), 'hex');
    for (let at = 0; at < der.length; at += 3) {
      const flipped = Buffer.from(der);
      flipped[at] = (flipped[at] ?? 0) ^ 1;
      const refusal = await refusalOf(pckRegistry.simulate.registerPck([toHex(flipped)]));
      assert.match(refusal ?? 'accepted', /^(DerReader|X509|PckRegistry)/, `byte ${at}`);
    }
  });

  it('is refused cut short, and with more behind it', async () => {
    const { pckRegistry } = await load();
    const der = certificateOf(world.quote);
    for (let length = 2; length < der.length; length += 2 * 31)
      await refused(pckRegistry.simulate.registerPck([der.slice(0, length) as Hex]), 'DerReaderMalformed');
    await refused(pckRegistry.simulate.registerPck([`${der}00`]), 'DerReaderMalformed');
  });
});

it('the registry needs a store', async () => {
  await refused(viem.deployContract('PckRegistry', [zeroAddress]), 'PckRegistryStoreWithoutCode', [zeroAddress]);
});
