// Writes packages/sandbox/src/quickjs/generated/guestSource.ts: what deterministic functions find around them, bundled from
// packages/sandbox/src/quickjs/guest. It is committed since it is part of what is measured: every worker must run the same
// bytes, or the same call would cost another amount of fuel. Another file may be given as argument; a test compares that way.
import { writeFileSync } from 'node:fs';
import { build } from 'esbuild';
import { inRoot } from './lib/paths.ts';

const { outputFiles } = await build({
  entryPoints: [inRoot('packages/sandbox/src/quickjs/guest/main.ts')],
  bundle: true,
  write: false,
  format: 'iife',
  target: 'es2024',
  charset: 'ascii',
  legalComments: 'none',
  // No paths in the output.
  absWorkingDir: inRoot('packages/sandbox/src/quickjs/guest'),
});
const [bundle] = outputFiles;
if (bundle === undefined) throw new Error('There is no bundle');
const lines = bundle.text
  .trimEnd()
  .split('\n')
  .map((line) => `  ${JSON.stringify(line)},`);
writeFileSync(
  process.argv[2] ?? inRoot('packages/sandbox/src/quickjs/generated/guestSource.ts'),
  [
    '// Written by scripts/makeGuest.ts. Do not edit.',
    '/** The script that makes the world of a deterministic function. Part of what is measured. */',
    'export const guestSource: string = [',
    ...lines,
    "].join('\\n');",
    '',
  ].join('\n'),
);
