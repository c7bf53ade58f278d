import { concatBytes, fromHex, keccak256, toHex, utf8 } from '@cloister/crypto';
import { abiWord } from './abi.ts';
import type { Bytes32 } from './hex.ts';

/** TEE types as the chain numbers them. */
export const teeTypes = { sgx: 1, tdx: 2, 'sev-snp': 3, nitro: 4 } as const;
export type TeeType = keyof typeof teeTypes;

/** The measurements that make up a TDX image, 48 bytes each. RTMR3 is left out: guests of other systems extend it at run time. */
export type TdxImage = {
  readonly mrtd: Uint8Array;
  readonly rtmr0: Uint8Array;
  readonly rtmr1: Uint8Array;
  readonly rtmr2: Uint8Array;
};

const imageTag = keccak256(utf8('cloister/image: v1'));

/** imageId = keccak256(keccak256("cloister/image: v1") ‖ uint256(teeType) ‖ MRTD ‖ RTMR0 ‖ RTMR1 ‖ RTMR2). */
export function tdxImageId(image: TdxImage): Bytes32 {
  return toHex(
    keccak256(concatBytes(imageTag, abiWord(teeTypes.tdx), image.mrtd, image.rtmr0, image.rtmr1, image.rtmr2)),
  );
}

/** imageId of an SGX enclave: as {@link tdxImageId} with teeType 1 and MRENCLAVE (32 bytes). */
export function sgxImageId(mrEnclave: Uint8Array): Bytes32 {
  return toHex(keccak256(concatBytes(imageTag, abiWord(teeTypes.sgx), mrEnclave)));
}

/** imageId of a SEV-SNP guest: as {@link tdxImageId} with teeType 3 and the launch measurement (48 bytes). */
export function snpImageId(measurement: Uint8Array): Bytes32 {
  return toHex(keccak256(concatBytes(imageTag, abiWord(teeTypes['sev-snp']), measurement)));
}

/** imageId of a Nitro enclave: as {@link tdxImageId} with teeType 4 and PCR0 to PCR2 (48 bytes each). */
export function nitroImageId(pcr0: Uint8Array, pcr1: Uint8Array, pcr2: Uint8Array): Bytes32 {
  return toHex(keccak256(concatBytes(imageTag, abiWord(teeTypes.nitro), pcr0, pcr1, pcr2)));
}

/** MRCONFIGID as the devices report it: the 32 bytes of the network file's id and 16 zero bytes. */
export function mrConfigIdOf(networkFileId: Bytes32): Uint8Array {
  return concatBytes(fromHex(networkFileId), new Uint8Array(16));
}
