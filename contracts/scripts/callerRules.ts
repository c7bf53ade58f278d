// Reads from the compiler's syntax trees who may call what: every check that compares the caller with somebody.
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { AbiFunction } from 'viem';
import { toFunctionSelector } from 'viem';
import { contractsFolder } from './buildContracts.ts';
import type { Artifact } from './generatedFiles.ts';

/** A check of the caller: where it fails, the call is refused by this error. */
export type CallerRule = {
  readonly error: string;
  /** Source text of the condition under which it is refused. */
  readonly refuses: string;
  /** The modifier that checks, as it is invoked. */
  readonly modifier?: string;
};

type Node = {
  readonly id: number;
  readonly nodeType: string;
  readonly src: string;
  readonly [field: string]: unknown;
};
type Sources = Readonly<Record<string, { readonly id: number; readonly ast: Node }>>;

/** All trees of one compilation. */
type Trees = { readonly nodes: ReadonlyMap<number, Node>; readonly textOf: (node: Node) => string };

/** Errors of checks that the caller is only an argument of. */
const notOfCallers: ReadonlySet<string> = new Set(['SafeERC20FailedOperation', 'CreditLineAlreadyOpen']);

const loaded = new Map<string, Promise<Trees>>();

/** The rules of a contract's writing function, in the order in which they are met. */
export async function callerRulesOf(artifact: Artifact, contract: string, item: AbiFunction): Promise<CallerRule[]> {
  const trees = await treesOf(artifact.buildInfoId);
  const [definition] = [...trees.nodes.values()].filter(
    (node) => node.nodeType === 'ContractDefinition' && node.name === contract,
  );
  if (definition === undefined) throw new Error(`Expected the contract "${contract}" in "${artifact.buildInfoId}"`);
  const bases = (definition.linearizedBaseContracts as readonly number[]).flatMap((id) => trees.nodes.get(id) ?? []);
  const selector = toFunctionSelector(item).slice(2);
  const entry = bases
    .flatMap((base) => base.nodes as readonly Node[])
    .find(
      (node) =>
        node.nodeType === 'FunctionDefinition' && node.functionSelector === selector && node.implemented === true,
    );
  if (entry === undefined) throw new Error(`Expected "${item.name}" in the syntax tree of "${contract}"`);
  const found: CallerRule[] = [];
  new Walk(trees, bases, found).enter(entry, new Set());
  return found.filter(({ error, refuses }, index) => {
    const same = (rule: CallerRule) => rule.error === error && rule.refuses === refuses;
    return !notOfCallers.has(error) && found.findIndex(same) === index;
  });
}

/** Follows what a function calls inside its contract, and which of its values are the caller. */
class Walk {
  readonly #trees: Trees;
  readonly #bases: readonly Node[];
  readonly #found: CallerRule[];
  readonly #seen = new Set<string>();

  constructor(trees: Trees, bases: readonly Node[], found: CallerRule[]) {
    this.#trees = trees;
    this.#bases = bases;
    this.#found = found;
  }

  /** @param callers Declarations that hold the caller's address. */
  enter(definition: Node, callers: ReadonlySet<number>, modifier?: string): void {
    const key = `${definition.id}:${[...callers].sort().join()}:${modifier ?? ''}`;
    if (this.#seen.has(key)) return;
    this.#seen.add(key);
    const known = new Set(callers);
    for (const invocation of (definition.modifiers as readonly Node[] | undefined) ?? []) {
      const called = this.#declarationOf(invocation.modifierName as Node);
      if (called?.nodeType === 'ModifierDefinition') {
        this.#arguments(called, (invocation.arguments as readonly Node[] | null) ?? [], known, (taken) =>
          this.enter(called, taken, this.#trees.textOf(invocation)),
        );
      }
    }
    const body = definition.body as Node | null | undefined;
    const [first, ...rest] = (body?.statements as readonly Node[] | undefined) ?? [];
    if (first?.nodeType === 'RevertStatement' && rest.length === 0)
      this.#add(first.errorCall as Node, 'true', modifier);
    if (body) this.#visit(body, known, modifier);
  }

  #visit(node: Node, callers: Set<number>, modifier: string | undefined): void {
    if (node.nodeType === 'VariableDeclarationStatement') {
      const [declared] = node.declarations as readonly (Node | null)[];
      const value = node.initialValue as Node | null;
      if (declared && value && this.#isCaller(value, callers)) callers.add(declared.id);
    }
    if (node.nodeType === 'IfStatement') {
      const condition = node.condition as Node;
      const revert = revertOf(node.trueBody as Node);
      if (revert && this.#comparesCaller(condition, callers))
        this.#add(revert.errorCall as Node, this.#trees.textOf(condition), modifier);
    }
    const [condition, error] = requirementOf(node);
    if (condition && error && this.#comparesCaller(condition, callers))
      this.#add(error, `!(${this.#trees.textOf(condition)})`, modifier);
    for (const child of childrenOf(node)) this.#visit(child, callers, modifier);
    if (node.nodeType === 'FunctionCall') this.#follow(node, callers, modifier);
  }

  #add(errorCall: Node, condition: string, modifier: string | undefined): void {
    const error = this.#trees.textOf(errorCall.expression as Node);
    const refuses = condition.replaceAll(/\s+/g, ' ');
    this.#found.push(modifier === undefined ? { error, refuses } : { error, refuses, modifier });
  }

  #follow(call: Node, callers: Set<number>, modifier: string | undefined): void {
    const expression = call.expression as Node;
    const { typeIdentifier = '' } = (expression.typeDescriptions ?? {}) as { typeIdentifier?: string };
    if (!typeIdentifier.startsWith('t_function_internal')) return;
    const called = this.#declarationOf(expression);
    if (called?.nodeType !== 'FunctionDefinition') return;
    this.#arguments(called, call.arguments as readonly Node[], callers, (taken) => this.enter(called, taken, modifier));
  }

  /** Which parameters hold the caller. Of a library's function the value that it is called on comes first, and is left out. */
  #arguments(called: Node, given: readonly Node[], callers: Set<number>, then: (taken: Set<number>) => void): void {
    const parameters = (called.parameters as Node | null)?.parameters as readonly Node[] | undefined;
    const skipped = (parameters?.length ?? 0) - given.length;
    const taken = given.flatMap((value, index) => {
      const parameter = parameters?.[index + Math.max(skipped, 0)];
      return parameter && this.#isCaller(value, callers) ? [parameter.id] : [];
    });
    then(new Set(taken));
  }

  /** What a name means in this contract: the last override of it; behind `super`, what was written. */
  #declarationOf(expression: Node): Node | undefined {
    const written = this.#trees.nodes.get(expression.referencedDeclaration as number);
    if (written?.nodeType !== 'FunctionDefinition' || written.virtual !== true) return written;
    // Behind `super` the compiler names the very function; without a body it is one of the contract's own.
    if (expression.nodeType === 'MemberAccess' && written.implemented === true) return written;
    return this.#overrides(written)[0] ?? written;
  }

  #overrides(written: Node): Node[] {
    const typesOf = (node: Node) =>
      ((node.parameters as Node).parameters as readonly Node[])
        .map(({ typeDescriptions }) => (typeDescriptions as { typeString: string }).typeString)
        .join();
    return this.#bases
      .flatMap((base) => base.nodes as readonly Node[])
      .filter(
        (node) =>
          node.nodeType === 'FunctionDefinition' &&
          node.name === written.name &&
          node.implemented === true &&
          typesOf(node) === typesOf(written),
      );
  }

  #isCaller(node: Node, callers: ReadonlySet<number>): boolean {
    if (node.nodeType === 'Identifier') return callers.has(node.referencedDeclaration as number);
    if (node.nodeType === 'MemberAccess')
      return node.memberName === 'sender' && (node.expression as Node).name === 'msg';
    return node.nodeType === 'FunctionCall' && (node.expression as Node).name === '_msgSender';
  }

  /** Whether a condition has the caller in it, beside a comparison with nobody (the zero address). */
  #comparesCaller(node: Node, callers: ReadonlySet<number>): boolean {
    if (node.nodeType === 'BinaryOperation') {
      const sides = [node.leftExpression as Node, node.rightExpression as Node];
      if (sides.some((side) => /^address\(0\)$/.test(this.#trees.textOf(side)))) return false;
      return sides.some((side) => this.#comparesCaller(side, callers));
    }
    return this.#isCaller(node, callers) || childrenOf(node).some((child) => this.#comparesCaller(child, callers));
  }
}

/** Condition and error of a `require` with a custom error. */
function requirementOf(node: Node): readonly (Node | undefined)[] {
  if (node.nodeType !== 'FunctionCall' || (node.expression as Node).name !== 'require') return [];
  const [condition, error] = node.arguments as readonly Node[];
  return error?.nodeType === 'FunctionCall' ? [condition, error] : [];
}

function revertOf(body: Node): Node | undefined {
  if (body.nodeType === 'RevertStatement') return body;
  const [first] = body.nodeType === 'Block' ? (body.statements as readonly Node[]) : [];
  return first?.nodeType === 'RevertStatement' ? first : undefined;
}

function childrenOf(node: Node): readonly Node[] {
  return Object.values(node).flatMap((value) => (Array.isArray(value) ? value : [value]).filter(isNode));
}

function isNode(value: unknown): value is Node {
  return typeof value === 'object' && value !== null && 'nodeType' in value && 'src' in value;
}

function treesOf(buildInfoId: string): Promise<Trees> {
  const trees = loaded.get(buildInfoId) ?? loadTrees(buildInfoId);
  loaded.set(buildInfoId, trees);
  return trees;
}

async function loadTrees(buildInfoId: string): Promise<Trees> {
  const folder = join(contractsFolder, 'artifacts', 'build-info');
  const read = async (name: string) => JSON.parse(await readFile(join(folder, name), 'utf8'));
  const { output } = (await read(`${buildInfoId}.output.json`)) as { output: { sources: Sources } };
  const { input } = (await read(`${buildInfoId}.json`)) as {
    input: { sources: Readonly<Record<string, { readonly content: string }>> };
  };
  const nodes = new Map<number, Node>();
  const texts = new Map<number, Buffer>();
  for (const [name, { id, ast }] of Object.entries(output.sources)) {
    texts.set(id, Buffer.from(input.sources[name]?.content ?? ''));
    const stack = [ast];
    for (let node = stack.pop(); node !== undefined; node = stack.pop()) {
      nodes.set(node.id, node);
      stack.push(...childrenOf(node));
    }
  }
  const textOf = ({ src }: Node): string => {
    const [start = 0, length = 0, file = 0] = src.split(':').map(Number);
    return (texts.get(file) ?? Buffer.alloc(0)).subarray(start, start + length).toString('utf8');
  };
  return { nodes, textOf };
}
