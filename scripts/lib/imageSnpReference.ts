import { snpImageId } from '@cloister/core';
import { sha256, toHex, utf8 } from '@cloister/crypto';
import type { GuestOptions, SnpOptions } from './imageGuestOptions.ts';
import { hashInput, readInput } from './imageInput.ts';
import { readSnpLayout } from './imageSnpFirmware.ts';
import { snpFirmwareDigest, snpLaunchDigest } from './imageSnpLaunch.ts';

/** What a SEV-SNP guest that is started so reports. Throws ScriptError. */
export function snpReference({ kernel, initrd, append }: GuestOptions, snp: SnpOptions) {
  const firmware = readInput(snp.firmware);
  const layout = readSnpLayout(firmware);
  const firmwareDigest = snpFirmwareDigest(firmware);
  const hashes = {
    kernel: hashInput(kernel).sha256,
    initrd: initrd === undefined ? sha256(new Uint8Array(0)) : hashInput(initrd).sha256,
    commandLine: sha256(utf8(`${append}\0`)),
  };
  const measurement = snpLaunchDigest(firmwareDigest, layout, {
    processors: snp.processors,
    processor: { signature: snp.signature, features: snp.features },
    kernel: hashes,
  });
  return {
    measurement: toHex(measurement),
    imageId: snpImageId(measurement),
    firmware: { sha256: toHex(sha256(firmware)), digest: toHex(firmwareDigest) },
    processors: snp.processors,
    cpuSignature: `0x${snp.signature.toString(16)}`,
    features: `0x${snp.features.toString(16)}`,
    kernel: toHex(hashes.kernel),
    initrd: initrd === undefined ? null : toHex(hashes.initrd),
    append,
  };
}
