import {
  appTimelockAbi,
  appTimelockFactory,
  appTimelockFactoryAbi,
  ChainAccount,
  deployContract,
} from '@cloister/chain';
import { type Address, CloisterError, zeroBytes32 } from '@cloister/core';
import type { CloisterClient } from '@cloister/sdk';
import type { Command } from 'commander';
import { addressValue, idValue, wholeNumber } from '../optionValues.ts';
import { note, print } from '../output.ts';
import { type NetworkOptions, openAccount, openClient } from '../settings.ts';

type Options = NetworkOptions & { readonly json?: boolean };

/** What is done with an announced call, by the name of the contract's function. */
const acts = {
  execute: ['make an announced call whose time has come; anyone', 'made'],
  veto: ['refuse an announced call for good; a vetoer', 'refused'],
  cancel: ['take an announced call back; the timelock’s owner, or anyone once it has expired', 'taken back'],
} as const;

export function timelockCommands(program: Command): void {
  const group = program
    .command('timelock')
    .description(
      'contracts that own apps and announce every change: with notice, vetoers and any owner, such as a Safe',
    );

  group
    .command('create')
    .description('create one; then "cloister deploy --owner ADDRESS"')
    .requiredOption('--delay <seconds>', 'from an announcement until anyone may execute it, 60 s to 90 days')
    .option('--owner <address>', 'who announces: an account, a Safe (default: your account)')
    .option('--vetoer <address...>', 'who may refuse what is announced, at most 8')
    .option('--salt <id>', 'tells timelocks of the same terms apart')
    .action(async (_: unknown, command: Command) => {
      const options = command.optsWithGlobals<
        Options & {
          readonly delay: string;
          readonly owner?: string;
          readonly vetoer?: string[];
          readonly salt?: string;
        }
      >();
      const { client, account, rpc } = await open(options);
      const owner = options.owner === undefined ? account.address : addressValue('--owner', options.owner);
      const vetoers = (options.vetoer ?? []).map((vetoer) => addressValue('--vetoer', vetoer));
      const salt = options.salt === undefined ? zeroBytes32 : idValue('--salt', options.salt);
      const { appRegistry } = client.network.contracts;
      const delay = wholeNumber('--delay', options.delay);
      // It stands at one address on every chain, and whoever needs it first puts it there.
      const address = await deployContract(account, rpc, appTimelockFactory);
      const args = [appRegistry, owner, vetoers, delay, salt] as const;
      const factory = { address, abi: appTimelockFactoryAbi };
      await account.write({ ...factory, functionName: 'create', args });
      const read = { ...factory, functionName: 'addressOf', args } as const;
      const timelock = (await client.registry.view.read(read)).toLowerCase() as Address;
      print(options, { timelock, owner, vetoers, delaySeconds: delay }, () => `Timelock ${timelock}`);
      if (!options.json) note(`Deploy by it: cloister deploy --owner ${timelock}`);
    });

  for (const [name, [description, done]] of Object.entries(acts) as [
    keyof typeof acts,
    (typeof acts)[keyof typeof acts],
  ][])
    group
      .command(name)
      .description(description)
      .argument('<timelock>', 'its address')
      .argument('<number>', 'of the call, as "cloister versions" prints it')
      .action(async (timelock: string, number: string, _: unknown, command: Command) => {
        const options = command.optsWithGlobals<Options>();
        const address = addressValue('timelock', timelock);
        const { account } = await open(options);
        const args = [wholeNumber('number', number)] as const;
        await account.write({ address, abi: appTimelockAbi, functionName: name, args });
        print(options, { timelock: address, number: args[0], done: name }, () => `Call ${number} was ${done}`);
      });
}

async function open(options: Options): Promise<{ client: CloisterClient; account: ChainAccount; rpc: string }> {
  const client = await openClient(options);
  const { chainId, rpcs } = client.network;
  const [rpc] = rpcs;
  if (rpc === undefined) throw new TimelockCommandError();
  return { client, rpc, account: new ChainAccount({ chainId, rpc, account: await openAccount(options) }) };
}

export class TimelockCommandError extends CloisterError<'NO_RPC'> {
  override readonly name = 'TimelockCommandError';
  constructor() {
    super({ code: 'NO_RPC', message: 'The network file names no RPC' });
  }
}
