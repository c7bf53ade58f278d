import {
  type Address,
  type Bytes32,
  ceremonyMessageDigest,
  type Hex,
  type RecordDomain,
  schema as z,
} from '@cloister/core';
import { fromHex } from '@cloister/crypto';
import { recoverAddress } from '@cloister/crypto/native-secp256k1';

const g1 = z.hexOf(48);
/** Encapsulated key, two shares, tag. */
const sealedShares = z.hexOf(32 + 64 + 16);
const addresses = z.array(z.address).check(z.refineArray(0, 32));

/** What the members of a ceremony say to each other; everybody sees every message. */
const bodies = {
  /** Of a dealer: the hash of the dealing that it will show. */
  commit: z.strictObject({ dealing: z.bytes32 }),
  /** Of a dealer: its two polynomials in G1, and each receiver's two shares sealed to it, in the receivers' order. */
  dealing: z.strictObject({
    apps: z.array(g1).check(z.refineArray(1, 32)),
    beacon: z.array(g1).check(z.refineArray(1, 32)),
    shares: z.array(sealedShares).check(z.refineArray(1, 32)),
  }),
  /** Of a receiver: dealers whose shares for it don't open, or don't fit what they committed to. */
  verdict: z.strictObject({ against: addresses }),
  /** Of a dealer: the shares of one that complained, for all to see. */
  answer: z.strictObject({ to: z.address, apps: z.bytes32, beacon: z.bytes32 }),
  /** Of the attempt's proposer: whose dealings count. */
  proposal: z.strictObject({ dealers: addresses }),
  /** Of whoever holds good shares by a proposal, or handed its own on: the signature over the handover's digest. */
  signature: z.strictObject({ digest: z.bytes32, signature: z.hexOf(65) }),
} as const;

export type CeremonyKind = keyof typeof bodies;
export type CeremonyBody = {
  readonly commit: { readonly dealing: Bytes32 };
  readonly dealing: { readonly apps: readonly Hex[]; readonly beacon: readonly Hex[]; readonly shares: readonly Hex[] };
  readonly verdict: { readonly against: readonly Address[] };
  readonly answer: { readonly to: Address; readonly apps: Bytes32; readonly beacon: Bytes32 };
  readonly proposal: { readonly dealers: readonly Address[] };
  readonly signature: { readonly digest: Bytes32; readonly signature: Hex };
};

export type CeremonyMessage<Kind extends CeremonyKind = CeremonyKind> = {
  [K in Kind]: {
    readonly session: Bytes32;
    readonly from: Address;
    readonly kind: K;
    readonly body: CeremonyBody[K];
    readonly signature: Hex;
  };
}[Kind];

/** A dealing for 32 members at the highest threshold. */
export const maxCeremonyMessageBytes = 24_576;

const messageJson = z.strictObject({
  session: z.bytes32,
  from: z.address,
  kind: z.enumOf(Object.keys(bodies) as [CeremonyKind, ...CeremonyKind[]]),
  body: z.jsonObject,
  signature: z.hexOf(65),
});

/** Reads a message and checks that `from` signed it. Throws SchemaError; answers undefined where somebody else did. */
export function readCeremonyMessage(domain: RecordDomain, json: unknown): CeremonyMessage | undefined {
  const message = z.parseWith(messageJson, json, 'ceremony message');
  const body = z.parseWith(bodies[message.kind] as typeof bodies.commit, message.body, `${message.kind} message`);
  const digest = ceremonyMessageDigest(domain, message.session, message.kind, body);
  if (signerOf(digest, message.signature) !== message.from) return undefined;
  return { ...message, body } as unknown as CeremonyMessage;
}

function signerOf(digest: Bytes32, signature: Hex): Address | undefined {
  try {
    return recoverAddress(fromHex(digest), fromHex(signature));
  } catch {
    return undefined;
  }
}
