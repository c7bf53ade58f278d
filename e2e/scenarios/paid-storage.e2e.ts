import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import path from 'node:path';
import { sha256, toHex, utf8 } from '@cloister/crypto';
import { inRoot } from '../../scripts/lib/paths.ts';
import { childEnvironment } from '../../scripts/lib/runProcess.ts';
import type { RunningDevnet } from '../devnet.ts';
import type { Scenario } from '../scenario.ts';
import { accountsOf, spareOperator } from '../support/accounts.ts';
import { clientOf, deployFunction, handler } from '../support/apps.ts';
import { freePort } from '../support/freePort.ts';
import { cloisterJson } from '../support/programs.ts';
import { until } from '../support/until.ts';

const mebibyte = 1n << 20n;
const code = (word: string) => utf8(handler(`return new Response('${word}');`));

export const scenario: Scenario = {
  title:
    'What an app pays a gateway for is kept through restarts, nobody else uses it, and what is cancelled comes back',
  async run({ network: start, note, signal, folder }) {
    const network = await start();
    const { developer, operators } = accountsOf(network);
    const by = { account: developer.privateKey, signal };
    const gateway = new OwnGateway(
      network,
      path.join(folder, 'gateway'),
      await freePort(),
      spareOperator(network).address,
    );
    await gateway.start(signal);
    try {
      const client = clientOf(network, { gateways: [gateway.url] });
      note('where nothing is free, deploying says so, and pays if it is told to');
      const app = { code: code('paid'), name: 'e2e-paid-storage' };
      await assert.rejects(client.deploy({ ...by, ...app }), { code: 'GATEWAY_STORAGE_UNPAID' });
      const deployed = await client.deploy({ ...by, ...app, storageEpochs: 10 });
      const [rental] = (await client.storage.status(deployed.app, signal)).rentals;
      assert.equal(rental?.size, mebibyte);
      assert.equal(rental.untilEpoch - rental.fromEpoch, 10);

      note('somebody else neither uses what is paid, nor stores anything');
      const thief = operators[6] ?? assert.fail('no spare operator');
      const [stolen] = await client.storage.claim(deployed.app, [deployed.manifestId], { account: thief.privateKey });
      assert.match(stolen?.failed ?? '', /claim-refused/);
      await assert.rejects(client.gateways.putBlob(utf8('a stranger’s'), signal), { code: 'GATEWAY_STORAGE_UNPAID' });

      note('a restart keeps what is paid and who paid it');
      await gateway.kill();
      await gateway.start(signal);
      const covered = () =>
        until(
          'the gateway knows what is paid',
          async () => {
            const { gateways } = await client.storage.status(deployed.app, signal);
            return (gateways[0]?.use?.bytesCovered ?? 0) >= 8_192 && gateways[0]?.use?.blobs === 2;
          },
          { signal },
        );
      await covered();
      assert.equal(
        toHex(sha256(await client.gateways.getBlob(toHex(sha256(app.code)), 65_536, signal))),
        toHex(sha256(app.code)),
      );

      note('from the command line: more is another payment, and what is cancelled comes back');
      const cloister = async <T>(...args: string[]) => {
        const { code: exit, json } = await cloisterJson<T>(
          ['storage', ...args, '--network', network.file],
          folder,
          signal,
        );
        assert.equal(exit, 0, JSON.stringify(json));
        return json;
      };
      const usual = await deployFunction(network, 'e2e-storage-later', handler("return new Response('later');"));
      const pha = () => client.payments.reader.phaOf(developer.address);
      const before = await pha();
      const quote = await cloister<Quote>('quote', '64MiB', '20');
      const paid = await cloister<{ claimed: { blobs: Record<string, string> }[] }>('pay', usual.app, '64MiB', '20');
      assert.deepEqual(Object.values(paid.claimed[0]?.blobs ?? {}), ['paid', 'paid']);
      assert.equal(before - (await pha()), BigInt(quote.sum));
      await cloister('pay', usual.app, '1MiB', '3');
      const shown = await cloister<Shown>('show', usual.app);
      assert.deepEqual([shown.rentals.length, shown.gateways[0]?.use?.bytesPaid], [2, 65 * Number(mebibyte)]);
      const inTheMiddle = await pha();
      const back = await cloister<{ refund: string }[]>('cancel', usual.app);
      assert.equal(back.length, 2);
      const sum = back.reduce((all, { refund }) => all + BigInt(refund), 0n);
      assert.ok(sum > 0n && (await pha()) - inTheMiddle === sum);
      assert.deepEqual(await cloister('cancel', usual.app), []);
      assert.deepEqual(await cloister('collect'), []);

      note('what is cancelled stays for the epoch of now and the next');
      await client.storage.cancel(deployed.app, by);
      await covered();

      note('every unit is with somebody');
      const books = await client.reconcile(signal);
      const custody = books.custody.find(({ name }) => name === 'StorageRent');
      assert.ok(books.holds && custody?.holds);
    } finally {
      await gateway.kill();
    }
  },
};

type Quote = { readonly sum: string };
type Shown = {
  readonly rentals: readonly unknown[];
  readonly gateways: readonly { readonly use?: { readonly bytesPaid: number } }[];
};

/** A gateway that is in no network file and stores nothing for free. */
class OwnGateway {
  readonly url: string;
  readonly #args: readonly string[];
  #child: ChildProcess | undefined;

  constructor(network: RunningDevnet, dataDir: string, port: number, payTo: string) {
    this.url = `http://127.0.0.1:${port}`;
    const flags = {
      'listen.port': String(port),
      publicUrl: this.url,
      networkFile: network.file,
      dataDir,
      payTo,
      'limits.freeBlobBytes': '0',
      'limits.storagePollMs': '500',
    };
    this.#args = Object.entries(flags).flatMap(([name, value]) => [`--${name}`, value]);
  }

  async start(signal: AbortSignal): Promise<void> {
    const main = inRoot('apps/gateway/src/main.ts');
    const child = spawn(process.execPath, [main, ...this.#args], {
      stdio: ['ignore', 'ignore', 'ignore'],
      env: childEnvironment({}),
    });
    this.#child = child;
    await until('the gateway answers', async () => (await fetch(`${this.url}/healthz`)).ok, { signal });
  }

  /** Without a word, as by a loss of power. */
  async kill(): Promise<void> {
    const child = this.#child;
    this.#child = undefined;
    if (child === undefined || child.exitCode !== null) return;
    const closed = once(child, 'close');
    child.kill('SIGKILL');
    await closed;
  }
}
