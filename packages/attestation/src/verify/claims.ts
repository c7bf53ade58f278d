import type { Bytes32, Hex } from '@cloister/core';
import type { TcbStatus } from './tcbStatus.ts';

/** What every verified quote says of its platform, before any policy. Byte strings are lower-case hexadecimal with 0x. */
export type PlatformClaims = {
  /** True unless the evidence leads to a root that is pinned in this package. */
  readonly simulated: boolean;
  readonly tcbStatus: TcbStatus;
  /** Intel's advisories that explain the status, such as `INTEL-SA-00615`. */
  readonly advisories: readonly string[];
  /** The lower of the numbers of TCB info and QE identity. */
  readonly tcbEvaluationDataNumber: number;
  /** 6 bytes: the kind of platform. */
  readonly fmspc: Hex;
  /** 2 bytes. */
  readonly pceId: Hex;
  /** 16 bytes. */
  readonly ppid: Hex;
  /** 16 bytes that tell physical machines apart: the PPID. */
  readonly platformId: Hex;
  /** Debug mode: the host can read what runs inside. */
  readonly debug: boolean;
  /** 64 bytes. */
  readonly reportData: Hex;
  /** Unix seconds: until when certificates and collateral hold. */
  readonly notAfter: number;
};

/** What a verified TDX quote says. */
export type TdxClaims = PlatformClaims & {
  readonly teeType: 'tdx';
  readonly quoteVersion: 4 | 5;
  readonly tdVersion: '1.0' | '1.5';
  /** 8 bytes each, as in the report (little-endian). */
  readonly tdAttributes: Hex;
  readonly xfam: Hex;
  readonly seamAttributes: Hex;
  /** 16 bytes. */
  readonly teeTcbSvn: Hex;
  /** 48 bytes each. */
  readonly mrSeam: Hex;
  readonly mrSignerSeam: Hex;
  readonly mrtd: Hex;
  readonly mrConfigId: Hex;
  readonly mrOwner: Hex;
  readonly mrOwnerConfig: Hex;
  readonly rtmr0: Hex;
  readonly rtmr1: Hex;
  readonly rtmr2: Hex;
  readonly rtmr3: Hex;
  /** 48 bytes; null for TD 1.0, zero where no service TD is bound. */
  readonly serviceTd: Hex | null;
  /** The reference value that MRTD and RTMR0 to 2 make. */
  readonly imageId: Bytes32;
};

/** What a verified SGX quote says. */
export type SgxClaims = PlatformClaims & {
  readonly teeType: 'sgx';
  /** 16 and 4 bytes, as in the report (little-endian). */
  readonly attributes: Hex;
  readonly miscSelect: Hex;
  /** 32 bytes each. */
  readonly mrEnclave: Hex;
  readonly mrSigner: Hex;
  readonly isvProdId: number;
  readonly isvSvn: number;
};

/** Claims by TEE type; further types join this union. */
export type Claims = TdxClaims | SgxClaims;
