/** Bytes of an SGX report body. */
export const enclaveReportLength = 384;

/** The fields of an SGX report body (Intel SDM vol. 3D, table 38-21) that verification needs; views into its bytes. */
export type EnclaveReport = {
  readonly bytes: Uint8Array;
  /** 4 bytes, little-endian. */
  readonly miscSelect: Uint8Array;
  /** 16 bytes; bit 1 of the first is DEBUG. */
  readonly attributes: Uint8Array;
  /** 32 bytes. */
  readonly mrEnclave: Uint8Array;
  /** 32 bytes. */
  readonly mrSigner: Uint8Array;
  /** 64 bytes that whoever started the enclave chose (key separation and sharing); zero without that feature. */
  readonly configId: Uint8Array;
  readonly isvProdId: number;
  readonly isvSvn: number;
  /** 64 bytes. */
  readonly reportData: Uint8Array;
};

/** The fields of 384 bytes. */
export function readEnclaveReport(bytes: Uint8Array): EnclaveReport {
  return {
    bytes,
    miscSelect: bytes.subarray(16, 20),
    attributes: bytes.subarray(48, 64),
    mrEnclave: bytes.subarray(64, 96),
    mrSigner: bytes.subarray(128, 160),
    configId: bytes.subarray(192, 256),
    isvProdId: (bytes[256] ?? 0) | ((bytes[257] ?? 0) << 8),
    isvSvn: (bytes[258] ?? 0) | ((bytes[259] ?? 0) << 8),
    reportData: bytes.subarray(320, 384),
  };
}
