export type WasmRefusalCode =
  /** The bytes are no module, or not one that holds together. */
  | 'WASM_MALFORMED'
  /** It uses something that isn't offered: an instruction, a section, an import. */
  | 'WASM_UNSUPPORTED'
  /** More of something than a module may have. */
  | 'WASM_TOO_MUCH'
  /** It asks for more memory at its start than the app may have. */
  | 'WASM_MEMORY';

/** Why a module can't be run. Part of the program inside the walls, which imports no package. */
export class WasmRefusal extends Error {
  override readonly name = 'WasmRefusal';
  readonly code: WasmRefusalCode;

  constructor(code: WasmRefusalCode, message: string) {
    super(message);
    this.code = code;
  }
}
