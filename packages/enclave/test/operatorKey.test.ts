import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { readOperatorKey } from '@cloister/enclave';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';

const key = `0x${'1f'.repeat(32)}`;
let folder: string;
let file: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'cloister-key-'));
  file = join(folder, 'operator.key');
});
afterEach(() => rm(folder, { recursive: true }));

describe('the operator’s key file', () => {
  test.each(['', '\n', '\r\n', '  \n\n'])('holds a key and %j after it', async (end) => {
    await writeFile(file, `${key}${end}`);
    expect(await readOperatorKey(file)).toBe(key);
  });

  test.each([
    ['nothing', ''],
    ['no prefix', key.slice(2)],
    ['a digit too few', key.slice(0, -1)],
    ['a digit too many', `${key}1`],
    ['two keys', `${key}\n${key}`],
    ['no digits', `0x${'zz'.repeat(32)}`],
    ['a key and much more', `${key}${' '.repeat(10_000)}${key}`],
  ])('is named where it holds %s, and not quoted', async (_, text) => {
    await writeFile(file, text);
    const error = await readOperatorKey(file).then(
      () => undefined,
      (thrown: Error) => thrown,
    );
    expect(error).toMatchObject({ code: 'OPERATOR_KEY_FILE', meta: { file } });
    expect(error?.message).toContain(file);
    expect(JSON.stringify(error)).not.toContain('1f1f1f');
  });

  test('is named where it is not there, or is a folder', async () => {
    for (const path of [file, folder])
      await expect(readOperatorKey(path)).rejects.toMatchObject({ code: 'OPERATOR_KEY_FILE', meta: { file: path } });
  });
});
