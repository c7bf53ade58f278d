import { pageBytes } from './imageFirmware.ts';
import { ScriptError } from './scriptError.ts';

export type Processor = {
  /** CPUID Fn0000_0001_EAX: family, model and stepping. */
  readonly signature: number;
  /** SEV_FEATURES: bit 0 is SEV-SNP. */
  readonly features: bigint;
};

/** Where the first processor starts. */
export const bootAddress = 0xfffffff0;

/** By QEMU's names (target/i386/cpu.c, `builtin_x86_defs`); their versions, `-v1` and so on, have the same signature. */
const models: Readonly<Record<string, readonly [family: number, model: number, stepping: number]>> = {
  EPYC: [23, 1, 2],
  'EPYC-Rome': [23, 49, 0],
  'EPYC-Milan': [25, 1, 1],
  'EPYC-Genoa': [25, 17, 0],
  'EPYC-Turin': [26, 0, 0],
};

/** The signature of a processor by QEMU's name of it, or as given in hexadecimal. Throws SCRIPT_BAD_ARGUMENT. */
export function processorSignature(name: string): number {
  if (/^0x[0-9a-f]{1,8}$/i.test(name)) return Number(name);
  const model = Object.hasOwn(models, name.replace(/-v[0-9]+$/, ''))
    ? models[name.replace(/-v[0-9]+$/, '')]
    : undefined;
  if (model === undefined)
    throw new ScriptError({
      code: 'SCRIPT_BAD_ARGUMENT',
      message: `Expected a processor of QEMU's after --snp-cpu, or its signature like 0xa00f11, got "${name.slice(0, 80)}"`,
      hint: `Known: ${Object.keys(models).join(', ')}`,
    });
  const [family, number, stepping] = model;
  // AMD's CPUID Specification (25481), Fn0000_0001_EAX: families from 15 on are split in two, and models always.
  return ((family - 15) << 20) | ((number >> 4) << 16) | (15 << 8) | ((number & 15) << 4) | stepping;
}

/**
 * The page with the registers that a processor of a SEV-SNP guest starts with below QEMU and KVM. Offsets: AMD64 Architecture
 * Programmer's Manual, volume 2, table B-4. Values: its reset state, and what KVM sets for itself (EFER.SVME, CR4.MCE).
 */
export function snpVmsaPage({ signature, features }: Processor, startAddress: number): Uint8Array {
  const page = Buffer.alloc(pageBytes);
  const segment = (at: number, selector: number, attributes: number, base: number) => {
    page.writeUInt16LE(selector, at);
    page.writeUInt16LE(attributes, at + 2);
    page.writeUInt32LE(0xffff, at + 4);
    page.writeUInt32LE(base, at + 8);
  };
  const code = (startAddress & 0xffff0000) >>> 0;
  segment(0x000, 0, 0x93, 0); // ES
  segment(0x010, 0xf000, 0x9b, code); // CS
  for (const at of [0x020, 0x030, 0x040, 0x050]) segment(at, 0, 0x93, 0); // SS, DS, FS, GS
  segment(0x060, 0, 0, 0); // GDTR
  segment(0x070, 0, 0x82, 0); // LDTR
  segment(0x080, 0, 0, 0); // IDTR
  segment(0x090, 0, 0x8b, 0); // TR
  page.writeUInt32LE(0x1000, 0x0d0); // EFER
  page.writeUInt32LE(0x40, 0x148); // CR4
  page.writeUInt32LE(0x10, 0x158); // CR0
  page.writeUInt32LE(0x400, 0x160); // DR7
  page.writeUInt32LE(0xffff0ff0, 0x168); // DR6
  page.writeUInt32LE(0x2, 0x170); // RFLAGS
  page.writeUInt32LE(startAddress & 0xffff, 0x178); // RIP
  page.writeBigUInt64LE(0x0007040600070406n, 0x268); // PAT
  page.writeUInt32LE(signature, 0x310); // RDX
  page.writeBigUInt64LE(features, 0x3b0); // SEV_FEATURES
  page.writeUInt32LE(0x1, 0x3e8); // XCR0
  page.writeUInt32LE(0x1f80, 0x408); // MXCSR
  page.writeUInt16LE(0x37f, 0x410); // x87 control word
  return page;
}
