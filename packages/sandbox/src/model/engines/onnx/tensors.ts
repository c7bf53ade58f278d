import { ApiError, invalidValue } from '../openai/apiError.ts';
import { isObject, type JsonObject } from '../openai/fields.ts';
import type { TensorData } from './binding.ts';

/** A tensor in the clear: its type as ONNX Runtime names it, the last dimension changing fastest. */
export type Tensor = { readonly type: string; readonly shape: readonly number[]; readonly data: TensorData };
export type Tensors = ReadonlyMap<string, Tensor>;

type Kind = {
  /** As safetensors names it. */
  readonly dtype: string;
  readonly bytes: number;
  readonly array: { new (buffer: ArrayBuffer): TensorData };
};

const kinds: Readonly<Record<string, Kind>> = {
  float32: { dtype: 'F32', bytes: 4, array: Float32Array },
  float64: { dtype: 'F64', bytes: 8, array: Float64Array },
  int8: { dtype: 'I8', bytes: 1, array: Int8Array },
  uint8: { dtype: 'U8', bytes: 1, array: Uint8Array },
  int16: { dtype: 'I16', bytes: 2, array: Int16Array },
  uint16: { dtype: 'U16', bytes: 2, array: Uint16Array },
  int32: { dtype: 'I32', bytes: 4, array: Int32Array },
  uint32: { dtype: 'U32', bytes: 4, array: Uint32Array },
  int64: { dtype: 'I64', bytes: 8, array: BigInt64Array },
  uint64: { dtype: 'U64', bytes: 8, array: BigUint64Array },
  bool: { dtype: 'BOOL', bytes: 1, array: Uint8Array },
};

const maxTensors = 256;
const maxDimensions = 16;
const maxHeaderBytes = 256 * 1024;

/** Tensors as JSON: `{"name": {"type": "float32", "shape": [2, 3], "data": [0, 1, 2, 3, 4, 5]}}`. Throws ApiError. */
export function tensorsFromJson(value: unknown, param: string): Tensors {
  if (!isObject(value)) throw invalidValue(param, 'an object of tensors');
  return new Map(boundedEntries(value).map(([name, tensor]) => [name, tensorFromJson(tensor, `${param}.${name}`)]));
}

export function tensorsToJson(tensors: Tensors): JsonObject {
  return Object.fromEntries(
    [...tensors].map(([name, { type, shape, data }]) => [name, { type, shape, data: Array.from(data, jsonNumber) }]),
  );
}

function tensorFromJson(value: unknown, param: string): Tensor {
  if (!isObject(value) || !Array.isArray(value.data)) throw invalidValue(param, 'a tensor: type, shape, data');
  const { kind, type } = kindOf(value.type, param);
  const shape = shapeOf(value.shape, param);
  if (sizeOf(shape, param) !== value.data.length)
    throw invalidValue(`${param}.data`, `as many numbers as the shape says, not ${value.data.length}`);
  const data = new kind.array(new ArrayBuffer(value.data.length * kind.bytes));
  value.data.forEach((item: unknown, index) => {
    data[index] = numberOf(item, data, `${param}.data`);
  });
  return { type, shape, data };
}

/** Whole numbers of 64 bits may be texts, as JSON has no room for them. */
function numberOf(item: unknown, data: TensorData, param: string): never {
  if (!(data instanceof BigInt64Array) && !(data instanceof BigUint64Array)) {
    if (typeof item === 'number' || typeof item === 'boolean') return Number(item) as never;
  } else if (Number.isSafeInteger(item) || (typeof item === 'string' && /^-?\d{1,20}$/.test(item)))
    return BigInt(item as number | string) as never;
  throw invalidValue(param, 'numbers of the tensor’s type');
}

function jsonNumber(value: number | bigint): number | string {
  if (typeof value === 'number') return value;
  return Number.isSafeInteger(Number(value)) ? Number(value) : value.toString();
}

/**
 * Tensors in the safetensors form: length of a JSON header in 8 bytes little-endian, the header
 * `{"name": {"dtype": "F32", "shape": [2, 3], "data_offsets": [0, 24]}}`, then the numbers, little-endian. Throws ApiError.
 * Source: the format's description at github.com/huggingface/safetensors.
 */
export function tensorsFromBytes(bytes: Uint8Array): Tensors {
  const malformed = (why: string): ApiError =>
    new ApiError(400, 'invalid_tensors', `The body is no safetensors: ${why}`);
  if (bytes.length < 8) throw malformed('it has less than 8 bytes');
  const length = new DataView(bytes.buffer, bytes.byteOffset).getBigUint64(0, true);
  if (length > maxHeaderBytes || 8 + Number(length) > bytes.length) throw malformed(`its header has ${length} bytes`);
  const start = 8 + Number(length);
  let header: unknown;
  try {
    header = JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(bytes.subarray(8, start)));
  } catch {
    throw malformed('its header is not JSON');
  }
  if (!isObject(header)) throw malformed('its header is no object');
  const named = boundedEntries(header).filter(([name]) => name !== '__metadata__');
  return new Map(named.map(([name, entry]) => [name, tensorIn(bytes.subarray(start), entry, name, malformed)]));
}

function tensorIn(body: Uint8Array, entry: unknown, name: string, malformed: (why: string) => ApiError): Tensor {
  if (!isObject(entry)) throw malformed(`"${name}" is not described`);
  const type = Object.keys(kinds).find((key) => kinds[key]?.dtype === entry.dtype);
  const { kind } = kindOf(type ?? String(entry.dtype), name);
  const shape = shapeOf(entry.shape, name);
  const [from, to]: unknown[] = Array.isArray(entry.data_offsets) ? entry.data_offsets : [];
  if (!isOffset(from) || !isOffset(to) || to > body.length || to - from !== sizeOf(shape, name) * kind.bytes)
    throw malformed(`the place of "${name}" is not that of its shape`);
  // A copy begins where its type wants it to.
  return { type: type ?? '', shape, data: new kind.array(Uint8Array.from(body.subarray(from, to)).buffer) };
}

export function tensorsToBytes(tensors: Tensors): Uint8Array {
  let offset = 0;
  const header: Record<string, object> = {};
  const parts: Uint8Array[] = [];
  for (const [name, { type, shape, data }] of tensors) {
    const bytes = new Uint8Array(data.buffer, data.byteOffset, data.byteLength);
    header[name] = { dtype: kinds[type]?.dtype, shape, data_offsets: [offset, offset + bytes.length] };
    offset += bytes.length;
    parts.push(bytes);
  }
  const text = JSON.stringify(header);
  const head = Buffer.from(text.padEnd(Math.ceil(text.length / 8) * 8));
  const length = Buffer.alloc(8);
  length.writeBigUInt64LE(BigInt(head.length));
  return Buffer.concat([length, head, ...parts]);
}

/** Whether answers can carry a type. */
export function isKnownType(type: string): boolean {
  return Object.hasOwn(kinds, type);
}

function kindOf(type: unknown, param: string): { kind: Kind; type: string } {
  const kind = typeof type === 'string' && Object.hasOwn(kinds, type) ? kinds[type] : undefined;
  if (kind === undefined || typeof type !== 'string')
    throw invalidValue(`${param}.type`, `one of ${Object.keys(kinds).join(', ')}`);
  return { kind, type };
}

function shapeOf(value: unknown, param: string): number[] {
  if (Array.isArray(value) && value.length <= maxDimensions && value.every(isOffset)) return value as number[];
  throw invalidValue(`${param}.shape`, `up to ${maxDimensions} whole numbers`);
}

function sizeOf(shape: readonly number[], param: string): number {
  const size = shape.reduce((product, dimension) => product * dimension, 1);
  if (Number.isSafeInteger(size)) return size;
  throw invalidValue(`${param}.shape`, 'of a size that can be counted');
}

function boundedEntries(value: JsonObject): [string, unknown][] {
  const entries = Object.entries(value);
  if (entries.length <= maxTensors) return entries;
  throw new ApiError(400, 'too_many_inputs', `At most ${maxTensors} tensors at once`);
}

const isOffset = (value: unknown): value is number => Number.isSafeInteger(value) && (value as number) >= 0;
