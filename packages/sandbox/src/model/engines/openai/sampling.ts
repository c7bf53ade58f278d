import { randomInt } from 'node:crypto';
import { ApiError, invalidValue } from './apiError.ts';
import { flag, integerIn, isObject, type JsonObject, numberIn } from './fields.ts';
import { followedSchema } from './schema.ts';

/** How tokens are chosen: with the weights, the engine and the prompt, what an answer follows from. */
export type Sampling = {
  readonly temperature: number;
  readonly topP: number;
  /** 0: of the whole vocabulary. */
  readonly topK: number;
  readonly minP: number;
  readonly frequencyPenalty: number;
  readonly presencePenalty: number;
  readonly seed: number;
};

/** What the text has to be. */
export type OutputForm =
  | { readonly type: 'text' }
  | { readonly type: 'json' }
  | { readonly type: 'schema'; readonly schema: JsonObject };

/** What chat and plain completions have in common. */
export type Generation = {
  readonly sampling: Sampling;
  readonly maxTokens: number;
  readonly stop: readonly string[];
  readonly stream: boolean;
  /** Whether a stream ends with the counts. */
  readonly includeUsage: boolean;
};

/** Fields of both endpoints: honoured, or without any bearing on the answer. */
export const generationFields = [
  ...['model', 'temperature', 'top_p', 'top_k', 'min_p', 'frequency_penalty', 'presence_penalty', 'seed'],
  ...['max_tokens', 'stop', 'stream', 'stream_options', 'n'],
  ...['user', 'safety_identifier', 'prompt_cache_key', 'metadata', 'store', 'service_tier'],
];

const maxSeed = 2 ** 32 - 1;

/** Throws ApiError. `most`: tokens of an answer that the manifest allows. */
export function generationOf(body: JsonObject, most: number): Generation {
  if ((integerIn(body, 'n', 1, 128) ?? 1) !== 1)
    throw new ApiError(400, 'unsupported_value', 'One answer for each request: "n" must be 1', 'n');
  const wanted = integerIn(body, 'max_completion_tokens', 1, 1e9) ?? integerIn(body, 'max_tokens', 1, 1e9) ?? most;
  const options = body.stream_options ?? {};
  if (!isObject(options)) throw invalidValue('stream_options', 'an object');
  return {
    sampling: {
      temperature: numberIn(body, 'temperature', 0, 2) ?? 1,
      topP: numberIn(body, 'top_p', 0, 1) ?? 1,
      topK: integerIn(body, 'top_k', 0, 1e6) ?? 0,
      minP: numberIn(body, 'min_p', 0, 1) ?? 0,
      frequencyPenalty: numberIn(body, 'frequency_penalty', -2, 2) ?? 0,
      presencePenalty: numberIn(body, 'presence_penalty', -2, 2) ?? 0,
      // One is chosen where none is asked for, so that the receipt can name it.
      seed: integerIn(body, 'seed', 0, maxSeed) ?? randomInt(maxSeed),
    },
    maxTokens: Math.min(wanted, most),
    stop: stopOf(body.stop ?? []),
    stream: flag(body, 'stream'),
    includeUsage: flag(options, 'include_usage'),
  };
}

function stopOf(value: unknown): string[] {
  const texts: unknown[] = Array.isArray(value) ? value : [value];
  if (texts.length <= 4 && texts.every((text) => typeof text === 'string' && text !== '' && text.length <= 256))
    return texts as string[];
  throw invalidValue('stop', 'up to 4 texts of 1 to 256 characters');
}

/** `response_format` of a chat. */
export function outputFormOf(value: unknown): OutputForm {
  if (value === undefined || value === null) return { type: 'text' };
  if (!isObject(value)) throw invalidValue('response_format', 'an object');
  if (value.type === 'text') return { type: 'text' };
  if (value.type === 'json_object') return { type: 'json' };
  const named = value.json_schema;
  if (value.type === 'json_schema' && isObject(named) && isObject(named.schema)) {
    const reading = { param: 'response_format.json_schema.schema', strict: flag(named, 'strict') };
    return { type: 'schema', schema: followedSchema(named.schema, reading) };
  }
  throw invalidValue('response_format', '"text", "json_object", or "json_schema" with a schema');
}
