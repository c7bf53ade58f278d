import { zeroAddress } from '@cloister/core';
import type { ChannelBalance, Reconciliation } from '@cloister/sdk';
import type { Command } from 'commander';
import { resolveApp } from '../appName.ts';
import { phaAmount, phaText } from '../optionValues.ts';
import { print } from '../output.ts';
import { openPayer } from '../payerFile.ts';
import { type NetworkOptions, openAccount, openClient } from '../settings.ts';

type Options = NetworkOptions & { json?: boolean };

export function paymentCommands(program: Command): void {
  program
    .command('quote')
    .description('what a call of an app costs: its prices, and the most that one call can come to')
    .argument('<app>', 'app id, or name if it is yours')
    .action(async (app: string, _: unknown, command: Command) => {
      const options = command.optsWithGlobals<Options>();
      const client = await openClient(options);
      const id = await resolveApp(app, options);
      const { manifest } = await client.app(id);
      const highestFee = await client.quote(id);
      print(options, { app: id, price: manifest.price, highestFee }, () => {
        const { perCall, perCpuMs, perGiBSecond, perOutputKiB, failedCalls } = manifest.price;
        const { perInputToken = '0', perOutputToken = '0' } = manifest.price;
        if (highestFee === 0n) return 'Calls are free.';
        return [
          `At most ${phaText(highestFee)} a call, and not more than what is measured:`,
          `  ${phaText(BigInt(perCall))} a call, ${phaText(BigInt(perCpuMs))} a millisecond of the processor,`,
          `  ${phaText(BigInt(perGiBSecond))} a GiB and second of memory, ${phaText(BigInt(perOutputKiB))} a KiB of the answer`,
          ...(manifest.kind === 'model'
            ? [`  ${phaText(BigInt(perInputToken))} a token read, ${phaText(BigInt(perOutputToken))} a token written`]
            : []),
          `  calls that fail are ${failedCalls === 'free' ? 'free' : 'charged like others'}`,
        ].join('\n');
      });
    });

  program
    .command('fund')
    .description('deposit PHA for calls of an app, in one transaction for all operators of its workers')
    .argument('<app>', 'app id, or name if it is yours')
    .argument('<amount>', 'PHA in all, such as 10 or 0.5')
    .action(async (app: string, amount: string, _: unknown, command: Command) => {
      const options = command.optsWithGlobals<Options>();
      const value = phaAmount('amount', amount);
      const id = await resolveApp(app, options);
      const account = await openAccount(options);
      const { payer, release } = await openPayer(options);
      try {
        const client = await openClient(options, payer);
        const funded = await client.payments.fund(id, value, { account });
        print(
          options,
          funded.map(({ id: channel, channel: parties, amount: part }) => ({ channel, ...parties, amount: part })),
          () =>
            [
              `Deposited ${phaText(value)} for ${funded.length} ${funded.length === 1 ? 'operator' : 'operators'}:`,
              ...funded.map(
                ({ id: channel, channel: { operator }, amount: part }) =>
                  `  ${phaText(part)} for ${operator}, channel ${channel.slice(0, 10)}`,
              ),
              'Calls need no further transaction; "cloister withdraw" brings back what is left.',
            ].join('\n'),
        );
      } finally {
        release();
      }
    });

  program
    .command('balance')
    .description('your PHA, and what is deposited, promised and spent in each channel')
    .action(async (_: unknown, command: Command) => {
      const options = command.optsWithGlobals<Options>();
      const account = await openAccount(options);
      const { payer, release } = await openPayer(options);
      try {
        const client = await openClient(options, payer);
        const [pha, channels] = await Promise.all([
          client.payments.reader.phaOf(account.address),
          client.payments.channels(account.address),
        ]);
        print(options, { account: account.address, pha, channels }, () =>
          [`${phaText(pha)} on account ${account.address}`, ...channels.map(channelLine)].join('\n'),
        );
      } finally {
        release();
      }
    });

  program
    .command('history')
    .description('what calls from this folder have cost, by their receipts')
    .action(async (_: unknown, command: Command) => {
      const options = command.optsWithGlobals<Options>();
      const { payer, release } = await openPayer(options);
      try {
        const client = await openClient(options, payer);
        const charges = await client.payments.history();
        print(options, charges, () =>
          charges.length === 0
            ? 'No call was charged.'
            : charges
                .map(
                  ({ atMs, app, workerId, sequence, fee }) =>
                    `${new Date(atMs).toISOString()}  ${phaText(fee)}  app ${app.slice(0, 10)}  worker ${workerId.slice(0, 10)}  receipt ${sequence}`,
                )
                .join('\n'),
        );
      } finally {
        release();
      }
    });

  program
    .command('reconcile')
    .description('add up every unit of PHA: what was issued, what each contract owes and has, who got the fees')
    .addHelpText('after', '\nExit code: 0 all of it adds up, 3 it does not, 1 it could not be read.')
    .action(async (_: unknown, command: Command) => {
      const options = command.optsWithGlobals<Options>();
      const books = await (await openClient(options)).reconcile();
      print(options, books, () => reconciliationText(books));
      process.exitCode = books.holds ? 0 : 3;
    });

  program
    .command('withdraw')
    .description('ask back all that is left in your channels; after the delay, run it again to be paid')
    .action(async (_: unknown, command: Command) => {
      const options = command.optsWithGlobals<Options>();
      const account = await openAccount(options);
      const client = await openClient(options);
      const steps = await client.payments.withdraw({ account });
      print(options, steps, () =>
        steps.length === 0
          ? 'No channel has anything to withdraw.'
          : steps
              .map(({ id, step, until }) => {
                const time = new Date(Number(until) * 1000).toISOString();
                if (step === 'paid') return `Channel ${id.slice(0, 10)}: paid, and closed`;
                return `Channel ${id.slice(0, 10)}: ${step === 'asked' ? 'asked back' : 'asked back before'}, payable from ${time}`;
              })
              .join('\n'),
      );
    });
}

function reconciliationText({ block, supply, custody, fees, holds }: Reconciliation): string {
  const mark = (ok: boolean) => (ok ? '✓' : '✗');
  const { workers, treasury, gatekeepers } = supply.emitted;
  return [
    `As of block ${block}`,
    `${mark(supply.holds)} ${phaText(supply.total)} in all: ${phaText(supply.genesis)} at genesis, ${phaText(workers)} emitted to workers, ${phaText(treasury)} to the treasury, ${phaText(gatekeepers)} to gatekeepers, ${phaText(supply.burnt)} burnt, ${phaText(supply.outstanding)} on other chains`,
    ...custody.map(({ name, balance, owed, surplus, holds: ok }) => {
      const parts = Object.entries(owed).map(([what, amount]) => `${phaText(amount)} ${what}`);
      return `${mark(ok)} ${name} has ${phaText(balance)}: ${parts.join(', ')}${surplus === 0n ? '' : `, ${phaText(surplus)} of nobody`}`;
    }),
    `${mark(fees.holds)} ${phaText(fees.claimed)} of fees claimed: ${phaText(fees.operators)} for operators, ${phaText(fees.gateways)} for gateways, ${phaText(fees.gatekeepers)} for gatekeepers, ${phaText(fees.treasury)} for the treasury, ${phaText(fees.undistributed)} not split yet`,
    holds ? 'Every unit is with somebody.' : 'IT DOES NOT ADD UP.',
  ].join('\n');
}

function channelLine({ id, channel, onChain, isOurs, promised, spent, unknown }: ChannelBalance): string {
  const state = onChain.closed ? 'closed' : onChain.isClosing ? 'closing' : 'open';
  const parts = [
    `${phaText(onChain.deposited)} deposited`,
    `${phaText(onChain.claimed)} claimed`,
    ...(isOurs ? [`${phaText(spent)} spent by receipts`, `${phaText(promised)} promised`] : ['signed by another key']),
    ...(unknown > 0n ? [`${phaText(unknown)} of calls without a receipt`] : []),
  ];
  const by = channel.gateway === zeroAddress ? '' : `, by gateway ${channel.gateway.slice(0, 10)}`;
  return `  channel ${id.slice(0, 10)} (${state}) for operator ${channel.operator}${by}: ${parts.join(', ')}`;
}
