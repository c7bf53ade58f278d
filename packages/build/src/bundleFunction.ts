import { stat } from 'node:fs/promises';
import path from 'node:path';
import { CloisterError, maxCodeBytes } from '@cloister/core';
import { type BuildFailure, build, type Message } from 'esbuild';

export type FunctionBundle = {
  /** One ES module in UTF-8. */
  readonly code: Uint8Array;
  /** What the entry's file name suggests as the app's name. */
  readonly name: string;
  /** Every file that went in, relative to the entry's folder, sorted. */
  readonly inputs: readonly string[];
};

/**
 * Bundles a function's entry (TypeScript or JavaScript) and what it imports into one ES module. The same files, laid out the
 * same way, give the same bytes in any folder. Honoured beside the files that are imported: the package.json of the folder that
 * each of them is in (`type`, `imports`, `exports`, `browser`, `sideEffects`), and where `node_modules` stands. No tsconfig.json
 * is, wherever it lies: a file that needs a JSX runtime says so itself (`@jsxImportSource`), and decorators are those of the
 * language. Throws BUNDLE_ENTRY_MISSING, BUNDLE_FAILED, BUNDLE_NO_HANDLER, BUNDLE_TOO_LARGE.
 */
export async function bundleFunction(entry: string): Promise<FunctionBundle> {
  const file = path.resolve(entry);
  const found = await stat(file).catch(() => undefined);
  if (!found?.isFile())
    throw new BundleError('BUNDLE_ENTRY_MISSING', `No file "${entry}"`, 'Give the file that holds the handler');
  const result = await build({
    entryPoints: [file],
    absWorkingDir: path.dirname(file),
    bundle: true,
    write: false,
    format: 'esm',
    target: 'es2022',
    platform: 'browser',
    conditions: ['workerd', 'worker'],
    charset: 'utf8',
    legalComments: 'none',
    logLevel: 'silent',
    metafile: true,
    // In the place of any tsconfig.json above the entry, which esbuild would look for up to the root of the file system.
    tsconfigRaw: '{}',
  }).catch((failure: BuildFailure) => {
    throw new BundleError(
      'BUNDLE_FAILED',
      `Can't bundle "${entry}": ${(failure.errors ?? []).slice(0, 3).map(place).join('; ') || failure.message}`,
      'Mend the line and deploy again',
    );
  });
  const [output] = Object.values(result.metafile.outputs);
  if (!output?.exports.includes('default'))
    throw new BundleError(
      'BUNDLE_NO_HANDLER',
      `"${entry}" has no default export`,
      'Write: export default { async fetch(request, env, ctx) { … } }',
    );
  const code = result.outputFiles[0]?.contents ?? new Uint8Array();
  if (code.length > maxCodeBytes)
    throw new BundleError(
      'BUNDLE_TOO_LARGE',
      `"${entry}" bundles to "${code.length}" bytes`,
      `Keep it within ${maxCodeBytes} bytes`,
    );
  return { code, name: appName(file), inputs: Object.keys(result.metafile.inputs).sort() };
}

/** The app's name that a file name suggests. */
export function appName(file: string): string {
  const base = path.basename(file).replace(/\.[^.]+$/, '');
  const generic = ['index', 'main', 'function', 'worker', 'handler'].includes(base);
  const name = (generic ? path.basename(path.dirname(file)) : base).toLowerCase().replace(/[^a-z0-9]+/g, '-');
  return name.replace(/^-+|-+$/g, '').slice(0, 63) || 'app';
}

function place(message: Message): string {
  const at = message.location;
  return at ? `${at.file}:${at.line}:${at.column + 1}: ${message.text}` : message.text;
}

export class BundleError extends CloisterError<
  'BUNDLE_ENTRY_MISSING' | 'BUNDLE_FAILED' | 'BUNDLE_NO_HANDLER' | 'BUNDLE_TOO_LARGE'
> {
  override readonly name = 'BundleError';
  constructor(code: BundleError['code'], message: string, hint: string) {
    super({ code, message, hint });
  }
}
