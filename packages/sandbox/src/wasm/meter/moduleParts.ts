import { ByteReader } from './byteReader.ts';
import { opcodes, readReferenceType, readValueType } from './instructions.ts';
import { WasmRefusal } from './wasmRefusal.ts';

/** Numbers of sections (WebAssembly Core 2.0, §5.5.2). */
export const sectionIds = {
  custom: 0,
  type: 1,
  import: 2,
  function: 3,
  table: 4,
  memory: 5,
  global: 6,
  export: 7,
  start: 8,
  element: 9,
  code: 10,
  data: 11,
  dataCount: 12,
} as const;

/** The order in which they stand. */
export const sectionOrder = [1, 2, 3, 4, 5, 6, 7, 8, 9, 12, 10, 11] as const;

/** What a module may have. Bounds of ours, all below those of engines. */
const most = {
  types: 20_000,
  functions: 100_000,
  globals: 20_000,
  exports: 10_000,
  segments: 100_000,
  elements: 1_000_000,
  parameters: 1_000,
} as const;
/** Entries of one table, now or ever. */
export const maxTableEntries = 1_000_000;
const maxLocals = 20_000;

export type FunctionType = { readonly parameters: readonly number[]; readonly results: readonly number[] };
export type ImportedFunction = { readonly module: string; readonly name: string; readonly type: FunctionType };
export type Limits = { readonly least: number; readonly most: number | undefined };
export type TableType = Limits & { readonly reference: number };
export type Export = { readonly name: string; readonly kind: number; readonly index: number };

/** A module taken apart. Sections that no pass changes stay as they were read. */
export type ModuleParts = {
  readonly raw: ReadonlyMap<number, Uint8Array>;
  readonly types: readonly FunctionType[];
  readonly imports: readonly ImportedFunction[];
  /** Type index of each function that is the module's own. */
  readonly functions: readonly number[];
  readonly tables: readonly TableType[];
  readonly memory: Limits | undefined;
  readonly globals: number;
  readonly exports: readonly Export[];
  readonly start: number | undefined;
  readonly bodies: readonly Uint8Array[];
};

/** Takes a module apart. Throws WasmRefusal for everything that it doesn't know. */
export function readModule(bytes: Uint8Array): ModuleParts {
  const raw = readSections(bytes);
  const section = (id: number): ByteReader => new ByteReader(raw.get(id) ?? new Uint8Array([0]));
  const vector = <T>(id: number, what: keyof typeof most, read: (reader: ByteReader) => T): T[] =>
    readVector(section(id), what, read);
  const types = vector(sectionIds.type, 'types', readFunctionType);
  const typeAt = (index: number): FunctionType => {
    const type = types[index];
    if (type === undefined) throw new WasmRefusal('WASM_MALFORMED', `There is no type ${index}`);
    return type;
  };
  const imports = vector(sectionIds.import, 'functions', (reader) => readImport(reader, typeAt));
  const functions = vector(sectionIds.function, 'functions', (reader) => {
    const index = reader.u32();
    typeAt(index);
    return index;
  });
  const tables = vector(sectionIds.table, 'segments', (reader) => ({
    reference: readReferenceType(reader),
    ...readLimits(reader, 'table'),
  }));
  const memories = vector(sectionIds.memory, 'segments', (reader) => readLimits(reader, 'memory'));
  if (memories.length > 1) throw new WasmRefusal('WASM_UNSUPPORTED', 'The module has more than one memory');
  const globals = vector(sectionIds.global, 'globals', readGlobal).length;
  const exports = vector(sectionIds.export, 'exports', readExport);
  const start = raw.has(sectionIds.start) ? whole(section(sectionIds.start), (reader) => reader.u32()) : undefined;
  vector(sectionIds.element, 'segments', readElementSegment);
  vector(sectionIds.data, 'segments', readDataSegment);
  if (raw.has(sectionIds.dataCount)) whole(section(sectionIds.dataCount), (reader) => reader.u32());
  const bodies = vector(sectionIds.code, 'functions', (reader) => reader.take(reader.u32()));
  if (bodies.length !== functions.length)
    throw new WasmRefusal('WASM_MALFORMED', `The module has ${bodies.length} bodies for ${functions.length} functions`);
  return { raw, types, imports, functions, tables, memory: memories[0], globals, exports, start, bodies };
}

export type BodyStart = {
  /** Stands at the first instruction. */
  readonly reader: ByteReader;
  /** Parameters and declared locals. */
  readonly locals: number;
  readonly groups: number;
  /** The declarations, without their number. */
  readonly declared: Uint8Array;
};

/** The declared locals of a body, and where its instructions begin. */
export function readLocals(body: Uint8Array, parameters: number): BodyStart {
  const reader = new ByteReader(body);
  let locals = parameters;
  const groups = reader.count('groups of locals', maxLocals);
  const begin = reader.position;
  for (let left = groups; left > 0; left -= 1) {
    locals += reader.u32();
    if (locals > maxLocals) throw new WasmRefusal('WASM_TOO_MUCH', `A function has more than ${maxLocals} locals`);
    readValueType(reader);
  }
  return { reader, locals, groups, declared: body.subarray(begin, reader.position) };
}

function readSections(bytes: Uint8Array): Map<number, Uint8Array> {
  const reader = new ByteReader(bytes);
  const head = [...reader.take(8)];
  if (head.join() !== '0,97,115,109,1,0,0,0')
    throw new WasmRefusal('WASM_MALFORMED', 'The bytes are no WebAssembly module of version 1');
  const found = new Map<number, Uint8Array>();
  let place = -1;
  while (!reader.done) {
    const id = reader.u8();
    const payload = reader.take(reader.u32());
    // Names and notes of tools: nothing of them is needed to run.
    if (id === sectionIds.custom) continue;
    const order = (sectionOrder as readonly number[]).indexOf(id);
    if (order === -1)
      throw new WasmRefusal('WASM_UNSUPPORTED', `The module has a section of kind ${id}, which is not offered`);
    if (order <= place) throw new WasmRefusal('WASM_MALFORMED', `The section of kind ${id} is not in its place`);
    place = order;
    found.set(id, payload);
  }
  return found;
}

function readVector<T>(reader: ByteReader, what: keyof typeof most, read: (reader: ByteReader) => T): T[] {
  return whole(reader, () => {
    const values: T[] = [];
    for (let left = reader.count(what, most[what]); left > 0; left -= 1) values.push(read(reader));
    return values;
  });
}

function whole<T>(reader: ByteReader, read: (reader: ByteReader) => T): T {
  const value = read(reader);
  if (!reader.done) throw new WasmRefusal('WASM_MALFORMED', 'A section is longer than what it holds');
  return value;
}

function readFunctionType(reader: ByteReader): FunctionType {
  const form = reader.u8();
  if (form !== 0x60) throw new WasmRefusal('WASM_UNSUPPORTED', `The module has a type of form 0x${form.toString(16)}`);
  const list = (): number[] => {
    const types: number[] = [];
    for (let left = reader.count('parameters', most.parameters); left > 0; left -= 1) types.push(readValueType(reader));
    return types;
  };
  return { parameters: list(), results: list() };
}

function readImport(reader: ByteReader, typeAt: (index: number) => FunctionType): ImportedFunction {
  const [module, name, kind] = [reader.name(), reader.name(), reader.u8()];
  if (kind !== 0)
    throw new WasmRefusal(
      'WASM_UNSUPPORTED',
      `The module imports "${show(module)}" "${show(name)}", which is no function`,
    );
  return { module, name, type: typeAt(reader.u32()) };
}

function readLimits(reader: ByteReader, what: string): Limits {
  const flags = reader.u8();
  if (flags > 1)
    throw new WasmRefusal('WASM_UNSUPPORTED', `The module has a ${what} of kind ${flags}, which is not offered`);
  return { least: reader.u32(), most: flags === 1 ? reader.u32() : undefined };
}

function readGlobal(reader: ByteReader): void {
  readValueType(reader);
  reader.u8();
  readConstant(reader);
}

function readExport(reader: ByteReader): Export {
  return { name: reader.name(), kind: reader.u8(), index: reader.u32() };
}

function readElementSegment(reader: ByteReader): void {
  const form = reader.u32();
  if (form > 7) throw new WasmRefusal('WASM_UNSUPPORTED', `The module has elements of form ${form}`);
  if ((form & 2) !== 0 && (form & 1) === 0) reader.u32();
  if ((form & 1) === 0) readConstant(reader);
  const expressions = (form & 4) !== 0;
  if ((form & 3) !== 0) {
    if (expressions) readReferenceType(reader);
    else if (reader.u8() !== 0) throw new WasmRefusal('WASM_UNSUPPORTED', 'The module has elements of an unknown kind');
  }
  for (let left = reader.count('elements', most.elements); left > 0; left -= 1) {
    if (expressions) readConstant(reader);
    else reader.u32();
  }
}

function readDataSegment(reader: ByteReader): void {
  const form = reader.u32();
  if (form > 1) throw new WasmRefusal('WASM_UNSUPPORTED', `The module has data of form ${form}`);
  if (form === 0) readConstant(reader);
  reader.take(reader.u32());
}

/** An expression that is known before anything runs: one value, then the end. */
function readConstant(reader: ByteReader): void {
  const op = reader.u8();
  if (op === opcodes.i32Const) reader.skipSigned(32);
  else if (op === opcodes.i64Const) reader.skipSigned(64);
  else if (op === opcodes.f32Const) reader.take(4);
  else if (op === opcodes.f64Const) reader.take(8);
  else if (op === opcodes.globalGet || op === opcodes.refFunc) reader.u32();
  else if (op === opcodes.refNull) readReferenceType(reader);
  else if (op === opcodes.vector && reader.u32() === 12) reader.take(16);
  else throw new WasmRefusal('WASM_UNSUPPORTED', `The module has a constant by the instruction 0x${op.toString(16)}`);
  if (reader.u8() !== opcodes.end)
    throw new WasmRefusal('WASM_UNSUPPORTED', 'The module has a constant that is calculated');
}

/** A name of the module's choosing, fit for a message. */
export function show(name: string): string {
  return name.replace(/[^\x20-\x7e]/g, '?').slice(0, 64);
}
