import { addedNames, addedPrefix, deterministicStackSlots } from './addedNames.ts';
import { ByteWriter } from './byteWriter.ts';
import { type Additions, BodyConfiner, writeCountDown } from './confinedBody.ts';
import { opcodes } from './instructions.ts';
import {
  type FunctionType,
  type Limits,
  type ModuleParts,
  maxTableEntries,
  readModule,
  sectionIds,
  sectionOrder,
} from './moduleParts.ts';
import { WasmRefusal } from './wasmRefusal.ts';

export type ConfineOptions = {
  /** The most that the memory may grow to. */
  readonly memoryBytes: number;
  /** Instructions that one instance may execute; without it, none are counted. */
  readonly fuel: number | undefined;
  /** Whether the same input must give the same output on every machine: one NaN of each size, and an end of the stack by count. */
  readonly deterministic: boolean;
};

const pageBytes = 65_536;
/** What one unit of fuel pays for in an instruction that works through bytes or entries. */
const unitBits = 6n;
const pageUnitBits = 10n;

/**
 * A module's bytes with the walls in them: its memory can't grow beyond the limit, what it does is counted, and only what is
 * known here is in it. Throws WasmRefusal for a module that can't be run.
 */
export function confineModule(bytes: Uint8Array, options: ConfineOptions): Uint8Array {
  const parts = readModule(bytes);
  const reserved = parts.exports.find(({ name }) => name.startsWith(addedPrefix));
  if (reserved !== undefined)
    throw new WasmRefusal('WASM_UNSUPPORTED', `The module exports a name that begins with "${addedPrefix}"`);
  const confined = new ModuleConfiner(parts, options).write();
  // What it refers to was not looked up above: the engine says whether all of that exists in the module as it came.
  if (!WebAssembly.validate(bytes as Uint8Array<ArrayBuffer>))
    throw new WasmRefusal('WASM_MALFORMED', 'The module is not valid');
  return confined;
}

class ModuleConfiner {
  readonly #parts: ModuleParts;
  readonly #options: ConfineOptions;
  readonly #types: FunctionType[];
  readonly #additions: Additions;
  readonly #globals: { readonly name: string; readonly type: number; readonly start: number }[] = [];

  constructor(parts: ModuleParts, options: ConfineOptions) {
    this.#parts = parts;
    this.#options = options;
    this.#types = [...parts.types];
    const functions = parts.imports.length + parts.functions.length;
    const global = (name: string, type: number, start: number): number =>
      parts.globals + this.#globals.push({ name, type, start }) - 1;
    global(addedNames.memoryRefused, i32, 0);
    this.#additions = {
      fuelGlobal: options.fuel === undefined ? undefined : global(addedNames.fuel, i64, options.fuel),
      stackGlobal: options.deterministic ? global(addedNames.stack, i32, deterministicStackSlots) : undefined,
      growFunction: functions,
      lengthFunction: functions + 1,
      canonicalNans: options.deterministic,
      blockType: (results) => this.#typeIndex({ parameters: [], results }),
    };
  }

  write(): Uint8Array {
    const helperType = this.#typeIndex({ parameters: [i32], results: [i32] });
    // Bodies may need types of their own, so they come before the section of types.
    const code = this.#code();
    const written = new Map<number, Uint8Array>(this.#parts.raw);
    written.delete(sectionIds.start);
    written.set(sectionIds.type, vector(this.#types, writeType));
    const functions = [...this.#parts.functions, helperType, helperType];
    written.set(
      sectionIds.function,
      vector(functions, (out, index) => out.u32(index)),
    );
    if (this.#parts.tables.length > 0)
      written.set(
        sectionIds.table,
        vector(this.#parts.tables, (out, table) => writeLimits(out.u8(table.reference), tableLimits(table))),
      );
    const memory = this.#memory();
    if (memory !== undefined) written.set(sectionIds.memory, vector([memory], writeLimits));
    written.set(sectionIds.global, this.#globalSection());
    written.set(sectionIds.export, this.#exportSection());
    written.set(sectionIds.code, code);
    const out = new ByteWriter().u8(0, 0x61, 0x73, 0x6d, 1, 0, 0, 0);
    for (const id of sectionOrder) {
      const section = written.get(id);
      if (section !== undefined) out.u8(id).sized(section);
    }
    return out.bytes;
  }

  #code(): Uint8Array {
    const { bodies, functions, types } = this.#parts;
    const out = new ByteWriter().u32(bodies.length + 2);
    for (const [index, body] of bodies.entries()) {
      const type = types[functions[index] ?? -1] ?? { parameters: [], results: [] };
      out.sized(new BodyConfiner(this.#parts, this.#additions, type).confine(body));
    }
    return out.sized(this.#growBody()).sized(this.#lengthBody()).bytes;
  }

  /** (pages) -> the former size or -1, like memory.grow, which stands in no other function. */
  #growBody(): Uint8Array {
    const out = new ByteWriter();
    if (this.#parts.memory === undefined) return out.u32(0).u8(opcodes.localGet, 0, opcodes.end).bytes;
    out.u32(1).u32(1).u8(i32);
    this.#writeDynamicCharge(out, -pageUnitBits);
    out.u8(opcodes.localGet, 0, opcodes.memoryGrow, 0, opcodes.localTee, 1, opcodes.i32Const).signed(-1).u8(0x46);
    out.u8(opcodes.if, 0x40, opcodes.i32Const, 1, opcodes.globalSet).u32(this.#parts.globals);
    if (this.#options.deterministic) this.#writeTrapBelowLimit(out);
    return out.u8(opcodes.end, opcodes.localGet, 1, opcodes.end).bytes;
  }

  /** Where the machine has no memory although the limit allows it, a module that went on could answer otherwise than elsewhere. */
  #writeTrapBelowLimit(out: ByteWriter): void {
    const [extend, add, atMost] = [0xad, 0x7c, 0x58];
    out.u8(opcodes.memorySize, 0, extend, opcodes.localGet, 0, extend, add, opcodes.i64Const);
    out.signed(this.#memory()?.most ?? 0).u8(atMost, opcodes.if, 0x40, opcodes.unreachable, opcodes.end);
  }

  /** (length) -> length, which it pays for. */
  #lengthBody(): Uint8Array {
    const out = new ByteWriter().u32(0);
    this.#writeDynamicCharge(out, unitBits);
    return out.u8(opcodes.localGet, 0, opcodes.end).bytes;
  }

  /** Takes the first parameter, shifted right (or left, where negative) by so many bits, from the fuel. */
  #writeDynamicCharge(out: ByteWriter, shift: bigint): void {
    const { fuelGlobal } = this.#additions;
    if (fuelGlobal === undefined) return;
    const [amount, direction] = shift < 0n ? [-shift, 0x86] : [shift, 0x88];
    out.u8(opcodes.globalGet).u32(fuelGlobal).u8(opcodes.localGet, 0, 0xad, opcodes.i64Const).signed(amount);
    out.u8(direction, 0x7d, opcodes.globalSet).u32(fuelGlobal);
    writeCountDown(out, 'i64', fuelGlobal, 0, true);
  }

  #memory(): Limits | undefined {
    const { memory } = this.#parts;
    if (memory === undefined) return undefined;
    const pages = Math.floor(this.#options.memoryBytes / pageBytes);
    if (memory.least > pages)
      throw new WasmRefusal(
        'WASM_MEMORY',
        `The module asks for ${memory.least} pages of memory at its start and may have ${pages}`,
      );
    return { least: memory.least, most: Math.min(pages, memory.most ?? pages) };
  }

  #globalSection(): Uint8Array {
    const own = this.#parts.raw.get(sectionIds.global);
    const out = new ByteWriter().u32(this.#parts.globals + this.#globals.length);
    if (own !== undefined) out.append(own.subarray(lengthOfNumber(own)));
    for (const { type, start } of this.#globals)
      out
        .u8(type, 1, type === i32 ? opcodes.i32Const : opcodes.i64Const)
        .signed(start)
        .u8(opcodes.end);
    return out.bytes;
  }

  #exportSection(): Uint8Array {
    const added = this.#globals.map(({ name }, index) => ({ name, kind: 3, index: this.#parts.globals + index }));
    const { start, exports } = this.#parts;
    // Called by the host, so that it runs under the same eyes as everything else.
    const starts = start === undefined ? [] : [{ name: addedNames.start, kind: 0, index: start }];
    return vector([...exports, ...added, ...starts], (out, { name, kind, index }) =>
      out.name(name).u8(kind).u32(index),
    );
  }

  #typeIndex(wanted: FunctionType): number {
    const key = keyOf(wanted);
    const known = this.#types.findIndex((type) => keyOf(type) === key);
    return known === -1 ? this.#types.push(wanted) - 1 : known;
  }
}

const i32 = 0x7f;
const i64 = 0x7e;

function keyOf({ parameters, results }: FunctionType): string {
  return `${parameters.join()}:${results.join()}`;
}

function tableLimits({ least, most }: Limits): Limits {
  if (least > maxTableEntries)
    throw new WasmRefusal('WASM_TOO_MUCH', `A table has ${least} entries, more than ${maxTableEntries}`);
  return { least, most: Math.min(most ?? maxTableEntries, maxTableEntries) };
}

function vector<T>(values: readonly T[], write: (out: ByteWriter, value: T) => unknown): Uint8Array {
  const out = new ByteWriter().u32(values.length);
  for (const value of values) write(out, value);
  return out.bytes;
}

function writeType(out: ByteWriter, { parameters, results }: FunctionType): void {
  out.u8(0x60).sized(Uint8Array.from(parameters)).sized(Uint8Array.from(results));
}

function writeLimits(out: ByteWriter, { least, most }: Limits): void {
  if (most === undefined) out.u8(0).u32(least);
  else out.u8(1).u32(least).u32(most);
}

/** How many bytes the number at the front takes, which may be written longer than it needs to be. */
function lengthOfNumber(bytes: Uint8Array): number {
  return bytes.findIndex((byte) => byte < 0x80) + 1;
}
