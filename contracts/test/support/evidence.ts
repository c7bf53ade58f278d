import { p256 } from '@noble/curves/nist.js';
import {
  type Address,
  bytesToHex,
  concatHex,
  encodeAbiParameters,
  type Hex,
  hexToBytes,
  keccak256,
  padHex,
  stringToHex,
  toHex,
} from 'viem';

/** What UnsafeScriptedVerifier takes as evidence: the claims themselves, as IEvidenceVerifier.sol has them. */
export type Claims = {
  readonly teeType: number;
  readonly attestedBy: number;
  readonly simulated: boolean;
  readonly debug: boolean;
  readonly tcbStatus: number;
  readonly tcbEvaluationDataNumber: number;
  readonly validUntil: bigint;
  readonly imageId: Hex;
  readonly configId: Hex;
  readonly platformId: Hex;
  readonly evidenceHash: Hex;
  readonly reportDataHead: Hex;
  readonly reportDataTail: Hex;
  readonly platformKey: Hex;
  readonly tcb: Hex;
};

const claimsComponents = [
  { name: 'teeType', type: 'uint8' },
  { name: 'attestedBy', type: 'uint8' },
  { name: 'simulated', type: 'bool' },
  { name: 'debug', type: 'bool' },
  { name: 'tcbStatus', type: 'uint8' },
  { name: 'tcbEvaluationDataNumber', type: 'uint32' },
  { name: 'validUntil', type: 'uint64' },
  { name: 'imageId', type: 'bytes32' },
  { name: 'configId', type: 'bytes32' },
  { name: 'platformId', type: 'bytes32' },
  { name: 'evidenceHash', type: 'bytes32' },
  { name: 'reportDataHead', type: 'bytes32' },
  { name: 'reportDataTail', type: 'bytes32' },
  { name: 'platformKey', type: 'bytes32' },
  { name: 'tcb', type: 'bytes32' },
] as const;

export const tcb = { upToDate: 1, swHardeningNeeded: 2, configurationNeeded: 3, outOfDate: 5, revoked: 7 } as const;
/** UpToDate and SWHardeningNeeded. */
export const defaultTcbStatuses = 0x06;

export const devRoot = p256RootOf(0x5eedn);

export const networkFileId = padHex('0xc0f1', { size: 32 });
export const platformId = padHex('0x11a7', { size: 32 });
export const platformKey = padHex('0x9c4e', { size: 32 });

const registerOf = (byte: number): Hex => toHex(new Uint8Array(48).fill(byte));
export const defaultMrtd = registerOf(0xa0);
export const defaultRtmrs = [registerOf(0xb0), registerOf(0xb1), registerOf(0xb2), registerOf(0xb3)] as const;
export const defaultImageId = tdxImageId(defaultMrtd, defaultRtmrs);

export function tdxImageId(mrtd: Hex, rtmrs: readonly [Hex, Hex, Hex, Hex]): Hex {
  return keccak256(
    concatHex([
      keccak256(stringToHex('cloister/image: v1')),
      toHex(2, { size: 32 }),
      mrtd,
      rtmrs[0],
      rtmrs[1],
      rtmrs[2],
    ]),
  );
}

export function encodeClaims(claims: Claims): Hex {
  return encodeAbiParameters([{ type: 'tuple', components: claimsComponents }], [claims]);
}

/** The first half of report_data. */
export function workerBinding(
  chainId: number,
  registry: Address,
  operator: Address,
  receiptSigner: Address,
  networkKeysHash: Hex = toHex(0, { size: 32 }),
): Hex {
  return keccak256(
    encodeAbiParameters(
      [
        { type: 'string' },
        { type: 'uint256' },
        { type: 'address' },
        { type: 'address' },
        { type: 'address' },
        { type: 'bytes32' },
      ],
      ['cloister/worker: v1', BigInt(chainId), registry, operator, receiptSigner, networkKeysHash],
    ),
  );
}

export type P256Root = { readonly x: bigint; readonly y: bigint; sign(digest: Hex): readonly [bigint, bigint] };

export function p256RootOf(scalar: bigint): P256Root {
  const { x, y } = p256.Point.BASE.multiply(scalar).toAffine();
  const secret = hexToBytes(toHex(scalar, { size: 32 }));
  return {
    x,
    y,
    sign(digest) {
      const signature = p256.sign(hexToBytes(digest), secret, { prehash: false, lowS: false });
      return [BigInt(bytesToHex(signature.subarray(0, 32))), BigInt(bytesToHex(signature.subarray(32)))];
    },
  };
}
