import { concatBytes, fromHex, sha256, sha384, utf8 } from '@cloister/crypto';
import { SimulatedError } from './errors.ts';
import { toPem } from './issueCertificate.ts';
import { simulatedQe } from './mintCollateral.ts';
import { type P256Key, signP256 } from './p256Key.ts';
import { type SimulatedPlatform, simulatedTcb } from './simulatedPlatform.ts';

/** What the made-up TD was started from, and what it says. 48 bytes each unless said; what is left out is zero. */
export type TdMeasurements = {
  readonly mrtd: Uint8Array;
  readonly rtmr0?: Uint8Array;
  readonly rtmr1?: Uint8Array;
  readonly rtmr2?: Uint8Array;
  readonly rtmr3?: Uint8Array;
  readonly mrConfigId?: Uint8Array;
  readonly mrOwner?: Uint8Array;
  readonly mrOwnerConfig?: Uint8Array;
  /** 64 bytes. */
  readonly reportData: Uint8Array;
};

/** Everything else in a quote; the defaults make a good one. */
export type MintQuoteOptions = {
  /** Default: 4, which has bodies of TD 1.0 only. */
  readonly version?: 4 | 5;
  /** Default: 1.0. */
  readonly tdVersion?: '1.0' | '1.5';
  /** 16 bytes. */
  readonly teeTcbSvn?: Uint8Array;
  readonly mrSeam?: Uint8Array;
  readonly mrSignerSeam?: Uint8Array;
  /** 8 bytes each. */
  readonly seamAttributes?: Uint8Array;
  readonly tdAttributes?: Uint8Array;
  readonly xfam?: Uint8Array;
  /** TD 1.5: 48 bytes. */
  readonly mrServiceTd?: Uint8Array;
  /** 16 bytes. */
  readonly qeVendorId?: Uint8Array;
  /** Changes to the QE report before it is signed. */
  readonly editQeReport?: (report: Uint8Array) => void;
  /** Signs the QE report in place of the platform's PCK. */
  readonly qeReportSigner?: P256Key;
  /** DER certificates in place of leaf, CA and root. */
  readonly chain?: readonly Uint8Array[];
};

const headerLength = 48;
const tdReportLength = 584;
const intelQeVendorId = fromHex('939a7233f79c4ca9940a0db3957f0607');
/** SEPT_VE_DISABLE. */
const goodTdAttributes = fromHex('0000001000000000');
const goodXfam = fromHex('e702060000000000');
const mrSeam = sha384(utf8('DEV unsafe simulated SEAM module'));

/** Bytes of a version-4 quote that its signature covers: header and TD report. */
export const signedPartLength = headerLength + tdReportLength;

/** A TDX quote of real form, signed by a simulated platform. Throws INVALID_MEASUREMENT for fields of a wrong length. */
export function mintQuote(
  platform: SimulatedPlatform,
  measurements: TdMeasurements,
  options: MintQuoteOptions = {},
): Uint8Array {
  const { version = 4, tdVersion = '1.0' } = options;
  const header = new Uint8Array(headerLength);
  header.set([version, 0, 2, 0, 0x81, 0, 0, 0]);
  header.set(options.qeVendorId ?? intelQeVendorId, 12);
  const body = tdReport(measurements, options, version === 5 && tdVersion === '1.5');
  const bodyHeader =
    version === 5 ? concatBytes(u16(tdVersion === '1.5' ? 3 : 2), u32(body.length)) : new Uint8Array(0);
  const signedPart = concatBytes(header, bodyHeader, body);

  const authData = Uint8Array.from({ length: 32 }, (_, index) => index);
  const qeReport = signQeReport(platform, authData, options);
  const chain = options.chain ?? [
    platform.pck.certificate,
    platform.root.pckCa.certificate,
    platform.root.root.certificate,
  ];
  const pem = concatBytes(utf8(toPem(...chain)), Uint8Array.of(0));
  const certification = concatBytes(qeReport, u16(authData.length), authData, u16(5), u32(pem.length), pem);
  const signatureData = concatBytes(
    signP256(platform.attestationKey, signedPart),
    platform.attestationKey.publicKey,
    u16(6),
    u32(certification.length),
    certification,
  );
  return concatBytes(signedPart, u32(signatureData.length), signatureData);
}

function tdReport(measurements: TdMeasurements, options: MintQuoteOptions, is15: boolean): Uint8Array {
  const teeTcbSvn = options.teeTcbSvn ?? Uint8Array.from(simulatedTcb.teeTcbSvn);
  return concatBytes(
    exactly(teeTcbSvn, 16, 'teeTcbSvn'),
    exactly(options.mrSeam ?? mrSeam, 48, 'mrSeam'),
    exactly(options.mrSignerSeam, 48, 'mrSignerSeam'),
    exactly(options.seamAttributes, 8, 'seamAttributes'),
    exactly(options.tdAttributes ?? goodTdAttributes, 8, 'tdAttributes'),
    exactly(options.xfam ?? goodXfam, 8, 'xfam'),
    exactly(measurements.mrtd, 48, 'mrtd'),
    exactly(measurements.mrConfigId, 48, 'mrConfigId'),
    exactly(measurements.mrOwner, 48, 'mrOwner'),
    exactly(measurements.mrOwnerConfig, 48, 'mrOwnerConfig'),
    exactly(measurements.rtmr0, 48, 'rtmr0'),
    exactly(measurements.rtmr1, 48, 'rtmr1'),
    exactly(measurements.rtmr2, 48, 'rtmr2'),
    exactly(measurements.rtmr3, 48, 'rtmr3'),
    exactly(measurements.reportData, 64, 'reportData'),
    ...(is15 ? [teeTcbSvn, exactly(options.mrServiceTd, 48, 'mrServiceTd')] : []),
  );
}

/** The QE's report, binding the attestation key, and the PCK's signature over it. */
function signQeReport(platform: SimulatedPlatform, authData: Uint8Array, options: MintQuoteOptions): Uint8Array {
  const report = new Uint8Array(384);
  report.set(Uint8Array.from(platform.tcb.components), 0);
  report.set(fromHex('1500000000000000e700000000000000'), 48);
  report.set(simulatedQe.mrEnclave, 64);
  report.set(simulatedQe.mrSigner, 128);
  report.set(u16(simulatedQe.isvProdId), 256);
  report.set(u16(simulatedQe.isvSvn), 258);
  report.set(sha256(concatBytes(platform.attestationKey.publicKey, authData)), 320);
  options.editQeReport?.(report);
  return concatBytes(report, signP256(options.qeReportSigner ?? platform.pck.key, report));
}

function exactly(bytes: Uint8Array | undefined, length: number, what: string): Uint8Array {
  if (bytes === undefined) return new Uint8Array(length);
  if (bytes.length === length) return bytes;
  throw new SimulatedError({
    code: 'INVALID_MEASUREMENT',
    message: `Expected ${what} to be ${length} bytes, got "${bytes.length}"`,
    meta: { what, length: bytes.length },
  });
}

function u16(value: number): Uint8Array {
  return Uint8Array.of(value & 0xff, (value >> 8) & 0xff);
}

function u32(value: number): Uint8Array {
  return concatBytes(u16(value), u16(value >>> 16));
}
