import type { TensorData } from './binding.ts';

/** Writes every NaN with the bits of the quiet one without a payload: IEEE 754 has millions, and which of them an addition gives is the processor's choice. */
export function withOneNaN(data: TensorData): void {
  if (data instanceof Float32Array)
    replace(data, new Uint32Array(data.buffer, data.byteOffset, data.length), 0x7fc0_0000);
  else if (data instanceof Float64Array)
    replace(data, new BigUint64Array(data.buffer, data.byteOffset, data.length), 0x7ff8_0000_0000_0000n);
}

/** By the bits: what is written as a number may be changed on its way. */
function replace<Bits extends number | bigint>(
  numbers: Float32Array | Float64Array,
  bits: { [at: number]: Bits },
  quiet: Bits,
): void {
  for (let at = 0; at < numbers.length; at += 1) if (Number.isNaN(numbers[at])) bits[at] = quiet;
}
