// Prints {"id","gas"} a line. With --write: updates gas.json and the table in docs/contracts.md. With --check: exits 1
// where either says something else.
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { buildContracts, contractsFolder, hardhatRuntime } from './buildContracts.ts';
import { type GasTable, measureGas } from './measureGas.ts';

const tablePath = join(contractsFolder, 'gas.json');
const docsPath = join(contractsFolder, '..', 'docs', 'contracts.md');

buildContracts();
const hre = await hardhatRuntime();
const measured = await measureGas(hre.network.create.bind(hre.network));
for (const [id, gas] of Object.entries(measured)) console.log(JSON.stringify({ id, gas }));

const docs = await readFile(docsPath, 'utf8').catch(() => '');
if (process.argv.includes('--write')) {
  await writeFile(tablePath, `${JSON.stringify(measured, null, 2)}\n`);
  await writeFile(docsPath, withTable(docs, measured));
} else if (process.argv.includes('--check')) {
  const committed = JSON.parse(await readFile(tablePath, 'utf8').catch(() => '{}')) as GasTable;
  const ids = new Set([...Object.keys(committed), ...Object.keys(measured)]);
  const changes = [...ids].filter((id) => committed[id] !== measured[id]);
  for (const id of changes)
    console.error(`Gas of "${id}": ${committed[id] ?? 'nothing'} in gas.json, ${measured[id] ?? 'nothing'} measured`);
  const stale = withTable(docs, measured) !== docs;
  if (stale) console.error('The table in docs/contracts.md is stale');
  if (changes.length > 0 || stale) {
    console.error('If the change is meant, run "npm run gas -- --write" in contracts/');
    process.exitCode = 1;
  }
}

function withTable(text: string, table: GasTable): string {
  const rows = Object.entries(table).map(([id, gas]) => `| \`${id}\` | ${gas.toLocaleString('en-US')} |`);
  const block = [
    '<!-- gas: written by contracts/scripts/gas.ts -->',
    '| id | gas |',
    '|---|---:|',
    ...rows,
    '<!-- /gas -->',
  ].join('\n');
  return text.replace(/<!-- gas: [\s\S]*?<!-- \/gas -->/, () => block);
}
