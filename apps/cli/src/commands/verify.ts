import { readFile } from 'node:fs/promises';
import { asBytes32, CloisterError } from '@cloister/core';
import type { ProofStep, VerifyProofResult } from '@cloister/sdk';
import type { Command } from 'commander';
import { resolveApp } from '../appName.ts';
import { print, stepLines } from '../output.ts';
import { openClient } from '../settings.ts';
import { compareSource } from '../sourceCheck.ts';

type Options = {
  app?: string;
  context?: string;
  source?: string;
  codeSalt?: string;
  network?: string;
  key?: string;
  json?: boolean;
};

/** A proof with the largest answer opened, in base64url. */
const maxProofBytes = 400 * 1024 * 1024;

export function verifyCommand(program: Command): void {
  program
    .command('verify')
    .description('check a proof file against the chain, step by step; stops at the first thing that does not hold')
    .argument('<file>', 'what "cloister call --proof FILE" wrote')
    .option('--app <app>', 'the app it must be about')
    .option('--context <bytes32>', 'the context it must carry')
    .option('--source <file>', "the app's source: built as deploy does, its code must be the one that ran")
    .option('--code-salt <bytes32>', 'for sealed code: the salt, which its owner has')
    .addHelpText('after', '\nExit code: 0 everything holds, 1 something does not.')
    .action(async (file: string, _: unknown, command: Command) => {
      const options = command.optsWithGlobals<Options>();
      const client = await openClient(options);
      const proof = await readProof(file);
      const codeSalt = options.codeSalt === undefined ? undefined : asBytes32(options.codeSalt, '--code-salt');
      const proven = await client.verify(proof, {
        ...(options.app === undefined ? {} : { app: await resolveApp(options.app, options) }),
        ...(options.context === undefined ? {} : { context: asBytes32(options.context, '--context') }),
      });
      const compared =
        options.source === undefined || !proven.ok
          ? undefined
          : await compareSource(client, proof, options.source, codeSalt);
      const result =
        compared === undefined
          ? proven
          : {
              ...proven,
              ok: compared.step.ok,
              steps: [...proven.steps, compared.step],
              source: compared.source,
            };
      print(options, result, () => {
        const simulated = result.simulated ? '\nSIMULATED: the TEE is a development one and protects nothing.' : '';
        return `${stepLines(result.steps)}\n\n${verdict(proven, compared?.step)}${result.ok ? simulated : ''}`;
      });
      process.exitCode = result.ok ? 0 : 1;
    });
}

function verdict(proven: VerifyProofResult, source: ProofStep | undefined): string {
  if (!proven.ok) return 'NOT PROVEN: the last line does not hold.';
  const outcome = `the call ended with "${proven.outcome}"`;
  if (source === undefined) return `Everything holds: ${outcome}.`;
  return source.ok
    ? `Everything holds: ${outcome}, and this source is the code that ran.`
    : `NOT THIS SOURCE: the proof holds, ${outcome}, but the last line does not. Where it should be the same code, look whether it lies as it did when it was deployed: its imports, their versions, the place of node_modules, and this version of cloister.`;
}

async function readProof(file: string): Promise<unknown> {
  const bytes = await readFile(file).catch((cause: NodeJS.ErrnoException) => {
    throw new ProofFileError(file, cause.code === 'ENOENT' ? 'it does not exist' : `${cause.code}`);
  });
  if (bytes.length > maxProofBytes) throw new ProofFileError(file, `it has more than ${maxProofBytes} bytes`);
  try {
    return JSON.parse(bytes.toString('utf8'));
  } catch {
    throw new ProofFileError(file, 'it is no JSON');
  }
}

export class ProofFileError extends CloisterError<'PROOF_FILE_UNREADABLE'> {
  override readonly name = 'ProofFileError';
  constructor(file: string, problem: string) {
    super({
      code: 'PROOF_FILE_UNREADABLE',
      message: `The proof file "${file}" can't be read: ${problem}`,
      hint: 'Make one with: cloister call APP --proof FILE',
    });
  }
}
