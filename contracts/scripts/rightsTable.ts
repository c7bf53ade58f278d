// Who may call what, of every contract: from the compiled contracts, and what of it is an act of governance from ActRules.
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { type Abi, type AbiFunction, type Hex, toFunctionSelector, toFunctionSignature } from 'viem';
import { contractsFolder } from './buildContracts.ts';
import { type CallerRule, callerRulesOf } from './callerRules.ts';
import { type Artifact, generatedContracts } from './generatedFiles.ts';

/** A caller that a function takes, and the error that refuses everybody else. */
export type Caller = CallerRule & { readonly who: string };

export type Right = {
  readonly contract: string;
  readonly function: string;
  readonly selector: Hex;
  /** All of them are checked. Empty: anyone, for itself. */
  readonly callers: readonly Caller[];
  /** What a proposal with this act takes, and how long it waits. */
  readonly act?: { readonly votes: 'quorum' | 'super quorum'; readonly waits: string };
};

/** Answers what ActRules says of a selector: whether it is dangerous, and the seconds that it waits. */
export type AskActRules = (selector: Hex) => Promise<readonly [boolean, bigint]>;

/** Who passes a check, by its error; of the timelock's roles by the modifier as well. */
const whoPasses: Readonly<Record<string, string>> = {
  'AccessControlUnauthorizedAccount onlyRole(CANCELLER_ROLE)': 'who has the canceller’s role: the Governor',
  'AccessControlUnauthorizedAccount onlyRole(PROPOSER_ROLE)': 'who has the proposer’s role: the Governor',
  'AccessControlUnauthorizedAccount onlyRole(getRoleAdmin(role))': 'the timelock itself',
  'AccessControlUnauthorizedAccount onlyRoleOrOpenRole(EXECUTOR_ROLE)':
    'who has the executor’s role: anyone on a network',
  AccessControlBadConfirmation: 'who has the role, of its own',
  AppRegistryCallerNotOwner: 'the app’s owner',
  AppRegistryCallerNotPendingOwner: 'who shall own the app',
  AppRegistryCallerNotVetoer: 'the serving version’s vetoer',
  AppTimelockCallerNotOwner: 'its owner',
  AppTimelockCallerNotSelf: 'itself, as announced',
  AppTimelockCallerNotVetoer: 'a vetoer',
  BridgeCallerNotRecipient: 'the message’s recipient',
  CloisterGovernorRelaysNothing: 'nobody',
  CreditLineForeignFile: 'whom the answer is about',
  DepositBondCallerNotSlasher: 'the slasher',
  ERC20InvalidReceiver: 'who receives',
  EmissionCallerNotRewards: 'EpochRewards',
  EmittedPhaCallerNotEmission: 'Emission',
  EpochRewardsCallerMayNotBlock: 'the guardian, the timelock',
  EpochRewardsCallerNotSelf: 'EpochRewards itself',
  GatekeeperCommitteeNotEligible: 'an eligible operator',
  GovernedCallerNotTimelock: 'the timelock',
  GovernorOnlyExecutor: 'the timelock, for a proposal of this Governor',
  GovernorRestrictedProposer: 'whom the description names, if it does',
  GovernorUnableToCancel: 'who proposed, before the vote; anyone 14 days after it could be executed',
  GuardedCallerMayNotStop: 'the guardian, the timelock',
  ImageRegistryCallerMayNotShorten: 'the guardian, the timelock',
  PaymentsCallerNotOperator: 'the channel’s operator',
  PaymentsCallerNotPayer: 'the channel’s payer',
  PaymentsPayerNotFunder: 'the channel’s payer',
  PhaRouteCallerMayNotCancel: 'the timelock; the guardian, while nothing was paid of what is no refund',
  PhaRouteCallerNotBridge: 'its bridge',
  PlatformAssuranceAuditedByOther: 'who audited it, while that runs',
  PlatformAssuranceCallerNotAuditor: 'an elected auditor',
  PlatformAssuranceCallerNotOperator: 'the worker’s operator',
  PlatformAssuranceCallerNotOwner: 'the named owner',
  PoolVotesNotEntitled: 'whose stake it is, or whom that one let vote',
  PoolVotesTreasury: 'anyone but the timelock',
  RemoteCommitteeNotSignedByMembers: 'anyone with the members’ proof; the timelock without',
  RemotePhaCallerNotRoute: 'its route',
  SlashingCallerMayNotVeto: 'the timelock; the guardian, of judged faults',
  SlashingCallerNotJudge: 'an elected judge',
  SponsorshipCallerNotClient: 'the client, the sponsor',
  SponsorshipCallerNotSponsor: 'the sponsor',
  StakePoolsCallerNotHolder: 'who holds the seizure: Slashing',
  StakePoolsCallerNotOwner: 'who asked back',
  StakePoolsCallerNotWorkerBonds: 'WorkerBonds',
  StorageRentCallerNotPayer: 'who paid',
  TimelockUnauthorizedCaller: 'the timelock itself',
  WorkMeterCallerNotOperator: 'the worker’s operator',
  WorkerBondsCallerNotMeasurer: 'the measurer: WorkMeter',
  WorkerBondsCallerNotOperator: 'the worker’s operator',
  WorkerBondsCallerNotSlashing: 'Slashing',
  WorkerRegistryCallerNotOperator: 'the worker’s operator',
};

const day = 86_400n;

/** Of every function that writes, in the order of the contracts' names and signatures. */
export async function rightsTable(ask: AskActRules, longestExit: bigint): Promise<Right[]> {
  const waiting = new Map<bigint, string>([
    [2n * day, '2 days'],
    [7n * day, '7 days'],
    [longestExit + day, 'the longest way out of stake and a day'],
  ]);
  const rights: Right[] = [];
  for (const [source, contract] of generatedContracts) {
    const path = join(contractsFolder, 'artifacts', source, `${contract}.json`);
    const artifact = JSON.parse(await readFile(path, 'utf8')) as Artifact;
    if (artifact.bytecode === '0x') continue;
    for (const item of writesOf(artifact.abi)) {
      const rules = await callerRulesOf(artifact, contract, item);
      const callers = rules.map((rule) => ({ who: whoOf(rule, `${contract}.${item.name}`), ...rule }));
      const selector = toFunctionSelector(item);
      const right = { contract, function: toFunctionSignature(item), selector, callers };
      if (
        !callers.some(({ who }) => /\bthe timelock\b/.test(who)) ||
        callers.some(({ error }) => error === 'PoolVotesTreasury')
      ) {
        rights.push(right);
        continue;
      }
      const [dangerous, delay] = await ask(selector);
      const waits = waiting.get(delay);
      if (waits === undefined) throw new Error(`Expected one of the known delays of "${selector}", got "${delay}"`);
      rights.push({ ...right, act: { votes: dangerous ? 'super quorum' : 'quorum', waits } });
    }
  }
  const key = (right: Right) => `${right.contract}.${right.function}`;
  return rights.sort((a, b) => (key(a) < key(b) ? -1 : 1));
}

export function writesOf(abi: Abi): readonly AbiFunction[] {
  return abi.flatMap((item) =>
    item.type === 'function' && item.stateMutability !== 'view' && item.stateMutability !== 'pure' ? [item] : [],
  );
}

function whoOf({ error, modifier }: CallerRule, name: string): string {
  const who = whoPasses[`${error} ${modifier}`] ?? whoPasses[error];
  if (who === undefined)
    throw new Error(
      `Expected to know who passes the check of "${name}" by "${error}"; say so in scripts/rightsTable.ts`,
    );
  return who;
}

/** The list as a page shows it. */
export function rightsMarkdown(rights: readonly Right[]): string {
  const lines: string[] = [];
  for (const contract of [...new Set(rights.map((right) => right.contract))]) {
    const own = rights.filter((right) => right.contract === contract);
    const held = own.filter(({ callers }) => callers.length > 0);
    const open = own.filter(({ callers }) => callers.length === 0).map((right) => `\`${nameOf(right)}\``);
    lines.push('', `### ${contract}`, '');
    if (held.length > 0)
      lines.push('| function | who | everybody else gets | as an act of governance |', '|---|---|---|---|');
    for (const right of held) {
      const who = right.callers.map((caller) => caller.who).join('; ');
      const errors = right.callers.map(({ error }) => `\`${error}\``).join(', ');
      const act = right.act === undefined ? '–' : `${right.act.votes}, ${right.act.waits}`;
      lines.push(`| \`${nameOf(right)}\` | ${who} | ${errors} | ${act} |`);
    }
    if (held.length > 0 && open.length > 0) lines.push('');
    if (open.length > 0) lines.push(`Anyone, for itself: ${open.join(', ')}.`);
  }
  return lines.join('\n').trim();
}

function nameOf(right: Right): string {
  return right.function.replace(/\(.*/, '');
}
