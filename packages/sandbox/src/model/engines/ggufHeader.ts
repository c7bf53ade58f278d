import { FileReader, MalformedFileError } from './fileReader.ts';

// Numbers of the GGUF specification (ggml/docs/gguf.md, version 3).
const magic = 0x46554747;
const versions = [2, 3];
const typeString = 8;
const typeArray = 9;
/** Bytes of the metadata types 0 to 12; 0 for the two of no fixed length. */
const typeBytes = [1, 1, 2, 2, 4, 4, 4, 1, 0, 0, 8, 8, 8];
const maxDimensions = 4;

const maxTensors = 65_536;
const maxKeys = 65_536;
const maxNameBytes = 65_535;
const maxTextBytes = 16 * 1024 * 1024;
const maxHeaderBytes = 256 * 1024 * 1024;
/** The fewest bits that any of ggml's types spends on a value. */
const fewestBits = 1;

/**
 * Holds a GGUF file's header against the file, before anything written in C++ reads it: whatever the header counts or
 * names has to fit into the file. Throws MalformedFileError.
 */
export function checkGguf(path: string): void {
  const reader = new FileReader(path);
  try {
    if (reader.u32() !== magic) throw new MalformedFileError('it is no GGUF file');
    const version = reader.u32();
    if (!versions.includes(version)) throw new MalformedFileError(`its version is ${version}, known are 2 and 3`);
    const tensors = bounded(reader.u64(), maxTensors, 'tensors');
    const keys = bounded(reader.u64(), maxKeys, 'keys');
    let alignment = 32;
    for (let index = 0; index < keys; index += 1) {
      const key = reader.bytes(bounded(reader.u64(), maxNameBytes, 'bytes in a key')).toString('latin1');
      const type = reader.u32();
      if (key === 'general.alignment' && type === 4) alignment = alignmentOf(reader.u32());
      else skipValue(reader, type);
      bounded(reader.at, maxHeaderBytes, 'bytes of header');
    }
    checkTensors(reader, tensors, alignment);
  } finally {
    reader.close();
  }
}

function checkTensors(reader: FileReader, count: number, alignment: number): void {
  const found: { offset: number; least: number }[] = [];
  for (let index = 0; index < count; index += 1) {
    reader.skip(bounded(reader.u64(), maxNameBytes, 'bytes in a name'));
    const dimensions = bounded(reader.u32(), maxDimensions, 'dimensions of a tensor');
    let values = 1;
    for (let dimension = 0; dimension < dimensions; dimension += 1) {
      values *= reader.u64();
      if (!Number.isSafeInteger(values)) throw new MalformedFileError('a tensor has more values than can be counted');
    }
    reader.u32();
    const offset = reader.u64();
    if (offset % alignment !== 0) throw new MalformedFileError(`a tensor begins at ${offset}, between its places`);
    found.push({ offset, least: Math.ceil((values * fewestBits) / 8) });
  }
  const start = Math.ceil(reader.at / alignment) * alignment;
  for (const { offset, least } of found)
    if (start + offset + least > reader.size)
      throw new MalformedFileError(`a tensor ends at ${start + offset + least} or later, the file at ${reader.size}`);
}

function skipValue(reader: FileReader, type: number, depth = 0): void {
  if (type === typeString) {
    reader.skip(bounded(reader.u64(), maxTextBytes, 'bytes in a text'));
    return;
  }
  if (type !== typeArray) {
    reader.skip(sizeOf(type));
    return;
  }
  if (depth > 0) throw new MalformedFileError('it has lists in lists');
  const inner = reader.u32();
  const count = reader.u64();
  if (inner !== typeString) {
    reader.skip(count * sizeOf(inner));
    return;
  }
  bounded(count * 8, reader.left, 'bytes of texts');
  for (let index = 0; index < count; index += 1) skipValue(reader, inner, depth + 1);
}

function sizeOf(type: number): number {
  const size = typeBytes[type];
  if (size === undefined || size === 0) throw new MalformedFileError(`it has a value of type ${type}`);
  return size;
}

function alignmentOf(value: number): number {
  if (value >= 8 && value <= 65_536 && (value & (value - 1)) === 0) return value;
  throw new MalformedFileError(`its alignment is ${value}`);
}

function bounded(value: number, most: number, what: string): number {
  if (value > most) throw new MalformedFileError(`it states ${value} ${what}, ${most} are possible`);
  return value;
}
