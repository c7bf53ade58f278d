import { ChainAccount } from '@cloister/chain';
import type { Command } from 'commander';
import { addressValue, etherAmount } from '../optionValues.ts';
import { print } from '../output.ts';
import { type NetworkOptions, openAccount, openClient, SettingsError } from '../settings.ts';

type Options = NetworkOptions & { json?: boolean };

export function sendCommand(program: Command): void {
  program
    .command('send')
    .description("send the chain's own currency, which transactions are paid with: to an app's account, or a new key's")
    .argument('<address>', 'who gets it')
    .argument('<amount>', 'ether, such as 1 or 0.05')
    .action(async (to: string, amount: string, _: unknown, command: Command) => {
      const options = command.optsWithGlobals<Options>();
      const address = addressValue('address', to);
      const value = etherAmount('amount', amount);
      const { network } = await openClient(options);
      const account = await openAccount(options);
      const [rpc] = network.rpcs;
      if (rpc === undefined)
        throw new SettingsError('NO_NETWORK', 'The network file names no RPC', 'Give the file that npm start prints');
      const sender = new ChainAccount({ chainId: network.chainId, rpc, account });
      const { transactionHash, blockNumber } = await sender.send(
        address,
        '0x',
        `Sending to ${address}`,
        undefined,
        value,
      );
      print(
        options,
        { from: sender.address, to: address, wei: value, transaction: transactionHash, block: blockNumber },
        () => `Sent ${amount} ether to ${address}, block ${blockNumber}`,
      );
    });
}
