import type { EngineAnswer } from '../../host/engine.ts';
import type { LlamaEngine } from '../llama/llamaEngine.ts';
import { ApiError, invalidValue } from './apiError.ts';
import { paddedJson } from './asciiJson.ts';
import { type JsonObject, refuseUnknown } from './fields.ts';

const known = new Set(['model', 'input', 'encoding_format', 'user']);
const maxTexts = 256;

/** POST /v1/embeddings. Source: platform.openai.com/docs/api-reference/embeddings. Throws ApiError. */
export async function embeddings(engine: LlamaEngine, body: JsonObject): Promise<EngineAnswer> {
  refuseUnknown(body, known);
  const texts = textsOf(body.input);
  const format = body.encoding_format ?? 'float';
  if (format !== 'float' && format !== 'base64') throw invalidValue('encoding_format', '"float" or "base64"');
  const { vectors, tokens } = await engine.embed(texts);
  const data = vectors.map((vector, index) => ({
    object: 'embedding',
    index,
    embedding: format === 'float' ? vector : base64Of(vector),
  }));
  return {
    status: 200,
    headers: { 'content-type': 'application/json' },
    body: paddedJson({
      object: 'list',
      data,
      model: engine.name,
      usage: { prompt_tokens: tokens, total_tokens: tokens },
    }),
    report: () => ({ ...engine.version, promptTokens: tokens, completionTokens: 0 }),
  };
}

function textsOf(value: unknown): string[] {
  const texts: unknown[] = Array.isArray(value) ? value : [value];
  if (texts.length > maxTexts) throw new ApiError(400, 'too_many_inputs', `At most ${maxTexts} texts at once`, 'input');
  if (texts.length > 0 && texts.every((text) => typeof text === 'string' && text !== '')) return texts as string[];
  throw invalidValue('input', 'a text, or a list of texts, none of them empty');
}

/** 32-bit floats, little-endian. */
function base64Of(vector: readonly number[]): string {
  const bytes = Buffer.alloc(vector.length * 4);
  vector.forEach((value, index) => {
    bytes.writeFloatLE(value, index * 4);
  });
  return bytes.toString('base64');
}
