import type { Bytes32, Hex } from '@cloister/core';
import type { TcbStatus } from './dcap/tcbStatus.ts';
import type { SnpProduct } from './snp/product.ts';
import type { SnpTcb } from './snp/tcb.ts';

/** What all verified evidence says, before any policy. Byte strings are lower-case hexadecimal with 0x. */
export type EvidenceClaims = {
  /** True unless the evidence leads to a root that is pinned in this package. */
  readonly simulated: boolean;
  /** Intel's verdict; null where the vendor gives none (AMD, AWS). */
  readonly tcbStatus: TcbStatus | null;
  /** Advisories that explain the status, such as `INTEL-SA-00615`. */
  readonly advisories: readonly string[];
  /** 16 bytes that tell physical machines apart; null where the evidence names no machine. */
  readonly platformId: Hex | null;
  /** Debug mode: the host can read what runs inside. */
  readonly debug: boolean;
  /** 64 bytes; null for Nitro documents whose user data has another length. */
  readonly reportData: Hex | null;
  /** The reference value that the measurements make. */
  readonly imageId: Bytes32;
  /** What the host configured at launch, measured with the guest, zero where it did not; null where there is no such thing or it has another form. */
  readonly configId: Bytes32 | null;
  /** Unix seconds: the time for which all this was verified. */
  readonly verifiedAt: number;
  /** Unix seconds: until when the evidence holds. */
  readonly notAfter: number;
};

/** What every verified quote of Intel's TEEs says of its platform. */
export type PlatformClaims = EvidenceClaims & {
  readonly tcbStatus: TcbStatus;
  /** Unix seconds: the date of the TCB that the platform has; of platform, module and quoting enclave the oldest. */
  readonly tcbDate: number;
  /** Unix seconds: since when something in it is out of date, as the date of the TCB that superseded it; null where nothing is or nobody says. */
  readonly outOfDateSince: number | null;
  /** The lower of the numbers of TCB info and QE identity. */
  readonly tcbEvaluationDataNumber: number;
  /** 6 bytes: the kind of platform. */
  readonly fmspc: Hex;
  /** 2 bytes. */
  readonly pceId: Hex;
  /** 16 bytes. */
  readonly ppid: Hex;
  /** The PPID. */
  readonly platformId: Hex;
  readonly reportData: Hex;
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
  /** What runs in a dstack CVM: SHA-256 of its app-compose.json, which `imageId` then covers and `configId` is. Null for every other TD. */
  readonly composeHash: Bytes32 | null;
  readonly mrOwner: Hex;
  readonly mrOwnerConfig: Hex;
  readonly rtmr0: Hex;
  readonly rtmr1: Hex;
  readonly rtmr2: Hex;
  readonly rtmr3: Hex;
  /** 48 bytes; null for TD 1.0, zero where no service TD is bound. */
  readonly serviceTd: Hex | null;
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

/** What a verified SNP report says. AMD gives no verdict on its TCB: a policy states its own floor. */
export type SnpClaims = EvidenceClaims & {
  readonly teeType: 'sev-snp';
  readonly tcbStatus: null;
  readonly reportVersion: 2 | 3 | 5;
  readonly product: SnpProduct;
  /** Whose key signed: the chip's own (VCEK), or one that a cloud loaded onto its chips (VLEK). */
  readonly signer: 'vcek' | 'vlek';
  /** The cloud that a VLEK was made for. */
  readonly cspId: string | null;
  /** 64 bytes; null where the host hides it. With a VLEK it is what the firmware says, no certificate vouches for it. */
  readonly chipId: Hex | null;
  /** 8 bytes (little-endian). */
  readonly policy: Hex;
  readonly guestSvn: number;
  /** Privilege level of the part of the guest that asked, 0 the highest. */
  readonly vmpl: number;
  /** Whether a migration agent may move the guest to other machines. */
  readonly migratable: boolean;
  /** What the signing key was derived for: the TCB that the vendor vouches for. */
  readonly reportedTcb: SnpTcb;
  readonly currentTcb: SnpTcb;
  readonly committedTcb: SnpTcb;
  readonly launchTcb: SnpTcb;
  /** 8 bytes. */
  readonly platformInfo: Hex;
  /** 48 bytes each. */
  readonly measurement: Hex;
  readonly idKeyDigest: Hex;
  readonly authorKeyDigest: Hex;
  /** 32 bytes. */
  readonly hostData: Hex;
  readonly reportId: Hex;
  /** 16 bytes each. */
  readonly familyId: Hex;
  readonly guestImageId: Hex;
  readonly reportData: Hex;
};

/** What a verified Nitro document says. */
export type NitroClaims = EvidenceClaims & {
  readonly teeType: 'nitro';
  readonly tcbStatus: null;
  readonly platformId: null;
  /** The enclave's name: instance and enclave. */
  readonly moduleId: string;
  /** Unix seconds: when the hypervisor signed. */
  readonly signedAt: number;
  /** 48 bytes each, by index; those that are zero are left out. */
  readonly pcrs: Readonly<Record<string, Hex>>;
  /** What the enclave chose; null where it chose nothing. */
  readonly userData: Hex | null;
  readonly nonce: Hex | null;
  readonly publicKey: Hex | null;
};

/** Claims by TEE type. */
export type Claims = TdxClaims | SgxClaims | SnpClaims | NitroClaims;

/** The claims that evidence of a type leads to. */
export type ClaimsOf<Evidence extends { readonly teeType: Claims['teeType'] }> = Extract<
  Claims,
  { readonly teeType: Evidence['teeType'] }
>;
