/** A value of a GGUF file's metadata, with the type it is stored as. */
export type GgufValue =
  | { readonly type: 'uint32'; readonly value: number }
  | { readonly type: 'float32'; readonly value: number }
  | { readonly type: 'string'; readonly value: string }
  | { readonly type: 'strings'; readonly value: readonly string[] }
  | { readonly type: 'floats'; readonly value: readonly number[] }
  | { readonly type: 'ints'; readonly value: readonly number[] };

/** A tensor of 32-bit floats; `shape` lists the fastest-changing dimension first. */
export type GgufTensor = { readonly name: string; readonly shape: readonly number[]; readonly data: Float32Array };

const alignment = 32;
/** Numbers of the types in the file. Source: the GGUF specification in ggml/docs/gguf.md, version 3. */
const types = { uint32: 4, int32: 5, float32: 6, string: 8, array: 9 } as const;
const tensorTypeF32 = 0;

/** The bytes of a GGUF file, version 3, little-endian. */
export function ggufFile(metadata: ReadonlyMap<string, GgufValue>, tensors: readonly GgufTensor[]): Uint8Array {
  const parts: Buffer[] = [Buffer.from('GGUF'), u32(3), u64(tensors.length), u64(metadata.size)];
  for (const [key, value] of metadata) parts.push(text(key), valueBytes(value));
  let offset = 0;
  for (const { name, shape, data } of tensors) {
    parts.push(text(name), u32(shape.length), ...shape.map(u64), u32(tensorTypeF32), u64(offset));
    offset += padded(data.byteLength);
  }
  const head = Buffer.concat(parts);
  const body = tensors.map(({ data }) => padTo(Buffer.from(data.buffer, data.byteOffset, data.byteLength)));
  return Buffer.concat([padTo(head), ...body]);
}

function valueBytes(value: GgufValue): Buffer {
  switch (value.type) {
    case 'uint32':
      return Buffer.concat([u32(types.uint32), u32(value.value)]);
    case 'float32':
      return Buffer.concat([u32(types.float32), f32(value.value)]);
    case 'string':
      return Buffer.concat([u32(types.string), text(value.value)]);
    case 'strings':
      return array(types.string, value.value.map(text));
    case 'floats':
      return array(types.float32, value.value.map(f32));
    case 'ints':
      return array(types.int32, value.value.map(u32));
  }
}

function array(type: number, items: readonly Buffer[]): Buffer {
  return Buffer.concat([u32(types.array), u32(type), u64(items.length), ...items]);
}

function text(value: string): Buffer {
  const bytes = Buffer.from(value, 'utf8');
  return Buffer.concat([u64(bytes.length), bytes]);
}

function u32(value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32LE(value);
  return bytes;
}

function u64(value: number): Buffer {
  const bytes = Buffer.alloc(8);
  bytes.writeBigUInt64LE(BigInt(value));
  return bytes;
}

function f32(value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeFloatLE(value);
  return bytes;
}

const padded = (length: number): number => Math.ceil(length / alignment) * alignment;

function padTo(bytes: Buffer): Buffer {
  return Buffer.concat([bytes, Buffer.alloc(padded(bytes.length) - bytes.length)]);
}
