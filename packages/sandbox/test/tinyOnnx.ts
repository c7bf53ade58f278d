/** A small network as an ONNX file (onnx.proto, written here by hand): y = relu(x · w1 + b1) · w2 + b2, x of [n, 4], y of [n, 2]. */
export const tinyNetwork = {
  w1: [1, -2, 0.5, 0, 3, -1, 0.25, 2, -0.5, 1, 1, -1],
  b1: [0.1, -0.2, 0.3],
  w2: [1, -1, 0.5, 2, -3, 0.25],
  b2: [0.5, -0.5],
};

export function tinyOnnx(): Buffer {
  const { w1, b1, w2, b2 } = tinyNetwork;
  const graph = message([
    ...[node('MatMul', ['x', 'w1'], 'a'), node('Add', ['a', 'b1'], 'b'), node('Relu', ['b'], 'c')],
    ...[node('MatMul', ['c', 'w2'], 'd'), node('Add', ['d', 'b2'], 'y')],
    field(2, 'tiny'),
    ...[tensor('w1', [4, 3], w1), tensor('b1', [3], b1), tensor('w2', [3, 2], w2), tensor('b2', [2], b2)],
    field(11, value('x', 4)),
    field(12, value('y', 2)),
  ]);
  return onnxModel(graph);
}

/** A file with this graph, for the operators of version 13. */
export function onnxModel(graph: Buffer): Buffer {
  return message([
    number(1, 8),
    field(2, 'cloister'),
    field(7, graph),
    field(8, message([field(1, ''), number(2, 13)])),
  ]);
}

export function node(
  operator: string,
  inputs: readonly string[],
  output: string,
  attributes: readonly Buffer[] = [],
): Buffer {
  const given = attributes.map((attribute) => field(5, attribute));
  return field(1, message([...inputs.map((input) => field(1, input)), field(2, output), field(4, operator), ...given]));
}

export function tensor(name: string, shape: readonly number[], data: readonly number[]): Buffer {
  const raw = Buffer.from(Float32Array.from(data).buffer);
  return field(5, message([...shape.map((size) => number(1, size)), number(2, 1), field(8, name), field(9, raw)]));
}

export function value(name: string, width: number): Buffer {
  const shape = message([field(1, message([field(2, 'n')])), field(1, message([number(1, width)]))]);
  return message([field(1, name), field(2, message([field(1, message([number(1, 1), field(2, shape)]))]))]);
}

export const message = (parts: readonly Buffer[]): Buffer => Buffer.concat(parts);
export const number = (id: number, value: number): Buffer => Buffer.concat([varint(id * 8), varint(value)]);

export function field(id: number, content: Buffer | string): Buffer {
  const bytes = Buffer.from(content as string);
  return Buffer.concat([varint(id * 8 + 2), varint(bytes.length), bytes]);
}

function varint(value: number): Buffer {
  const bytes: number[] = [];
  let rest = value;
  for (; rest >= 128; rest = Math.floor(rest / 128)) bytes.push((rest % 128) + 128);
  return Buffer.from([...bytes, rest]);
}
