import { maxServiceRequestBytes } from '../door/serviceDoor.ts';
import { guestSource } from './guestSource.ts';

/** Under which name of its environment a tenant's isolate holds the door: no constant or secret can be called so. */
export const doorBinding = 'cloister door';

/**
 * Runs in the tenant's isolate, around a handler that is given services or runs by schedule: makes `ctx.state`, `ctx.call`, `ctx.chain` and
 * `ctx.guest` of requests through the door, and calls `scheduled` for requests that are such runs. It guards nothing, as the code beside it can send such requests too; what may be asked is judged at the door's other side.
 */
export const servicesSource = `
import app from 'app.js';

const text = new TextEncoder();
const plain = new TextDecoder();
const maxTries = 10;
const tooLarge = {
  code: 'SERVICE_LIMIT',
  message: 'A request to the services of the worker has at most "${maxServiceRequestBytes}" bytes',
  retry: false,
};
// Fewer than the door lets in, so that an orderly handler's requests wait here rather than being refused there.
const maxAtOnce = 16;
let atOnce = 0;
const waiting = [];

export default {
  fetch(request, env, ctx) {
    const { ['${doorBinding}']: door, ...own } = env;
    const { invocation, services, scheduled } = ctx.props;
    const method = scheduled === null ? 'fetch' : 'scheduled';
    if (typeof app?.[method] !== 'function')
      throw new TypeError(
        'The default export of an app that is given services or has schedules is an object with a method "' + method + '"',
      );
    const ask = asker(door, invocation);
    const given = { waitUntil: (promise) => ctx.waitUntil(promise), passThroughOnException() {} };
    if (services.includes('state')) given.state = partition(ask, 0);
    if (services.includes('call')) given.call = caller(ask);
    if (services.includes('chain')) given.chain = chain(ask);
    if (services.includes('account')) given.chain = { ...given.chain, ...account(ask) };
    if (services.includes('guest')) given.guest = guest(ask);
    return scheduled === null ? app.fetch(request, own, given) : runScheduled(scheduled, own, given);
  },
};

// What it leaves going belongs to the run: its services are there until the answer.
async function runScheduled(event, env, given) {
  const going = [];
  given.waitUntil = (promise) => void going.push(promise);
  await app.scheduled({ type: 'scheduled', ...event }, env, given);
  for (let next = going.shift(); next !== undefined; next = going.shift()) await next;
  return new Response(null, { status: 204 });
}

class ServiceError extends Error {
  constructor({ code, message, retry }) {
    super(message);
    this.name = 'ServiceError';
    this.code = code;
    this.retry = retry;
  }
}

function asker(door, invocation) {
  return async (name, head, ...values) => {
    const json = text.encode(JSON.stringify(head));
    const length = values.reduce((sum, value) => sum + value.length, 4 + json.length);
    // The door would hang up while the rest is on its way, and why could not be told.
    if (length > ${maxServiceRequestBytes}) throw new ServiceError(tooLarge);
    const body = new Uint8Array(length);
    new DataView(body.buffer).setUint32(0, json.length);
    let offset = 4;
    for (const part of [json, ...values]) {
      body.set(part, offset);
      offset += part.length;
    }
    const headers = { 'cloister-invocation': invocation };
    const { status, bytes } = await inTurn(() => send(door, name, { method: 'POST', headers, body }));
    if (status !== 200) throw new ServiceError(JSON.parse(plain.decode(bytes)));
    const end = 4 + new DataView(bytes.buffer).getUint32(0);
    return { ...JSON.parse(plain.decode(bytes.subarray(4, end))), bytes: bytes.slice(end) };
  };
}

async function send(door, name, request) {
  try {
    const answer = await door.fetch('http://door.invalid/' + name, request);
    return { status: answer.status, bytes: new Uint8Array(await answer.arrayBuffer()) };
  } catch {
    const message = 'The connection to the services of the worker broke off: what was asked may have been done';
    throw new ServiceError({ code: 'SERVICE_LOST', message, retry: false });
  }
}

async function inTurn(work) {
  if (atOnce >= maxAtOnce) await new Promise((resolve) => waiting.push(resolve));
  else atOnce += 1;
  try {
    return await work();
  } finally {
    // Its place goes to the next one directly.
    const next = waiting.shift();
    if (next === undefined) atOnce -= 1;
    else next();
  }
}

function partition(ask, number) {
  const at = { partition: number };
  return {
    partition: (other) => partition(ask, other),
    async get(key, type) {
      const { found, bytes } = await ask('state.get', { ...at, key });
      return found ? shaped(bytes, type) : undefined;
    },
    async list(prefix = '', { after = '', limit = 1000 } = {}) {
      return (await ask('state.list', { ...at, prefix, after, limit })).keys;
    },
    async put(key, value) {
      const bytes = asBytes(value);
      await ask('state.commit', { ...at, read: [], listed: [], changes: [{ key, length: bytes.length }] }, bytes);
    },
    async delete(key) {
      await ask('state.commit', { ...at, read: [], listed: [], changes: [{ key, length: null }] });
    },
    async transaction(work) {
      for (let tries = 1; ; tries += 1) {
        const inside = new Transaction(ask, at);
        const result = await work(inside);
        try {
          await inside.commit();
          return result;
        } catch (error) {
          if (error?.code !== 'STATE_CHANGED' || tries === maxTries) throw error;
          await new Promise((resolve) => setTimeout(resolve, Math.random() * 5 * 2 ** tries));
        }
      }
    },
  };
}

class Transaction {
  #ask;
  #at;
  #read = new Map();
  #listed = [];
  #changes = new Map();
  #isOver = false;

  constructor(ask, at) {
    this.#ask = ask;
    this.#at = at;
  }

  async get(key, type) {
    this.#assertNotOver();
    if (this.#changes.has(key)) {
      const changed = this.#changes.get(key);
      return changed === undefined ? undefined : shaped(changed.slice(), type);
    }
    let known = this.#read.get(key);
    if (known === undefined) {
      const { found, tag, bytes } = await this.#ask('state.get', { ...this.#at, key });
      known = { tag, value: found ? bytes : undefined };
      this.#read.set(key, known);
    }
    return known.value === undefined ? undefined : shaped(known.value.slice(), type);
  }

  async list(prefix = '', { after = '', limit = 1000 } = {}) {
    this.#assertNotOver();
    const wanted = { prefix, after, limit };
    const { keys, tag } = await this.#ask('state.list', { ...this.#at, ...wanted });
    this.#listed.push({ ...wanted, tag });
    // What this transaction has changed itself shows, as far as the list goes.
    const last = keys.length < limit ? undefined : keys.at(-1);
    const seen = new Set(keys);
    for (const [key, value] of this.#changes) {
      if (!key.startsWith(prefix) || !(key > after) || (last !== undefined && key > last)) continue;
      if (value === undefined) seen.delete(key);
      else seen.add(key);
    }
    return [...seen].sort((left, right) => (left < right ? -1 : 1)).slice(0, limit);
  }

  put(key, value) {
    this.#assertNotOver();
    if (typeof key !== 'string') throw new TypeError('A key is a string');
    this.#changes.set(key, asBytes(value));
  }

  delete(key) {
    this.#assertNotOver();
    if (typeof key !== 'string') throw new TypeError('A key is a string');
    this.#changes.set(key, undefined);
  }

  async commit() {
    this.#isOver = true;
    const changes = [...this.#changes];
    const head = {
      ...this.#at,
      read: [...this.#read].map(([key, { tag }]) => ({ key, tag })),
      listed: this.#listed,
      changes: changes.map(([key, value]) => ({ key, length: value === undefined ? null : value.length })),
    };
    await this.#ask('state.commit', head, ...changes.flatMap(([, value]) => (value === undefined ? [] : [value])));
  }

  #assertNotOver() {
    if (this.#isOver) throw new ServiceError({ code: 'STATE_CLOSED', message: 'The transaction is over', retry: false });
  }
}

function caller(ask) {
  return async (to, input = '/', init) => {
    const url = new URL(typeof input === 'string' ? input : input.url, 'http://app.cloister.invalid');
    const request = new Request(typeof input === 'string' ? url : input, init);
    const body = new Uint8Array(await request.arrayBuffer());
    const head = { app: to, method: request.method, path: url.pathname + url.search, headers: [...request.headers] };
    const { status, headers, bytes } = await ask('call.call', head, body);
    return new Response([204, 205, 304].includes(status) ? null : bytes, { status, headers });
  };
}

function chain(ask) {
  const only = async (name, head) => {
    const { bytes, ...answer } = await ask(name, head);
    return answer;
  };
  return {
    block: () => only('chain.block', {}),
    call: ({ to, data = '0x' }) => only('chain.call', { to, data }),
    balance: (account) => only('chain.balance', { account }),
  };
}

function account(ask) {
  return {
    account: async () => (await ask('account.address', {})).address,
    async send({ to, data = '0x', value = '0', id = crypto.randomUUID() }) {
      const { bytes, ...sent } = await ask('account.send', { to: lower(to), data: lower(data), value: String(value), id });
      return sent;
    },
    receipt: async (hash) => (await ask('account.receipt', { hash: lower(hash) })).receipt ?? undefined,
    signMessage: async (message) => (await ask('account.sign-message', {}, asBytes(message))).signature,
  };
}

// Addresses are often written in two cases.
function lower(hex) {
  return String(hex).toLowerCase();
}

${guestSource}
function asBytes(value) {
  if (typeof value === 'string') return text.encode(value);
  if (value instanceof ArrayBuffer) return new Uint8Array(value.slice(0));
  if (ArrayBuffer.isView(value)) return new Uint8Array(value.buffer, value.byteOffset, value.byteLength).slice();
  throw new TypeError('A value is a string or bytes');
}

function shaped(bytes, type = 'bytes') {
  if (type === 'bytes') return bytes;
  if (type === 'text') return plain.decode(bytes);
  if (type === 'json') return JSON.parse(plain.decode(bytes));
  throw new TypeError('A value is read as "bytes", "text" or "json"');
}
`;
