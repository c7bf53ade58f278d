import path from 'node:path';
import type { Command } from 'commander';
import { note, print } from '../output.ts';
import { makeProject, type Template, templates } from '../templates.ts';

type Options = { readonly json?: boolean; readonly template?: string };

export function initCommand(program: Command): void {
  program
    .command('init')
    .description('make a small project that can be deployed, from a template; without one: list the templates')
    .argument('[folder]', 'where; its name becomes that of the app', '.')
    .option('--template <name>', templates.map(({ name }) => name).join(', '))
    .action(async (folder: string, _: unknown, command: Command) => {
      const options = command.optsWithGlobals<Options>();
      if (options.template === undefined) {
        print(options, templates, () => templates.map(templateLine).join('\n'));
        if (!options.json) note(`\nMake one: cloister init ${folder === '.' ? 'my-app' : folder} --template function`);
        return;
      }
      const { name, files } = await makeProject(options.template, folder);
      const needs = templates.find((one) => one.name === options.template)?.needs ?? null;
      print(options, { folder: path.resolve(folder), name, template: options.template, files, needs }, () =>
        [`Made "${name}" in ${path.resolve(folder)}:`, ...files.map((file) => `  ${file}`)].join('\n'),
      );
      if (options.json) return;
      if (needs !== null) note(`\nBefore it is deployed it needs: ${needs}`);
      note(
        `\nDeploy it: ${options.template === 'container' ? 'npm run deploy in it' : `cloister deploy${folder === '.' ? '' : ` ${folder}`}`}`,
      );
    });
}

function templateLine({ name, about, needs }: Template): string {
  return `${name.padEnd(10)} ${about}${needs === undefined ? '' : ` (needs ${needs})`}`;
}
