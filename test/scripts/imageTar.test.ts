import { spawnSync } from 'node:child_process';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { type TarEntry, writeTar } from '../../scripts/lib/imageTar.ts';
import { readTar } from '../../scripts/lib/imageTarReader.ts';
import { ScriptError } from '../../scripts/lib/scriptError.ts';

let folder = '';
beforeEach(() => {
  folder = fs.mkdtempSync(path.join(os.tmpdir(), 'cloister-tar-'));
});
afterEach(() => fs.rmSync(folder, { recursive: true, force: true }));

function archive(entries: readonly TarEntry[]): Buffer {
  const parts: Uint8Array[] = [];
  writeTar(entries, (bytes) => parts.push(Uint8Array.from(bytes)));
  return Buffer.concat(parts);
}

const text = (content: string) => Buffer.from(content);
const file = (name: string, content: string): TarEntry => ({ kind: 'file', path: name, content: text(content) });
const code = (run: () => unknown): string => {
  try {
    run();
  } catch (error) {
    return error instanceof ScriptError ? error.code : String(error);
  }
  return 'nothing thrown';
};

const deep = `${'folder/'.repeat(20)}file-with-a-name-of-its-own.js`;
const entries: readonly TarEntry[] = [
  file('b/z.js', 'z'),
  file('b.js', 'export {};\n'),
  file('a/program', '#!/bin/sh\n'),
  file('a/with space', ''),
  { kind: 'link', path: 'a/link', target: '../b/z.js' },
  { kind: 'directory', path: 'tmp', mode: 0o1777 },
  file(deep, 'x'.repeat(1000)),
];

describe('writeTar', () => {
  test('gives the same bytes in whatever order the entries come', () => {
    expect(archive([...entries].reverse()).equals(archive(entries))).toBe(true);
  });

  test('writes what the system unpacks: contents, modes, links, no owner, no time', () => {
    fs.writeFileSync(path.join(folder, 'a.tar'), archive(entries));
    const run = (...args: string[]) => spawnSync('tar', args, { cwd: folder, encoding: 'utf8' });
    const listing = run('--list', '--verbose', '--numeric-owner', '--utc', '--full-time', '--file', 'a.tar');
    expect(listing.status).toBe(0);
    const lines = listing.stdout.trim().split('\n');
    expect(lines.every((line) => / 0\/0 .* 1970-01-01 00:00:00 /.test(line))).toBe(true);
    const listed = lines.map((line) => [line.slice(0, 10), line.replace(/^.*00:00:00 /, '')]);
    expect(listed).toEqual(expect.arrayContaining([['-rw-r--r--', deep]]));
    expect(listed.slice(0, 6)).toEqual([
      ['drwxr-xr-x', 'a/'],
      ['lrwxrwxrwx', 'a/link -> ../b/z.js'],
      ['-rwxr-xr-x', 'a/program'],
      ['-rw-r--r--', 'a/with space'],
      ['drwxr-xr-x', 'b/'],
      ['-rw-r--r--', 'b.js'],
    ]);
    expect(listed.at(-1)).toEqual(['drwxrwxrwt', 'tmp/']);
    expect(run('--extract', '--file', 'a.tar').status).toBe(0);
    expect(fs.readFileSync(path.join(folder, deep), 'utf8')).toBe('x'.repeat(1000));
    expect(fs.readFileSync(path.join(folder, 'a/link'), 'utf8')).toBe('z');
  });

  test('tells programs by their contents, so that what a folder says of modes changes nothing', () => {
    const one = path.join(folder, 'one');
    fs.writeFileSync(one, '\x7fELF rest');
    const build = () => archive([{ kind: 'file', path: 'bin/one', content: { file: one } }]);
    fs.chmodSync(one, 0o600);
    fs.utimesSync(one, 1, 1);
    const first = build();
    fs.chmodSync(one, 0o777);
    fs.utimesSync(one, 2_000_000_000, 2_000_000_000);
    expect(build().equals(first)).toBe(true);
    expect(first.subarray(1024 + 512 * 0, 1024 + 8).toString('latin1')).toBe('\x7fELF res');
    expect(first.subarray(512 + 100, 512 + 107).toString('latin1')).toBe('0000755');
  });

  test('stores large files of equal contents once', () => {
    const names = ['a', 'b', 'c'];
    const size = 1024 * 1024 + 7;
    names.forEach(
      (name, index) => void fs.writeFileSync(path.join(folder, name), Buffer.alloc(size, index === 1 ? 1 : 2)),
    );
    const made = archive(
      names.map((name) => ({ kind: 'file', path: name, content: { file: path.join(folder, name) } })),
    );
    expect(made.length).toBeLessThan(2.1 * size);
    fs.mkdirSync(path.join(folder, 'out'));
    fs.writeFileSync(path.join(folder, 'a.tar'), made);
    expect(spawnSync('tar', ['-xf', '../a.tar'], { cwd: path.join(folder, 'out') }).status).toBe(0);
    for (const name of names)
      expect(fs.readFileSync(path.join(folder, 'out', name)).equals(fs.readFileSync(path.join(folder, name)))).toBe(
        true,
      );
  });

  test.each([
    ['an absolute path', [file('/etc/passwd', '')]],
    ['a way out', [file('a/../../b', '')]],
    ['an empty part', [file('a//b', '')]],
    ['a control character', [file('a\nb', '')]],
    ['letters beyond ASCII', [file('ä', '')]],
    ['the same path twice', [file('a', '1'), file('a', '2')]],
    ['a file as a folder', [file('a', ''), file('a/b', '')]],
    ['a link as a folder', [{ kind: 'link', path: 'a', target: 'b' } as const, file('a/b', '')]],
    ['a path that is too long', [file(`${'a'.repeat(101)}`, '')]],
    ['a path of too many parts', [file('a/'.repeat(130).concat('b'), '')]],
    ['a target that is too long', [{ kind: 'link', path: 'a', target: 'b'.repeat(101) } as const]],
  ])('refuses %s', (_, wrong) => {
    expect(code(() => archive(wrong))).toBe('IMAGE_ENTRY_REFUSED');
  });

  test('names a file that is not there', () => {
    const missing = path.join(folder, 'none');
    expect(code(() => archive([{ kind: 'file', path: 'a', content: { file: missing } }]))).toBe(
      'IMAGE_FILE_UNREADABLE',
    );
  });
});

describe('readTar', () => {
  test('gives back files and links', () => {
    const members = readTar(archive(entries));
    expect(members.find(({ path: name }) => name === deep)).toMatchObject({ kind: 'file' });
    expect(members.find(({ path: name }) => name === 'a/link')).toEqual({
      kind: 'link',
      path: 'a/link',
      target: '../b/z.js',
    });
    expect(members).toHaveLength(entries.length - 1);
  });

  test("reads the system's own archives, long names included", () => {
    const name = `${'n'.repeat(120)}/${'m'.repeat(120)}`;
    fs.mkdirSync(path.join(folder, path.dirname(name)));
    fs.writeFileSync(path.join(folder, name), 'content');
    const made = spawnSync('tar', ['--create', '--format=gnu', '--file=-', `./${name}`], { cwd: folder });
    const [member] = readTar(made.stdout);
    expect(member).toMatchObject({ kind: 'file', path: name });
    expect(member?.kind === 'file' && Buffer.from(member.bytes).toString()).toBe('content');
  });

  test('cut or changed anywhere, an archive throws nothing but our error', () => {
    const whole = archive(entries);
    for (let at = 0; at < whole.length; at += 37) {
      const changed = Buffer.from(whole);
      changed[at] = (changed[at] ?? 0) ^ 0x15;
      for (const bytes of [changed, whole.subarray(0, at)])
        expect(['nothing thrown', 'IMAGE_ARCHIVE_MALFORMED']).toContain(code(() => readTar(bytes)));
    }
    expect(code(() => readTar(whole.subarray(0, 700)))).toBe('IMAGE_ARCHIVE_MALFORMED');
  });
});
