import { ScriptError } from './scriptError.ts';

/** What a firmware says of itself: the data of each entry of its table, by the entry's GUID in lower case. */
export type FirmwareTable = ReadonlyMap<string, Buffer>;

/** OVMF has 2 or 4 MB, and a dozen entries. */
export const firmwareBounds = { bytes: 16 * 1024 * 1024, entries: 64 } as const;

export const pageBytes = 4096;
/** A firmware ends where the first 4 GB of a guest's memory do. */
export const firmwareEnd = 2 ** 32;

/** Of metadata: signature, length, version, count. */
export const metadataHeaderBytes = 16;

const footerGuid = '96b582de-1fb2-45f7-baea-a366c55a082d';
const guidBytes = 16;
const headerBytes = 2 + guidBytes;
/** The reset vector's own code, behind the table. */
const bytesBehind = 32;

/**
 * The table of GUIDs at the end of an OVMF image (edk2, OvmfPkg/ResetVector/Ia16/ResetVectorVtf0.asm). It is read from its end:
 * each entry is data, the length of the whole entry (2 bytes), its GUID; the last one, the footer, has the length of the table.
 * Throws IMAGE_FIRMWARE_MALFORMED.
 */
export function readFirmwareTable(firmware: Uint8Array): FirmwareTable {
  const bytes = Buffer.from(firmware.buffer, firmware.byteOffset, firmware.length);
  if (bytes.length < pageBytes || bytes.length > firmwareBounds.bytes || bytes.length % pageBytes !== 0)
    throw malformedFirmware(
      `it has ${bytes.length} bytes, which are no 1 to ${firmwareBounds.bytes / pageBytes} pages`,
    );
  const end = bytes.length - bytesBehind;
  if (readGuid(bytes, end - guidBytes) !== footerGuid)
    throw malformedFirmware('no table of GUIDs ends 32 bytes before it');
  const tableBytes = bytes.readUInt16LE(end - headerBytes);
  if (tableBytes < headerBytes || tableBytes > end) throw malformedFirmware(`its table can't have ${tableBytes} bytes`);
  const start = end - tableBytes;
  const entries = new Map<string, Buffer>();
  for (let at = end - headerBytes; at > start; ) {
    const guid = at - start < headerBytes ? undefined : readGuid(bytes, at - guidBytes);
    const length = guid === undefined ? 0 : bytes.readUInt16LE(at - headerBytes);
    if (guid === undefined || length < headerBytes || length > at - start)
      throw malformedFirmware(`entry ${entries.size} of its table does not fit`);
    if (entries.has(guid)) throw malformedFirmware(`its table has "${guid}" twice`);
    if (entries.size === firmwareBounds.entries) throw malformedFirmware('its table has too many entries');
    entries.set(guid, bytes.subarray(at - length, at - headerBytes));
    at -= length;
  }
  return entries;
}

/**
 * The place that an entry gives by its distance from the firmware's end, in whose `least` bytes something begins; undefined
 * without that entry. Throws IMAGE_FIRMWARE_MALFORMED.
 */
export function placeFromEnd(
  firmware: Uint8Array,
  table: FirmwareTable,
  guid: string,
  least: number,
): number | undefined {
  const entry = table.get(guid);
  if (entry === undefined) return undefined;
  const distance = entry.length === 4 ? entry.readUInt32LE(0) : 0;
  if (distance < least || distance > firmware.length) throw malformedFirmware(`entry "${guid}" points outside of it`);
  return firmware.length - distance;
}

/** Metadata of edk2's form: a signature of 4 letters, the length of it all, the version 1, how many sections; then these. */
export type SectionMetadata<Section> = {
  readonly signature: string;
  /** As errors say it: "SEV", "TDX". */
  readonly name: string;
  readonly sectionBytes: number;
  readonly bounds: { readonly sections: number; readonly bytes: number };
  readonly readSection: (bytes: Buffer, at: number, name: string) => Section;
};

/** All sections of metadata that begin at `at`. Throws IMAGE_FIRMWARE_MALFORMED, IMAGE_FIRMWARE_UNSUPPORTED. */
export function readSectionMetadata<Section extends { readonly bytes: number }>(
  bytes: Buffer,
  at: number,
  { signature, name, sectionBytes, bounds, readSection }: SectionMetadata<Section>,
): readonly Section[] {
  const length = bytes.readUInt32LE(at + 4);
  const version = bytes.readUInt32LE(at + 8);
  const count = bytes.readUInt32LE(at + 12);
  if (bytes.toString('latin1', at, at + 4) !== signature)
    throw malformedFirmware(`its ${name} metadata have no signature`);
  if (version !== 1)
    throw unsupportedFirmware(
      `has ${name} metadata of version ${version}`,
      'Version 1 is the only one that is known here',
    );
  if (count === 0 || count > bounds.sections || length !== metadataHeaderBytes + count * sectionBytes)
    throw malformedFirmware(`its ${name} metadata can't have ${count} sections in ${length} bytes`);
  if (at + length > bytes.length) throw malformedFirmware(`it ends within its ${name} metadata`);
  const sections = Array.from({ length: count }, (_, index) =>
    readSection(bytes, at + metadataHeaderBytes + index * sectionBytes, `section ${index} of its ${name} metadata`),
  );
  if (sections.reduce((total, section) => total + section.bytes, 0) > bounds.bytes)
    throw malformedFirmware(`its ${name} metadata ask for more than ${bounds.bytes} bytes`);
  return sections;
}

/** A GUID as UEFI stores it: the first three numbers little-endian. */
export function guidToBytes(guid: string): Buffer {
  const bytes = Buffer.from(guid.replaceAll('-', ''), 'hex');
  bytes.subarray(0, 4).reverse();
  bytes.subarray(4, 6).reverse();
  bytes.subarray(6, 8).reverse();
  return bytes;
}

function readGuid(bytes: Buffer, at: number): string {
  const [a, b, c] = [bytes.readUInt32LE(at), bytes.readUInt16LE(at + 4), bytes.readUInt16LE(at + 6)];
  const hex = (value: number, digits: number) => value.toString(16).padStart(digits, '0');
  const rest = bytes.toString('hex', at + 8, at + 16);
  return `${hex(a, 8)}-${hex(b, 4)}-${hex(c, 4)}-${rest.slice(0, 4)}-${rest.slice(4)}`;
}

export function malformedFirmware(problem: string): ScriptError {
  return new ScriptError({
    code: 'IMAGE_FIRMWARE_MALFORMED',
    message: `The firmware can't be read: ${problem}`,
    hint: 'Give the whole image of OVMF that the guest is started with, such as OVMF.amdsev.fd',
  });
}

export function unsupportedFirmware(problem: string, hint: string): ScriptError {
  return new ScriptError({ code: 'IMAGE_FIRMWARE_UNSUPPORTED', message: `The firmware ${problem}`, hint });
}
