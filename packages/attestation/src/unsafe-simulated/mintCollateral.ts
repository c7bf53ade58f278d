import { sha256, toHex, utf8 } from '@cloister/crypto';
import type { Collateral } from '../verify/dcap/collateral.ts';
import { isoTime } from '../verify/x509/times.ts';
import { issueCrl, toPem } from './issueCertificate.ts';
import { type P256Key, signP256 } from './p256Key.ts';
import { simulatedTcb } from './simulatedPlatform.ts';
import type { SimulatedRoot } from './simulatedRoot.ts';

/** A JSON document before it is signed; edits may put anything into it. */
export type JsonObject = { readonly [key: string]: unknown };

export type MintCollateralOptions = {
  /** Unix seconds. */
  readonly issuedAt: number;
  /** Until nextUpdate of everything, in seconds. Default: 30 days. */
  readonly lifetimeSeconds?: number;
  /** Serials that the CRLs list, big-endian. */
  readonly revokedPcks?: readonly Uint8Array[];
  readonly revokedBelowRoot?: readonly Uint8Array[];
  /** Last changes before signing, for hostile variants. */
  readonly editTcbInfo?: (tcbInfo: JsonObject) => JsonObject;
  readonly editQeIdentity?: (qeIdentity: JsonObject) => JsonObject;
};

/** The made-up quoting enclave. */
export const simulatedQe = {
  mrSigner: sha256(utf8('DEV unsafe simulated quoting enclave: signer')),
  mrEnclave: sha256(utf8('DEV unsafe simulated quoting enclave')),
  isvProdId: 2,
  isvSvn: 4,
} as const;

const zeros = (bytes: number): string => '00'.repeat(bytes);
const tcbDate = '2026-01-01T00:00:00Z';

/** Collateral of a simulated root in Intel's form, every part signed. */
export function mintCollateral(root: SimulatedRoot, options: MintCollateralOptions): Collateral {
  const { issuedAt, lifetimeSeconds = 30 * 86_400 } = options;
  const dates = { issueDate: isoTime(issuedAt), nextUpdate: isoTime(issuedAt + lifetimeSeconds) };
  const crlDates = { thisUpdate: issuedAt, nextUpdate: issuedAt + lifetimeSeconds };
  const tcbInfo = (options.editTcbInfo ?? same)(simulatedTcbInfo(dates));
  const qeIdentity = (options.editQeIdentity ?? same)(simulatedQeIdentity(dates));
  const rootCrl = issueCrl({
    ...crlDates,
    issuer: root.root.commonName,
    signer: root.root.key,
    revoked: options.revokedBelowRoot ?? [],
  });
  const pckCrl = issueCrl({
    ...crlDates,
    issuer: root.pckCa.commonName,
    signer: root.pckCa.key,
    revoked: options.revokedPcks ?? [],
  });
  const signerChain = toPem(root.tcbSigner.certificate, root.root.certificate);
  return {
    pck_crl_issuer_chain: toPem(root.pckCa.certificate, root.root.certificate),
    root_ca_crl: bareHex(rootCrl),
    pck_crl: bareHex(pckCrl),
    tcb_info_issuer_chain: signerChain,
    ...signDocument('tcb_info', JSON.stringify(tcbInfo), root.tcbSigner.key),
    qe_identity_issuer_chain: signerChain,
    ...signDocument('qe_identity', JSON.stringify(qeIdentity), root.tcbSigner.key),
  };
}

/** A document and the signature over its exact bytes, under the collateral's keys. */
export function signDocument<const Name extends 'tcb_info' | 'qe_identity'>(
  name: Name,
  text: string,
  signer: P256Key,
): { readonly [Key in Name | `${Name}_signature`]: string } {
  return { [name]: text, [`${name}_signature`]: bareHex(signP256(signer, utf8(text))) } as {
    [Key in Name | `${Name}_signature`]: string;
  };
}

function same(document: JsonObject): JsonObject {
  return document;
}

function simulatedTcbInfo(dates: JsonObject): JsonObject {
  const module = { mrsigner: zeros(48), attributes: zeros(8), attributesMask: 'FF'.repeat(8) };
  const components = (svns: readonly number[]): JsonObject[] => svns.map((svn) => ({ svn }));
  const level = (svnsBelow: number, tcbStatus: string, advisoryIDs: readonly string[]): JsonObject => ({
    tcb: {
      sgxtcbcomponents: components(simulatedTcb.components.map((svn) => Math.max(0, svn - svnsBelow))),
      pcesvn: simulatedTcb.pceSvn - svnsBelow,
      // The module's own two components are 5 and 0 in Intel's TCB info, whatever the module's version.
      tdxtcbcomponents: components([
        5,
        0,
        ...simulatedTcb.teeTcbSvn.slice(2).map((svn) => Math.max(0, svn - svnsBelow)),
      ]),
    },
    tcbDate,
    tcbStatus,
    ...(advisoryIDs.length === 0 ? {} : { advisoryIDs }),
  });
  return {
    id: 'TDX',
    version: 3,
    ...dates,
    fmspc: bareHex(simulatedTcb.fmspc).toUpperCase(),
    pceId: bareHex(simulatedTcb.pceId),
    tcbType: 0,
    tcbEvaluationDataNumber: 20,
    tdxModule: module,
    tdxModuleIdentities: [
      {
        id: 'TDX_01',
        ...module,
        tcbLevels: [
          { tcb: { isvsvn: simulatedTcb.teeTcbSvn[0] }, tcbDate, tcbStatus: 'UpToDate' },
          { tcb: { isvsvn: 2 }, tcbDate, tcbStatus: 'OutOfDate', advisoryIDs: ['DEV-SA-00002'] },
        ],
      },
    ],
    tcbLevels: [level(0, 'UpToDate', []), level(1, 'OutOfDate', ['DEV-SA-00001'])],
  };
}

function simulatedQeIdentity(dates: JsonObject): JsonObject {
  return {
    id: 'TD_QE',
    version: 2,
    ...dates,
    tcbEvaluationDataNumber: 20,
    miscselect: zeros(4),
    miscselectMask: 'FF'.repeat(4),
    attributes: `11${zeros(15)}`,
    attributesMask: `FB${'FF'.repeat(7)}${zeros(8)}`,
    mrsigner: bareHex(simulatedQe.mrSigner).toUpperCase(),
    isvprodid: simulatedQe.isvProdId,
    tcbLevels: [
      { tcb: { isvsvn: simulatedQe.isvSvn }, tcbDate, tcbStatus: 'UpToDate' },
      { tcb: { isvsvn: 1 }, tcbDate, tcbStatus: 'OutOfDate', advisoryIDs: ['DEV-SA-00003'] },
    ],
  };
}

/** Hexadecimal without 0x, as collateral has it. */
export function bareHex(bytes: Uint8Array): string {
  return toHex(bytes).slice(2);
}
