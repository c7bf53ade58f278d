import type { BinaryOp, Node, Program, Statement } from './generator.ts';

/** What a run of a generated program comes to, by its definition alone: nothing here knows of WebAssembly's binary form. */
export type Interpreted = { readonly result: number; readonly memory: Uint8Array; readonly instructions: number };

const addressMask = 0xfffc;
const maxInstructions = 2_000_000;

class Returned {
  readonly value: number;
  constructor(value: number) {
    this.value = value;
  }
}

/** Runs function 0. Undefined where it takes too long to be worth it. Counts what docs/wasm.md says that fuel counts. */
export function interpret(program: Program, argument: number): Interpreted | undefined {
  const bytes = new Uint8Array(65_536);
  const memory = new DataView(bytes.buffer);
  let instructions = 0;
  const count = (many: number): void => {
    instructions += many;
    if (instructions > maxInstructions) throw new RangeError('too long');
  };
  const value = (node: Node, locals: Int32Array): number => {
    switch (node.kind) {
      case 'const':
        count(1);
        return node.value | 0;
      case 'get':
        count(1);
        return locals[node.local] ?? 0;
      case 'load': {
        const address = value(node.address, locals);
        count(3);
        return memory.getInt32(address & addressMask, true);
      }
      case 'call': {
        const given = value(node.argument, locals);
        count(1);
        return run(node.target, given);
      }
      case 'select': {
        const [yes, no, test] = [value(node.yes, locals), value(node.no, locals), value(node.test, locals)];
        count(1);
        return test === 0 ? no : yes;
      }
      case 'binary': {
        const [left, right] = [value(node.left, locals), value(node.right, locals)];
        count(node.op === 'div_u' ? 3 : 1);
        return binary(node.op, left, right);
      }
    }
  };
  const all = (statements: readonly Statement[], locals: Int32Array): void => {
    for (const each of statements) execute(each, locals);
  };
  const execute = (statement: Statement, locals: Int32Array): void => {
    switch (statement.kind) {
      case 'set':
        locals[statement.local] = value(statement.value, locals);
        count(1);
        return;
      case 'store': {
        const address = value(statement.address, locals);
        count(2);
        const stored = value(statement.value, locals);
        count(1);
        memory.setInt32(address & addressMask, stored, true);
        return;
      }
      case 'if': {
        const test = value(statement.test, locals);
        count(1);
        all(test === 0 ? statement.no : statement.yes, locals);
        return;
      }
      case 'loop': {
        count(2);
        for (let left = statement.times; ; ) {
          const test = value(statement.test, locals);
          count(1);
          if (test !== 0) return;
          all(statement.body, locals);
          left -= 1;
          count(6);
          if (left === 0) return;
        }
      }
      case 'switch': {
        const { cases } = statement;
        const chosen = value(statement.value, locals) >>> 0;
        count(1);
        all(cases[Math.min(chosen, cases.length - 1)] ?? [], locals);
        count(1);
        return;
      }
      case 'return': {
        const test = value(statement.test, locals);
        count(1);
        if (test === 0) return;
        const returned = value(statement.value, locals);
        count(1);
        throw new Returned(returned);
      }
      case 'fill': {
        count(1);
        const filled = value(statement.value, locals);
        count(2 + (statement.length >>> 6));
        bytes.fill(filled & 0xff, statement.address, statement.address + statement.length);
        return;
      }
    }
  };
  const run = (index: number, given: number): number => {
    const each = program.functions[index];
    if (each === undefined) throw new Error(`No function ${index}`);
    const locals = new Int32Array(each.locals);
    locals[0] = given;
    try {
      all(each.body, locals);
      return value(each.result, locals);
    } catch (error) {
      if (error instanceof Returned) return error.value;
      throw error;
    }
  };
  try {
    return { result: run(0, argument), memory: bytes, instructions };
  } catch (error) {
    if (error instanceof RangeError && error.message === 'too long') return undefined;
    throw error;
  }
}

function binary(op: BinaryOp, left: number, right: number): number {
  switch (op) {
    case 'add':
      return (left + right) | 0;
    case 'sub':
      return (left - right) | 0;
    case 'mul':
      return Math.imul(left, right);
    case 'and':
      return left & right;
    case 'or':
      return left | right;
    case 'xor':
      return left ^ right;
    case 'shl':
      return left << (right & 31);
    case 'lt_s':
      return left < right ? 1 : 0;
    case 'eq':
      return left === right ? 1 : 0;
    case 'div_u':
      return ((left >>> 0) / ((right | 1) >>> 0)) | 0;
  }
}
