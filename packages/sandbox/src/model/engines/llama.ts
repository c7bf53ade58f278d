import type { EngineAnswer, EngineConfig, EngineRequest, OpenEngine } from '../host/engine.ts';
import { checkGguf } from './ggufHeader.ts';
import { type EngineVersion, type LlamaEngine, openLlama } from './llama/llamaEngine.ts';
import { ApiError, errorAnswer } from './openai/apiError.ts';
import { chat } from './openai/chat.ts';
import { completion } from './openai/completion.ts';
import { embeddings } from './openai/embeddings.ts';
import { type JsonObject, jsonBody } from './openai/fields.ts';

type Endpoint = (engine: LlamaEngine, body: JsonObject, signal: AbortSignal) => Promise<EngineAnswer>;

const endpoints: Readonly<Record<string, Endpoint>> = {
  '/v1/chat/completions': chat,
  '/v1/completions': completion,
  '/v1/embeddings': embeddings,
};

/** GGUF models by llama.cpp on the processor, behind the endpoints of OpenAI's API. */
export const openEngine: OpenEngine = async (config) => {
  checkGguf(config.weights);
  const engine = await openLlama(config);
  return async (request) => {
    try {
      return await route(engine, config, request);
    } catch (error) {
      if (error instanceof ApiError) return errorAnswer(error);
      throw error;
    }
  };
};

async function route(engine: LlamaEngine, { name }: EngineConfig, request: EngineRequest): Promise<EngineAnswer> {
  const path = request.path.split('?')[0] ?? '/';
  const known = modelAnswer(path, name, engine.version);
  if (known !== undefined) {
    if (request.method === 'GET') return known;
    throw new ApiError(405, 'method_not_allowed', `"${path}" is read with GET`);
  }
  const endpoint = Object.hasOwn(endpoints, path) ? endpoints[path] : undefined;
  if (endpoint === undefined) throw new ApiError(404, 'unknown_url', `There is no "${path.slice(0, 80)}" here`);
  if (request.method !== 'POST') throw new ApiError(405, 'method_not_allowed', `"${path}" is called with POST`);
  const body = jsonBody(request.body);
  if (body.model !== name)
    throw new ApiError(404, 'model_not_found', `This app serves the model "${name}", and no other`, 'model');
  return endpoint(engine, body, request.signal);
}

/** What GET of a list of models, or of one, answers. */
function modelAnswer(path: string, name: string, { gpuLayers }: EngineVersion): EngineAnswer | undefined {
  const model = {
    ...{ id: name, object: 'model', created: 0, owned_by: 'cloister' },
    ...(gpuLayers !== undefined && { gpu_layers: gpuLayers }),
  };
  const json = (body: object): EngineAnswer => ({
    status: 200,
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify(body),
  });
  if (path === '/v1/models') return json({ object: 'list', data: [model] });
  return path === `/v1/models/${name}` ? json(model) : undefined;
}
