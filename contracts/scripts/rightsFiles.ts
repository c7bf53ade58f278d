import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { zeroAddress } from 'viem';
import type { GovernorWorld } from '../test/support/governorWorld.ts';
import { contractsFolder } from './buildContracts.ts';
import { type Right, rightsMarkdown, rightsTable } from './rightsTable.ts';

const docsPath = join(contractsFolder, '..', 'docs', 'rights.md');

/** Who may call what, with what this world's rules say of acts by themselves, whatever they belong to. */
export async function rightsOf({ actRules }: GovernorWorld): Promise<Right[]> {
  const ask = (selector: `0x${string}`) => actRules.read.ruleOf([zeroAddress, selector]);
  return rightsTable(ask, await actRules.read.longestExit());
}

/** Each committed file by its path, as it has to be. */
export async function rightsFiles(rights: readonly Right[]): Promise<ReadonlyMap<string, string>> {
  const docs = await readFile(docsPath, 'utf8');
  const block = `<!-- rights: written by contracts/scripts/rights.ts -->\n${rightsMarkdown(rights)}\n<!-- /rights -->`;
  return new Map([
    [
      join(contractsFolder, 'rights.json'),
      `[\n${rights.map((right) => `  ${JSON.stringify(right)}`).join(',\n')}\n]\n`,
    ],
    [docsPath, docs.replace(/<!-- rights: [\s\S]*?<!-- \/rights -->/, () => block)],
  ]);
}
