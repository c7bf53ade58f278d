// Writes packages/chain/src/generated from the compiled contracts. With --check: exits 1 where that is stale.
import { mkdir, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { dirname, join, relative } from 'node:path';
import { buildContracts, contractsFolder } from './buildContracts.ts';
import { generatedFiles } from './generatedFiles.ts';

const target = join(contractsFolder, '..', 'packages', 'chain', 'src', 'generated');

buildContracts();
const files = await generatedFiles();
const present = await readdir(target, { recursive: true, withFileTypes: true }).catch(() => []);
const paths = present
  .filter((entry) => entry.isFile())
  .map((entry) => relative(target, join(entry.parentPath, entry.name)));
const surplus = paths.filter((path) => !files.has(path));
const stale = [...surplus];
for (const [path, text] of files) {
  const known = await readFile(join(target, path), 'utf8').catch(() => undefined);
  if (known !== text) stale.push(path);
}

if (process.argv.includes('--check')) {
  if (stale.length > 0) {
    console.error(`Stale generated files: ${stale.join(', ')}. Run "npm run generate" in contracts/`);
    process.exitCode = 1;
  } else console.log(`${files.size} generated files are current`);
} else {
  for (const path of surplus) await rm(join(target, path));
  for (const [path, text] of files) {
    await mkdir(dirname(join(target, path)), { recursive: true });
    await writeFile(join(target, path), text);
  }
  console.log(`Wrote ${files.size} files, ${stale.length} of them changed`);
}
