import { createHash } from 'node:crypto';
import { p256 } from '@noble/curves/nist.js';
import {
  type Address,
  bytesToHex,
  concatHex,
  encodeAbiParameters,
  encodePacked,
  type Hex,
  hexToBytes,
  keccak256,
  padHex,
  stringToHex,
  toHex,
} from 'viem';

/** The parts of a quote that the tests vary. Registers are 48 bytes each. */
export type QuoteFields = {
  readonly version?: number;
  readonly attestationKeyType?: number;
  readonly teeType?: number;
  readonly tdAttributes?: bigint;
  readonly mrtd?: Hex;
  readonly rtmrs?: readonly [Hex, Hex, Hex, Hex];
  readonly mrConfigId?: Hex;
  readonly reportData?: Hex;
};

export const devRoot = p256RootOf(0x5eedn);
export const otherRoot = p256RootOf(0xbadn);

export const networkFileId = padHex('0xc0f1', { size: 32 });
export const platformId = padHex('0x11a7', { size: 16 });

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

/** Header and body of a TDX quote of version 4, 632 bytes. */
export function quotePart(fields: QuoteFields = {}): Hex {
  const bytes = new Uint8Array(632);
  const view = new DataView(bytes.buffer);
  view.setUint16(0, fields.version ?? 4, true);
  view.setUint16(2, fields.attestationKeyType ?? 2, true);
  view.setUint32(4, fields.teeType ?? 0x81, true);
  bytes.set(hexToBytes('0x939a7233f79c4ca9940a0db3957f0607'), 12);
  view.setBigUint64(48 + 120, fields.tdAttributes ?? 0x10000000n, true);
  bytes.set(hexToBytes(fields.mrtd ?? defaultMrtd), 48 + 136);
  bytes.set(hexToBytes(fields.mrConfigId ?? padHex(networkFileId, { size: 48, dir: 'right' })), 48 + 184);
  (fields.rtmrs ?? defaultRtmrs).forEach((rtmr, index) => {
    bytes.set(hexToBytes(rtmr), 48 + 328 + 48 * index);
  });
  bytes.set(hexToBytes(fields.reportData ?? toHex(0, { size: 64 })), 48 + 520);
  return bytesToHex(bytes);
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

export function endorsementDigest(chainId: number, part: Hex, platform: Hex, validUntil: bigint): Hex {
  const message = encodePacked(
    ['string', 'uint256', 'bytes32', 'bytes16', 'uint64'],
    ['cloister/unsafe-simulated-endorsement: v1', BigInt(chainId), keccak256(part), platform, validUntil],
  );
  return `0x${createHash('sha256').update(hexToBytes(message)).digest('hex')}`;
}

/** Evidence as UnsafeSimulatedVerifier reads it. */
export function simulatedEvidence(
  part: Hex,
  options: {
    readonly chainId?: number;
    readonly platform?: Hex;
    readonly validUntil: bigint;
    readonly root?: P256Root;
  },
): Hex {
  const platform = options.platform ?? platformId;
  const digest = endorsementDigest(options.chainId ?? 31337, part, platform, options.validUntil);
  const [r, s] = (options.root ?? devRoot).sign(digest);
  return encodeAbiParameters(
    [{ type: 'bytes' }, { type: 'bytes16' }, { type: 'uint64' }, { type: 'uint256' }, { type: 'uint256' }],
    [part, platform, options.validUntil, r, s],
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
