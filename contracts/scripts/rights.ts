// Prints who may call what, a line of JSON each. With --write: updates rights.json and the list in docs/rights.md. With --check: exits
// 1 where either says something else; the contracts' tests check it too.
import { readFile, writeFile } from 'node:fs/promises';
import { deployGovernorWorld } from '../test/support/governorWorld.ts';
import { buildContracts, hardhatRuntime } from './buildContracts.ts';
import { rightsFiles, rightsOf } from './rightsFiles.ts';

buildContracts();
const hre = await hardhatRuntime();
const connection = await hre.network.create();
const rights = await rightsOf(await deployGovernorWorld(connection));
for (const right of rights) console.log(JSON.stringify(right));
for (const [path, text] of await rightsFiles(rights)) {
  const committed = await readFile(path, 'utf8').catch(() => '');
  if (process.argv.includes('--write')) await writeFile(path, text);
  else if (process.argv.includes('--check') && committed !== text) {
    console.error(`${path} is stale. Run "npm run rights -- --write" in contracts/`);
    process.exitCode = 1;
  }
}
await connection.close();
