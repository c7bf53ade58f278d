import { expect, test } from 'vitest';
import {
  type Collateral,
  type SgxClaims,
  verifyCollateral,
  verifySgxQuote,
  verifyTdxQuote,
} from '../src/verify/index.ts';
import { now, oracleOf, outcome } from './synthetic.ts';
import { sgxCollateral, sgxQuote, sgxWorld } from './syntheticSgx.ts';

const world = sgxWorld;
const { root } = world;
const roots = [root.trustRoot];

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
