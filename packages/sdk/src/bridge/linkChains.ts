import {
  BridgeReader,
  ChainView,
  CommitteeHistory,
  CommitteeReader,
  type LinkCheck,
  linkProblem,
  mirrorOf,
  RemoteCommitteeReader,
} from '@cloister/chain';
import {
  type BridgeLink,
  type BridgeSide,
  CloisterError,
  type MirroredGeneration,
  type NetworkFile,
} from '@cloister/core';

/** Both chains of a link, and the committee on each. */
export class LinkChains {
  readonly network: NetworkFile;
  readonly link: BridgeLink;
  readonly home: BridgeReader;
  readonly remote: BridgeReader;
  readonly mirror: RemoteCommitteeReader;
  readonly committee: CommitteeReader;
  readonly #history: CommitteeHistory;

  /** @param home a view of the network's own chain */
  constructor(network: NetworkFile, link: BridgeLink, home: ChainView) {
    const view = new ChainView(link);
    this.network = network;
    this.link = link;
    this.home = new BridgeReader(home, link.home);
    this.remote = new BridgeReader(view, link.remote);
    this.mirror = new RemoteCommitteeReader(view, link.remote);
    this.committee = new CommitteeReader(home, network.contracts);
    this.#history = new CommitteeHistory(home, network.contracts);
  }

  end(side: BridgeSide): BridgeReader {
    return side === 'home' ? this.home : this.remote;
  }

  /** The generation at home that counts at the newest block. */
  async generation(signal?: AbortSignal): Promise<MirroredGeneration> {
    const { number } = await this.home.view.head(signal);
    const { generation } = await this.committee.status(number, signal);
    return mirrorOf(generation);
  }

  /** The signers whose proofs a chain takes now. */
  roll(side: BridgeSide, signal?: AbortSignal): Promise<MirroredGeneration> {
    return side === 'home' ? this.generation(signal) : this.mirror.current(undefined, signal);
  }

  /** Throws BRIDGE_UNUSABLE where the contracts or signers there are not what they should be: what is sent would not arrive. */
  async assertUsable(signal?: AbortSignal): Promise<void> {
    const check: LinkCheck = {
      wiring: (side, inner) => this.end(side).wiring(undefined, inner),
      mirror: (inner) => this.mirror.current(undefined, inner),
      generation: async (number, inner) =>
        mirrorOf(await this.#history.generation(number, await this.home.view.finalized(inner), inner)),
    };
    const problem = await linkProblem(this.network, this.link, check, signal);
    if (problem === undefined) return;
    throw new BridgeError('BRIDGE_UNUSABLE', problem.message, 'Send nothing over it; gatekeepers sign nothing for it');
  }
}

export function otherSide(side: BridgeSide): BridgeSide {
  return side === 'home' ? 'remote' : 'home';
}

export type BridgeErrorCode =
  | 'BRIDGE_ABSENT'
  | 'BRIDGE_CHAIN_UNKNOWN'
  | 'BRIDGE_UNUSABLE'
  | 'BRIDGE_TRANSFER_UNKNOWN'
  | 'BRIDGE_BALANCE_TOO_LOW'
  | 'BRIDGE_AMOUNT_TOO_LOW';

export class BridgeError extends CloisterError<BridgeErrorCode> {
  override readonly name = 'BridgeError';
  constructor(code: BridgeErrorCode, message: string, hint: string) {
    super({ code, message, hint });
  }
}
