import { parseSync } from 'vite';

/** One mention of another module in a source file. */
export type ModuleImport = {
  readonly specifier: string;
  readonly how: 'import' | 'export' | 'dynamic' | 'require' | 'resolve' | 'url';
  /** Erased before the program runs. */
  readonly typeOnly: boolean;
  /** Counted from 1. */
  readonly line: number;
};

export type ModuleFacts = {
  readonly imports: readonly ModuleImport[];
  /** Lines of `import(…)` and `require(…)` whose target is computed, so that no reader can know it. */
  readonly computedImports: readonly number[];
  /** Lines that read the process's environment. */
  readonly environmentReads: readonly number[];
};

type SyntaxNode = { readonly type: string; readonly start: number; readonly [key: string]: unknown };

/** Reads what a TypeScript or JavaScript source imports, from its syntax tree. Throws where the source does not parse. */
export function moduleFacts(file: string, source: string): ModuleFacts {
  const { program, errors } = parseSync(file, source);
  const first = errors[0];
  if (first !== undefined) throw new SyntaxError(`"${file}" does not parse: ${first.message}`);
  const imports: ModuleImport[] = [];
  const computedImports: number[] = [];
  const environmentReads: number[] = [];
  const lineAt = lineFinder(source);
  walk(program, (node) => {
    const line = lineAt(node.start);
    const add = (how: ModuleImport['how'], target: unknown, typeOnly: boolean) => {
      const specifier = literalText(target);
      if (specifier !== undefined) imports.push({ specifier, how, typeOnly, line });
      else if (how === 'dynamic' || how === 'require') computedImports.push(line);
    };
    switch (node.type) {
      case 'ImportDeclaration':
        add('import', node.source, isTypeOnly(node, 'importKind'));
        if (/^(node:)?process$/.test(literalText(node.source) ?? '') && importsName(node, 'env'))
          environmentReads.push(line);
        break;
      case 'ExportNamedDeclaration':
      case 'ExportAllDeclaration':
        if (isNode(node.source)) add('export', node.source, isTypeOnly(node, 'exportKind'));
        break;
      case 'ImportExpression':
        add('dynamic', node.source, false);
        break;
      case 'TSImportType':
        add('import', node.source ?? node.argument, true);
        break;
      case 'CallExpression': {
        const called = requireName(node.callee);
        if (called === 'require') add('require', argument(node, 0), false);
        if (called === 'require.resolve' || called === 'import.meta.resolve') add('resolve', argument(node, 0), false);
        break;
      }
      case 'NewExpression':
        if (dottedName(node.callee) === 'URL' && dottedName(argument(node, 1)) === 'import.meta.url')
          add('url', argument(node, 0), false);
        break;
      case 'MemberExpression':
        if (/^(globalThis\.)?process\.env$/.test(dottedName(node) ?? '')) environmentReads.push(line);
        break;
      case 'VariableDeclarator':
        if (dottedName(node.init) === 'process' && importsName(node.id, 'env')) environmentReads.push(line);
        break;
    }
  });
  return { imports, computedImports, environmentReads };
}

function walk(node: unknown, visit: (node: SyntaxNode) => void): void {
  if (Array.isArray(node)) for (const inner of node) walk(inner, visit);
  else if (typeof node === 'object' && node !== null) {
    if (isNode(node)) visit(node);
    for (const inner of Object.values(node)) if (typeof inner === 'object' && inner !== null) walk(inner, visit);
  }
}

/** Whether a whole import or export is of types: said once for all of it, or at every name. */
function isTypeOnly(node: SyntaxNode, kind: 'importKind' | 'exportKind'): boolean {
  if (node[kind] === 'type') return true;
  const names = Array.isArray(node.specifiers) ? node.specifiers : [];
  return names.length > 0 && names.every((name: unknown) => isNode(name) && name[kind] === 'type');
}

function importsName(node: unknown, name: string): boolean {
  if (!isNode(node)) return false;
  const entries = [node.specifiers, node.properties].find(Array.isArray) ?? [];
  return entries.some(
    (entry: unknown) => isNode(entry) && (dottedName(entry.imported) === name || dottedName(entry.key) === name),
  );
}

/** The text of a string literal, or of a template without holes. */
function literalText(node: unknown): string | undefined {
  if (!isNode(node)) return undefined;
  if (node.type === 'Literal' && typeof node.value === 'string') return node.value;
  if (node.type === 'TSLiteralType') return literalText(node.literal);
  if (node.type !== 'TemplateLiteral' || !Array.isArray(node.quasis) || node.quasis.length !== 1) return undefined;
  const quasi: unknown = node.quasis[0];
  const value = isNode(quasi) ? quasi.value : undefined;
  return typeof value === 'object' && value !== null && 'cooked' in value ? String(value.cooked) : undefined;
}

/** `a.b.c` of plain member accesses, else undefined. */
function dottedName(node: unknown): string | undefined {
  if (!isNode(node)) return undefined;
  if (node.type === 'Identifier') return String(node.name);
  if (node.type === 'MetaProperty') return 'import.meta';
  if (node.type !== 'MemberExpression') return undefined;
  const object = dottedName(node.object);
  const property = node.computed === true ? literalText(node.property) : dottedName(node.property);
  return object === undefined || property === undefined ? undefined : `${object}.${property}`;
}

/** `require` for a call of `createRequire(…)` too, however the made function is called on. */
function requireName(callee: unknown): string | undefined {
  if (!isNode(callee)) return undefined;
  if (callee.type === 'CallExpression')
    return /(^|\.)createRequire$/.test(dottedName(callee.callee) ?? '') ? 'require' : undefined;
  if (callee.type !== 'MemberExpression' || dottedName(callee) !== undefined) return dottedName(callee);
  const object = requireName(callee.object);
  return object === undefined ? undefined : `${object}.${dottedName(callee.property)}`;
}

function argument(node: SyntaxNode, index: number): unknown {
  return Array.isArray(node.arguments) ? node.arguments[index] : undefined;
}

function isNode(value: unknown): value is SyntaxNode {
  return (
    typeof value === 'object' && value !== null && 'type' in value && typeof value.type === 'string' && 'start' in value
  );
}

function lineFinder(source: string): (offset: number) => number {
  const starts = [0];
  for (let at = source.indexOf('\n'); at !== -1; at = source.indexOf('\n', at + 1)) starts.push(at + 1);
  return (offset) => {
    let low = 0;
    let high = starts.length;
    while (high - low > 1) {
      const middle = (low + high) >> 1;
      if ((starts[middle] ?? 0) <= offset) low = middle;
      else high = middle;
    }
    return low + 1;
  };
}
