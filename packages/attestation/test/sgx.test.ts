import { concatBytes } from '@cloister/crypto';
import { expect, test } from 'vitest';
import { type JsonObject, mintCollateral, signP256 } from '../src/unsafe-simulated/index.ts';
import {
  type Collateral,
  type SgxClaims,
  verifyCollateral,
  verifySgxQuote,
  verifyTdxQuote,
} from '../src/verify/index.ts';
import { makeWorld, now, oracleOf, outcome, sharedRoot } from './synthetic.ts';

const world = makeWorld();
const { platform, root } = world;
const roots = [root.trustRoot];

/** A version-3 quote: the synthetic TDX quote's certification around an enclave's report. */
function sgxQuote(attributes = 0x05): Uint8Array {
  const header = Uint8Array.from(world.quote.subarray(0, 48));
  header[0] = 3;
  header[4] = 0;
  const report = new Uint8Array(384);
  report[48] = attributes;
  report.fill(0x11, 64, 96);
  report.fill(0x22, 128, 160);
  report.set([7, 0, 9, 0], 256);
  report.fill(0x33, 320, 384);
  const signedPart = concatBytes(header, report);
  const certification = world.quote.subarray(770);
  const signatureData = concatBytes(
    signP256(platform.attestationKey, signedPart),
    platform.attestationKey.publicKey,
    certification,
  );
  const length = Uint8Array.of(signatureData.length & 0xff, signatureData.length >> 8, 0, 0);
  return concatBytes(signedPart, length, signatureData);
}

const sgxCollateral = (edit: (info: JsonObject) => JsonObject = (info) => info): Collateral =>
  mintCollateral(sharedRoot, {
    issuedAt: now - 60,
    editTcbInfo: (info) => edit({ ...info, id: 'SGX' }),
    editQeIdentity: (identity) => ({ ...identity, id: 'QE' }),
  });

async function claimsOf(quote: Uint8Array, collateral: Collateral): Promise<SgxClaims> {
  return verifySgxQuote(quote, await verifyCollateral(collateral, { roots, now }), { now });
}

test('an SGX quote says what its enclave is, and the library agrees', async () => {
  const claims = await claimsOf(sgxQuote(), sgxCollateral());
  expect(claims).toMatchObject({
    teeType: 'sgx',
    simulated: true,
    tcbStatus: 'UpToDate',
    debug: false,
    mrEnclave: `0x${'11'.repeat(32)}`,
    mrSigner: `0x${'22'.repeat(32)}`,
    isvProdId: 7,
    isvSvn: 9,
    reportData: `0x${'33'.repeat(64)}`,
  });
  expect(oracleOf(sgxQuote(), sgxCollateral(), now, root.root.certificate)).toBe('UpToDate');
});

test('a debug enclave is named', async () => {
  expect((await claimsOf(sgxQuote(0x07), sgxCollateral())).debug).toBe(true);
});

test('quotes and collateral of the two types do not mix', async () => {
  const of = (action: () => Promise<{ teeType: string }>): Promise<string> =>
    outcome(async () => (await action()).teeType);
  const tdx = await verifyCollateral(world.collateral, { roots, now });
  const sgx = await verifyCollateral(sgxCollateral(), { roots, now });
  expect(await of(() => verifyTdxQuote(sgxQuote(), tdx, { now }))).toBe('TEE_TYPE_MISMATCH at quote.teeType');
  expect(await of(() => verifySgxQuote(world.quote, sgx, { now }))).toBe('TEE_TYPE_MISMATCH at quote.teeType');
  expect(await of(() => verifySgxQuote(sgxQuote(), tdx, { now }))).toBe('TEE_TYPE_MISMATCH at collateral.tcb_info.id');
  expect(await of(() => verifyTdxQuote(world.quote, sgx, { now }))).toBe('TEE_TYPE_MISMATCH at collateral.tcb_info.id');
});

test('every byte of the signed part counts', async () => {
  const verified = await verifyCollateral(sgxCollateral(), { roots, now });
  const quote = sgxQuote();
  for (let at = 0; at < 432; at++) {
    const flipped = Uint8Array.from(quote);
    flipped[at] = (flipped[at] ?? 0) ^ 1;
    await expect(verifySgxQuote(flipped, verified, { now })).rejects.toMatchObject({ name: 'AttestationError' });
  }
});
