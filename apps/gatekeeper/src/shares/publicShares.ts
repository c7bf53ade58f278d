import { type Bytes32, type Hex, schema as z } from '@cloister/core';
import { concatBytes, fromHex, keccak256, toHex } from '@cloister/crypto';
import { type Commitments, publicShareAt } from '@cloister/threshold/dkg';

/** The public shares of a generation's members, in their order: 48 bytes each. */
export type PublicShares = readonly { readonly apps: Hex; readonly beacon: Hex }[];

/** What the committed polynomials say that each of `count` members holds. */
export function publicSharesOf(made: { apps: Commitments; beacon: Commitments }, count: number): PublicShares {
  return Array.from({ length: count }, (_, position) => ({
    apps: toHex(publicShareAt(made.apps, position + 1)),
    beacon: toHex(publicShareAt(made.beacon, position + 1)),
  }));
}

/** keccak256 over all of them, apps ‖ beacon of each member in order: as the chain keeps it. */
export function publicSharesHash(shares: PublicShares): Bytes32 {
  return toHex(keccak256(concatBytes(...shares.flatMap(({ apps, beacon }) => [fromHex(apps), fromHex(beacon)]))));
}

const json = z.array(z.strictObject({ apps: z.hexOf(48), beacon: z.hexOf(48) })).check(z.refineArray(1, 32));

/** Reads what a member serves. Throws SchemaError; whether it is true its hash tells. */
export function parsePublicShares(input: unknown): PublicShares {
  return z.parseWith(json, input, 'list of public shares') as PublicShares;
}
