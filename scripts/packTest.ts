// Tries the packed packages outside the repository. `npm test` runs this as its last part; with the network file of a
// running network as argument it makes verified calls too: node scripts/packTest.ts [NETWORK_FILE [PRIVATE_KEY]]

import { summaryLine } from './lib/outcome.ts';
import { runPackTest } from './lib/packTestPart.ts';
import { say } from './lib/print.ts';
import { runMain } from './lib/scriptError.ts';

await runMain(async () => {
  const [network, key] = process.argv.slice(2);
  const outcome = await runPackTest({
    ...(network === undefined ? {} : { network }),
    ...(key === undefined ? {} : { key }),
  });
  say(`\n${summaryLine(outcome)}`);
  return outcome.failed.length === 0 ? 0 : 1;
});
