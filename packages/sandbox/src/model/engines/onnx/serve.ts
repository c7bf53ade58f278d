import type { Engine, EngineAnswer, EngineRequest } from '../../host/engine.ts';
import { ApiError, errorAnswer } from '../openai/apiError.ts';
import { paddedJson } from '../openai/asciiJson.ts';
import { jsonBody, refuseUnknown } from '../openai/fields.ts';
import type { OrtModule, OrtTensor, Session, ValueMetadata } from './binding.ts';
import {
  isKnownType,
  type Tensor,
  type Tensors,
  tensorsFromBytes,
  tensorsFromJson,
  tensorsToBytes,
  tensorsToJson,
} from './tensors.ts';

const safetensors = 'application/vnd.safetensors';
const known = new Set(['inputs', 'outputs']);

/** An open model, whichever build of ONNX Runtime it runs on. */
export type OpenedOnnx = { readonly name: string; readonly module: OrtModule; readonly session: Session };

/** Answers calls with an open model: named tensors in, named tensors out. */
export function serveOnnx(opened: OpenedOnnx): Engine {
  return async (request) => {
    try {
      return await route(opened, request);
    } catch (error) {
      if (error instanceof ApiError) return errorAnswer(error);
      throw error;
    }
  };
}

async function route(opened: OpenedOnnx, request: EngineRequest): Promise<EngineAnswer> {
  const path = request.path.split('?')[0] ?? '/';
  if (path === '/v1/model') {
    if (request.method !== 'GET') throw new ApiError(405, 'method_not_allowed', `"${path}" is read with GET`);
    return json(description(opened));
  }
  if (path !== '/v1/infer') throw new ApiError(404, 'unknown_url', `There is no "${path.slice(0, 80)}" here`);
  if (request.method !== 'POST') throw new ApiError(405, 'method_not_allowed', `"${path}" is called with POST`);
  const binary = mediaType(request.headers['content-type']) === safetensors;
  const { inputs, outputs } = binary
    ? { inputs: tensorsFromBytes(request.body), outputs: undefined }
    : jsonRequest(request.body);
  const answer = await infer(opened, inputs, outputs);
  const wantsBytes = binary || mediaType(request.headers.accept) === safetensors;
  if (wantsBytes) return { status: 200, headers: { 'content-type': safetensors }, body: tensorsToBytes(answer) };
  return json({ outputs: tensorsToJson(answer) });
}

function jsonRequest(bytes: Uint8Array): { inputs: Tensors; outputs: readonly string[] | undefined } {
  const body = jsonBody(bytes);
  refuseUnknown(body, known);
  const { outputs } = body;
  if (outputs !== undefined && !(Array.isArray(outputs) && outputs.every((name) => typeof name === 'string')))
    throw new ApiError(400, 'invalid_value', '"outputs" must be a list of names', 'outputs');
  return { inputs: tensorsFromJson(body.inputs, 'inputs'), outputs };
}

async function infer(
  { module, session }: OpenedOnnx,
  inputs: Tensors,
  wanted: readonly string[] | undefined,
): Promise<Tensors> {
  for (const metadata of session.inputMetadata) checkInput(metadata, inputs.get(metadata.name));
  const named = new Set(session.inputMetadata.map(({ name }) => name));
  const odd = [...inputs.keys()].find((name) => !named.has(name));
  if (odd !== undefined)
    throw new ApiError(400, 'unknown_input', `The model has no input "${odd.slice(0, 64)}"`, 'inputs');
  const outputs = session.outputMetadata.map(({ name }) => name);
  const missing = wanted?.find((name) => !outputs.includes(name));
  if (missing !== undefined)
    throw new ApiError(400, 'unknown_output', `The model has no output "${missing.slice(0, 64)}"`, 'outputs');
  const feeds = Object.fromEntries(
    [...inputs].map(([name, { type, data, shape }]) => [name, new module.Tensor(type, data, shape)]),
  );
  const answer = await session.run(feeds, wanted ?? outputs);
  return new Map(Object.entries(answer).map(([name, tensor]) => [name, tensorOf(name, tensor)]));
}

/** What the engine would say of a wrong shape depends on its version: it is said here. */
function checkInput({ name, type, shape }: ValueMetadata, given: Tensor | undefined): void {
  if (given === undefined) throw new ApiError(400, 'missing_input', `The model needs the input "${name}"`, 'inputs');
  if (type !== undefined && type !== given.type)
    throw new ApiError(400, 'invalid_value', `The input "${name}" is of type "${type}"`, `inputs.${name}`);
  const fits =
    shape?.length === given.shape.length &&
    shape.every((size, at) => typeof size === 'string' || size < 0 || size === given.shape[at]);
  if (shape !== undefined && !fits)
    throw new ApiError(
      400,
      'invalid_value',
      `The input "${name}" has the shape ${JSON.stringify(shape)}`,
      `inputs.${name}`,
    );
}

function tensorOf(name: string, { type, dims, data }: OrtTensor): Tensor {
  if (!isKnownType(type)) throw new Error(`The output "${name}" is of type "${type}", which no answer carries`);
  return { type, shape: dims, data };
}

function description({ name, session }: OpenedOnnx): object {
  const values = (list: readonly ValueMetadata[]): object[] =>
    list.map(({ name: value, type, shape }) => ({ name: value, type: type ?? null, shape: shape ?? null }));
  return { id: name, inputs: values(session.inputMetadata), outputs: values(session.outputMetadata) };
}

function json(body: object): EngineAnswer {
  return { status: 200, headers: { 'content-type': 'application/json' }, body: paddedJson(body) };
}

function mediaType(field: string | undefined): string | undefined {
  return field?.split(';')[0]?.trim().toLowerCase();
}
