import assert from 'node:assert/strict';
import { utf8 } from '@cloister/crypto';
import type { CallResult, CloisterClient } from '@cloister/sdk';
import { statePath } from '../../apps/worker/src/state/stateMessages.ts';
import { inRoot } from '../../scripts/lib/paths.ts';
import type { Scenario } from '../scenario.ts';
import { accountsOf } from '../support/accounts.ts';
import { clientOf, deployFile, textOf } from '../support/apps.ts';
import { partOf } from '../support/processes.ts';
import { until } from '../support/until.ts';

type Entry = { readonly number: number; readonly text: string };

/** Everybody who may be a host is one, so that no new term changes who is. */
const placement = { replicas: 8, teeTypes: ['tdx'] as const, minTcbEvaluationDataNumber: 0, distinct: [] };
const file = inRoot('examples/visitors-book/visitorsBook.ts');

export const scenario: Scenario = {
  title:
    'A function keeps state that its hosts share: two clients write at different hosts, one is killed meanwhile, and no acknowledged write is lost or doubled',
  timeoutMs: 420_000,
  onlyLong: true,
  async run({ network: start, note, signal }) {
    const network = await start();
    const state = { partitions: 2 };
    const { app } = await deployFile(network, 'visitors-book', file, { state, placement });
    const [ann, bob] = [clientOf(network), clientOf(network)];
    const { hosts } = await until('the book has its hosts', () => ann.placement(app, signal), { signal });
    // Other scenarios leave workers behind that run no more, and are hosts until their leases end.
    const running = new Set((await ann.workers()).map(({ announcement }) => announcement.workerId));
    const alive = hosts.filter((host) => running.has(host));
    const [writer, other] = alive;
    assert.ok(writer !== undefined && other !== undefined);

    note('the first host that is asked becomes the writer; another passes on to it what it is asked');
    const book = new Book(app);
    await book.add(ann, writer, 'ann-first');
    await book.add(bob, other, 'bob-first');
    assert.equal((await book.entries(bob, other)).length, 2);

    note('two clients write at two hosts at once, and the writer is killed in the middle');
    const pid = partOf(network.pid, `worker-${await indexOf(ann, writer, accountsOf(network))}`);
    assert.ok(pid !== undefined);
    const after = Promise.withResolvers<void>();
    const writing = (client: CloisterClient, host: `0x${string}`, name: string) =>
      (async () => {
        for (let index = 0; index < 6; index += 1) {
          if (index === 2) after.resolve();
          await book.add(client, host, `${name}-${index}`, signal);
        }
      })();
    const all = [writing(ann, writer, 'ann'), writing(bob, other, 'bob')];
    for (const one of all) one.catch(() => {});
    await after.promise;
    process.kill(pid, 'SIGKILL');
    await Promise.all(all);

    note('every entry stands there once, under the number that was acknowledged');
    const entries = await book.entries(bob, other);
    assert.deepEqual(
      entries.map(({ number }) => number),
      Array.from({ length: 14 }, (_, index) => index + 1),
    );
    assert.deepEqual(
      new Map(entries.map(({ number, text }) => [text, number])),
      new Map([...book.acknowledged].map(([id, number]) => [`by ${id}`, number])),
    );
    const { proof, result } = await proofOf(bob, app);
    assert.equal(result.outcome, 'ok');
    assert.equal((await bob.verify(proof)).ok, true);

    note('another app has its own state, and nobody but a host of the app is told of it');
    const second = await deployFile(network, 'visitors-book-too', file, { state, placement });
    await until('the second book has its hosts', () => ann.placement(second.app, signal), { signal });
    assert.equal(textOf(await ann.call(second.app, { path: '/count' })), '{"count":0}');
    const question = utf8('{"key":"count","partition":0,"type":"get"}');
    const told = await ann.askHost(other, app, { method: 'POST', path: statePath, body: question });
    assert.deepEqual([told.outcome, told.receipt.details.code], ['refused', 'APP_STATE_PRIVATE']);
  },
};

/** A visitors' book as its visitors see it, with the numbers that they were told. */
class Book {
  readonly acknowledged = new Map<string, number>();
  readonly #app: `0x${string}`;

  constructor(app: `0x${string}`) {
    this.#app = app;
  }

  /** Adds an entry, at one host or, once that is lost, at any: again until it is acknowledged, which the entry's id makes safe. */
  async add(client: CloisterClient, host: `0x${string}`, id: string, signal?: AbortSignal): Promise<void> {
    const request = { method: 'POST', path: '/entries', body: utf8(JSON.stringify({ id, text: `by ${id}` })) };
    const options = signal === undefined ? {} : { signal };
    let tries = 0;
    const probe = async (): Promise<CallResult | undefined> => {
      const at = tries++ === 0 ? { worker: host } : {};
      const result = await client.call(this.#app, request, { ...options, ...at });
      if (result.ok) return result;
      throw new Error(`${result.outcome}: ${textOf(result)}`);
    };
    const deadline = { signal: signal ?? new AbortController().signal, withinMs: 180_000, everyMs: 500 };
    const result = await until(`"${id}" is acknowledged`, probe, deadline);
    const { number } = JSON.parse(textOf(result)) as { number: number };
    assert.ok(!this.acknowledged.has(id));
    this.acknowledged.set(id, number);
  }

  async entries(client: CloisterClient, worker: `0x${string}`): Promise<readonly Entry[]> {
    const result = await client.call(this.#app, { path: '/entries' }, { worker });
    assert.equal(result.outcome, 'ok', textOf(result));
    return JSON.parse(textOf(result)) as Entry[];
  }
}

async function proofOf(client: CloisterClient, app: `0x${string}`) {
  const result = await client.call(app, { path: '/count' });
  return { result, proof: client.proof(result, { answer: true }) };
}

/** Which of the launcher's workers it is. */
async function indexOf(
  client: CloisterClient,
  workerId: `0x${string}`,
  { operators }: ReturnType<typeof accountsOf>,
): Promise<number> {
  const listed = await client.workers();
  const operator = listed.find(({ announcement }) => announcement.workerId === workerId)?.announcement.operator;
  return operators.findIndex(({ address }) => address === operator);
}
