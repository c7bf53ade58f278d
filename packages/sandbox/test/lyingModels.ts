import { tinyModel } from '../../../examples/chat/tinyModel.ts';
import { field, message, node, number, onnxModel, tinyOnnx, value } from './tinyOnnx.ts';

/** Element types of ONNX: float32, int64, bool. */
const [float, int64, bool] = [1, 7, 9];

/** A value with a type and these dimensions; none is a single number. */
function typed(name: string, type: number, dimensions: readonly number[]): Buffer {
  const shape = message(dimensions.map((size) => field(1, message([number(1, size)]))));
  return message([field(1, name), field(2, message([field(1, message([number(1, type), field(2, shape)]))]))]);
}

function raw(name: string, type: number, shape: readonly number[], bytes: Uint8Array): Buffer {
  return field(
    5,
    message([...shape.map((size) => number(1, size)), number(2, type), field(8, name), field(9, Buffer.from(bytes))]),
  );
}

const wholeNumber = (size: bigint): Uint8Array => new Uint8Array(BigInt64Array.of(size).buffer);
const [input, output] = [field(11, value('x', 4)), field(12, value('y', 4))];
const graph = (...parts: readonly Buffer[]): Buffer => onnxModel(message([...parts, field(2, 'g'), input, output]));
const externally = (location: string): Buffer => {
  const entry = (key: string, text: string) => field(13, message([field(1, key), field(2, text)]));
  const place = [entry('location', location), entry('offset', '0'), entry('length', '16')];
  return field(5, message([number(1, 4), number(2, float), field(8, 'w'), ...place, number(14, 1)]));
};

/** A condition in a condition in a condition: graphs nested so deep. */
function nested(depth: number): Buffer {
  let inner = message([node('Identity', ['x'], 'y'), field(2, 'g'), output]);
  for (let left = depth; left > 0; left -= 1) {
    const branch = (name: string) => message([field(1, name), field(6, inner), number(20, 5)]);
    inner = message([
      node('If', ['c'], 'y', [branch('then_branch'), branch('else_branch').subarray(0, 0)]),
      field(2, 'g'),
      output,
    ]);
  }
  return onnxModel(message([inner, raw('c', bool, [], Uint8Array.of(1)), input]));
}

function loopForEver(): Buffer {
  const body = message([
    ...[node('Identity', ['go'], 'on'), node('Add', ['v', 'one'], 'next'), field(2, 'b')],
    ...[raw('one', float, [], new Uint8Array(Float32Array.of(1).buffer))],
    ...[field(11, typed('i', int64, [])), field(11, typed('go', bool, [])), field(11, value('v', 4))],
    ...[field(12, typed('on', bool, [])), field(12, value('next', 4))],
  ]);
  const attribute = message([field(1, 'body'), field(6, body), number(20, 5)]);
  return graph(node('Loop', ['', 'true', 'x'], 'y', [attribute]), raw('true', bool, [], Uint8Array.of(1)));
}

/** ONNX files that lie of themselves, or ask for more than there is. */
export const lyingOnnx: Readonly<Record<string, Buffer>> = {
  'that name more values than they bring': graph(
    node('Add', ['x', 'w'], 'y'),
    raw('w', float, [1024, 1024], new Uint8Array(16)),
  ),
  'whose dimensions overflow': graph(node('Add', ['x', 'w'], 'y'), raw('w', float, [2 ** 62, 4], new Uint8Array(16))),
  'whose dimensions overflow to nothing': graph(
    node('Add', ['x', 'w'], 'y'),
    raw('w', float, [2 ** 32, 2 ** 32], new Uint8Array(0)),
  ),
  'of a type that there is not': graph(node('Add', ['x', 'w'], 'y'), raw('w', 250, [4], new Uint8Array(16))),
  'with an operator that there is not': graph(node('SystemCall', ['x'], 'y')),
  'whose nodes wait for each other': graph(
    node('Add', ['x', 'b'], 'a'),
    node('Add', ['x', 'a'], 'b'),
    node('Identity', ['a'], 'y'),
  ),
  'whose node waits for itself': graph(node('Add', ['x', 'y'], 'y')),
  'that ask for an input nobody names': graph(node('Add', ['x', 'nowhere'], 'y')),
  'that make one value twice': graph(node('Identity', ['x'], 'y'), node('Relu', ['x'], 'y')),
  'with weights in /etc/passwd': graph(node('Add', ['x', 'w'], 'y'), externally('/etc/passwd')),
  'with weights in the program': graph(node('Add', ['x', 'w'], 'y'), externally('../host/main.ts')),
  'with weights beside it': graph(node('Add', ['x', 'w'], 'y'), externally('weights')),
  'with weights in its own socket': graph(node('Add', ['x', 'w'], 'y'), externally('run/data.sock')),
  'nested a thousand deep': nested(1000),
  'with a name of a megabyte': graph(node('x'.repeat(1 << 20), ['x'], 'y')),
  'of fifty thousand nodes that lead nowhere': graph(
    ...Array.from({ length: 50_000 }, (_, index) => node('Identity', ['gone'], `n${index}`)),
  ),
  'for a version to come': Buffer.concat([number(1, 2 ** 40), tinyOnnx().subarray(2)]),
};

/** The same, found out only when they run; each with the limits that it may pass. */
export const greedyOnnx: Readonly<Record<string, { readonly file: Buffer; readonly limits: readonly string[] }>> = {
  'for a tensor of 32 GB': {
    file: graph(
      node('ConstantOfShape', ['s'], 'z'),
      node('ReduceSum', ['z'], 'r'),
      node('Add', ['x', 'r'], 'y'),
      raw('s', int64, [1], wholeNumber(2n ** 33n)),
    ),
    limits: ['memory'],
  },
  'for a tensor of more bytes than are counted': {
    file: graph(
      node('ConstantOfShape', ['s'], 'z'),
      node('Add', ['x', 'z'], 'y'),
      raw('s', int64, [1], wholeNumber(2n ** 62n)),
    ),
    limits: ['memory'],
  },
  'and loop for ever': { file: loopForEver(), limits: ['wall', 'cpu'] },
};

/** A request that makes each of them run. */
export const onnxRequest = JSON.stringify({ inputs: { x: { type: 'float32', shape: [1, 4], data: [1, 2, 3, 4] } } });

const sizes = [
  ...['llama.context_length', 'llama.embedding_length', 'llama.block_count', 'llama.feed_forward_length'],
  ...['llama.attention.head_count', 'llama.attention.head_count_kv', 'llama.rope.dimension_count', 'llama.vocab_size'],
];

/** GGUF files whose header fits the file, and whose numbers fit nothing. */
export function lyingGguf(): Readonly<Record<string, Buffer>> {
  const original = Buffer.from(tinyModel());
  const changed = (name: string, offset: number, number32: number): Buffer => {
    const bytes = Buffer.from(original);
    bytes.writeUInt32LE(number32, bytes.indexOf(name) + name.length + offset);
    return bytes;
  };
  const lies: Record<string, Buffer> = {};
  // After the name of a key come four bytes of its type.
  for (const name of sizes)
    for (const size of [0, 1, 7, 0x7fff_ffff, 0xffff_ffff]) lies[`whose ${name} is ${size}`] = changed(name, 4, size);
  // After the name of a tensor: four bytes of how many dimensions, eight of each, the type.
  for (const type of [1, 2, 31, 39, 255, 0xffff_ffff])
    lies[`with a tensor of type ${type}`] = changed('blk.0.attn_q.weight', 20, type);
  lies['with a tensor turned round'] = changed('blk.0.ffn_down.weight', 4, 64);
  lies['whose tensor has another name'] = Buffer.from(
    original.toString('latin1').replace('blk.0.attn_k.weight', 'blk.0.attn_q.weight'),
    'latin1',
  );
  lies['of another architecture'] = Buffer.from(original.toString('latin1').replaceAll('llama', 'mamba'), 'latin1');
  return lies;
}
