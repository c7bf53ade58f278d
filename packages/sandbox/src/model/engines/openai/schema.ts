import { ApiError, invalidValue } from './apiError.ts';
import { isObject, type JsonObject } from './fields.ts';

/** Keywords that say what a value is for, not what it may be. */
const annotations = new Set([
  ...['$schema', '$id', '$comment', 'title', 'default', 'examples', 'deprecated', 'readOnly', 'writeOnly'],
]);
/** Keywords that the engine's grammars follow, or that are written in others which they do. */
const followed = new Set([
  ...['$ref', '$defs', 'definitions', 'type', 'enum', 'const', 'oneOf', 'anyOf', 'description'],
  ...['properties', 'required', 'additionalProperties', 'minProperties', 'maxProperties'],
  ...['items', 'prefixItems', 'minItems', 'maxItems', 'minLength', 'maxLength', 'format'],
]);
const formats = new Set(['date', 'time', 'date-time']);
const scalarTypes = new Set(['string', 'number', 'integer', 'boolean', 'null']);
const maxDepth = 64;

/** How a schema is read. */
export type SchemaReading = {
  /** Its place in the request. */
  readonly param: string;
  /** Whether a keyword that can't be followed is refused; otherwise it is a hint to the model, and the answer may break it. */
  readonly strict: boolean;
};

/**
 * A JSON schema in the terms that the engine's grammars have. They make every property, in the schema's order, and no other unless
 * `additionalProperties` says so. Throws ApiError for what is no schema, and where it is strict, by name for what can't be followed.
 */
export function followedSchema(schema: unknown, reading: SchemaReading): JsonObject {
  return convert(schema, { ...reading, depth: 0 });
}

type Place = SchemaReading & { readonly depth: number };

function convert(schema: unknown, place: Place): JsonObject {
  if (schema === true) return anyValue;
  if (!isObject(schema)) throw invalidValue(place.param, 'a JSON schema');
  if (place.depth > maxDepth) throw invalidSchema(place, `it is nested more than ${maxDepth} deep`);
  for (const [name, value] of Object.entries(schema)) {
    const isFollowed =
      annotations.has(name) || (followed.has(name) && !(name === 'format' && !formats.has(String(value))));
    if (!isFollowed && place.strict) throw invalidSchema(place, `"${name.slice(0, 64)}" can't be followed`);
  }
  const converted = convertForm(schema, place);
  const defs = { ...mapOf(schema.definitions, 'definitions', place), ...mapOf(schema.$defs, '$defs', place) };
  return {
    ...converted,
    ...(typeof schema.description === 'string' && { description: schema.description }),
    ...(Object.keys(defs).length > 0 && { $defs: defs }),
  };
}

function convertForm(schema: JsonObject, place: Place): JsonObject {
  const { $ref: ref, enum: values, type } = schema;
  if (ref !== undefined) return { $ref: referenceOf(ref, place) };
  const choices = schema.oneOf ?? schema.anyOf;
  if (choices !== undefined) return { oneOf: listOf(choices, schema.oneOf === undefined ? 'anyOf' : 'oneOf', place) };
  if ('const' in schema) return { const: scalar(schema.const, place) };
  if (Array.isArray(values) && values.length > 0) return { enum: values.map((value: unknown) => scalar(value, place)) };
  if (type === 'object' || (type === undefined && schema.properties !== undefined)) return objectOf(schema, place);
  if (type === 'array' || (type === undefined && schema.items !== undefined)) return arrayOf(schema, place);
  if (type === undefined) return anyValue;
  if (Array.isArray(type)) return typesOf(schema, type, place);
  if (!scalarTypes.has(type as string))
    throw invalidSchema(place, `there is no type ${JSON.stringify(type).slice(0, 64)}`);
  return type === 'string' ? stringOf(schema) : { type };
}

function typesOf(schema: JsonObject, types: readonly unknown[], place: Place): JsonObject {
  if (types.length === 0) throw invalidSchema(place, 'it allows no type');
  return { oneOf: types.map((type) => convertForm({ ...schema, type }, deeper(place, 'type'))) };
}

function objectOf(schema: JsonObject, place: Place): JsonObject {
  const { properties, additionalProperties: others } = schema;
  const isOpen = others === undefined && properties === undefined;
  const rest =
    typeof others === 'boolean' || others === undefined
      ? others
      : convert(others, deeper(place, 'additionalProperties'));
  return {
    type: 'object',
    properties: mapOf(properties, 'properties', place),
    ...(isOpen ? { additionalProperties: true } : rest !== undefined && { additionalProperties: rest }),
    ...countsOf(schema, ['minProperties', 'maxProperties']),
  };
}

function arrayOf(schema: JsonObject, place: Place): JsonObject {
  const { items, prefixItems } = schema;
  return {
    type: 'array',
    ...(items !== undefined && { items: convert(items, deeper(place, 'items')) }),
    ...(prefixItems !== undefined && { prefixItems: listOf(prefixItems, 'prefixItems', place) }),
    ...countsOf(schema, ['minItems', 'maxItems']),
  };
}

function stringOf(schema: JsonObject): JsonObject {
  if (formats.has(schema.format as string)) return { type: 'string', format: schema.format };
  return { type: 'string', ...countsOf(schema, ['minLength', 'maxLength']) };
}

function mapOf(value: unknown, name: string, place: Place): JsonObject {
  if (value === undefined) return {};
  if (!isObject(value)) throw invalidSchema(place, `"${name}" is no object`);
  const inside = deeper(place, name);
  return Object.fromEntries(Object.entries(value).map(([key, schema]) => [key, convert(schema, deeper(inside, key))]));
}

function listOf(value: unknown, name: string, place: Place): JsonObject[] {
  if (!Array.isArray(value) || value.length === 0) throw invalidSchema(place, `"${name}" is no list of schemas`);
  return value.map((schema: unknown, index) => convert(schema, deeper(place, `${name}[${index}]`)));
}

function countsOf(schema: JsonObject, names: readonly string[]): JsonObject {
  return Object.fromEntries(
    names.flatMap((name) => (Number.isSafeInteger(schema[name]) ? [[name, schema[name]]] : [])),
  );
}

function referenceOf(ref: unknown, place: Place): string {
  const name = /^#\/(?:\$defs|definitions)\/([^/]+)$/.exec(String(ref))?.[1];
  if (name === undefined) throw invalidSchema(place, `"$ref" must be of the schema's own "$defs"`);
  return `#/$defs/${name}`;
}

function scalar(value: unknown, place: Place): unknown {
  if (value === null || ['string', 'number', 'boolean'].includes(typeof value)) return value;
  throw invalidSchema(place, 'a value of "enum" or "const" is no text, number, true, false or null');
}

/** No type is said: whatever JSON has. */
const anyValue: JsonObject = {
  oneOf: [
    { type: ['string', 'number', 'boolean', 'null'] },
    { type: 'array' },
    { type: 'object', properties: {}, additionalProperties: true },
  ],
};

function deeper(place: Place, name: string): Place {
  return { ...place, param: `${place.param}.${name}`.slice(0, 256), depth: place.depth + 1 };
}

function invalidSchema({ param }: Place, why: string): ApiError {
  return new ApiError(400, 'invalid_json_schema', `The schema can't be followed: ${why}`, param);
}
