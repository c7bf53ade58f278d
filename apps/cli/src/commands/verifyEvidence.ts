import { readFile } from 'node:fs/promises';
import {
  type CheckNode,
  type EvidenceResult,
  parsePolicy,
  pinnedRoots,
  trustRootOfCertificate,
  verifyEvidenceFile,
} from '@cloister/attestation/verify';
import type { Command } from 'commander';
import { OptionValueError } from '../optionValues.ts';
import { print } from '../output.ts';

type Options = {
  collateral?: string;
  at?: string;
  root?: string;
  policy?: string;
  nitroMaxAge?: string;
  tree?: boolean;
  json?: boolean;
};

export function verifyEvidenceCommand(program: Command): void {
  program
    .command('verify-evidence')
    .description('verify TEE evidence from files alone: no network, no chain')
    .argument('<file>', 'an evidence document, a raw quote with --collateral, or a raw Nitro document')
    .option('--collateral <file>', 'collateral as JSON')
    .option('--at <unix>', 'verify as of this time, unix seconds (default: now)')
    .option(
      '--root <file>',
      'trust this root certificate instead of the pinned ones (DER or PEM); makes evidence simulated',
    )
    .option(
      '--policy <file>',
      'appraisal policy (default: UpToDate or SWHardeningNeeded, no debug; SNP needs one that states its TCB floor)',
    )
    .option('--nitro-max-age <seconds>', 'how old a Nitro document may be (default: 10800)')
    .option('--tree', 'show what was checked, step by step')
    .addHelpText('after', '\nExit code: 0 only if the evidence holds under the policy.')
    .action(async (file: string, _: unknown, command: Command) => {
      const options = command.optsWithGlobals<Options>();
      if (options.at !== undefined && !/^[0-9]{1,12}$/.test(options.at))
        throw new OptionValueError('--at', options.at, 'unix seconds');
      if (options.nitroMaxAge !== undefined && !/^[0-9]{1,9}$/.test(options.nitroMaxAge))
        throw new OptionValueError('--nitro-max-age', options.nitroMaxAge, 'a whole number of seconds');
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
        nitroMaxAgeSeconds: options.nitroMaxAge === undefined ? undefined : Number(options.nitroMaxAge),
        tree: options.tree === true,
      });
      print(options, result, () => prose(result));
      process.exitCode = result.ok ? 0 : 1;
    });
}

function prose({ ok, teeType, tcbStatus, advisories, refusal, tree = [] }: EvidenceResult): string {
  const tcb = tcbStatus === null ? '' : `, TCB ${tcbStatus}`;
  const because = advisories.length === 0 ? '' : `, ${advisories.join(' ')}`;
  const verdict = ok ? `Holds: ${teeType}${tcb}${because}` : `Refused: ${refusal?.message} (${refusal?.code})`;
  return [...treeLines(tree, 0), verdict].join('\n');
}

function treeLines(nodes: readonly CheckNode[], depth: number): readonly string[] {
  return nodes.flatMap(({ title, ok, detail, children }) => [
    `${'  '.repeat(depth)}${ok ? '✓' : '✗'} ${title}${detail === null || (!ok && children.length > 0) ? '' : `: ${detail}`}`,
    ...treeLines(children, depth + 1),
  ]);
}
