import type { Address, Bytes32, Hex } from '../hex.ts';
import type { NetworkFile } from '../networkFile.ts';
import * as z from '../schema.ts';
import {
  type BridgeEnd,
  type BridgeMessage,
  bridgeMessageForm,
  bridgeMessageId,
  bridgeMessageToJson,
  bridgeVoidDigest,
  type MirroredGeneration,
  remoteHandoverDigest,
} from './bridgeMessage.ts';

/** A link to another chain, as the network file pins it. */
export type BridgeLink = NonNullable<NetworkFile['bridges']>[number];

/** Which of a link's two chains: that of the network, or the other one. */
export type BridgeSide = 'home' | 'remote';

/** What a member is asked to sign of a link, which the other chain's id names. */
export type BridgeStatement =
  | {
      /** It was sent and is final; or it is void at its destination for ever. */
      readonly statement: 'message' | 'void';
      readonly link: number;
      /** Where it was sent. */
      readonly from: BridgeSide;
      readonly message: BridgeMessage;
    }
  | { readonly statement: 'handover'; readonly link: number; readonly next: MirroredGeneration };

/** A member's signature over a statement's digest, not yet checked. */
export type SignedBridgeStatement = { readonly signer: Address; readonly signature: Hex };

export const maxBridgeStatementBytes = 8 * 1024;

const chainIdForm = z.intBetween(1, Number.MAX_SAFE_INTEGER);
const sent = {
  link: chainIdForm,
  from: z.enumOf(['home', 'remote']),
  message: bridgeMessageForm,
};
const statementJson = z.discriminatedUnion('statement', [
  z.strictObject({ statement: z.literal('message'), ...sent }),
  z.strictObject({ statement: z.literal('void'), ...sent }),
  z.strictObject({
    statement: z.literal('handover'),
    link: chainIdForm,
    next: z.strictObject({
      generation: z.uintString(40),
      threshold: z.intBetween(1, 32),
      signers: z.array(z.address).check(z.refineArray(1, 32)),
    }),
  }),
]);
const signedJson = z.strictObject({ signer: z.address, signature: z.hexOf(65) });

/** Throws SchemaError. */
export function parseBridgeStatement(json: unknown): BridgeStatement {
  return z.parseWith(statementJson, json, 'bridge statement') as BridgeStatement;
}

export function bridgeStatementToJson(statement: BridgeStatement): Record<string, unknown> {
  if (statement.statement !== 'handover') return { ...statement, message: bridgeMessageToJson(statement.message) };
  const { generation, threshold, signers } = statement.next;
  return { ...statement, next: { generation: `${generation}`, threshold, signers } };
}

/** Reads a member's answer; whether the signature holds is another question. Throws SchemaError. */
export function parseSignedBridgeStatement(json: unknown): SignedBridgeStatement {
  return z.parseWith(signedJson, json, 'signed bridge statement') as SignedBridgeStatement;
}

/** The two ends of a link, the network's own first where a message goes out from there. */
export function bridgeEnds(
  network: Pick<NetworkFile, 'chainId'>,
  link: BridgeLink,
  from: BridgeSide,
): { readonly source: BridgeEnd; readonly destination: BridgeEnd } {
  const home = { chainId: network.chainId, bridge: link.home.bridge };
  const remote = { chainId: link.chainId, bridge: link.remote.bridge };
  return from === 'home' ? { source: home, destination: remote } : { source: remote, destination: home };
}

/** The digest that members sign for a statement about this link. */
export function bridgeStatementDigest(
  network: Pick<NetworkFile, 'chainId'>,
  link: BridgeLink,
  statement: BridgeStatement,
): Bytes32 {
  if (statement.statement === 'handover')
    return remoteHandoverDigest({ chainId: link.chainId, committee: link.remote.committee }, statement.next);
  const { source, destination } = bridgeEnds(network, link, statement.from);
  return statement.statement === 'message'
    ? bridgeMessageId(destination, statement.message)
    : bridgeVoidDigest(source, destination, statement.message);
}

/** On which chain's committee a statement is shown, and so whose signatures make its proof. */
export function bridgeStatementReader(statement: BridgeStatement): BridgeSide {
  if (statement.statement === 'handover') return 'remote';
  const goesOut = statement.from === 'home';
  return goesOut === (statement.statement === 'message') ? 'remote' : 'home';
}
