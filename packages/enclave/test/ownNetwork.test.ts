import {
  createSimulatedPlatform,
  makeSimulatedRoot,
  mintCollateral,
  mintQuote,
} from '@cloister/attestation/unsafe-simulated';
import { evidenceDocument, nitroEvidenceDocument } from '@cloister/attestation/verify';
import { type Bytes32, dstackMrConfigId, mrConfigIdOf } from '@cloister/core';
import { fromHex } from '@cloister/crypto';
import { describe, expect, test } from 'vitest';
import { cbor, makeNitroDocument } from '../../../packages/attestation/test/nitro/syntheticNitro.ts';
import { image } from '../../../packages/sdk/test/simulatedNetwork.ts';
import { assertOwnNetwork, type OwnNetworkError } from '../src/ownNetwork.ts';

const now = Math.floor(Date.now() / 1000);
const root = makeSimulatedRoot(now);
const platform = createSimulatedPlatform(root, { now });
const collateral = mintCollateral(root, { issuedAt: now - 3600 });
const id: Bytes32 = `0x${'4e'.repeat(32)}`;
const other: Bytes32 = `0x${'66'.repeat(32)}`;
const composeHash: Bytes32 = `0x${'c5'.repeat(32)}`;

const evidenceOf = (mrConfigId: Uint8Array) =>
  evidenceDocument(mintQuote(platform, { ...image, mrConfigId, reportData: new Uint8Array(64) }), collateral);

function refusal(act: () => void): OwnNetworkError {
  try {
    act();
  } catch (error) {
    return error as OwnNetworkError;
  }
  return expect.fail('It was accepted');
}

describe('evidence of a TD', () => {
  test('states the network file in use', () => {
    assertOwnNetwork(evidenceOf(mrConfigIdOf(id)), { id });
    assertOwnNetwork(evidenceOf(mrConfigIdOf(id)), { id, composed: id });
  });

  test.each([
    ['another one', mrConfigIdOf(other)],
    ['none', new Uint8Array(48)],
    ['more than an id', mrConfigIdOf(id).with(47, 1)],
    ['a compose hash in its place', mrConfigIdOf(composeHash)],
  ])('that states %s is refused with both values', (_, mrConfigId) => {
    const error = refusal(() => assertOwnNetwork(evidenceOf(mrConfigId), { id }));
    expect(error).toMatchObject({ code: 'NETWORK_FILE_MISMATCH', hint: expect.stringContaining('MRCONFIGID') });
    expect(error.message).toContain(`"${id}"`);
    expect(error.message).toContain(`"0x${Buffer.from(mrConfigId).toString('hex')}"`);
  });
});

describe('evidence of a dstack CVM', () => {
  const evidence = evidenceOf(dstackMrConfigId(composeHash));

  test('goes with the network file that the compose file states', () => {
    assertOwnNetwork(evidence, { id, composed: id });
  });

  test('is refused where the compose file states none, another one, or the id is its own hash', () => {
    const none = refusal(() => assertOwnNetwork(evidence, { id }));
    expect(none).toMatchObject({ code: 'NETWORK_FILE_MISMATCH', hint: expect.stringContaining('--networkId') });
    expect(none.message).toContain(`"${composeHash}"`);
    const another = refusal(() => assertOwnNetwork(evidence, { id, composed: other }));
    expect(another.message).toContain(`"${other}"`);
    expect(refusal(() => assertOwnNetwork(evidence, { id: composeHash })).code).toBe('NETWORK_FILE_MISMATCH');
  });
});

describe('evidence of a Nitro enclave', () => {
  const evidence = (nonce: Uint8Array) => nitroEvidenceDocument(makeNitroDocument({ payload: { nonce } }));

  test('states the network file as its nonce', () => {
    assertOwnNetwork(evidence(cbor.bytes(fromHex(id))), { id });
  });

  test('that states another one, or none, is refused', () => {
    expect(refusal(() => assertOwnNetwork(evidence(cbor.bytes(fromHex(other))), { id })).message).toContain(other);
    expect(refusal(() => assertOwnNetwork(evidence(cbor.null), { id })).message).toContain('"nothing"');
  });
});
