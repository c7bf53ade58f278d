import { type EvidenceDocument, parseQuote, quoteOf } from '@cloister/attestation/verify';
import { type Bytes32, dstackImageId, readMrConfigId, tdxImageId } from '@cloister/core';
import { sha256, toHex } from '@cloister/crypto';

/** What a TD's own quote says of the machine: the worker's image, not the app. Hexadecimal without 0x. */
export type MachineRegisters = {
  readonly mrtd: string;
  readonly rtmr0: string;
  readonly rtmr1: string;
  readonly rtmr2: string;
  /** SHA-256 of MRTD and RTMR0 to 3, as dstack aggregates them. */
  readonly aggregated: string;
  /** The image as the ImageRegistry names it. */
  readonly imageId: string;
};

const at = { mrtd: 136, mrConfigId: 184, rtmr0: 328, rtmr1: 376, rtmr2: 424, rtmr3: 472 } as const;

/** Undefined for evidence that is none of TDX. Throws AttestationError. */
export function registersOf(evidence: EvidenceDocument): MachineRegisters | undefined {
  if (evidence.teeType !== 'tdx') return undefined;
  const { bytes } = parseQuote(quoteOf(evidence)).body;
  const register = (name: keyof typeof at) => bytes.subarray(at[name], at[name] + 48);
  const image = {
    mrtd: register('mrtd'),
    rtmr0: register('rtmr0'),
    rtmr1: register('rtmr1'),
    rtmr2: register('rtmr2'),
  };
  const composeHash = readMrConfigId(register('mrConfigId'))?.composeHash;
  const all = Buffer.concat([image.mrtd, image.rtmr0, image.rtmr1, image.rtmr2, register('rtmr3')]);
  return {
    mrtd: bare(image.mrtd),
    rtmr0: bare(image.rtmr0),
    rtmr1: bare(image.rtmr1),
    rtmr2: bare(image.rtmr2),
    aggregated: bare(sha256(all)),
    imageId: imageIdOf(image, composeHash).slice(2),
  };
}

function imageIdOf(image: Parameters<typeof tdxImageId>[0], composeHash: Bytes32 | null | undefined): Bytes32 {
  return composeHash == null ? tdxImageId(image) : dstackImageId(image, composeHash);
}

function bare(bytes: Uint8Array): string {
  return toHex(bytes).slice(2);
}
