import { ScriptError } from './scriptError.ts';

/** The Windows loader takes at most 96 sections, and a kernel has five. */
const maxSections = 96;
const sectionBytes = 40;
const peMagic = 0x4550;
const pe32Plus = 0x20b;
/** The certificate table's place among the data directories. */
const securityDirectory = 4;

/**
 * What Authenticode hashes of a PE32+ image, in order (Microsoft, Windows Authenticode Portable Executable Signature Format,
 * "Calculating the PE Image Hash", as edk2 does it when it measures an image): the headers without the checksum and the
 * certificate table's entry, the sections by their place in the file, and what follows them, without the certificates.
 * Throws IMAGE_FILE_UNREADABLE.
 */
export function authenticodeParts(image: Uint8Array): readonly Uint8Array[] {
  const bytes = Buffer.from(image.buffer, image.byteOffset, image.length);
  const u16 = (at: number) => within(bytes, at, 2).readUInt16LE(0);
  const u32 = (at: number) => within(bytes, at, 4).readUInt32LE(0);
  const coff = u32(0x3c);
  if (u32(coff) !== peMagic) throw notPe('it has no PE header');
  const optional = coff + 24;
  if (u16(optional) !== pe32Plus) throw notPe('it is for no 64-bit processor');
  const sections = u16(coff + 6);
  if (sections > maxSections) throw notPe(`it has ${sections} sections`);
  const headers = u32(optional + 60);
  const checksum = optional + 64;
  const directory = optional + 112 + securityDirectory * 8;
  if (u32(optional + 108) <= securityDirectory || headers < directory + 8 || headers > bytes.length)
    throw notPe('its headers have no place for certificates');
  const table = optional + u16(coff + 20);
  const contents = Array.from({ length: sections }, (_, index) => {
    const length = u32(table + index * sectionBytes + 16);
    const start = u32(table + index * sectionBytes + 20);
    return { start, end: start + length };
  })
    .filter(({ start, end }) => end > start)
    .sort((left, right) => left.start - right.start);
  // Each byte at most once, so that the hash says all that the file is.
  const overlaps = contents.some(
    ({ start, end }, index) => start < (contents[index - 1]?.end ?? headers) || end > bytes.length,
  );
  if (overlaps) throw notPe('its sections overlap, or end behind it');
  const hashed = headers + contents.reduce((total, { start, end }) => total + end - start, 0);
  const end = bytes.length - u32(directory + 4);
  if (end < hashed) throw notPe('its certificates are longer than what follows its sections');
  return [
    bytes.subarray(0, checksum),
    bytes.subarray(checksum + 4, directory),
    bytes.subarray(directory + 8, headers),
    ...contents.map((content) => bytes.subarray(content.start, content.end)),
    bytes.subarray(hashed, end),
  ];
}

function within(bytes: Buffer, at: number, length: number): Buffer {
  if (at + length > bytes.length) throw notPe('it ends within its headers');
  return bytes.subarray(at, at + length);
}

function notPe(problem: string): ScriptError {
  return new ScriptError({
    code: 'IMAGE_FILE_UNREADABLE',
    message: `The kernel can't be read as a PE image: ${problem}`,
    hint: 'Give a kernel for x86-64 with CONFIG_EFI_STUB, as it is (bzImage)',
  });
}
