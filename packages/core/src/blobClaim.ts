import { concatBytes, fromHex, keccak256, toHex, utf8 } from '@cloister/crypto';
import { hashStruct, type RecordDomain, structType, typedDataDigest } from './eip712.ts';
import type { Bytes32, Hex } from './hex.ts';
import { parseBoundedJson } from './jcs.ts';
import * as z from './schema.ts';

/** A word for an app to one gateway: these blobs are among those that the app pays for, or are no longer. */
export type BlobClaim = {
  readonly app: Bytes32;
  /** sha256 of each, at most {@link maxClaimedBlobs}. */
  readonly blobs: readonly Bytes32[];
  /** The gateway's public URL, as the network file names it. */
  readonly gateway: string;
  /** The epoch of its signing: it counts in this and the next. */
  readonly epoch: number;
  /** False takes the blobs out of what the app pays for: the owner's word alone. */
  readonly keep: boolean;
};

/** As it is sent. */
export type SignedBlobClaim = BlobClaim & {
  /** Of the app's owner, or of an active worker's receipt signer. 65 bytes. */
  readonly signature: Hex;
  /** Of the app's id, where the app was not created yet: with it the signer shows that the app will be its own. */
  readonly salt?: Bytes32;
};

export const maxClaimedBlobs = 128;

const claimType = structType('BlobClaim(bytes32 app,bytes32[] blobs,string gateway,uint64 epoch,bool keep)');

/** The EIP-712 digest that is signed. */
export function blobClaimDigest(domain: RecordDomain, claim: BlobClaim): Bytes32 {
  const blobs = toHex(keccak256(concatBytes(...claim.blobs.map((blob) => fromHex(blob)))));
  const gateway = toHex(keccak256(utf8(claim.gateway)));
  return typedDataDigest(domain, hashStruct(claimType, claim.app, blobs, gateway, claim.epoch, claim.keep ? 1 : 0));
}

const signedBlobClaim = z.strictObject({
  app: z.bytes32,
  blobs: z.array(z.bytes32).check(z.refineArray(1, maxClaimedBlobs)),
  gateway: z.baseUrl,
  epoch: z.uint(),
  keep: z.boolean(),
  signature: z.hexOf(65),
  salt: z.exactOptional(z.bytes32),
});

/** A claim of one blob fits a header. */
export const maxBlobClaimBytes = 16 * 1024;

/** Throws SchemaError, JsonError. */
export function parseBlobClaim(text: Uint8Array): SignedBlobClaim {
  const json = parseBoundedJson(text, maxBlobClaimBytes, 'blob claim');
  return z.parseWith(signedBlobClaim, json, 'blob claim') as SignedBlobClaim;
}
