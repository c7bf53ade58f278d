// `npm run e2e [-- NAME…] [--list] [--json]`: scenarios on a running network, one file each in e2e/scenarios.
import { parseArgs } from 'node:util';
import { chooseScenarios, readScenarios, runScenarios } from './lib/e2ePart.ts';
import { summaryLine } from './lib/outcome.ts';
import { heading, say } from './lib/print.ts';
import { runMain } from './lib/scriptError.ts';

const help = `npm run e2e [-- NAME…] [--list] [--json] [--long]
  NAME    a scenario, or part of its name; none runs all
  --list  only say which there are
  --json  one line of JSON for each scenario, and {"passed","failed","skipped"} at the end
  --long  larger counts, as in npm run test:long`;

await runMain(async () => {
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: {
      list: { type: 'boolean', default: false },
      json: { type: 'boolean', default: false },
      long: { type: 'boolean', default: false },
      help: { type: 'boolean', default: false },
    },
  });
  if (values.help) {
    say(help);
    return 0;
  }
  if (values.list) {
    for (const { name, scenario } of chooseScenarios(await readScenarios(), positionals)) {
      const { title, needs } = scenario;
      if (values.json) say(JSON.stringify({ name, title, needs: needs ?? null }));
      else say(`${name}: ${title}${needs === undefined ? '' : ' (on a network of its own)'}`);
    }
    return 0;
  }
  if (!values.json) heading('Scenarios on a running network');
  const outcome = await runScenarios({
    names: positionals,
    env: values.long ? { CLOISTER_LONG: '1' } : {},
    ...(values.json ? { onResult: (result) => say(JSON.stringify(result)) } : {}),
  });
  const { passed, failed, skipped } = outcome;
  if (values.json) say(JSON.stringify({ passed, failed: failed.length, skipped: skipped.length }));
  else say(`\n${summaryLine(outcome)}`);
  return failed.length === 0 ? 0 : 1;
});
