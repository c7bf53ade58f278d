import type { ByteWriter } from './byteWriter.ts';
import { type Instruction, opcodes } from './instructions.ts';

/** What kind of value an instruction makes whose NaN, where it is one, may have any bits (WebAssembly Core 2.0, §4.3.3). */
export type NanKind = 'f32' | 'f64' | 'f32x4' | 'f64x2';

const f32Demote = 0xb6;
const f64Promote = 0xbb;
const vectors: readonly (readonly [NanKind, readonly number[]])[] = [
  ['f32x4', [94, 103, 104, 105, 106, 227, 228, 229, 230, 231, 232, 233]],
  ['f64x2', [95, 116, 117, 122, 148, 239, 240, 241, 242, 243, 244, 245]],
];

/** Ceil, floor, trunc, nearest, sqrt, add, sub, mul, div, min, max and changes of size; others copy bits or make no NaN. */
export function nanKind({ op, sub }: Instruction): NanKind | undefined {
  if ((op >= 0x8d && op <= 0x97) || op === f32Demote) return 'f32';
  if ((op >= 0x9b && op <= 0xa5) || op === f64Promote) return 'f64';
  return op === opcodes.vector ? vectors.find(([, subs]) => subs.includes(sub))?.[0] : undefined;
}

/** The value type of each kind, for the local that holds a value while it is looked at. */
export const nanValueTypes: { readonly [Kind in NanKind]: number } = { f32: 0x7d, f64: 0x7c, f32x4: 0x7b, f64x2: 0x7b };

const f32Nan = [0x00, 0x00, 0xc0, 0x7f];
const f64Nan = [0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0xf8, 0x7f];
const constants: { readonly [Kind in NanKind]: readonly number[] } = {
  f32: [opcodes.f32Const, ...f32Nan],
  f64: [opcodes.f64Const, ...f64Nan],
  f32x4: [opcodes.vector, 12, ...f32Nan, ...f32Nan, ...f32Nan, ...f32Nan],
  f64x2: [opcodes.vector, 12, ...f64Nan, ...f64Nan],
};
/** Whether it equals itself, which a NaN does not; then one of the two by that. */
const choices: { readonly [Kind in NanKind]: readonly number[] } = {
  f32: [0x5b, opcodes.select],
  f64: [0x61, opcodes.select],
  f32x4: [opcodes.vector, 65, opcodes.vector, 82],
  f64x2: [opcodes.vector, 71, opcodes.vector, 82],
};

/** Puts the one NaN of each size in the place of whatever NaN is on top of the stack. */
export function writeCanonicalNan(out: ByteWriter, kind: NanKind, local: number): void {
  out.u8(opcodes.localTee).u32(local);
  out.u8(...constants[kind]);
  out.u8(opcodes.localGet).u32(local).u8(opcodes.localGet).u32(local);
  out.u8(...choices[kind]);
}
