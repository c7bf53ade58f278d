import {
  firmwareEnd,
  malformedFirmware,
  metadataHeaderBytes,
  pageBytes,
  placeFromEnd,
  readFirmwareTable,
  readSectionMetadata,
  unsupportedFirmware,
} from './imageFirmware.ts';

/** Pages that the host adds beside the firmware, in this order. */
export type SnpSection = {
  readonly kind: 'zero' | 'secrets' | 'cpuid' | 'hashes';
  /** Guest physical, of a page. */
  readonly address: number;
  readonly bytes: number;
};

/** What of an OVMF image, beside its bytes, decides a SEV-SNP guest's launch digest. */
export type SnpLayout = {
  readonly sections: readonly SnpSection[];
  /** Where in its section the table of hashes begins. */
  readonly hashTableOffset: number;
  /** Where processors after the first one start. */
  readonly resetAddress: number;
};

const hashTableGuid = '7255371f-3a3b-4b04-927b-1da6efa8d454';
const resetBlockGuid = '00f771de-1a7e-4fcb-890e-68c77e2fb44e';
const metadataGuid = 'dc886566-984a-4798-a75e-5585a7bf67cc';

/** Types of edk2's OvmfPkg/ResetVector/X64/OvmfSevMetadata.asm, as QEMU adds them; the calling area of an SVSM (4) is zero here. */
const kinds: Readonly<Record<number, SnpSection['kind']>> = {
  1: 'zero',
  2: 'secrets',
  3: 'cpuid',
  4: 'zero',
  16: 'hashes',
};

/** OVMF has 7 sections of 200 kB. */
export const snpBounds = { sections: 64, bytes: 64 * 1024 * 1024 } as const;

const sectionBytes = 12;
/** The table of hashes that QEMU writes, padded; see imageSnpHashes.ts. */
export const hashTableBytes = 176;

/**
 * The layout of an OVMF image that measures kernel, initrd and command line. One that does not is refused: its digest says
 * nothing of what the guest runs. Throws IMAGE_FIRMWARE_MALFORMED, IMAGE_FIRMWARE_UNSUPPORTED.
 */
export function readSnpLayout(firmware: Uint8Array): SnpLayout {
  const table = readFirmwareTable(firmware);
  const at = placeFromEnd(firmware, table, metadataGuid, metadataHeaderBytes);
  const resetBlock = table.get(resetBlockGuid);
  if (at === undefined || resetBlock === undefined)
    throw unsupportedFirmware('does not start as a SEV-SNP guest', 'Take a build for AMD SEV');
  if (resetBlock.length !== 4) throw malformedFirmware(`its reset address has ${resetBlock.length} bytes`);
  const sections = readSections(Buffer.from(firmware.buffer, firmware.byteOffset, firmware.length), at);
  return {
    sections,
    hashTableOffset: hashTableOffset(sections, table.get(hashTableGuid)),
    resetAddress: resetBlock.readUInt32LE(0),
  };
}

/** "ASEV" and sections of address, length, type, 4 bytes each. */
function readSections(bytes: Buffer, at: number): readonly SnpSection[] {
  return readSectionMetadata(bytes, at, {
    signature: 'ASEV',
    name: 'SEV',
    sectionBytes,
    bounds: snpBounds,
    readSection,
  });
}

function readSection(bytes: Buffer, at: number, name: string): SnpSection {
  const address = bytes.readUInt32LE(at);
  const length = bytes.readUInt32LE(at + 4);
  const type = bytes.readUInt32LE(at + 8);
  const kind = kinds[type];
  if (kind === undefined)
    throw unsupportedFirmware(`has ${name} of type ${type}`, 'What a host adds there is not known');
  if (
    address % pageBytes !== 0 ||
    length % pageBytes !== 0 ||
    length === 0 ||
    address + length > firmwareEnd - bytes.length
  )
    throw malformedFirmware(`${name} is no pages of a guest: ${length} bytes at ${address}`);
  if (kind !== 'zero' && length !== pageBytes) throw malformedFirmware(`${name} has ${length} bytes, not a page`);
  return { kind, address, bytes: length };
}

/** The entry gives address and length of the place, 4 bytes each; zero where there is none. */
function hashTableOffset(sections: readonly SnpSection[], entry: Buffer | undefined): number {
  const [section, another] = sections.filter(({ kind }) => kind === 'hashes');
  const address = entry?.length === 8 ? entry.readUInt32LE(0) : 0;
  if (section === undefined || address === 0)
    throw unsupportedFirmware(
      'measures no kernel, so that its launch digest says nothing of what the guest runs',
      'Take the build OvmfPkg/AmdSev (OVMF.amdsev.fd), and start QEMU with kernel-hashes=on',
    );
  const room = entry?.readUInt32LE(4) ?? 0;
  const offset = address - section.address;
  if (another !== undefined || offset < 0 || offset + hashTableBytes > section.bytes || room < hashTableBytes)
    throw malformedFirmware(`the hashes of its kernel have no place of their own: ${room} bytes at ${address}`);
  return offset;
}
