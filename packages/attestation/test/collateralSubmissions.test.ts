import { collateralSubmissions } from '@cloister/attestation/onchain';
import { makeSimulatedRoot, mintCollateral } from '@cloister/attestation/unsafe-simulated';
import { fromHex, fromUtf8, toHex } from '@cloister/crypto';
import { expect, test } from 'vitest';

const now = 1_800_000_000;
const collateral = mintCollateral(makeSimulatedRoot(now), { issuedAt: now });

test('everything comes once, each after what signed it, in exactly the bytes that were signed', () => {
  const submissions = collateralSubmissions(collateral);
  expect(submissions.map(({ what }) => what)).toEqual([
    'root-crl',
    'pck-ca',
    'pck-crl',
    'tcb-signer',
    'tcb-info',
    'qe-identity',
  ]);
  const [rootCrl, , pckCrl, , tcbInfo, qeIdentity] = submissions;
  if (rootCrl === undefined || !('der' in rootCrl) || pckCrl === undefined || !('der' in pckCrl))
    throw new Error('Expected revocation lists');
  expect(rootCrl.der).toBe(`0x${collateral.root_ca_crl}`);
  expect(pckCrl.der).toBe(`0x${collateral.pck_crl}`);
  for (const [given, text, signature] of [
    [tcbInfo, collateral.tcb_info, collateral.tcb_info_signature],
    [qeIdentity, collateral.qe_identity, collateral.qe_identity_signature],
  ] as const) {
    if (given === undefined || !('json' in given)) throw new Error('Expected a statement');
    expect(fromUtf8(fromHex(given.json))).toBe(text);
    expect(`${given.r}${given.s.slice(2)}`).toBe(`0x${signature}`);
  }
});

test('a second signer comes before what it signed', () => {
  const other = mintCollateral(makeSimulatedRoot(now), { issuedAt: now });
  const mixed = { ...collateral, qe_identity_issuer_chain: other.qe_identity_issuer_chain };
  const submissions = collateralSubmissions(mixed);
  expect(submissions.map(({ what }) => what).slice(3)).toEqual(['tcb-signer', 'tcb-info', 'tcb-signer', 'qe-identity']);
  expect(new Set(submissions.map((one) => ('der' in one ? one.der : toHex(fromHex(one.json))))).size).toBe(7);
});

test.each([
  ['a list that is no hexadecimal', { pck_crl: 'zz' }, 'MALFORMED_HEX'],
  ['a signature that is too short', { tcb_info_signature: 'ab' }, 'MALFORMED_HEX'],
  ['a chain without its root', { tcb_info_issuer_chain: firstOf(collateral.tcb_info_issuer_chain) }, 'CHAIN_LENGTH'],
  ['a chain that is no PEM', { pck_crl_issuer_chain: 'x' }, 'MALFORMED_PEM'],
  ['a part that is missing', { qe_identity: undefined }, 'COLLATERAL_MISSING'],
] as const)('refuses %s', (_what, changes, code) => {
  expect(() => collateralSubmissions({ ...collateral, ...changes } as typeof collateral)).toThrow(
    expect.objectContaining({ code }),
  );
});

function firstOf(chain: string): string {
  return chain.slice(0, chain.indexOf('-----END CERTIFICATE-----') + '-----END CERTIFICATE-----'.length);
}
