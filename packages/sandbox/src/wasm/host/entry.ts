import type { FunctionType, ModuleParts } from '../meter/moduleParts.ts';
import { WasmRefusal } from '../meter/wasmRefusal.ts';

/** How a module is run: a command is a program that runs once from its start; a reactor has a handler that is called. */
export type Entry = 'command' | 'reactor';

/** What a reactor exports beside its memory: `allocate(size) -> address` and `handle(head, headSize, body, bodySize) -> address << 32 | size`. */
export const reactorNames = {
  initialize: '_initialize',
  allocate: 'cloister_allocate',
  handle: 'cloister_handle',
} as const;
export const commandName = '_start';

const i32 = 0x7f;
const i64 = 0x7e;

/** Throws WASM_UNSUPPORTED for a module that is neither. */
export function entryOf(parts: ModuleParts): Entry {
  const isCommand = has(parts, commandName, [], []);
  const isReactor = has(parts, reactorNames.handle, [i32, i32, i32, i32], [i64]);
  if (isCommand === isReactor)
    throw refused(
      `exports ${isCommand ? 'both' : 'neither'} "${commandName}" ${isCommand ? 'and' : 'nor'} "${reactorNames.handle}"`,
    );
  if (isReactor && !has(parts, reactorNames.allocate, [i32], [i32]))
    throw refused(`exports "${reactorNames.handle}" without "${reactorNames.allocate}"`);
  if (!parts.exports.some(({ name, kind }) => name === 'memory' && kind === 2))
    throw refused('does not export its memory as "memory"');
  has(parts, reactorNames.initialize, [], []);
  return isCommand ? 'command' : 'reactor';
}

/** Whether there is such a function. Throws where there is one with other parameters or results. */
function has(parts: ModuleParts, wanted: string, parameters: readonly number[], results: readonly number[]): boolean {
  const found = parts.exports.find(({ name }) => name === wanted);
  if (found === undefined) return false;
  const type = found.kind === 0 ? typeOf(parts, found.index) : undefined;
  if (type?.parameters.join() === parameters.join() && type.results.join() === results.join()) return true;
  throw refused(`exports a "${wanted}" that is not a function of the right type`);
}

function typeOf({ imports, functions, types }: ModuleParts, index: number): FunctionType | undefined {
  return index < imports.length ? imports[index]?.type : types[functions[index - imports.length] ?? -1];
}

function refused(what: string): WasmRefusal {
  return new WasmRefusal('WASM_UNSUPPORTED', `The module ${what}`);
}
