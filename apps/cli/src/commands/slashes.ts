import { readFile, stat } from 'node:fs/promises';
import { CloisterError } from '@cloister/core';
import {
  type Equivocation,
  equivocationOf,
  NoEquivocationError,
  receiptsIn,
  type ShownReceipt,
  type SlashCase,
} from '@cloister/sdk';
import type { Command } from 'commander';
import { addressValue, idValue, phaText } from '../optionValues.ts';
import { print } from '../output.ts';
import { type NetworkOptions, openAccount, openClient } from '../settings.ts';

const offenceWords: Readonly<Record<SlashCase['offence'], string>> = {
  equivocation: 'two different receipts of one signer, channel and sequence',
  'two-records': "a gatekeeper's two records of one epoch and attempt",
  'wrong-result': 'a wrong result',
  silence: 'silence in a job',
  downtime: 'downtime',
};

type Options = NetworkOptions & { json?: boolean };

/** A proof with the largest answer opened, in base64url. */
const maxFileBytes = 400 * 1024 * 1024;

/** Faults that cost a bond: what there is, and what anybody can do about it. */
export function slashCommands(program: Command): void {
  const slashes = program
    .command('slashes')
    .description('faults that cost a bond: what each rests on, and how it stands')
    .argument('[pool]', "the operator's address (default: everybody's)")
    .action(async (text: string | undefined, _: unknown, command: Command) => {
      const options = command.optsWithGlobals<Options>();
      const operator = text === undefined ? undefined : addressValue('pool', text);
      const client = await openClient(options);
      const cases = await client.staking.slashes(operator);
      print(options, cases, () => (cases.length === 0 ? 'Nothing was slashed' : cases.map(caseText).join('\n')));
    });

  slashes
    .command('report')
    .description('show the chain two different receipts of one signer, channel and sequence: its worker loses its bond')
    .argument('<files...>', 'the file that a call kept when it noticed, or two that "cloister call --proof" wrote')
    .addHelpText(
      'after',
      '\nChecked here before anything is sent. You get a part once the case is settled; both receipts become public.',
    )
    .action(async (files: readonly string[], _: unknown, command: Command) => {
      const options = command.optsWithGlobals<Options>();
      const equivocation = await equivocationIn(files);
      const client = await openClient(options);
      // Told before an account is asked for.
      await client.staking.checkEquivocation(equivocation);
      const account = await openAccount(options);
      const opened = await client.staking.reportEquivocation(equivocation, { account });
      print(options, opened, () => caseText(opened));
    });

  slashes
    .command('settle')
    .description('end a case whose time for a veto is over: its reporter and the treasury are paid. Anyone may')
    .argument('<case>', 'id of the case')
    .action(async (text: string, _: unknown, command: Command) => {
      const options = command.optsWithGlobals<Options>();
      const caseId = idValue('case', text);
      const account = await openAccount(options);
      const client = await openClient(options);
      const settled = await client.staking.settleSlash(caseId, { account });
      print(options, settled, () => caseText(settled));
    });
}

/** Throws EVIDENCE_FILE_UNREADABLE, NoEquivocationError. */
async function equivocationIn(files: readonly string[]): Promise<Equivocation> {
  const receipts: ShownReceipt[] = [];
  for (const file of files.slice(0, 3)) receipts.push(...receiptsIn(await readEvidence(file)));
  const [first, second] = receipts;
  if (first === undefined || second === undefined || receipts.length > 2)
    throw new NoEquivocationError(
      'EQUIVOCATION_FILE_OTHER',
      `Expected two receipts, the files hold "${receipts.length}"`,
      'Give one file that holds both, or two that hold one each',
    );
  return equivocationOf(first, second);
}

async function readEvidence(file: string): Promise<unknown> {
  const problem = (text: string) => new EvidenceFileError(file, text);
  const { size } = await stat(file).catch((cause: NodeJS.ErrnoException) => {
    throw problem(cause.code === 'ENOENT' ? 'it does not exist' : `${cause.code}`);
  });
  if (size > maxFileBytes) throw problem(`it has more than ${maxFileBytes} bytes`);
  try {
    return JSON.parse(await readFile(file, 'utf8'));
  } catch {
    throw problem('it is no JSON');
  }
}

function caseText(slash: SlashCase): string {
  const { caseId, offence, operator, subject, amount, reporter } = slash;
  return [
    `Case ${caseId}: ${offenceWords[offence]}`,
    `  ${phaText(amount)} of operator ${operator}, ${offence === 'two-records' ? 'as a gatekeeper' : `worker ${subject}`}`,
    `  ${evidenceText(slash)}`,
    `  ${reporter === null ? 'reported by nobody who is paid for it' : `reported by ${reporter}`}`,
    `  ${stateText(slash)}`,
  ].join('\n');
}

function evidenceText({ evidence }: SlashCase): string {
  if (evidence === null) return 'what it rests on, the RPC does not list';
  if (evidence.kind === 'proof')
    return `proven on the chain: signer ${evidence.signer} signed ${evidence.digests[0]} and ${evidence.digests[1]}`;
  const at = new Date(Number(evidence.occurredAt) * 1_000).toISOString();
  return `judged by ${evidence.judge}, of ${at}, on the evidence ${evidence.evidence}`;
}

function stateText({ state, settleFrom }: SlashCase): string {
  const at = new Date(Number(settleFrom) * 1_000).toISOString();
  if (state === 'open')
    return `open: in escrow, can be vetoed until ${at}, and settled by anyone from then on (gatekeepers do it by themselves)`;
  if (state === 'settled') return 'settled: reporter and treasury are paid';
  return 'vetoed: what was taken went back';
}

export class EvidenceFileError extends CloisterError<'EVIDENCE_FILE_UNREADABLE'> {
  override readonly name = 'EvidenceFileError';
  constructor(file: string, problem: string) {
    super({
      code: 'EVIDENCE_FILE_UNREADABLE',
      message: `The file "${file}" can't be read: ${problem}`,
      hint: 'Give what a call kept when it noticed, or what "cloister call --proof FILE" wrote',
    });
  }
}
