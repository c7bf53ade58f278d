import { FileReader, MalformedFileError } from './fileReader.ts';

/** Fields of ModelProto (onnx.proto): the version of the form, and the graph. */
const versionField = 1;
const graphField = 7;
const maxFields = 4_194_304;
/** Graphs stand in attributes of nodes of graphs: four levels for each. */
const maxDepth = 64;

type Form = 'model' | 'graph' | 'node' | 'attribute' | 'function' | 'training' | 'sparse' | 'tensor';

/** Where a message of onnx.proto holds others that may lead to a tensor, by the numbers of its fields. */
const forms: Readonly<Record<Form, Readonly<Record<number, Form>>>> = {
  model: { [graphField]: 'graph', 20: 'training', 25: 'function' },
  training: { 1: 'graph', 2: 'graph' },
  function: { 7: 'node', 11: 'attribute' },
  graph: { 1: 'node', 5: 'tensor', 15: 'sparse' },
  node: { 5: 'attribute' },
  attribute: { 5: 'tensor', 6: 'graph', 10: 'tensor', 11: 'graph', 22: 'sparse', 23: 'sparse' },
  sparse: { 1: 'tensor', 2: 'tensor' },
  tensor: {},
};
/** Of NodeProto: its operator. */
const operatorType = 4;
const maxOperatorBytes = 64;
/** All operators of ONNX and of ONNX Runtime that draw (onnx.ai, "ONNX Operators"; onnxruntime, "ContribOperators"); Dropout does in training. */
const drawing = new Set([
  ...['Bernoulli', 'Multinomial', 'RandomNormal', 'RandomNormalLike', 'RandomUniform', 'RandomUniformLike'],
  ...['Dropout', 'BiasDropout', 'BitmaskDropout', 'BitmaskBiasDropout', 'Sampling'],
]);
/** Of TensorProto: where its numbers stand instead of in the file, and that they do. */
const externalData = 13;
const dataLocation = 14;

/**
 * Holds the messages of an ONNX file against the file, before anything written in C++ reads it: each has to fit into the one
 * around it, and the graph has to be there. Tensors whose numbers stand in other files are refused: the hash that receipts name
 * would not cover them, and engines read what they are pointed at. Throws MalformedFileError.
 * @param random whether operators may draw at random, seeded by the time where they name no seed. Default: they may
 */
export function checkOnnx(path: string, { random = true }: { readonly random?: boolean } = {}): void {
  const reader = new FileReader(path);
  const seen = new Set<number>();
  const budget: Budget = { left: maxFields, random };
  try {
    while (reader.left > 0) seen.add(readField(reader, 'model', reader.size, 0, budget));
  } finally {
    reader.close();
  }
  if (!seen.has(versionField) || !seen.has(graphField)) throw new MalformedFileError('it is no ONNX file');
}

type Budget = { left: number; readonly random: boolean };

/** Reads one field of a message that ends at `end`, with all that is in it; gives its number. */
function readField(reader: FileReader, form: Form, end: number, depth: number, budget: Budget): number {
  budget.left -= 1;
  if (budget.left < 0) throw new MalformedFileError(`it has more than ${maxFields} fields`);
  const tag = varint(reader);
  // Readers of 32 bits would see another field in it than we do.
  if (tag >= 2 ** 32) throw new MalformedFileError(`it has a field "${tag}"`);
  const [field, wire] = [Math.floor(tag / 8), tag % 8];
  if (form === 'tensor' && (field === externalData || field === dataLocation)) refuseExternal(reader, field, wire);
  if (form === 'node' && field === operatorType && wire === 2 && !budget.random) {
    refuseDrawing(reader);
    if (reader.at > end) throw new MalformedFileError('a part of it reaches beyond the part around it');
    return field;
  }
  const inner = forms[form][field];
  if (inner === undefined || wire !== 2) skipField(reader, wire);
  else {
    const innerEnd = varint(reader) + reader.at;
    if (innerEnd > end)
      throw new MalformedFileError(`it names ${innerEnd - reader.at} bytes where ${end - reader.at} are left`);
    if (depth >= maxDepth) throw new MalformedFileError(`it is nested deeper than ${maxDepth} levels`);
    while (reader.at < innerEnd) readField(reader, inner, innerEnd, depth + 1, budget);
  }
  if (reader.at > end) throw new MalformedFileError('a part of it reaches beyond the part around it');
  return field;
}

/** Lets pass that the numbers are in the file, which is location 0. */
function refuseExternal(reader: FileReader, field: number, wire: number): void {
  if (field === dataLocation && wire === 0 && reader.peek() === 0) return;
  throw new MalformedFileError('a tensor has its numbers in another file');
}

function refuseDrawing(reader: FileReader): void {
  const length = varint(reader);
  if (length > maxOperatorBytes) {
    reader.skip(length);
    return;
  }
  const operator = reader.bytes(length).toString('latin1');
  if (drawing.has(operator))
    throw new MalformedFileError(
      `it has the operator "${operator}", which draws at random: this engine's answers follow from the request`,
    );
}

/** By wire type (protobuf.dev, "Encoding"): groups, which ONNX has not, are refused. */
function skipField(reader: FileReader, wire: number): void {
  switch (wire) {
    case 0:
      skipVarint(reader);
      return;
    case 1:
      reader.skip(8);
      return;
    case 2:
      reader.skip(varint(reader));
      return;
    case 5:
      reader.skip(4);
      return;
    default:
      throw new MalformedFileError('it is no ONNX file');
  }
}

/** A tag or a length. */
function varint(reader: FileReader): number {
  let value = 0;
  for (let index = 0, factor = 1; index < 10; index += 1, factor *= 128) {
    const byte = reader.byte();
    value += (byte & 0x7f) * factor;
    if (byte < 0x80) {
      if (Number.isSafeInteger(value)) return value;
      break;
    }
  }
  throw new MalformedFileError('a number in it has no end');
}

/** Any number, also one below zero, which takes ten bytes. */
function skipVarint(reader: FileReader): void {
  for (let index = 0; index < 10; index += 1) if (reader.byte() < 0x80) return;
  throw new MalformedFileError('a number in it has no end');
}
