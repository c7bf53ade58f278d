import { readFile } from 'node:fs/promises';
import { allowImageCall, revokeImageCall } from '@cloister/chain';
import type { Address } from '@cloister/core';
import {
  describeProposal,
  type Governance,
  openGovernance,
  type ProposedCall,
  proposalIdText,
  readCall,
  readProposalFile,
  type ShownProposal,
  type Support,
  type VoteAmounts,
} from '@cloister/sdk';
import type { Command } from 'commander';
import { addressValue, idValue, OptionValueError, phaAmount, phaText, wholeNumber } from '../optionValues.ts';
import { print } from '../output.ts';
import { type NetworkOptions, openAccount, openClient } from '../settings.ts';
import { effectText, proposalLine, proposalText, rulesText } from './governText.ts';

type Options = NetworkOptions & { json?: boolean };
type CallOptions = { call?: string[]; file?: string; allowImage?: string[]; label?: string; revokeImage?: string[] };

/** Proposals, votes, and what becomes of them. */
export function governCommands(program: Command): void {
  const govern = program
    .command('govern')
    .description('what the holders of PHA decide: proposals, their effect, and votes');

  govern
    .command('list')
    .description('the proposals, newest first')
    .option('--limit <n>', 'how many, at most 256', '20')
    .action(async (_: unknown, command: Command) => {
      const options = command.optsWithGlobals<Options & { limit: string }>();
      const limit = wholeNumber('--limit', options.limit);
      if (limit < 1 || limit > 256) throw new OptionValueError('--limit', options.limit, '1 to 256');
      const governance = await open(options);
      const proposals = await governance.list(limit);
      const now = await nowOf(governance);
      print(options, proposals.map(plain), () =>
        proposals.length === 0 ? 'Nothing was proposed yet' : proposals.map((one) => proposalLine(one, now)).join('\n'),
      );
    });

  govern
    .command('show')
    .description('a proposal: its calls, votes, times, and what comes next')
    .argument('<proposal>', 'its id, or the beginning of it')
    .action(async (text: string, _: unknown, command: Command) => {
      const options = command.optsWithGlobals<Options>();
      const governance = await open(options);
      const proposal = await governance.show(await idOf(governance, text));
      const rules = await rulesOf(governance, proposal);
      const now = await nowOf(governance);
      print(options, { ...plain(proposal), rules }, () => proposalText(proposal, rules, now));
    });

  govern
    .command('rules')
    .description('what voting goes by, and who else may propose')
    .action(async (_: unknown, command: Command) => {
      const options = command.optsWithGlobals<Options>();
      const rules = await (await open(options)).rules();
      print(options, rules, () => rulesText(rules));
    });

  withCalls(
    govern
      .command('preview')
      .description(
        'what a proposal, or calls that could become one, would change: made on a fork at the time of their execution',
      )
      .argument('[proposal]', 'its id, or the beginning of it'),
  ).action(async (text: string | undefined, given: CallOptions, command: Command) => {
    const options = command.optsWithGlobals<Options>();
    const governance = await open(options);
    const subject =
      text === undefined ? (await callsOf(governance, options, given)).calls : await idOf(governance, text);
    const effect = await governance.preview(subject);
    const now = await nowOf(governance);
    print(options, effect, () => effectText(effect, now));
    if (!effect.ok) process.exitCode = 1;
  });

  proposeCommand(govern);
  voteCommands(govern);
  stepCommands(govern);
}

function proposeCommand(govern: Command): void {
  withCalls(
    govern
      .command('propose')
      .description(
        'propose calls of the timelock, by your PHA or your stake; each takes what "cloister govern preview" says',
      ),
  )
    .option('--title <text>', 'first line of the description')
    .option('--text <text>', 'the rest of it: why')
    .addHelpText(
      'after',
      `
  cloister govern propose --title 'Cheaper storage' --call 'storageRent.setPrice(1000)'
  cloister govern propose --file proposal.json     {"title":"…","description":"…","calls":["storageRent.setPrice(1000)",{"target":"0x…","data":"0x…"}]}`,
    )
    .action(async (given: CallOptions & { title?: string; text?: string }, command: Command) => {
      const options = command.optsWithGlobals<Options>();
      const governance = await open(options);
      const { calls, description } = await callsOf(governance, options, given);
      const text = given.title === undefined ? description : describeProposal(given.title, given.text);
      if (text === undefined) throw new OptionValueError('--title', '', 'a title that says what it is for');
      const account = await openAccount(options);
      const proposal = await governance.propose(calls, text, { account });
      const rules = await rulesOf(governance, proposal);
      const now = await nowOf(governance);
      print(options, { ...plain(proposal), rules }, () => proposalText(proposal, rules, now));
    });
}

function voteCommands(govern: Command): void {
  govern
    .command('vote')
    .description('cast your votes: of PHA delegated to you, of your stake and of stake that others let you cast')
    .argument('<proposal>', 'its id, or the beginning of it')
    .argument('[side]', 'for, against or abstain: all that you have left')
    .option('--for <amount>', 'only so many votes, in PHA; the rest can be cast later')
    .option('--against <amount>', 'the same')
    .option('--abstain <amount>', 'the same')
    .option('--reason <text>', 'why, for everybody to read')
    .action(async (text: string, side: string | undefined, given: VoteOptions, command: Command) => {
      const options = command.optsWithGlobals<Options>();
      const choice = choiceOf(side, given);
      const account = await openAccount(options);
      const governance = await open(options);
      const id = await idOf(governance, text);
      const cast = await governance.vote(id, choice, { account, reason: given.reason ?? '' });
      print(options, { proposal: proposalIdText(id), ...cast }, () => {
        const left = cast.left === 0n ? '' : `; ${phaText(cast.left)} are left`;
        return `Cast ${phaText(cast.votes)}${cast.casts.length > 1 ? ` in ${cast.casts.length} transactions` : ''}${left}`;
      });
    });

  govern
    .command('delegate')
    .description(
      'let an account vote with your PHA and your stake; without one, yourself: PHA that nobody delegated votes nowhere',
    )
    .argument('[account]', 'who votes for you (default: you)')
    .option('--pha', 'only for PHA outside of pools')
    .option('--stake', 'only for your stake, in all pools')
    .action(async (voter: string | undefined, given: { pha?: boolean; stake?: boolean }, command: Command) => {
      const options = command.optsWithGlobals<Options>();
      const named = voter === undefined ? undefined : addressValue('account', voter);
      const account = await openAccount(options);
      const mine = account.address.toLowerCase() as Address;
      const governance = await open(options);
      const both = given.pha !== true && given.stake !== true;
      const what = { pha: both || given.pha === true, stake: both || given.stake === true };
      const delegates = await governance.delegate(named ?? mine, what, { account });
      const whom = (one: Address | null) => (one === null ? 'nobody' : one === mine ? 'you' : one);
      print(
        options,
        delegates,
        () =>
          `Your PHA is voted by ${whom(delegates.pha)}, your stake by ${whom(delegates.stake)}; it counts for proposals whose vote has not begun`,
      );
    });
}

function stepCommands(govern: Command): void {
  const steps = {
    queue: 'hand an accepted proposal to the timelock, where its delay begins. Anyone may',
    execute: 'execute a proposal whose delay is over. Anyone may',
    cancel:
      'withdraw a proposal of yours before its vote, or cancel one that was queued and not executed for 14 days. That anyone may',
  } as const;
  for (const [name, description] of Object.entries(steps))
    govern
      .command(name)
      .description(description)
      .argument('<proposal>', 'its id, or the beginning of it')
      .action(async (text: string, _: unknown, command: Command) => {
        const options = command.optsWithGlobals<Options>();
        const account = await openAccount(options);
        const governance = await open(options);
        const id = await idOf(governance, text);
        const proposal = await governance[name as keyof typeof steps](id, { account });
        const now = await nowOf(governance);
        print(options, plain(proposal), () => proposalLine(proposal, now));
      });
}

function withCalls(command: Command): Command {
  return command
    .option('--call <call...>', 'a call of the timelock, such as storageRent.setPrice(1000); several are made together')
    .option(
      '--file <file>',
      'JSON: {"title","description","calls"}, or a list of calls, as "cloister image --call-json" prints it',
    )
    .option('--allow-image <id...>', 'workers of this image may register')
    .option('--label <text>', 'what it is, with --allow-image', 'worker')
    .option('--revoke-image <id...>', 'workers of this image may no longer register');
}

/** The calls of all options together, and the description of a file. Throws OPTION_VALUE_INVALID, SchemaError, GovernanceError. */
async function callsOf(
  governance: Governance,
  options: Options,
  { call = [], file, allowImage = [], label = 'worker', revokeImage = [] }: CallOptions,
): Promise<{ readonly calls: readonly ProposedCall[]; readonly description?: string }> {
  const contracts = await governance.contracts();
  const { imageRegistry } = (await openClient(options)).network.contracts;
  const written = file === undefined ? undefined : readProposalFile(await readJson(file), contracts);
  const calls = [
    ...(written?.calls ?? []),
    ...call.map((text) => readCall(text, contracts)),
    ...allowImage.map((id) => ({ ...allowImageCall(imageRegistry, idValue('--allow-image', id), label), value: 0n })),
    ...revokeImage.map((id) => ({ ...revokeImageCall(imageRegistry, idValue('--revoke-image', id)), value: 0n })),
  ];
  if (calls.length === 0)
    throw new OptionValueError('--call', '', "a call such as 'storageRent.setPrice(1000)', or --file or --allow-image");
  return { calls, ...(written?.description !== undefined && { description: written.description }) };
}

const maxFileBytes = 1_000_000;

async function readJson(file: string): Promise<unknown> {
  const bytes = await readFile(file).catch((cause: NodeJS.ErrnoException) => {
    throw new OptionValueError('--file', file, `a file that can be read (${cause.code})`);
  });
  if (bytes.length > maxFileBytes)
    throw new OptionValueError('--file', file, `a file of at most ${maxFileBytes} bytes`);
  try {
    return JSON.parse(bytes.toString('utf8'));
  } catch {
    throw new OptionValueError('--file', file, 'a file with JSON');
  }
}

type VoteOptions = { for?: string; against?: string; abstain?: string; reason?: string };

function choiceOf(side: string | undefined, given: VoteOptions): Support | VoteAmounts {
  const parts = (['against', 'for', 'abstain'] as const).filter((one) => given[one] !== undefined);
  if (side !== undefined && parts.length === 0) {
    if (side === 'for' || side === 'against' || side === 'abstain') return side;
    throw new OptionValueError('side', side, 'for, against or abstain');
  }
  if (side !== undefined || parts.length === 0)
    throw new OptionValueError(
      'side',
      side ?? '',
      'for, against or abstain; or amounts by --for, --against, --abstain',
    );
  const amount = (one: Support) => (given[one] === undefined ? 0n : phaAmount(`--${one}`, given[one]));
  return { against: amount('against'), for: amount('for'), abstain: amount('abstain') };
}

/** What each call of a proposal asks for. */
async function rulesOf(governance: Governance, { calls }: Pick<ShownProposal, 'calls'>) {
  const acts = await Promise.all(calls.map((call) => governance.ruleOf(call)));
  return acts.flatMap((act) => ('refusal' in act ? [] : [act]));
}

async function open(options: Options): Promise<Governance> {
  return openGovernance(await openClient(options));
}

function idOf(governance: Governance, text: string): Promise<bigint> {
  if (!/^0x[0-9a-fA-F]{6,64}$/.test(text))
    throw new OptionValueError('proposal', text, 'an id, or its first six digits or more');
  return governance.idStartingWith(text);
}

async function nowOf(governance: Governance): Promise<bigint> {
  const { view } = governance.reader;
  return (view.latest ?? (await view.head())).timestamp;
}

/** With its id as everything else takes it. */
function plain(proposal: ShownProposal) {
  return { ...proposal, id: proposalIdText(proposal.id) };
}
