import type { StorageQuote, StorageStatus } from '@cloister/sdk';
import type { Command } from 'commander';
import { resolveApp } from '../appName.ts';
import { addressValue, byteCount, idValue, phaText, wholeNumber } from '../optionValues.ts';
import { note, print } from '../output.ts';
import { type NetworkOptions, openAccount, openClient } from '../settings.ts';

type Options = NetworkOptions & {
  json?: boolean;
  from?: string;
  gateway?: string[];
  payee?: string;
  blob?: string[];
  release?: boolean;
};

export function storageCommands(program: Command): void {
  const storage = program
    .command('storage')
    .description('bytes that gateways keep for an app, paid in advance by epoch');

  storage
    .command('quote')
    .description('what so many bytes for so many epochs cost, at each gateway that could keep them')
    .argument('<size>', 'at each gateway, such as 512MiB or 2GiB; at least 1MiB')
    .argument('<epochs>', 'how many')
    .option('--gateway <url...>', 'only these gateways')
    .action(async (size: string, epochs: string, _: unknown, command: Command) => {
      const options = command.optsWithGlobals<Options>();
      const client = await openClient(options);
      const quote = await client.storage.quote(wantedOf(size, epochs, options));
      print(options, quote, () => quoteLines(quote).join('\n'));
    });

  storage
    .command('pay')
    .description('pay for an app at every gateway, in one transaction; more bytes or epochs are another payment')
    .argument('<app>', 'app id, or name if it is yours')
    .argument('<size>', 'at each gateway, such as 512MiB or 2GiB; at least 1MiB')
    .argument('<epochs>', 'how many')
    .option('--from <epoch>', 'first epoch (default: the one of now)')
    .option('--gateway <url...>', 'only these gateways')
    .action(async (app: string, size: string, epochs: string, _: unknown, command: Command) => {
      const options = command.optsWithGlobals<Options>();
      const [id, client, account] = [
        await resolveApp(app, options),
        await openClient(options),
        await openAccount(options),
      ];
      const quote = await client.storage.quote(wantedOf(size, epochs, options));
      const from = options.from === undefined ? {} : { fromEpoch: wholeNumber('--from', options.from) };
      const rentals = await client.storage.prepay(id, quote, { account, ...from });
      // Whoever pays for somebody else's app can't speak for it.
      const isOwner = (await client.registry.appOwner(id)) === account.address.toLowerCase();
      // It is paid: what is left can be said again.
      const claimed = isOwner ? await client.storage.claimServing(id, { account }).catch(() => []) : [];
      print(options, { app: id, ...quote, rentals, claimed }, () =>
        [`Paid ${phaText(quote.sum)} for app ${id}:`, ...rentals.map(rentalLine)].join('\n'),
      );
      if (!options.json && !claimed.some(({ failed }) => failed === undefined))
        note('No gateway knows yet what of it is the app’s: its owner says so with "cloister storage claim".');
      if (!options.json) note('"cloister storage cancel" brings back what later epochs would cost.');
    });

  storage
    .command('show')
    .description('what is paid for an app, and what each gateway keeps of it')
    .argument('<app>', 'app id, or name if it is yours')
    .action(async (app: string, _: unknown, command: Command) => {
      const options = command.optsWithGlobals<Options>();
      const id = await resolveApp(app, options);
      const status = await (await openClient(options)).storage.status(id);
      print(options, { app: id, ...status }, () => statusLines(status).join('\n'));
    });

  storage
    .command('claim')
    .description('tell the gateways which blobs are yours: what your app serves now, or those named')
    .argument('<app>', 'app id, or name; yours')
    .option('--blob <id...>', 'sha256 of each')
    .option('--release', 'the named blobs are no longer to be kept')
    .action(async (app: string, _: unknown, command: Command) => {
      const options = command.optsWithGlobals<Options>();
      const [id, client, account] = [
        await resolveApp(app, options),
        await openClient(options),
        await openAccount(options),
      ];
      const blobs = (options.blob ?? []).map((blob) => idValue('--blob', blob));
      const keep = !options.release;
      const done =
        blobs.length === 0 && keep
          ? await client.storage.claimServing(id, { account })
          : await client.storage.claim(id, blobs, { account, keep });
      print(options, { app: id, gateways: done }, () =>
        done
          .flatMap(({ url, blobs: kept, failed }) =>
            failed === undefined
              ? Object.entries(kept).map(([blob, as]) => `${url} keeps ${blob.slice(0, 10)}: ${as}`)
              : [`${url}: ${failed}`],
          )
          .join('\n'),
      );
    });

  storage
    .command('cancel')
    .description('end what you paid for an app, from the next epoch on, and get the rest back')
    .argument('<app>', 'app id, or name if it is yours')
    .action(async (app: string, _: unknown, command: Command) => {
      const options = command.optsWithGlobals<Options>();
      const id = await resolveApp(app, options);
      const account = await openAccount(options);
      const cancelled = await (await openClient(options)).storage.cancel(id, { account });
      print(options, cancelled, () =>
        cancelled.length === 0
          ? 'Nothing of what you paid for it is left.'
          : cancelled.map(({ id: rental, refund }) => `Rental ${rental}: ${phaText(refund)} came back`).join('\n'),
      );
    });

  storage
    .command('collect')
    .description('have paid out what your gateway earned by storage in past epochs')
    .option('--payee <address>', 'the account that the gateway names (default: yours); it is paid')
    .action(async (_: unknown, command: Command) => {
      const options = command.optsWithGlobals<Options>();
      const account = await openAccount(options);
      const payee = options.payee === undefined ? {} : { gateway: addressValue('--payee', options.payee) };
      const collected = await (await openClient(options)).storage.collect({ account, ...payee });
      print(options, collected, () =>
        collected.length === 0
          ? 'Nothing was earned since.'
          : collected.map(({ id, amount }) => `Rental ${id}: ${phaText(amount)}`).join('\n'),
      );
    });
}

function wantedOf(size: string, epochs: string, { gateway: gateways }: Options) {
  const wanted = { bytes: byteCount('size', size), epochs: wholeNumber('epochs', epochs) };
  return { ...wanted, ...(gateways && { gateways }) };
}

function quoteLines({ bytes, epochs, pricePerEpoch, offers, sum }: StorageQuote): string[] {
  return [
    `${bytes} bytes cost ${phaText(pricePerEpoch)} an epoch at each gateway; for ${epochs} epochs:`,
    ...offers.map(({ urls, gateway, cost }) => `  ${phaText(cost)} for ${urls.join(', ')} (${gateway})`),
    `${phaText(sum)} in all`,
  ];
}

function statusLines({ epoch, rentals, gateways }: StorageStatus): string[] {
  return [
    `Epoch ${epoch}`,
    ...(rentals.length === 0 ? ['Nobody paid for it.'] : rentals.map(rentalLine)),
    ...gateways.map(({ url, use }) =>
      use === undefined
        ? `  ${url} does not say what it keeps`
        : `  ${url} keeps ${use.blobs} blobs of it, ${use.bytesUsed} bytes, of these ${use.bytesCovered} paid`,
    ),
  ];
}

function rentalLine({
  id,
  gateway,
  size,
  fromEpoch,
  untilEpoch,
  pricePerEpoch,
}: StorageStatus['rentals'][number]): string {
  return `  rental ${id}: ${size} bytes at gateway ${gateway}, epochs ${fromEpoch} to ${untilEpoch - 1}, ${phaText(pricePerEpoch)} each`;
}
