import assert from 'node:assert/strict';
import fs from 'node:fs';
import path from 'node:path';
import type { Bytes32 } from '@cloister/core';
import OpenAI from 'openai';
import { tinyModel } from '../../examples/chat/tinyModel.ts';
import type { RunningDevnet } from '../devnet.ts';
import type { AppAt, BrowserPage, Failure } from '../page/pageApi.ts';
import type { Scenario } from '../scenario.ts';
import { accountsOf } from '../support/accounts.ts';
import { clientOf, deployFunction } from '../support/apps.ts';
import { openChromium, type Tab } from '../support/chromium.ts';
import { type Answered, HostileGateway, isCall, type Relayed } from '../support/hostileGateway.ts';
import { leaksIn } from '../support/leaks.ts';
import { servePage } from '../support/pageServer.ts';
import { cloisterJson } from '../support/programs.ts';
import { flipped, joinAnswer, splitAnswer } from '../support/sealedAnswer.ts';

/** Greets; "/echo" gives back what it is sent; "/endless" answers a part and no more; "/socket" says everything again. */
const source = `
export default {
  async fetch(request) {
    const { pathname, searchParams } = new URL(request.url);
    if (pathname === '/echo') return new Response(request.body);
    if (pathname === '/endless')
      return new Response(new ReadableStream({ start: (controller) => controller.enqueue(new TextEncoder().encode('one')) }));
    if (pathname === '/socket') {
      const [client, server] = Object.values(new WebSocketPair());
      server.accept();
      server.addEventListener('message', ({ data }) => server.send('again: ' + data));
      return new Response(null, { status: 101, webSocket: client });
    }
    return new Response('Hello, ' + searchParams.get('name') + '!' + ' '.repeat(2000));
  },
};`;

/** Tells its secret to those who give their name. */
const tellingSource = `
export default {
  async fetch(request, env) {
    return new Response(new URL(request.url).searchParams.get('name') + ': ' + env.WORD);
  },
};`;

const secretName = 'Ada of the quiet river';
/** A name that is loopback to this browser and to nobody else: pages from there have no secure context. */
const insecureHost = 'page.example';

/** The page in its tab, and the gateway that it is sent to where that may lie. */
type Stage = {
  readonly network: RunningDevnet;
  readonly tab: Tab;
  readonly hostile: HostileGateway;
  /** The function, and what to ask of it. */
  readonly at: AppAt;
  readonly note: (line: string) => void;
};

export const scenario: Scenario = {
  title:
    'A page in a real browser verifies, calls, streams and chats by itself, and refuses what a gateway has changed',
  engines: true,
  onlyLong: true,
  timeoutMs: 240_000,
  async run({ network: start, folder, signal, note }) {
    await using stack = new AsyncDisposableStack();
    const browser = await openChromium([`--host-resolver-rules=MAP ${insecureHost} 127.0.0.1`]);
    stack.defer(() => browser.close());
    signal.addEventListener('abort', () => void browser.close(), { once: true });
    const network = await start();
    const hostile = await HostileGateway.start(network.network.gateways[0] ?? '');
    stack.defer(() => hostile.stop());
    const { generation } = await clientOf(network).committee.status(signal);
    const gatekeepers = generation.members.map(({ endpoint }) => endpoint);
    const reach = [...network.network.gateways, ...network.network.rpcs, ...gatekeepers, hostile.url];
    const server = await servePage(path.join(folder, 'page'), { network: network.network, reach });
    stack.defer(() => server.stop());
    note(`Chromium ${browser.version()}, a page of ${server.bundleBytes} bytes`);
    const origin = `http://localhost:${server.port}`;
    const { tab, complaints, asked } = await openTab(await browser.newPage(), origin);
    assert.deepEqual(await ask(tab, 'surroundings'), { isSecureContext: true, origin });
    const { app } = await deployFunction(network, 'page-function', source);
    const at = { app, path: `/?name=${encodeURIComponent(secretName)}` };
    const stage = { network, tab, hostile, at, note };

    await callsAndProves(stage);
    await streamsAndTalks(stage);
    await deploysWithSecrets(stage, gatekeepers, asked);
    const model = await deployTinyModel(network, folder, signal);
    await chats(stage, model);
    await tellsGatewaysNothing(stage);
    await refusesChanges(stage, model);

    note('it asked nothing of anybody whom its policy does not name, and the browser had no complaint');
    const elsewhere = asked.filter((url) => ![origin, ...reach].some((known) => url.startsWith(`${known}/`)));
    assert.deepEqual([...new Set(elsewhere)], []);
    assert.equal(complaints.join('\n'), '');

    note('a gateway that does not let pages of other origins read its answers is of no use to them');
    await hostile.during({ answer: withoutPermission }, async () =>
      refused('CALL_NO_WORKER', await ask(tab, 'call', { ...at, gateway: hostile.url })),
    );
    assert.ok(
      complaints.some((text) => text.includes('blocked by CORS policy')),
      'the browser allowed it: were its rules off?',
    );

    note('a page that is no secure context is refused by name, and asks nothing');
    const insecure = await openTab(await browser.newPage(), `http://${insecureHost}:${server.port}`);
    assert.equal((await ask(insecure.tab, 'surroundings')).isSecureContext, false);
    refused('CLIENT_NO_WEBCRYPTO', await ask(insecure.tab, 'call', at));
    assert.deepEqual(
      insecure.asked.filter((url) => !url.startsWith(`http://${insecureHost}:`)),
      [],
    );
  },
};

async function callsAndProves({ network, tab, at, note }: Stage): Promise<void> {
  note('a call, its receipt, and its proof, verified in the page and outside');
  const called = held(await ask(tab, 'call', at));
  assert.deepEqual([called.outcome, called.text.trim()], ['ok', `Hello, ${secretName}!`]);
  assert.ok(called.steps.length > 10 && called.steps.every(({ ok }) => ok), JSON.stringify(called.steps));
  assert.ok(called.verified.ok, JSON.stringify(called.verified.steps));
  const proven = await clientOf(network).verify(called.proof);
  assert.deepEqual([proven.ok, proven.outcome], [true, 'ok']);
}

async function streamsAndTalks({ tab, at: { app }, note }: Stage): Promise<void> {
  note('a session, and streams both ways');
  const talk = held(await ask(tab, 'talk', { app }, ['one', 'two']));
  assert.deepEqual(talk, { heard: ['again: one', 'again: two'], receipt: 'ok' });
  assert.equal(held(await ask(tab, 'streamBody', { app })), 'one two three');
  // It is here though there is no end to come.
  assert.equal(held(await ask(tab, 'firstPart', { app, path: '/endless' })), 'one');
}

async function deploysWithSecrets(
  { network, tab, at, note }: Stage,
  gatekeepers: readonly string[],
  asked: readonly string[],
): Promise<void> {
  note('a deployment with a secret, and a call at the host that gatekeepers draw for it');
  const { developer } = accountsOf(network);
  const secrets = { WORD: 'quiet' };
  const app = held(await ask(tab, 'deploy', developer.privateKey, 'page-deployed', tellingSource, secrets));
  assert.equal(held(await ask(tab, 'call', { ...at, app })).text, `${secretName}: quiet`);
  assert.ok(
    asked.some((url) => gatekeepers.some((member) => url.startsWith(`${member}/`))),
    'no gatekeeper was asked for its randomness',
  );
}

async function chats({ network, tab, note }: Stage, model: Bytes32): Promise<void> {
  note('OpenAI’s own client in the page, whole and streamed');
  const chat = held(await ask(tab, 'chat', { app: model }));
  const fetch = clientOf(network).fetchFor(model);
  const outside = await chatOf(new OpenAI({ baseURL: 'https://app.invalid/v1', apiKey: 'none', fetch }));
  assert.deepEqual([chat.models, chat.text], [['tiny'], outside]);
  const { pieces } = held(await ask(tab, 'chatStreamed', { app: model }));
  assert.equal(pieces.join(''), outside);
}

async function tellsGatewaysNothing({ tab, hostile, at, note }: Stage): Promise<void> {
  note('what a gateway sees of a page: neither question nor answer, and nothing that the browser knows of its user');
  await hostile.during({}, async () => {
    assert.equal(held(await ask(tab, 'call', { ...at, gateway: hostile.url })).outcome, 'ok');
    assert.equal(hostile.calls.filter(({ request }) => request.method === 'POST').length, 1);
    const passed = hostile.exchanges.flatMap(({ request, answer }) => [
      Buffer.from(JSON.stringify([request.path, request.headers, answer.headers])),
      ...[request.body, answer.body].map((bytes) => Buffer.from(bytes)),
    ]);
    assert.deepEqual(leaksIn(Buffer.concat(passed), { name: secretName }), []);
    const credentials = hostile.exchanges.flatMap(({ request: { headers }, answer }) => [
      ...Object.keys(headers).filter((name) => name === 'cookie' || name === 'authorization'),
      ...Object.keys(answer.headers).filter((name) => name === 'access-control-allow-credentials'),
    ]);
    assert.deepEqual(credentials, []);
    assert.ok(
      hostile.exchanges.some(({ request }) => request.method === 'OPTIONS'),
      'the browser asked for no permission: were its rules off?',
    );
  });
}

async function refusesChanges({ tab, hostile, at, note }: Stage, model: Bytes32): Promise<void> {
  const gateway = hostile.url;
  note('a gateway that changes a byte of the evidence');
  await hostile.during({ answer: changedEvidence }, async () => {
    const workers = held(await ask(tab, 'workers', { gateway }));
    assert.ok(workers.length > 0);
    for (const { refusal } of workers) assert.deepEqual(refusal, { code: 'WORKER_EVIDENCE_REFUSED', step: 'evidence' });
    refused('CALL_NO_WORKER', await ask(tab, 'call', { ...at, gateway }));
    assert.equal(hostile.sealed.length, 0, 'something was sealed and sent');
  });

  note('a gateway that changes a byte of an answer, or answers in the worker’s place');
  await hostile.during({ answer: onCalls(changedBody) }, async () =>
    refused('CHUNK_NOT_OPENED', await ask(tab, 'call', { ...at, gateway })),
  );
  await hostile.during({ answer: onCalls((real) => ({ ...real, body: Buffer.from('Hello') })) }, async () =>
    refused('RESPONSE_TRUNCATED', await ask(tab, 'call', { ...at, gateway })),
  );

  note('a gateway that keeps the receipt of a streamed chat back, whose last event came before it');
  await hostile.during({ answer: onCalls(withoutEnd) }, async () =>
    refused('CALL_ANSWER_INCOMPLETE', await ask(tab, 'chatStreamed', { app: model, gateway })),
  );
}

/** A tab with the page in it, what it complained of, and every URL that it asked for. */
async function openTab(tab: Tab, url: string) {
  const complaints: string[] = [];
  const asked: string[] = [];
  tab.on('console', (message) => {
    // An answer's status is the SDK's to judge: a gatekeeper that has no such round yet says 503, and is asked again.
    const isStatus = /the server responded with a status of/.test(message.text());
    if (message.type() === 'error' && !isStatus) complaints.push(message.text());
  });
  tab.on('pageerror', (error) => void complaints.push(error.message));
  tab.on('request', (request) => void asked.push(request.url()));
  await tab.goto(url);
  return { tab, complaints, asked };
}

/** Has the page do something, and answers what came of it there. */
function ask<K extends keyof BrowserPage>(
  tab: Tab,
  what: K,
  ...args: Parameters<BrowserPage[K]>
): Promise<Awaited<ReturnType<BrowserPage[K]>>> {
  return tab.evaluate(
    ([name, given]) => {
      const { page } = globalThis as unknown as { page: Record<string, (...given: unknown[]) => unknown> };
      return page[name]?.(...given);
    },
    [what, args] as const,
  ) as Promise<Awaited<ReturnType<BrowserPage[K]>>>;
}

function isFailure(answer: unknown): answer is Failure {
  return typeof answer === 'object' && answer !== null && 'code' in answer && 'message' in answer;
}

function held<T>(answer: T): Exclude<T, Failure> {
  if (isFailure(answer)) assert.fail(`In the page: ${answer.code} ${answer.message}`);
  return answer as Exclude<T, Failure>;
}

function refused(code: string, answer: unknown): void {
  if (!isFailure(answer)) assert.fail(`Expected ${code}, got ${JSON.stringify(answer).slice(0, 300)}`);
  assert.equal(answer.code, code, answer.message);
}

async function chatOf(openai: OpenAI): Promise<string> {
  const messages = [{ role: 'user' as const, content: 'tell me about the river' }];
  const sampling = { seed: 7, temperature: 1, max_tokens: 24 };
  const { choices } = await openai.chat.completions.create({ model: 'tiny', messages, ...sampling });
  return choices[0]?.message.content ?? '';
}

async function deployTinyModel(network: { readonly file: string }, folder: string, signal: AbortSignal) {
  fs.writeFileSync(path.join(folder, 'tiny.gguf'), tinyModel());
  const limits = ['--context-tokens', '2048', '--max-tokens', '64'];
  const deploy = ['deploy', 'tiny.gguf', '--network', network.file, ...limits];
  const { code, json } = await cloisterJson<{ app: Bytes32 }>(deploy, folder, signal);
  assert.equal(code, 0, JSON.stringify(json));
  return json.app;
}

/** Every worker's quote with one bit changed; all else stays as the real gateway said it, its headers for browsers too. */
function changedEvidence(real: Answered, { path: asked, method }: Relayed): Answered {
  if (method !== 'GET' || !/^\/v1\/workers(\?|\/0x[0-9a-f]{64}$|$)/.test(asked) || real.status !== 200) return real;
  const text = Buffer.from(real.body).toString('utf8');
  const changed = text.replaceAll(/("quote":")([A-Za-z0-9+/=]+)/g, (_, before: string, quote: string) => {
    const bytes = Uint8Array.from(Buffer.from(quote, 'base64'));
    return before + Buffer.from(flipped(bytes, 300)).toString('base64');
  });
  assert.notEqual(changed, text, 'there was no evidence to change');
  return { ...real, body: Buffer.from(changed) };
}

function onCalls(change: (real: Answered) => Answered): (real: Answered, request: Relayed) => Answered {
  return (real, request) => (isCall(request) && request.method === 'POST' && real.status === 200 ? change(real) : real);
}

/** As a gateway would answer that knows of no other origins. */
function withoutPermission(real: Answered): Answered {
  const kept = Object.entries(real.headers).filter(([name]) => !name.startsWith('access-control-'));
  return { ...real, headers: Object.fromEntries(kept) };
}

function changedBody(real: Answered): Answered {
  const { nonce, chunks } = splitAnswer(real.body);
  return {
    ...real,
    body: joinAnswer({ nonce, chunks: chunks.map((one, at) => (at === 1 ? flipped(one, 40, 7) : one)) }),
  };
}

function withoutEnd(real: Answered): Answered {
  const { nonce, chunks } = splitAnswer(real.body);
  return { ...real, body: joinAnswer({ nonce, chunks: chunks.slice(0, -1) }) };
}
