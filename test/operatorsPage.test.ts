import fs from 'node:fs';
import { expect, test } from 'vitest';
import { workerConfig } from '../apps/worker/src/workerConfig.ts';
import { inRoot } from '../scripts/lib/paths.ts';

const required = { networkFile: 'n', operatorKeyFile: 'k', runDir: 'r', imageRoot: 'i' };

/** What a refusal of an unknown field lists as known; nothing where the value is refused for another reason. */
function knownIn(value: unknown): readonly string[] {
  try {
    workerConfig.read(value, '');
  } catch (error) {
    const [, list] = /^Known here: (.+)$/.exec((error as { readonly hint?: string }).hint ?? '') ?? [];
    return list?.split(', ') ?? [];
  }
  return [];
}

const unknown = { 'no such field': 1 };
/** Every field by its path. One that is no object refuses the value as a whole, and stands for itself. */
const fields = knownIn(unknown).flatMap((name) => {
  const below = knownIn({ ...required, [name]: unknown });
  return below.length === 0 ? [name] : below;
});

test("the operators' page describes exactly the fields that a worker's configuration has", () => {
  const page = fs.readFileSync(inRoot('docs/operators.md'), 'utf8');
  const section = page.slice(page.indexOf('## 4. '), page.indexOf('## 5. '));
  const documented = [...section.matchAll(/^\| `([A-Za-z.]+)` \|/gm)].map(([, name]) => name);
  expect(fields).toContain('collateral.service');
  expect(fields.length).toBeGreaterThan(10);
  expect([...documented].sort()).toEqual([...fields].sort());
});
