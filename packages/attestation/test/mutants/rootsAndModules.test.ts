import { describe, expect, test } from 'vitest';
import {
  type CertifiedKey,
  issueCertificate,
  makeSimulatedRoot,
  type SimulatedRoot,
  signsCertificates,
  signsData,
  toPem,
} from '../../src/unsafe-simulated/index.ts';
import type { PckExtension } from '../../src/verify/dcap/pckExtension.ts';
import { matchTdxLevel, verifyTdxModule } from '../../src/verify/dcap/platformTcb.ts';
import type { TcbInfo } from '../../src/verify/dcap/tcbInfo.ts';
import type { TcbStatus } from '../../src/verify/dcap/tcbStatus.ts';
import type { TdReport } from '../../src/verify/dcap/tdReport.ts';
import { verifyCollateral } from '../../src/verify/index.ts';
import { makeWorld, now } from '../synthetic.ts';
import { laterMessageOf, messageOf } from './messageOf.ts';

describe('a root', () => {
  const made = makeSimulatedRoot(now);
  /** The keys of `made`, with certificates issued anew under another name of the root. */
  const named = (name: string): SimulatedRoot => {
    const certify = (known: CertifiedKey, subject: string, pathLength?: number): CertifiedKey => {
      const isCa = pathLength !== undefined;
      const certificate = issueCertificate({
        subject,
        issuer: name,
        publicKey: known.key.publicKey,
        signer: made.root.key,
        serial: known.serial,
        notBefore: now - 7200,
        notAfter: now + 7200,
        isCa,
        pathLength,
        keyUsage: isCa ? signsCertificates : signsData,
      });
      return { ...known, commonName: subject, certificate };
    };
    return {
      root: certify(made.root, name, 1),
      pckCa: certify(made.pckCa, made.pckCa.commonName, 0),
      tcbSigner: certify(made.tcbSigner, made.tcbSigner.commonName),
      trustRoot: made.trustRoot,
    };
  };
  const verify = (collateral: ReturnType<typeof makeWorld>['collateral']) =>
    laterMessageOf(() => verifyCollateral(collateral, { roots: [made.trustRoot], now }));

  test('that is simulated has the name of one, whatever its key', async () => {
    expect(await verify(makeWorld({ root: named(made.root.commonName) }).collateral)).toBe('ok');
    expect(await verify(makeWorld({ root: named('DEV another root') }).collateral)).toContain(
      'WRONG_ROLE at collateral.tcb_info_issuer_chain[1]',
    );
  });

  test('may have another certificate in another chain, but no other name', async () => {
    const { collateral } = makeWorld({ root: made });
    const chain = (root: SimulatedRoot) => toPem(made.tcbSigner.certificate, root.root.certificate);
    const again = { ...collateral, qe_identity_issuer_chain: chain(named(made.root.commonName)) };
    const other = { ...collateral, qe_identity_issuer_chain: chain(named('DEV another root')) };
    expect(again.qe_identity_issuer_chain).not.toBe(collateral.qe_identity_issuer_chain);
    expect(await verify(again)).toBe('ok');
    expect(await verify(other)).toContain('ROOT_UNTRUSTED at collateral.qe_identity_issuer_chain[1]');
  });
});

describe('a TDX module', () => {
  const level = (isvSvn: number, status: TcbStatus) => ({ isvSvn, status, advisories: [], tcbDate: 0 });
  const identity = (id: string, levels: readonly ReturnType<typeof level>[]) => ({
    id,
    mrSigner: new Uint8Array(48),
    attributes: new Uint8Array(8),
    attributesMask: new Uint8Array(8),
    levels,
  });
  const tdx = [5, 1, ...Array<number>(14).fill(2)];
  const tcbInfo = {
    tdxModule: identity('', []),
    tdxModuleIdentities: [
      identity('TDX_01', [level(2, 'OutOfDate')]),
      identity('TDX_03', [level(6, 'UpToDate'), level(4, 'SWHardeningNeeded')]),
    ],
    levels: [{ sgx: Array<number>(16).fill(1), pceSvn: 1, tdx, status: 'UpToDate', advisories: [], tcbDate: 0 }],
  } as unknown as TcbInfo;
  const report = (svn: number, version: number) =>
    ({
      teeTcbSvn: Uint8Array.from([svn, version, ...Array<number>(14).fill(2)]),
      mrSignerSeam: new Uint8Array(48),
      seamAttributes: new Uint8Array(8),
    }) as unknown as TdReport;
  const pck = { components: Array<number>(16).fill(1), pceSvn: 1 } as unknown as PckExtension;

  test('is judged by the levels of its own version', () => {
    expect(verifyTdxModule(report(6, 3), tcbInfo)?.status).toBe('UpToDate');
    expect(verifyTdxModule(report(5, 3), tcbInfo)?.status).toBe('SWHardeningNeeded');
    expect(verifyTdxModule(report(2, 1), tcbInfo)?.status).toBe('OutOfDate');
    expect(verifyTdxModule(report(0, 0), tcbInfo)).toBeUndefined();
  });

  test('below every level of its version is refused', () => {
    expect(messageOf(() => verifyTdxModule(report(3, 3), tcbInfo))).toContain('TDX_MODULE_LEVEL_NOT_FOUND');
    expect(messageOf(() => verifyTdxModule(report(9, 2), tcbInfo))).toContain('TDX_MODULE_UNKNOWN');
  });

  test('of version 0 counts among the components of the platform, of a later one it does not', () => {
    expect(matchTdxLevel(report(0, 3), pck, tcbInfo).status).toBe('UpToDate');
    expect(messageOf(() => matchTdxLevel(report(4, 0), pck, tcbInfo))).toContain('TCB_LEVEL_NOT_FOUND');
  });

  test('does not make up for another component', () => {
    const low = report(9, 3);
    low.teeTcbSvn[2] = 1;
    expect(messageOf(() => matchTdxLevel(low, pck, tcbInfo))).toContain('TCB_LEVEL_NOT_FOUND');
  });
});
