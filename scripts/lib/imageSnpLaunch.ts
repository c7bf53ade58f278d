import { concatBytes, sha384 } from '@cloister/crypto';
import { firmwareEnd, pageBytes } from './imageFirmware.ts';
import type { SnpLayout, SnpSection } from './imageSnpFirmware.ts';
import { type KernelHashes, snpHashesPage } from './imageSnpHashes.ts';
import { bootAddress, type Processor, snpVmsaPage } from './imageSnpVmsa.ts';

export type SnpGuest = {
  readonly processors: number;
  readonly processor: Processor;
  readonly kernel: KernelHashes;
};

/** AMD, SEV Secure Nested Paging Firmware ABI Specification, PAGE_TYPE. */
const pageTypes = { normal: 1, vmsa: 2, zero: 3, secrets: 5, cpuid: 6 } as const;
/** The address that processors' pages have in the digest: the highest page of a 48-bit space. */
const vmsaAddress = 0xfffffffff000;
const noContents = new Uint8Array(48);

/** The launch digest before anything is added. */
export const emptySnpDigest: Uint8Array = new Uint8Array(48);

/** The launch digest after the firmware's pages, which end at 4 GB: all that of the digest the firmware's bytes decide. */
export function snpFirmwareDigest(firmware: Uint8Array): Uint8Array {
  return addPages(emptySnpDigest, firmwareEnd - firmware.length, firmware);
}

/**
 * The measurement in the reports of a SEV-SNP guest that QEMU starts from an OVMF image with `-kernel` and kernel-hashes=on:
 * 48 bytes. Same source, "SNP_LAUNCH_UPDATE"; the order of pages is that of QEMU (target/i386/sev.c).
 * @param firmwareDigest of {@link snpFirmwareDigest}
 */
export function snpLaunchDigest(firmwareDigest: Uint8Array, layout: SnpLayout, guest: SnpGuest): Uint8Array {
  let digest = firmwareDigest;
  for (const section of layout.sections) digest = addSection(digest, section, layout, guest);
  for (let number = 0; number < guest.processors; number++)
    digest = addPage(digest, 'vmsa', vmsaAddress, sha384(vmsaPage(number, layout, guest)));
  return digest;
}

function vmsaPage(number: number, layout: SnpLayout, { processor }: SnpGuest): Uint8Array {
  return snpVmsaPage(processor, number === 0 ? bootAddress : layout.resetAddress);
}

function addSection(digest: Uint8Array, section: SnpSection, layout: SnpLayout, guest: SnpGuest): Uint8Array {
  if (section.kind === 'hashes')
    return addPages(digest, section.address, snpHashesPage(guest.kernel, layout.hashTableOffset));
  if (section.kind === 'zero') return addZeroPages(digest, section.address, section.bytes);
  return addPage(digest, section.kind, section.address, noContents);
}

/** Pages whose contents are measured. */
export function addPages(digest: Uint8Array, address: number, contents: Uint8Array): Uint8Array {
  let added = digest;
  for (let at = 0; at < contents.length; at += pageBytes)
    added = addPage(added, 'normal', address + at, sha384(contents.subarray(at, at + pageBytes)));
  return added;
}

/** Pages that the processor clears. */
export function addZeroPages(digest: Uint8Array, address: number, bytes: number): Uint8Array {
  let added = digest;
  for (let at = 0; at < bytes; at += pageBytes) added = addPage(added, 'zero', address + at, noContents);
  return added;
}

/**
 * The digest after one page: SHA-384 over PAGE_INFO (same source): digest so far, digest of the contents, the length of it all
 * (2 bytes), type, three reserved for migration and levels below (all zero here), and the address (8).
 */
function addPage(digest: Uint8Array, type: keyof typeof pageTypes, address: number, contents: Uint8Array): Uint8Array {
  const tail = Buffer.alloc(16);
  tail.writeUInt16LE(0x70, 0);
  tail.writeUInt8(pageTypes[type], 2);
  tail.writeBigUInt64LE(BigInt(address), 8);
  return sha384(concatBytes(digest, contents, tail));
}
