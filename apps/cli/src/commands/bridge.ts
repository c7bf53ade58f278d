import { readFile } from 'node:fs/promises';
import { describeError } from '@cloister/core';
import { BridgeCarrier, type BridgeTransfer } from '@cloister/sdk';
import type { Command } from 'commander';
import { addressValue, idValue, phaAmount, phaText, wholeNumber } from '../optionValues.ts';
import { note, print } from '../output.ts';
import { findNetworkFile, type NetworkOptions, openAccount, openClient } from '../settings.ts';

type Options = NetworkOptions & { json?: boolean; to?: string; chain?: string; once?: boolean };

/** PHA on its way to another chain and back, and carrying what the gatekeepers signed. */
export function bridgeCommands(program: Command): void {
  const bridge = program.command('bridge').description('PHA to another chain and back, and how far each transfer is');

  const sending = (name: 'send' | 'back', description: string) =>
    bridge
      .command(name)
      .description(description)
      .argument('<amount>', 'of PHA, 1 or more')
      .option('--to <address>', 'who gets it there (default: your own account)')
      .option('--chain <id>', 'the other chain, where there are several links')
      .action(async (text: string, _: unknown, command: Command) => {
        const options = command.optsWithGlobals<Options>();
        const amount = phaAmount('amount', text);
        const to = options.to === undefined ? {} : { to: addressValue('--to', options.to) };
        const chain = options.chain === undefined ? {} : { chain: wholeNumber('--chain', options.chain) };
        const account = await openAccount(options);
        const { bridges } = await openClient(options);
        const sent = await bridges[name]({ amount, account, ...to, ...chain });
        print(options, sent, () => transferText(sent));
        if (!options.json) note(`"cloister bridge status ${sent.id}" shows how far it is.`);
      });
  sending('send', 'send PHA to another chain: it is burnt here and minted there once the gatekeepers have signed');
  sending('back', 'bring PHA back from another chain');

  bridge
    .command('status')
    .description('how far a transfer is, and what comes next')
    .argument('<id>', 'as "send" and "back" answer it')
    .action(async (text: string, _: unknown, command: Command) => {
      const options = command.optsWithGlobals<Options>();
      const found = await (await openClient(options)).bridges.transfer(idValue('id', text));
      print(options, found, () => transferText(found));
    });

  bridge
    .command('list')
    .description("an account's transfers, out and back, the newest last")
    .argument('[account]', 'address (default: yours)')
    .action(async (text: string | undefined, _: unknown, command: Command) => {
      const options = command.optsWithGlobals<Options>();
      const own = text === undefined ? (await openAccount(options)).address : text;
      const found = await (await openClient(options)).bridges.transfers(addressValue('account', own));
      print(options, found, () => (found.length === 0 ? 'Nothing was sent' : found.map(transferText).join('\n')));
    });

  bridge
    .command('carry')
    .description(
      'bring what the gatekeepers signed from chain to chain, for everybody; your account pays for gas on both',
    )
    .option('--once', 'one look, and all that can be carried now')
    .action(async (_: unknown, command: Command) => {
      const options = command.optsWithGlobals<Options>();
      const account = await openAccount(options);
      const client = await openClient(options);
      // Says that there is none.
      if (client.network.bridges === undefined) client.bridges.chains();
      const stopping = new AbortController();
      for (const name of ['SIGINT', 'SIGTERM'] as const) process.once(name, () => stopping.abort());
      let lastTrouble = '';
      const carrier = new BridgeCarrier({
        network: await readFile(findNetworkFile(options)),
        account,
        onCarried: (done) =>
          print(options, done, () => `${done.what} on the ${done.on} chain${done.id === null ? '' : `: ${done.id}`}`),
        onTrouble: (error) => {
          const trouble = describeError(error);
          if (trouble !== lastTrouble) note(`waiting: ${trouble}`);
          lastTrouble = trouble;
        },
      });
      if (options.once) {
        const carried = await carrier.carry(stopping.signal);
        if (!options.json && carried === 0) note('Nothing could be carried now.');
        return;
      }
      if (!options.json) note('Carrying until Ctrl-C; it can be stopped and started at any time.');
      await carrier.run(stopping.signal);
    });
}

function transferText({ id, chain, direction, number, sender, pha, progress }: BridgeTransfer): string {
  const way = direction === 'out' ? `to chain ${chain}` : `from chain ${chain}`;
  const what =
    pha === undefined ? `Message ${number} of ${sender} ${way}` : `${phaText(pha.amount)} ${way} for ${pha.to}`;
  return `${what}\n  ${id}\n  ${progressText(progress)}`;
}

function progressText(progress: BridgeTransfer['progress']): string {
  const at = (seconds: bigint) => new Date(Number(seconds) * 1_000).toISOString();
  switch (progress.step) {
    case 'sent':
      return `sent: final in ${progress.finalInBlocks} blocks at the most, as finality moves on`;
    case 'final':
      return `final: signed by ${progress.signed} of the ${progress.needed} gatekeepers that it takes${progress.earlier > 0n ? `; ${progress.earlier} earlier of its sender come first` : progress.signed >= progress.needed ? '; anybody can carry it ("cloister bridge carry")' : ''}`;
    case 'delivered':
      return 'delivered';
    case 'delayed':
      return `arrived, and large: ${phaText(progress.left)} are paid from ${at(progress.until)} on, unless the guardian sends it back`;
    case 'waiting':
      return `arrived: ${phaText(progress.left)} wait for room under the limits, which is ${phaText(progress.payableNow)} now`;
    case 'failed':
      return `its recipient failed: tried again until ${at(progress.until)}, then given back`;
    case 'expired':
      return 'expired on its way: void as soon as somebody carries it there, then given back';
    case 'void':
      return `void at its destination: ${progress.signed} of the ${progress.needed} gatekeepers that it takes have signed for the refund`;
    case 'refunded':
      return 'refunded to its sender';
    case 'refund delayed':
      return `coming back, and large: ${phaText(progress.left)} are paid from ${at(progress.until)} on`;
    case 'refund waiting':
      return `coming back: ${phaText(progress.left)} wait for room under the limits, which is ${phaText(progress.payableNow)} now`;
  }
}
