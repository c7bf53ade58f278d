import {
  type Address,
  concatHex,
  encodeAbiParameters,
  encodePacked,
  type Hex,
  hashTypedData,
  keccak256,
  parseEther,
  toHex,
  zeroHash,
} from 'viem';
import type { Connection } from './accounts.ts';
import { type Claims, encodeClaims } from './evidence.ts';
import { chainId, deployWorld, signerOf, someClaims, teePolicy, teeTdx } from './world.ts';

export type CommitteeWorld = Awaited<ReturnType<typeof deployCommitteeWorld>>;

export const endpoint = 'https://gatekeeper.example';
export const appsPublicKey = `0x97${'aa'.repeat(47)}` as const;
export const beaconPublicKey = `0xb7${'bb'.repeat(47)}` as const;
export const networkKeysHash = keccak256(
  encodeAbiParameters([{ type: 'bytes' }, { type: 'bytes' }], [appsPublicKey, beaconPublicKey]),
);
export const hpkeKeyOf = (seed: number): Hex => toHex(0x4b0000 + seed, { size: 32 });

export type CommitteeChanges = { readonly diversityWaived?: boolean; readonly simulatedAllowed?: boolean };

/** A committee with `count` eligible operators and threshold `threshold`; nobody registered, nothing bonded. */
export async function deployCommitteeWorld(
  connection: Connection,
  count = 4,
  threshold = 3,
  changes: CommitteeChanges = {},
) {
  const world = await deployWorld(connection);
  const { viem, timelock, images, workers, verifier, deployer, govern } = world;
  const wallets = (await viem.getWalletClients()).slice(-count);
  const operators = [...wallets].sort((left, right) =>
    left.account.address.toLowerCase() < right.account.address.toLowerCase() ? -1 : 1,
  );
  const token = await viem.deployContract('PhaToken', [[deployer.account.address], [parseEther('1000000')]]);
  const bond = await viem.deployContract('DepositBond', [timelock.address, token.address, 14n * 86_400n]);
  const committee = await viem.deployContract('GatekeeperCommittee', [
    {
      timelock: timelock.address,
      imageRegistry: images.address,
      workerRegistry: workers.address,
      maxAttestedBlockAge: 300,
      simulatedAllowed: changes.simulatedAllowed ?? true,
      diversityWaived: changes.diversityWaived ?? true,
    },
  ]);
  await govern(committee, 'setTeePolicy', [teeTdx, teePolicy(verifier.address)]);
  await govern(committee, 'setThreshold', [threshold]);
  for (const { account } of operators) await govern(committee, 'setEligible', [account.address, true]);
  return { ...world, committee, token, bond, operators };
}

export type JoinChanges = {
  readonly seed?: number;
  readonly signer?: Address;
  readonly hpkeKey?: Hex;
  readonly boundHpkeKey?: Hex;
  readonly boundCommittee?: Address;
  readonly boundOperator?: Address;
  readonly networkKeysHash?: Hex;
  readonly endpoint?: string;
  readonly blockHash?: Hex;
  readonly attestedBlock?: bigint;
  readonly teeType?: number;
  readonly claims?: Partial<Claims>;
};

/** The first half of a gatekeeper's report_data. */
export function gatekeeperBinding(
  committee: Address,
  operator: Address,
  signer: Address,
  hpkeKey: Hex,
  keysHash: Hex,
): Hex {
  const enclave = keccak256(encodeAbiParameters([{ type: 'address' }, { type: 'bytes32' }], [signer, hpkeKey]));
  return keccak256(
    encodeAbiParameters(
      [
        { type: 'string' },
        { type: 'uint256' },
        { type: 'address' },
        { type: 'address' },
        { type: 'bytes32' },
        { type: 'bytes32' },
      ],
      ['cloister/gatekeeper: v1', BigInt(chainId), committee, operator, enclave, keysHash],
    ),
  );
}

/** The arguments of register for evidence that holds, but for the changes. Member `index` has seed `index` unless said. */
export async function joining(world: CommitteeWorld, index: number, changes: JoinChanges = {}) {
  const { committee, publicClient } = world;
  const seed = changes.seed ?? index + 1;
  const signer = changes.signer ?? signerOf(seed).address;
  const hpkeKey = changes.hpkeKey ?? hpkeKeyOf(seed);
  const block = await publicClient.getBlock(
    changes.attestedBlock === undefined ? {} : { blockNumber: changes.attestedBlock },
  );
  const reportDataHead = gatekeeperBinding(
    changes.boundCommittee ?? committee.address,
    changes.boundOperator ?? (world.operators[index]?.account.address as Address),
    signer,
    changes.boundHpkeKey ?? hpkeKey,
    changes.networkKeysHash ?? (await committee.read.networkKeysHash()),
  );
  const claims = {
    ...someClaims,
    evidenceHash: toHex(0xe000 + seed, { size: 32 }),
    platformId: toHex(0xb0000 + index, { size: 32 }),
    reportDataHead,
    reportDataTail: changes.blockHash ?? block.hash ?? zeroHash,
    ...changes.claims,
  };
  return [
    signer,
    hpkeKey,
    changes.endpoint ?? endpoint,
    block.number ?? 0n,
    changes.teeType ?? teeTdx,
    encodeClaims(claims),
  ] as const;
}

export async function join(world: CommitteeWorld, index: number, changes: JoinChanges = {}): Promise<Hex> {
  const account = world.operators[index]?.account;
  return world.committee.write.register(await joining(world, index, changes), { account });
}

/** All operators join, each with its own enclave. */
export async function joinAll(world: CommitteeWorld): Promise<void> {
  for (const index of world.operators.keys()) await join(world, index);
}

export type HandoverChanges = {
  readonly generation?: bigint;
  readonly threshold?: number;
  readonly membersHash?: Hex;
  readonly dealers?: number;
  readonly appsPublicKey?: Hex;
  readonly beaconPublicKey?: Hex;
  /** Seeds of the old members that sign, by their indices; default: the first `threshold`. */
  readonly oldSigners?: Readonly<Record<number, number>>;
  readonly newSigners?: Readonly<Record<number, number>>;
};

const handoverTypes = {
  Handover: [
    { name: 'generation', type: 'uint64' },
    { name: 'threshold', type: 'uint8' },
    { name: 'membersHash', type: 'bytes32' },
    { name: 'dealers', type: 'uint32' },
    { name: 'transcriptHash', type: 'bytes32' },
    { name: 'publicSharesHash', type: 'bytes32' },
    { name: 'networkKeysHash', type: 'bytes32' },
  ],
} as const;

/** The arguments of handOver for the committee as it is, but for the changes. */
export async function handing(world: CommitteeWorld, changes: HandoverChanges = {}) {
  const { committee, workers } = world;
  const current = await committee.read.generation();
  const [operators, signers, hpkeKeys, threshold] = await committee.read.nextMembers();
  const record = {
    generation: changes.generation ?? current.number + 1n,
    threshold: changes.threshold ?? threshold,
    membersHash:
      changes.membersHash ??
      keccak256(
        encodeAbiParameters(
          [{ type: 'address[]' }, { type: 'address[]' }, { type: 'bytes32[]' }],
          [operators, signers, hpkeKeys],
        ),
      ),
    dealers: changes.dealers ?? (1 << Math.max(threshold, current.threshold)) - 1,
    transcriptHash: toHex(0x7a, { size: 32 }),
    publicSharesHash: toHex(0x5a + Number(current.number), { size: 32 }),
    appsPublicKey: changes.appsPublicKey ?? appsPublicKey,
    beaconPublicKey: changes.beaconPublicKey ?? beaconPublicKey,
  };
  const keysHash = keccak256(
    encodeAbiParameters([{ type: 'bytes' }, { type: 'bytes' }], [record.appsPublicKey, record.beaconPublicKey]),
  );
  const digest = hashTypedData({
    domain: { name: 'Cloister', version: '1', chainId, verifyingContract: workers.address },
    types: handoverTypes,
    primaryType: 'Handover',
    message: { ...record, networkKeysHash: keysHash },
  });
  const firstOf = (count: number) =>
    Object.fromEntries(Array.from({ length: count }, (_, index) => [index, index + 1]));
  const previousProof =
    current.number === 0n ? '0x' : await proofOf(digest, changes.oldSigners ?? firstOf(current.threshold));
  const heldProof = await proofOf(digest, changes.newSigners ?? firstOf(threshold));
  return { record, digest, arguments: [record, previousProof, heldProof] as const };
}

export async function handOver(world: CommitteeWorld, changes: HandoverChanges = {}): Promise<Hex> {
  return world.committee.write.handOver((await handing(world, changes)).arguments);
}

/** A proof over a digest: for each member index the seed of who signs there. */
export async function proofOf(digest: Hex, signers: Readonly<Record<number, number>>): Promise<Hex> {
  const indices = Object.keys(signers)
    .map(Number)
    .sort((left, right) => left - right);
  const bitmap = indices.reduce((mask, index) => mask | (1 << index), 0) >>> 0;
  const signatures = await Promise.all(
    indices.map((index) => signerOf(signers[index] as number).sign({ hash: digest })),
  );
  return concatHex([encodePacked(['uint32'], [bitmap]), ...signatures]);
}

/** The record of a gatekeeper's last registration, from its event. */
export async function lastGatekeeper(world: CommitteeWorld, operator: Address) {
  const events = await world.committee.getEvents.GatekeeperRegistered({ operator }, { fromBlock: 0n });
  const record = events.at(-1)?.args.record;
  if (record === undefined) throw new Error(`Expected a GatekeeperRegistered event of "${operator}"`);
  return record;
}
