// Prints the program of a tenant's process as one JavaScript file: inside the walls there are no packages, and Node.js would
// take a tenth of a second to read TypeScript. Run by a driver at its start, as a process of its own; the argument is the
// program's first module, from the folder above, without its extension.
import { readFileSync } from 'node:fs';
import { posix } from 'node:path';

const [entry = ''] = process.argv.slice(2);
const extension = import.meta.url.slice(import.meta.url.lastIndexOf('.'));
const importLine = /^import \{([^}]*)\} from '([^']+)';$/gm;
const exportWord = /^export (?=(?:const|class|function\*?|async function\*?) ([\w$]+))/gm;

/** Only in the repository, on its own release of Node.js: what users install is JavaScript. */
const asJavaScript =
  extension === '.ts' ? (await import('node:module')).stripTypeScriptTypes : (text: string): string => text;
/** Modules that stand in the program, or are about to. */
const known = new Set<string>();
print(entry);

/** Prints a module after those that it imports. */
function print(module: string): void {
  known.add(module);
  const text = asJavaScript(readFileSync(new URL(`../${module}${extension}`, import.meta.url), 'utf8'));
  for (const [, , from = ''] of text.matchAll(importLine)) {
    const target = targetOf(module, from);
    if (target !== undefined && !known.has(target)) print(target);
  }
  process.stdout.write(`${asScope(module, text)}\n`);
}

/** A module as a function that is called at once, so that its private names stay its own. */
function asScope(module: string, text: string): string {
  const exported = [...text.matchAll(exportWord)].map(([, name]) => name);
  const body = text
    .replaceAll(importLine, (_, names: string, from: string) => `const {${names}} = ${source(module, from)};`)
    .replaceAll(exportWord, '');
  if (/^(?:import|export)\b/m.test(body)) throw new Error(`"${module}" imports or exports in another way`);
  return `const ${scopeName(module)} = (() => {\n${body}\nreturn { ${exported.join(', ')} };\n})();`;
}

function source(module: string, from: string): string {
  const target = targetOf(module, from);
  return target === undefined ? `process.getBuiltinModule('${from}')` : scopeName(target);
}

/** Undefined for a module of Node.js. */
function targetOf(module: string, from: string): string | undefined {
  if (from.startsWith('node:')) return undefined;
  const target = posix.join(posix.dirname(module), from);
  return target.slice(0, target.lastIndexOf('.'));
}

function scopeName(module: string): string {
  return `$${module.replaceAll('/', '_')}`;
}
