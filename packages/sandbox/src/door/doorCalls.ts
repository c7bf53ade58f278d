import { SchemaError, schema as z } from '@cloister/core';
import { SandboxError } from '../sandboxError.ts';
import type { ServiceContext, StateCommit, TenantServices } from '../services.ts';
import { type DoorMessage, encodeDoorMessage, invalidRequest } from './message.ts';

/** Keys are checked by whoever keeps them; here only that nothing is out of all proportion. */
const maxKeyCharacters = 4_096;
/** Keys and lists that one transaction reads, and keys that it changes. */
const maxItems = 4_096;
const maxTagCharacters = 64;

const key = z.text(maxKeyCharacters);
const tag = z.text(maxTagCharacters);
const partition = z.uint(0xffff);
const limit = z.uint(0xffff);
const rangeFields = { prefix: key, after: key, limit } as const;
const headers = z.array(z.array(z.text(32_768)).check(z.refineArray(2, 2))).check(z.refineArray(0, 128));

const readGet = reader('state.get', z.strictObject({ partition, key }));
const readList = reader('state.list', z.strictObject({ partition, ...rangeFields }));
const readCommitHead = reader(
  'state.commit',
  z.strictObject({
    partition,
    read: z.array(z.strictObject({ key, tag })).check(z.refineArray(0, maxItems)),
    listed: z.array(z.strictObject({ ...rangeFields, tag })).check(z.refineArray(0, 64)),
    /** Values follow the head one after the other; null deletes. */
    changes: z
      .array(z.strictObject({ key, length: z.nullable(z.uint(0xffff_ffff)) }))
      .check(z.refineArray(0, maxItems)),
  }),
);
const readCall = reader(
  'call.call',
  z.strictObject({ app: z.bytes32, method: z.text(32), path: z.text(8_192), headers }),
);
const readChainCall = reader('chain.call', z.strictObject({ to: z.address, data: z.hexBetween(0, 16_384) }));
const readSend = reader(
  'account.send',
  z.strictObject({ to: z.address, data: z.hexBetween(0, 16_384), value: z.uintText(256), id: z.text(128) }),
);
const readReceipt = reader('account.receipt', z.strictObject({ hash: z.bytes32 }));
const readGuest = reader('guest.ask', z.strictObject({ method: z.text(64), request: z.jsonObject }));
const readBalance = reader('chain.balance', z.strictObject({ account: z.address }));

type DoorCall = (services: TenantServices, message: DoorMessage, context: ServiceContext) => Promise<Buffer>;

/** What can be asked through the door, by name. Each throws SERVICE_UNAVAILABLE, SERVICE_REQUEST_INVALID, and what the service throws. */
export const doorCalls: ReadonlyMap<string, DoorCall> = new Map<string, DoorCall>([
  [
    'state.get',
    async ({ state }, { head }, context) => {
      const { value, tag: of } = await given(state, 'state').get(readGet(head), context);
      return encodeDoorMessage({ found: value !== undefined, tag: of }, value);
    },
  ],
  [
    'state.list',
    async ({ state }, { head }, context) => {
      const { keys, tag: of } = await given(state, 'state').list(readList(head), context);
      return encodeDoorMessage({ keys, tag: of });
    },
  ],
  [
    'state.commit',
    async ({ state }, message, context) => {
      await given(state, 'state').commit(readCommit(message), context);
      return encodeDoorMessage({});
    },
  ],
  [
    'call.call',
    async ({ call }, { head, bytes }, context) => {
      const wanted = readCall(head);
      const answer = await given(call, 'call').call(
        { ...wanted, headers: wanted.headers as unknown as readonly (readonly [string, string])[], body: bytes },
        context,
      );
      return encodeDoorMessage({ status: answer.status, headers: answer.headers }, answer.body);
    },
  ],
  ['chain.block', async ({ chain }, _, context) => encodeDoorMessage(await given(chain, 'chain').block(context))],
  [
    'chain.call',
    async ({ chain }, { head }, context) =>
      encodeDoorMessage(await given(chain, 'chain').call(readChainCall(head), context)),
  ],
  [
    'chain.balance',
    async ({ chain }, { head }, context) =>
      encodeDoorMessage(await given(chain, 'chain').balance(readBalance(head).account, context)),
  ],
  [
    'account.address',
    async ({ account }, _, context) => encodeDoorMessage({ address: await given(account, 'account').address(context) }),
  ],
  [
    'account.send',
    async ({ account }, { head }, context) =>
      encodeDoorMessage(await given(account, 'account').send(readSend(head), context)),
  ],
  [
    'account.receipt',
    async ({ account }, { head }, context) => {
      const receipt = await given(account, 'account').receipt(readReceipt(head).hash, context);
      return encodeDoorMessage({ receipt: receipt ?? null });
    },
  ],
  [
    'account.sign-message',
    async ({ account }, { bytes }, context) =>
      encodeDoorMessage({ signature: await given(account, 'account').signMessage(bytes, context) }),
  ],
  [
    'guest.ask',
    async ({ guest }, { head }, context) =>
      encodeDoorMessage(await given(guest, 'guest').ask(readGuest(head), context)),
  ],
]);

function readCommit({ head, bytes }: DoorMessage): StateCommit {
  const { partition: at, read: seen, listed, changes } = readCommitHead(head);
  let offset = 0;
  const placed = changes.map(({ key: name, length }) => {
    const begin = offset;
    offset += length ?? 0;
    return { key: name, value: length === null ? undefined : bytes.subarray(begin, offset) };
  });
  if (offset !== bytes.length) throw invalidRequest(`its values have "${offset}" bytes, and "${bytes.length}" came`);
  if (new Set(changes.map(({ key: name }) => name)).size !== changes.length)
    throw invalidRequest('it changes a key twice');
  return { partition: at, read: seen, listed, changes: placed };
}

function reader<Out>(what: string, form: Parameters<typeof z.parseWith<Out>>[0]): (json: unknown) => Out {
  return (json) => {
    try {
      return z.parseWith(form, json, what);
    } catch (error) {
      throw error instanceof SchemaError ? invalidRequest(error.message) : error;
    }
  };
}

function given<Service>(service: Service | undefined, name: string): Service {
  if (service !== undefined) return service;
  throw new SandboxError({
    code: 'SERVICE_UNAVAILABLE',
    message: `This app is not given "${name}"`,
    hint: 'Name it in the manifest',
  });
}
