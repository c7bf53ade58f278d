import { createHash } from 'node:crypto';
import fs from 'node:fs';
import path from 'node:path';
import { ScriptError } from './scriptError.ts';

/** One entry of a layer. Paths are relative, "/" between parts. */
export type TarEntry =
  | { readonly kind: 'directory'; readonly path: string; readonly mode?: number }
  | { readonly kind: 'file'; readonly path: string; readonly content: TarContent }
  | { readonly kind: 'link'; readonly path: string; readonly target: string };

/** Bytes, or a file that holds them. */
export type TarContent = Uint8Array | { readonly file: string };

type Write = (bytes: Uint8Array) => void;

const blockBytes = 512;
const chunkBytes = 1024 * 1024;
const maxFileBytes = 8 ** 11 - 1;
/** From here on, equal contents are stored once: npm installs the sandbox's runtime, of 160 MB, in two places. */
const minSharedBytes = 1024 * 1024;

/**
 * Writes a tar archive (POSIX.1-1988, "ustar") that depends on nothing but paths, contents and link targets: entries in byte
 * order of their paths, directories above them added, times 0, owner 0, and of each file's mode only whether it is a program,
 * which its first bytes tell. Large files of equal contents are hard links to the first. Throws IMAGE_ENTRY_REFUSED, IMAGE_FILE_UNREADABLE.
 */
export function writeTar(entries: readonly TarEntry[], write: Write): void {
  const large = new Map<string, string>();
  for (const entry of complete(entries)) {
    if (entry.kind === 'directory') write(header(`${entry.path}/`, '5', 0, entry.mode ?? 0o755));
    else if (entry.kind === 'link') write(header(entry.path, '2', 0, 0o777, entry.target));
    else if (entry.content instanceof Uint8Array) writeBytes(entry.path, entry.content, write);
    else if (!writeLink(entry.path, entry.content.file, large, write)) writeFile(entry.path, entry.content.file, write);
  }
  write(new Uint8Array(2 * blockBytes));
}

/** Sorted, each path once, with every directory above an entry. */
function complete(entries: readonly TarEntry[]): readonly TarEntry[] {
  const all = new Map<string, TarEntry>();
  for (const entry of entries) {
    assertPath(entry.path);
    if (all.has(entry.path)) throw refused(entry.path, 'it comes twice');
    all.set(entry.path, entry);
  }
  for (const { path: below } of entries)
    for (let above = path.posix.dirname(below); above !== '.'; above = path.posix.dirname(above)) {
      const there = all.get(above);
      if (there !== undefined && there.kind !== 'directory') throw refused(below, `"${above}" is no directory`);
      all.set(above, there ?? { kind: 'directory', path: above });
    }
  return [...all.values()].sort((left, right) => Buffer.compare(Buffer.from(left.path), Buffer.from(right.path)));
}

function assertPath(name: string): void {
  const parts = name.split('/');
  if (!/^[\x20-\x7e]+$/.test(name) || parts.some((part) => part === '' || part === '.' || part === '..'))
    throw refused(name, 'its path is not relative, or not of printable ASCII');
}

/** Writes a hard link where an earlier large file is the same. */
function writeLink(name: string, file: string, large: Map<string, string>, write: Write): boolean {
  if ((fs.statSync(file, { throwIfNoEntry: false })?.size ?? 0) < minSharedBytes) return false;
  const hash = createHash('sha256');
  let mode = 0;
  readPieces(file, (_, start) => {
    mode = modeOf(start);
    return (bytes) => hash.update(bytes);
  });
  const digest = hash.digest('hex');
  const first = large.get(digest);
  if (first === undefined) large.set(digest, name);
  else write(header(name, '1', 0, mode, first));
  return first !== undefined;
}

function writeFile(name: string, file: string, write: Write): void {
  readPieces(file, (size, start) => {
    write(header(name, '0', size, modeOf(start)));
    return write;
  });
}

function writeBytes(name: string, bytes: Uint8Array, write: Write): void {
  write(header(name, '0', bytes.length, modeOf(bytes)));
  write(bytes);
  write(padding(bytes.length));
}

/**
 * Gives a file to `begin` (its size and its first bytes) and then to what that answers, in pieces, since a runtime has more than
 * 100 MB, and filled up to whole blocks.
 */
function readPieces(file: string, begin: (size: number, start: Uint8Array) => Write): void {
  let descriptor: number | undefined;
  try {
    descriptor = fs.openSync(file, 'r');
    const { size } = fs.fstatSync(descriptor);
    const buffer = Buffer.alloc(Math.min(size, chunkBytes));
    let done = fs.readSync(descriptor, buffer);
    const write = begin(size, buffer.subarray(0, done));
    write(buffer.subarray(0, done));
    for (let read = done; read > 0 && done < size; done += read) {
      read = fs.readSync(descriptor, buffer);
      write(buffer.subarray(0, read));
    }
    if (done !== size) throw new Error('it changed while it was read');
    write(padding(size));
  } catch (cause) {
    if (cause instanceof ScriptError) throw cause;
    throw new ScriptError({
      code: 'IMAGE_FILE_UNREADABLE',
      message: `Can't read "${file}" for the image (${cause instanceof Error ? cause.message : String(cause)})`,
      hint: 'Install the dependencies again',
      cause,
    });
  } finally {
    if (descriptor !== undefined) fs.closeSync(descriptor);
  }
}

/** A program is ELF, or a script that names its interpreter. */
function modeOf(start: Uint8Array): number {
  const text = Buffer.from(start.subarray(0, 4)).toString('latin1');
  return text === '\x7fELF' || text.startsWith('#!') ? 0o755 : 0o644;
}

function padding(size: number): Uint8Array {
  return new Uint8Array((blockBytes - (size % blockBytes)) % blockBytes);
}

function header(name: string, type: '0' | '1' | '2' | '5', size: number, mode: number, target = ''): Uint8Array {
  const [prefix, rest] = split(name);
  if (target.length > 100 || size > maxFileBytes) throw refused(name, 'it is too large, or its target too long');
  const block = Buffer.alloc(blockBytes);
  block.write(rest, 0, 'latin1');
  block.write(octal(mode, 7), 100);
  block.write(octal(0, 7), 108);
  block.write(octal(0, 7), 116);
  block.write(octal(size, 11), 124);
  block.write(octal(0, 11), 136);
  block.write(' '.repeat(8), 148);
  block.write(type, 156);
  block.write(target, 157, 'latin1');
  block.write('ustar\x0000', 257, 'latin1');
  block.write(prefix, 345, 'latin1');
  const sum = block.reduce((total, byte) => total + byte, 0);
  block.write(`${octal(sum, 6)} `, 148, 'latin1');
  return block;
}

/** The path in the two fields that the form has for it: 155 bytes before a "/", and 100. */
function split(name: string): readonly [string, string] {
  if (name.length <= 100) return ['', name];
  const at = name.indexOf('/', name.length - 101);
  if (at < 1 || at > 155 || at === name.length - 1) throw refused(name, 'its path is too long for a tar archive');
  return [name.slice(0, at), name.slice(at + 1)];
}

function octal(value: number, digits: number): string {
  return `${value.toString(8).padStart(digits, '0')}\0`;
}

function refused(name: string, problem: string): ScriptError {
  return new ScriptError({
    code: 'IMAGE_ENTRY_REFUSED',
    message: `Can't put "${name.slice(0, 300)}" into the image: ${problem}`,
  });
}
