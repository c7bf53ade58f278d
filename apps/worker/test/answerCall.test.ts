import { sealRequest } from '@cloister/channel/client';
import { KeyRing, type OpenedRequest } from '@cloister/channel/worker';
import {
  commitBody,
  jcsId,
  type LogRequest,
  logRequestDigest,
  logsPath,
  receiptStatuses,
  type SignedReceipt,
  x402HeaderText,
  zeroBytes32,
} from '@cloister/core';
import { concatBytes, randomBytes, SecretBytes, toBase64Url, toHex, utf8 } from '@cloister/crypto';
import { SandboxError } from '@cloister/sandbox';
import { generatePrivateKey, privateKeyToAccount } from 'viem/accounts';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { type AnswerComponents, answerCall } from '../src/answerCall.ts';
import { CallerRefusedError } from '../src/callers.ts';
import { PaymentRefusedError } from '../src/payments/paymentRefused.ts';
import { metering, type StubRun } from './stubDriver.ts';
import { startParts, type WorkerParts, workerId } from './workerParts.ts';

let parts: WorkerParts;
let app: `0x${string}`;
let manifestId: `0x${string}`;
beforeEach(async () => {
  parts = await startParts();
  ({ app, manifestId } = parts.addApp());
});
afterEach(() => parts.stop());

const signal = new AbortController().signal;
const text = (bytes: Uint8Array) => new TextDecoder().decode(bytes);
const context = `0x${'c0'.repeat(32)}` as const;

/** A request as a client seals it and the key ring opens it. */
async function opened(
  request: Partial<Parameters<typeof sealRequest>[0]['request']> = {},
  call: Partial<Parameters<typeof sealRequest>[0]['call']> = {},
): Promise<OpenedRequest> {
  const keys = new KeyRing();
  const now = Math.floor(Date.now() / 1000);
  const { config } = await keys.rotate(now, now + 3_600);
  const { encapsulated } = await sealRequest({
    keyConfig: config,
    call: {
      app,
      manifest: manifestId,
      callId: toBase64Url(randomBytes(16)),
      clientKey: new SecretBytes(randomBytes(32)),
      context,
      maxFee: 0n,
      ...call,
    },
    request: { method: 'POST', path: '/x', headers: [], body: utf8('question'), ...request },
  });
  return keys.open(encapsulated, now);
}

type Heard = {
  status: number;
  headers: readonly (readonly [string, string])[];
  body: string;
  receipt: SignedReceipt;
  request: OpenedRequest;
};

/** The answer as it goes to the client, and its receipt, checked for what every receipt must say. */
async function answer(request: OpenedRequest, components = parts.components): Promise<Heard> {
  let status = 0;
  let headers: readonly (readonly [string, string])[] = [];
  const body: Uint8Array[] = [];
  const sink = {
    head: async (given: number, fields: readonly (readonly [string, string])[]) => {
      // As the seal does it: other headings are refused, and another may be tried.
      await request.response.head(given, fields);
      status = given;
      headers = fields;
    },
    body: async (bytes: Uint8Array) => void body.push(bytes),
  };
  const end = await answerCall(components, request, sink, signal);
  expect({ status: end.status, headers: end.headers }).toEqual({ status, headers });
  const { receipt, details } = end.receipt;
  expect(parts.isOurs(end.receipt)).toBe(true);
  expect(end.receipt.workerId).toBe(workerId);
  expect(receipt).toMatchObject({
    app: request.call.app,
    context,
    channel: zeroBytes32,
    fee: 0n,
    requestHash: request.requestHash,
    inputCommitment: commitBody(request.inputSalt, request.request.body),
    outputCommitment: commitBody(request.outputSalt, concatBytes(...body)),
    blockNumber: parts.network.rpc.head.number,
    blockHash: parts.network.rpc.head.hash,
    epoch: (parts.network.rpc.head.timestamp - 1_700_000_000n) / 60n,
    detailsHash: jcsId(details),
  });
  expect(details).toMatchObject({
    simulated: true,
    route: commitBody(request.inputSalt, utf8(`${request.request.method} ${request.request.path}`)),
  });
  return { status, headers, body: text(concatBytes(...body)), receipt: end.receipt, request };
}

const runs = (run: StubRun | (() => StubRun | never)) => {
  parts.driver.run = () => (typeof run === 'function' ? run() : run);
};

describe('the receipt says how the call ended', () => {
  test.each<[string, StubRun, number, keyof typeof receiptStatuses]>([
    ['a good answer', { status: 200 }, 200, 'ok'],
    ['a redirect', { status: 302, headers: [['location', '/y']] }, 302, 'ok'],
    ['no such thing', { status: 404 }, 404, 'refused'],
    ['the app refuses', { status: 422 }, 422, 'refused'],
    ['the app fails in order', { status: 503 }, 503, 'app-error'],
    ['the handler threw', { status: 500, outcome: { status: 'app-error', message: 'boom' } }, 500, 'app-error'],
    ['a limit was passed', { status: 500, outcome: { status: 'limit', limit: 'memory' } }, 500, 'limit'],
    ['it broke off in the middle', { status: 200, outcome: { status: 'limit', limit: 'wall' } }, 200, 'limit'],
    ['a host was refused', { status: 500, outcome: { status: 'refused', refusedHosts: ['x'] } }, 500, 'refused'],
  ])('%s', async (_, run, status, outcome) => {
    runs({ ...run, body: [utf8('part '), utf8('and part')] });
    const heard = await answer(await opened());
    expect(heard).toMatchObject({ status, body: 'part and part' });
    expect(heard.receipt.receipt).toMatchObject({
      manifest: manifestId,
      status: receiptStatuses[outcome],
      keyVersion: 1n,
    });
    expect(heard.receipt.details).toMatchObject({ kind: 'function', httpStatus: status });
  });

  test("with a bill as fine as it must be, and no text of the code's choosing", async () => {
    runs({
      status: 500,
      outcome: {
        status: 'limit',
        limit: 'cpu',
        message: 'the applicant is called Ada',
        refusedHosts: ['ada.example', 'lovelace.example'],
        metering: {
          ...metering,
          wallMs: 12.001,
          cpuMs: 3.2,
          outputBytes: 1_025,
          peakMemoryBytes: 1,
          fuel: 7_001,
          outboundBytes: 4_000,
        },
      },
    });
    const { details } = (await answer(await opened())).receipt;
    expect(details).toMatchObject({
      limit: 'cpu',
      refusedHosts: 2,
      metering: { wallMs: 13, cpuMs: 4, outputKiB: 2, peakMemoryMiB: 1, outboundKiB: 4, fuel: 7_001 },
    });
    expect(JSON.stringify(details)).not.toMatch(/ada\.|lovelace/i);
  });

  test('each receipt counts one further', async () => {
    runs({});
    const sequences: bigint[] = [];
    for (let call = 0; call < 3; call++) sequences.push((await answer(await opened())).receipt.receipt.sequence);
    expect(sequences).toEqual([1n, 2n, 3n]);
  });

  test('what the request held reaches the app, without what belongs to the protocol', async () => {
    let seen: unknown;
    parts.driver.run = (request) => {
      seen = request;
      return {};
    };
    await answer(await opened({ method: 'PUT', path: '/a?b=c', headers: [['x-mine', '1']] }));
    expect(seen).toMatchObject({ method: 'PUT', path: '/a?b=c', headers: [['x-mine', '1']] });
    expect(JSON.stringify(seen)).not.toContain('x-cloister');
  });
});

describe('headers that no answer may have', () => {
  test.each<[string, readonly (readonly [string, string])[], number]>([
    ['a header of the protocol', [['x-cloister-app', 'x']], 200],
    ['a line break', [['x-a', 'b\r\nc: d']], 200],
    ['more than fit', Array.from({ length: 200 }, (_, at): [string, string] => [`x-${at}`, 'y']), 200],
    ['a status that is none', [], 101],
  ])('%s: the app failed, and the receipt says so', async (_, headers, status) => {
    runs({ status, headers, body: [utf8('secret part')] });
    const heard = await answer(await opened());
    expect(heard).toMatchObject({ status: 500, headers: [], body: '' });
    expect(heard.receipt.receipt).toMatchObject({ manifest: manifestId, status: receiptStatuses['app-error'] });
    expect(heard.receipt.details).toMatchObject({ headers: expect.any(String) });
  });

  test('those of the connection are only left out', async () => {
    runs({
      headers: [
        ['Connection', 'close'],
        ['Content-Length', '5'],
        ['X-Mine', 'yes'],
      ],
    });
    expect((await answer(await opened())).headers).toEqual([['x-mine', 'yes']]);
  });
});

describe("the worker answers in the app's place", () => {
  /** The answer, which must be the worker's own. */
  async function byWorker(request: OpenedRequest, status: number, outcome: keyof typeof receiptStatuses, code: string) {
    const heard = await answer(request);
    expect(heard.status).toBe(status);
    expect(JSON.parse(heard.body)).toMatchObject({ refusedBy: 'worker', code });
    expect(heard.receipt.receipt).toMatchObject({
      manifest: zeroBytes32,
      keyVersion: 0n,
      status: receiptStatuses[outcome],
    });
    expect(heard.receipt.details).toMatchObject({ kind: 'worker', code });
  }

  test('for an app that it can not run', async () => {
    await byWorker(await opened({}, { app: `0x${'99'.repeat(32)}` }), 422, 'refused', 'APP_UNKNOWN');
  });

  test('for a manifest that does not serve', async () => {
    await byWorker(await opened({}, { manifest: `0x${'99'.repeat(32)}` }), 422, 'refused', 'APP_OTHER_MANIFEST');
  });

  test.each([
    ['TENANT_BUSY', 503, 'refused'],
    ['TENANT_RESTARTING', 503, 'refused'],
    ['SANDBOX_FULL', 503, 'refused'],
    ['INVALID_REQUEST', 400, 'refused'],
    ['TENANT_CLOSED', 502, 'app-error'],
    ['PROCESS_FAILED', 502, 'app-error'],
  ] as const)('when the sandbox says %s', async (code, status, outcome) => {
    runs(() => {
      throw new SandboxError({ code, message: 'No' });
    });
    await byWorker(await opened(), status, outcome, code);
  });

  test('when something failed that has no name, without saying what', async () => {
    runs(() => {
      throw new Error('the secret is 42');
    });
    const heard = await answer(await opened());
    expect(JSON.parse(heard.body)).toEqual({
      refusedBy: 'worker',
      code: 'WORKER_FAILED',
      message: 'The worker failed',
    });
    expect(heard.receipt.receipt).toMatchObject({ manifest: zeroBytes32, status: receiptStatuses['app-error'] });
  });

  test('for a path of its own that it does not have', async () => {
    for (const [method, path] of [
      ['POST', '/.cloister/other'],
      ['GET', logsPath],
      ['POST', `${logsPath}/more`],
    ] as const) {
      const heard = await answer(await opened({ method, path, body: new Uint8Array() }));
      expect(heard.status).toBe(404);
      expect(heard.receipt.receipt).toMatchObject({ manifest: zeroBytes32, status: receiptStatuses.refused });
    }
    expect(parts.driver.counts.opened).toBe(0);
  });
});

test('an answer that can not be made to its end gives no receipt', async () => {
  runs({
    body: (async function* () {
      yield utf8('part');
      throw new SandboxError({ code: 'ABORTED', message: 'The worker stops' });
    })(),
  });
  await expect(answer(await opened())).rejects.toMatchObject({ code: 'ABORTED' });
});

describe('logs', () => {
  const key = generatePrivateKey();
  const owner = privateKeyToAccount(key);
  const stranger = privateKeyToAccount(generatePrivateKey());
  const now = () => parts.network.rpc.head.timestamp;
  beforeEach(() => {
    const found = parts.network.registries.apps.get(app) ?? expect.fail();
    parts.network.registries.apps.set(app, { ...found, owner: owner.address.toLowerCase() as `0x${string}` });
  });

  /** The body of a log request, signed by someone about something. */
  async function wish(changes: Partial<LogRequest> & { account?: typeof owner; shown?: object } = {}): Promise<string> {
    const { account = owner, shown = {}, ...fields } = changes;
    const request = { app, workerId, notAfter: now() + 60n, nonce: toHex(randomBytes(32)), ...fields };
    const signature = await account.sign({ hash: logRequestDigest(parts.network.domain, request) });
    return JSON.stringify({ notAfter: request.notAfter.toString(), nonce: request.nonce, signature, ...shown });
  }

  const ask = async (body: string) => {
    const heard = await answer(await opened({ path: logsPath, body: utf8(body) }));
    expect(heard.receipt.receipt.manifest).toBe(zeroBytes32);
    const status = heard.receipt.receipt.status === receiptStatuses.ok ? 200 : heard.status;
    expect(heard.status).toBe(status);
    return { status, body: JSON.parse(heard.body) };
  };

  test('are for the owner of the app', async () => {
    expect(await ask(await wish())).toEqual({ status: 200, body: { lines: [] } });
    runs({});
    await answer(await opened());
    const lines = [{ timeMs: 1, level: 'log', message: `by ${app.slice(0, 6)}` }];
    expect(await ask(await wish())).toEqual({ status: 200, body: { lines } });
  });

  test('are asked for once with one request, in whatever letters', async () => {
    const nonce = toHex(randomBytes(32));
    const body = await wish({ nonce });
    expect((await ask(body)).status).toBe(200);
    expect((await ask(body)).body.error).toContain('used before');
    const shouted = `0x${nonce.slice(2).toUpperCase()}`;
    expect((await ask(await wish({ nonce, shown: { nonce: shouted } }))).body.error).toContain('used before');
  });

  test.each<[string, () => Promise<string>, number, string]>([
    ['somebody else', () => wish({ account: stranger }), 403, 'owner'],
    ['a request to another worker', () => wish({ workerId: `0x${'99'.repeat(32)}` }), 403, 'owner'],
    ['a request about another app', () => wish({ app: `0x${'99'.repeat(32)}` }), 403, 'owner'],
    ['another nonce than was signed', () => wish({ shown: { nonce: `0x${'99'.repeat(32)}` } }), 403, 'owner'],
    ['another time than was signed', async () => wish({ shown: { notAfter: (now() + 61n).toString() } }), 403, 'owner'],
    ['a request that is over', async () => wish({ notAfter: now() - 1n }), 403, 'out of date'],
    ['a request for ever', async () => wish({ notAfter: now() + 601n }), 403, 'out of date'],
    ['a signature that is none', () => wish({ shown: { signature: `0x${'00'.repeat(65)}` } }), 403, 'owner'],
    ['no JSON', async () => 'logs, please', 400, 'Expected JSON'],
    ['null', async () => 'null', 400, 'Expected JSON'],
    ['a number for a time', () => wish({ shown: { notAfter: 5 } }), 400, 'Expected JSON'],
    ['a time that is none', () => wish({ shown: { notAfter: '0x5' } }), 400, 'Expected JSON'],
    ['no nonce', () => wish({ shown: { nonce: '0x' } }), 400, 'Expected JSON'],
    ['a request without end', () => wish({ shown: { more: 'x'.repeat(5_000) } }), 400, 'Expected JSON'],
  ])('are refused to %s', async (_, body, status, reason) => {
    const heard = await ask(await body());
    expect(heard.status).toBe(status);
    expect(heard.body.error).toContain(reason);
    expect(heard.body.lines).toBeUndefined();
  });

  test("of an app that nobody owns are nobody's", async () => {
    parts.network.registries.apps.delete(app);
    expect((await ask(await wish())).status).toBe(403);
  });

  test('an expired request that was refused can not be used later, and a refused one does not use up its nonce', async () => {
    const nonce = toHex(randomBytes(32));
    expect((await ask(await wish({ nonce, account: stranger }))).status).toBe(403);
    expect((await ask(await wish({ nonce }))).status).toBe(200);
  });
});

describe('who calls', () => {
  test('is told to the app by the worker alone', async () => {
    const seen: (string | undefined)[] = [];
    parts.driver.run = ({ caller }) => {
      seen.push(caller);
      return { status: 200 };
    };
    const verified = { app: `0x${'ca'.repeat(32)}`, manifest: manifestId, workerId } as const;
    await answer(await opened({ headers: [['cloister-caller-app', verified.app]] }));
    Object.assign(parts.components, { callers: { verify: async () => verified } });
    await answer(await opened());
    expect(seen).toEqual([undefined, verified.app]);
  });

  test('is refused, signed, where it does not hold, and nothing runs', async () => {
    let runs = 0;
    parts.driver.run = () => {
      runs += 1;
      return { status: 200 };
    };
    const refusal = new CallerRefusedError('CALLER_NOT_REGISTERED', 'No such worker');
    Object.assign(parts.components, { callers: { verify: () => Promise.reject(refusal) } });
    const heard = await answer(await opened());
    expect(heard).toMatchObject({ status: 403 });
    expect(heard.receipt.receipt).toMatchObject({ manifest: zeroBytes32, status: receiptStatuses.refused });
    expect(heard.receipt.details).toMatchObject({ kind: 'worker', code: 'CALLER_NOT_REGISTERED' });
    expect(runs).toBe(0);
  });
});

describe('a call that a transfer paid for before it ran', () => {
  const transaction = `0x${'7a'.repeat(32)}` as const;
  const from = `0x${'01'.repeat(20)}` as const;
  const settled = { chainId: 31_337, from, amount: 20n, transaction };
  const paid = (): WorkerParts['components'] => ({
    ...parts.components,
    payments: { take: async () => ({ scheme: 'exact', settled }) },
  });
  const settlement = x402HeaderText({ success: true, transaction, network: 'eip155:31337', payer: from, amount: '20' });
  const payment = { scheme: 'exact', amount: '20', transaction };

  test('says so in its head and its details; its receipt charges nothing', async () => {
    runs({ headers: [['content-type', 'text/plain']], body: [utf8('hi')] });
    const { headers, receipt } = await answer(await opened(), paid());
    expect(headers).toEqual([
      ['content-type', 'text/plain'],
      ['payment-response', settlement],
    ]);
    expect(receipt.details).toMatchObject({ kind: 'function', payment });
    expect(receipt.receipt).toMatchObject({ fee: 0n, cumulativeFee: 0n, channel: zeroBytes32 });
  });

  test('does not let the app say another one', async () => {
    runs({ headers: [['Payment-Response', 'forged']] });
    expect((await answer(await opened(), paid())).headers).toEqual([['payment-response', settlement]]);
  });

  test.each<[string, StubRun | (() => never), string]>([
    ['the app failed', { status: 500, outcome: { status: 'app-error', message: 'boom' } }, 'function'],
    ['the app answered with a header that no answer may have', { headers: [['x-cloister-app', '1']] }, 'function'],
    [
      'the sandbox had no room',
      () => {
        throw new SandboxError({ code: 'TENANT_BUSY', message: 'full' });
      },
      'worker',
    ],
  ])('says so also where %s: the money is gone', async (_, run, kind) => {
    runs(run);
    const { headers, receipt } = await answer(await opened(), paid());
    expect(headers).toContainEqual(['payment-response', settlement]);
    expect(receipt.details).toMatchObject({ kind, payment });
  });

  test('says nothing of a payment that was refused, and does not run', async () => {
    let ran = 0;
    runs(() => {
      ran += 1;
      return {};
    });
    const { status, headers, receipt } = await answer(await opened(), {
      ...parts.components,
      payments: { take: () => Promise.reject(new PaymentRefusedError('PAYMENT_AUTHORIZATION_USED', 'used already')) },
    });
    expect([status, ran]).toEqual([402, 0]);
    expect(headers.map(([name]) => name)).toEqual(['content-type']);
    expect(receipt.details).toMatchObject({ kind: 'worker', code: 'PAYMENT_AUTHORIZATION_USED' });
    expect(receipt.details.payment).toBeUndefined();
  });
});

describe('state, asked for by another host', () => {
  const question = { method: 'POST', path: '/.cloister/state', body: utf8('{"key":"k","partition":0,"type":"get"}') };
  const asked: unknown[] = [];
  const states: AnswerComponents['states'] = {
    async askedByHost(caller, partition, wanted) {
      asked.push([caller.app, partition, wanted]);
      return { type: 'get', value: undefined, tag: 'none' };
    },
  };
  const by = (caller: Awaited<ReturnType<AnswerComponents['callers']['verify']>>) => ({
    ...parts.components,
    states,
    callers: { verify: async () => caller },
  });

  test("is given to the app's own hosts", async () => {
    const own = { app, manifest: manifestId, workerId };
    const { status, body } = await answer(await opened(question), by(own));
    expect([status, JSON.parse(body)]).toEqual([200, { type: 'get', value: null, tag: 'none' }]);
    expect(asked.splice(0)).toEqual([[app, 0, { type: 'get', key: 'k' }]]);
  });

  test('and to nobody else: no client, no other app, no host in the name of another app', async () => {
    const other = { app: `0x${'0a'.repeat(32)}` as const, manifest: manifestId, workerId };
    for (const caller of [undefined, other]) {
      const { status, receipt } = await answer(await opened(question), by(caller));
      expect([status, receipt.details.code]).toEqual([422, 'APP_STATE_PRIVATE']);
    }
    const forged = new CallerRefusedError('CALLER_NOT_PLACED', 'not placed there');
    const refusing = { ...by(undefined), callers: { verify: () => Promise.reject(forged) } };
    expect((await answer(await opened(question), refusing)).status).toBe(403);
    expect(asked).toEqual([]);
  });
});
