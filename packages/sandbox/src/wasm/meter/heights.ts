import { type Instruction, misc, opcodes } from './instructions.ts';
import type { FunctionType } from './moduleParts.ts';

/**
 * How many values an instruction takes from the operand stack and puts there, for an upper bound of the stack's height:
 * where the exact number is not known here, fewer are taken.
 */
export function stackEffect(
  { op, sub, index }: Instruction,
  typeOfFunction: (index: number) => FunctionType | undefined,
  typeAt: (index: number) => FunctionType | undefined,
): readonly [taken: number, put: number] {
  if (op === opcodes.call) return ofType(typeOfFunction(index), 0);
  if (op === opcodes.callIndirect) return ofType(typeAt(index), 1);
  if (op === opcodes.vector) return sub === 12 ? [0, 1] : sub === 11 ? [2, 0] : [1, 1];
  if (op === opcodes.misc) return sub <= 7 ? [1, 1] : ofMisc(sub);
  return plainEffect(op);
}

function ofType(type: FunctionType | undefined, more: number): readonly [number, number] {
  return type === undefined ? [0, 0] : [type.parameters.length + more, type.results.length];
}

function ofMisc(sub: number): readonly [number, number] {
  if (sub === misc.tableGrow) return [2, 1];
  if (sub === 16) return [0, 1];
  return sub === 9 || sub === 13 ? [0, 0] : [3, 0];
}

const puts = new Set<number>([
  ...[opcodes.localGet, opcodes.globalGet, opcodes.memorySize, opcodes.refNull, opcodes.refFunc],
  ...[opcodes.i32Const, opcodes.i64Const, opcodes.f32Const, opcodes.f64Const],
]);
const takes = new Set<number>([
  ...[opcodes.drop, opcodes.localSet, opcodes.globalSet, opcodes.brIf, opcodes.if, opcodes.brTable],
]);

function plainEffect(op: number): readonly [number, number] {
  if (puts.has(op)) return [0, 1];
  if (takes.has(op)) return [1, 0];
  if (op === opcodes.select || op === opcodes.selectTyped) return [3, 1];
  if (op === opcodes.tableSet || (op >= 0x36 && op <= 0x3e)) return [2, 0];
  // Comparisons and arithmetic of two operands; tests and conversions have one.
  const comparison = (op >= 0x46 && op <= 0x4f) || (op >= 0x51 && op <= 0x66);
  const binary = (op >= 0x6a && op <= 0x78) || (op >= 0x7c && op <= 0x8a) || (op >= 0x92 && op <= 0x98);
  if (comparison || binary || (op >= 0xa0 && op <= 0xa6)) return [2, 1];
  return op === opcodes.tableGet || op >= 0x28 ? [1, 1] : [0, 0];
}
