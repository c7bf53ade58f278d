import { ScriptError } from './scriptError.ts';

/** What an archive holds: files and symbolic links. Paths without "./" before them. */
export type TarMember =
  | { readonly kind: 'file'; readonly path: string; readonly bytes: Uint8Array }
  | { readonly kind: 'link'; readonly path: string; readonly target: string };

const blockBytes = 512;

/**
 * Reads a tar archive as Debian's packages hold it (ustar with GNU's long names). Directories, and entries of other kinds, are
 * left out. Views into `archive`. Throws IMAGE_ARCHIVE_MALFORMED.
 */
export function readTar(archive: Uint8Array): readonly TarMember[] {
  const members: TarMember[] = [];
  let longName: string | undefined;
  for (let at = 0; ; ) {
    const block = archive.subarray(at, at + blockBytes);
    if (block.length === 0 || block.every((byte) => byte === 0)) return members;
    if (block.length < blockBytes) throw malformed(`it ends within the header at byte ${at}`);
    assertSum(block, at);
    const size = octal(block, 124, 12, at);
    const start = at + blockBytes;
    const bytes = archive.subarray(start, start + size);
    if (bytes.length < size) throw malformed(`it ends within the entry at byte ${at}`);
    at = start + Math.ceil(size / blockBytes) * blockBytes;
    const type = String.fromCharCode(block[156] ?? 0);
    if (type === 'L') {
      longName = text(bytes, 0, bytes.length);
      continue;
    }
    const path = plain(longName ?? pathOf(block));
    longName = undefined;
    if (type === '0' || type === '\0') members.push({ kind: 'file', path, bytes });
    else if (type === '2') members.push({ kind: 'link', path, target: text(block, 157, 100) });
  }
}

function pathOf(block: Uint8Array): string {
  const prefix = text(block, 257, 6) === 'ustar' ? text(block, 345, 155) : '';
  return `${prefix === '' ? '' : `${prefix}/`}${text(block, 0, 100)}`;
}

function plain(path: string): string {
  return path.replace(/^\.\//, '');
}

function assertSum(block: Uint8Array, at: number): void {
  const stated = octal(block, 148, 8, at);
  const sum = block.reduce((total, byte, index) => total + (index >= 148 && index < 156 ? 32 : byte), 0);
  if (sum !== stated) throw malformed(`the header at byte ${at} has the sum ${sum}, and states ${stated}`);
}

function octal(block: Uint8Array, from: number, length: number, at: number): number {
  const digits = text(block, from, length).trim();
  if (!/^[0-7]{1,11}$/.test(digits)) throw malformed(`the header at byte ${at} has no number at ${from}`);
  return Number.parseInt(digits, 8);
}

function text(bytes: Uint8Array, from: number, length: number): string {
  const field = Buffer.from(bytes.subarray(from, from + length));
  const end = field.indexOf(0);
  return field.subarray(0, end < 0 ? field.length : end).toString('latin1');
}

function malformed(problem: string): ScriptError {
  return new ScriptError({ code: 'IMAGE_ARCHIVE_MALFORMED', message: `A package's archive can't be read: ${problem}` });
}
