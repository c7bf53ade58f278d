// What runs in the browser: the SDK and OpenAI's client as they are, and the network file that stands in the page.
import { CloisterError, createClient, type Hex } from '@cloister/sdk';
import OpenAI from 'openai';
import type { AppAt, BrowserPage, Chat, Failure } from './pageApi.ts';

const network: object = JSON.parse(document.getElementById('network')?.textContent ?? '');
const question = {
  model: 'tiny',
  messages: [{ role: 'user' as const, content: 'tell me about the river' }],
  ...{ seed: 7, temperature: 1, max_tokens: 24 },
};

/** A client of the page's own network, by way of another gateway where one is given. */
function client({ gateway }: { readonly gateway?: string | undefined } = {}) {
  return createClient({ network, ...(gateway === undefined ? {} : { gateways: [gateway] }) });
}

function openaiOf(at: AppAt): OpenAI {
  return new OpenAI({
    ...{ baseURL: 'https://app.invalid/v1', apiKey: 'none', dangerouslyAllowBrowser: true, maxRetries: 0 },
    fetch: client(at).fetchFor(at.app),
  });
}

const page: BrowserPage = {
  surroundings: async () => ({ isSecureContext, origin: location.origin }),

  workers: (at) =>
    outcome(async () => {
      const listed = await client(at).workers();
      return listed.map(({ announcement, refusal }) => ({
        workerId: announcement.workerId,
        refusal: refusal && { code: refusal.code, step: refusal.steps.at(-1)?.id ?? '' },
      }));
    }),

  call: (at) =>
    outcome(async () => {
      const cloister = client(at);
      const result = await cloister.call(at.app, { path: at.path ?? '/' });
      const proof = cloister.proof(result, { answer: true });
      const { ok, steps } = await cloister.verify(proof);
      return {
        outcome: result.outcome,
        text: new TextDecoder().decode(result.body),
        steps: result.steps.map(({ id, ok }) => ({ id, ok })),
        proof,
        verified: { ok, steps: steps.map(({ id, ok }) => ({ id, ok })) },
      };
    }),

  chat: (at) =>
    outcome(async (): Promise<Chat> => {
      const openai = openaiOf(at);
      const models = (await openai.models.list()).data.map(({ id }) => id);
      const whole = await openai.chat.completions.create(question);
      return { models, text: whole.choices[0]?.message.content ?? '' };
    }),

  chatStreamed: (at) =>
    outcome(async () => {
      const pieces: string[] = [];
      for await (const chunk of await openaiOf(at).chat.completions.create({ ...question, stream: true }))
        pieces.push(chunk.choices[0]?.delta.content ?? '');
      return { pieces };
    }),

  streamBody: (at) =>
    outcome(async () => {
      const parts = ['one ', 'two ', 'three'];
      const body = new ReadableStream<Uint8Array>({
        pull(controller) {
          const part = parts.shift();
          if (part === undefined) controller.close();
          else controller.enqueue(new TextEncoder().encode(part));
        },
      });
      const init = { method: 'POST', body, duplex: 'half' } as RequestInit;
      return (await client(at).fetchFor(at.app)('https://app.invalid/echo', init)).text();
    }),

  firstPart: (at) =>
    outcome(async () => {
      const response = await client(at).fetchFor(at.app)(`https://app.invalid${at.path}`);
      const reader = response.body?.getReader();
      const first = await reader?.read();
      await reader?.cancel();
      return new TextDecoder().decode(first?.value);
    }),

  talk: (at, words) =>
    outcome(async () => {
      const socket = client(at).connectWebSocket(at.app, '/socket');
      const heard: string[] = [];
      const left = [...words];
      const next = () => {
        const word = left.shift();
        if (word === undefined) socket.close(1000);
        else socket.send(word);
      };
      socket.onopen = next;
      socket.onmessage = ({ data }) => {
        heard.push(String(data));
        next();
      };
      await new Promise((resolve) => {
        socket.onclose = resolve;
      });
      return { heard, receipt: (await socket.receipt)?.outcome };
    }),

  deploy: (key, name, source, secrets) =>
    outcome(async () => {
      const code = new TextEncoder().encode(source);
      return (await client().deploy({ account: key as Hex, code, name, secrets })).app;
    }),
};

/** What came of it, as JSON: errors by the code of the first of ours among their causes, as the SDK of somebody else wraps them. */
async function outcome<T>(work: () => Promise<T>): Promise<T | Failure> {
  try {
    return await work();
  } catch (error) {
    const message = error instanceof Error ? error.message : String(error);
    for (let cause: unknown = error; cause instanceof Error; cause = cause.cause)
      if (cause instanceof CloisterError) return { code: cause.code, message: cause.message };
    return { code: null, message };
  }
}

Object.assign(globalThis, { page });
