// Writes packages/chain/src/generated from the compiled contracts. With --check: exits 1 where that is stale. A storage layout that was
// committed is written anew only with --accept-layouts.
import { mkdir, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { dirname, join, relative } from 'node:path';
import { buildContracts, contractsFolder } from './buildContracts.ts';
import { generatedFiles } from './generatedFiles.ts';
import { committedLayoutChanges, layoutMessage } from './storageLayouts.ts';

const target = join(contractsFolder, '..', 'packages', 'chain', 'src', 'generated');

buildContracts();
const files = await generatedFiles();
const present = await readdir(target, { recursive: true, withFileTypes: true }).catch(() => []);
const paths = present
  .filter((entry) => entry.isFile())
  .map((entry) => relative(target, join(entry.parentPath, entry.name)));
const surplus = paths.filter((path) => !files.has(path));
const compared = await Promise.all(
  [...new Set([...paths, ...files.keys()])].map(async (path) => ({
    path,
    before: await readFile(join(target, path), 'utf8').catch(() => undefined),
    after: files.get(path),
  })),
);
const stale = compared.filter(({ before, after }) => before !== after).map(({ path }) => path);
const layouts = committedLayoutChanges(compared);

if (process.argv.includes('--check')) {
  if (stale.length > 0) {
    console.error(`Stale generated files: ${stale.join(', ')}. Run "npm run generate" in contracts/`);
    if (layouts.length > 0) console.error(layoutMessage(layouts));
    process.exitCode = 1;
  } else console.log(`${files.size} generated files are current`);
} else if (layouts.length > 0 && !process.argv.includes('--accept-layouts')) {
  console.error(layoutMessage(layouts));
  console.error('Nothing was written');
  process.exitCode = 1;
} else {
  for (const path of surplus) await rm(join(target, path));
  for (const [path, text] of files) {
    await mkdir(dirname(join(target, path)), { recursive: true });
    await writeFile(join(target, path), text);
  }
  console.log(`Wrote ${files.size} files, ${stale.length} of them changed`);
}
