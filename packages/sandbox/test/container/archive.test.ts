import { createHash } from 'node:crypto';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { gzipSync, zstdCompressSync } from 'node:zlib';
import { afterAll, describe, expect, test } from 'vitest';
import { type ArchiveBounds, checkArchive } from '../../src/container/image/checkArchive.ts';
import { imageArchive } from '../../src/container/image/imageArchive.ts';
import { ImageError } from '../../src/container/image/imageError.ts';
import { type TarMember, tarHeader, tarOf } from '../../src/container/image/tarWriter.ts';
import { never } from '../calls.ts';

const folder = mkdtempSync(join(tmpdir(), 'cloister-archives-'));
afterAll(() => rmSync(folder, { recursive: true }));

const hexOf = (bytes: Uint8Array): string => createHash('sha256').update(bytes).digest('hex');
const json = (value: unknown): Buffer => Buffer.from(JSON.stringify(value));
let count = 0;
function written(bytes: Uint8Array): string {
  count += 1;
  const file = join(folder, `${count}.tar`);
  writeFileSync(file, bytes);
  return file;
}
const check = (bytes: Uint8Array, bounds?: ArchiveBounds) =>
  checkArchive(written(bytes), { signal: never, ...(bounds && { bounds }) });
async function refusal(promise: Promise<unknown>): Promise<string> {
  try {
    await promise;
    return 'no error';
  } catch (error) {
    if (error instanceof ImageError) return error.code;
    throw error;
  }
}

/** A header with another kind of member than `tarOf` writes; the sum is made anew. */
function member(name: string, flag: string, { link = '', bytes = 0 } = {}): Buffer {
  const header = tarHeader(name, bytes);
  header.write(flag, 156, 'latin1');
  header.write(link, 157, 'utf8');
  return summed(header);
}
function summed(header: Buffer): Buffer {
  header.fill(0x20, 148, 156);
  header.write(
    `${header
      .reduce((sum, byte) => sum + byte, 0)
      .toString(8)
      .padStart(6, '0')}\0`,
    148,
    'latin1',
  );
  return header;
}
const end = Buffer.alloc(1024);
const layerOf = (...members: Buffer[]): Buffer => Buffer.concat([...members, end]);
const imageOf = (...members: Buffer[]): Buffer => imageArchive({ layers: [layerOf(...members)], command: ['/a'] });
/** A pax header and what it is about. */
function pax(records: string, ...rest: Buffer[]): Buffer {
  const content = Buffer.from(records);
  return Buffer.concat([
    member('pax', 'x', { bytes: content.length }),
    content,
    Buffer.alloc((512 - (content.length % 512)) % 512),
    ...rest,
  ]);
}
const record = (key: string, value: string): string => {
  let length = key.length + value.length + 3;
  while (`${length} ${key}=${value}\n`.length !== length) length += 1;
  return `${length} ${key}=${value}\n`;
};

const layer = tarOf([{ name: 'bin/' }, { name: 'bin/a', content: Buffer.from('hello'), mode: 0o755 }]);
const config = (diffIds: readonly string[], extra: object = {}): Buffer =>
  json({
    architecture: process.arch === 'x64' ? 'amd64' : process.arch,
    os: 'linux',
    config: { Cmd: ['/bin/a'], Volumes: { '/data': {} } },
    rootfs: { type: 'layers', diff_ids: diffIds.map((hex) => `sha256:${hex}`) },
    ...extra,
  });

/** An OCI image layout in a tar archive. */
function layout(stored: Buffer, configuration: Buffer, change: (members: TarMember[]) => void = () => {}): Buffer {
  const manifest = json({
    schemaVersion: 2,
    config: { digest: `sha256:${hexOf(configuration)}` },
    layers: [{ digest: `sha256:${hexOf(stored)}` }],
  });
  const members: TarMember[] = [
    { name: 'oci-layout', content: json({ imageLayoutVersion: '1.0.0' }) },
    { name: 'index.json', content: json({ manifests: [{ digest: `sha256:${hexOf(manifest)}` }] }) },
    ...[manifest, configuration, stored].map((content) => ({ name: `blobs/sha256/${hexOf(content)}`, content })),
  ];
  change(members);
  return tarOf(members);
}

describe('an archive of an image', () => {
  test('in the form of docker save is read, and copied so that the copy is the same image', async () => {
    const archive = imageArchive({ layers: [layer, layer], entrypoint: ['/bin/a'], environment: ['A=1'] });
    const copyTo = join(folder, 'copy.tar');
    const image = await checkArchive(written(archive), { copyTo, signal: never });
    expect(image.config).toMatchObject({ entrypoint: ['/bin/a'], environment: ['A=1'], workingDir: '' });
    expect(image.config.diffIds).toEqual([hexOf(layer), hexOf(layer)]);
    expect(image.unpackedBytes).toBe(2 * layer.length);
    expect(await checkArchive(copyTo, { signal: never })).toEqual(image);
    expect(readFileSync(copyTo).includes(image.id)).toBe(true);
  });

  test.each([
    ['plain', layer],
    ['gzip', gzipSync(layer)],
    ['zstd', zstdCompressSync(layer)],
  ])('in the OCI layout, with a layer in %s, has the same id', async (_, stored) => {
    const image = await check(layout(stored, config([hexOf(layer)])));
    expect(image).toMatchObject({
      id: hexOf(config([hexOf(layer)])),
      config: { volumes: ['/data'], command: ['/bin/a'] },
    });
  });

  test('long names come in the forms of pax and GNU', async () => {
    const long = `${'d/'.repeat(80)}file`;
    const gnu = Buffer.concat([
      member('././@LongLink', 'L', { bytes: long.length }),
      Buffer.from(long.padEnd(512, '\0')),
    ]);
    await check(imageOf(pax(record('path', long), member('short', '0')), gnu, member('short', '0')));
    const traversal = pax(record('path', '../../etc/passwd'), member('short', '0'));
    expect(await refusal(check(imageOf(traversal)))).toBe('IMAGE_REFUSED');
  });
});

describe('an archive that lies', () => {
  const good = config([hexOf(layer)]);
  const other = tarOf([{ name: 'bin/a', content: Buffer.from('HELLO'), mode: 0o755 }]);

  test.each<[string, Buffer]>([
    ['a layer with another hash than the image says', layout(other, good)],
    ['the same, compressed', layout(gzipSync(other), good)],
    [
      'a blob under another name',
      layout(layer, good, (members) => {
        members[4] = { name: `blobs/sha256/${hexOf(layer)}`, content: other };
      }),
    ],
    [
      'a configuration under another name',
      layout(layer, good, (members) => {
        members[3] = { name: `blobs/sha256/${hexOf(good)}`, content: config([hexOf(other)]) };
      }),
    ],
    ['a layer too many', imageOfDocker(['a.tar', 'a.tar'], good)],
    ['a layer too few', imageOfDocker([], good)],
    ['a compressed blob that is another than stated', layout(layer, good, recompress)],
  ])('is refused: %s', async (_, archive) => {
    expect(await refusal(check(archive))).toBe('IMAGE_MISMATCH');
  });

  function imageOfDocker(layers: readonly string[], configuration: Buffer): Buffer {
    return tarOf([
      { name: 'c.json', content: configuration },
      { name: 'a.tar', content: layer },
      { name: 'manifest.json', content: json([{ Config: 'c.json', Layers: layers }]) },
    ]);
  }
  /** The same layer with other stored bytes under the old name. */
  function recompress(members: TarMember[]): void {
    members[4] = { name: `blobs/sha256/${hexOf(layer)}`, content: gzipSync(layer) };
  }

  test.each<[string, string, Buffer]>([
    ['no tar archive', 'IMAGE_MALFORMED', Buffer.alloc(2048, 65)],
    ['nothing in it', 'IMAGE_MALFORMED', end],
    ['cut off', 'IMAGE_MALFORMED', layout(layer, good).subarray(0, 2000)],
    ['a description that is no JSON', 'IMAGE_MALFORMED', tarOf([{ name: 'manifest.json', content: Buffer.from('{') }])],
    ['two images', 'IMAGE_MALFORMED', tarOf([{ name: 'manifest.json', content: json([{}, {}]) }])],
    [
      'a part that is not there',
      'IMAGE_MALFORMED',
      tarOf([{ name: 'manifest.json', content: json([{ Config: 'x', Layers: [] }]) }]),
    ],
    [
      'a layer that is no archive',
      'IMAGE_MALFORMED',
      layout(Buffer.alloc(1024, 66), config([hexOf(Buffer.alloc(1024, 66))])),
    ],
    ['a broken compression', 'IMAGE_MALFORMED', layout(gzipSync(layer).fill(0xff, 20, 60), good)],
    ['another platform', 'IMAGE_OTHER_PLATFORM', layout(layer, config([hexOf(layer)], { architecture: 'sparc' }))],
    ['a link in the archive', 'IMAGE_REFUSED', layerOf(member('manifest.json', '2', { link: '/etc/passwd' }))],
    ['a way out of the archive', 'IMAGE_REFUSED', tarOf([{ name: '../manifest.json', content: json([]) }])],
    [
      'one name twice',
      'IMAGE_REFUSED',
      tarOf([
        { name: 'manifest.json', content: json([]) },
        { name: './manifest.json', content: json([]) },
      ]),
    ],
    [
      'a description without end',
      'IMAGE_TOO_LARGE',
      tarOf([{ name: 'index.json', content: Buffer.alloc(1_048_577, 32) }]),
    ],
    [
      'thousands of members',
      'IMAGE_TOO_LARGE',
      tarOf(Array.from({ length: 4_097 }, (_, index) => ({ name: `${index}` }))),
    ],
  ])('is refused: %s', async (_, code, archive) => {
    expect(await refusal(check(archive))).toBe(code);
  });
});

describe('a layer that would do harm', () => {
  test.each<[string, Buffer[]]>([
    ['a name that leads out', [member('../../etc/cron.d/x', '0')]],
    ['a name that leads out in its middle', [member('a/../../b', '0')]],
    ['a hard link out', [member('a', '1', { link: '../../etc/shadow' })]],
    ['a file through a link', [member('etc', '2', { link: '/' }), member('etc/passwd', '0')]],
    ['a folder through a link', [member('a/b', '2', { link: '/root' }), member('./a/b/c/', '5')]],
    ['a device', [member('dev/sda', '4')]],
    ['a character device', [member('dev/mem', '3')]],
    ['a pipe', [member('pipe', '6')]],
    ['a sparse file', [member('big', 'S')]],
    ['a sparse file in the form of pax', [pax(record('GNU.sparse.major', '1'), member('big', '0'))]],
  ])('is refused: %s', async (_, members) => {
    expect(await refusal(check(imageOf(...members)))).toBe('IMAGE_REFUSED');
  });

  test('links of programs, and a file in the place of a link, are fine', async () => {
    const members = [member('lib', '2', { link: 'usr/lib' }), member('sh', '1', { link: 'bin/busybox' })];
    await check(imageOf(...members, member('lib', '5'), member('lib/a', '0')));
  });

  test.each<[string, Buffer[]]>([
    ['a header with no possible size', [summed(sized('77777777777'.replace(/7/g, '9')))]],
    ['a size beyond numbers', [summed(bigSized())]],
    ['a member longer than the layer', [member('a', '0', { bytes: 5_000 })]],
    ['a pax header that never ends', [member('pax', 'x', { bytes: 2_000_000 })]],
    ['a pax record of another length', [pax('99 path=a\n', member('a', '0'))]],
  ])('is malformed: %s', async (_, members) => {
    expect(await refusal(check(imageOf(...members)))).toBe('IMAGE_MALFORMED');
  });

  function sized(text: string): Buffer {
    const header = tarHeader('a', 0);
    header.write(text, 124, 'latin1');
    return header;
  }
  function bigSized(): Buffer {
    const header = tarHeader('a', 0);
    header.fill(0xff, 124, 136);
    return header;
  }

  test('a bomb is stopped at the bound, not unpacked', async () => {
    const bomb = tarOf([{ name: 'zeros', content: Buffer.alloc(64 * 1024 * 1024) }]);
    const small = layout(gzipSync(bomb), config([hexOf(bomb)]));
    expect(small.length).toBeLessThan(200_000);
    expect(await refusal(check(small, { unpackedBytes: 1_000_000 }))).toBe('IMAGE_TOO_LARGE');
    await check(small);
    const padded = Buffer.concat([layer, Buffer.alloc(64 * 1024 * 1024)]);
    const trailing = layout(gzipSync(padded), config([hexOf(padded)]));
    expect(await refusal(check(trailing, { unpackedBytes: 1_000_000, entries: 10 }))).toBe('IMAGE_TOO_LARGE');
  });

  test('members are counted over all layers', async () => {
    const archive = imageArchive({ layers: [layer, tarOf([{ name: 'b' }, { name: 'c' }])], command: ['/a'] });
    await check(archive, { entries: 4 });
    expect(await refusal(check(archive, { entries: 3 }))).toBe('IMAGE_TOO_LARGE');
  });
});
