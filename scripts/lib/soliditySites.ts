import type { FoundMutants, Mutant, MutantKind, Wrap } from './mutationSites.ts';

/** A node of the syntax tree that solc gives, of Solidity or of Yul. */
export type SolidityNode = { readonly nodeType: string; readonly src: string } & Readonly<Record<string, unknown>>;

/** The names that instrumented Solidity calls, see solidityInstrument.ts. */
export const mutantFunction = '__mutant';
export const yulMutant = (id: number) => `and(shr(${id % 128}, balance(${switchOf(id)})), 1)`;
/** Accounts that nobody has: bit b of the balance of the n-th says whether mutant 128 n + b is awake. */
export const firstSwitch = 0xc101573200000000000000000000000000000000n;
export const switchOf = (id: number) => `0x${(firstSwitch + BigInt(Math.floor(id / 128))).toString(16)}`;

type Node = { readonly type: string; readonly start: number; readonly end: number; readonly raw: SolidityNode };

const bounds: Readonly<Record<string, string>> = { '<': 'Below', '<=': 'AtMost', '>': 'Above', '>=': 'AtLeast' };
const comparisons: ReadonlySet<string> = new Set([...Object.keys(bounds), '==', '!=']);
const yulComparisons: ReadonlySet<string> = new Set(['lt', 'gt', 'slt', 'sgt', 'eq', 'iszero']);
const yulBounds: ReadonlySet<string> = new Set(['lt', 'gt', 'slt', 'sgt']);
const exits: ReadonlySet<string> = new Set(['Return', 'Continue', 'Break']);
const steps: ReadonlySet<string> = new Set(['++', '--', 'delete']);

/**
 * Finds the checks of a Solidity file, with the text that lets each be changed while its contract runs:
 * - every `revert`, every early `return`, `continue` or `break` under an `if`, every call whose answer nobody takes, every
 *   modifier without arguments: left out;
 * - what an `if` sets, and every `|=` and `&=`, which is how verdicts add up: left out;
 * - every operand of `&&` and `||`, and in assembly of `and` and `or` of verdicts: dropped;
 * - every `<`, `<=`, `>`, `>=`, and `lt` and `gt` in assembly: moved by one;
 * - every comparison that is answered, kept in a variable or chosen by: true, and false.
 * The first mutant gets the number `firstId`, the others those that follow.
 *
 * @param ast of this source, as solc gives it
 */
export function findSolidityMutants(file: string, source: string, ast: SolidityNode, firstId: number): FoundMutants {
  const at = positionsOf(source);
  const mutants: Mutant[] = [];
  const wraps: Wrap[] = [];
  const nodeOf = (raw: SolidityNode): Node => {
    const [start = 0, length = 0] = raw.src.split(':').map(Number);
    return { type: raw.nodeType, start: at(start), end: at(start + length), raw };
  };
  const child = (node: Node, name: string): Node => nodeOf(node.raw[name] as SolidityNode);
  const text = (node: Node) => source.slice(node.start, node.end).replace(/\s+/g, ' ');

  const add = (kind: MutantKind, node: Node, path: readonly Node[], code: string): number => {
    const id = firstId + mutants.length;
    const before = source.slice(0, node.start).split('\n');
    const column = (before.at(-1)?.length ?? 0) + 1;
    mutants.push({ id, file, line: before.length, column, kind, inside: functionName(path), code });
    return id;
  };
  const wrap = (node: { readonly start: number; readonly end: number }, before: string, after: string): void => {
    wraps.push({ start: node.start, end: node.end, before, after });
  };

  const visit = (node: Node, path: readonly Node[]): void => {
    addStatement(node, path);
    addExpression(node, path);
    if (node.type === 'FunctionDefinition') addModifiers(node, path);
    if (node.type === 'YulFunctionCall') addYul(node, path);
    for (const inner of childrenOf(node, nodeOf)) visit(inner, [...path, node]);
  };

  const addStatement = (node: Node, path: readonly Node[]): void => {
    const kind = statementKind(node, path);
    if (kind === undefined) return;
    // Of a bare `return` the tree counts the semicolon.
    const end = source.indexOf(';', node.end - 1) + 1;
    const check = standsUnderIf(path) ? ifOf(path) : undefined;
    wrap({ start: node.start, end }, `{ if (!${mutantFunction}(${add(kind, node, path, text(check ?? node))})) `, ' }');
  };

  const addExpression = (node: Node, path: readonly Node[]): void => {
    const parent = path.at(-1);
    if (isAnswer(node, path)) {
      const yes = add('answer true', node, path, text(node));
      const no = add('answer false', node, path, text(node));
      wrap(node, `(${mutantFunction}(${yes}) ? true : ${mutantFunction}(${no}) ? false : (`, '))');
    }
    // Of `a || b || c` each operand is dropped, so that `a || b` needs not be.
    if (parent !== undefined && isLogical(parent) && node.raw.operator !== parent.raw.operator) {
      const outer = path.findLastIndex((above) => !isLogical(above) && !isParenthesis(above));
      const operation = path[outer + 1] ?? parent;
      const id = add('drop operand', node, path, `${text(node)} of ${text(operation)}`);
      wrap(
        node,
        parent.raw.operator === '&&' ? `(${mutantFunction}(${id}) || (` : `(!${mutantFunction}(${id}) && (`,
        '))',
      );
    }
    const bound = node.type === 'BinaryOperation' ? bounds[String(node.raw.operator)] : undefined;
    if (bound === undefined) return;
    wrap(node, `${mutantFunction}${bound}(${add('move bound', node, path, text(node))}, `, ')');
    const start = source.indexOf(String(node.raw.operator), child(node, 'leftExpression').end);
    wraps.push({ start, end: start + String(node.raw.operator).length, before: '', after: '', replace: ',' });
  };

  /** A modifier becomes the call of an empty function that has it. */
  const addModifiers = (node: Node, path: readonly Node[]): void => {
    if (node.raw.kind === 'constructor' || !isNode(node.raw.body)) return;
    const modifiers = (node.raw.modifiers as readonly SolidityNode[]).map(nodeOf);
    for (const modifier of modifiers.filter(({ raw }) => raw.arguments === undefined)) {
      const id = add('remove modifier', modifier, [...path, node], text(modifier));
      wraps.push({ start: modifier.start, end: modifier.end, before: '', after: '', replace: ' ' });
      const body = child(node, 'body').start + 1;
      // A modifier may write, such as that of a Governor which takes what it checks off a list.
      const reads = node.raw.stateMutability === 'view' ? 'view ' : '';
      wrap({ start: node.end, end: node.end }, ` function __guard${id}() private ${reads}${text(modifier)} {}`, '');
      wrap({ start: body, end: body }, ` if (!${mutantFunction}(${id})) __guard${id}();`, '');
    }
  };

  const addYul = (node: Node, path: readonly Node[]): void => {
    const parts = (node.raw.arguments as readonly SolidityNode[]).map(nodeOf);
    const name = yulName(node);
    const reach = (id: number) => {
      const assembly = path.findLast(({ type }) => type === 'InlineAssembly') ?? node;
      // Assembly can't call what tells that it was reached; the statement before it can.
      wrap({ start: assembly.start, end: assembly.start }, `${mutantFunction}(${id}); `, '');
      return yulMutant(id);
    };
    if (yulBounds.has(name)) {
      const awake = reach(add('move bound', node, path, text(node)));
      wrap(node, 'or(', `, and(${awake}, eq(${parts.map(text).join(', ')})))`);
    }
    const assigned = yulAssigned(path);
    const adds = (part: Node) => part.type === 'YulIdentifier' && part.raw.name === assigned;
    const isVerdict = parts.some(isYulVerdict) || parts.some(adds);
    if ((name !== 'or' && name !== 'and') || !isVerdict) return;
    for (const part of parts) {
      if (adds(part) || (part.type === 'YulFunctionCall' && yulName(part) === name)) continue;
      const awake = reach(add('drop operand', part, path, `${text(part)} of ${text(node)}`));
      if (name === 'or') wrap(part, 'mul(', `, iszero(${awake}))`);
      else wrap(part, 'or(', `, sub(0, ${awake}))`);
    }
  };

  visit(nodeOf(ast), []);
  return { mutants, wraps };
}

function statementKind({ type, raw }: Node, path: readonly Node[]): MutantKind | undefined {
  const parent = path.at(-1);
  // Only a part of its head.
  if (
    parent?.type === 'ForStatement' &&
    (parent.raw.loopExpression === raw || parent.raw.initializationExpression === raw)
  )
    return undefined;
  if (type === 'RevertStatement') return 'remove revert';
  if (exits.has(type) && standsUnderIf(path)) return 'remove return';
  if (type !== 'ExpressionStatement') return undefined;
  const { nodeType, operator } = raw.expression as SolidityNode;
  if (nodeType === 'FunctionCall') return 'remove call';
  if (nodeType === 'Assignment' && (operator === '|=' || operator === '&=')) return 'remove assignment';
  const sets = nodeType === 'Assignment' || (nodeType === 'UnaryOperation' && steps.has(String(operator)));
  return sets && standsUnderIf(path) ? 'remove assignment' : undefined;
}

/** The text that is shown of a statement that is all an `if` has; undefined where it is not. */
function ifOf(path: readonly Node[]): Node | undefined {
  const parent = path.at(-1);
  const statements = parent?.raw.statements;
  const condition = parent?.type === 'IfStatement' ? parent : path.at(-2);
  if (parent?.type === 'Block' && Array.isArray(statements) && statements.length !== 1) return undefined;
  return condition?.raw.falseBody === undefined || condition.raw.falseBody === null ? condition : undefined;
}

/** Directly, or as part of its block. */
function standsUnderIf(path: readonly Node[]): boolean {
  const parent = path.at(-1);
  return parent?.type === 'IfStatement' || (parent?.type === 'Block' && path.at(-2)?.type === 'IfStatement');
}

/** Whether a yes or no is answered, kept, or chosen by, with this expression. */
function isAnswer({ type, raw }: Node, path: readonly Node[]): boolean {
  const parent = path.at(-1);
  if (parent === undefined) return false;
  if (parent.type === 'Conditional' && parent.raw.condition === raw) return true;
  const isComparison =
    (type === 'BinaryOperation' &&
      (comparisons.has(String(raw.operator)) || raw.operator === '&&' || raw.operator === '||')) ||
    (type === 'UnaryOperation' && raw.operator === '!');
  if (!isComparison) return false;
  const isReturned = parent.type === 'Return' || (parent.type === 'TupleExpression' && path.at(-2)?.type === 'Return');
  const isKept =
    parent.type === 'VariableDeclarationStatement' ||
    (parent.type === 'Assignment' && parent.raw.rightHandSide === raw);
  return isReturned || isKept;
}

function isLogical({ type, raw }: Node): boolean {
  return type === 'BinaryOperation' && (raw.operator === '&&' || raw.operator === '||');
}

function isParenthesis({ type, raw }: Node): boolean {
  return type === 'TupleExpression' && Array.isArray(raw.components) && raw.components.length === 1;
}

function yulName({ raw }: Node): string {
  return String((raw.functionName as SolidityNode | undefined)?.name);
}

/** A comparison, or what `and` and `or` make of one. */
function isYulVerdict(node: Node): boolean {
  if (node.type !== 'YulFunctionCall') return false;
  const name = yulName(node);
  if (yulComparisons.has(name)) return true;
  const parts = node.raw.arguments as readonly SolidityNode[];
  return (name === 'or' || name === 'and') && parts.some((raw) => isYulVerdict({ ...node, type: raw.nodeType, raw }));
}

/** The variable that the nearest statement of assembly sets. */
function yulAssigned(path: readonly Node[]): unknown {
  const assignment = path.findLast(({ type }) => type === 'YulAssignment');
  return (assignment?.raw.variableNames as readonly SolidityNode[] | undefined)?.[0]?.name;
}

function functionName(path: readonly Node[]): string {
  const definition = path.findLast(({ type }) => type === 'FunctionDefinition' || type === 'ModifierDefinition');
  if (definition === undefined) return 'module';
  return String(definition.raw.kind === 'constructor' ? 'constructor' : definition.raw.name);
}

/** In the order of the text, which is not that of the tree's fields. */
function childrenOf(node: Node, nodeOf: (raw: SolidityNode) => Node): readonly Node[] {
  return Object.values(node.raw)
    .flatMap((value): readonly unknown[] => (Array.isArray(value) ? value : [value]))
    .filter(isNode)
    .map(nodeOf)
    .sort((a, b) => a.start - b.start);
}

function isNode(value: unknown): value is SolidityNode {
  return typeof value === 'object' && value !== null && 'nodeType' in value && 'src' in value;
}

/** solc counts bytes of UTF-8. */
function positionsOf(source: string): (byte: number) => number {
  const bytes = new TextEncoder().encode(source);
  if (bytes.length === source.length) return (byte) => byte;
  const positions: number[] = [];
  let position = 0;
  for (const character of source) {
    for (let rest = new TextEncoder().encode(character).length; rest > 0; rest -= 1) positions.push(position);
    position += character.length;
  }
  positions.push(position);
  return (byte) => positions[byte] ?? position;
}
