import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { CloisterError } from '@cloister/core';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { AppFileError, checkedByFile, readAppFile } from '../src/index.ts';

let folder = '';
beforeAll(async () => {
  folder = await mkdtemp(path.join(tmpdir(), 'cloister-app-file-'));
});
afterAll(() => rm(folder, { recursive: true, force: true }));

const write = async (content: string | Uint8Array, name = 'cloister.json') => {
  const file = path.join(folder, name);
  await writeFile(file, content);
  return file;
};

describe('readAppFile', () => {
  test('reads a file by its name or its folder', async () => {
    const file = await write('{ "main": "a.ts", "limits": { "wallMs": 500 } }');
    const read = await readAppFile(file);
    expect(read).toMatchObject({ file, folder, fields: { main: 'a.ts', limits: { wallMs: 500 } } });
    expect((await readAppFile(folder)).file).toBe(file);
  });

  test.each([
    ['an unknown field', '{\n  "main": "a",\n  "mian": 1\n}', '3:3', '"mian": unknown field "mian"'],
    [
      'a value out of bounds',
      '{ "main": "a",\n\t"limits": {\n\t\t"wallMs": 1 } }',
      '3:3',
      '"limits.wallMs": at least 10',
    ],
    [
      'an item of a list',
      '{ "main": "a",\n  "outbound": [\n    "a.example",\n    "*"\n  ] }',
      '4:5',
      '"outbound.1": does',
    ],
    ['no object', '[]', '1:1', 'expected object'],
    ['a missing comma', '{\n  "main": "a"\n  "name": "b"\n}', '3:3', 'no JSON: CommaExpected'],
    ['a comma at the end', '{\n  "main": "a",\n}', '3:1', 'no JSON: PropertyNameExpected'],
    ['a comment', '{ // why\n  "main": "a" }', '1:3', 'no JSON: InvalidCommentToken'],
    ['nothing', '', '1:1', 'no JSON: ValueExpected'],
    ['a name twice', '{\n  "main": "a",\n  "env": { "A": "1", "A": "2" }\n}', '3:22', '"A" stands twice in one object'],
    [
      'a place behind lines that end as on Windows',
      '{\r\n  "main": "a",\r\n  "x": 1\r\n}',
      '3:3',
      '"x": unknown field "x"',
    ],
  ])('tells %s by line and column', async (_, text, at, problem) => {
    const file = await write(text);
    const error = await readAppFile(file).catch((thrown: unknown) => thrown);
    expect(error).toBeInstanceOf(AppFileError);
    const [line, column] = at.split(':').map(Number);
    expect(error).toMatchObject({ code: 'APP_FILE_INVALID', meta: { file, line, column } });
    expect((error as Error).message).toContain(`${file}:${at}: ${problem}`);
  });

  test('never repeats a value, which may be a secret', async () => {
    const file = await write('{ "main": "a", "env": { "TOKEN": ["hunter2"] } }');
    await expect(readAppFile(file)).rejects.toThrow(/1:25: "env.TOKEN": expected string$/);
  });

  test.each([
    ['a folder without one', 'empty', 'APP_FILE_MISSING'],
    ['no such file', 'nothing.json', 'APP_FILE_MISSING'],
    ['bytes that are no text', Uint8Array.of(0x7b, 0xff, 0x7d), 'APP_FILE_UNREADABLE'],
    ['more than is read', ' '.repeat(64 * 1024 + 1), 'APP_FILE_UNREADABLE'],
  ])('refuses %s', async (_, content, code) => {
    await mkdir(path.join(folder, 'empty'), { recursive: true });
    const isName = content === 'empty' || content === 'nothing.json';
    const file = isName ? path.join(folder, content) : await write(content);
    await expect(readAppFile(file)).rejects.toMatchObject({ code });
  });
});

describe('checkedByFile', () => {
  const text = '{\n  "main": "a.ts",\n  "imagePolicy": "both",\n  "limits": {\n    "fuel": 7\n  }\n}\n';

  test.each([
    ['a field inside another', 'limits.fuel for kind "function", which counts nothing', '5:5'],
    ['a field by its own name alone', 'a fuel above 5', '5:5'],
    ['a field at the top', 'imagePolicy "both" without secrets', '3:3'],
    ['no field of the file', 'the moon', '1:1'],
  ])('tells what can not be honoured at %s', async (_, problem, at) => {
    const read = await readAppFile(await write(text));
    expect(() => checkedByFile(read, () => problem)).toThrow(`cloister.json:${at}: `);
  });

  test('the same for an error with a code, and nothing where all is well', async () => {
    const read = await readAppFile(await write(text));
    const error = new CloisterError({ code: 'X', message: 'The field "fuel" is odd' });
    expect(() =>
      checkedByFile(read, () => {
        throw error;
      }),
    ).toThrow(expect.objectContaining({ code: 'APP_FILE_INVALID', cause: error }));
    expect(() => checkedByFile(read, () => undefined)).not.toThrow();
  });

  test('a defect stays one', async () => {
    const read = await readAppFile(await write(text));
    const defect = new TypeError('undefined is no function');
    expect(() =>
      checkedByFile(read, () => {
        throw defect;
      }),
    ).toThrow(defect);
  });
});
