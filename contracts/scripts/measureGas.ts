import type { network } from 'hardhat';
import { type Hex, keccak256, stringToHex, toHex, zeroAddress, zeroHash } from 'viem';
import { deployAttestationWorld } from '../test/support/attestationWorld.ts';
import { remoteChainId } from '../test/support/bridgeWorld.ts';
import { defaultImageId } from '../test/support/evidence.ts';
import { commitment, contextOf, decisionBody, receiptWith, signReceipt, subjectOf } from '../test/support/receipts.ts';
import { recordedAt } from '../test/support/recordedPlatform.ts';
import { chainId, farFuture, lastRecord, signerOf } from '../test/support/world.ts';
import { measureAttestationGas } from './measureAttestationGas.ts';
import { measureBridgeGas, measureLargerBridgeGas } from './measureBridgeGas.ts';
import { measureCommitteeGas, measureLargerCommitteeGas } from './measureCommitteeGas.ts';
import { measureGovernorGas } from './measureGovernorGas.ts';
import { measurePaymentsGas } from './measurePaymentsGas.ts';
import { measureRewardGas } from './measureRewardGas.ts';
import { measureStakeGas } from './measureStakeGas.ts';
import { measureStorageGas } from './measureStorageGas.ts';

type Network = typeof network;
export type GasTable = Readonly<Record<string, number>>;

/**
 * Gas of whole transactions, as `gasUsed` says. Time, keys and so all bytes are fixed: the same sources give the same
 * values everywhere.
 */
export async function measureGas(create: Network['create']): Promise<GasTable> {
  const connect = async (chain = chainId) => {
    const connection = await create({ override: { initialDate: new Date(recordedAt * 1000), chainId: chain } });
    tickPerTransaction(connection);
    return connection;
  };
  const connection = await connect();
  const world = await deployAttestationWorld(connection);
  const { viem, publicClient, apps, images, workers, owner, borrower, stranger } = world;
  const gas: Record<string, number> = {};
  const measureOn =
    ({ publicClient: client }: Pick<typeof world, 'publicClient'>) =>
    async (id: string, hash: Hex) => {
      gas[id] = Number((await client.getTransactionReceipt({ hash })).gasUsed);
      return hash;
    };
  const measure = measureOn(world);

  const holders = [owner.account.address, borrower.account.address];
  await viem.deployContract('PhaToken', [holders, holders.map(() => 10n ** 24n)]);
  gas['deploy-all'] = await deploymentGas(publicClient);

  const salt = toHex(1, { size: 32 });
  const manifest = toHex(0xa1, { size: 32 });
  const fields = {
    upgradeNoticeSeconds: 0,
    keyVersion: 1,
    minKeyVersion: 1,
    kind: 0,
    imagePolicy: 0,
    replicas: 2,
    stateful: false,
    vetoer: zeroAddress,
  };
  await measure('app-create', await apps.write.create([salt, manifest, fields], { account: owner.account }));
  const app = (await apps.getEvents.AppCreated())[0]?.args.app ?? zeroHash;
  await measure(
    'app-publish',
    await apps.write.publish([app, toHex(0xa2, { size: 32 }), fields], { account: owner.account }),
  );
  await apps.write.publish([app, manifest, fields], { account: owner.account });
  await measure(
    'secrets-set',
    await apps.write.setSecrets([app, toHex(0x5e, { size: 32 })], { account: owner.account }),
  );

  await measure('app-key-versions-raise', await apps.write.raiseKeyVersions([app, 2, 2], { account: owner.account }));

  const recipe = {
    hash: toHex(0x4e, { size: 32 }),
    uri: 'ipfs://bafkreigh2akiscaildcqabsyg3dfr6chu3fgpregiymsck7e7aqa4s52zy',
  };
  await measure(
    'image-allow',
    await world.govern(images, 'allow', [toHex(0x1a, { size: 32 }), 0n, farFuture, 'worker 2', recipe]),
  );
  await measureAttestationGas(world, measure);

  const policy = { workerRegistry: workers.address, appRegistry: apps.address, app, maxAgeBlocks: 100n, manifests: [] };
  const consumer = await viem.deployContract('ConsumerHarness', [policy]);
  const credit = await viem.deployContract('CreditLine', [policy]);
  const purpose = keccak256(stringToHex('cloister-credit-line/open'));
  const body = decisionBody(borrower.account.address, 1n, 2500n);
  const signed = async (address: Hex) => {
    const block = await publicClient.getBlock();
    const receipt = receiptWith({
      app,
      manifest,
      context: contextOf(chainId, address, subjectOf(borrower.account.address), purpose, 1n),
      outputCommitment: commitment(salt, body),
      blockNumber: block.number,
      blockHash: block.hash,
    });
    return [receipt, await signReceipt(receipt, { chainId, registry: workers.address }, signerOf(1))] as const;
  };
  const { account } = borrower;
  await measure(
    'receipt-verify',
    await consumer.write.consume([...(await signed(consumer.address)), purpose, 1n, salt, body], { account }),
  );
  await measure(
    'credit-line-open',
    await credit.write.open([...(await signed(credit.address)), 1n, salt, body], { account }),
  );

  const id = await workers.read.workerIdOf([world.operator.account.address, 0n]);
  const record = await lastRecord(world, id);
  await world.govern(images, 'revoke', [defaultImageId]);
  await measure('evict', await workers.write.evict([id, record], { account: stranger.account }));
  await connection.close();

  for (const measureCommittee of [measureCommitteeGas, measureLargerCommitteeGas]) {
    const another = await connect();
    await measureCommittee(another, measureOn);
    await another.close();
  }
  for (const measureBridge of [measureBridgeGas, measureLargerBridgeGas]) {
    const [home, remote] = [await connect(), await connect(remoteChainId)];
    await measureBridge(home, remote, measureOn);
    await home.close();
    await remote.close();
  }
  const staking = await connect();
  await measureStakeGas(staking, measureOn);
  await staking.close();
  const rewarding = await connect();
  await measureRewardGas(rewarding, measureOn);
  await rewarding.close();
  const paying = await connect();
  await measurePaymentsGas(paying, measureOn);
  await paying.close();
  gas['reward-claim-per-pool-64'] = Math.ceil((gas['reward-claim-64'] ?? 0) / 64);
  const storing = await connect();
  await measureStorageGas(storing, measureOn);
  await storing.close();
  const governing = await connect();
  await measureGovernorGas(governing, measureOn);
  await governing.close();
  gas['voucher-claim-per-channel-64'] = Math.ceil((gas['voucher-claim-64'] ?? 0) / 64);
  return gas;
}

/** Every transaction one second after the one before, whatever the machine's clock says; evm_increaseTime lets the next one wait. */
function tickPerTransaction({ provider }: Awaited<ReturnType<Network['create']>>): void {
  const request = provider.request.bind(provider);
  let timestamp = recordedAt;
  provider.request = async (call) => {
    if (call.method === 'evm_increaseTime') {
      timestamp += Number((call.params as readonly number[])[0]);
      return timestamp;
    }
    if (call.method === 'eth_sendTransaction') {
      timestamp += 1;
      await request({ method: 'evm_setNextBlockTimestamp', params: [timestamp] });
    }
    return request(call);
  };
}

/** Gas of every contract creation so far. */
async function deploymentGas(
  publicClient: Awaited<ReturnType<typeof deployAttestationWorld>>['publicClient'],
): Promise<number> {
  let total = 0n;
  const head = await publicClient.getBlockNumber();
  for (let number = 1n; number <= head; number += 1n) {
    const { transactions } = await publicClient.getBlock({ blockNumber: number, includeTransactions: true });
    for (const { hash, to } of transactions)
      if (to === null) total += (await publicClient.getTransactionReceipt({ hash })).gasUsed;
  }
  return Number(total);
}
