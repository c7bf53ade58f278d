import {
  anchoredLeaf,
  merkleProof,
  merkleTree,
  packTotals,
  pairsHash,
  settlementStatementDigest,
} from '@cloister/core';
import { type Address, type Hex, hashTypedData, type PrivateKeyAccount, parseSignature, toHex } from 'viem';
import type { Connection } from './accounts.ts';
import { type Receipt, receiptDigest } from './receipts.ts';
import { chainId, deployWorld, enroll, type RegistrationChanges, register, signerOf, type World } from './world.ts';

export type PaymentsWorld = Awaited<ReturnType<typeof deployPayments>>;
export type Channel = {
  readonly payer: Address;
  readonly payerKey: Address;
  readonly operator: Address;
  readonly gateway: Address;
  readonly salt: Hex;
};

export const pha = 10n ** 18n;
export const withdrawalDelay = 3600n;
export const shares = { gateway: 1000, gatekeepers: 500, treasury: 500 };
export const gatewayAccount: Address = '0x6a7e000000000000000000000000000000000001';
export const gatekeepersAccount: Address = '0x6a7e000000000000000000000000000000000002';
export const treasuryAccount: Address = '0x6a7e000000000000000000000000000000000003';
export const noVoucher = { maxClaimableAmount: 0n, r: toHex(0, { size: 32 }), vs: toHex(0, { size: 32 }) };

/** A key of a client process, made from a number. */
export function payerKeyOf(seed: number): PrivateKeyAccount {
  return signerOf(500 + seed);
}

/** A network with one worker of the operator, whose signer is `signerOf(1)`, and payments that `borrower` may pay from. */
export async function deployPayments(connection: Connection) {
  const world = await deployWorld(connection);
  const { viem, timelock, workers, borrower, deployer, stranger } = world;
  const holders = [borrower, deployer, stranger].map(({ account }) => account.address);
  const token = await viem.deployContract('PhaToken', [holders, holders.map(() => 1_000_000n * pha)]);
  const sink = await viem.deployContract('FeeSinkHarness', [token.address]);
  const settings = paymentsSettings(timelock.address, token.address, workers.address, sink.address);
  const payments = await viem.deployContract('Payments', [settings]);
  for (const { account } of [borrower, stranger])
    await token.write.approve([payments.address, 1_000_000n * pha], { account });
  const workerId = await enroll(world);
  await register(world, workerId);
  return { ...world, token, sink, payments, workerId, paymentsSettings: settings };
}

export function paymentsSettings(timelock: Address, token: Address, workerRegistry: Address, stakePools: Address) {
  return {
    timelock,
    token,
    workerRegistry,
    stakePools,
    withdrawalDelay,
    gatekeepers: gatekeepersAccount,
    treasury: treasuryAccount,
    shares,
  };
}

/** A channel from `borrower` to `operator`, but for the changes. */
export function channelWith(world: PaymentsWorld, changes: Partial<Channel> = {}): Channel {
  return {
    payer: world.borrower.account.address,
    payerKey: payerKeyOf(1).address,
    operator: world.operator.account.address,
    gateway: gatewayAccount,
    salt: toHex(0, { size: 32 }),
    ...changes,
  };
}

export async function open(world: PaymentsWorld, channel: Channel, amount: bigint): Promise<Hex> {
  await world.payments.write.deposit([[{ channel, amount }]], { account: world.borrower.account });
  return world.payments.read.channelId([channel]);
}

/** The halves of a signature as claims have them. */
export function compact(signature: Hex): { r: Hex; vs: Hex } {
  const { r, s, yParity } = parseSignature(signature);
  return { r, vs: toHex(BigInt(s) | (BigInt(yParity) << 255n), { size: 32 }) };
}

export type VoucherDomain = { readonly chainId?: number; readonly payments?: Address };

/** A channel of a claim with a voucher of the key. */
export async function channelClaim(
  world: PaymentsWorld,
  channel: Channel,
  maxClaimableAmount: bigint,
  key: PrivateKeyAccount = payerKeyOf(1),
  domain: VoucherDomain = {},
) {
  const channelId = await world.payments.read.channelId([channel]);
  const hash = hashTypedData({
    domain: {
      name: 'x402 Batch Settlement',
      version: '1',
      chainId: domain.chainId ?? chainId,
      verifyingContract: domain.payments ?? world.payments.address,
    },
    types: {
      Voucher: [
        { name: 'channelId', type: 'bytes32' },
        { name: 'maxClaimableAmount', type: 'uint128' },
      ],
    },
    primaryType: 'Voucher',
    message: { channelId, maxClaimableAmount },
  });
  return { channel, maxClaimableAmount, ...compact(await key.sign({ hash })) };
}

export type StatementChanges = {
  readonly signer?: PrivateKeyAccount;
  readonly registry?: Address;
  readonly domain?: { readonly chainId?: number; readonly registry?: Address };
  readonly blockNumber?: bigint;
};

/** A signer's statement over channels in the order of the claim; zero totals are no part of it. */
export async function statement(
  world: PaymentsWorld,
  channels: readonly Channel[],
  totals: readonly bigint[],
  changes: StatementChanges = {},
) {
  const registry = changes.registry ?? world.workers.address;
  const blockNumber = changes.blockNumber ?? 7n;
  const ids = await Promise.all(channels.map((channel) => world.payments.read.channelId([channel])));
  const pairs = ids.flatMap((channel, index) => {
    const cumulative = totals[index] ?? 0n;
    return cumulative === 0n ? [] : [{ channel, cumulative }];
  });
  const digest = settlementStatementDigest(
    { chainId: changes.domain?.chainId ?? chainId, registry: changes.domain?.registry ?? registry },
    { pairsHash: pairsHash(pairs), block: blockNumber },
  );
  const signature = await (changes.signer ?? signerOf(1)).sign({ hash: digest });
  return { digest, claim: { registry, blockNumber, ...compact(signature), totals: packTotals(totals) } };
}

/** A receipt as a claim has it. */
export async function receiptClaim(
  world: PaymentsWorld,
  receipt: Receipt,
  signer: PrivateKeyAccount = signerOf(1),
  channelIndex = 0n,
) {
  const registry = world.workers.address;
  const digest = receiptDigest(receipt, { chainId, registry });
  const signature = await signer.sign({ hash: digest });
  return { digest, signature, claim: { channelIndex, registry, ...compact(signature), receipt } };
}

/** Anchors a tree over the digests and gives each one's proof. */
export async function anchorAll(world: PaymentsWorld, digests: readonly Hex[]) {
  const tree = merkleTree(digests.map(anchoredLeaf));
  await world.payments.write.anchor([tree.root]);
  return digests.map((_, index) => ({ root: tree.root, siblings: [...merkleProof(tree, index)] }));
}

/** Channels of the same parties in the order that claims want. */
export async function ascending(world: PaymentsWorld, channels: readonly Channel[]): Promise<Channel[]> {
  const keyed = await Promise.all(
    channels.map(async (channel) => ({ channel, id: await world.payments.read.channelId([channel]) })),
  );
  return keyed.sort((a, b) => (a.id < b.id ? -1 : 1)).map(({ channel }) => channel);
}

/** The same signature in its other form: s beyond half the order, the parity flipped. */
export function malleated({ r, vs }: { r: Hex; vs: Hex }): { r: Hex; vs: Hex } {
  const order = 0xfffffffffffffffffffffffffffffffebaaedce6af48a03bbfd25e8cd0364141n;
  const parity = BigInt(vs) >> 255n;
  const s = order - (BigInt(vs) & ((1n << 255n) - 1n));
  return { r, vs: toHex((s & ((1n << 255n) - 1n)) | ((1n - parity) << 255n), { size: 32 }) };
}

/** Another worker of an operator with its own signer. */
export async function addWorker(world: PaymentsWorld, changes: RegistrationChanges & { operator?: World['operator'] }) {
  const operator = changes.operator ?? world.operator;
  const workerId = await enroll(world, operator);
  await register(world, workerId, changes);
  return workerId;
}

export type Deposit = { readonly channel: Channel; readonly amount: bigint };

const authorization = (name: string) => ({
  [name]: [
    { name: 'from', type: 'address' },
    { name: 'to', type: 'address' },
    { name: 'value', type: 'uint256' },
    { name: 'validAfter', type: 'uint256' },
    { name: 'validBefore', type: 'uint256' },
    { name: 'nonce', type: 'bytes32' },
  ],
});

export type Authorization = {
  readonly from: Address;
  readonly to: Address;
  readonly value: bigint;
  readonly validAfter: bigint;
  readonly validBefore: bigint;
  readonly nonce: Hex;
};

/** The v, r, s of an ERC-3009 authorization of PHA. */
export async function signAuthorization(
  token: Address,
  kind: 'TransferWithAuthorization' | 'ReceiveWithAuthorization',
  message: Authorization,
  holder: PrivateKeyAccount,
) {
  const hash = hashTypedData({
    domain: { name: 'Phala', version: '1', chainId, verifyingContract: token },
    types: authorization(kind),
    primaryType: kind,
    message,
  });
  const { r, s, yParity } = parseSignature(await holder.sign({ hash }));
  return [27 + yParity, r, s] as const;
}
