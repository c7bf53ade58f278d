import { isBuiltin } from 'node:module';
import { build } from 'vite';
import { moduleFacts } from '../../test/support/moduleImports.ts';

/** What a browser would load, and the modules that it was made of. */
export type Bundle = { readonly code: string; readonly modules: readonly string[]; readonly bytes: number };

/** Bundles a folder's index.html for browsers, everything into one chunk. */
export async function bundleForBrowser(folder: string, outDir: string): Promise<Bundle> {
  const modules: string[] = [];
  const output = await build({
    root: folder,
    configFile: false,
    logLevel: 'silent',
    build: { outDir, emptyOutDir: true, target: 'es2022', modulePreload: false },
    plugins: [{ name: 'cloister-modules', moduleParsed: ({ id }) => void modules.push(id) }],
  });
  const outputs = Array.isArray(output) ? output : 'output' in output ? [output] : [];
  const chunks = outputs.flatMap((one) => one.output).filter((item) => item.type === 'chunk');
  const code = chunks.map((chunk) => chunk.code).join('\n');
  return { code, modules, bytes: Buffer.byteLength(code) };
}

/** Modules of Node.js that a bundle still imports, or that the bundler put an empty stand-in for. */
export function builtinsInBundle({ code, modules }: Pick<Bundle, 'code' | 'modules'>): readonly string[] {
  const imported = moduleFacts('bundle.js', code)
    .imports.map(({ specifier }) => specifier)
    .filter((specifier) => isBuiltin(specifier));
  const standIns = modules.filter((id) => id.includes('__vite-browser-external'));
  return [...new Set([...imported, ...standIns])];
}
