import type { ByteSource } from './byteSource.ts';
import { ImageError, shown } from './imageError.ts';

/** One member of an archive, before its bytes are read. */
export type TarEntry = {
  /** As it stands there. */
  readonly name: string;
  readonly type: 'file' | 'directory' | 'symlink' | 'hardlink' | 'other';
  readonly linkName: string;
  readonly bytes: number;
  /** Where its bytes begin in the source. */
  readonly offset: number;
};

const blockBytes = 512;
const maxExtensionBytes = 1024 * 1024;
const types: Readonly<Record<string, TarEntry['type']>> = {
  '0': 'file',
  '\0': 'file',
  '1': 'hardlink',
  '2': 'symlink',
  '5': 'directory',
};

/**
 * The members of a tar archive: ustar (POSIX.1-1988), pax headers (POSIX.1-2001), and GNU's long names. The bytes of each
 * are passed over when the next one is asked for; what is read of them before that counts. Throws IMAGE_MALFORMED,
 * IMAGE_REFUSED for sparse files.
 */
export async function* tarEntries(source: ByteSource, maxEntries: number): AsyncGenerator<TarEntry> {
  let extended: Extended = {};
  for (let count = 0; ; ) {
    const header = await source.read(blockBytes);
    if (header === undefined) return;
    if (header.every((byte) => byte === 0)) return;
    assertChecksum(header);
    const flag = header.toString('latin1', 156, 157);
    const size = extended.size ?? numberAt(header, 124, 12);
    if (isExtension(flag)) {
      const content = await extension(source, numberAt(header, 124, 12));
      if (flag !== 'g') extended = { ...extended, ...extensionFields(flag, content) };
      continue;
    }
    if (flag === 'S') throw new ImageError('IMAGE_REFUSED', 'The archive has a sparse file, which is not read');
    count += 1;
    if (count > maxEntries) throw new ImageError('IMAGE_TOO_LARGE', `The archive has more than ${maxEntries} members`);
    const type = types[flag] ?? 'other';
    const bytes = type === 'file' ? size : 0;
    const offset = source.offset;
    yield {
      name: extended.path ?? nameOf(header),
      type,
      linkName: extended.link ?? textAt(header, 157, 100),
      bytes,
      offset,
    };
    await source.skip(offset + Math.ceil(bytes / blockBytes) * blockBytes - source.offset);
    extended = {};
  }
}

type Extended = { readonly path?: string; readonly link?: string; readonly size?: number };

function isExtension(flag: string): boolean {
  return flag === 'x' || flag === 'g' || flag === 'L' || flag === 'K';
}

async function extension(source: ByteSource, bytes: number): Promise<Buffer> {
  if (bytes > maxExtensionBytes) throw new ImageError('IMAGE_MALFORMED', `A header of the archive has ${bytes} bytes`);
  const content = await source.read(Math.ceil(bytes / blockBytes) * blockBytes);
  if (content === undefined) throw new ImageError('IMAGE_MALFORMED', 'The archive ends in a header');
  return content.subarray(0, bytes);
}

function extensionFields(flag: string, content: Buffer): Extended {
  if (flag === 'L') return { path: cString(content) };
  if (flag === 'K') return { link: cString(content) };
  let fields: Extended = {};
  for (let at = 0; at < content.length; ) {
    const space = content.indexOf(0x20, at);
    const length = Number(content.toString('latin1', at, space));
    const record = content.subarray(space + 1, at + length - 1).toString('utf8');
    const equals = record.indexOf('=');
    if (space === -1 || !Number.isSafeInteger(length) || length < 5 || at + length > content.length || equals < 1)
      throw new ImageError('IMAGE_MALFORMED', 'A header of the archive is not of the pax form');
    at += length;
    const [key, value] = [record.slice(0, equals), record.slice(equals + 1)];
    if (key.startsWith('GNU.sparse.'))
      throw new ImageError('IMAGE_REFUSED', 'The archive has a sparse file, which is not read');
    if (key === 'path') fields = { ...fields, path: value };
    if (key === 'linkpath') fields = { ...fields, link: value };
    if (key === 'size') fields = { ...fields, size: checkedSize(Number(value)) };
  }
  return fields;
}

function assertChecksum(header: Buffer): void {
  let sum = 0;
  for (let index = 0; index < blockBytes; index += 1) sum += index >= 148 && index < 156 ? 32 : (header[index] ?? 0);
  if (sum !== numberAt(header, 148, 8)) throw new ImageError('IMAGE_MALFORMED', 'This is no tar archive');
}

/** Octal digits, or a big number in GNU's form: the highest bit set, then the bytes. */
function numberAt(header: Buffer, at: number, length: number): number {
  if (((header[at] ?? 0) & 0x80) !== 0) {
    let value = (header[at] ?? 0) & 0x7f;
    for (let index = 1; index < length; index += 1) value = value * 256 + (header[at + index] ?? 0);
    return checkedSize(value);
  }
  const text = textAt(header, at, length).trim();
  if (!/^[0-7]*$/.test(text)) throw new ImageError('IMAGE_MALFORMED', `"${shown(text)}" is no number of a tar archive`);
  return checkedSize(Number.parseInt(text || '0', 8));
}

function checkedSize(value: number): number {
  if (Number.isSafeInteger(value) && value >= 0) return value;
  throw new ImageError('IMAGE_MALFORMED', 'A member of the archive has no possible size');
}

function nameOf(header: Buffer): string {
  const prefix = header.toString('latin1', 257, 262) === 'ustar' ? textAt(header, 345, 155) : '';
  const name = textAt(header, 0, 100);
  return prefix === '' ? name : `${prefix}/${name}`;
}

function textAt(header: Buffer, at: number, length: number): string {
  return cString(header.subarray(at, at + length));
}

function cString(bytes: Buffer): string {
  const end = bytes.indexOf(0);
  return bytes.toString('utf8', 0, end === -1 ? bytes.length : end);
}
