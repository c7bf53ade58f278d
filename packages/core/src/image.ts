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
const dstackImageTag = keccak256(utf8('cloister/dstack-image: v1'));

/** imageId = keccak256(keccak256("cloister/image: v1") ‖ uint256(teeType) ‖ MRTD ‖ RTMR0 ‖ RTMR1 ‖ RTMR2). */
export function tdxImageId(image: TdxImage): Bytes32 {
  return toHex(
    keccak256(concatBytes(imageTag, abiWord(teeTypes.tdx), image.mrtd, image.rtmr0, image.rtmr1, image.rtmr2)),
  );
}

/**
 * imageId of a TD that dstack started: its registers measure dstack's system alone, so what it runs is hashed with them, under a
 * tag of its own. imageId = keccak256(keccak256("cloister/dstack-image: v1") ‖ uint256(teeType) ‖ MRTD ‖ RTMR0 ‖ RTMR1 ‖ RTMR2 ‖ composeHash).
 * @param composeHash SHA-256 of the app-compose.json
 */
export function dstackImageId({ mrtd, rtmr0, rtmr1, rtmr2 }: TdxImage, composeHash: Bytes32): Bytes32 {
  const words = [dstackImageTag, abiWord(teeTypes.tdx), mrtd, rtmr0, rtmr1, rtmr2, fromHex(composeHash)];
  return toHex(keccak256(concatBytes(...words)));
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

/** MRCONFIGID of a dstack CVM (dstack 0.5.1 and later): the version 1, the compose hash, 15 zero bytes. */
export function dstackMrConfigId(composeHash: Bytes32): Uint8Array {
  return concatBytes(Uint8Array.of(1), fromHex(composeHash), new Uint8Array(15));
}

/** What MRCONFIGID says of what a TD was started with. */
export type TdxConfig = {
  /** The network file's id, or in a dstack CVM the compose hash. */
  readonly configId: Bytes32;
  /** What runs in a dstack CVM; null for every other TD. */
  readonly composeHash: Bytes32 | null;
};

/**
 * Reads the 48 bytes of MRCONFIGID; undefined where they have neither form. The byte behind the first 32 tells the forms apart:
 * zero for a network file's id, and the last of a compose hash otherwise. A compose hash that ends in a zero byte therefore reads
 * as another TD's network file, which no governance allows: such an app is made anew under another name (`npm run image` does).
 * That no value has two readings matters more than the one compose hash in 256: the host chooses MRCONFIGID.
 */
export function readMrConfigId(mrConfigId: Uint8Array): TdxConfig | undefined {
  const isZero = (from: number) => mrConfigId.subarray(from).every((byte) => byte === 0);
  if (mrConfigId.length !== 48) return undefined;
  if (isZero(32)) return { configId: toHex(mrConfigId.subarray(0, 32)), composeHash: null };
  if (mrConfigId[0] !== 1 || !isZero(33)) return undefined;
  const composeHash = toHex(mrConfigId.subarray(1, 33));
  return { configId: composeHash, composeHash };
}
