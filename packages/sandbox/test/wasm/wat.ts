import wabt from 'wabt';

const features = { simd: true, bulk_memory: true, multi_value: true, reference_types: true, sat_float_to_int: true };
const assembler = await wabt();

/** Assembles a module from its text form. `more` turns on what isn't offered, to show that it is refused. */
export function wat(source: string, more: object = {}): Uint8Array<ArrayBuffer> {
  const module = assembler.parseWat('test.wat', source, {
    ...features,
    sign_extension: true,
    mutable_globals: true,
    ...more,
  });
  try {
    return new Uint8Array(module.toBinary({}).buffer);
  } finally {
    module.destroy();
  }
}
