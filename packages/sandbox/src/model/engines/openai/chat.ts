import { randomBytes } from 'node:crypto';
import type { EngineAnswer } from '../../host/engine.ts';
import type { Generated, GeneratedPart } from '../llama/generated.ts';
import type { LlamaEngine } from '../llama/llamaEngine.ts';
import { generatedAnswer, usageOf } from './answer.ts';
import { ApiError } from './apiError.ts';
import { chatTurns } from './chatMessages.ts';
import { type JsonObject, refuseUnknown } from './fields.ts';
import { generationFields, generationOf, outputFormOf } from './sampling.ts';
import { toolsOf } from './tools.ts';

const known = new Set([
  ...[...generationFields, 'messages', 'max_completion_tokens', 'response_format'],
  ...['tools', 'tool_choice', 'parallel_tool_calls'],
]);

/** POST /v1/chat/completions. Source: platform.openai.com/docs/api-reference/chat. Throws ApiError. */
export async function chat(engine: LlamaEngine, body: JsonObject, signal: AbortSignal): Promise<EngineAnswer> {
  refuseUnknown(body, known);
  const turns = chatTurns(body.messages);
  const generation = generationOf(body, engine.maxTokens);
  const form = outputFormOf(body.response_format);
  const tools = toolsOf(body);
  if (tools !== undefined && form.type !== 'text')
    throw new ApiError(400, 'unsupported_value', 'An answer has a form, or calls tools: not both', 'response_format');
  const head = {
    id: `chatcmpl-${randomBytes(12).toString('hex')}`,
    created: Math.floor(Date.now() / 1000),
    model: engine.name,
  };
  const callId = callIds();
  const chunk = (delta: object, finish: string | null = null): object => ({
    ...{ ...head, object: 'chat.completion.chunk' },
    choices: [{ index: 0, delta, logprobs: null, finish_reason: finish }],
  });
  return generatedAnswer(
    engine,
    engine.chatPrompt(turns, tools),
    generation,
    form,
    {
      whole: (generated) => ({
        ...{ ...head, object: 'chat.completion' },
        choices: [{ index: 0, message: messageOf(generated, callId), logprobs: null, finish_reason: generated.finish }],
        usage: usageOf(generated),
      }),
      begin: () => chunk({ role: 'assistant', content: '' }),
      part: (part) => chunk(deltaOf(part, callId)),
      end: ({ finish }) => chunk({}, finish),
      usage: (generated) => ({
        ...{ ...head, object: 'chat.completion.chunk' },
        choices: [],
        usage: usageOf(generated),
      }),
    },
    signal,
  );
}

function messageOf({ text, calls }: Generated, callId: (call: number) => string): object {
  const content = text === '' && calls.length > 0 ? null : text;
  if (calls.length === 0) return { role: 'assistant', content, refusal: null };
  const tool_calls = calls.map((call, index) => ({ id: callId(index), type: 'function', function: call }));
  return { role: 'assistant', content, refusal: null, tool_calls };
}

function deltaOf(part: GeneratedPart, callId: (call: number) => string): object {
  if (part.kind === 'text') return { content: part.text };
  const { call: index } = part;
  const call =
    part.kind === 'call'
      ? { index, id: callId(index), type: 'function', function: { name: part.name, arguments: '' } }
      : { index, function: { arguments: part.text } };
  return { tool_calls: [call] };
}

/** An id for each call of an answer, chosen when it is first asked for. */
function callIds(): (call: number) => string {
  const ids = new Map<number, string>();
  return (call) => {
    const id = ids.get(call) ?? `call_${randomBytes(12).toString('hex')}`;
    ids.set(call, id);
    return id;
  };
}
