import assert from 'node:assert/strict';
import { type Abi, type Address, type Hex, toHex, zeroAddress } from 'viem';
import type { Connection } from './accounts.ts';
import { deployCommitteeWorld } from './committeeWorld.ts';
import { deployEmission } from './emission.ts';
import { deployGovernorWorld, operationOf, ordinaryAct, propose, selfDelegate } from './governorWorld.ts';
import { channelWith, deployPayments } from './payments.ts';
import { receiptWith, signReceipt } from './receipts.ts';
import { ask, deployStakeWorld, pha, phaShares, stake, startWorkers } from './stakeWorld.ts';
import { deployStorageRent, gib, storageGateway } from './storageRent.ts';
import { chainId, lastRecord, register, signerOf } from './world.ts';

export type Deployed = { readonly address: Address; readonly abi: Abi };

const someone: Address = '0x50e0000000000000000000000000000000000001';

/**
 * One of each contract, and arguments with which a function gets as far as its check of the caller, where zeros do not. Nobody among
 * `strangers` has a right anywhere; `timelocks` names the timelock of each contract that has one.
 */
export async function deployRightsWorld(connection: Connection) {
  const { viem } = connection;
  const governing = await deployGovernorWorld(connection);
  const staking = await deployStakeWorld(connection);
  const committee = await deployCommitteeWorld(connection);
  const { records, pha: emitted, emission } = await deployEmission(committee);
  const rewards = await viem.deployContract('EpochRewards', [committee.timelock.address, emission.address]);
  const paying = await deployPayments(connection);
  const { payments, borrower } = paying;
  const sponsorship = await viem.deployContract('Sponsorship', [payments.address, borrower.account.address]);
  const storing = await deployStorageRent(connection);
  // Its roles are an account's that nobody has: on a network anyone executes.
  const timelock = await viem.deployContract('TimelockController', [0n, [someone], [someone], zeroAddress]);
  const assurance = await viem.deployContract('PlatformAssurance', [staking.timelock.address, staking.workers.address]);
  const bridging = await deployRouteEnds(connection, committee);
  const appTimelock = await viem.deployContract('AppTimelock', [governing.apps.address, someone, [], 60]);
  const meter = await viem.deployContract('WorkMeter', [records.address, staking.bonds.address]);
  const contracts: Readonly<Record<string, Deployed>> = {
    AppRegistry: governing.apps,
    AppTimelock: appTimelock,
    ...bridging.contracts,
    CloisterGovernor: governing.governor,
    DepositBond: committee.bond,
    Emission: emission,
    EmittedPha: emitted,
    EpochRecords: records,
    EpochRewards: rewards,
    GatekeeperCommittee: committee.committee,
    ImageRegistry: staking.images,
    Payments: payments,
    PhaToken: staking.token,
    PlatformAssurance: assurance,
    Slashing: staking.slashing,
    Sponsorship: sponsorship,
    StakePools: governing.pools,
    StorageRent: storing.rent,
    TimelockController: timelock,
    WorkMeter: meter,
    WorkerBonds: staking.bonds,
    WorkerRegistry: staking.workers,
  };
  const timelocks: Record<string, Address> = { TimelockController: timelock.address };
  for (const [name, { address, abi }] of Object.entries(contracts))
    if (abi.some((item) => item.type === 'function' && item.name === 'timelock')) {
      const owner = await governing.publicClient.readContract({ address, abi, functionName: 'timelock', args: [] });
      timelocks[name] = owner as Address;
    }

  const args = new Map<string, readonly unknown[]>();
  await prepareApp(governing, args);
  await prepareStake(governing, args);
  await prepareProposal(governing, args);
  await prepareWorker(staking, args);
  const record = await lastRecord(staking, (args.get('WorkerRegistry.retire') as readonly Hex[])[0] ?? '0x');
  args.set('PlatformAssurance.nameOwner', [toHex(0, { size: 32 }), record, someone]);
  const deposits = [{ channel: channelWith(paying), amount: 1n }];
  args.set('Payments.deposit', [deposits]);
  args.set('Payments.requestWithdrawal', [channelWith(paying), 1n]);
  args.set('Payments.depositWithPermit', [deposits, 0n, 0, toHex(0, { size: 32 }), toHex(0, { size: 32 })]);
  const purchase = { app: toHex(0xa, { size: 32 }), gateway: storageGateway, size: gib, fromEpoch: 0, epochs: 10 };
  await storing.rent.write.prepay([[purchase], pha('1')], { account: storing.borrower.account });
  args.set('StorageRent.cancel', [[1n]]);
  args.set('RemoteCommittee.handOver', [{ ...bridging.generation, generation: 2n }, '0x', '0x']);

  const { deployer, stranger, otherOperator } = governing;
  const strangers = [
    ...[deployer, stranger, otherOperator].map(({ account }) => account.address),
    ...[governing.governor, governing.actRules, staking.slashing, emission].map(({ address }) => address),
  ];
  return { contracts, timelocks, args, strangers, governing };
}

/** A bridge, both ends of a route and a mirrored committee, all on one chain. */
async function deployRouteEnds(
  { viem }: Connection,
  { timelock, committee, token }: Awaited<ReturnType<typeof deployCommitteeWorld>>,
): Promise<{ readonly contracts: Readonly<Record<string, Deployed>>; readonly generation: object }> {
  const generation = { generation: 1n, threshold: 2, signers: [1, 2, 3].map((seed) => signerOf(seed).address) };
  const shared = { timelock: timelock.address, guardian: someone } as const;
  const bridge = await viem.deployContract('Bridge', [
    { ...shared, peerChain: 1n, peerBridge: someone, committee: committee.address, lifetime: 86_400n },
  ]);
  const route = { ...shared, bridge: bridge.address, peerRoute: someone, limits: { window: 0n, large: 0n } };
  const remoteRoute = await viem.deployContract('RemotePhaRoute', [route]);
  const contracts = {
    Bridge: bridge,
    HomePhaRoute: await viem.deployContract('HomePhaRoute', [route, token.address]),
    RemotePhaRoute: remoteRoute,
    RemotePha: await viem.getContractAt('RemotePha', await remoteRoute.read.token()),
    RemoteCommittee: await viem.deployContract('RemoteCommittee', [timelock.address, someone, 90_000n, generation]),
  };
  return { contracts, generation };
}

type Prepared = Map<string, readonly unknown[]>;
type Governing = Awaited<ReturnType<typeof deployGovernorWorld>>;

async function prepareApp({ apps, owner }: Governing, args: Prepared): Promise<void> {
  const fields = {
    upgradeNoticeSeconds: 3600,
    keyVersion: 1,
    minKeyVersion: 1,
    kind: 0,
    imagePolicy: 0,
    replicas: 1,
    stateful: false,
    vetoer: someone,
  };
  const manifest = toHex(0xa1, { size: 32 });
  await apps.write.create([toHex(1, { size: 32 }), manifest, fields], { account: owner.account });
  const app = (await apps.getEvents.AppCreated())[0]?.args.app;
  assert(app !== undefined);
  await apps.write.publish([app, toHex(0xa2, { size: 32 }), fields], { account: owner.account });
  args.set('AppRegistry.acceptOwnership', [app]);
  args.set('AppRegistry.publish', [app, manifest, fields]);
  args.set('AppRegistry.raiseKeyVersions', [app, 2, 2]);
  args.set('AppRegistry.transferOwnership', [app, someone]);
  for (const name of ['pinImage', 'unpinImage', 'setSecrets']) args.set(`AppRegistry.${name}`, [app, manifest]);
  for (const name of ['veto', 'withdraw']) args.set(`AppRegistry.${name}`, [app, 2]);
}

async function prepareStake(world: Governing, args: Prepared): Promise<void> {
  const { bonds, pool, alice } = world;
  await stake(world, alice, '100');
  const requestId = await ask(world, alice, phaShares('10'));
  await bonds.write.reserve([pool, pha('10')]);
  await bonds.write.seize([pool, pha('10')]);
  args.set('StakePools.claimRedeem', [pool, requestId, alice.account.address]);
  for (const name of ['settle', 'restore']) args.set(`StakePools.${name}`, [0n]);
}

async function prepareProposal(world: Governing, args: Prepared): Promise<void> {
  await selfDelegate(world, world.bob);
  args.set('CloisterGovernor.cancel', operationOf(await propose(world, [ordinaryAct(world)], world.bob)));
}

/** Two workers that run with bonds, and a case of two receipts against the first, which stops it. */
async function prepareWorker(world: Awaited<ReturnType<typeof deployStakeWorld>>, args: Prepared): Promise<void> {
  const { slashing, workers, owner } = world;
  const [workerId, other] = await startWorkers(world, 2);
  assert(workerId !== undefined && other !== undefined);
  args.set('WorkerRegistry.retire', [workerId]);
  args.set('WorkerBonds.stop', [other]);
  await register(world, workerId);
  const receipt = (output: number) => receiptWith({ sequence: 7n, outputCommitment: toHex(output, { size: 32 }) });
  const domain = { chainId, registry: workers.address };
  const signed = (output: number) => signReceipt(receipt(output), domain, signerOf(1));
  await slashing.write.reportEquivocation([receipt(1), await signed(1), receipt(2), await signed(2)], {
    account: owner.account,
  });
  const caseId = (await slashing.getEvents.CaseOpened())[0]?.args.caseId;
  assert(caseId !== undefined);
  args.set('Slashing.veto', [caseId]);
}
