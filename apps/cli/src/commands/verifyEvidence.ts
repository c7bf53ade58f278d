import { readFile } from 'node:fs/promises';
import { parsePolicy, pinnedRoots, trustRootOfCertificate, verifyEvidenceFile } from '@cloister/attestation/verify';
import type { Command } from 'commander';
import { OptionValueError } from '../optionValues.ts';
import { print } from '../output.ts';

type Options = { collateral?: string; at?: string; root?: string; policy?: string; json?: boolean };

export function verifyEvidenceCommand(program: Command): void {
  program
    .command('verify-evidence')
    .description('verify TEE evidence from files alone: no network, no chain')
    .argument('<file>', 'an evidence document, or a raw quote with --collateral')
    .option('--collateral <file>', 'collateral as JSON')
    .option('--at <unix>', 'verify as of this time, unix seconds (default: now)')
    .option(
      '--root <file>',
      'trust this root certificate instead of the pinned ones (DER or PEM); makes evidence simulated',
    )
    .option('--policy <file>', 'appraisal policy (default: UpToDate or SWHardeningNeeded, no debug)')
    .addHelpText('after', '\nExit code: 0 only if the evidence holds under the policy.')
    .action(async (file: string, _: unknown, command: Command) => {
      const options = command.optsWithGlobals<Options>();
      if (options.at !== undefined && !/^[0-9]{1,12}$/.test(options.at))
        throw new OptionValueError('--at', options.at, 'unix seconds');
      const root = options.root === undefined ? undefined : trustRootOfCertificate(await readFile(options.root));
      const result = await verifyEvidenceFile({
        evidenceBytes: await readFile(file),
        ...(options.collateral === undefined ? {} : { collateral: await readFile(options.collateral) }),
        at: options.at === undefined ? Math.floor(Date.now() / 1000) : Number(options.at),
        roots: root === undefined ? pinnedRoots : [root],
        policy:
          options.policy === undefined
            ? { unsafeAllowSimulated: root?.simulated ?? false }
            : parsePolicy(await readFile(options.policy)),
      });
      print(options, result, () =>
        result.ok
          ? `Holds: ${result.teeType}, TCB ${result.tcbStatus}${result.advisories.length > 0 ? `, ${result.advisories.join(' ')}` : ''}`
          : `Refused: ${result.refusal?.message} (${result.refusal?.code})`,
      );
      process.exitCode = result.ok ? 0 : 1;
    });
}
