import { parseNetworkFile } from '@cloister/core';
import { expect, test } from 'vitest';
import { network } from '../../core/test/helpers.ts';
import {
  amdRoots,
  appraise,
  awsNitroRoot,
  type Claims,
  EvidenceVerifier,
  intelSgxRoot,
  networkPolicy,
  networkTrustRoots,
  nitroEvidenceDocument,
  type SnpClaims,
  snpEvidenceDocument,
  snpTcbFloors,
  statedConfigIdOf,
} from '../src/verify/index.ts';
import { awsRoot, makeNitroDocument } from './nitro/syntheticNitro.ts';
import { amdRoot, makeSnpWorld } from './snp/syntheticSnp.ts';
import { now } from './synthetic.ts';

const rootsOf = (tee: 'tdx' | 'sgx' | 'sev-snp' | 'nitro', spkiSha256: `0x${string}`, simulated = true) =>
  networkTrustRoots([{ tee, spkiSha256, simulated, name: 'DEV root' }]);

test('a network’s roots vouch for their own vendor’s evidence alone', async () => {
  const { report, certificates } = makeSnpWorld();
  const snp = snpEvidenceDocument(report, certificates);
  const nitro = nitroEvidenceDocument(makeNitroDocument());
  const verify = (roots: ReturnType<typeof rootsOf>) => new EvidenceVerifier({ roots });
  const ofAmd = rootsOf('sev-snp', amdRoot.spkiSha256);
  const ofAws = rootsOf('nitro', awsRoot.spkiSha256);
  expect(await verify(ofAmd).verify(snp, now)).toMatchObject({ teeType: 'sev-snp', simulated: true });
  expect(await verify(ofAws).verify(nitro, now)).toMatchObject({ teeType: 'nitro', simulated: true });
  const untrusted = expect.objectContaining({ code: 'ROOT_UNTRUSTED' });
  await expect(verify(ofAws).verify(snp, now)).rejects.toEqual(untrusted);
  await expect(verify(ofAmd).verify(nitro, now)).rejects.toEqual(untrusted);
  for (const tee of ['tdx', 'nitro'] as const)
    await expect(verify(rootsOf(tee, amdRoot.spkiSha256)).verify(snp, now)).rejects.toEqual(untrusted);
});

test('a real network names the vendors’ own roots, each for its own evidence', () => {
  const real = [intelSgxRoot, ...amdRoots, awsNitroRoot];
  const tees = ['tdx', 'sev-snp', 'sev-snp', 'sev-snp', 'nitro'] as const;
  const named = tees.map((tee, index) => ({
    tee,
    spkiSha256: real[index]?.spkiSha256 ?? '0x',
    simulated: false,
    name: 'root',
  }));
  expect(() => new EvidenceVerifier({ roots: networkTrustRoots(named) })).not.toThrow();
  const swapped = named.map((root) => ({ ...root, tee: 'tdx' as const }));
  expect(() => new EvidenceVerifier({ roots: networkTrustRoots(swapped) })).toThrow(
    expect.objectContaining({ code: 'ROOTS_INVALID' }),
  );
});

test('a network file may name roots of all vendors, and of nobody else', () => {
  const [root] = network.trustRoots;
  const trustRoots = ['tdx', 'sgx', 'sev-snp', 'nitro'].map((tee) => ({ ...root, tee }));
  expect(parseNetworkFile({ ...network, trustRoots }).trustRoots.map(({ tee }) => tee)).toHaveLength(4);
  expect(() => parseNetworkFile({ ...network, trustRoots: [{ ...root, tee: 'sev' }] })).toThrow();
});

test('a real network takes SEV-SNP from the floors on, of the lines that have one; a simulated one any version', async () => {
  const claimsOf = async (product: 'Milan' | 'Genoa' | 'Turin', snp: number): Promise<SnpClaims> => {
    const { report, certificates } = makeSnpWorld({ product });
    const verifier = new EvidenceVerifier({ roots: [amdRoot] });
    const claims = await verifier.verify(snpEvidenceDocument(report, certificates), now);
    return { ...claims, simulated: false, reportedTcb: { ...claims.reportedTcb, snp } };
  };
  const real = networkPolicy({ simulated: false });
  expect(snpTcbFloors.edition).toBe(1);
  for (const [product, floor] of [
    ['Genoa', 0x1b],
    ['Turin', 4],
  ] as const) {
    expect(appraise(await claimsOf(product, floor), real)).toEqual({ ok: true });
    expect(appraise(await claimsOf(product, floor - 1), real)).toMatchObject({ refusal: { code: 'TCB_TOO_OLD' } });
  }
  expect(appraise(await claimsOf('Milan', 255), real)).toMatchObject({ refusal: { code: 'TCB_FLOOR_MISSING' } });

  const simulated = { ...(await claimsOf('Milan', 0)), simulated: true };
  expect(appraise(simulated, networkPolicy({ simulated: true }))).toEqual({ ok: true });
  expect(appraise(simulated, real)).toMatchObject({ refusal: { code: 'SIMULATED_REFUSED' } });
});

test('the network file that evidence states: what was configured, or of a Nitro enclave its nonce, where that is an id', () => {
  const id = `0x${'ab'.repeat(32)}` as const;
  const stated = (claims: object) => statedConfigIdOf(claims as Claims);
  for (const teeType of ['tdx', 'sev-snp']) expect(stated({ teeType, configId: id, nonce: null })).toBe(id);
  expect(stated({ teeType: 'tdx', configId: null })).toBeNull();
  expect(stated({ teeType: 'nitro', configId: null, nonce: id })).toBe(id);
  for (const nonce of [null, '0x', `${id}00`, id.slice(0, -2)])
    expect(stated({ teeType: 'nitro', configId: id, nonce })).toBeNull();
});
