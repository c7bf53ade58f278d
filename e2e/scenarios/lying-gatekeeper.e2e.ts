import assert from 'node:assert/strict';
import fs from 'node:fs';
import path from 'node:path';
import { parseSignedRoundStatement, roundStatementMessage } from '@cloister/core';
import { fromHex, utf8 } from '@cloister/crypto';
import { verifySignature } from '@cloister/threshold/combine';
import type { RunningDevnet } from '../devnet.ts';
import type { Scenario } from '../scenario.ts';
import { accountsOf } from '../support/accounts.ts';
import { clientOf, handler, textOf } from '../support/apps.ts';
import { freePort } from '../support/freePort.ts';
import { type Answered, HostileGateway, jsonAnswer, type Relayed, type Tamper } from '../support/hostileGateway.ts';
import { partOf } from '../support/processes.ts';
import { until } from '../support/until.ts';

const liar = 'gatekeeper-3';
const others = ['gatekeeper-0', 'gatekeeper-1', 'gatekeeper-2'];

export const scenario: Scenario = {
  title:
    'A gatekeeper that lies to everybody, repeats itself and holds back harms nobody: randomness, statements, keys and handovers go on, and the others name it',
  needs: 'own-network',
  timeoutMs: 240_000,
  onlyLong: true,
  async run({ startNetwork, note, signal }) {
    const network = await startNetwork({ args: ['--workers', '1', '--epoch', '60'] });
    const client = clientOf(network);
    const { keys } = await client.committee.status();
    const port = await freePort();
    const gatekeeper = await HostileGateway.start(`http://127.0.0.1:${port}`);
    try {
      note('one of four is reached through somebody who changes what it says');
      await moveBehind(network, port, gatekeeper.url);
      await until(
        'the chain names its new place, and it holds shares',
        async () => {
          const status = await client.committee.status();
          const reports = await client.committee.reports(status);
          return reports.some(({ endpoint, holdsShares }) => endpoint === gatekeeper.url && holdsShares);
        },
        { signal, withinMs: 60_000, everyMs: 500 },
      );
      const before = await client.committee.status();

      await gatekeeper.during(lies(), async () => {
        note('it signs other rounds than it is asked, shows an old head and repeats what it said in ceremonies');
        let round = await client.committee.currentRound();
        const named = () =>
          others.some((name) => /beacon: wrong partial/.test(fs.readFileSync(logOf(network, name), 'utf8')));
        await until(
          'rounds have their randomness, and somebody names the liar',
          async () => {
            const now = await client.committee.currentRound();
            if (now > round) await client.committee.beacon(now);
            round = now;
            return named();
          },
          { signal, withinMs: 90_000, everyMs: 500 },
        );

        note('statements of rounds that gateways pass on hold all the same');
        const { verified } = (await client.workers())[0] ?? {};
        const [url = ''] = network.network.gateways;
        const told = await fetch(`${url}/v1/statements/${verified?.receiptSigner}`);
        const { signature, ...statement } = parseSignedRoundStatement(
          ((await told.json()) as { statement: unknown }).statement,
        );
        const domain = { chainId: network.network.chainId, registry: network.network.contracts.workerRegistry };
        const message = fromHex(roundStatementMessage(domain, statement));
        assert.ok(keys !== undefined && verifySignature(fromHex(keys.beacon), message, fromHex(signature)));
        assert.ok(statement.block < 10n ** 6n);

        note('a host gets its app’s keys of the others');
        const { developer } = accountsOf(network);
        const deployed = await client.deploy({
          account: developer.privateKey,
          code: utf8(handler('return new Response(env.WORD.length.toString());')),
          name: 'beside-a-liar',
          secrets: { WORD: 'a word for hosts alone' },
        });
        assert.equal(textOf(await client.call(deployed.app)), '22');

        note('the keys are handed on, the same ones');
        const after = await until(
          'there is a later generation',
          async () => {
            const status = await client.committee.status();
            return status.generation.number > before.generation.number && status;
          },
          { signal, withinMs: 120_000, everyMs: 1_000 },
        );
        assert.deepEqual(after.keys, before.keys);
        assert.ok(
          gatekeeper.exchanges.some(({ request }) => request.path === '/v1/ceremony'),
          'nobody asked it',
        );
      });
    } finally {
      await gatekeeper.stop();
    }
  },
};

/** Starts it again at a port of its own, and lets it register a place in front of that. */
async function moveBehind(network: RunningDevnet, port: number, endpoint: string): Promise<void> {
  const file = path.join(network.data, 'logs', `${liar}.json`);
  const config = JSON.parse(fs.readFileSync(file, 'utf8')) as object;
  fs.writeFileSync(file, JSON.stringify({ ...config, listen: { host: '127.0.0.1', port }, endpoint }));
  const pid = partOf(network.pid, liar);
  assert.ok(pid !== undefined);
  process.kill(pid, 'SIGTERM');
}

/** Everything that others ask of it is answered wrongly: with what it said before, or with something else. */
function lies(): Tamper {
  const said = new Map<string, Answered>();
  const kind = ({ method, path: at }: Relayed) => `${method} ${at.replace(/[0-9]+/g, 'N')}`;
  return {
    answer: (answer, request) => {
      if (request.path === '/v1/rounds/latest' && answer.status === 200)
        return jsonAnswer({ ...(JSON.parse(new TextDecoder().decode(answer.body)) as object), block: '999999999' });
      if (request.path === '/v1/gatekeeper' || request.path === '/v1/evidence') return answer;
      // Of each thing that it was asked, the first answer for ever.
      const first = said.get(kind(request));
      if (first === undefined && answer.status === 200) said.set(kind(request), answer);
      return first ?? answer;
    },
  };
}

function logOf(network: RunningDevnet, name: string): string {
  return path.join(network.data, 'logs', `${name}.log`);
}
