import {
  type Address,
  type BridgeStatement,
  bridgeStatementDigest,
  bridgeStatementReader,
  bridgeStatementToJson,
  CloisterError,
  committeeProof,
  type Hex,
  type MirroredGeneration,
  memberRefusedBy,
  parseBoundedJson,
  parseSignedBridgeStatement,
  readBounded,
  withDeadline,
} from '@cloister/core';
import { fromHex, recoverAddress } from '@cloister/crypto';
import type { LinkChains } from './linkChains.ts';

/** Who signed a statement, and how many it takes. */
export type BridgeSignatures = {
  readonly have: number;
  readonly need: number;
  /** As the reading contract takes it; undefined while too few signed. */
  readonly proof: Hex | undefined;
  /** Why the others did not. */
  readonly refusals: readonly { readonly signer: Address; readonly code: string; readonly message: string }[];
};

export type AskMembersInit = { readonly fetch: typeof globalThis.fetch; readonly timeoutMs?: number };

const maxAnswerBytes = 16 * 1024;
/** A member reads two chains before it answers. */
const defaultTimeoutMs = 10_000;

/** The committee's proof of a statement, for the chain that reads it: every member is asked, and each signature checked. Throws ChainError. */
export async function gatherBridgeProof(
  chains: LinkChains,
  statement: BridgeStatement,
  init: AskMembersInit,
  signal?: AbortSignal,
): Promise<BridgeSignatures> {
  const roll = await chains.roll(bridgeStatementReader(statement), signal);
  const { signatures, refusals } = await askMembers(chains, statement, roll.signers, init, signal);
  return {
    have: roll.signers.filter((signer) => signatures.has(signer)).length,
    need: roll.threshold,
    proof: committeeProof(roll.signers, roll.threshold, signatures),
    refusals,
  };
}

/** The two proofs of a handover: of those that count on the other chain, and of the next ones; undefined while too few signed. */
export async function gatherHandoverProofs(
  chains: LinkChains,
  next: MirroredGeneration,
  init: AskMembersInit,
  signal?: AbortSignal,
): Promise<{ readonly previous: Hex; readonly held: Hex } | undefined> {
  const current = await chains.mirror.current(undefined, signal);
  const statement = { statement: 'handover', link: chains.link.chainId, next } as const;
  const signers = [...new Set([...current.signers, ...next.signers])];
  const { signatures } = await askMembers(chains, statement, signers, init, signal);
  const previous = committeeProof(current.signers, current.threshold, signatures);
  const held = committeeProof(next.signers, next.threshold, signatures);
  return previous === undefined || held === undefined ? undefined : { previous, held };
}

async function askMembers(
  chains: LinkChains,
  statement: BridgeStatement,
  signers: readonly Address[],
  { fetch, timeoutMs = defaultTimeoutMs }: AskMembersInit,
  signal: AbortSignal | undefined,
): Promise<{ readonly signatures: ReadonlyMap<Address, Hex> } & Pick<BridgeSignatures, 'refusals'>> {
  const digest = fromHex(bridgeStatementDigest(chains.network, chains.link, statement));
  const body = JSON.stringify(bridgeStatementToJson(statement));
  // Of those that left the committee too: while their signatures count on the other chain, they are asked.
  const endpoints = await chains.committee.endpointsOf(signers, signal);
  const signatures = new Map<Address, Hex>();
  const refusals: BridgeSignatures['refusals'][number][] = [];
  await Promise.all(
    signers.map(async (signer) => {
      const endpoint = endpoints.get(signer);
      try {
        if (endpoint === undefined) throw new SignatureError('BRIDGE_MEMBER_UNREACHABLE', signer);
        const answer = await withDeadline({ timeoutMs, signal, what: `Gatekeeper ${signer}` }, async (inner) => {
          const response = await fetch(`${endpoint}/v1/bridges`, {
            method: 'POST',
            headers: { 'content-type': 'application/json' },
            body,
            signal: inner,
            redirect: 'error',
          });
          const json = parseBoundedJson(
            await readBounded(response, maxAnswerBytes),
            maxAnswerBytes,
            'signed statement',
          );
          if (!response.ok) throw memberRefusedBy(json);
          return parseSignedBridgeStatement(json);
        });
        if (recoverAddress(digest, fromHex(answer.signature)) !== signer)
          throw new SignatureError('BRIDGE_SIGNATURE_OTHER', signer);
        signatures.set(signer, answer.signature);
      } catch (error) {
        const code = error instanceof CloisterError ? error.code : 'BRIDGE_MEMBER_UNREACHABLE';
        refusals.push({ signer, code, message: error instanceof Error ? error.message : String(error) });
      }
    }),
  );
  return { signatures, refusals };
}

const reasons = {
  BRIDGE_MEMBER_UNREACHABLE: 'has registered no endpoint that anybody knows of',
  BRIDGE_SIGNATURE_OTHER: 'answered with a signature that is not its own over this statement',
} as const;

class SignatureError extends CloisterError<keyof typeof reasons> {
  override readonly name = 'SignatureError';
  constructor(code: keyof typeof reasons, signer: Address) {
    super({ code, message: `Gatekeeper "${signer}" ${reasons[code]}` });
  }
}
