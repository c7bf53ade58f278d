// Writes the tables of docs/dependencies.md from the lock files: node scripts/dependencies.ts
import fs from 'node:fs';
import { dependencyRows, readDependencies } from './lib/dependencyTable.ts';
import { replaceMarked } from './lib/markedText.ts';
import { inRoot } from './lib/paths.ts';
import { runMain } from './lib/scriptError.ts';

await runMain(async () => {
  const file = inRoot('docs/dependencies.md');
  const tables = readDependencies().map((group) => `### ${group.title}\n\n${dependencyRows(group)}`);
  fs.writeFileSync(file, replaceMarked(fs.readFileSync(file, 'utf8'), 'dependencies', `\n${tables.join('\n\n')}\n\n`));
  return 0;
});
