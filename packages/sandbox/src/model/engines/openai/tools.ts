import { ApiError, invalidValue } from './apiError.ts';
import { flag, isObject, type JsonObject, refuseUnknown } from './fields.ts';
import { followedSchema } from './schema.ts';

/** A function of the caller's that the model may call. */
export type Tool = {
  readonly name: string;
  readonly description: string | undefined;
  /** Of its arguments, as the engine's grammars read it. */
  readonly schema: JsonObject;
};

/** What a model may or must call in an answer. */
export type Tools = {
  readonly list: readonly Tool[];
  /** Whether the answer must be a call. */
  readonly required: boolean;
  /** Calls of one answer, at most. */
  readonly maxCalls: number;
};

const maxTools = 128;
const maxParallelCalls = 16;
const toolName = /^[A-Za-z0-9_-]{1,64}$/;
const toolFields = new Set(['type', 'function']);
const functionFields = new Set(['name', 'description', 'parameters', 'strict']);

/** `tools`, `tool_choice` and `parallel_tool_calls` of a chat; undefined where nothing is to be called. Throws ApiError. */
export function toolsOf(body: JsonObject): Tools | undefined {
  const list = listOf(body.tools ?? []);
  const choice = body.tool_choice ?? (list.length === 0 ? 'none' : 'auto');
  const isParallel = body.parallel_tool_calls == null || flag(body, 'parallel_tool_calls');
  if (choice === 'none') return undefined;
  if (list.length === 0) throw invalidValue('tool_choice', '"none" where there are no tools');
  const maxCalls = isParallel ? maxParallelCalls : 1;
  if (choice === 'auto' || choice === 'required') return { list, required: choice === 'required', maxCalls };
  const named =
    isObject(choice) && choice.type === 'function' && isObject(choice.function) ? choice.function.name : undefined;
  const one = list.filter(({ name }) => name === named);
  if (one.length === 0) throw invalidValue('tool_choice', '"none", "auto", "required", or a function of "tools"');
  return { list: one, required: true, maxCalls: 1 };
}

function listOf(value: unknown): Tool[] {
  if (!Array.isArray(value) || value.length > maxTools)
    throw invalidValue('tools', `a list of at most ${maxTools} tools`);
  const tools = value.map((tool: unknown, index) => toolOf(tool, `tools[${index}]`));
  const names = tools.map(({ name }) => name);
  const repeated = names.find((name, index) => names.indexOf(name) !== index);
  if (repeated === undefined) return tools;
  throw new ApiError(400, 'invalid_value', `The tool "${repeated}" stands twice in "tools"`, 'tools');
}

function toolOf(tool: unknown, param: string): Tool {
  if (!isObject(tool)) throw invalidValue(param, 'an object');
  if (tool.type !== 'function')
    throw new ApiError(
      400,
      'unsupported_value',
      'Tools are functions of the caller: "type" must be "function"',
      `${param}.type`,
    );
  refuseUnknown(tool, toolFields, `${param}.`);
  const given = tool.function;
  if (!isObject(given)) throw invalidValue(`${param}.function`, 'an object');
  refuseUnknown(given, functionFields, `${param}.function.`);
  const { name, description = null, parameters = null } = given;
  if (typeof name !== 'string' || !toolName.test(name))
    throw invalidValue(`${param}.function.name`, '1 to 64 letters, digits, "_" or "-"');
  if (description !== null && typeof description !== 'string')
    throw invalidValue(`${param}.function.description`, 'a text');
  const reading = { param: `${param}.function.parameters`, strict: flag(given, 'strict') };
  const schema = followedSchema(parameters ?? { type: 'object', properties: {} }, reading);
  if (schema.type !== 'object') throw invalidValue(reading.param, 'the schema of an object');
  return { name, description: description ?? undefined, schema };
}
