/** What a side is ready to take inside the seal. */
export type MessageLimits = {
  /** Header fields, call headers included. @default 128 */
  readonly maxHeaderCount: number;
  /** Bytes of the encoded field section. @default 32_768 */
  readonly maxHeaderBytes: number;
  /** Bytes of a request's body. @default 8_388_608 */
  readonly maxBodyBytes: number;
};

export const defaultMessageLimits: MessageLimits = {
  maxHeaderCount: 128,
  maxHeaderBytes: 32_768,
  maxBodyBytes: 8_388_608,
};

export const maxMethodLength = 32;
export const maxPathLength = 8_192;
export const maxVoucherLength = 16_384;

/** Nothing inside the seal is longer: lengths stay safe in 32-bit arithmetic. */
export const hardMaxBodyBytes = 1_073_741_824;
