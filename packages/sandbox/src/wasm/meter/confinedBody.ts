import { ByteWriter } from './byteWriter.ts';
import { stackEffect } from './heights.ts';
import { type Instruction, misc, opcodes, readInstruction } from './instructions.ts';
import { type FunctionType, type ModuleParts, readLocals } from './moduleParts.ts';
import { type NanKind, nanKind, nanValueTypes, writeCanonicalNan } from './nanRules.ts';
import { WasmRefusal } from './wasmRefusal.ts';

/** What the passes put beside a module's own functions, globals and types, by index. */
export type Additions = {
  /** Counts down with every instruction; undefined where nothing is counted. */
  readonly fuelGlobal: number | undefined;
  /** Counts down with every frame; undefined where the engine's own end of the stack will do. */
  readonly stackGlobal: number | undefined;
  /** Grows the memory, and remembers where that was refused. */
  readonly growFunction: number;
  /** Pays for an instruction that works through as many bytes as its operand says. */
  readonly lengthFunction: number;
  readonly canonicalNans: boolean;
  /** A type index for a block without parameters that gives these results. */
  readonly blockType: (results: readonly number[]) => number;
};

/** What one frame takes beside its values. */
const frameSlots = 8;
const lengthOperands = new Set<number>(Object.values(misc));

type Block = {
  readonly op: number;
  /** The stack's height below it. */
  readonly base: number;
  readonly parameters: number;
  readonly results: number;
};

/**
 * Writes one function anew. Fuel: a run of instructions that can only be entered at its front is paid for there as a whole,
 * one for each instruction (block, loop, else and end are none); at the function's entry and at the head of each loop it is
 * checked that there was enough, so no path goes on without end.
 */
export class BodyConfiner {
  readonly #parts: ModuleParts;
  readonly #additions: Additions;
  readonly #type: FunctionType;
  readonly #code = new ByteWriter();
  readonly #pending = new ByteWriter();
  readonly #blocks: Block[] = [];
  readonly #nanLocals = new Map<number, number>();
  #locals = 0;
  #count = 0;
  #check = true;
  #height = 0;
  #highest = 0;

  constructor(parts: ModuleParts, additions: Additions, type: FunctionType) {
    this.#parts = parts;
    this.#additions = additions;
    this.#type = type;
  }

  /** The body with the counting in it. Throws WasmRefusal. */
  confine(body: Uint8Array): Uint8Array {
    const { reader, locals, groups, declared } = readLocals(body, this.#type.parameters.length);
    this.#locals = locals;
    let open = true;
    while (open) {
      const start = reader.position;
      const instruction = readInstruction(reader, locals);
      open = this.#take(instruction, body.subarray(start, reader.position));
    }
    if (!reader.done) throw new WasmRefusal('WASM_MALFORMED', 'A function goes on after its end');
    const out = new ByteWriter().u32(groups + this.#nanLocals.size).append(declared);
    for (const type of this.#nanLocals.keys()) out.u32(1).u8(type);
    const { stackGlobal } = this.#additions;
    if (stackGlobal === undefined) return out.append(this.#code.bytes).u8(opcodes.end).bytes;
    const slots = frameSlots + locals + this.#nanLocals.size + this.#highest;
    writeCountDown(out, 'i32', stackGlobal, slots, true);
    this.#writeResultBlock(out);
    out.append(this.#code.bytes).u8(opcodes.end);
    writeCountDown(out, 'i32', stackGlobal, -slots, false);
    return out.u8(opcodes.end).bytes;
  }

  /** Writes one instruction; false for the end of the function, which is left to the caller. */
  #take(instruction: Instruction, bytes: Uint8Array): boolean {
    const { op } = instruction;
    const isEnd = op === opcodes.end;
    const closed = this.#followStack(instruction);
    if (isEnd && closed === undefined) {
      this.#flush();
      return false;
    }
    if (!blockMarks.has(op)) this.#count += 1;
    this.#write(instruction, bytes);
    // Nothing jumps to the end of a loop.
    if (leaves.has(op) || (isEnd && closed?.op !== opcodes.loop)) this.#flush();
    if (op === opcodes.loop) this.#check = true;
    return true;
  }

  #write(instruction: Instruction, bytes: Uint8Array): void {
    const { op, sub } = instruction;
    const { fuelGlobal, stackGlobal, growFunction, lengthFunction, canonicalNans } = this.#additions;
    const pending = this.#pending;
    if (op === opcodes.memoryGrow) pending.u8(opcodes.call).u32(growFunction);
    else if (op === opcodes.return && stackGlobal !== undefined) pending.u8(opcodes.br).u32(this.#blocks.length);
    else {
      if (op === opcodes.misc && lengthOperands.has(sub) && fuelGlobal !== undefined)
        pending.u8(opcodes.call).u32(lengthFunction);
      pending.append(bytes);
    }
    const kind = canonicalNans ? nanKind(instruction) : undefined;
    if (kind !== undefined) writeCanonicalNan(pending, kind, this.#nanLocal(kind));
  }

  #nanLocal(kind: NanKind): number {
    const type = nanValueTypes[kind];
    const known = this.#nanLocals.get(type);
    if (known !== undefined) return known;
    const local = this.#locals + this.#nanLocals.size;
    this.#nanLocals.set(type, local);
    return local;
  }

  /** Pays for what is pending and writes it. */
  #flush(): void {
    const { fuelGlobal } = this.#additions;
    if (fuelGlobal !== undefined && this.#count > 0) {
      writeCountDown(this.#code, 'i64', fuelGlobal, this.#count, this.#check);
      this.#check = false;
    }
    this.#count = 0;
    this.#code.append(this.#pending.bytes);
    this.#pending.clear();
  }

  /** Follows the height of the operand stack from above, and gives the block that an `end` closes. */
  #followStack(instruction: Instruction): Block | undefined {
    const { op, index } = instruction;
    if (op === opcodes.end) return this.#close();
    const base = this.#blocks.at(-1)?.base ?? 0;
    const { types, imports, functions } = this.#parts;
    const own = (at: number): FunctionType | undefined =>
      at < imports.length ? imports[at]?.type : types[functions[at - imports.length] ?? -1];
    const [taken, put] = stackEffect(instruction, own, (at) => types[at]);
    this.#height = Math.max(base, this.#height - taken) + put;
    if (op === opcodes.block || op === opcodes.loop || op === opcodes.if) {
      const type = index >= 0 ? types[index] : undefined;
      const parameters = type?.parameters.length ?? 0;
      const results = type?.results.length ?? (index === -2 ? 1 : 0);
      this.#blocks.push({ op, base: Math.max(base, this.#height - parameters), parameters, results });
    } else if (op === opcodes.else) this.#height = base + (this.#blocks.at(-1)?.parameters ?? 0);
    this.#highest = Math.max(this.#highest, this.#height);
    return undefined;
  }

  #close(): Block | undefined {
    const closed = this.#blocks.pop();
    if (closed === undefined) return undefined;
    this.#height = closed.base + closed.results;
    this.#highest = Math.max(this.#highest, this.#height);
    return closed;
  }

  #writeResultBlock(out: ByteWriter): void {
    const { results } = this.#type;
    out.u8(opcodes.block);
    if (results.length === 0) out.u8(0x40);
    else if (results.length === 1) out.u8(results[0] ?? 0);
    else out.signed(this.#additions.blockType(results));
  }
}

/** These structure the code and do nothing. */
const blockMarks = new Set<number>([opcodes.block, opcodes.loop, opcodes.else, opcodes.end]);
/** After these, the next instruction can be reached otherwise, or not at all. */
const leaves = new Set<number>([
  ...[opcodes.loop, opcodes.if, opcodes.else, opcodes.br, opcodes.brIf, opcodes.brTable],
  ...[opcodes.return, opcodes.unreachable],
]);

/** global -= amount; with `check`, nothing goes on below zero. */
export function writeCountDown(
  out: ByteWriter,
  type: 'i32' | 'i64',
  global: number,
  amount: number,
  check: boolean,
): void {
  const [constant, subtract, less] = type === 'i32' ? [opcodes.i32Const, 0x6b, 0x48] : [opcodes.i64Const, 0x7d, 0x53];
  out.u8(opcodes.globalGet).u32(global).u8(constant).signed(amount).u8(subtract).u8(opcodes.globalSet).u32(global);
  if (!check) return;
  out.u8(opcodes.globalGet).u32(global).u8(constant, 0, less, opcodes.if, 0x40, opcodes.unreachable, opcodes.end);
}
