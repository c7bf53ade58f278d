import type { ByteReader } from './byteReader.ts';
import { WasmRefusal } from './wasmRefusal.ts';

/**
 * One instruction, read past its immediates. `op` is its first byte; where that is a prefix, `sub` is the number after it.
 * Known are those of WebAssembly 2.0: the first release, sign extension, saturating conversions, bulk memory, reference
 * types, multiple values and vectors. Everything else is refused by its number.
 */
export type Instruction = { readonly op: number; readonly sub: number; readonly label: number; readonly index: number };

/** Opcodes that the passes name (WebAssembly Core 2.0, §5.4). */
export const opcodes = {
  unreachable: 0x00,
  block: 0x02,
  loop: 0x03,
  if: 0x04,
  else: 0x05,
  end: 0x0b,
  br: 0x0c,
  brIf: 0x0d,
  brTable: 0x0e,
  return: 0x0f,
  call: 0x10,
  callIndirect: 0x11,
  drop: 0x1a,
  select: 0x1b,
  selectTyped: 0x1c,
  localGet: 0x20,
  localSet: 0x21,
  localTee: 0x22,
  globalGet: 0x23,
  globalSet: 0x24,
  tableGet: 0x25,
  tableSet: 0x26,
  memorySize: 0x3f,
  memoryGrow: 0x40,
  i32Const: 0x41,
  i64Const: 0x42,
  f32Const: 0x43,
  f64Const: 0x44,
  refNull: 0xd0,
  refIsNull: 0xd1,
  refFunc: 0xd2,
  misc: 0xfc,
  vector: 0xfd,
} as const;

/** Numbers after the prefix 0xfc. */
export const misc = {
  memoryInit: 8,
  memoryCopy: 10,
  memoryFill: 11,
  tableInit: 12,
  tableCopy: 14,
  tableGrow: 15,
  tableFill: 17,
};

/** Vector instructions that don't exist between those that do. */
const vectorGaps = new Set([
  ...[0x9a, 0xa2, 0xa5, 0xa6, 0xaf, 0xb0, 0xb2, 0xb3, 0xb4, 0xbb, 0xc2, 0xc5, 0xc6, 0xcf, 0xd0, 0xd2, 0xd3, 0xd4],
  ...[0xe2, 0xee],
]);

const maxBranches = 65_536;

/** Reads one instruction; `maxLocal` is the number of locals that the function has. */
export function readInstruction(reader: ByteReader, locals: number): Instruction {
  const at = reader.position;
  const op = reader.u8();
  let [sub, label, index] = [0, 0, 0];
  if (op === opcodes.misc) sub = readMisc(reader, at);
  else if (op === opcodes.vector) sub = readVector(reader, at);
  else if (op >= opcodes.block && op <= opcodes.if) index = readBlockType(reader);
  else if (op === opcodes.br || op === opcodes.brIf) label = reader.u32();
  else if (op === opcodes.brTable)
    for (let left = reader.count('branches', maxBranches) + 1; left > 0; left -= 1) reader.u32();
  else if (op === opcodes.call || op === opcodes.refFunc) index = reader.u32();
  else if (op === opcodes.callIndirect) [index] = [reader.u32(), reader.u32()];
  else if (op === opcodes.selectTyped)
    for (let left = reader.count('types', 16); left > 0; left -= 1) readValueType(reader);
  else if (op >= opcodes.localGet && op <= opcodes.localTee) {
    index = reader.u32();
    // The passes add locals of their own after these.
    if (index >= locals) throw new WasmRefusal('WASM_MALFORMED', `There is no local ${index} at byte ${at}`);
  } else if (op >= opcodes.globalGet && op <= opcodes.tableSet) index = reader.u32();
  else if (op >= 0x28 && op <= 0x3e) readMemoryArgument(reader);
  else if (op === opcodes.memorySize || op === opcodes.memoryGrow) readZero(reader);
  else if (op === opcodes.i32Const) reader.skipSigned(32);
  else if (op === opcodes.i64Const) reader.skipSigned(64);
  else if (op === opcodes.f32Const) reader.take(4);
  else if (op === opcodes.f64Const) reader.take(8);
  else if (op === opcodes.refNull) readReferenceType(reader);
  else if (!isPlain(op)) throw unknown(`0x${hex(op)}`, at);
  return { op, sub, label, index };
}

/** Instructions without immediates. */
function isPlain(op: number): boolean {
  if (op <= 0x01 || op === opcodes.else || op === opcodes.end || op === opcodes.return) return true;
  return op === opcodes.drop || op === opcodes.select || (op >= 0x45 && op <= 0xc4) || op === opcodes.refIsNull;
}

function readMisc(reader: ByteReader, at: number): number {
  const sub = reader.u32();
  if (sub > 17) throw unknown(`0xfc ${sub}`, at);
  if (sub === misc.memoryInit) {
    reader.u32();
    readZero(reader);
  } else if (sub === misc.memoryCopy) {
    readZero(reader);
    readZero(reader);
  } else if (sub === misc.memoryFill) readZero(reader);
  else if (sub >= 9) {
    reader.u32();
    if (sub === misc.tableInit || sub === misc.tableCopy) reader.u32();
  }
  return sub;
}

function readVector(reader: ByteReader, at: number): number {
  const sub = reader.u32();
  if (sub > 0xff || vectorGaps.has(sub)) throw unknown(`0xfd ${sub}`, at);
  if (sub <= 11 || sub === 92 || sub === 93) readMemoryArgument(reader);
  else if (sub === 12 || sub === 13) reader.take(16);
  else if (sub >= 21 && sub <= 34) reader.u8();
  else if (sub >= 84 && sub <= 91) {
    readMemoryArgument(reader);
    reader.u8();
  }
  return sub;
}

/** Alignment and offset. An alignment of 64 and more would name another memory, of which there is one at most. */
function readMemoryArgument(reader: ByteReader): void {
  const align = reader.u32();
  if (align >= 64) throw new WasmRefusal('WASM_UNSUPPORTED', 'The module uses more than one memory');
  reader.u32();
}

function readZero(reader: ByteReader): void {
  if (reader.u8() !== 0) throw new WasmRefusal('WASM_UNSUPPORTED', 'The module uses more than one memory');
}

/** The type index of a block, where it has one; -1 for no result, -2 for one result. */
function readBlockType(reader: ByteReader): number {
  const first = reader.bytes[reader.position];
  if (first === 0x40) {
    reader.u8();
    return -1;
  }
  if (first !== undefined && isValueType(first)) {
    reader.u8();
    return -2;
  }
  // A signed number of 33 bits that isn't negative.
  const start = reader.position;
  reader.skipSigned(33);
  const last = reader.bytes[reader.position - 1] ?? 0;
  if ((last & 0x40) !== 0)
    throw new WasmRefusal('WASM_UNSUPPORTED', `The module has a block of an unknown type at byte ${start}`);
  reader.position = start;
  return reader.u32();
}

/** i32, i64, f32, f64, v128, funcref, externref. */
export function isValueType(byte: number): boolean {
  return (byte >= 0x7b && byte <= 0x7f) || byte === 0x70 || byte === 0x6f;
}

export function readValueType(reader: ByteReader): number {
  const type = reader.u8();
  if (!isValueType(type)) throw new WasmRefusal('WASM_UNSUPPORTED', `The module uses the type 0x${hex(type)}`);
  return type;
}

export function readReferenceType(reader: ByteReader): number {
  const type = reader.u8();
  if (type !== 0x70 && type !== 0x6f)
    throw new WasmRefusal('WASM_UNSUPPORTED', `The module uses the reference type 0x${hex(type)}`);
  return type;
}

function unknown(what: string, at: number): WasmRefusal {
  return new WasmRefusal(
    'WASM_UNSUPPORTED',
    `The module has the instruction ${what}, which is not offered, at byte ${at}`,
  );
}

function hex(value: number): string {
  return value.toString(16).padStart(2, '0');
}
