import { execFileSync } from 'node:child_process';
import { cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'cloister-native-'));
});
afterEach(() => {
  rmSync(folder, { recursive: true, force: true });
});

test('where only the JavaScript fallback is there, the native entry refuses to load', () => {
  const require = createRequire(import.meta.url);
  const original = dirname(require.resolve('secp256k1/package.json'));
  // The package as it is on a platform without a prebuilt binary and without a compiler.
  const copy = join(folder, 'node_modules/secp256k1');
  cpSync(original, copy, {
    recursive: true,
    filter: (source) => !source.includes('prebuilds') && !source.includes('build/'),
  });
  const script = join(folder, 'load.mjs');
  const entry = new URL('../src/nativeSecp256k1.node.ts', import.meta.url).href;
  // The entry resolves "secp256k1/bindings.js" from its own place: send that to the copy.
  writeFileSync(
    script,
    `import { Module } from 'node:module';
const resolve = Module._resolveFilename;
Module._resolveFilename = function (request, ...rest) {
  return resolve.call(this, request === 'secp256k1/bindings.js' ? ${JSON.stringify(join(copy, 'bindings.js'))} : request, ...rest);
};
Module._resolveFilename('secp256k1/bindings.js');
try { await import(${JSON.stringify(entry)}); console.log('loaded'); } catch (error) { console.log(error.code); }`,
  );
  mkdirSync(join(folder, 'node_modules'), { recursive: true });
  cpSync(dirname(require.resolve('node-gyp-build/package.json')), join(folder, 'node_modules/node-gyp-build'), {
    recursive: true,
  });
  expect(readFileSync(join(copy, 'index.js'), 'utf8')).toContain("require('./elliptic')");
  expect(execFileSync(process.execPath, [script], { encoding: 'utf8' }).trim()).toBe('NATIVE_MISSING');
});
