#!/usr/bin/env node
// Plain JavaScript for any Node.js: finds what can run the command and hands over to it.
import { spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';

const here = path.dirname(fileURLToPath(import.meta.url));
const built = path.join(here, '..', 'dist', 'main.js');
const source = path.join(here, '..', 'src', 'main.ts');
const repository = path.resolve(here, '..', '..', '..');

if (existsSync(built)) await import(built);
else {
  const packaged = path.join(
    repository,
    '.toolchain',
    'node_modules',
    `node-${process.platform}-${process.arch}`,
    'bin',
    'node',
  );
  const is24 = Number(process.versions.node.split('.')[0]) >= 24;
  const node = existsSync(packaged) ? packaged : is24 ? process.execPath : undefined;
  if (node === undefined) {
    process.stderr.write('cloister: Node.js 24 is not installed here yet; run npm start once\n');
    process.exit(1);
  }
  const cache = path.join(repository, 'scripts', 'toolchain', 'compileCache.mjs');
  const child = spawn(node, ['--import', pathToFileURL(cache).href, source, ...process.argv.slice(2)], {
    stdio: 'inherit',
  });
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) process.on(signal, () => child.kill(signal));
  child.on('close', (code, signal) => process.exit(signal ? 143 : (code ?? 1)));
}
