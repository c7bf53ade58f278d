import { readFile } from 'node:fs/promises';
import { inRoot } from '../../scripts/lib/paths.ts';

/** The block of JavaScript in a page that holds a text. Throws where there is none, or more than one. */
export async function linesOf(page: string, holding: string): Promise<string> {
  const text = await readFile(inRoot(page), 'utf8');
  const blocks = [...text.matchAll(/```js\n([\s\S]*?)```/g)].map(([, block]) => block ?? '');
  const [block, ...others] = blocks.filter((lines) => lines.includes(holding));
  if (block !== undefined && others.length === 0) return block;
  throw new Error(`"${page}" has ${others.length + (block === undefined ? 0 : 1)} blocks with "${holding}"`);
}

/** Runs lines with what they are given by name, and answers what these names stand for at their end. */
export async function runLines(
  lines: string,
  given: Readonly<Record<string, unknown>>,
  results: readonly string[],
): Promise<Readonly<Record<string, unknown>>> {
  const source = `return (async () => {\n${lines}\nreturn { ${results.join(', ')} };\n})();`;
  const make = new Function(...Object.keys(given), source);
  return make(...Object.values(given));
}
