import { createPublicKey, X509Certificate } from 'node:crypto';
import { sha256, toHex, utf8 } from '@cloister/crypto';
import { describe, expect, test } from 'vitest';
import { parseQeIdentity } from '../src/verify/dcap/qeIdentity.ts';
import { parseTcbInfo } from '../src/verify/dcap/tcbInfo.ts';
import {
  type Collateral,
  intelSgxRoot,
  parseQuote,
  trustRootOfCertificate,
  type VerifyEvidenceFileOptions,
  verifyCollateral,
  verifyEvidenceFile,
} from '../src/verify/index.ts';
import { parseCertificate } from '../src/verify/x509/certificate.ts';
import { parseCrl } from '../src/verify/x509/crl.ts';
import { fixture, fixtureJson, hasFixtures } from './fixtures.ts';
import { oracleOf, outcome } from './synthetic.ts';

type Expected = { readonly [name: string]: { readonly now: number; readonly js: string } };

describe.skipIf(!hasFixtures)('real evidence gives its recorded outcome', () => {
  const expected = hasFixtures ? fixtureJson<Expected>('expected.json') : {};
  const load = (name: string): VerifyEvidenceFileOptions & { collateral: Uint8Array } => ({
    evidenceBytes: fixture(`dcap/${name}/quote.bin`),
    collateral: fixture(`dcap/${name}/collateral.json`),
    at: expected[name]?.now ?? 0,
    policy: { tcbStatuses: ['UpToDate', 'SWHardeningNeeded', 'ConfigurationAndSWHardeningNeeded'] },
  });
  const outcomeOf = async (options: VerifyEvidenceFileOptions): Promise<string> => {
    const { ok, tcbStatus, advisories, refusal } = await verifyEvidenceFile(options);
    return ok ? [tcbStatus, advisories.join(',')].join(' ').trim() : `${refusal?.code} at ${refusal?.place}`;
  };
  const recorded = (name: string): string => {
    const text = expected[name]?.js ?? '';
    return text === 'ERR No matching TCB level found' ? 'TCB_LEVEL_NOT_FOUND at collateral.tcb_info.tcbLevels' : text;
  };
  const names = ['tdx-v4-b0c06f', 'sgx-v3-00a067', 'tdx-v5-90c06f-outdated'];

  test.each(names)('%s', async (name) => {
    const options = load(name);
    expect(await outcomeOf(options)).toBe(recorded(name));
    const collateral = fixtureJson<Collateral>(`dcap/${name}/collateral.json`);
    const oracle = oracleOf(options.evidenceBytes, collateral, options.at);
    expect(oracle === 'refused').toBe(recorded(name).includes(' at '));
  });

  test.each(names)('%s: the recorded negatives', async (name) => {
    const options = load(name);
    const quote = options.evidenceBytes;
    const { version, signedPart } = parseQuote(quote);
    const flip = (at: number): VerifyEvidenceFileOptions => ({
      ...options,
      evidenceBytes: quote.map((byte, index) => (index === at ? byte ^ 1 : byte)),
    });
    const qeReport = signedPart.length + 4 + 128 + (version === 3 ? 0 : 6);
    const edited = Buffer.from(options.collateral).toString('utf8').replace('UpToDate', 'OutOfDat');
    expect(await outcomeOf(flip(signedPart.length - 1))).toBe('SIGNATURE_INVALID at quote');
    expect(await outcomeOf(flip(signedPart.length + 4))).toBe('SIGNATURE_INVALID at quote');
    expect(await outcomeOf(flip(qeReport))).toBe('SIGNATURE_INVALID at quote.qeReport');
    expect(await outcomeOf({ ...options, at: options.at + 60 * 86_400 })).toBe('EXPIRED at collateral.tcb_info');
    expect(await outcomeOf({ ...options, at: options.at - 60 * 86_400 })).toBe('NOT_YET_VALID at collateral.tcb_info');
    expect(await outcomeOf({ ...options, evidenceBytes: quote.subarray(0, 1000) })).toMatch(
      /^MALFORMED_QUOTE at quote @ /,
    );
    expect(await outcomeOf({ ...options, collateral: utf8(edited) })).toMatch(
      /^SIGNATURE_INVALID at collateral\.(tcb_info|qe_identity)$/,
    );
  });

  test('the default policy refuses what needs configuration, and debug enclaves', async () => {
    const { policy: _, ...options } = load('sgx-v3-00a067');
    const result = await verifyEvidenceFile(options);
    expect(result).toMatchObject({
      ok: false,
      teeType: 'sgx',
      tcbStatus: 'ConfigurationAndSWHardeningNeeded',
      advisories: ['INTEL-SA-00289', 'INTEL-SA-00615'],
      refusal: { code: 'TCB_STATUS_REFUSED' },
    });
  });

  test('the pinned root is the key of the real root certificate', () => {
    const file = fixture('roots/TrustedRootCA.der');
    expect(trustRootOfCertificate(file)).toMatchObject({ simulated: false, spkiSha256: intelSgxRoot.spkiSha256 });
    const spki = createPublicKey(new X509Certificate(file).publicKey.export({ format: 'pem', type: 'spki' })).export({
      format: 'der',
      type: 'spki',
    });
    expect(toHex(sha256(spki))).toBe(intelSgxRoot.spkiSha256);
  });

  test('no collateral of another kind of platform', async () => {
    const tdx = load('tdx-v4-b0c06f');
    const other = load('tdx-v5-90c06f-outdated');
    expect(await outcomeOf({ ...tdx, collateral: other.collateral, at: other.at })).toBe(
      'FMSPC_MISMATCH at collateral.tcb_info.fmspc',
    );
    const sgx = load('sgx-v3-00a067');
    expect(await outcomeOf({ ...tdx, collateral: sgx.collateral })).toBe('TEE_TYPE_MISMATCH at collateral.tcb_info.id');
  });

  test('quotes of other machines are read', () => {
    expect(parseQuote(fixture('dcap/quotes-only/tdx-v4-gcp-cos113.dat'))).toMatchObject({
      version: 4,
      body: { kind: 'tdx' },
    });
    const hex = Buffer.from(fixture('dcap/quotes-only/tdx-v4-tappd.hex')).toString('latin1').trim();
    expect(parseQuote(Uint8Array.from(Buffer.from(hex.replace(/^0x/, ''), 'hex')))).toMatchObject({ version: 4 });
    expect(parseQuote(fixture('dcap/quotes-only/sgx-v3-debug.bin'))).toMatchObject({
      version: 3,
      body: { kind: 'sgx' },
    });
  });

  test('real CRLs, TCB info and QE identity of other sources are read', () => {
    expect(parseCrl(fixture('dcap/go-tdx-guest/pckcrl.der'), 'crl').revoked.size).toBeGreaterThan(10);
    expect(parseCrl(fixture('dcap/go-tdx-guest/rootcrl.der'), 'crl').revoked.size).toBe(0);
    const inner = (path: string, key: string): string =>
      JSON.stringify(fixtureJson<{ [key: string]: unknown }>(path)[key]);
    expect(parseTcbInfo(inner('dcap/go-tdx-guest/tcbinfo_v5.json', 'tcbInfo'), 't').fmspc).toBe('90c06f000000');
    expect(parseTcbInfo(inner('dcap/go-tdx-guest/tcbinfo.json', 'tcbInfo'), 't').fmspc).toBe('50806f000000');
    expect(parseQeIdentity(inner('dcap/go-tdx-guest/qeidentity.json', 'enclaveIdentity'), 'q').id).toBe('TD_QE');
  });

  test('collateral beyond the pinned root is refused', async () => {
    const collateral = fixtureJson<Collateral>('dcap/tdx-v4-b0c06f/collateral.json');
    const at = expected['tdx-v4-b0c06f']?.now ?? 0;
    const stranger = { ...intelSgxRoot, spkiSha256: `0x${'11'.repeat(32)}`, simulated: true } as const;
    expect(
      await outcome(async () => (await verifyCollateral(collateral, { roots: [stranger], now: at })).tcbInfo.id),
    ).toMatch(/^ROOT_UNTRUSTED/);
  });

  test('our reader and node:crypto read the same certificate', () => {
    const der = fixture('roots/TrustedRootCA.der');
    const ours = parseCertificate(der, 'root');
    const node = new X509Certificate(der);
    expect(ours.serial).toBe(node.serialNumber.toLowerCase());
    expect(ours.validity.notBefore).toBe(node.validFromDate.getTime() / 1000);
    expect(ours.validity.notAfter).toBe(node.validToDate.getTime() / 1000);
    expect(ours.isCa).toBe(node.ca);
  });
});
