import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import {
  collateralSubmissions,
  fullEvidence,
  knownKeyEvidence,
  rememberingEvidence,
} from '@cloister/attestation/onchain';
import {
  type Collateral,
  intelSgxRoot,
  parseQuote,
  verifyCollateral,
  verifyTdxQuote,
} from '@cloister/attestation/verify';
import { network } from 'hardhat';
import { type Hex, keccak256, padHex, sliceHex, toHex, zeroHash } from 'viem';
import { fixture, fixtureJson, hasFixtures } from '../../../../packages/attestation/test/fixtures.ts';
import {
  certificateOf,
  claimsOf,
  deployAttestation,
  intelRoot,
  platformKeyOf,
  publish,
  submit,
} from '../../support/attestation.ts';
import { refused } from '../../support/refused.ts';

type Expected = { readonly [name: string]: { readonly now: number } };

/** Real quotes on a chain whose root is Intel's key, at the time at which their outcome was recorded. */
describe('real evidence', { skip: hasFixtures ? false : 'real evidence is not there' }, () => {
  const expected = hasFixtures ? fixtureJson<Expected>('expected.json') : {};

  async function chainOf(name: string) {
    const recordedAt = expected[name]?.now ?? 0;
    const connection = await network.create({ override: { initialDate: new Date(recordedAt * 1000) } });
    const attestation = await deployAttestation(connection, intelRoot);
    return {
      ...connection,
      recordedAt,
      attestation,
      quote: fixture(`dcap/${name}/quote.bin`),
      collateral: fixtureJson<Collateral>(`dcap/${name}/collateral.json`),
    };
  }

  async function prepared(name: string) {
    const chain = await chainOf(name);
    await publish(chain.attestation, chain.collateral);
    await chain.attestation.pckRegistry.write.registerPck([certificateOf(chain.quote)]);
    return chain;
  }

  const flip = (bytes: Uint8Array, at: number) => bytes.map((byte, index) => (index === at ? byte ^ 1 : byte));

  it('a TDX quote of version 4 is up to date, and its claims are those of the quote', async () => {
    const { attestation, quote, collateral, recordedAt, close } = await prepared('tdx-v4-b0c06f');
    const { signedPart } = parseQuote(quote);
    const body = toHex(signedPart.subarray(48));
    const claims = await claimsOf(attestation, quote);
    assert.equal(claims.simulated, false);
    assert.equal(claims.tcbStatus, 1);
    assert.equal(claims.tcbEvaluationDataNumber, 17);
    const verified = await verifyCollateral(collateral, { roots: [intelSgxRoot], now: recordedAt });
    const offChain = await verifyTdxQuote(quote, verified, { now: recordedAt });
    assert.equal(claims.validUntil, BigInt(offChain.notAfter));
    assert.equal(claims.imageId, offChain.imageId);
    assert.equal(claims.platformId, padHex(offChain.platformId, { size: 32, dir: 'right' }));
    assert.equal(claims.evidenceHash, keccak256(signedPart));
    assert.equal(claims.reportDataHead, sliceHex(body, 520, 552));
    assert.equal(claims.platformKey, platformKeyOf(quote));
    assert.equal(sliceHex(claims.tcb, 0, 16), sliceHex(body, 0, 16));
    await close();
  });

  it('an SGX quote of version 3 needs configuration and hardening', async () => {
    const { attestation, quote, close } = await prepared('sgx-v3-00a067');
    const claims = await claimsOf(attestation, quote);
    assert.equal(claims.tcbStatus, 4);
    assert.equal(claims.teeType, 1);
    assert.equal(claims.simulated, false);
    assert.equal(claims.configId, zeroHash);
    await close();
  });

  it('a TDX quote of version 5 whose platform reaches no level is refused', async () => {
    const { attestation, quote, close } = await prepared('tdx-v5-90c06f-outdated');
    await refused(claimsOf(attestation, quote), 'QuoteVerifierLevelNotFound');
    await close();
  });

  it('a renewal by a remembered key says the same', async () => {
    const { attestation, quote, close } = await prepared('tdx-v4-b0c06f');
    const full = await claimsOf(attestation, quote);
    await attestation.tdx.write.verify([rememberingEvidence(quote)]);
    assert.deepEqual(await claimsOf(attestation, quote, knownKeyEvidence(quote)), full);
    await close();
  });

  for (const name of ['tdx-v4-b0c06f', 'sgx-v3-00a067'])
    it(`${name}: the recorded negatives`, async () => {
      const { attestation, quote, collateral, networkHelpers, close } = await prepared(name);
      const { signedPart, version } = parseQuote(quote);
      const qeReport = signedPart.length + 4 + 128 + (version === 3 ? 0 : 6);
      await refused(claimsOf(attestation, flip(quote, signedPart.length - 1)), 'QuoteVerifierSignature');
      await refused(claimsOf(attestation, flip(quote, signedPart.length + 4)), 'QuoteVerifierSignature');
      await refused(claimsOf(attestation, flip(quote, qeReport)), 'QuoteVerifierQeSignature');
      const evidence = fullEvidence(quote);
      const truncated: Hex = sliceHex(evidence, 0, 1000);
      await refused(claimsOf(attestation, quote, truncated), 'QuoteVerifierLength');
      const edited = { ...collateral, tcb_info: collateral.tcb_info.replace('OutOfDate', 'UpToDate') };
      await refused(publishStatements(attestation, edited), 'CollateralStoreSignature');
      await networkHelpers.time.increase(60 * 86_400);
      await refused(claimsOf(attestation, quote), 'QuoteVerifierExpired');
      await close();
    });

  it('before the collateral begins, nothing of it is taken', async () => {
    const name = 'tdx-v4-b0c06f';
    const before = new Date(((expected[name]?.now ?? 0) - 60 * 86_400) * 1000);
    const connection = await network.create({ override: { initialDate: before } });
    const attestation = await deployAttestation(connection, intelRoot);
    const collateral = fixtureJson<Collateral>(`dcap/${name}/collateral.json`);
    await refused(publish(attestation, collateral), 'CollateralStoreNotYetValid');
    await connection.close();
  });

  it("Intel's collateral means nothing below another root, and other certificates nothing below Intel's", async () => {
    const { attestation, collateral, viem, close, ...connection } = await chainOf('tdx-v4-b0c06f');
    assert.equal(await attestation.store.read.simulated(), false);
    const other = await deployAttestation({ viem, close, ...connection });
    assert.equal(await other.store.read.simulated(), true);
    await refused(publish(other, collateral), 'CollateralStoreIssuer');
    await close();
  });

  async function publishStatements(attestation: Parameters<typeof publish>[0], collateral: Collateral) {
    for (const part of collateralSubmissions(collateral)) if (part.what === 'tcb-info') await submit(attestation, part);
  }
});
