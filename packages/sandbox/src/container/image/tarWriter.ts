/** A member to write: a folder where it has no content and its name ends in "/". */
export type TarMember = { readonly name: string; readonly content?: Uint8Array; readonly mode?: number };

const blockBytes = 512;

/** The header of a file or folder in the ustar form, owned by root, without a time: the same input gives the same bytes. */
export function tarHeader(name: string, bytes: number, mode = 0o644): Buffer {
  const encoded = Buffer.from(name);
  if (encoded.length > 100) throw new RangeError(`"${name}" is too long for a header of this form`);
  const header = Buffer.alloc(blockBytes);
  encoded.copy(header);
  const octal = (at: number, length: number, value: number): void => {
    header.write(`${value.toString(8).padStart(length - 1, '0')}\0`, at, 'latin1');
  };
  octal(100, 8, mode);
  octal(108, 8, 0);
  octal(116, 8, 0);
  octal(124, 12, bytes);
  octal(136, 12, 0);
  header.write(name.endsWith('/') ? '5' : '0', 156, 'latin1');
  header.write('ustar\x0000', 257, 'latin1');
  header.fill(0x20, 148, 156);
  octal(
    148,
    7,
    header.reduce((sum, byte) => sum + byte, 0),
  );
  return header;
}

/** What fills the last block of a member. */
export function tarPadding(bytes: number): Buffer {
  return Buffer.alloc((blockBytes - (bytes % blockBytes)) % blockBytes);
}

export const tarEnd = Buffer.alloc(2 * blockBytes);

/** A whole archive in memory. */
export function tarOf(members: readonly TarMember[]): Buffer {
  const parts = members.flatMap(({ name, content = new Uint8Array(), mode }) => [
    tarHeader(name, content.length, mode ?? (name.endsWith('/') ? 0o755 : 0o644)),
    content,
    tarPadding(content.length),
  ]);
  return Buffer.concat([...parts, tarEnd]);
}
