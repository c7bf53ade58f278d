/**
 * Programs of a small language that is easy to interpret by itself, and their form as WebAssembly text. All values are i32.
 * Recursion and loops end because each loop counts down a local of its own, and functions call only those after them.
 */
export type Node =
  | { readonly kind: 'const'; readonly value: number }
  | { readonly kind: 'get'; readonly local: number }
  | { readonly kind: 'binary'; readonly op: BinaryOp; readonly left: Node; readonly right: Node }
  | { readonly kind: 'load'; readonly address: Node }
  | { readonly kind: 'call'; readonly target: number; readonly argument: Node }
  | { readonly kind: 'select'; readonly yes: Node; readonly no: Node; readonly test: Node };

export type Statement =
  | { readonly kind: 'set'; readonly local: number; readonly value: Node }
  | { readonly kind: 'store'; readonly address: Node; readonly value: Node }
  | { readonly kind: 'if'; readonly test: Node; readonly yes: readonly Statement[]; readonly no: readonly Statement[] }
  /** `times` rounds at most; a round that finds `test` is not zero leaves early, by a branch out of a block. */
  | { readonly kind: 'loop'; readonly times: number; readonly test: Node; readonly body: readonly Statement[] }
  | { readonly kind: 'switch'; readonly value: Node; readonly cases: readonly (readonly Statement[])[] }
  | { readonly kind: 'return'; readonly test: Node; readonly value: Node }
  | { readonly kind: 'fill'; readonly address: number; readonly value: Node; readonly length: number };

export type BinaryOp = 'add' | 'sub' | 'mul' | 'and' | 'or' | 'xor' | 'shl' | 'lt_s' | 'eq' | 'div_u';
/** One parameter (local 0), `locals` in all, one result. */
export type GeneratedFunction = { readonly locals: number; readonly body: readonly Statement[]; readonly result: Node };
export type Program = { readonly functions: readonly GeneratedFunction[] };

const addressMask = 0xfffc;
const ops: readonly BinaryOp[] = ['add', 'sub', 'mul', 'and', 'or', 'xor', 'shl', 'lt_s', 'eq', 'div_u'];

/** A program that follows from its seed. */
export function generateProgram(seed: number): Program {
  const next = random(seed);
  const pick = (count: number): number => next() % count;
  const functions = 1 + pick(4);
  const node = (depth: number, locals: number, index: number): Node => {
    const kind = depth <= 0 ? pick(2) : pick(8);
    const inner = (): Node => node(depth - 1, locals, index);
    if (kind === 0) return { kind: 'const', value: next() | 0 };
    if (kind === 1) return { kind: 'get', local: pick(locals) };
    if (kind === 2) return { kind: 'load', address: inner() };
    if (kind === 3 && index + 1 < functions)
      return { kind: 'call', target: index + 1 + pick(functions - index - 1), argument: inner() };
    if (kind === 4) return { kind: 'select', yes: inner(), no: inner(), test: inner() };
    return { kind: 'binary', op: ops[pick(ops.length)] ?? 'add', left: inner(), right: inner() };
  };
  const statements = (depth: number, locals: number, index: number): Statement[] =>
    Array.from({ length: pick(4) }, () => statement(depth, locals, index));
  const statement = (depth: number, locals: number, index: number): Statement => {
    const value = (): Node => node(2, locals, index);
    const inner = (): Statement[] => statements(depth - 1, locals, index);
    const kind = depth <= 0 ? pick(3) : pick(7);
    if (kind === 0) return { kind: 'set', local: pick(locals), value: value() };
    if (kind === 1) return { kind: 'store', address: value(), value: value() };
    if (kind === 2) return { kind: 'return', test: value(), value: value() };
    if (kind === 3) return { kind: 'if', test: value(), yes: inner(), no: inner() };
    if (kind === 4) return { kind: 'loop', times: 1 + pick(4), test: value(), body: inner() };
    if (kind === 5) return { kind: 'switch', value: value(), cases: Array.from({ length: 1 + pick(3) }, inner) };
    return { kind: 'fill', address: pick(60_000), value: value(), length: pick(5000) };
  };
  return {
    functions: Array.from({ length: functions }, (_, index) => {
      const locals = 1 + pick(3);
      return { locals, body: statements(3, locals, index), result: node(3, locals, index) };
    }),
  };
}

/** Its text: the functions as exports f0, f1, …, one page of memory. */
export function programText({ functions }: Program): string {
  const bodies = functions.map((each, index) => {
    const counters: string[] = [];
    const body = each.body.map((statement) => statementText(statement, counters)).join('\n');
    const locals = Array.from({ length: each.locals - 1 }, (_, local) => `(local $v${local + 1} i32)`).join(' ');
    const own = counters.map((name) => `(local ${name} i32)`).join(' ');
    return `(func $f${index} (export "f${index}") (param $v0 i32) (result i32) ${locals} ${own}\n${body}\n${nodeText(each.result)})`;
  });
  return `(module (memory (export "memory") 1)\n${bodies.join('\n')})`;
}

function nodeText(node: Node): string {
  switch (node.kind) {
    case 'const':
      return `(i32.const ${node.value})`;
    case 'get':
      return `(local.get $v${node.local})`;
    case 'load':
      return `(i32.load (i32.and ${nodeText(node.address)} (i32.const ${addressMask})))`;
    case 'call':
      return `(call $f${node.target} ${nodeText(node.argument)})`;
    case 'select':
      return `(select ${nodeText(node.yes)} ${nodeText(node.no)} ${nodeText(node.test)})`;
    case 'binary': {
      const right = node.op === 'div_u' ? `(i32.or ${nodeText(node.right)} (i32.const 1))` : nodeText(node.right);
      return `(i32.${node.op} ${nodeText(node.left)} ${right})`;
    }
  }
}

function statementText(statement: Statement, counters: string[]): string {
  const block = (inner: readonly Statement[]): string => inner.map((each) => statementText(each, counters)).join('\n');
  switch (statement.kind) {
    case 'set':
      return `(local.set $v${statement.local} ${nodeText(statement.value)})`;
    case 'store':
      return `(i32.store (i32.and ${nodeText(statement.address)} (i32.const ${addressMask})) ${nodeText(statement.value)})`;
    case 'if':
      return `(if ${nodeText(statement.test)} (then ${block(statement.yes)}) (else ${block(statement.no)}))`;
    case 'loop': {
      const counter = `$c${counters.length}`;
      counters.push(counter);
      return `(local.set ${counter} (i32.const ${statement.times}))
        (block (loop
          (br_if 1 ${nodeText(statement.test)})
          ${block(statement.body)}
          (local.set ${counter} (i32.sub (local.get ${counter}) (i32.const 1)))
          (br_if 0 (local.get ${counter}))))`;
    }
    case 'switch': {
      const { cases } = statement;
      const labels = cases.map((_, index) => index).join(' ');
      let text = `(br_table ${labels} ${cases.length - 1} ${nodeText(statement.value)})`;
      for (const [index, inner] of cases.entries())
        text = `(block ${text})\n${block(inner)} (br ${cases.length - 1 - index})`;
      return `(block ${text})`;
    }
    case 'return':
      return `(if ${nodeText(statement.test)} (then (return ${nodeText(statement.value)})))`;
    case 'fill':
      return `(memory.fill (i32.const ${statement.address}) ${nodeText(statement.value)} (i32.const ${statement.length}))`;
  }
}

/** Small and the same everywhere: xorshift of 32 bits. */
function random(seed: number): () => number {
  let state = (seed * 2_654_435_761 + 1) >>> 0 || 1;
  return () => {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    state >>>= 0;
    return state;
  };
}
