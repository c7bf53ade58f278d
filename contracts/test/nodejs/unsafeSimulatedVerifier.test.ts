import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { network } from 'hardhat';
import { concatHex, encodeAbiParameters, type Hex, hexToBytes, keccak256, padHex, size, slice, toHex } from 'viem';
import {
  defaultImageId,
  defaultMrtd,
  defaultRtmrs,
  devRoot,
  endorsementDigest,
  networkFileId,
  otherRoot,
  platformId,
  type QuoteFields,
  quotePart,
  simulatedEvidence,
  tdxImageId,
} from '../support/evidence.ts';
import { refused } from '../support/refused.ts';
import { chainId } from '../support/world.ts';

const connection = await network.create();
const { networkHelpers, viem } = connection;
const load = () => networkHelpers.loadFixture(deployed);
const validUntil = 1_900_000_000n;
const head = toHex(0xaaaa, { size: 32 });
const tail = toHex(0xbbbb, { size: 32 });
const reportData = concatHex([head, tail]);

async function deployed() {
  const verifier = await viem.deployContract('UnsafeSimulatedVerifier', [devRoot.x, devRoot.y, BigInt(chainId)]);
  return { verifier };
}

describe('UnsafeSimulatedVerifier', () => {
  it('reads the claims of an endorsed quote', async () => {
    const { verifier } = await load();
    const part = quotePart({ reportData });
    assert.deepEqual(await verifier.read.verify([simulatedEvidence(part, { validUntil })]), {
      teeType: 2,
      simulated: true,
      debug: false,
      validUntil,
      imageId: defaultImageId,
      configId: networkFileId,
      platformId: padHex(platformId, { size: 32, dir: 'right' }),
      evidenceHash: keccak256(part),
      reportDataHead: head,
      reportDataTail: tail,
    });
    assert.equal(
      await verifier.read.endorsementDigest([part, platformId, validUntil]),
      endorsementDigest(chainId, part, platformId, validUntil),
    );
  });

  it('counts MRTD and RTMR0 to RTMR2 as the image, not RTMR3', async () => {
    const { verifier } = await load();
    const imageOf = async (fields: QuoteFields) =>
      (await verifier.read.verify([simulatedEvidence(quotePart(fields), { validUntil })])).imageId;
    const changed = toHex(new Uint8Array(48).fill(0xee));
    const [rtmr0, rtmr1, rtmr2, rtmr3] = defaultRtmrs;
    for (const [mrtd, rtmrs] of [
      [changed, defaultRtmrs],
      [defaultMrtd, [changed, rtmr1, rtmr2, rtmr3]],
      [defaultMrtd, [rtmr0, changed, rtmr2, rtmr3]],
      [defaultMrtd, [rtmr0, rtmr1, changed, rtmr3]],
    ] as const) {
      const image = await imageOf({ mrtd, rtmrs });
      assert.equal(image, tdxImageId(mrtd, rtmrs));
      assert.notEqual(image, defaultImageId);
    }
    assert.equal(await imageOf({ rtmrs: [rtmr0, rtmr1, rtmr2, changed] }), defaultImageId);
  });

  it('takes a signature with a high s as well as a low one', async () => {
    const { verifier } = await load();
    const n = 0xffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551n;
    const part = quotePart({ reportData });
    const [r, s] = devRoot.sign(endorsementDigest(chainId, part, platformId, validUntil));
    for (const value of [s, n - s]) await verifier.read.verify([encode(part, platformId, validUntil, r, value)]);
  });

  it('refuses another root’s signature, and every other input under one', async () => {
    const { verifier } = await load();
    const part = quotePart({ reportData });
    const digest = endorsementDigest(chainId, part, platformId, validUntil);
    await refused(
      verifier.read.verify([simulatedEvidence(part, { validUntil, root: otherRoot })]),
      'UnsafeSimulatedVerifierSignature',
      [digest],
    );
    const [r, s] = devRoot.sign(digest);
    const otherPart = quotePart({ reportData: concatHex([head, head]) });
    const edited = [
      encode(otherPart, platformId, validUntil, r, s),
      encode(part, padHex('0x01', { size: 16 }), validUntil, r, s),
      encode(part, platformId, validUntil + 1n, r, s),
      encode(part, platformId, validUntil, r + 1n, s),
      encode(part, platformId, validUntil, r, s + 1n),
      encode(part, platformId, validUntil, 0n, 0n),
      simulatedEvidence(part, { validUntil, chainId: chainId + 1 }),
    ];
    for (const evidence of edited) await refused(verifier.read.verify([evidence]), 'UnsafeSimulatedVerifierSignature');
  });

  it('refuses one flipped bit in any byte of the quote', async () => {
    const { verifier } = await load();
    const evidence = hexToBytes(simulatedEvidence(quotePart({ reportData }), { validUntil }));
    for (let index = 192; index < 192 + 632; index += 1) {
      const edited = evidence.slice();
      edited[index] = (edited[index] ?? 0) ^ (1 << (index % 8));
      await assert.rejects(verifier.read.verify([toHex(edited)]), /UnsafeSimulatedVerifier/, `byte ${index - 192}`);
    }
  });

  it('refuses other quotes than TDX 4 with an ECDSA-P256 key', async () => {
    const { verifier } = await load();
    const verify = (fields: QuoteFields) =>
      verifier.read.verify([simulatedEvidence(quotePart(fields), { validUntil })]);
    for (const version of [0, 3, 5, 0x0400])
      await refused(verify({ version }), 'UnsafeSimulatedVerifierQuoteVersion', [version]);
    for (const attestationKeyType of [0, 3, 0x0200])
      await refused(verify({ attestationKeyType }), 'UnsafeSimulatedVerifierAttestationKeyType', [attestationKeyType]);
    for (const teeType of [0, 0x80, 0x81000000])
      await refused(verify({ teeType }), 'UnsafeSimulatedVerifierTeeType', [teeType]);
  });

  it('refuses a TD that may be debugged, and one with reserved attributes of that group', async () => {
    const { verifier } = await load();
    for (const tdAttributes of [1n, 2n, 0x80n, 0x8000_0000_1000_0001n]) {
      const call = verifier.read.verify([simulatedEvidence(quotePart({ tdAttributes }), { validUntil })]);
      await refused(call, 'UnsafeSimulatedVerifierDebug', [tdAttributes]);
    }
  });

  it('refuses a config id with anything behind it', async () => {
    const { verifier } = await load();
    const mrConfigId = concatHex([networkFileId, padHex('0x01', { size: 16 })]);
    const call = verifier.read.verify([simulatedEvidence(quotePart({ mrConfigId }), { validUntil })]);
    await refused(call, 'UnsafeSimulatedVerifierConfigPadding', [padHex('0x01', { size: 16 })]);
  });

  it('refuses every other form by name', async () => {
    const { verifier } = await load();
    const evidence = simulatedEvidence(quotePart({ reportData }), { validUntil });
    assert.equal(size(evidence), 832);
    const word = (index: number, value: bigint): Hex =>
      concatHex([slice(evidence, 0, 32 * index), toHex(value, { size: 32 }), slice(evidence, 32 * (index + 1))]);
    const malformed: readonly Hex[] = [
      '0x',
      '0x00',
      slice(evidence, 0, 160),
      slice(evidence, 0, 831),
      concatHex([evidence, '0x00']),
      word(0, 0n),
      word(0, 192n),
      word(0, 2n ** 256n - 1n),
      word(5, 631n),
      word(5, 2n ** 255n),
      word(1, BigInt(padHex(platformId, { size: 32, dir: 'right' })) + 1n),
      word(2, 2n ** 64n),
      encode(slice(quotePart(), 0, 631), platformId, validUntil, 1n, 1n),
      encode(concatHex([quotePart(), '0x00']), platformId, validUntil, 1n, 1n),
    ];
    for (const bytes of malformed)
      await refused(verifier.read.verify([bytes]), 'UnsafeSimulatedVerifierMalformed', [BigInt(size(bytes))]);
  });

  it('is bound to one chain at construction', async () => {
    await load();
    await refused(
      viem.deployContract('UnsafeSimulatedVerifier', [devRoot.x, devRoot.y, 1n]),
      'UnsafeSimulatedVerifierWrongChain',
      [1, chainId],
    );
    await refused(
      viem.deployContract('UnsafeSimulatedVerifier', [0n, 0n, BigInt(chainId)]),
      'UnsafeSimulatedVerifierRootMissing',
      [0, 0],
    );
  });

  it('answers on no other chain, even with the same code and state', async () => {
    const { verifier } = await load();
    const code = await (await viem.getPublicClient()).getCode({ address: verifier.address });
    const fork = await network.create({ override: { chainId: 31338 } });
    await fork.networkHelpers.setCode(verifier.address, code ?? '0x');
    const there = await fork.viem.getContractAt('UnsafeSimulatedVerifier', verifier.address);
    const evidence = simulatedEvidence(quotePart({ reportData }), { validUntil });
    await refused(there.read.verify([evidence]), 'UnsafeSimulatedVerifierWrongChain', [chainId, 31338]);
    await fork.close();
  });

  it('refuses everything on a chain without P256VERIFY', async () => {
    const older = await network.create({ override: { hardfork: 'prague' } });
    const verifier = await older.viem.deployContract('UnsafeSimulatedVerifier', [
      devRoot.x,
      devRoot.y,
      BigInt(chainId),
    ]);
    const evidence = simulatedEvidence(quotePart({ reportData }), { validUntil });
    await refused(verifier.read.verify([evidence]), 'UnsafeSimulatedVerifierSignature');
    await older.close();
  });
});

function encode(part: Hex, platform: Hex, until: bigint, r: bigint, s: bigint): Hex {
  return encodeAbiParameters(
    [{ type: 'bytes' }, { type: 'bytes16' }, { type: 'uint64' }, { type: 'uint256' }, { type: 'uint256' }],
    [part, platform, until, r, s],
  );
}
