import { concatBytes, fromHex, keccak256, toHex } from '@cloister/crypto';
import { abiEncodeWords, tagHash } from '../abi.ts';
import { hashStruct, structType, typedDataDigest } from '../eip712.ts';
import type { Address, Bytes32, Hex } from '../hex.ts';
import * as z from '../schema.ts';

/** One end of a link between two chains: its chain, and the Bridge that stands there. */
export type BridgeEnd = { readonly chainId: number; readonly bridge: Address };

/** A message from one chain to another, as the committee signs it once it is final. */
export type BridgeMessage = {
  /** {@link bridgeRoute} of its sender. */
  readonly route: Bytes32;
  /** Counts from 1 for each route. */
  readonly number: bigint;
  /** Unix seconds of the destination: from then on it is void, unless governance there revives it. */
  readonly expiry: bigint;
  readonly sender: Address;
  readonly recipient: Address;
  /** keccak256 of what the recipient gets. */
  readonly payloadHash: Bytes32;
};

const messageType = structType(
  'BridgeMessage(bytes32 route,uint64 number,uint64 expiry,address sender,address recipient,bytes32 payloadHash)',
);
const voidType = structType('BridgeVoid(bytes32 route,uint64 number,bytes32 message)');
const handoverType = structType('RemoteHandover(uint64 generation,uint8 threshold,address[] signers)');

/** The route of a sender through its chain's bridge to another's: each sender has its own, in each direction. */
export function bridgeRoute(source: BridgeEnd, sender: Address, destination: BridgeEnd): Bytes32 {
  return tagHash(
    'cloister/bridge-route: v1',
    source.chainId,
    source.bridge,
    sender,
    destination.chainId,
    destination.bridge,
  );
}

/** A message's id, which is the digest that the committee signs: under the domain of the bridge that reads it. */
export function bridgeMessageId(destination: BridgeEnd, message: BridgeMessage): Bytes32 {
  const { route, number, expiry, sender, recipient, payloadHash } = message;
  return typedDataDigest(
    { chainId: destination.chainId, registry: destination.bridge },
    hashStruct(messageType, route, number, expiry, sender, recipient, payloadHash),
  );
}

/** What the committee signs of a message that is void at its destination for ever: under the domain of the bridge that sent it. */
export function bridgeVoidDigest(source: BridgeEnd, destination: BridgeEnd, message: BridgeMessage): Bytes32 {
  return typedDataDigest(
    { chainId: source.chainId, registry: source.bridge },
    hashStruct(voidType, message.route, message.number, bridgeMessageId(destination, message)),
  );
}

/** The committee at home as another chain knows it. */
export type MirroredGeneration = {
  /** Of the committee at home that has these signers: rising, not every one. */
  readonly generation: bigint;
  readonly threshold: number;
  /** In their order at home. */
  readonly signers: readonly Address[];
};

/** What those that count on the other chain and the next ones sign: under the domain of the RemoteCommittee there. */
export function remoteHandoverDigest(
  { chainId, committee }: { readonly chainId: number; readonly committee: Address },
  { generation, threshold, signers }: MirroredGeneration,
): Bytes32 {
  // Of an array EIP-712 hashes the words alone.
  const signersHash = toHex(keccak256(abiEncodeWords(...signers)));
  return typedDataDigest(
    { chainId, registry: committee },
    hashStruct(handoverType, generation, threshold, signersHash),
  );
}

/** An account of an EVM chain by ERC-7930, version 1: as ERC-7786 names senders and recipients. */
export function interoperableAddress(chainId: number, account: Address): Hex {
  const digits = chainId.toString(16);
  const reference = fromHex(`0x${digits.length % 2 === 0 ? '' : '0'}${digits}`);
  const head = new Uint8Array([0, 1, 0, 0, reference.length]);
  return toHex(concatBytes(head, reference, new Uint8Array([20]), fromHex(account)));
}

/** Of every form of a message as JSON has it. */
export const bridgeMessageForm = z.strictObject({
  route: z.bytes32,
  number: z.uintString(64),
  expiry: z.uintString(64),
  sender: z.address,
  recipient: z.address,
  payloadHash: z.bytes32,
});

export function bridgeMessageToJson(message: BridgeMessage): Record<string, string> {
  const { route, number, expiry, sender, recipient, payloadHash } = message;
  return { route, number: `${number}`, expiry: `${expiry}`, sender, recipient, payloadHash };
}
