/** Numbers from 0 to below `below`, the same for the same seed (mulberry32). */
export function seeded(seed: number): (below: number) => number {
  let state = seed | 0;
  return (below) => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) % below;
  };
}

/** What formats read as the ends of their ranges: of bytes, of LEB128, of varints. */
const edges = [[0x00], [0x7f], [0x80], [0xff], [0xff, 0xff, 0xff, 0xff, 0x0f], [0x80, 0x80, 0x80, 0x80, 0x08]];

/** The bytes with one to six changes of a kind that breaks what they say of themselves. */
export function mutate(original: Uint8Array, seed: number): Uint8Array<ArrayBuffer> {
  const random = seeded(seed);
  let bytes = Uint8Array.from(original);
  for (let left = 1 + random(6); left > 0; left -= 1) {
    const at = random(bytes.length);
    const length = 1 + random(16);
    const edge = edges[random(edges.length)] ?? [];
    switch (random(6)) {
      case 0:
        bytes[at] = (bytes[at] ?? 0) ^ (1 << random(8));
        break;
      case 1:
        bytes.set(edge.slice(0, bytes.length - at), at);
        break;
      case 2:
        bytes = joined(bytes.subarray(0, at), Uint8Array.from(edge), bytes.subarray(at));
        break;
      case 3:
        bytes = joined(bytes.subarray(0, at), bytes.subarray(at + length));
        break;
      case 4:
        bytes = joined(bytes.subarray(0, at + length), bytes.subarray(at));
        break;
      default:
        if (random(4) === 0) bytes = bytes.slice(0, at + 1);
        else bytes[at] = random(256);
    }
    if (bytes.length === 0) return Uint8Array.from([0]);
  }
  return bytes;
}

function joined(...parts: readonly Uint8Array[]): Uint8Array<ArrayBuffer> {
  return Uint8Array.from(Buffer.concat(parts));
}
