import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { it } from 'node:test';
import type { Artifact } from '../../../scripts/generatedFiles.ts';

const contracts = ['CollateralStore', 'PckRegistry', 'TdxVerifier', 'SgxVerifier'] as const;

it('every error of these contracts is expected by its name in a test of this folder', () => {
  const folder = new URL('./', import.meta.url);
  const files = readdirSync(folder).filter((file) => file.endsWith('.test.ts') && !import.meta.url.endsWith(file));
  const tests = files.map((file) => readFileSync(new URL(file, folder), 'utf8')).join('\n');
  const missing = contracts.flatMap((name) => {
    const path = new URL(`../../../artifacts/src/attestation/${name}.sol/${name}.json`, import.meta.url);
    const { abi } = JSON.parse(readFileSync(path, 'utf8')) as Artifact;
    const errors = abi.flatMap((item) => (item.type === 'error' ? [item.name] : []));
    assert.ok(errors.length > 5, `Read ${errors.length} errors of "${name}"`);
    return errors.filter((error) => !tests.includes(`'${error}'`)).map((error) => `${name}: ${error}`);
  });
  assert.deepEqual(missing, []);
});
