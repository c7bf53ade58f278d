import { type Address, type BridgeLink, CloisterError, type MirroredGeneration } from '@cloister/core';
import { type Abi, createPublicClient, encodeDeployData, getContractAddress, type Hex, http } from 'viem';
import type { ChainAccount } from './account.ts';
import { deployContract } from './deploy.ts';
import {
  bridgeAbi,
  bridgeBytecode,
  homePhaRouteAbi,
  homePhaRouteBytecode,
  remoteCommitteeAbi,
  remoteCommitteeBytecode,
  remotePhaRouteAbi,
  remotePhaRouteBytecode,
  timelockControllerAbi,
  timelockControllerBytecode,
} from './generated/index.ts';

/** What governs and bounds both ends of a link. */
export type BridgeParameters = {
  /** Of the timelock on the other chain. */
  readonly remoteTimelock: { readonly delaySeconds: bigint; readonly proposer: Address };
  readonly guardian: Address;
  /** From sending to expiry, 1 to 60 days. */
  readonly lifetimeSeconds: bigint;
  /** Of PHA that arrives at each end: paid in any day, and delayed from so much on. In the smallest unit. */
  readonly limits: { readonly window: bigint; readonly large: bigint };
  /** From a handover of the committee on the other chain until it counts: more than a day. */
  readonly handoverDelaySeconds: bigint;
};

/** A chain that contracts are put on, by an account that does nothing else there. */
export type BridgeDeployer = { readonly account: ChainAccount; readonly rpc: string };

type Planned = Pick<BridgeLink, 'home' | 'remote'>;

/**
 * Where the contracts of a link will stand, before the committee has any signers and before either end exists: they name each other, and
 * the committee's record names its first signers. So they have the addresses of an account's first transactions on each chain, which
 * nobody else can take; whoever relies on them compares what stands there (the gatekeepers do, before they sign).
 */
export function planBridge(
  deployers: { readonly home: Address; readonly remote: Address },
  remoteTimelock: Address,
): Planned {
  const created = (from: Address, nonce: bigint) => getContractAddress({ from, nonce }).toLowerCase() as Address;
  const phaRoute = created(deployers.remote, 2n);
  return {
    home: { bridge: created(deployers.home, 0n), phaRoute: created(deployers.home, 1n) },
    // A contract's own first creation has number 1 (EIP-161).
    remote: {
      timelock: remoteTimelock,
      committee: created(deployers.remote, 0n),
      bridge: created(deployers.remote, 1n),
      phaRoute,
      pha: created(phaRoute, 1n),
    },
  };
}

/** The timelock that governs the end on the other chain; deployed unless it stands. */
export function deployRemoteTimelock(
  account: ChainAccount,
  rpc: string,
  { delaySeconds, proposer }: BridgeParameters['remoteTimelock'],
): Promise<Address> {
  const nobody = '0x0000000000000000000000000000000000000000';
  return deployContract(account, rpc, {
    name: 'TimelockController',
    abi: timelockControllerAbi,
    bytecode: timelockControllerBytecode,
    args: [delaySeconds, [proposer], [nobody], nobody],
  });
}

/**
 * Puts both ends of a planned link where they are not yet, the other chain's first: nothing can go out before it can arrive. Answers how
 * many contracts were created now. Throws DEPLOY_ADDRESS_TAKEN, TransactionError.
 * @param first the committee at home as it is, from a final block
 */
export async function deployBridge(
  planned: Planned,
  network: {
    readonly chainId: number;
    readonly contracts: {
      readonly timelock: Address;
      readonly gatekeeperCommittee: Address;
      readonly phaToken: Address;
    };
  },
  remoteChainId: number,
  deployers: { readonly home: BridgeDeployer; readonly remote: BridgeDeployer },
  parameters: BridgeParameters,
  first: MirroredGeneration,
): Promise<number> {
  const { home, remote } = planned;
  const { contracts } = network;
  const { guardian, limits, lifetimeSeconds: lifetime } = parameters;
  const bridgeAt = (timelock: Address, peerChain: number, peerBridge: Address, committee: Address) => ({
    abi: bridgeAbi,
    bytecode: bridgeBytecode,
    args: [{ timelock, peerChain: BigInt(peerChain), peerBridge, guardian, committee, lifetime }],
  });
  const routeAt = (timelock: Address, bridge: Address, peerRoute: Address) => ({
    timelock,
    bridge,
    peerRoute,
    guardian,
    limits,
  });
  const there = await putInOrder(deployers.remote, [
    {
      abi: remoteCommitteeAbi,
      bytecode: remoteCommitteeBytecode,
      args: [remote.timelock, guardian, parameters.handoverDelaySeconds, first],
    },
    bridgeAt(remote.timelock, network.chainId, home.bridge, remote.committee),
    {
      abi: remotePhaRouteAbi,
      bytecode: remotePhaRouteBytecode,
      args: [routeAt(remote.timelock, remote.bridge, home.phaRoute)],
    },
  ]);
  const here = await putInOrder(deployers.home, [
    bridgeAt(contracts.timelock, remoteChainId, remote.bridge, contracts.gatekeeperCommittee),
    {
      abi: homePhaRouteAbi,
      bytecode: homePhaRouteBytecode,
      args: [routeAt(contracts.timelock, home.bridge, remote.phaRoute), contracts.phaToken],
    },
  ]);
  return there + here;
}

/** Each in the account's transaction of its number, from 0 on. */
async function putInOrder(
  { account, rpc }: BridgeDeployer,
  contracts: readonly { readonly abi: Abi; readonly bytecode: Hex; readonly args: readonly unknown[] }[],
): Promise<number> {
  const client = createPublicClient({ transport: http(rpc), cacheTime: 0 });
  const sent = await client.getTransactionCount({ address: account.address });
  for (const [nonce, contract] of contracts.entries()) {
    if (nonce < sent) {
      const address = getContractAddress({ from: account.address, nonce: BigInt(nonce) });
      if (((await client.getCode({ address })) ?? '0x') !== '0x') continue;
      throw new BridgeDeployError(address, account.address, nonce);
    }
    await account.create(
      encodeDeployData(contract as Parameters<typeof encodeDeployData>[0]),
      `Deployment ${nonce} of the bridge`,
    );
  }
  return Math.max(contracts.length - sent, 0);
}

export class BridgeDeployError extends CloisterError<'DEPLOY_ADDRESS_TAKEN'> {
  override readonly name = 'BridgeDeployError';
  constructor(address: string, account: string, nonce: number) {
    super({
      code: 'DEPLOY_ADDRESS_TAKEN',
      message: `Nothing stands at "${address}": transaction "${nonce}" of "${account}" was another than the bridge's`,
      hint: 'Plan the link anew, with an account that has sent nothing on either chain',
    });
  }
}
