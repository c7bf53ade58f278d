import {
  AttestationError,
  appraise,
  EvidenceVerifier,
  networkTrustRoots,
  parseEvidence,
} from '@cloister/attestation/verify';
import type { CommitteeReader } from '@cloister/chain';
import {
  CloisterError,
  gatekeeperBindingHash,
  mrConfigIdOf,
  type NetworkFile,
  networkFileId,
  zeroBytes32,
} from '@cloister/core';
import { toHex } from '@cloister/crypto';
import type { Member } from './committeeState.ts';
import type { Peers } from './peers/peers.ts';

export type FounderVerifierComponents = {
  readonly network: NetworkFile;
  readonly reader: CommitteeReader;
  readonly peers: Peers;
};

/** How many blocks back a founder's evidence may have been made. */
const maxAttestedBlocks = 4_096n;

/**
 * Makes sure by itself, whatever the chain's contract found, that a founder is an enclave of an allowed image with this network
 * file, and that the keys which the chain names for it are its own. Throws FOUNDER_REFUSED, and PEER_FAILED where it does not answer.
 */
export function founderVerifier({ network, reader, peers }: FounderVerifierComponents) {
  const verifier = new EvidenceVerifier({ roots: networkTrustRoots(network.trustRoots) });
  return async (founder: Member, signal: AbortSignal): Promise<void> => {
    const refuse = (why: string, cause?: unknown) => new FounderError(founder, why, cause);
    const head = await reader.view.head(signal);
    const untrue = (cause: unknown) => {
      throw cause instanceof AttestationError ? refuse(cause.message, cause) : cause;
    };
    const shown = await peers.evidence(founder, signal);
    const document = await Promise.resolve(shown as object)
      .then(parseEvidence)
      .catch(untrue);
    if (document.teeType !== 'tdx') throw refuse(`its evidence is of a "${document.teeType}"`);
    const claims = await verifier.verify(document, Number(head.timestamp)).catch(untrue);
    const verdict = appraise(claims, { unsafeAllowSimulated: network.simulated });
    if (!verdict.ok) throw refuse(verdict.refusal.message);
    if (!(await reader.imageAllowed(claims.imageId, head.number, signal)))
      throw refuse(`its image "${claims.imageId}" is not allowed`);
    if (claims.mrConfigId !== toHex(mrConfigIdOf(networkFileId(network))))
      throw refuse('it runs with another network file');
    const binding = gatekeeperBindingHash({
      chainId: network.chainId,
      committee: reader.address,
      operator: founder.operator,
      signer: founder.signer,
      hpkeKey: founder.hpkeKey,
      networkKeysHash: zeroBytes32,
    });
    if (claims.reportData.slice(0, 66) !== binding) throw refuse('its evidence is bound to something else');
    const hash = `0x${claims.reportData.slice(66)}`;
    if (!(await isRecent(reader, head.number, hash, signal)))
      throw refuse('its evidence names no recent block of this chain');
  };
}

/** Whether one of the recent blocks has that hash: asked of the RPCs by hash, and proven by the number that they give. */
async function isRecent(
  { view }: CommitteeReader,
  newest: bigint,
  hash: string,
  signal: AbortSignal,
): Promise<boolean> {
  const named = await view.blockByHash(hash as `0x${string}`, signal);
  return named !== undefined && named.number + maxAttestedBlocks >= newest;
}

export class FounderError extends CloisterError<'FOUNDER_REFUSED'> {
  override readonly name = 'FounderError';
  constructor(founder: Member, why: string, cause?: unknown) {
    super({
      code: 'FOUNDER_REFUSED',
      message: `The founder "${founder.operator}" is not what it should be: ${why}`,
      meta: { operator: founder.operator, signer: founder.signer },
      hint: 'No key is made with it; take it out of the eligible operators, or have it registered anew',
      cause,
    });
  }
}
