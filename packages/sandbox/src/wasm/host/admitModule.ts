import { type ConfineOptions, confineModule } from '../meter/confineModule.ts';
import { readModule } from '../meter/moduleParts.ts';
import { type Entry, entryOf } from './entry.ts';
import { checkImports } from './wasiNames.ts';

export type AdmittedModule = {
  /** The module with the walls in it. */
  readonly code: Uint8Array<ArrayBuffer>;
  readonly entry: Entry;
};

/** Makes a module ready for the engine, or says why it can't be run: throws WasmRefusal. */
export function admitModule(bytes: Uint8Array, options: ConfineOptions): AdmittedModule {
  const parts = readModule(bytes);
  checkImports(parts.imports);
  const entry = entryOf(parts);
  return { code: confineModule(bytes, options) as Uint8Array<ArrayBuffer>, entry };
}
