import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import fs from 'node:fs';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import os from 'node:os';
import path from 'node:path';
import { gzipSync, zstdCompressSync } from 'node:zlib';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { type Base, baseEntries, readBase } from '../../scripts/lib/imageBase.ts';
import { readDeb } from '../../scripts/lib/imageDeb.ts';
import { type TarEntry, writeTar } from '../../scripts/lib/imageTar.ts';

const signal = AbortSignal.timeout(30_000);
let folder = '';
let server: Server | undefined;
let asked: string[] = [];

beforeEach(() => {
  folder = fs.mkdtempSync(path.join(os.tmpdir(), 'cloister-base-'));
  asked = [];
});
afterEach(async () => {
  fs.rmSync(folder, { recursive: true, force: true });
  server?.closeAllConnections();
  await new Promise((resolve) => (server === undefined ? resolve(undefined) : server.close(resolve)));
  server = undefined;
});

function tar(entries: readonly TarEntry[]): Buffer {
  const parts: Uint8Array[] = [];
  writeTar(entries, (bytes) => parts.push(Uint8Array.from(bytes)));
  return Buffer.concat(parts);
}

function member(name: string, bytes: Uint8Array): Buffer {
  const head = `${name.padEnd(16)}${'0'.padEnd(12)}${'0'.padEnd(6)}${'0'.padEnd(6)}${'100644'.padEnd(8)}${String(bytes.length).padEnd(10)}\`\n`;
  return Buffer.concat([Buffer.from(head), bytes, Buffer.alloc(bytes.length % 2, '\n')]);
}

const data = tar([
  { kind: 'file', path: 'lib/x86/libx.so.1', content: Buffer.from('\x7fELF x', 'latin1') },
  { kind: 'link', path: 'bin/sh', target: 'dash' },
  { kind: 'file', path: 'usr/share/unwanted', content: Buffer.from('no') },
]);

const deb = (name = 'data.tar.zst', packed: Uint8Array = zstdCompressSync(data)): Buffer =>
  Buffer.concat([
    Buffer.from('!<arch>\n'),
    member('debian-binary', Buffer.from('2.0\n')),
    member('control.tar.gz', Buffer.from('odd')),
    member(name, packed),
  ]);

const xz = spawnSync('xz', ['--stdout'], { input: data }).stdout;

describe('readDeb', () => {
  test.each([
    ['zstd', 'data.tar.zst', zstdCompressSync(data)],
    ['gzip', 'data.tar.gz', gzipSync(data)],
    ['nothing', 'data.tar', data],
    ['xz', 'data.tar.xz', xz ?? Buffer.alloc(0)],
  ])('unpacks what is packed with %s', (_, name, packed) => {
    expect(readDeb(deb(name, packed)).map(({ path: file }) => file)).toEqual([
      'bin/sh',
      'lib/x86/libx.so.1',
      'usr/share/unwanted',
    ]);
  });

  test.each([
    ['no ar archive', Buffer.from('PK\x03\x04')],
    ['no data', Buffer.concat([Buffer.from('!<arch>\n'), member('debian-binary', Buffer.from('2.0\n'))])],
    ['an end within a member', deb().subarray(0, deb().length - 8)],
    ['a member without a size', Buffer.concat([Buffer.from('!<arch>\n'), Buffer.alloc(60, ' ')])],
    ['data that does not unpack', deb('data.tar.zst', Buffer.from('nothing'))],
    ['xz that does not unpack', deb('data.tar.xz', Buffer.from('nothing'))],
    ['an unknown packing', deb('data.tar.lzma', Buffer.from('nothing'))],
  ])('refuses %s', (_, bytes) => {
    expect(() => readDeb(bytes)).toThrow(expect.objectContaining({ code: 'IMAGE_ARCHIVE_MALFORMED' }));
  });
});

function base(over: Partial<Base['packages'][number]> = {}): Base {
  const bytes = deb();
  return {
    format: 'cloister-image-base-1',
    name: 'made-up',
    architecture: 'amd64',
    packages: [
      {
        name: 'x',
        version: '1+2',
        path: 'debian/pool/x/x_1+2_amd64.deb',
        bytes: bytes.length,
        sha256: `0x${createHash('sha256').update(bytes).digest('hex')}`,
        files: ['bin/sh', 'lib/x86/libx.so.1'],
        ...over,
      },
    ],
  };
}

async function mirror(answer: Uint8Array | number): Promise<string> {
  const started = createServer((request, response) => {
    asked.push(request.url ?? '');
    response.writeHead(typeof answer === 'number' ? answer : 200).end(typeof answer === 'number' ? '' : answer);
  });
  server = started;
  await new Promise<void>((resolve) => started.listen(0, '127.0.0.1', resolve));
  return `http://127.0.0.1:${(started.address() as AddressInfo).port}`;
}

const away = 'http://127.0.0.1:1';

describe('baseEntries', () => {
  test('fetches a package once, checks it, and takes the files that are listed', async () => {
    const mirrors = [away, await mirror(deb())];
    const entries = await baseEntries(base(), { folder, mirrors, signal });
    expect(asked).toEqual(['/debian/pool/x/x_1%2B2_amd64.deb']);
    const paths = entries.map(({ path: file }) => file);
    expect(paths.slice(0, 2)).toEqual(['usr/bin/sh', 'usr/lib/x86/libx.so.1']);
    expect(paths).not.toContain('usr/share/unwanted');
    expect(paths).toEqual(expect.arrayContaining(['lib64', 'etc/passwd', 'usr/bin/ldd', 'tmp']));
    expect(fs.readdirSync(folder)).toEqual(['x_1+2_amd64.deb']);
    const again = await baseEntries(base(), { folder, mirrors: [away], signal });
    expect(tar(again).equals(tar(entries))).toBe(true);
    expect(asked).toHaveLength(1);
  });

  test('a kept package with one other byte is fetched anew', async () => {
    const changed = deb();
    changed[70] = (changed[70] ?? 0) ^ 1;
    fs.writeFileSync(path.join(folder, 'x_1+2_amd64.deb'), changed);
    await baseEntries(base(), { folder, mirrors: [await mirror(deb())], signal });
    expect(fs.readFileSync(path.join(folder, 'x_1+2_amd64.deb')).equals(deb())).toBe(true);
  });

  test.each([
    [
      'one other byte',
      () => Buffer.concat([deb().subarray(0, deb().length - 1), Buffer.from('?')]),
      'not the pinned file',
    ],
    ['more bytes than pinned', () => Buffer.concat([deb(), Buffer.alloc(100_000)]), 'more than'],
    ['fewer bytes', () => deb().subarray(0, 100), 'not the pinned file'],
    ['status 404', () => 404, 'status 404'],
  ])('refuses a mirror that gives %s, and keeps nothing of it', async (_, answer, problem) => {
    await expect(baseEntries(base(), { folder, mirrors: [await mirror(answer())], signal })).rejects.toMatchObject({
      code: 'IMAGE_PACKAGE_UNAVAILABLE',
      message: expect.stringContaining(problem),
      hint: expect.stringContaining('x_1+2_amd64.deb'),
    });
    expect(fs.readdirSync(folder)).toEqual([]);
  });

  test('names a listed file that the package lacks', async () => {
    const mirrors = [await mirror(deb())];
    await expect(baseEntries(base({ files: ['bin/none'] }), { folder, mirrors, signal })).rejects.toMatchObject({
      code: 'IMAGE_BASE_MALFORMED',
      message: expect.stringContaining('"bin/none"'),
    });
  });

  test('gives up when told to', async () => {
    const given = AbortSignal.abort(new Error('given up'));
    await expect(baseEntries(base(), { folder, mirrors: [away], signal: given })).rejects.toThrow('given up');
  });
});

describe('the pinned base', () => {
  const { packages, format, architecture } = readBase('amd64');

  test('names each package once, by hash and size, in order', () => {
    expect({ format, architecture }).toEqual({ format: 'cloister-image-base-1', architecture: 'amd64' });
    const names = packages.map(({ name }) => name);
    expect(names).toEqual([...new Set(names)].sort());
    for (const item of packages) {
      expect(item.sha256).toMatch(/^0x[0-9a-f]{64}$/);
      expect(item.bytes).toBeGreaterThan(1000);
      expect(item.path).toMatch(/^debian(-security)?\/pool\/[\w./+-]+_amd64\.deb$/);
      expect(path.posix.basename(item.path)).toBe(`${item.name}_${item.version.replace(/^[0-9]+:/, '')}_amd64.deb`);
      expect(item.files).toEqual([...item.files].sort());
    }
  });

  test('holds the programs of the walls, and the licence of each package', () => {
    const files = packages.flatMap((item) => item.files);
    expect(files).toEqual(
      expect.arrayContaining(['bin/sh', 'usr/bin/bwrap', 'usr/bin/setpriv', 'usr/bin/prlimit', 'usr/bin/unshare']),
    );
    const licensed = files.filter((file) => file.endsWith('/copyright'));
    // libgcc and libstdc++ refer to the copyright file of gcc-12-base.
    expect(licensed).toHaveLength(packages.length - 2);
  });

  test('there is none for other architectures', () => {
    expect(() => readBase('s390x')).toThrow(expect.objectContaining({ code: 'IMAGE_PLATFORM_UNSUPPORTED' }));
  });
});
