import type { SnpProduct } from './product.ts';

/** Versions of the firmware that SNP rests on (AMD, "SEV Secure Nested Paging Firmware ABI Specification", §2.2 TCB_VERSION). */
export type SnpTcb = {
  /** Of the microcontroller firmware; null before Turin, which has no such thing. */
  readonly fmc: number | null;
  readonly bootloader: number;
  readonly tee: number;
  readonly snp: number;
  readonly microcode: number;
};

export const snpTcbParts = ['fmc', 'bootloader', 'tee', 'snp', 'microcode'] as const satisfies (keyof SnpTcb)[];

/** Where each part stands in the 8 bytes: Turin has another layout. The rest is zero. */
const layouts = {
  before: { bootloader: 0, tee: 1, snp: 6, microcode: 7, zero: [2, 3, 4, 5] },
  turin: { fmc: 0, bootloader: 1, tee: 2, snp: 3, microcode: 7, zero: [4, 5, 6] },
} as const;

/** The 8 bytes of a TCB_VERSION in the layout of a product; undefined where a reserved byte is not zero. */
export function readSnpTcb(bytes: Uint8Array, product: SnpProduct): SnpTcb | undefined {
  const layout = product === 'Turin' ? layouts.turin : layouts.before;
  const at = (index: number): number => bytes[index] ?? 0;
  if (layout.zero.some((index) => at(index) !== 0)) return undefined;
  return {
    fmc: product === 'Turin' ? at(layouts.turin.fmc) : null,
    bootloader: at(layout.bootloader),
    tee: at(layout.tee),
    snp: at(layout.snp),
    microcode: at(layout.microcode),
  };
}

/** The first part of `tcb` that does not reach `floor`. */
export function belowFloor(tcb: SnpTcb, floor: Partial<SnpTcb>): keyof SnpTcb | undefined {
  return snpTcbParts.find((part) => (tcb[part] ?? 0) < (floor[part] ?? 0));
}
