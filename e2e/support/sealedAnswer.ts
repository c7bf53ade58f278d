/** The parts of a sealed answer as they travel, seen from outside: a nonce, and chunks of a header and sealed bytes. */
export type SealedParts = { readonly nonce: Uint8Array; readonly chunks: readonly Uint8Array[] };

const nonceLength = 32;
const headerLength = 4;
const finalMark = 0x80;

/** Takes an answer apart, as any relay can. Throws for bytes that are no whole answer. */
export function splitAnswer(bytes: Uint8Array): SealedParts {
  const chunks: Uint8Array[] = [];
  for (let at = nonceLength; at < bytes.length; ) {
    const header = new DataView(bytes.buffer, bytes.byteOffset + at, headerLength);
    const end = at + headerLength + (header.getUint32(0) & 0x7fff_ffff);
    if (end > bytes.length) throw new Error('The answer ends inside a chunk');
    chunks.push(bytes.subarray(at, end));
    at = end;
  }
  if (chunks.length === 0) throw new Error('The answer has no chunk');
  return { nonce: bytes.subarray(0, nonceLength), chunks };
}

export function joinAnswer({ nonce, chunks }: SealedParts): Uint8Array {
  return Uint8Array.from(Buffer.concat([nonce, ...chunks]));
}

/** The same chunk with its mark of being the last one set or taken away. */
export function withFinalMark(chunk: Uint8Array, final: boolean): Uint8Array {
  const first = (chunk[0] ?? 0) & ~finalMark;
  return chunk.with(0, final ? first | finalMark : first);
}

/** The same bytes with one bit changed. */
export function flipped(bytes: Uint8Array, at: number, bit = 0): Uint8Array {
  return bytes.with(at, (bytes[at] ?? 0) ^ (1 << bit));
}
