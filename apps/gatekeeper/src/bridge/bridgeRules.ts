import { areSameSigners, type BridgeArrival, type LinkCheck, linkProblem, type sentStates } from '@cloister/chain';
import {
  type Address,
  type BridgeLink,
  type BridgeMessage,
  type BridgeSide,
  type BridgeStatement,
  type Bytes32,
  bridgeEnds,
  bridgeMessageId,
  bridgeRoute,
  CloisterError,
  type MirroredGeneration,
  type NetworkFile,
} from '@cloister/core';

/** Both chains of a link, each at one block that can't be taken back, read from all of its RPCs. */
export interface LinkFacts extends LinkCheck {
  /** Of a message, at the chain that it was sent from. */
  sentState(side: BridgeSide, id: Bytes32, signal: AbortSignal): Promise<(typeof sentStates)[number]>;
  /** Of a message, at the chain that it was sent to; and how many of its sender were taken there. */
  arrival(
    side: BridgeSide,
    id: Bytes32,
    sender: Address,
    signal: AbortSignal,
  ): Promise<BridgeArrival & { readonly taken: bigint }>;
  /** The generation of the committee at home that counts; undefined before the first. */
  counting(signal: AbortSignal): Promise<MirroredGeneration | undefined>;
  /** Whether other signers are announced on the other chain. */
  isHandoverPending(signal: AbortSignal): Promise<boolean>;
}

/**
 * Whether this member signs a statement about a link, as a checklist. Throws BridgeRefusedError with the first thing that does not hold.
 *
 * Of a statement only what can't change any more is signed: what was sent and is final, what is void for ever.
 */
export async function judgeBridgeStatement(
  network: Pick<NetworkFile, 'chainId' | 'contracts'>,
  link: BridgeLink,
  statement: BridgeStatement,
  facts: LinkFacts,
  signal: AbortSignal,
): Promise<void> {
  // What costs least comes first: anybody may ask.
  if (statement.statement === 'handover') await judgeHandover(statement.next, facts, signal);
  else await judgeSent(network, link, statement, facts, signal);
  const problem = await linkProblem(network, link, facts, signal);
  if (problem !== undefined) throw refused(problem.code, problem.message);
}

async function judgeSent(
  network: Pick<NetworkFile, 'chainId'>,
  link: BridgeLink,
  { statement, from, message }: Exclude<BridgeStatement, { readonly statement: 'handover' }>,
  facts: LinkFacts,
  signal: AbortSignal,
): Promise<void> {
  const { source, destination } = bridgeEnds(network, link, from);
  // Its digest says so, and the reading contract checks it: no signature is given for what can't be used.
  if (message.route !== bridgeRoute(source, message.sender, destination))
    throw refused('BRIDGE_ROUTE_OTHER', `Route "${message.route}" is not that of sender "${message.sender}" to there`);
  const id = bridgeMessageId(destination, message);
  const state = await facts.sentState(from, id, signal);
  if (state === 'refunded') throw refused('BRIDGE_REFUNDED', `Message "${id}" was given back to its sender`);
  if (state !== 'sent')
    throw refused('BRIDGE_NOT_SENT', `No message "${id}" was sent by the newest block that can't be taken back`);
  if (statement === 'void') await judgeVoid(from, id, message, facts, signal);
}

async function judgeVoid(
  from: BridgeSide,
  id: Bytes32,
  { sender, number }: BridgeMessage,
  facts: LinkFacts,
  signal: AbortSignal,
): Promise<void> {
  const { state, taken } = await facts.arrival(from === 'home' ? 'remote' : 'home', id, sender, signal);
  // Its number was taken by another: it can never be.
  if (state === 'void' || (state === 'none' && taken >= number)) return;
  throw refused('BRIDGE_NOT_VOID', `Message "${id}" is not void at its destination: its state is "${state}"`);
}

/** Only the generation that counts now is named, and only where its signers are others: an old statement is of use to nobody but thieves. */
async function judgeHandover(next: MirroredGeneration, facts: LinkFacts, signal: AbortSignal): Promise<void> {
  const counts = await facts.counting(signal);
  if (counts === undefined || counts.generation !== next.generation || !areSameSigners(counts, next))
    throw refused(
      'BRIDGE_GENERATION_OTHER',
      `Generation "${counts?.generation ?? 0n}" counts here, and "${next.generation}" was named, or its signers are others`,
    );
  if ((await facts.isHandoverPending(signal)) || areSameSigners(await facts.mirror(signal), next))
    throw refused('BRIDGE_HANDOVER_NEEDLESS', 'The other chain has these signers, or waits for others');
}

export type BridgeRefusedCode =
  | 'BRIDGE_LINK_UNKNOWN'
  /** The contracts that stand there are not those that the network file means. */
  | 'BRIDGE_MISWIRED'
  | 'BRIDGE_MIRROR_UNKNOWN'
  | 'BRIDGE_ROUTE_OTHER'
  /** Or it is not final yet. */
  | 'BRIDGE_NOT_SENT'
  | 'BRIDGE_REFUNDED'
  | 'BRIDGE_NOT_VOID'
  | 'BRIDGE_GENERATION_OTHER'
  | 'BRIDGE_HANDOVER_NEEDLESS'
  | 'BRIDGE_RATE_LIMITED';

/** What is over once a block is final, a generation counts, or a token is there. */
const mayPass: ReadonlySet<BridgeRefusedCode> = new Set([
  'BRIDGE_NOT_SENT',
  'BRIDGE_NOT_VOID',
  'BRIDGE_GENERATION_OTHER',
  'BRIDGE_RATE_LIMITED',
]);

export function refused(code: BridgeRefusedCode, message: string): BridgeRefusedError {
  return new BridgeRefusedError(code, message);
}

/** A statement that this member does not sign, by the rule that forbids it. */
export class BridgeRefusedError extends CloisterError<BridgeRefusedCode> {
  override readonly name = 'BridgeRefusedError';
  constructor(code: BridgeRefusedCode, message: string) {
    super({ code, message, retry: mayPass.has(code) });
  }
}
