import { createHash } from 'node:crypto';
import fs from 'node:fs';
import path from 'node:path';
import { readDeb } from './imageDeb.ts';
import type { TarEntry } from './imageTar.ts';
import { inRoot, relativeToRoot } from './paths.ts';
import { ScriptError } from './scriptError.ts';

/** One package of the base, by the hash of the archive that Debian published, and which of its files go into the image. */
export type BasePackage = {
  readonly name: string;
  readonly version: string;
  /** Below an archive of Debian packages. */
  readonly path: string;
  readonly bytes: number;
  readonly sha256: string;
  readonly files: readonly string[];
};

export type Base = {
  readonly format: 'cloister-image-base-1';
  readonly name: string;
  readonly architecture: string;
  readonly packages: readonly BasePackage[];
};

export type BaseSources = {
  /** Folder that keeps the packages, by the file names that Debian gives them. */
  readonly folder: string;
  /** Where missing ones are fetched, in turn. What comes is checked by its hash, so plain http is enough. */
  readonly mirrors: readonly string[];
  readonly signal: AbortSignal;
};

const fetchTimeoutMs = 120_000;

/** The pinned base for an architecture as OCI names them. Throws IMAGE_PLATFORM_UNSUPPORTED. */
export function readBase(architecture: string): Base {
  const file = inRoot('image', `base-${architecture}.json`);
  if (!fs.existsSync(file))
    throw new ScriptError({
      code: 'IMAGE_PLATFORM_UNSUPPORTED',
      message: `No base of the image is pinned for "${architecture}"`,
      hint: 'TDX and SEV-SNP guests are amd64; leave the base out with --no-base',
    });
  return JSON.parse(fs.readFileSync(file, 'utf8')) as Base;
}

/**
 * What the worker needs of an operating system: the C library and what builds the walls, from pinned Debian packages, and a few
 * files of ours. Throws IMAGE_PACKAGE_UNAVAILABLE, IMAGE_BASE_MALFORMED, and what `readDeb` throws.
 */
export async function baseEntries(base: Base, sources: BaseSources): Promise<readonly TarEntry[]> {
  const entries: TarEntry[] = [];
  for (const item of base.packages) entries.push(...packageEntries(item, readDeb(await obtain(item, sources))));
  return [...entries, ...ownEntries()];
}

function packageEntries(item: BasePackage, members: ReturnType<typeof readDeb>): readonly TarEntry[] {
  return item.files.map((file) => {
    const member = members.find((candidate) => candidate.path === file);
    if (member === undefined)
      throw new ScriptError({
        code: 'IMAGE_BASE_MALFORMED',
        message: `Package "${item.name}" ${item.version} has no file "${file}"`,
        hint: 'Correct the list in image/base-*.json',
      });
    const entry = { path: merged(file) };
    return member.kind === 'file'
      ? { kind: 'file', ...entry, content: member.bytes }
      : { kind: 'link', ...entry, target: member.target };
  });
}

/** Debian 12 has one tree below /usr, and links to it where the others were; its packages still name the old places. */
const mergedFolders = ['bin', 'lib', 'lib64'] as const;

function merged(file: string): string {
  return mergedFolders.some((folder) => file.startsWith(`${folder}/`)) ? `usr/${file}` : file;
}

const ldd = `#!/bin/sh
# What the sandbox asks of ldd: the list that the loader itself gives.
exec /lib64/ld-linux-x86-64.so.2 --list "$@"
`;

function ownEntries(): readonly TarEntry[] {
  const texts: Readonly<Record<string, string>> = {
    'etc/group': 'root:x:0:\nnogroup:x:65534:\n',
    'etc/nsswitch.conf': 'hosts: files dns\n',
    'etc/passwd': 'root:x:0:0:root:/:/bin/sh\nnobody:x:65534:65534:nobody:/:/bin/false\n',
    'usr/bin/ldd': ldd,
  };
  return [
    ...Object.entries(texts).map(
      ([file, text]): TarEntry => ({ kind: 'file', path: file, content: Buffer.from(text) }),
    ),
    ...mergedFolders.map((folder): TarEntry => ({ kind: 'link', path: folder, target: `usr/${folder}` })),
    { kind: 'link', path: 'var/run', target: '/run' },
    ...['dev', 'etc/cloister', 'proc', 'run', 'sys'].map((folder): TarEntry => ({ kind: 'directory', path: folder })),
    { kind: 'directory', path: 'tmp', mode: 0o1777 },
  ];
}

async function obtain(item: BasePackage, { folder, mirrors, signal }: BaseSources): Promise<Uint8Array> {
  const file = path.join(folder, path.posix.basename(item.path));
  const kept = readIfThere(file);
  if (kept !== undefined && isGenuine(item, kept)) return kept;
  const problems: string[] = kept === undefined ? [] : [`"${relativeToRoot(file)}" is not the pinned file`];
  for (const mirror of mirrors) {
    const url = `${mirror.replace(/\/+$/, '')}/${item.path.split('/').map(encodeURIComponent).join('/')}`;
    try {
      const bytes = await fetchExactly(url, item.bytes, signal);
      if (!isGenuine(item, bytes)) throw new Error('it is not the pinned file');
      fs.mkdirSync(folder, { recursive: true });
      fs.writeFileSync(`${file}.${process.pid}`, bytes);
      fs.renameSync(`${file}.${process.pid}`, file);
      return bytes;
    } catch (cause) {
      signal.throwIfAborted();
      problems.push(`${url}: ${cause instanceof Error ? cause.message : String(cause)}`);
    }
  }
  throw new ScriptError({
    code: 'IMAGE_PACKAGE_UNAVAILABLE',
    message: `Can't get package "${item.name}" ${item.version} (${problems.join('; ') || 'no mirror'})`,
    hint: `Put "${path.posix.basename(item.path)}" (sha256 ${item.sha256.slice(2)}) into "${folder}", name another --mirror, or leave the base out with --no-base`,
  });
}

async function fetchExactly(url: string, bytes: number, signal: AbortSignal): Promise<Uint8Array> {
  const response = await fetch(url, { signal: AbortSignal.any([signal, AbortSignal.timeout(fetchTimeoutMs)]) });
  if (!response.ok || response.body === null) throw new Error(`status ${response.status}`);
  const parts: Uint8Array[] = [];
  let total = 0;
  for await (const part of response.body) {
    total += part.length;
    if (total > bytes) throw new Error(`more than ${bytes} bytes`);
    parts.push(part);
  }
  return Buffer.concat(parts);
}

function isGenuine(item: BasePackage, bytes: Uint8Array): boolean {
  return bytes.length === item.bytes && `0x${createHash('sha256').update(bytes).digest('hex')}` === item.sha256;
}

function readIfThere(file: string): Uint8Array | undefined {
  try {
    return fs.readFileSync(file);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw error;
  }
}
