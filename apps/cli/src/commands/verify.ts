import { readFile } from 'node:fs/promises';
import { asBytes32, CloisterError } from '@cloister/core';
import type { Command } from 'commander';
import { resolveApp } from '../appName.ts';
import { print, stepLines } from '../output.ts';
import { openClient } from '../settings.ts';

type Options = { app?: string; context?: string; network?: string; key?: string; json?: boolean };

/** A proof with the largest answer opened, in base64url. */
const maxProofBytes = 400 * 1024 * 1024;

export function verifyCommand(program: Command): void {
  program
    .command('verify')
    .description('check a proof file against the chain, step by step; stops at the first thing that does not hold')
    .argument('<file>', 'what "cloister call --proof FILE" wrote')
    .option('--app <app>', 'the app it must be about')
    .option('--context <bytes32>', 'the context it must carry')
    .addHelpText('after', '\nExit code: 0 everything holds, 1 something does not.')
    .action(async (file: string, _: unknown, command: Command) => {
      const options = command.optsWithGlobals<Options>();
      const client = await openClient(options);
      const result = await client.verify(await readProof(file), {
        ...(options.app === undefined ? {} : { app: await resolveApp(options.app, options) }),
        ...(options.context === undefined ? {} : { context: asBytes32(options.context, '--context') }),
      });
      print(options, result, () => {
        const simulated = result.simulated ? '\nSIMULATED: the TEE is a development one and protects nothing.' : '';
        const verdict = result.ok
          ? `Everything holds: the call ended with "${result.outcome}".${simulated}`
          : 'NOT PROVEN: the last line does not hold.';
        return `${stepLines(result.steps)}\n\n${verdict}`;
      });
      process.exitCode = result.ok ? 0 : 1;
    });
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
