import { readFile } from 'node:fs/promises';
import { readAppFile } from '@cloister/build';
import type { Command } from 'commander';
import { print } from '../output.ts';
import { checkProject } from '../project.ts';

type Options = { readonly json?: boolean };

export function manifestCommands(program: Command): void {
  const manifest = program.command('manifest').description('the file cloister.json of a project');

  manifest
    .command('check')
    .description('whether a cloister.json holds, without a network: what is wrong is told by line and column')
    .argument('[file]', 'the file, or a folder with one', '.')
    .action(async (file: string, _: unknown, command: Command) => {
      const options = command.optsWithGlobals<Options>();
      const read = await readAppFile(file);
      const { kind, name, main } = await checkProject(read);
      print(options, { ok: true, file: read.file, kind, name, main }, () => `${read.file} holds: ${kind} "${name}"`);
    });

  manifest
    .command('schema')
    .description('print the JSON Schema of cloister.json, by which editors complete and check it')
    .action(async () => {
      process.stdout.write(await readFile(new URL('../schema/cloister.schema.json', import.meta.url), 'utf8'));
    });
}
