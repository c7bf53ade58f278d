import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { replayCcel, verifyCcel } from '@cloister/attestation/verify';
import { tdxImageId } from '@cloister/core';
import { concatBytes, fromHex, sha256, sha384, toHex, utf8 } from '@cloister/crypto';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import {
  ascii,
  ccel,
  dstackLog,
  guestEvents,
  hash,
  type LoggedEvent,
} from '../../packages/attestation/test/eventLogWorld.ts';
import { fixture, hasFixtures } from '../../packages/attestation/test/fixtures.ts';
import { readImageOptions } from '../../scripts/lib/imageOptions.ts';
import { authenticodeParts } from '../../scripts/lib/imagePe.ts';
import { makeImage } from '../../scripts/lib/imageReference.ts';
import { readTdxSections, tdxMrtd } from '../../scripts/lib/imageTdxFirmware.ts';
import { tdxReference } from '../../scripts/lib/imageTdxReference.ts';
import { tdxRtmr1, tdxRtmr1Of, tdxRtmr2 } from '../../scripts/lib/imageTdxRegisters.ts';
import { inRoot } from '../../scripts/lib/paths.ts';
import { runNode } from '../../scripts/lib/runProcess.ts';
import { ScriptError } from '../../scripts/lib/scriptError.ts';
import { type OvmfParts, ovmf, u16, u32 } from '../support/ovmf.ts';

const metadataGuid = 'e47a6535-984a-4798-865e-4685a7bf8ec2';
const metadataAt = 0x1000;

type Section = readonly [
  offset: number,
  bytes: number,
  address: number,
  memory: number,
  type: number,
  attributes: number,
];

// The firmware that aleph-im/aleph-vm tests with (rust/crates/aleph-tee/src/tdx/measure.rs), less a section that adds nothing.
const code: Section = [0x0000, 0x1000, 0xfffff000, 0x1000, 0, 1];
const variables: Section = [0x1000, 0x1000, 0xffffe000, 0x1000, 1, 1];
const handOff: Section = [0, 0, 0x00809000, 0x2000, 2, 0];
const sections = [code, variables, handOff];

const u64 = (value: number) => u32(value % 2 ** 32, Math.floor(value / 2 ** 32));
const metadata = (
  list: readonly Section[],
  { count = list.length, length = 16 + 32 * list.length, version = 1 } = {},
) =>
  Buffer.concat([
    Buffer.from('TDVF'),
    u32(length, version, count),
    ...list.flatMap(([offset, bytes, address, memory, type, attributes]) => [
      u32(offset, bytes),
      u64(address),
      u64(memory),
      u32(type, attributes),
    ]),
  ]);
const firmware = (changes: Partial<OvmfParts> = {}) =>
  ovmf({
    bytes: 0x3000,
    fill: (index) => index * 13 + 5,
    entries: [
      ['11111111-1111-1111-1111-111111111111', ascii('unrelated')],
      [metadataGuid, u32(metadataAt)],
      ['22222222-2222-2222-2222-222222222222', Buffer.alloc(4, 0xab)],
    ],
    parts: { [metadataAt]: metadata(sections) },
    ...changes,
  });
const withSections = (list: readonly Section[], changes: Parameters<typeof metadata>[1] = {}) =>
  firmware({ parts: { [metadataAt]: metadata(list, changes) } });
const mrtdOf = (image: Uint8Array) => toHex(tdxMrtd(readTdxSections(image)));
/** Its MRTD there, in Rust and in Python. */
const mrtd = '0x168f5582b72265ed01aad1edd402f5d096c12d95385b5f38959b5cc8c128e6efe6e13e854e211a1ee4e4a4eeafa36fa6';

const headerBytes = 0x200;
const optional = 0x58;

/** The kernel of the same tests: two sections in another order than in the file, 32 bytes behind them, 32 of certificates. */
function pe(change: (image: Buffer) => void = () => {}): Buffer {
  const image = Buffer.from(Array.from({ length: 0x440 }, (_, index) => (index * 7 + 3) & 0xff));
  const put = (at: number, bytes: Uint8Array) => image.set(bytes, at);
  image.fill(0, 0, 0x40);
  put(0, ascii('MZ'));
  put(0x3c, u32(0x40));
  image.fill(0, 0x40, optional + 240 + 80);
  put(0x40, concatBytes(ascii('PE\0\0'), u16(0x8664), u16(2)));
  put(0x44 + 16, u16(240));
  put(optional, u16(0x20b));
  put(optional + 60, u32(headerBytes, 0x12345678));
  put(optional + 108, u32(16));
  put(optional + 112 + 32, u32(0x420, 0x20));
  for (const [index, name, start] of [
    [0, '.text', 0x300],
    [1, '.data', 0x200],
  ] as const) {
    put(optional + 240 + 40 * index, ascii(name));
    put(optional + 240 + 40 * index + 16, u32(0x100, start));
  }
  change(image);
  return image;
}
const digestOf = (image: Uint8Array) => toHex(sha384(concatBytes(...authenticodeParts(image))));
const put = (at: number, bytes: Uint8Array) => pe((image) => image.set(bytes, at));

/** Code and message of what is refused. */
const refusal = (run: () => unknown): string => {
  try {
    run();
  } catch (error) {
    return error instanceof ScriptError ? `${error.code}: ${error.message}` : String(error);
  }
  return 'nothing thrown';
};

describe('MRTD', () => {
  test('is as aleph-tee has it for the same firmware', () => {
    expect(mrtdOf(firmware())).toBe(mrtd);
  });

  test('covers every measured byte and every address, in their order, and nothing else', () => {
    const flipped = (at: number) => {
      const image = firmware();
      image[at] = (image[at] ?? 0) ^ 1;
      return mrtdOf(image);
    };
    expect(flipped(0)).not.toBe(mrtd);
    expect(flipped(0x1fff)).not.toBe(mrtd);
    expect(flipped(0x2800)).toBe(mrtd);
    const others = [
      [code, variables, [0, 0, 0x0080a000, 0x2000, 2, 0] as const],
      [code, variables, [0, 0, 0x00809000, 0x1000, 2, 0] as const],
      [variables, code, handOff],
      [code, [0x1000, 0x1000, 0xffffe000, 0x1000, 1, 0] as const, handOff],
      [code, variables],
    ].map((list) => mrtdOf(withSections(list)));
    expect(new Set([mrtd, ...others]).size).toBe(6);
  });

  const malformed = 'IMAGE_FIRMWARE_MALFORMED';
  const unsupported = 'IMAGE_FIRMWARE_UNSUPPORTED';
  const first = (section: Section) => withSections([section, variables, handOff]);
  test.each<[string, Uint8Array, string, string]>([
    ['without a table', new Uint8Array(4096), malformed, 'no table'],
    ['without TDX metadata', firmware({ entries: [] }), unsupported, 'does not start as a TD'],
    ['metadata beyond its begin', firmware({ entries: [[metadataGuid, u32(0x3001)]] }), malformed, 'outside'],
    ['metadata that are none', firmware({ entries: [[metadataGuid, u32(metadataAt - 1)]] }), malformed, 'signature'],
    ['metadata of version 2', withSections(sections, { version: 2 }), unsupported, 'version 2'],
    ['no sections', withSections([]), malformed, '0 sections'],
    ['more sections than its length has', withSections(sections, { count: 4 }), malformed, '4 sections'],
    ['4294967295 sections', withSections(sections, { count: 0xffffffff }), malformed, '4294967295 sections'],
    [
      'more sections than there is room for',
      withSections(
        Array.from({ length: 65 }, () => handOff),
        { count: 65 },
      ),
      malformed,
      '65 sections',
    ],
    [
      'sections beyond its end',
      firmware({ entries: [[metadataGuid, u32(0x58)]], parts: { 88: metadata(sections).subarray(0, 16) } }),
      malformed,
      'ends within',
    ],
    ['a section of unknown type', first([0, 0x1000, 0xfffff000, 0x1000, 4, 1]), unsupported, 'type 4'],
    ['pages that the guest accepts', first([0, 0, 0x80b000, 0x1000, 3, 2]), unsupported, 'attributes 2'],
    ['both attributes', first([0, 0x1000, 0xfffff000, 0x1000, 0, 3]), unsupported, 'attributes 3'],
    ['an unknown attribute', first([0, 0x1000, 0xfffff000, 0x1000, 0, 4]), unsupported, 'attributes 4'],
    ['a section of no pages', first([0, 0, 0x809000, 0, 2, 0]), malformed, 'no pages'],
    ['a section of half a page', first([0, 0, 0x809000, 0x800, 2, 0]), malformed, 'no pages'],
    ['a section between pages', first([0, 0, 0x809800, 0x1000, 2, 0]), malformed, 'no pages'],
    ['a section behind all memory', first([0, 0, 2 ** 47, 0x1000, 2, 0]), malformed, 'no pages'],
    ['sections of too many bytes', first([0, 0, 0x809000, 0x4000000, 2, 0]), malformed, 'ask for more'],
    ['code of no bytes', first([0, 0, 0xfffff000, 0x1000, 0, 0]), malformed, '0 bytes'],
    ['scratch memory with contents', first([0, 0x1000, 0x809000, 0x1000, 3, 0]), malformed, '4096 bytes'],
    ['more contents than memory', first([0, 0x2000, 0xfffff000, 0x1000, 0, 0]), malformed, '8192 bytes'],
    ['contents beyond its end', first([0x2001, 0x1000, 0xfffff000, 0x1000, 0, 1]), malformed, '4096 bytes at 8193'],
    ['contents for half of what is measured', first([0, 0x800, 0xfffff000, 0x1000, 0, 1]), malformed, 'is measured'],
    ['measured scratch memory', first([0, 0, 0x809000, 0x1000, 3, 1]), malformed, 'is measured'],
  ])('of a firmware %s is refused', (_, image, errorCode, named) => {
    const why = refusal(() => readTdxSections(image));
    expect(why).toContain(`${errorCode}: `);
    expect(why).toContain(named);
  });

  test('of a firmware with any byte of its metadata changed is another, or refused by name', () => {
    const image = firmware();
    // The place of the hand-off block's contents, of which it has none, says nothing.
    const free = 0x2000 + 16 + 2 * 32;
    for (let at = 0x2000; at < 0x2000 + 16 + 3 * 32; at++) {
      if (at >= free && at < free + 4) continue;
      const other = Buffer.from(image);
      other[at] = (other[at] ?? 0) ^ 0xff;
      const found = refusal(() => expect(mrtdOf(other)).not.toBe(mrtd));
      expect(found === 'nothing thrown' || found.startsWith('IMAGE_FIRMWARE_'), `${at}: ${found}`).toBe(true);
    }
  });
});

describe('RTMR1', () => {
  test("has the kernel's Authenticode hash as aleph-tee has it", () => {
    expect(digestOf(pe())).toBe(
      '0x27ca0b497c08dcf49e302a2dd4bbe74889b19d0d1af84364c8cad3472d5ba1bfda1e7cfe7fb94848d491cdfd2a163410',
    );
  });

  test('does not change with checksum and certificates, and does with everything else', () => {
    const genuine = digestOf(pe());
    const at = (index: number) => digestOf(pe((image) => image.writeUInt8((image[index] ?? 0) ^ 1, index)));
    for (const free of [optional + 64, optional + 112 + 32, 0x420, 0x43f]) expect(at(free)).toBe(genuine);
    for (const bound of [2, optional + 68, 0x1ff, 0x200, 0x2ff, 0x300, 0x3ff, 0x400, 0x41f])
      expect(at(bound)).not.toBe(genuine);
    // A section that the file has no bytes of says nothing.
    const [table, empty] = [optional + 240, u32(0, 0)];
    expect(() => digestOf(put(table + 16, empty))).not.toThrow();
  });

  test('adds what edk2 measures on the way into the kernel', () => {
    // The digests of these four events in logs of real TDs.
    const events = [
      '77a0dab2312b4e1e57a84d865a21e5b2ee8d677a21012ada819d0a98988078d3d740f6346bfe0abaa938ca20439a8d71',
      '394341b7182cd227c5c6b07ef8000cdfd86136c4292b8e576573ad7ed9ae41019f5818b4b971c9effc60e1ad9f1289f0',
      '214b0bef1379756011344877743fdc2a5382bac6e70362d624ccf3f654407c1b4badf7d8f9295dd3dabdef65b27677e0',
      '0a2e01c85deae718a530ad8c6d20a84009babe6c8989269e950d8cf440c6e997695e64d455c4174a652cd080f6230b74',
    ].map((hex) => Buffer.from(hex, 'hex'));
    const kernel = sha384(concatBytes(...authenticodeParts(pe())));
    const expected = [kernel, ...events].reduce((value: Uint8Array, digest) => hash(value, digest), new Uint8Array(48));
    expect(toHex(tdxRtmr1(pe()))).toBe(toHex(expected));
  });

  test.skipIf(!hasFixtures)('real evidence: is what the log of a TD leads to that QEMU gave its kernel', () => {
    const log = fixture('eventlog/dstack/ccel.bin');
    const registers = replayCcel(log);
    const kernel = verifyCcel(log, registers).find(({ register }) => register === 'rtmr1');
    expect(kernel?.typeName).toBe('EV_EFI_BOOT_SERVICES_APPLICATION');
    expect(toHex(tdxRtmr1Of(fromHex(kernel?.digest ?? '')))).toBe(registers.rtmr1);
  });

  test.each<[string, Uint8Array, string]>([
    ['nothing', new Uint8Array(0), 'ends within'],
    ['a file that is no image', Buffer.alloc(4096), 'no PE header'],
    ['an image of another kind', put(0x40, ascii('NE')), 'no PE header'],
    ['a header beyond its end', put(0x3c, u32(0xfffffff0)), 'ends within'],
    ['a 32-bit image', put(optional, u16(0x10b)), '64-bit'],
    ['too many sections', put(0x46, u16(97)), '97 sections'],
    ['sections beyond its end', put(0x44 + 16, u16(0x400)), 'ends within'],
    ['no place for certificates', put(optional + 108, u32(4)), 'no place'],
    ['headers that end before it', put(optional + 60, u32(optional + 112 + 39)), 'no place'],
    ['headers longer than it', put(optional + 60, u32(0x441)), 'no place'],
    ['a section in the headers', put(optional + 240 + 60, u32(0x1ff)), 'overlap'],
    ['a section in another', put(optional + 240 + 20, u32(0x2ff)), 'overlap'],
    ['a section behind its end', put(optional + 240 + 20, u32(0x341)), 'overlap'],
    ['a section of 4 GB', put(optional + 240 + 16, u32(0xffffffff)), 'overlap'],
    ['certificates in a section', put(optional + 112 + 36, u32(0x41)), 'certificates are longer'],
  ])('of %s is refused', (_, image, named) => {
    const why = refusal(() => tdxRtmr1(image));
    expect(why).toContain('IMAGE_FILE_UNREADABLE: ');
    expect(why).toContain(named);
  });

  test('of a kernel cut anywhere is refused, or another', () => {
    for (let length = 0; length < 0x440; length += 13) {
      const why = refusal(() => expect(digestOf(pe().subarray(0, length))).not.toBe(digestOf(pe())));
      expect(why === 'nothing thrown' || why.startsWith('IMAGE_FILE_UNREADABLE'), `${length}: ${why}`).toBe(true);
    }
  });
});

test('RTMR2 is what hardware reported for this command line and initrd', () => {
  // aleph-im/aleph-vm, rust/crates/aleph-tee/tests/fixtures/tdx/README.md: Xeon 6731E, QEMU 10.2.4, edk2 202602, Linux 7.0.
  const initrd = '88de90bedcc560064688c74ccd6609a25ed9d48b0a0e13d8b2a558212724d8755b2c8114dcf04b8d51ea4cf7782e3091';
  expect(toHex(tdxRtmr2('root=LABEL=cloudimg-rootfs ro console=ttyS0', Buffer.from(initrd, 'hex')))).toBe(
    '0x972547466cb6bcb8a23cd479e9258c3affbbc4f0ba2805d732477200d0dff8432447c7a775e70453cdb51f018a306ece',
  );
});

describe('npm run image', () => {
  let folder = '';
  const at = (name: string) => path.join(folder, name);
  beforeEach(() => {
    folder = fs.mkdtempSync(path.join(os.tmpdir(), 'cloister-tdx-'));
    fs.writeFileSync(at('OVMF.fd'), firmware());
    fs.writeFileSync(at('kernel'), pe());
    fs.writeFileSync(at('initrd'), 'an initrd');
    fs.writeFileSync(at('log'), ccel(boot()));
  });
  afterEach(() => fs.rmSync(folder, { recursive: true, force: true }));

  /** What such a machine logs. */
  function boot(append = 'root=/dev/vda'): readonly LoggedEvent[] {
    const commandLine = Buffer.from(`initrd=initrd ${append}\0`, 'utf16le');
    return [
      { register: 1, type: 0x8000000b, data: ascii('TdxTable') },
      { register: 2, type: 0x80000003, data: ascii('kernel'), digest: Buffer.from(fromHex(digestOf(pe()))) },
      { register: 2, type: 0x80000007, data: ascii('Calling EFI Application from Boot Option') },
      { register: 2, type: 4, data: Buffer.alloc(4) },
      { register: 3, type: 6, data: ascii('LOADED_IMAGE::LoadOptions'), digest: hash(commandLine) },
      { register: 3, type: 6, data: ascii('Linux initrd'), digest: hash(ascii('an initrd')) },
      { register: 2, type: 0x80000007, data: ascii('Exit Boot Services Invocation') },
      { register: 2, type: 0x80000007, data: ascii('Exit Boot Services Returned with Success') },
    ];
  }
  const started = () => [
    '--tdx-firmware',
    at('OVMF.fd'),
    '--kernel',
    at('kernel'),
    '--initrd',
    at('initrd'),
    '--append',
    'root=/dev/vda',
  ];
  const reference = (log?: Uint8Array) => {
    const { guest } = readImageOptions(started());
    if (guest?.tdx === undefined) throw new Error('Expected a TD');
    return tdxReference(guest, guest.tdx, log === undefined ? undefined : replayCcel(log));
  };
  const registers = {
    mrtd,
    rtmr1: toHex(tdxRtmr1(pe())),
    rtmr2: toHex(tdxRtmr2('root=/dev/vda', sha384(utf8('an initrd')))),
  };

  test('gives a TD three registers, and with a log that agrees the fourth and the image id', () => {
    const firmwareHash = { sha256: toHex(sha256(firmware())) };
    const computed = { ...registers, firmware: firmwareHash, append: 'root=/dev/vda' };
    expect(reference()).toEqual({ ...computed, imageId: null, rtmr0: null });
    const { rtmr0, ...others } = replayCcel(ccel(boot()));
    expect(others).toMatchObject({ rtmr1: registers.rtmr1, rtmr2: registers.rtmr2 });
    const [image1, image2] = [fromHex(registers.rtmr1), fromHex(registers.rtmr2)];
    const imageId = tdxImageId({ mrtd: fromHex(mrtd), rtmr0: fromHex(rtmr0), rtmr1: image1, rtmr2: image2 });
    expect(reference(ccel(boot()))).toEqual({ ...computed, imageId, rtmr0 });
  });

  test.each([
    ['of another command line', () => boot('root=/dev/vdb'), 'RTMR2'],
    [
      'of another kernel',
      () => boot().map((event, index) => (index === 1 ? { ...event, digest: hash(pe()) } : event)),
      'RTMR1',
    ],
    ['of a kernel that measures no initrd', () => boot().filter((_, index) => index !== 5), 'RTMR2'],
    ['of firmware that measures more', () => [...boot(), { register: 2, type: 4, data: Buffer.alloc(4) }], 'RTMR1'],
    ['of nothing', () => [], 'RTMR1'],
  ])('refuses a log %s', (_, events, named) => {
    const why = refusal(() => reference(ccel(events())));
    expect(why).toContain('IMAGE_LOG_DIFFERS');
    expect(why).toContain(`${named} would be`);
  });

  test('refuses a log of dstack', async () => {
    fs.writeFileSync(at('log'), dstackLog(guestEvents()).log);
    const options = readImageOptions(['--values', ...started(), '--event-log', at('log')]);
    await expect(makeImage(options, AbortSignal.timeout(60_000))).rejects.toThrow('got one of dstack');
  });

  test('prints them', async () => {
    const argv = ['--values', ...started(), '--event-log', at('log')];
    const { code: exitCode, stdout } = await runNode([inRoot('scripts/image.ts'), ...argv]);
    const { imageId, rtmr0 } = reference(ccel(boot()));
    expect(exitCode).toBe(0);
    expect(stdout).toContain(`TD             ${imageId}`);
    for (const value of [mrtd, rtmr0, registers.rtmr1, registers.rtmr2]) expect(stdout).toContain(value);
  });

  test('refuses a TD without an initrd, whose registers are not known', () => {
    const argv = ['--tdx-firmware', 'f', '--kernel', 'k', '--append', 'a'];
    expect(refusal(() => readImageOptions(argv))).toContain('Expected --initrd beside --tdx-firmware');
  });
});
