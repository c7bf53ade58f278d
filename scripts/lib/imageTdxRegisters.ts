import { concatBytes, sha384, utf8 } from '@cloister/crypto';
import { authenticodeParts } from './imagePe.ts';

/** What edk2 measures behind the kernel, on the way into it (TCG, PC Client Platform Firmware Profile, §3.3.4.5 and §10.4.3). */
const afterKernel: readonly Uint8Array[] = [
  utf8('Calling EFI Application from Boot Option'),
  new Uint8Array(4),
  utf8('Exit Boot Services Invocation'),
  utf8('Exit Boot Services Returned with Success'),
];

/** RTMR1 of a TD whose firmware, an IntelTdxX64 build of OVMF, was given this kernel by QEMU: 48 bytes. Throws IMAGE_FILE_UNREADABLE. */
export function tdxRtmr1(kernel: Uint8Array): Uint8Array {
  return tdxRtmr1Of(sha384(concatBytes(...authenticodeParts(kernel))));
}

/** The same by the kernel's Authenticode hash. */
export function tdxRtmr1Of(kernelDigest: Uint8Array): Uint8Array {
  return extended([kernelDigest, ...afterKernel.map(sha384)]);
}

/**
 * RTMR2 of a TD whose kernel measures, in its EFI stub, its command line, as OVMF hands it over, and its initrd (Linux,
 * drivers/firmware/efi/libstub/efi-stub-helper.c): 48 bytes.
 * @param append printable ASCII
 * @param initrdDigest SHA-384
 */
export function tdxRtmr2(append: string, initrdDigest: Uint8Array): Uint8Array {
  return extended([sha384(Buffer.from(`initrd=initrd ${append}\0`, 'utf16le')), initrdDigest]);
}

/** A register after these extensions, from zero (Intel TDX module specification, TDG.MR.RTMR.EXTEND). */
function extended(digests: readonly Uint8Array[]): Uint8Array {
  return digests.reduce((register, digest) => sha384(concatBytes(register, digest)), new Uint8Array(48));
}
