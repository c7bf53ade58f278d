import { readFileSync } from 'node:fs';
import wabt from 'wabt';

/** The module as `wat2wasm` makes it from count.wat. */
export async function countModule(): Promise<Uint8Array<ArrayBuffer>> {
  const assembler = await wabt();
  const module = assembler.parseWat('count.wat', readFileSync(new URL('count.wat', import.meta.url), 'utf8'));
  try {
    return new Uint8Array(module.toBinary({}).buffer);
  } finally {
    module.destroy();
  }
}
