import { spawnSync } from 'node:child_process';
import { gunzipSync, zstdDecompressSync } from 'node:zlib';
import { readTar, type TarMember } from './imageTarReader.ts';
import { ScriptError } from './scriptError.ts';

/** The largest package of the image's base unpacks to 14 MB. */
const maxUnpackedBytes = 128 * 1024 * 1024;
const headerBytes = 60;

/**
 * The files of a Debian package (deb(5)): an ar archive whose member "data.tar.…" holds them. xz is unpacked by the program of that
 * name, which Node.js has nothing for; what comes out depends on the package alone, whose hash the caller has checked.
 * Throws IMAGE_ARCHIVE_MALFORMED, IMAGE_TOOL_MISSING.
 */
export function readDeb(bytes: Uint8Array): readonly TarMember[] {
  const deb = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length);
  if (deb.subarray(0, 8).toString('latin1') !== '!<arch>\n') throw malformed('it is no ar archive');
  for (let at = 8; at + headerBytes <= deb.length; ) {
    const name = deb
      .subarray(at, at + 16)
      .toString('latin1')
      .trim()
      .replace(/\/$/, '');
    const digits = deb
      .subarray(at + 48, at + 58)
      .toString('latin1')
      .trim();
    if (!/^[0-9]{1,10}$/.test(digits)) throw malformed(`member "${name}" has no size`);
    const size = Number(digits);
    const start = at + headerBytes;
    if (start + size > deb.length) throw malformed(`it ends within member "${name}"`);
    if (name.startsWith('data.tar')) return readTar(unpack(name, deb.subarray(start, start + size)));
    at = start + size + (size % 2);
  }
  throw malformed('it has no member "data.tar"');
}

function unpack(name: string, data: Uint8Array): Uint8Array {
  const limits = { maxOutputLength: maxUnpackedBytes };
  try {
    if (name === 'data.tar') return data;
    if (name === 'data.tar.gz') return gunzipSync(data, limits);
    if (name === 'data.tar.zst') return zstdDecompressSync(data, limits);
  } catch (cause) {
    throw malformed(`member "${name}" does not unpack`, cause);
  }
  if (name === 'data.tar.xz') return unpackXz(data);
  throw malformed(`member "${name.slice(0, 40)}" is packed in an unknown way`);
}

function unpackXz(data: Uint8Array): Uint8Array {
  const { status, stdout, error } = spawnSync('xz', ['--decompress', '--stdout'], {
    input: data,
    maxBuffer: maxUnpackedBytes,
    timeout: 60_000,
  });
  if ((error as NodeJS.ErrnoException | undefined)?.code === 'ENOENT')
    throw new ScriptError({
      code: 'IMAGE_TOOL_MISSING',
      message: `The packages of the image's base are packed with xz, which is not installed`,
      hint: 'Install it (apt-get install xz-utils), or leave the base out with --no-base',
    });
  if (status !== 0) throw malformed('member "data.tar.xz" does not unpack', error);
  return stdout;
}

function malformed(problem: string, cause?: unknown): ScriptError {
  return new ScriptError({ code: 'IMAGE_ARCHIVE_MALFORMED', message: `A package can't be read: ${problem}`, cause });
}
