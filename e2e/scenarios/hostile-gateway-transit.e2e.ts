import assert from 'node:assert/strict';
import { keccak256, toHex } from '@cloister/crypto';
import type { CallResult, CloisterClient } from '@cloister/sdk';
import type { Scenario } from '../scenario.ts';
import { clientOf, counterSource, deployFunction, textOf } from '../support/apps.ts';
import { type Answered, HostileGateway, isCall, type Relayed } from '../support/hostileGateway.ts';
import { problemIn } from '../support/rawCalls.ts';
import { refusedWith } from '../support/refusals.ts';
import { flipped, joinAnswer, type SealedParts, splitAnswer, withFinalMark } from '../support/sealedAnswer.ts';

/** What a gateway may do to every answer, and how the client names it. */
const tamperedAnswers: readonly {
  readonly name: string;
  readonly codes: readonly string[];
  readonly change: (parts: SealedParts) => Uint8Array;
}[] = [
  {
    name: 'drops the last chunk',
    codes: ['RESPONSE_TRUNCATED'],
    change: ({ nonce, chunks }) => joinAnswer({ nonce, chunks: chunks.slice(0, -1) }),
  },
  {
    name: 'drops the last chunk and marks the one before it as the last',
    codes: ['FINAL_MARK_CHANGED'],
    change: ({ nonce, chunks }) =>
      joinAnswer({
        nonce,
        chunks: chunks.slice(0, -1).map((chunk, index, all) => withFinalMark(chunk, index === all.length - 1)),
      }),
  },
  {
    name: 'takes the mark from the last chunk',
    codes: ['FINAL_MARK_CHANGED'],
    change: ({ nonce, chunks }) => joinAnswer({ nonce, chunks: chunks.map((chunk) => withFinalMark(chunk, false)) }),
  },
  {
    name: 'drops a chunk in the middle',
    codes: ['CHUNK_OUT_OF_ORDER', 'CHUNK_NOT_OPENED'],
    change: ({ nonce, chunks }) => joinAnswer({ nonce, chunks: chunks.filter((_, index) => index !== 1) }),
  },
  {
    name: 'repeats a chunk',
    codes: ['CHUNK_REPEATED'],
    change: ({ nonce, chunks }) => joinAnswer({ nonce, chunks: chunks.flatMap((c, i) => (i === 1 ? [c, c] : [c])) }),
  },
  {
    name: 'swaps two chunks',
    codes: ['CHUNK_OUT_OF_ORDER'],
    change: ({ nonce, chunks: [a, b, c, ...rest] }) =>
      joinAnswer({ nonce, chunks: [a, c, b, ...rest].filter((chunk) => chunk !== undefined) }),
  },
  {
    name: 'appends bytes',
    codes: ['RESPONSE_OVERRUN'],
    change: (parts) => Uint8Array.from([...joinAnswer(parts), 0]),
  },
  {
    name: 'cuts inside a chunk',
    codes: ['RESPONSE_TRUNCATED'],
    change: (parts) => joinAnswer(parts).subarray(0, 500),
  },
  { name: 'answers with nothing', codes: ['RESPONSE_TRUNCATED'], change: () => new Uint8Array() },
  { name: 'changes the nonce', codes: ['RESPONSE_FOREIGN'], change: (parts) => flipped(joinAnswer(parts), 5) },
  {
    name: 'changes the head',
    codes: ['RESPONSE_FOREIGN'],
    change: ({ nonce, chunks: [head, ...rest] }) =>
      joinAnswer({ nonce, chunks: [flipped(head ?? new Uint8Array(), 20), ...rest] }),
  },
  {
    name: 'changes the body',
    codes: ['CHUNK_NOT_OPENED'],
    change: ({ nonce, chunks }) =>
      joinAnswer({ nonce, chunks: chunks.map((chunk, index) => (index === 1 ? flipped(chunk, 40, 7) : chunk)) }),
  },
  {
    name: 'changes the receipt',
    codes: ['CHUNK_NOT_OPENED'],
    change: ({ nonce, chunks }) =>
      joinAnswer({ nonce, chunks: [...chunks.slice(0, -1), flipped(chunks.at(-1) ?? new Uint8Array(), 90)] }),
  },
  {
    name: 'announces a chunk of a gigabyte',
    codes: ['CHUNK_TOO_LARGE'],
    change: ({ nonce }) => Uint8Array.from([...nonce, 0x3f, 0xff, 0xff, 0xff]),
  },
  {
    name: 'announces a chunk of nothing',
    codes: ['CHUNK_MALFORMED'],
    change: ({ nonce }) => Uint8Array.from([...nonce, 0, 0, 0, 0]),
  },
];

/** The hostile gateway, pinned to one worker so that its runs can be counted. */
type Stage = {
  readonly gateway: HostileGateway;
  /** A client that knows only the hostile gateway, and has no cache. */
  readonly fresh: () => CloisterClient;
  readonly call: (client?: CloisterClient) => Promise<CallResult>;
  /** How often the function ran at that worker. */
  readonly runs: () => Promise<number>;
  /** Another worker that is connected to the real gateway. */
  readonly otherId: string;
  readonly note: (line: string) => void;
};

export const scenario: Scenario = {
  title:
    'A gateway that changes, swaps, replays, cuts or holds back what it carries is found out, and nothing runs twice',
  async run({ network: start, note }) {
    const network = await start();
    const { app } = await deployFunction(network, 'transit-counter', counterSource);
    const gateway = await HostileGateway.start(network.network.gateways[0] ?? '');
    try {
      const [workerId = '', otherId = ''] = (await clientOf(network).workers()).map((w) => w.announcement.workerId);
      gateway.offerOnly(workerId);
      const fresh = () => clientOf(network, { gateways: [gateway.url] });
      const call = (client = fresh()) => client.call(app, { path: '/?size=2000' });
      const runs = async () => Number(textOf(await fresh().call(app, { path: '/runs' })));
      const stage: Stage = { gateway, fresh, call, runs, otherId, note };

      assert.match(textOf(await call()), /^run 1: x{2000}$/);
      await changesAnswers(stage);
      await changesRequests(stage);
      await replaysAndSwaps(stage);
      await breaksOnce(stage);

      note('the gateway drops the last chunk of a streamed answer');
      await gateway.during({ answer: onCalls(dropLast) }, async () => {
        const response = await fresh().fetchFor(app)('https://app.invalid/?size=2000');
        assert.equal(response.status, 200);
        await refusedWith('CALL_ANSWER_INCOMPLETE', response.text());
      });

      note('the gateway holds the answer back');
      const held = Promise.withResolvers<void>();
      const wait = async (real: Answered, request: Relayed): Promise<Answered> => {
        if (isCall(request)) await held.promise;
        return real;
      };
      await gateway.during({ answer: wait }, () =>
        refusedWith('DEADLINE_EXCEEDED', fresh().call(app, {}, { timeoutMs: 1_500 })),
      );
      held.resolve();
      assert.equal((await call()).outcome, 'ok');
    } finally {
      await gateway.stop();
    }
  },
};

async function changesAnswers({ gateway, call, note, runs }: Stage): Promise<void> {
  const before = await runs();
  for (const { name, codes, change } of tamperedAnswers) {
    note(`the gateway ${name}`);
    const answer = onCalls((real) => ({ ...real, body: change(splitAnswer(real.body)) }));
    await gateway.during({ answer }, () => refusedWith(codes, call()));
  }
  // Each call ran once, however often its answer was asked for.
  assert.equal(await runs(), before + tamperedAnswers.length);

  const instead: readonly Answered[] = [
    { status: 200, headers: { 'content-type': 'text/html' }, body: Buffer.from('<h1>run 7</h1>') },
    { status: 404, headers: {}, body: new Uint8Array() },
    { status: 302, headers: { location: 'http://127.0.0.1:1/' }, body: new Uint8Array() },
  ];
  for (const answer of instead) {
    note(`the gateway answers ${answer.status} in place of the worker`);
    await gateway.during({ request: (request) => (isCall(request) ? answer : request) }, () =>
      refusedWith(answer.status === 302 ? 'CALL_CONNECTION_LOST' : 'CALL_NOT_DELIVERED', call()),
    );
  }
}

/** Requests that arrive changed, or at another worker, are refused by the worker, and never run. */
async function changesRequests({ gateway, call, note, runs, otherId }: Stage): Promise<void> {
  const before = await runs();
  // Key id, suite, encapsulated key, ciphertext, tag.
  for (const at of [0, 1, 6, 7, 38, 39, 200, -1]) {
    note(`the gateway changes byte ${at} of the request`);
    const change = (request: Relayed): Relayed =>
      isCall(request)
        ? { ...request, body: flipped(request.body, at < 0 ? request.body.length + at : at, 3) }
        : request;
    await gateway.during({ request: change }, () => refusedWith('CALL_KEY_REFUSED', call()));
  }
  note('the gateway cuts the request');
  const cut = (request: Relayed): Relayed =>
    isCall(request) ? { ...request, body: request.body.subarray(0, -16) } : request;
  // Shorter than any request can be: the worker says so without trying a key.
  await gateway.during({ request: cut }, () => refusedWith('CALL_NOT_DELIVERED', call()));

  note('the gateway brings the request to another worker');
  const swap = (request: Relayed): Relayed =>
    isCall(request) ? { ...request, path: `/v1/workers/${otherId}/call` } : request;
  await gateway.during({ request: swap }, () => refusedWith('CALL_KEY_REFUSED', call()));
  assert.equal(await runs(), before, 'a changed request must not run');
}

/** Answers and requests of before, in the place of those of now. */
async function replaysAndSwaps({ gateway, call, fresh, note, runs }: Stage): Promise<void> {
  note('the gateway answers with the answer to an earlier call');
  gateway.forget();
  await call();
  const [earlier] = gateway.calls;
  assert.ok(earlier !== undefined);
  await gateway.during({ request: (request) => (isCall(request) ? earlier.answer : request) }, () =>
    refusedWith('RESPONSE_FOREIGN', call()),
  );

  note('the gateway answers two calls crosswise');
  const met: Relayed[] = [];
  const both = Promise.withResolvers<void>();
  const cross = async (request: Relayed): Promise<Relayed> => {
    if (!isCall(request)) return request;
    met.push(request);
    if (met.length === 2) both.resolve();
    await both.promise;
    return met.find((other) => other !== request) ?? request;
  };
  await gateway.during({ request: cross }, () =>
    Promise.all([call(fresh()), call(fresh())].map((crossed) => refusedWith('RESPONSE_FOREIGN', crossed))),
  );

  note('the gateway sends the same sealed request again');
  gateway.forget();
  await call();
  const sent = gateway.calls[0]?.request;
  assert.ok(sent !== undefined);
  const before = await runs();
  for (const _attempt of [1, 2, 3]) {
    const { status, headers, body } = await gateway.send(sent);
    const problem = await problemIn(new Response(body as Uint8Array<ArrayBuffer>, { status, headers }));
    assert.deepEqual([problem.status, problem.type], [400, 'urn:cloister:problem:replayed']);
  }
  assert.equal(await runs(), before, 'a replayed request must not run');
}

/** What breaks once is repaired by asking the same worker: it gives the answer that it kept. */
async function breaksOnce({ gateway, call, note, runs }: Stage): Promise<void> {
  const breaks: readonly { readonly name: string; readonly change: (real: Answered) => Answered }[] = [
    { name: 'cuts the connection in mid-answer', change: (real) => ({ ...real, cutAfter: 900 }) },
    { name: 'cuts it before the first byte', change: (real) => ({ ...real, cutAfter: 0 }) },
    { name: 'drops the last chunk', change: dropLast },
    { name: 'answers 502 in its place', change: () => ({ status: 502, headers: {}, body: new Uint8Array() }) },
  ];
  for (const { name, change } of breaks) {
    note(`the gateway once ${name}`);
    const before = await runs();
    let broken = false;
    const once = onCalls((real) => {
      if (broken) return real;
      broken = true;
      return change(real);
    });
    await gateway.during({ answer: once }, async () => {
      const result = await call();
      const [first, second, ...more] = gateway.calls;
      assert.ok(first !== undefined && second !== undefined && more.length === 0, `${gateway.calls.length} calls`);
      assert.notDeepEqual(second.request.body, first.request.body, 'the repeated request is sealed anew');
      // The receipt is that of the first attempt: it ran once.
      assert.equal(result.receipt.receipt.requestHash, toHex(keccak256(first.request.body)));
      assert.match(textOf(result), new RegExp(`^run ${before + 1}: x{2000}$`));
    });
    assert.equal(await runs(), before + 1);
  }

  note('the gateway once claims that the key is outdated');
  let refused = false;
  const refuse = (request: Relayed): Relayed | Answered => {
    if (refused || !isCall(request)) return request;
    refused = true;
    const type = 'https://iana.org/assignments/http-problem-types#ohttp-key';
    const body = Buffer.from(JSON.stringify({ type, title: 'The key is unknown', status: 400 }));
    return { status: 400, headers: { 'content-type': 'application/problem+json' }, body };
  };
  await gateway.during({ request: refuse }, async () => {
    assert.equal((await call()).outcome, 'ok');
    assert.equal(gateway.calls.length, 2);
  });
}

const dropLast = (real: Answered): Answered => {
  const { nonce, chunks } = splitAnswer(real.body);
  return { ...real, body: joinAnswer({ nonce, chunks: chunks.slice(0, -1) }) };
};

function onCalls(change: (real: Answered) => Answered): (real: Answered, request: Relayed) => Answered {
  return (real, request) => (isCall(request) ? change(real) : real);
}
