import { chmod, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { concatBytes, fromHex, toHex } from '@cloister/crypto';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { readTdxRegisters, registersFolder, systemFiles } from '../../src/attest/index.ts';
import { readHostCertificates } from '../../src/attest/tsm/hostCertificates.ts';
import { codeOf } from './attestWorld.ts';
import { FakeKernel, systemError } from './fakeKernel.ts';

describe('systemFiles', () => {
  let folder = '';
  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'cloister-files-'));
  });
  afterAll(() => rm(folder, { recursive: true, force: true }));

  test('reads to the end whatever the size says, and no more than allowed', async () => {
    const file = join(folder, 'large');
    await writeFile(file, Buffer.alloc(40_000, 7));
    expect(await systemFiles.read(file, 40_000)).toEqual(new Uint8Array(40_000).fill(7));
    expect(await codeOf(systemFiles.read(file, 39_999))).toBe('DEVICE_REPLY_TOO_LARGE');
    expect((await systemFiles.read('/proc/self/status', 100_000)).length).toBeGreaterThan(100);
    expect(await codeOf(systemFiles.read('/dev/zero', 1000))).toBe('DEVICE_REPLY_TOO_LARGE');
  });

  test('writes into what is there, and makes no file', async () => {
    const file = join(folder, 'there');
    await writeFile(file, 'abcdef');
    await systemFiles.write(file, Buffer.from('xyz'));
    expect(await readFile(file, 'utf8')).toBe('xyzdef');
    expect(await codeOf(systemFiles.write(join(folder, 'not'), Buffer.from('x')))).toBe('ENOENT');
    expect(await readdir(folder)).not.toContain('not');
  });

  test('makes and removes folders, and knows what is there', async () => {
    const inner = join(folder, 'inner');
    expect(await systemFiles.exists(inner)).toBe(false);
    await systemFiles.makeFolder(inner);
    expect(await systemFiles.exists(inner)).toBe(true);
    expect(await codeOf(systemFiles.makeFolder(inner))).toBe('EEXIST');
    await systemFiles.removeFolder(inner);
    expect(await codeOf(systemFiles.removeFolder(inner))).toBe('ENOENT');
    await chmod(folder, 0o700);
  });
});

describe('TDX registers', () => {
  const files = ['mrtd:sha384', 'rtmr0:sha384', 'rtmr1:sha384', 'rtmr2:sha384', 'rtmr3:sha384'];
  const owners = ['mrconfigid', 'mrowner', 'mrownerconfig'];
  function machine(): FakeKernel {
    const kernel = new FakeKernel();
    for (const [index, name] of [...files, ...owners].entries())
      kernel.plain.set(`${registersFolder}/${name}`, new Uint8Array(48).fill(index + 1));
    return kernel;
  }

  test('are read under their names, and never written', async () => {
    const kernel = machine();
    const seen = new Set<string>();
    kernel.onAccess = (operation) => {
      seen.add(operation);
    };
    const value = (index: number) => toHex(new Uint8Array(48).fill(index));
    expect(await readTdxRegisters(kernel.files)).toEqual({
      mrtd: value(1),
      rtmr0: value(2),
      rtmr1: value(3),
      rtmr2: value(4),
      rtmr3: value(5),
      mrConfigId: value(6),
      mrOwner: value(7),
      mrOwnerConfig: value(8),
    });
    expect([...seen].sort()).toEqual(['exists', 'read']);
  });

  test('are none on kernels that show none', async () => {
    expect(await readTdxRegisters(new FakeKernel().files)).toBeUndefined();
  });

  test.each([
    [0, 'DEVICE_REPLY_MALFORMED'],
    [47, 'DEVICE_REPLY_MALFORMED'],
    [49, 'DEVICE_REPLY_TOO_LARGE'],
  ])('of %d bytes are refused by name', async (length, code) => {
    const kernel = machine();
    kernel.plain.set(`${registersFolder}/rtmr2:sha384`, new Uint8Array(length));
    expect(await codeOf(readTdxRegisters(kernel.files))).toBe(code);
  });

  test.each([
    ['EACCES', 'DEVICE_FORBIDDEN'],
    ['ENOENT', 'DEVICE_FAILED'],
    ['EIO', 'DEVICE_FAILED'],
  ])('that cannot be read (%s) are %s', async (system, code) => {
    const kernel = machine();
    kernel.onAccess = (operation, path) => {
      if (operation === 'read' && path.includes('rtmr1')) throw systemError(system);
    };
    expect(await codeOf(readTdxRegisters(kernel.files))).toBe(code);
  });
});

describe("a host's table of certificates", () => {
  const vcek = '63da758de6644564adc5f4b93be8accd';
  const ask = '4ab7b379bbac4fe4a02f05aef327c782';
  const ark = 'c0b406a4a803495297433fb6014cd0ae';
  const vlek = 'a8074bc2a25a483eaae639c045a0b8a1';
  const u32 = (value: number) =>
    Uint8Array.of(value & 0xff, (value >> 8) & 0xff, (value >> 16) & 0xff, (value >>> 24) & 0xff);
  const entry = (guid: string, offset: number, length: number) => concatBytes(fromHex(guid), u32(offset), u32(length));
  const end = new Uint8Array(24);
  const code = (table: Uint8Array) => codeOf((async () => readHostCertificates(table))());

  test('gives each by its name', () => {
    const table = concatBytes(
      entry(vcek, 120, 2),
      entry(ask, 122, 3),
      entry(ark, 125, 1),
      entry('11223344556677889900aabbccddeeff', 120, 4),
      end,
      Uint8Array.of(1, 2, 3, 4, 5, 6),
    );
    expect(readHostCertificates(table)).toEqual({
      vcek: Uint8Array.of(1, 2),
      ask: Uint8Array.of(3, 4, 5),
      ark: Uint8Array.of(6),
    });
    expect(Object.keys(readHostCertificates(concatBytes(entry(vlek, 48, 0), end)))).toEqual(['vlek']);
  });

  test('may be absent, empty or zeros', () => {
    for (const table of [undefined, new Uint8Array(0), new Uint8Array(24), new Uint8Array(4096)])
      expect(readHostCertificates(table)).toEqual({});
  });

  test.each([
    ['ends within an entry', entry(vcek, 0, 1).subarray(0, 20)],
    ['has no end', concatBytes(entry(vcek, 0, 1), entry(ask, 0, 1))],
    ['points behind itself', concatBytes(entry(vcek, 48, 1), end)],
    ['points far behind itself', concatBytes(entry(vcek, 0xffffffff, 0xffffffff), end)],
    ['names one twice', concatBytes(entry(vcek, 0, 1), entry(vcek, 0, 1), end)],
    ['has many entries', concatBytes(...Array.from({ length: 17 }, () => entry('11'.repeat(16), 0, 1)), end)],
  ])('that %s is refused by name', async (_, table) => {
    expect(await code(table)).toBe('DEVICE_REPLY_MALFORMED');
  });
});
