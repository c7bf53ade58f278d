import assert from 'node:assert/strict';
import { logRequestDigest, logsPath } from '@cloister/core';
import { randomBytes, toHex, utf8 } from '@cloister/crypto';
import { generatePrivateKey, type PrivateKeyAccount, privateKeyToAccount } from 'viem/accounts';
import type { Scenario } from '../scenario.ts';
import { accountsOf } from '../support/accounts.ts';
import { clientOf, deployFunction, handler } from '../support/apps.ts';
import { leaksIn, leaksInFolder } from '../support/leaks.ts';
import { callRaw, verifiedWorker } from '../support/rawCalls.ts';
import { refusedWith } from '../support/refusals.ts';

export const scenario: Scenario = {
  title: 'What a function prints is for its owner alone: no stranger gets it, no operator finds it',
  async run({ network: start, note }) {
    const network = await start();
    const url = network.network.gateways[0] ?? '';
    const client = clientOf(network);
    const owner = privateKeyToAccount(accountsOf(network).developer.privateKey);
    const secret = `printed-in-confidence-${toHex(randomBytes(8)).slice(2)}`;
    const source = handler(
      'console.log("got", await request.text()); console.error("and failed"); return new Response("done");',
    );
    const { app } = await deployFunction(network, 'private-logs', source);
    const result = await client.call(app, { method: 'POST', body: utf8(secret) });

    note('the owner reads it at the worker that ran it, and nowhere else');
    const logs = await client.logs(app, owner);
    assert.ok(logs.length >= 3, `${logs.length} workers answered`);
    for (const { workerId, lines } of logs) {
      const texts = lines.map(({ level, message }) => `${level}: ${message}`);
      const expected = workerId === result.worker.workerId ? [`log: got ${secret}`, 'error: and failed'] : [];
      assert.deepEqual(texts, expected);
    }

    note('a stranger is refused');
    await refusedWith('LOGS_REFUSED', client.logs(app, privateKeyToAccount(generatePrivateKey())));

    note('a request that is old, too far ahead, for another worker or app, or used before, is refused');
    const worker = await verifiedWorker(client, result.worker.workerId);
    const { timestamp } = await client.registry.view.head();
    const other = await deployFunction(network, 'private-logs-other', handler('return new Response();'));
    const ask = async (body: object) => {
      const request = { method: 'POST', path: logsPath, body: utf8(JSON.stringify(body)) };
      const { status, body: answer, receipt } = await callRaw(client, url, worker, { app, request });
      const text = new TextDecoder().decode(answer);
      assert.equal(receipt.receipt.status, status === 200 ? 0 : 3);
      if (status !== 200) assert.doesNotMatch(text, new RegExp(secret));
      return { status, text };
    };
    const signed = (request: Partial<Parameters<typeof logRequestDigest>[1]> = {}, by: PrivateKeyAccount = owner) =>
      signRequest(network.network, { app, workerId: worker.workerId, notAfter: timestamp + 100n, ...request }, by);
    const good = await signed();
    assert.equal((await ask(good)).status, 200);
    const stale = 'The request is out of date';
    const notOwner = "Only the app's owner may read its logs";
    for (const [name, body, status, error] of [
      ['used before', good, 403, 'The request was used before'],
      ['old', await signed({ notAfter: timestamp - 100n }), 403, stale],
      ['too far ahead', await signed({ notAfter: timestamp + 100_000n }), 403, stale],
      ['for another worker', await signed({ workerId: toHex(randomBytes(32)) }), 403, notOwner],
      ['for another app', await signed({ app: other.app }), 403, notOwner],
      ['another end than was signed', { ...(await signed()), notAfter: String(timestamp + 99n) }, 403, notOwner],
      ['no signature', { ...good, signature: `0x${'00'.repeat(65)}`, nonce: toHex(randomBytes(32)) }, 403, notOwner],
      ['nothing', {}, 400, 'Expected JSON with notAfter, nonce and signature'],
    ] as const) {
      const answer = await ask(body);
      assert.deepEqual([answer.status, JSON.parse(answer.text)], [status, { error }], name);
    }

    note('an app can not serve a path that is the worker’s own');
    const reserved = await callRaw(client, url, worker, { app, request: { path: '/.cloister/anything' } });
    assert.deepEqual([reserved.status, reserved.receipt.receipt.status], [404, 3]);

    note('no file and no output of the network holds it');
    const { leaks, files } = leaksInFolder(network.data, { secret });
    assert.deepEqual(leaks, []);
    assert.ok(files > 10, `only ${files} files were searched`);
    assert.deepEqual(leaksIn(Buffer.from(network.log()), { secret }), []);
  },
};

async function signRequest(
  network: Parameters<typeof clientOf>[0]['network'],
  request: Omit<Parameters<typeof logRequestDigest>[1], 'nonce'>,
  by: PrivateKeyAccount,
): Promise<{ readonly notAfter: string; readonly nonce: string; readonly signature: string }> {
  const nonce = toHex(randomBytes(32));
  const domain = { chainId: network.chainId, registry: network.contracts.workerRegistry };
  const signature = await by.sign({ hash: logRequestDigest(domain, { ...request, nonce }) });
  return { notAfter: request.notAfter.toString(), nonce, signature };
}
