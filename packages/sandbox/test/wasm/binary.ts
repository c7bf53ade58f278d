/** Modules written by hand, byte by byte, for what no assembler would write. */
export const leb = (value: number): number[] => {
  const bytes: number[] = [];
  for (let rest = value; ; rest >>>= 7) {
    if (rest < 0x80) return [...bytes, rest];
    bytes.push((rest & 0x7f) | 0x80);
  }
};

export const section = (id: number, ...payload: readonly number[]): number[] => [
  id,
  ...leb(payload.length),
  ...payload,
];
export const header = [0, 0x61, 0x73, 0x6d, 1, 0, 0, 0];
export const moduleOf = (...sections: readonly (readonly number[])[]): Uint8Array<ArrayBuffer> =>
  Uint8Array.from([...header, ...sections.flat()]);

/** One function () -> () with this body, beside a memory, a table, an element and a data segment that it may use. */
export function moduleWith(body: readonly number[], locals: readonly number[] = [0]): Uint8Array<ArrayBuffer> {
  const code = [...locals, ...body, 0x0b];
  return moduleOf(
    section(1, 1, 0x60, 0, 0),
    section(3, 1, 0),
    section(4, 1, 0x70, 0, 1),
    section(5, 1, 0, 1),
    section(6, 1, 0x7f, 1, 0x41, 0, 0x0b),
    section(7, 1, 1, 0x66, 0, 0),
    section(9, 1, 0, 0x41, 0, 0x0b, 1, 0),
    section(12, 1),
    section(10, 1, ...leb(code.length), ...code),
    section(11, 1, 1, 1, 0),
  );
}
