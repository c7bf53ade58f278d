import { parseSync } from 'vite';

/** What a mutant does to a check. */
export type MutantKind =
  | 'remove throw'
  | 'remove return'
  | 'remove call'
  | 'drop operand'
  | 'move bound'
  | 'answer true'
  | 'answer false'
  | 'swap every and some'
  | 'remove revert'
  | 'remove assignment'
  | 'remove modifier';

/** One change of one check. */
export type Mutant = {
  readonly id: number;
  /** Relative to the repository. */
  readonly file: string;
  readonly line: number;
  readonly column: number;
  readonly kind: MutantKind;
  /** The function that it stands in, `module` outside of any. */
  readonly inside: string;
  /** What is changed, with the `if` or the operation that it stands in; white space made one blank. */
  readonly code: string;
};

/** Where it is and what it does, for people. */
export function nameOfMutant({ file, line, column, kind, code }: Mutant): string {
  return `${file}:${line}:${column} > ${kind}: ${code.length > 120 ? `${code.slice(0, 119)}…` : code}`;
}

/** Text to put around a part of the source, or in its place. Those that begin and end alike nest in their order. */
export type Wrap = {
  readonly start: number;
  readonly end: number;
  readonly before: string;
  readonly after: string;
  /** Replaces what is between. Nothing else may lie in there. */
  readonly replace?: string;
};

export type FoundMutants = { readonly mutants: readonly Mutant[]; readonly wraps: readonly Wrap[] };

type Node = { readonly type: string; readonly start: number; readonly end: number } & Readonly<Record<string, unknown>>;

const bounds: ReadonlySet<string> = new Set(['<', '<=', '>', '>=']);
const comparisons: ReadonlySet<string> = new Set([...bounds, '===', '!==']);
const loops: ReadonlySet<string> = new Set([
  'ForStatement',
  'ForOfStatement',
  'ForInStatement',
  'WhileStatement',
  'DoWhileStatement',
]);
const exits: ReadonlySet<string> = new Set(['ReturnStatement', 'ContinueStatement', 'BreakStatement']);

/**
 * Finds the checks of a TypeScript file, with the text that lets each of them be changed while it runs (names as in
 * mutationRuntime.ts):
 * - every `throw`, every early `return`, `continue` or `break` under an `if`, and every call whose answer nobody takes: left out;
 * - every operand of `&&` and `||`: dropped;
 * - every `<`, `<=`, `>`, `>=`: moved by one;
 * - every function that answers a comparison: answers true, answers false;
 * - `every` and `some`: the other one.
 * The first mutant gets the number `firstId`, the others those that follow.
 */
export function findMutants(file: string, source: string, firstId: number): FoundMutants {
  const { program, errors } = parseSync(file, source);
  const [error] = errors;
  if (error !== undefined) throw new SyntaxError(`${file}: ${error.message}`);
  const mutants: Mutant[] = [];
  const wraps: Wrap[] = [];

  const add = (kind: MutantKind, node: Node, path: readonly Node[]): number => {
    const id = firstId + mutants.length;
    const before = source.slice(0, node.start);
    const line = before.split('\n').length;
    const column = node.start - before.lastIndexOf('\n');
    const code = codeOf(source, kind, node, path);
    mutants.push({ id, file, line, column, kind, inside: functionName(path), code });
    return id;
  };
  const wrap = (node: Node, before: string, after: string): void => {
    wraps.push({ start: node.start, end: node.end, before, after });
  };

  const visit = (node: Node, path: readonly Node[]): void => {
    const parent = path.at(-1);
    const removal = removalOf(node, path);
    if (removal !== undefined) wrap(node, `{ if (!__mutant(${add(removal, node, path)})) `, ' }');
    if (isAnswer(node, parent)) {
      const yes = add('answer true', node, path);
      const no = add('answer false', node, path);
      wrap(node, `(__mutant(${yes}) ? true : __mutant(${no}) ? false : (`, '))');
    }
    if (parent?.type === 'LogicalExpression' && parent.operator !== '??') {
      const id = add('drop operand', node, path);
      wrap(node, parent.operator === '&&' ? `(__mutant(${id}) || (` : `(!__mutant(${id}) && (`, '))');
    }
    if (node.type === 'BinaryExpression' && bounds.has(String(node.operator))) {
      wrap(node, `__mutantBound(${add('move bound', node, path)}, '${node.operator}', `, ')');
      wraps.push(operatorOf(node, source));
    }
    if (node.type === 'CallExpression') addSwap(node, path);
    if (loops.has(node.type)) addTick(node.body as Node);
    for (const child of childrenOf(node)) visit(child, [...path, node]);
  };

  const addSwap = (node: Node, path: readonly Node[]): void => {
    const callee = node.callee as Node;
    const property = callee.property as Node | undefined;
    const name = callee.type === 'MemberExpression' && callee.computed === false ? property?.name : undefined;
    if (property === undefined || (name !== 'every' && name !== 'some')) return;
    const id = add('swap every and some', node, path);
    // Of `a?.some(b)` the `?.` stays.
    const start = source.lastIndexOf('.', property.start) + (callee.optional === true ? 1 : 0);
    const other = name === 'every' ? 'some' : 'every';
    const replace = `[__mutant(${id}) ? '${other}' : '${name}']`;
    wraps.push({ start, end: property.end, before: '', after: '', replace });
  };

  const addTick = (body: Node): void => {
    if (body.type === 'BlockStatement')
      wraps.push({ start: body.start + 1, end: body.end - 1, before: ' __mutantTick(); ', after: '' });
    else wrap(body, '{ __mutantTick(); ', ' }');
  };

  visit(program as unknown as Node, []);
  return { mutants, wraps };
}

/** The source with all its mutants in it, each asleep until the runtime wakes it. */
export function instrument(source: string, wraps: readonly Wrap[]): string {
  type Insertion = { readonly at: number; readonly text: string; readonly skipTo?: number };
  const ordered = wraps.map((wrap, order) => ({ ...wrap, order }));
  const opening = ordered.toSorted((a, b) => a.start - b.start || b.end - a.end || a.order - b.order);
  const closing = ordered.toSorted((a, b) => a.end - b.end || b.start - a.start || b.order - a.order);
  const insertions: Insertion[] = [];
  let closed = 0;
  const closeUpTo = (position: number): void => {
    for (let next = closing[closed]; next !== undefined && next.end <= position; next = closing[closed]) {
      insertions.push({ at: next.end, text: next.after });
      closed += 1;
    }
  };
  for (const { start, end, before, replace } of opening) {
    closeUpTo(start);
    insertions.push({ at: start, text: before + (replace ?? ''), ...(replace === undefined ? {} : { skipTo: end }) });
  }
  closeUpTo(source.length);
  let text = '';
  let at = 0;
  for (const insertion of insertions) {
    text += source.slice(at, insertion.at) + insertion.text;
    at = Math.max(at, insertion.skipTo ?? insertion.at);
  }
  return text + source.slice(at);
}

function removalOf(node: Node, path: readonly Node[]): MutantKind | undefined {
  if (node.type === 'ThrowStatement') return 'remove throw';
  if (exits.has(node.type) && standsUnderIf(path)) return 'remove return';
  if (node.type !== 'ExpressionStatement') return undefined;
  let expression = node.expression as Node;
  if (expression.type === 'AwaitExpression') expression = expression.argument as Node;
  return expression.type === 'CallExpression' && (expression.callee as Node).type !== 'Super'
    ? 'remove call'
    : undefined;
}

/** Directly, or as part of its block. */
function standsUnderIf(path: readonly Node[]): boolean {
  const parent = path.at(-1);
  return parent?.type === 'IfStatement' || (parent?.type === 'BlockStatement' && path.at(-2)?.type === 'IfStatement');
}

/** Whether a function answers with this expression, and it is a yes or a no. */
function isAnswer(node: Node, parent: Node | undefined): boolean {
  const answered =
    (parent?.type === 'ReturnStatement' && parent.argument === node) ||
    (parent?.type === 'ArrowFunctionExpression' && parent.body === node);
  if (!answered) return false;
  if (node.type === 'BinaryExpression') return comparisons.has(String(node.operator));
  if (node.type === 'LogicalExpression') return node.operator !== '??';
  return node.type === 'UnaryExpression' && node.operator === '!';
}

/** Enough of the source to tell this change from others of its kind in its function. */
function codeOf(source: string, kind: MutantKind, node: Node, path: readonly Node[]): string {
  const text = (from: Node, to: Node = from) => source.slice(from.start, to.end).replace(/\s+/g, ' ');
  const parent = path.at(-1);
  if (parent?.type === 'IfStatement' && parent.consequent === node) return text(parent, node);
  if (kind !== 'drop operand') return text(node);
  const others = path.findLastIndex(({ type }) => type !== 'LogicalExpression' && type !== 'ParenthesizedExpression');
  const operation = path[others + 1];
  return operation === undefined ? text(node) : `${text(node)} of ${text(operation)}`;
}

/** The operator between the operands becomes a comma. */
function operatorOf(node: Node, source: string): Wrap {
  const left = node.left as Node;
  const operator = String(node.operator);
  const start = source.indexOf(operator, left.end);
  return { start, end: start + operator.length, before: '', after: '', replace: ',' };
}

function functionName(path: readonly Node[]): string {
  for (const node of path.toReversed()) {
    const named = (node.id ?? (node.type === 'MethodDefinition' ? node.key : undefined)) as Node | null | undefined;
    const isNamed = ['FunctionDeclaration', 'VariableDeclarator', 'MethodDefinition'].includes(node.type);
    if (isNamed && typeof named?.name === 'string') return named.name;
  }
  return 'module';
}

function childrenOf(node: Node): readonly Node[] {
  return Object.values(node).flatMap((value) => (Array.isArray(value) ? value : [value]).filter(isNode));
}

function isNode(value: unknown): value is Node {
  return (
    typeof value === 'object' &&
    value !== null &&
    'type' in value &&
    typeof value.type === 'string' &&
    'start' in value &&
    typeof value.start === 'number'
  );
}
