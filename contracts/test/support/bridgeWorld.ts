import { network } from 'hardhat';
import { type Address, getContractAddress, type Hex, hashTypedData, parseEther, parseEventLogs, toHex } from 'viem';
import type { Connection } from './accounts.ts';
import { type CommitteeWorld, deployCommitteeWorld, handOver, joinAll, proofOf } from './committeeWorld.ts';
import { deployWorld, signerOf } from './world.ts';

export type BridgeWorld = Awaited<ReturnType<typeof deployBridgeWorld>>;
export type Side = BridgeWorld['home'] | BridgeWorld['remote'];
/** A message as it was sent, or as it was forged. */
export type Envelope = {
  readonly id: Hex;
  readonly message: BridgeMessage;
  readonly payload: Hex;
};
export type BridgeMessage = {
  readonly route: Hex;
  readonly number: bigint;
  readonly expiry: bigint;
  readonly sender: Address;
  readonly recipient: Address;
  readonly payloadHash: Hex;
};

export const remoteChainId = 31_338;
export const day = 86_400;
export const bridgeDelay = BigInt(day + 3_600);
export const lifetime = BigInt(3 * day);
export const limits = { window: parseEther('10000'), large: parseEther('2000') };
export const supply = parseEther('1000000');

/**
 * A committee of `count` with threshold `threshold` at home (`members`), mirrored on another chain; a bridge and a route for
 * PHA at each end. All PHA is the deployer's; it, `owner` and `borrower` allow the routes all they have. The guardian has
 * `stranger`'s account.
 */
export async function deployBridgeWorld(
  homeConnection: Connection,
  remoteConnection: Connection,
  count = 4,
  threshold = 3,
) {
  const base = await deployCommitteeWorld(homeConnection, count, threshold);
  await joinAll(base);
  await handOver(base);
  const far = await deployWorld(remoteConnection);
  const signers = Array.from({ length: count }, (_, index) => signerOf(index + 1).address);
  const [homeBridge, homeRoute] = await nextAddresses(base, 2);
  const [remoteCommittee, remoteBridge, remoteRoute] = await nextAddresses(far, 3);
  const guardian = base.stranger.account.address;
  const bridgeAt = (timelock: Address, peerChain: number, peerBridge: Address, committee: Address) =>
    [{ timelock, peerChain: BigInt(peerChain), peerBridge, guardian, committee, lifetime }] as const;
  const routeAt = (timelock: Address, bridge: Address, peerRoute: Address) => ({
    timelock,
    bridge,
    peerRoute,
    guardian,
    limits,
  });

  await base.viem.deployContract('Bridge', [
    ...bridgeAt(base.timelock.address, remoteChainId, remoteBridge, base.committee.address),
  ]);
  await base.viem.deployContract('HomePhaRoute', [
    routeAt(base.timelock.address, homeBridge, remoteRoute),
    base.token.address,
  ]);
  const committee = await far.viem.deployContract('RemoteCommittee', [
    far.timelock.address,
    guardian,
    bridgeDelay,
    { generation: 1n, threshold, signers },
  ]);
  await far.viem.deployContract('Bridge', [
    ...bridgeAt(far.timelock.address, base.publicClient.chain.id, homeBridge, remoteCommittee),
  ]);
  await far.viem.deployContract('RemotePhaRoute', [routeAt(far.timelock.address, remoteBridge, homeRoute)]);
  const home = {
    ...base,
    ...(await contractsAt(homeConnection, homeBridge, homeRoute)),
    connection: homeConnection,
    chain: base.publicClient.chain.id,
  };
  const remote = {
    ...far,
    ...(await contractsAt(remoteConnection, remoteBridge, remoteRoute)),
    committee,
    connection: remoteConnection,
    chain: remoteChainId,
  };
  for (const { deployer, owner, borrower, token, route } of [home, remote])
    for (const { account } of [deployer, owner, borrower])
      await token.write.approve([route.address, 2n ** 256n - 1n], { account });
  return { home, remote, members: base, guardian, threshold };
}

/** The bridge, the route and its token on a chain, alike for both ends. */
async function contractsAt({ viem }: Connection, bridgeAddress: Address, routeAddress: Address) {
  const bridge = await viem.getContractAt('Bridge', bridgeAddress);
  const route = await viem.getContractAt('PhaRoute', routeAddress);
  const token = await viem.getContractAt('PhaBase', await route.read.token());
  return { bridge, route, token };
}

async function nextAddresses(
  { publicClient, deployer }: Pick<CommitteeWorld, 'publicClient' | 'deployer'>,
  count: number,
) {
  const from = deployer.account.address;
  const nonce = BigInt(await publicClient.getTransactionCount({ address: from }));
  return Array.from({ length: count }, (_, index) => getContractAddress({ from, nonce: nonce + BigInt(index) })) as [
    Address,
    Address,
    Address,
  ];
}

/** Sends PHA from the deployer, or `by`, to the same account on the other chain. */
export async function sendPha(from: Side, amount: bigint, by = from.deployer) {
  const hash = await from.route.write.send([by.account.address, amount], { account: by.account });
  return envelopeIn(from, hash);
}

/** The message that a transaction sent. */
export async function envelopeIn(
  { publicClient, bridge }: Side,
  hash: Hex,
): Promise<Envelope & { readonly hash: Hex }> {
  const { logs } = await publicClient.getTransactionReceipt({ hash });
  const [sent] = parseEventLogs({ abi: bridge.abi, eventName: 'BridgeMessageSent', logs });
  const [standard] = parseEventLogs({ abi: bridge.abi, eventName: 'MessageSent', logs });
  if (sent === undefined || standard === undefined) throw new Error(`Expected a message in "${hash}"`);
  return { id: sent.args.id, message: sent.args.message, payload: standard.args.payload, hash };
}

/** A proof by the first `count` members, or those that stand in `signers` by their index. */
export async function signed(
  { threshold }: Pick<BridgeWorld, 'threshold'>,
  digest: Hex,
  count = threshold,
): Promise<Hex> {
  return proofOf(digest, Object.fromEntries(Array.from({ length: count }, (_, index) => [index, index + 1])));
}

/** Delivers to a chain with the proof of t members; the transaction's hash. */
export async function deliver(world: BridgeWorld, to: Side, { id, message, payload }: Envelope): Promise<Hex> {
  return to.bridge.write.deliver([message, payload, await signed(world, id)]);
}

/** Refunds on the chain that it was sent from, by a void statement of t members. */
export async function refund(world: BridgeWorld, from: Side, { message, payload }: Envelope): Promise<Hex> {
  const digest = await from.bridge.read.voidDigest([message]);
  return from.bridge.write.refund([message, payload, await signed(world, digest)]);
}

/** A message that was never sent, as t captured members could sign it. */
export function forged(to: Side, base: Envelope, changes: Partial<BridgeMessage>, payload = base.payload): Envelope {
  const message = { ...base.message, ...changes };
  return { id: messageDigest(to.chain, to.bridge.address, message), message, payload };
}

const messageTypes = {
  BridgeMessage: [
    { name: 'route', type: 'bytes32' },
    { name: 'number', type: 'uint64' },
    { name: 'expiry', type: 'uint64' },
    { name: 'sender', type: 'address' },
    { name: 'recipient', type: 'address' },
    { name: 'payloadHash', type: 'bytes32' },
  ],
} as const;

/** EIP-712 of a message, computed apart from the contracts. */
export function messageDigest(chainId: number, verifyingContract: Address, message: BridgeMessage): Hex {
  return hashTypedData({
    domain: { name: 'Cloister', version: '1', chainId, verifyingContract },
    types: messageTypes,
    primaryType: 'BridgeMessage',
    message,
  });
}

const voidTypes = {
  BridgeVoid: [
    { name: 'route', type: 'bytes32' },
    { name: 'number', type: 'uint64' },
    { name: 'message', type: 'bytes32' },
  ],
} as const;

export function voidDigest(chainId: number, verifyingContract: Address, { id, message }: Envelope): Hex {
  return hashTypedData({
    domain: { name: 'Cloister', version: '1', chainId, verifyingContract },
    types: voidTypes,
    primaryType: 'BridgeVoid',
    message: { route: message.route, number: message.number, message: id },
  });
}

/** ERC-7930 of an EVM account. */
export function interoperable(chainId: number, account: Address): Hex {
  const reference = toHex(chainId).slice(2);
  const even = reference.length % 2 === 0 ? reference : `0${reference}`;
  return `0x00010000${toHex(even.length / 2, { size: 1 }).slice(2)}${even}14${account.slice(2).toLowerCase()}`;
}

/** Lets time pass on both chains. */
export async function wait({ home, remote }: BridgeWorld, seconds: number | bigint): Promise<void> {
  for (const { connection } of [home, remote]) await connection.networkHelpers.time.increase(seconds);
}

/** Two chains, and a world on them that each test finds as it was made. */
export async function twoChains() {
  const home = await network.create();
  const remote = await network.create({ override: { chainId: remoteChainId } });
  const onBoth = () => deployBridgeWorld(home, remote);
  // What the first made on the other chain is kept there by a fixture of that chain's own.
  const asItIs = async () => {};
  return async (): Promise<BridgeWorld> => {
    const world = await home.networkHelpers.loadFixture(onBoth);
    await remote.networkHelpers.loadFixture(asItIs);
    return world;
  };
}
