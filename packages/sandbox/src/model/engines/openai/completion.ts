import { randomBytes } from 'node:crypto';
import type { EngineAnswer } from '../../host/engine.ts';
import type { Generated } from '../llama/generated.ts';
import type { LlamaEngine } from '../llama/llamaEngine.ts';
import { generatedAnswer, usageOf } from './answer.ts';
import { invalidValue } from './apiError.ts';
import { type JsonObject, refuseUnknown } from './fields.ts';
import { generationFields, generationOf } from './sampling.ts';

const known = new Set([...generationFields, 'prompt']);

/** POST /v1/completions. Source: platform.openai.com/docs/api-reference/completions. Throws ApiError. */
export async function completion(engine: LlamaEngine, body: JsonObject, signal: AbortSignal): Promise<EngineAnswer> {
  refuseUnknown(body, known);
  const generation = generationOf(body, engine.maxTokens);
  const head = {
    id: `cmpl-${randomBytes(12).toString('hex')}`,
    object: 'text_completion',
    created: Math.floor(Date.now() / 1000),
    model: engine.name,
  };
  const choice = (text: string, finish: Generated['finish'] | null): object => ({
    ...head,
    choices: [{ text, index: 0, logprobs: null, finish_reason: finish }],
  });
  return generatedAnswer(
    engine,
    engine.textPrompt(promptOf(body.prompt)),
    generation,
    { type: 'text' },
    {
      whole: (generated) => ({ ...choice(generated.text, generated.finish), usage: usageOf(generated) }),
      part: (part) => choice(part.kind === 'text' ? part.text : '', null),
      end: ({ finish }) => choice('', finish),
      usage: (generated) => ({ ...head, choices: [], usage: usageOf(generated) }),
    },
    signal,
  );
}

function promptOf(value: unknown): string {
  const [only, ...others]: unknown[] = Array.isArray(value) ? value : [value];
  if (typeof only === 'string' && others.length === 0) return only;
  throw invalidValue('prompt', 'one text');
}
