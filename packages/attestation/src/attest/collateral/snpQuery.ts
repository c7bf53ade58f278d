import { toHex } from '@cloister/crypto';
import { productOfCpuid, type SnpProduct } from '../../verify/snp/product.ts';
import { readSnpTcb } from '../../verify/snp/tcb.ts';
import { CollateralError } from './collateralError.ts';

export type { SnpProduct };

/** Which endorsement a report needs. */
export type SnpQuery = {
  /** Products that the report may come from: one, or several where the report is too old to say. */
  readonly products: readonly SnpProduct[];
  /** The key that signed it: the chip's own, or one that a cloud loaded. */
  readonly signer: 'vcek' | 'vlek';
  /** The chip, 64 bytes. */
  readonly chipId: Uint8Array;
  /** 8 bytes: the versions that the signing key was derived for. */
  readonly reportedTcb: Uint8Array;
};

/** Offsets in ATTESTATION_REPORT (AMD, "SEV Secure Nested Paging Firmware ABI Specification", table 23). */
const at = { version: 0x00, keyInfo: 0x48, reportedTcb: 0x180, cpuid: 0x188, chipId: 0x1a0 } as const;
const reportLength = 1184;
/** From this version on a report says which processor made it. */
const firstWithCpuid = 3;

/** What an SNP report says of its chip, unverified. Throws COLLATERAL_QUOTE_UNREADABLE. */
export function snpQueryOf(report: Uint8Array): SnpQuery {
  if (report.length !== reportLength) throw unreadable(`${report.length} bytes`);
  const view = new DataView(report.buffer, report.byteOffset, report.byteLength);
  const signingKey = (view.getUint32(at.keyInfo, true) >> 2) & 7;
  const signer = signingKey === 0 ? 'vcek' : signingKey === 1 ? 'vlek' : undefined;
  if (signer === undefined) throw unreadable(`signing key ${signingKey}`);
  const chipId = report.slice(at.chipId, at.chipId + 64);
  if (signer === 'vcek' && chipId.every((byte) => byte === 0))
    throw unreadable('a masked chip id: the host hides which chip this is');
  return {
    products: productsOf(view.getUint32(at.version, true), report[at.cpuid] ?? 0, report[at.cpuid + 1] ?? 0),
    signer,
    chipId,
    reportedTcb: report.slice(at.reportedTcb, at.reportedTcb + 8),
  };
}

/**
 * AMD, "VCEK Certificate and KDS Interface Specification": the path of a chip's certificate at the versions of a report. Turin
 * has chip ids of 8 bytes. Throws COLLATERAL_QUOTE_UNREADABLE for versions that no product has.
 */
export function vcekPath(product: SnpProduct, { chipId, reportedTcb }: SnpQuery): string {
  const tcb = readSnpTcb(reportedTcb, product);
  if (tcb === undefined) throw unreadable(`the versions "${toHex(reportedTcb)}"`);
  const digits = (value: number) => String(value).padStart(2, '0');
  const { fmc, bootloader, tee, snp, microcode } = tcb;
  const chip = toHex(product === 'Turin' ? chipId.subarray(0, 8) : chipId).slice(2);
  const first = fmc === null ? '' : `fmcSPL=${digits(fmc)}&`;
  return `${chip}?${first}blSPL=${digits(bootloader)}&teeSPL=${digits(tee)}&snpSPL=${digits(snp)}&ucodeSPL=${digits(microcode)}`;
}

function productsOf(version: number, family: number, model: number): readonly SnpProduct[] {
  if (version < firstWithCpuid) return ['Milan', 'Genoa'];
  const product = productOfCpuid(family, model);
  if (product === undefined) throw unreadable(`a processor of family ${family}, model ${model}`);
  return [product];
}

function unreadable(got: string): CollateralError {
  return new CollateralError({
    code: 'COLLATERAL_QUOTE_UNREADABLE',
    message: `Expected an SNP report of a known processor, got ${got}`,
  });
}
