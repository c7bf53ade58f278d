import assert from 'node:assert/strict';
import { request as openRequest } from 'node:http';
import { connect } from 'node:net';
import { requestMediaType } from '@cloister/channel/client';
import { concatBytes, randomBytes, toHex } from '@cloister/crypto';
import { defaultGatewayLimits } from '../../apps/gateway/src/limits.ts';
import type { Scenario } from '../scenario.ts';
import { clientOf, counterSource, deployFunction, textOf } from '../support/apps.ts';
import { callRaw, postRaw, problemIn, type RawProblem, sealRaw } from '../support/rawCalls.ts';
import { refusedWith } from '../support/refusals.ts';
import { flipped } from '../support/sealedAnswer.ts';

const keyProblem = 'https://iana.org/assignments/http-problem-types#ohttp-key';
const malformed = 'urn:cloister:problem:malformed';

export const scenario: Scenario = {
  title:
    'Requests that are oversized, truncated, random or sealed to another key get a problem by name, and harm nobody',
  async run({ network: start, note, long }) {
    const network = await start();
    const url = network.network.gateways[0] ?? '';
    const client = clientOf(network);
    const { app, manifestId: manifest } = await deployFunction(network, 'bad-requests-counter', counterSource);
    const [worker, other] = (await client.workers()).flatMap(({ verified }) => verified ?? []);
    assert.ok(worker !== undefined && other !== undefined);
    const { workerId } = worker;
    const signersBefore = await signers();
    const runs = async () =>
      Number(textOf(await callRaw(client, url, worker, { app, manifest, request: { path: '/runs' } })));
    const before = await runs();
    const post = async (body: Uint8Array, headers?: Record<string, string>): Promise<RawProblem> =>
      problemIn(await postRaw(url, workerId, body, headers));
    const byWorker = (status: number, type: string) => ({
      status,
      contentType: 'application/problem+json',
      type,
      code: '',
    });
    const sealed = (await sealRaw(worker, { app, manifest })).encapsulated;

    note('the worker: too short, random, changed, sealed to another key');
    for (const [name, bytes, type] of [
      ['nothing', new Uint8Array(), malformed],
      ['one byte', Uint8Array.of(1), malformed],
      ['only a header', sealed.subarray(0, 39), malformed],
      ['random bytes that are too few', randomBytes(1_000), malformed],
      ['random bytes', randomBytes(sealed.length), keyProblem],
      [
        'random bytes behind a genuine header',
        concatBytes(sealed.subarray(0, 7), randomBytes(sealed.length - 7)),
        keyProblem,
      ],
      ['an unknown key id', sealed.with(0, ((sealed[0] ?? 0) + 100) % 256), keyProblem],
      ['another suite', sealed.with(6, 3), keyProblem],
      [
        'a point of low order as key',
        concatBytes(sealed.subarray(0, 7), new Uint8Array(32), sealed.subarray(39)),
        keyProblem,
      ],
      ['one byte too many', concatBytes(sealed, Uint8Array.of(0)), keyProblem],
      ['a request to another worker', (await sealRaw(other, { app, manifest })).encapsulated, keyProblem],
    ] as const) {
      note(name);
      const problem = await post(bytes);
      assert.deepEqual(problem, byWorker(400, type), name);
    }
    const step = long ? 7 : 61;
    for (let at = 7; at < sealed.length; at += step)
      assert.deepEqual(await post(flipped(sealed, at, at % 8)), byWorker(400, keyProblem), `bit of byte ${at}`);
    const big = (await sealRaw(worker, { app, manifest, request: { method: 'POST', body: randomBytes(200_000) } }))
      .encapsulated;
    assert.deepEqual(await post(big.subarray(0, 100_000)), byWorker(400, keyProblem));

    note('the gateway: too large, no sealed request, no worker');
    const huge = new Uint8Array(defaultGatewayLimits.callBytes + 1);
    assert.equal((await post(huge)).code, 'request-too-large');
    assert.equal((await streamed(url, workerId, huge.length)).code, 'request-too-large');
    // The client itself seals nothing that no worker would open.
    await refusedWith('REQUEST_TOO_LARGE', client.call(app, { method: 'POST', body: huge }));
    assert.equal((await post(sealed, { 'content-type': 'application/json' })).code, 'plaintext-call');
    const nobody = toHex(randomBytes(32));
    const unknown = await problemIn(await postRaw(url, nobody, sealed));
    assert.deepEqual([unknown.status, unknown.code], [502, 'worker-not-connected']);
    for (const [path, method, status, code] of [
      [`/v1/workers/${workerId}/call`, 'GET', 405, 'method-not-allowed'],
      ['/v1/workers/0x12/call', 'POST', 400, 'bad-request'],
      [`/v1/workers/${nobody}`, 'GET', 404, 'worker-unknown'],
      ['/v1/workers?limit=0', 'GET', 400, 'bad-request'],
      ['/v1/workers?after=x', 'GET', 400, 'bad-request'],
      [`/v1/blobs/${'0'.repeat(64)}`, 'GET', 404, 'blob-unknown'],
      ['/v1/blobs/..%2f..%2fdevnet.json', 'GET', 400, 'bad-request'],
      ['/v1/../devnet.json', 'GET', 404, 'not-found'],
      ['/', 'GET', 404, 'not-found'],
    ] as const) {
      const problem = await problemIn(await fetch(`${url}${path}`, { method }));
      assert.deepEqual([problem.status, problem.code], [status, code], `${method} ${path}`);
    }
    const wrongName = await fetch(`${url}/v1/blobs/${'0'.repeat(64)}`, { method: 'PUT', body: 'other bytes' });
    assert.equal((await problemIn(wrongName)).code, 'blob-hash-mismatch');

    note('a client that leaves in the middle, and one that speaks no HTTP');
    for (const text of [
      `POST /v1/workers/${workerId}/call HTTP/1.1\r\nhost: x\r\ncontent-type: ${requestMediaType}\r\ncontent-length: 5000\r\n\r\nabc`,
      'GET /v1/dial HTTP/1.1\r\nhost: x\r\nconnection: upgrade\r\nupgrade: websocket\r\n\r\n',
      '\0\0\0\0not http\r\n\r\n',
    ])
      await sendAndLeave(url, text);

    note('nothing of all that ran, and every worker is the one that it was');
    assert.equal(await runs(), before);
    assert.deepEqual(await signers(), signersBefore);
    assert.equal((await client.call(app)).outcome, 'ok');

    async function signers(): Promise<readonly string[]> {
      return (await clientOf(network).workers()).map(({ announcement }) => announcement.receiptSigner).sort();
    }
  },
};

/** A body whose length nobody knows before its end. */
function streamed(url: string, workerId: string, length: number): Promise<{ readonly code: string }> {
  return new Promise((resolve, reject) => {
    const outgoing = openRequest(
      `${url}/v1/workers/${workerId}/call`,
      { method: 'POST', headers: { 'content-type': requestMediaType, 'transfer-encoding': 'chunked' } },
      (response) => {
        let text = '';
        response.setEncoding('utf8').on('data', (chunk: string) => {
          text += chunk;
        });
        response.on('end', () => resolve(JSON.parse(text) as { code: string }));
      },
    );
    outgoing.on('error', reject);
    const part = Buffer.alloc(262_144);
    for (let sent = 0; sent < length; sent += part.length) outgoing.write(part);
    outgoing.end();
  });
}

function sendAndLeave(url: string, text: string): Promise<void> {
  const { port, hostname } = new URL(url);
  return new Promise((resolve) => {
    const socket = connect(Number(port), hostname, () => socket.write(Buffer.from(text), () => socket.destroy()));
    socket.on('error', () => {});
    socket.on('close', () => resolve());
  });
}
