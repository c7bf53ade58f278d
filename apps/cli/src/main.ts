import { readFileSync } from 'node:fs';
import { CloisterError, describeError } from '@cloister/core';
import { Command } from 'commander';
import { unknownNameHint } from './appName.ts';
import { attestCommand } from './commands/attest.ts';
import { bridgeCommands } from './commands/bridge.ts';
import { callCommand } from './commands/call.ts';
import { collateralCommand } from './commands/collateral.ts';
import { committeeCommands } from './commands/committee.ts';
import { deployCommand } from './commands/deploy.ts';
import { devCommand } from './commands/dev.ts';
import { epochCommands } from './commands/epoch.ts';
import { governCommands } from './commands/govern.ts';
import { imageCommands } from './commands/image.ts';
import { initCommand } from './commands/init.ts';
import { listingCommands } from './commands/listings.ts';
import { manifestCommands } from './commands/manifest.ts';
import { networkCommands } from './commands/network.ts';
import { paymentCommands } from './commands/payments.ts';
import { proxyCommand } from './commands/proxy.ts';
import { secretsCommands } from './commands/secrets.ts';
import { sendCommand } from './commands/send.ts';
import { simulateCommand } from './commands/simulate.ts';
import { slashCommands } from './commands/slashes.ts';
import { stakingCommands } from './commands/staking.ts';
import { stateCommand } from './commands/state.ts';
import { storageCommands } from './commands/storage.ts';
import { timelockCommands } from './commands/timelock.ts';
import { verifyCommand } from './commands/verify.ts';
import { verifyEvidenceCommand } from './commands/verifyEvidence.ts';
import { versionCommands } from './commands/versions.ts';
import { note, stepLines, toJson } from './output.ts';

const { version } = JSON.parse(readFileSync(new URL('../package.json', import.meta.url), 'utf8')) as {
  version: string;
};
const program = new Command('cloister')
  .description('Run private code on TEE machines of others, and check who computed what.')
  .version(version)
  .option('--json', 'results as JSON, one line')
  .option('--network <file>', 'network file (default: the nearest .cloister/network.json, or that of npm start)')
  .option('--key <file>', 'private key of your account')
  .showHelpAfterError('(cloister --help lists the commands)');

networkCommands(program);
deployCommand(program);
initCommand(program);
manifestCommands(program);
callCommand(program);
paymentCommands(program);
sendCommand(program);
storageCommands(program);
bridgeCommands(program);
stakingCommands(program);
slashCommands(program);
governCommands(program);
proxyCommand(program);
verifyCommand(program);
listingCommands(program);
versionCommands(program);
timelockCommands(program);
imageCommands(program);
stateCommand(program);
secretsCommands(program);
devCommand(program);
verifyEvidenceCommand(program);
attestCommand(program);
committeeCommands(program);
epochCommands(program);
collateralCommand(program);
simulateCommand(program);

try {
  await program.parseAsync();
} catch (error) {
  const steps = error instanceof Error && 'steps' in error && Array.isArray(error.steps) ? error.steps : undefined;
  if (program.opts<{ json?: boolean }>().json) {
    const described = error instanceof CloisterError ? error.toJSON() : { message: describeError(error) };
    process.stdout.write(`${toJson({ ok: false, error: described, ...(steps === undefined ? {} : { steps }) })}\n`);
  } else {
    if (steps !== undefined) note(stepLines(steps));
    note(`cloister: ${describeError(error)}`);
    const hint = unknownNameHint(error);
    if (hint !== undefined) note(hint);
  }
  process.exitCode = 1;
}
