import type { QuoteBody } from './quote.ts';

/** The fields of a TD report body (Intel, "TDX DCAP Quoting Library API", appendix 3.2); views into its bytes. */
export type TdReport = {
  /** 16 bytes: SVNs of the TDX TCB components; [0] and [1] are SVN and version of the TDX module. */
  readonly teeTcbSvn: Uint8Array;
  readonly mrSeam: Uint8Array;
  readonly mrSignerSeam: Uint8Array;
  readonly seamAttributes: Uint8Array;
  /** 8 bytes; bit 0 is DEBUG. */
  readonly tdAttributes: Uint8Array;
  readonly xfam: Uint8Array;
  readonly mrTd: Uint8Array;
  readonly mrConfigId: Uint8Array;
  readonly mrOwner: Uint8Array;
  readonly mrOwnerConfig: Uint8Array;
  readonly rtmr0: Uint8Array;
  readonly rtmr1: Uint8Array;
  readonly rtmr2: Uint8Array;
  readonly rtmr3: Uint8Array;
  readonly reportData: Uint8Array;
  /** TDX 1.5 only: SVNs now, where `teeTcbSvn` holds those at the TD's start. */
  readonly teeTcbSvn2: Uint8Array | undefined;
  /** TDX 1.5 only: hash of the service TDs bound to this TD, zero where there is none. */
  readonly mrServiceTd: Uint8Array | undefined;
};

/** The fields of a body that `parseQuote` has found to be a TD report. */
export function readTdReport(body: Extract<QuoteBody, { kind: 'tdx' }>): TdReport {
  const { bytes } = body;
  const is15 = body.tdVersion === '1.5';
  return {
    teeTcbSvn: bytes.subarray(0, 16),
    mrSeam: bytes.subarray(16, 64),
    mrSignerSeam: bytes.subarray(64, 112),
    seamAttributes: bytes.subarray(112, 120),
    tdAttributes: bytes.subarray(120, 128),
    xfam: bytes.subarray(128, 136),
    mrTd: bytes.subarray(136, 184),
    mrConfigId: bytes.subarray(184, 232),
    mrOwner: bytes.subarray(232, 280),
    mrOwnerConfig: bytes.subarray(280, 328),
    rtmr0: bytes.subarray(328, 376),
    rtmr1: bytes.subarray(376, 424),
    rtmr2: bytes.subarray(424, 472),
    rtmr3: bytes.subarray(472, 520),
    reportData: bytes.subarray(520, 584),
    teeTcbSvn2: is15 ? bytes.subarray(584, 600) : undefined,
    mrServiceTd: is15 ? bytes.subarray(600, 648) : undefined,
  };
}
