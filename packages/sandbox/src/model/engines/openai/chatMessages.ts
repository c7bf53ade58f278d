import { ApiError, invalidValue } from './apiError.ts';
import { isObject, type JsonObject, refuseUnknown } from './fields.ts';

/** A call that the model made earlier in the chat, and what the caller's tool answered. */
export type AnsweredCall = { readonly name: string; readonly arguments: JsonObject; readonly result: string };

/** What one side said; the model's part goes on over the answers of tools. */
export type ChatTurn =
  | { readonly role: 'system' | 'user'; readonly text: string }
  | { readonly role: 'assistant'; readonly parts: readonly (string | AnsweredCall)[] };

type OpenCall = { readonly id: string; readonly name: string; readonly arguments: JsonObject };

const maxMessages = 4096;
const maxCalls = 128;

const fieldsOfRoles: Readonly<Record<string, ReadonlySet<string>>> = {
  system: new Set(['role', 'content']),
  user: new Set(['role', 'content']),
  assistant: new Set(['role', 'content', 'tool_calls']),
  tool: new Set(['role', 'content', 'tool_call_id']),
};

/** Messages of a chat: texts, calls of tools and their answers. Throws ApiError. */
export function chatTurns(value: unknown): ChatTurn[] {
  if (!Array.isArray(value) || value.length === 0 || value.length > maxMessages)
    throw invalidValue('messages', `a list of 1 to ${maxMessages} messages`);
  const turns: ChatTurn[] = [];
  for (let index = 0; index < value.length; index += 1) {
    const { role, message } = messageAt(value, index);
    if (role === 'tool')
      throw new ApiError(400, 'invalid_value', 'No call comes before this answer', `messages[${index}].tool_call_id`);
    if (role !== 'assistant') {
      turns.push({ role, text: textOf(message.content, index) });
      continue;
    }
    const calls = callsOf(message.tool_calls, index);
    const isSilent = calls.length > 0 && (message.content ?? '') === '';
    const answered = answersOf(calls, value, index);
    addParts(turns, [...(isSilent ? [] : [textOf(message.content, index)]), ...answered]);
    index += answered.length;
  }
  return turns;
}

/** After the answers of tools the model's part goes on; two parts that it said in full stay apart. */
function addParts(turns: ChatTurn[], parts: readonly (string | AnsweredCall)[]): void {
  const last = turns.at(-1);
  if (last?.role !== 'assistant' || typeof last.parts.at(-1) === 'string') turns.push({ role: 'assistant', parts });
  else turns[turns.length - 1] = { role: 'assistant', parts: [...last.parts, ...parts] };
}

/** The messages that follow: one of a tool for each call, in any order. */
function answersOf(calls: readonly OpenCall[], messages: readonly unknown[], at: number): AnsweredCall[] {
  const results = new Map<string, string>();
  for (let index = at + 1; index <= at + calls.length; index += 1) {
    const next: { role?: MessageRole; message: JsonObject } =
      index < messages.length ? messageAt(messages, index) : { message: {} };
    const { role, message } = next;
    const id = message.tool_call_id;
    if (role !== 'tool' || !calls.some((call) => call.id === id) || results.has(id as string))
      throw new ApiError(
        400,
        'invalid_value',
        'After "tool_calls" comes one message of role "tool" for each of them, by its "tool_call_id"',
        `messages[${Math.min(index, messages.length - 1)}]`,
      );
    results.set(id as string, textOf(message.content, index));
  }
  return calls.map(({ id, name, arguments: given }) => ({ name, arguments: given, result: results.get(id) ?? '' }));
}

function callsOf(value: unknown, index: number): OpenCall[] {
  const param = `messages[${index}].tool_calls`;
  if (value === undefined || value === null) return [];
  if (!Array.isArray(value) || value.length > maxCalls)
    throw invalidValue(param, `a list of at most ${maxCalls} calls`);
  const calls = value.map((call: unknown, at) => callOf(call, `${param}[${at}]`));
  if (new Set(calls.map(({ id }) => id)).size < calls.length)
    throw invalidValue(param, 'calls with an id of their own each');
  return calls;
}

function callOf(call: unknown, param: string): OpenCall {
  const { id, type, function: called } = isObject(call) ? call : ({} as JsonObject);
  if (typeof id !== 'string' || type !== 'function' || !isObject(called) || typeof called.name !== 'string')
    throw invalidValue(param, 'a call of a function, with its id');
  return { id, name: called.name, arguments: argumentsOf(called.arguments, `${param}.function.arguments`) };
}

function argumentsOf(text: unknown, param: string): JsonObject {
  try {
    const value: unknown = JSON.parse(text === '' ? '{}' : (text as string));
    if (isObject(value)) return value;
  } catch {
    // Said below.
  }
  throw invalidValue(param, 'a JSON object as a text');
}

function messageAt(messages: readonly unknown[], index: number): { role: MessageRole; message: JsonObject } {
  const message = messages[index];
  if (!isObject(message)) throw invalidValue(`messages[${index}]`, 'an object');
  const role = roleOf(message.role, index);
  refuseUnknown(message, fieldsOfRoles[role] ?? new Set(), `messages[${index}].`);
  return { role, message };
}

type MessageRole = ChatTurn['role'] | 'tool';

function roleOf(role: unknown, index: number): MessageRole {
  if (role === 'developer') return 'system';
  if (role === 'system' || role === 'user' || role === 'assistant' || role === 'tool') return role;
  throw new ApiError(
    400,
    'unsupported_value',
    `"${String(role).slice(0, 32)}" is no role here`,
    `messages[${index}].role`,
  );
}

function textOf(content: unknown, index: number): string {
  if (typeof content === 'string') return content;
  if (Array.isArray(content)) return content.map((part: unknown) => partText(part, index)).join('');
  throw invalidValue(`messages[${index}].content`, 'a text');
}

function partText(part: unknown, index: number): string {
  if (isObject(part) && part.type === 'text' && typeof part.text === 'string') return part.text;
  throw new ApiError(400, 'unsupported_value', 'This model takes text alone', `messages[${index}].content`);
}
