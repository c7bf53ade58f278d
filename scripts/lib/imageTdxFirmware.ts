import { concatBytes, sha384, utf8 } from '@cloister/crypto';
import {
  malformedFirmware,
  metadataHeaderBytes,
  pageBytes,
  placeFromEnd,
  readFirmwareTable,
  readSectionMetadata,
  unsupportedFirmware,
} from './imageFirmware.ts';

/** Memory that the host gives a TD before it starts, page by page. */
export type TdxSection = {
  /** Guest physical, of a page. */
  readonly address: number;
  readonly bytes: number;
  /** What of the firmware stands there and is measured; undefined where only the addresses are. */
  readonly measured: Uint8Array | undefined;
};

const metadataGuid = 'e47a6535-984a-4798-865e-4685a7bf8ec2';

/** Types that hold parts of the firmware: its code (0) and its variables (1); the hand-off block (2) and scratch memory (3) hold none. */
const contentTypes: readonly boolean[] = [true, true, false, false];
const measureContents = 1;

/** OVMF has 7 sections of 4 MB. */
export const tdxBounds = { sections: 64, bytes: 64 * 1024 * 1024, address: 2 ** 47 } as const;

const sectionBytes = 32;
/** TDH.MR.EXTEND takes so much at a time. */
const chunkBytes = 256;

/**
 * The sections of an OVMF image that starts as a TD (Intel, TDX Virtual Firmware Design Guide, "TDVF Metadata"; QEMU refuses what
 * is refused here, hw/i386/tdvf.c). Throws IMAGE_FIRMWARE_MALFORMED, IMAGE_FIRMWARE_UNSUPPORTED.
 */
export function readTdxSections(firmware: Uint8Array): readonly TdxSection[] {
  const at = placeFromEnd(firmware, readFirmwareTable(firmware), metadataGuid, metadataHeaderBytes);
  if (at === undefined)
    throw unsupportedFirmware('does not start as a TD', 'Take a build for TDX, such as OVMF.inteltdx.fd');
  const bytes = Buffer.from(firmware.buffer, firmware.byteOffset, firmware.length);
  return readSectionMetadata(bytes, at, {
    signature: 'TDVF',
    name: 'TDX',
    sectionBytes,
    bounds: tdxBounds,
    readSection,
  });
}

/** Offset and length in the firmware (4 bytes each), address and length in memory (8), type and attributes (4). */
function readSection(bytes: Buffer, at: number, name: string): TdxSection {
  const offset = bytes.readUInt32LE(at);
  const length = bytes.readUInt32LE(at + 4);
  const address = Number(bytes.readBigUInt64LE(at + 8));
  const memory = Number(bytes.readBigUInt64LE(at + 16));
  const type = bytes.readUInt32LE(at + 24);
  const attributes = bytes.readUInt32LE(at + 28);
  const hasContents = contentTypes[type];
  // Among them pages that the guest would have to accept itself (2): the design guide and QEMU differ in what these mean.
  if (hasContents === undefined || attributes > measureContents)
    throw unsupportedFirmware(
      `has ${name} of type ${type} with attributes ${attributes}`,
      'What a host does there is not known',
    );
  if (address % pageBytes !== 0 || memory % pageBytes !== 0 || memory === 0 || address + memory > tdxBounds.address)
    throw malformedFirmware(`${name} is no pages of a guest: ${memory} bytes at ${address}`);
  if (hasContents !== length > 0 || length > memory || offset + length > bytes.length)
    throw malformedFirmware(`${name} has ${length} bytes at ${offset} of the firmware`);
  if (attributes !== measureContents) return { address, bytes: memory, measured: undefined };
  if (length !== memory) throw malformedFirmware(`${name} is measured, and has only ${length} bytes for ${memory}`);
  return { address, bytes: memory, measured: bytes.subarray(offset, offset + length) };
}

/**
 * MRTD of a TD that starts from these sections: SHA-384 over what Intel's TDX module specification says for TDH.MEM.PAGE.ADD and
 * TDH.MR.EXTEND, each page added and then measured, as Linux does from 6.16 on (KVM_TDX_INIT_MEM_REGION) for QEMU from 10.1 on.
 * 48 bytes.
 */
export function tdxMrtd(sections: readonly TdxSection[]): Uint8Array {
  const parts: Uint8Array[] = [];
  for (const { address, bytes, measured } of sections)
    for (let page = 0; page < bytes; page += pageBytes) {
      parts.push(operation('MEM.PAGE.ADD', address + page));
      for (let chunk = page; measured !== undefined && chunk < page + pageBytes; chunk += chunkBytes)
        parts.push(operation('MR.EXTEND', address + chunk), measured.subarray(chunk, chunk + chunkBytes));
    }
  return sha384(concatBytes(...parts));
}

/** 128 bytes: the name, at 16 the guest physical address (8 bytes), zeros. */
function operation(name: string, address: number): Uint8Array {
  const bytes = Buffer.alloc(128);
  bytes.set(utf8(name));
  bytes.writeBigUInt64LE(BigInt(address), 16);
  return bytes;
}
