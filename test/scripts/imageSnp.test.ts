import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { snpImageId } from '@cloister/core';
import { concatBytes, fromHex, sha256, toHex, utf8 } from '@cloister/crypto';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { firmwareBounds, readFirmwareTable } from '../../scripts/lib/imageFirmware.ts';
import { readImageOptions } from '../../scripts/lib/imageOptions.ts';
import { readSnpLayout } from '../../scripts/lib/imageSnpFirmware.ts';
import {
  addPages,
  addZeroPages,
  emptySnpDigest,
  snpFirmwareDigest,
  snpLaunchDigest,
} from '../../scripts/lib/imageSnpLaunch.ts';
import { snpReference } from '../../scripts/lib/imageSnpReference.ts';
import { processorSignature } from '../../scripts/lib/imageSnpVmsa.ts';
import { inRoot } from '../../scripts/lib/paths.ts';
import { runNode } from '../../scripts/lib/runProcess.ts';
import { ScriptError } from '../../scripts/lib/scriptError.ts';
import { type OvmfParts, ovmf, u16, u32 } from '../support/ovmf.ts';

const guids = {
  hashTable: '7255371f-3a3b-4b04-927b-1da6efa8d454',
  resetBlock: '00f771de-1a7e-4fcb-890e-68c77e2fb44e',
  metadata: 'dc886566-984a-4798-a75e-5585a7bf67cc',
};
const metadataAt = 0x554;

// Of edk2-stable202405, OvmfPkg/AmdSev: as read from the firmware tail that virtee/sev-snp-measure tests with.
const sections = [
  [0x800000, 0x9000, 1],
  [0x80a000, 0x3000, 1],
  [0x80d000, 0x1000, 2],
  [0x80e000, 0x1000, 3],
  [0x80f000, 0x1000, 4],
  [0x810000, 0x1000, 0x10],
  [0x811000, 0xf000, 1],
] as const;
type Sections = readonly (readonly [address: number, bytes: number, type: number])[];

const metadata = (list: Sections, { count = list.length, length = 16 + 12 * list.length, version = 1 } = {}) =>
  Buffer.concat([Buffer.from('ASEV'), u32(length, version, count), ...list.map((section) => u32(...section))]);
const entries = {
  metadata: [guids.metadata, u32(metadataAt)] as const,
  hashTable: [guids.hashTable, u32(0x810c00, 0x400)] as const,
  resetBlock: [guids.resetBlock, u32(0x80b004)] as const,
};
const firmware = (changes: Partial<OvmfParts> = {}) =>
  ovmf({ entries: Object.values(entries), parts: { [metadataAt]: metadata(sections) }, ...changes });
const withSections = (list: Sections, changes: Parameters<typeof metadata>[1] = {}) =>
  firmware({ parts: { [metadataAt]: metadata(list, changes) } });

/** The digest of that firmware's bytes, "snp:ovmf-hash" there. */
const firmwareDigest = fromHex(
  '086e2e9149ebf45abdc3445fba5b2da8270bdbb04094d7a2c37faaa4b24af3aa16aff8c374c2a55c467a50da6d466b74',
);
const noFile = sha256(new Uint8Array(0));
const hashesOf = (kernel: string, initrd: string, commandLine: string) => ({
  kernel: sha256(utf8(kernel)),
  initrd: sha256(utf8(initrd)),
  commandLine: sha256(utf8(`${commandLine}\0`)),
});
const guest = (processors: number, features: bigint, kernel = hashesOf('', '', '')) => ({
  processors,
  processor: { signature: processorSignature('EPYC-v4'), features },
  kernel,
});

/** Code and message of what is refused. */
const refusal = (run: () => unknown): string => {
  try {
    run();
  } catch (error) {
    return error instanceof ScriptError ? `${error.code}: ${error.message}` : String(error);
  }
  return 'nothing thrown';
};

describe('the launch digest of a SEV-SNP guest', () => {
  const layout = readSnpLayout(firmware());

  // virtee/sev-snp-measure, tests/test_guest.py, and virtee/sev, tests/measurement.rs; kernel and initrd are empty there.
  test.each([
    [
      'one processor',
      guest(1, 0x1n),
      'ddc5224521617a536ee7ce9dd6224d1b58a8d4fda1c741f3ac99fc4bfa04ba6e9fc98646d4a07a9079397fa3852819b5',
    ],
    [
      'with another feature',
      guest(1, 0x21n),
      '329c8ce0972ae52343b64d34a434a86f245dfd74f5ed7aae15d22efc78fb9683632b9b50e4e1d7fa41179ef98a7ef198',
    ],
    [
      'with a command line',
      guest(1, 0x1n, hashesOf('', '', 'console=ttyS0 loglevel=7')),
      '6d287813eb5222d770f75005c664e34c204f385ce832cc2ce7d0d6f354454362f390ef83a92046c042e706363b4b08fa',
    ],
    [
      'four processors',
      guest(4, 0x1n),
      '5061fffb019493a903613d56d54b94912a1a2f9e4502385f5c194616753720a92441310ba6c4933de877c36e23046ad5',
    ],
    [
      'four processors with another feature',
      guest(4, 0x21n),
      '4953b1fb416fa874980e8442b3706d345926d5f38879134e00813c5d7abcbe78eafe7b422907be0b4698e2414a631942',
    ],
  ])('is as sev-snp-measure has it: %s', (_, started, expected) => {
    expect(toHex(snpLaunchDigest(firmwareDigest, layout, started))).toBe(`0x${expected}`);
  });

  // What sev-snp-measure answers for these, as metacraft-labs/reprobuild publishes it (snp_digest_vectors.nim).
  const kernel = 'reprobuild launch-digest kernel fixture\n';
  const initrd = 'reprobuild launch-digest initial-ramdisk fixture\n';
  test.each([
    [
      kernel,
      initrd,
      'root=/dev/vda1 ro quiet',
      '8794f2f1cd07a87e7211b23ccb94939405733191df99781fce9b8c8970739b3aebf2b5c2c38a1664ccbc767b0ddab7b4',
    ],
    [
      kernel,
      '',
      'root=/dev/vda1 ro quiet',
      '2a66b383c962b2e8935ec8895540d1fdb64644cec1cb4fabbba07577998d40863e52efc8b8d212c46a715fc4552de4f1',
    ],
    [
      '',
      initrd,
      'root=/dev/vda1 ro quiet',
      '63a9f5d65e643efff54ec66c5193e5803bd8162b2d0f4f9e81b164acd99e58bb0aa0fa2b7908d56d5445be3eb9c29450',
    ],
    [
      kernel,
      initrd,
      'root=/dev/vda2 ro quiet',
      'aeba6de6fffd60bccd9b965362f7cea335fd5a91581e661bf8fcf8add2d155d2ae27132be9aec24bcedfdec2f16993c8',
    ],
  ])('covers kernel %j, initrd %j, command line %j', (image, ramdisk, commandLine, expected) => {
    const started = guest(1, 0x21n, hashesOf(image, ramdisk, commandLine));
    expect(toHex(snpLaunchDigest(firmwareDigest, layout, started))).toBe(`0x${expected}`);
  });

  // google/gce-tcb-verifier, sev/sev_test.go.
  test('adds page after page, with contents and without', () => {
    const mark = utf8('LGTMLGTMLGTMLGTM');
    const contents = concatBytes(mark, new Uint8Array(3 * 4096 - 2 * mark.length), mark);
    expect(toHex(addPages(emptySnpDigest, 0, contents))).toBe(
      '0xcba1cd767c33b30f96271837dbbae4081a945464a5af397b9b0336b5d8759ee88cc6b62c05d915c4424a9ac5747437d4',
    );
    expect(toHex(addZeroPages(emptySnpDigest, 0x9000, 3 * 4096))).toBe(
      '0x4bfe18477ba370a50329da74b9621e721c4f29663176e08fbcf088a17c1bc45f133898b86d5082acbe202a6e9419808a',
    );
  });

  test("takes the firmware's pages at the end of the first 4 GB", () => {
    const image = firmware({ bytes: 3 * 4096, fill: (index) => index * 7 });
    expect(snpFirmwareDigest(image)).toEqual(addPages(emptySnpDigest, 2 ** 32 - 3 * 4096, image));
    expect(snpFirmwareDigest(image)).not.toEqual(snpFirmwareDigest(image.subarray(4096)));
  });

  test('is another for another place of anything', () => {
    const other = (image: Buffer) => toHex(snpLaunchDigest(firmwareDigest, readSnpLayout(image), guest(2, 1n)));
    const moved = sections.map(
      ([address, bytes, type], index) => [address, index === 6 ? 0x1000 : bytes, type] as const,
    );
    const { resetBlock, ...rest } = entries;
    const images = [
      firmware(),
      withSections(moved),
      withSections([...sections].reverse()),
      firmware({ entries: [...Object.values(rest), [resetBlock[0], u32(0x80b008)]] }),
      firmware({ entries: [entries.metadata, entries.resetBlock, [guids.hashTable, u32(0x810c10, 0x400)]] }),
    ];
    expect(new Set(images.map(other)).size).toBe(images.length);
  });
});

describe('a processor', () => {
  // virtee/sev-snp-measure, sevsnpmeasure/vcpu_types.py.
  test.each([
    ['EPYC', 0x800f12],
    ['EPYC-v4', 0x800f12],
    ['EPYC-Rome', 0x830f10],
    ['EPYC-Milan-v2', 0xa00f11],
    ['EPYC-Genoa', 0xa10f10],
    ['EPYC-Turin', 0xb00f00],
    ['0xA00f11', 0xa00f11],
  ])('"%s" has its signature', (name, signature) => {
    expect(processorSignature(name)).toBe(signature);
  });

  test.each(['host', 'max', 'EPYC-Zen9', 'epyc', 'EPYC-v', '', 'constructor', '0x', '0x123456789', '1'])(
    '"%s" is refused',
    (name) => expect(refusal(() => processorSignature(name))).toContain('SCRIPT_BAD_ARGUMENT'),
  );
});

describe('a firmware', () => {
  const malformed = 'IMAGE_FIRMWARE_MALFORMED';
  const unsupported = 'IMAGE_FIRMWARE_UNSUPPORTED';
  const without = (name: keyof typeof entries) =>
    firmware({ entries: Object.entries(entries).flatMap(([key, value]) => (key === name ? [] : [value])) });
  const instead = (name: keyof typeof entries, data: Uint8Array) =>
    firmware({ entries: Object.values({ ...entries, [name]: [entries[name][0], data] as const }) });
  const changed = (distance: number, bytes: Uint8Array) => {
    const image = firmware();
    image.set(bytes, image.length - distance);
    return image;
  };
  const only = (section: Sections[number]) => withSections([section, ...sections.slice(1)]);
  // Lengths stand before GUIDs: the footer's 50 bytes before the end, the last entry's 68.
  test.each<[string, Uint8Array, string, string]>([
    ['nothing', new Uint8Array(0), malformed, '0 bytes'],
    ['less than a page', firmware().subarray(1), malformed, '4095 bytes'],
    ['one page and a half', firmware({ bytes: 6144 }), malformed, '6144 bytes'],
    ['too large', new Uint8Array(firmwareBounds.bytes + 4096), malformed, 'bytes'],
    ['without a table', new Uint8Array(4096), malformed, 'no table'],
    ['a table longer than it', changed(50, u16(0xffff)), malformed, '65535 bytes'],
    ['a table shorter than its footer', changed(50, u16(17)), malformed, '17 bytes'],
    ['a table that begins within an entry', changed(50, u16(18 + 30)), malformed, 'entry 1'],
    [
      'a table that begins with less than an entry',
      Buffer.from(changed(50, u16(4064)).map((byte, at) => u16(4064 - 18 - 5)[at - (4096 - 68)] ?? byte)),
      malformed,
      'entry 1',
    ],
    ['an entry that ends within its header', changed(68, u16(17)), malformed, 'entry 0'],
    ['an entry longer than the table', changed(68, u16(500)), malformed, 'entry 0'],
    ['an entry of no length', changed(68, u16(0)), malformed, 'entry 0'],
    ['an entry twice', firmware({ entries: [...Object.values(entries), entries.metadata] }), malformed, 'twice'],
    [
      'too many entries',
      firmware({
        entries: Array.from({ length: 65 }, (_, index) => [
          guids.metadata.replace(/^../, toHex(Uint8Array.of(index)).slice(2)),
          u32(0),
        ]),
      }),
      malformed,
      'too many',
    ],
    ['without SEV metadata', without('metadata'), unsupported, 'does not start'],
    ['without a reset address', without('resetBlock'), unsupported, 'does not start'],
    ['a reset address of 8 bytes', instead('resetBlock', u32(1, 2)), malformed, '8 bytes'],
    ['metadata beyond its begin', instead('metadata', u32(4097)), malformed, 'outside'],
    ['metadata beyond its end', instead('metadata', u32(15)), malformed, 'outside'],
    ['metadata at a place of 8 bytes', instead('metadata', u32(metadataAt, 0)), malformed, 'outside'],
    ['metadata that are none', instead('metadata', u32(metadataAt + 1)), malformed, 'signature'],
    ['metadata of version 2', withSections(sections, { version: 2 }), unsupported, 'version 2'],
    ['no sections', withSections([]), malformed, '0 sections'],
    ['more sections than its length has', withSections(sections, { count: 8 }), malformed, '8 sections'],
    ['a length of more sections', withSections(sections, { length: 112 }), malformed, '112 bytes'],
    ['4294967295 sections', withSections(sections, { count: 0xffffffff }), malformed, '4294967295 sections'],
    [
      'sections beyond its end',
      firmware({
        entries: Object.values({ ...entries, metadata: [guids.metadata, u32(0x20)] as const }),
        parts: {},
      }).map((byte, index) => metadata(sections).subarray(0, 0x20)[index - (4096 - 0x20)] ?? byte),
      malformed,
      'ends within',
    ],
    ['a section of unknown type', only([0x800000, 0x9000, 5]), unsupported, 'section 0 of its SEV metadata of type 5'],
    ['a section of no pages', only([0x800000, 0, 1]), malformed, 'section 0'],
    ['a section of half a page', only([0x800000, 0x9800, 1]), malformed, 'section 0'],
    ['a section between pages', only([0x800800, 0x9000, 1]), malformed, 'section 0'],
    ['a section into the firmware', only([0xfffff000, 0x1000, 1]), malformed, 'section 0'],
    ['a section beyond 4 GB', only([0xfffff000, 0xfffff000, 1]), malformed, 'section 0'],
    ['sections of too many bytes', only([0x10000000, 0x4000000, 1]), malformed, 'ask for more'],
    ['two pages of secrets', only([0x800000, 0x2000, 2]), malformed, 'not a page'],
    [
      'without hashes of a kernel',
      withSections(sections.filter(([, , type]) => type !== 0x10)),
      unsupported,
      'no kernel',
    ],
    ['without a place for them', without('hashTable'), unsupported, 'no kernel'],
    ['a place for them at zero', instead('hashTable', u32(0, 0)), unsupported, 'no kernel'],
    ['a place for them of 4 bytes', instead('hashTable', u32(0x810c00)), unsupported, 'no kernel'],
    ['a place for them before their page', instead('hashTable', u32(0x80fff0, 0x400)), malformed, 'place of their own'],
    ['a place for them over its end', instead('hashTable', u32(0x810f51, 0x400)), malformed, 'place of their own'],
    ['too little room for them', instead('hashTable', u32(0x810c00, 175)), malformed, 'place of their own'],
    ['two pages for them', withSections([...sections, [0x900000, 0x1000, 0x10]]), malformed, 'place of their own'],
  ])('%s is refused', (_, image, code, named) => {
    const why = refusal(() => readSnpLayout(image));
    expect(why).toContain(`${code}: `);
    expect(why).toContain(named);
  });

  test('may have the place for hashes up to the end of its page', () => {
    expect(readSnpLayout(instead('hashTable', u32(0x810f50, 176))).hashTableOffset).toBe(0xf50);
  });

  test('cut anywhere is refused, never read beyond', () => {
    const image = firmware();
    for (let length = 0; length < image.length; length += 61)
      expect(refusal(() => readFirmwareTable(image.subarray(0, length)))).toContain(malformed);
  });

  test('with any byte of its table or metadata changed is read otherwise, or refused by name', () => {
    const image = firmware();
    for (let distance = 1; distance <= metadataAt; distance++) {
      const other = Buffer.from(image);
      other[image.length - distance] = (other[image.length - distance] ?? 0) ^ 0xff;
      const why = refusal(() => readSnpLayout(other));
      expect(why === 'nothing thrown' || why.startsWith('IMAGE_FIRMWARE_'), `${distance}: ${why}`).toBe(true);
    }
  });
});

describe('npm run image', () => {
  let folder = '';
  const at = (name: string) => path.join(folder, name);
  beforeEach(() => {
    folder = fs.mkdtempSync(path.join(os.tmpdir(), 'cloister-snp-'));
    fs.writeFileSync(at('OVMF.fd'), firmware());
    fs.writeFileSync(at('kernel'), 'a kernel');
    fs.writeFileSync(at('initrd'), 'an initrd');
  });
  afterEach(() => fs.rmSync(folder, { recursive: true, force: true }));
  const started = () => ['--snp-firmware', at('OVMF.fd'), '--kernel', at('kernel'), '--append', 'root=/dev/vda'];
  const processors = ['--snp-processors', '2', '--snp-cpu', 'EPYC-Milan'];
  const reference = (...argv: string[]) => {
    const { guest: options } = readImageOptions(argv);
    if (options?.snp === undefined) throw new Error('Expected a SEV-SNP guest');
    return snpReference(options, options.snp);
  };

  test('gives measurement and image id of a SEV-SNP guest', () => {
    const found = reference(...started(), ...processors, '--initrd', at('initrd'), '--snp-features', '0x21');
    const measurement = snpLaunchDigest(snpFirmwareDigest(firmware()), readSnpLayout(firmware()), {
      processors: 2,
      processor: { signature: 0xa00f11, features: 0x21n },
      kernel: hashesOf('a kernel', 'an initrd', 'root=/dev/vda'),
    });
    expect(found).toEqual({
      measurement: toHex(measurement),
      imageId: snpImageId(measurement),
      firmware: { sha256: toHex(sha256(firmware())), digest: toHex(snpFirmwareDigest(firmware())) },
      processors: 2,
      cpuSignature: '0xa00f11',
      features: '0x21',
      kernel: toHex(sha256(utf8('a kernel'))),
      initrd: toHex(sha256(utf8('an initrd'))),
      append: 'root=/dev/vda',
    });
  });

  test('takes no initrd for an empty one, as QEMU does', () => {
    fs.writeFileSync(at('initrd'), '');
    const empty = reference(...started(), ...processors, '--initrd', at('initrd'));
    expect(reference(...started(), ...processors)).toEqual({ ...empty, initrd: null });
    expect(empty.initrd).toBe(toHex(noFile));
  });

  test('prints them', async () => {
    const { code, stdout } = await runNode([inRoot('scripts/image.ts'), '--values', ...started(), ...processors]);
    const { imageId, measurement } = reference(...started(), ...processors);
    expect(code).toBe(0);
    expect(stdout).toContain(`SEV-SNP guest  ${imageId}`);
    expect(stdout).toContain(`measurement  ${measurement}`);
  });

  test.each([
    ['a kernel without a firmware', ['--kernel', 'k'], '--snp-firmware or --tdx-firmware beside --kernel'],
    ['a firmware without a kernel', ['--snp-firmware', 'f', ...processors, '--append', ''], '--kernel and --append'],
    [
      'a firmware without a command line',
      ['--snp-firmware', 'f', ...processors, '--kernel', 'k'],
      '--kernel and --append',
    ],
    ['no number of processors', ['--snp-firmware', 'f', '--snp-cpu', 'EPYC'], '--snp-processors and --snp-cpu'],
    ['no processor', ['--snp-firmware', 'f', '--snp-processors', '1'], '--snp-processors and --snp-cpu'],
    ['a processor without a firmware', ['--snp-cpu', 'EPYC'], '--snp-firmware beside --snp-cpu'],
    ['no processors', ['--snp-firmware', 'f', '--snp-processors', '0', '--snp-cpu', 'EPYC'], '1 to 4096'],
    ['too many processors', ['--snp-firmware', 'f', '--snp-processors', '4097', '--snp-cpu', 'EPYC'], '1 to 4096'],
    ['features without SEV-SNP', ['--snp-firmware', 'f', ...processors, '--snp-features', '0x20'], 'SEV_FEATURES'],
    ['features that are no number', ['--snp-firmware', 'f', ...processors, '--snp-features', 'on'], 'SEV_FEATURES'],
    [
      'features of 9 bytes',
      ['--snp-firmware', 'f', ...processors, '--snp-features', `0x1${'0'.repeat(15)}1`],
      'SEV_FEATURES',
    ],
    [
      'a command line of two lines',
      ['--snp-firmware', 'f', ...processors, '--kernel', 'k', '--append', 'a\nb'],
      'ASCII',
    ],
    [
      'a command line that is too long',
      ['--snp-firmware', 'f', ...processors, '--kernel', 'k', '--append', 'a'.repeat(65_537)],
      'ASCII',
    ],
  ])('refuses %s', (_, argv, named) => {
    const why = refusal(() => readImageOptions(argv));
    expect(why).toContain('SCRIPT_BAD_ARGUMENT');
    expect(why).toContain(named);
  });

  test('refuses files that are not there, or too large', () => {
    expect(refusal(() => reference(...started(), ...processors, '--initrd', at('none')))).toContain('none');
    fs.truncateSync(at('OVMF.fd'), firmwareBounds.bytes + 1);
    expect(refusal(() => reference(...started(), ...processors))).toContain('more than 16777216 bytes');
  });
});
