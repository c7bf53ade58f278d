import { type Bytes32, dstackMrConfigId, mrConfigIdOf } from '@cloister/core';
import { fromHex, toHex } from '@cloister/crypto';
import { expect, test } from 'vitest';
import { mintQuote } from '../src/unsafe-simulated/index.ts';
import {
  EvidenceVerifier,
  evidenceDocument,
  launchConfigOf,
  nitroEvidenceDocument,
  replayDstackLog,
  sgxEvidenceDocument,
  snpEvidenceDocument,
  statedConfigIdOf,
} from '../src/verify/index.ts';
import { fixtureJson, hasFixtures } from './fixtures.ts';
import { awsRoot, cbor, makeNitroDocument } from './nitro/syntheticNitro.ts';
import { makeSnpWorld } from './snp/syntheticSnp.ts';
import { claimsOf, makeWorld, measurements, now } from './synthetic.ts';
import { sgxCollateral, sgxQuote } from './syntheticSgx.ts';

const id: Bytes32 = `0x${'4e'.repeat(32)}`;

test.each([
  ['a network file', mrConfigIdOf(id), { configId: id, composeHash: null }],
  ['a dstack app', dstackMrConfigId(id), { configId: id, composeHash: id }],
  ['neither', dstackMrConfigId(id).with(0, 2), { configId: null, composeHash: null }],
])('a TD started with %s: as in its verified claims', async (_, mrConfigId, expected) => {
  const world = makeWorld();
  const quote = mintQuote(world.platform, { ...measurements, mrConfigId });
  const { configId, composeHash } = await claimsOf({ ...world, quote });
  expect({ configId, composeHash }).toEqual(expected);
  expect(launchConfigOf(evidenceDocument(quote, world.collateral))).toEqual({ ...expected, stated: toHex(mrConfigId) });
});

test('an enclave, a SEV-SNP guest', () => {
  const enclave = sgxQuote(0x05, (report) => void report.fill(0x4e, 192, 224));
  expect(launchConfigOf(sgxEvidenceDocument(enclave, sgxCollateral()))).toEqual({
    configId: id,
    composeHash: null,
    stated: `${id}${'00'.repeat(32)}`,
  });
  const { report, certificates } = makeSnpWorld();
  const hostData = `0x${'c0'.repeat(32)}`;
  expect(launchConfigOf(snpEvidenceDocument(report, certificates))).toEqual({
    configId: hostData,
    composeHash: null,
    stated: hostData,
  });
});

test.each([
  ['nothing', cbor.null, null, null],
  ['an id', cbor.bytes(fromHex(id)), id, id],
  ['something else', cbor.bytes(fromHex(id).subarray(1)), null, `0x${'4e'.repeat(31)}`],
])('a Nitro enclave that states %s as its nonce', async (_, nonce, configId, stated) => {
  const document = nitroEvidenceDocument(makeNitroDocument({ payload: { nonce } }));
  expect(launchConfigOf(document)).toEqual({ configId, composeHash: null, stated });
  const claims = await new EvidenceVerifier({ roots: [awsRoot] }).verify(document, now);
  expect(statedConfigIdOf(claims)).toBe(configId);
});

test.skipIf(!hasFixtures)('real evidence: a dstack guest states the compose hash that its event log leads to', () => {
  type GetQuote = { readonly quote: string; readonly event_log: string };
  const { quote, event_log: log } = fixtureJson<GetQuote>('dstack/tdx-lite-getquote.json');
  const document = evidenceDocument(Uint8Array.from(Buffer.from(quote, 'hex')), makeWorld().collateral);
  const { composeHash } = replayDstackLog(log).claims;
  expect(launchConfigOf(document)).toMatchObject({ configId: composeHash, composeHash });
});

test.skipIf(!hasFixtures)('real evidence: an older dstack guest states nothing', () => {
  const { quote } = fixtureJson<{ readonly quote: string }>('dstack/quote-report.json');
  const document = evidenceDocument(Uint8Array.from(Buffer.from(quote, 'hex')), makeWorld().collateral);
  expect(launchConfigOf(document)).toMatchObject({ configId: `0x${'00'.repeat(32)}`, composeHash: null });
});
