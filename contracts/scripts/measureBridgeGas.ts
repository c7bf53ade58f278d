import assert from 'node:assert/strict';
import { parseEther } from 'viem';
import type { Connection } from '../test/support/accounts.ts';
import {
  type BridgeWorld,
  deliver,
  deployBridgeWorld,
  type Side,
  sendPha,
  signed,
} from '../test/support/bridgeWorld.ts';
import { proofOf } from '../test/support/committeeWorld.ts';
import { signerOf } from '../test/support/world.ts';
import type { Measure } from './measureAttestationGas.ts';

type MeasureOn = (side: Side) => Measure;

/**
 * PHA out and, with three signatures, in on the other chain and back at home; a handover of four on the other chain. Each act
 * is a later one of its kind for its holder: the first writes what later ones only overwrite.
 */
export async function measureBridgeGas(home: Connection, remote: Connection, measureOn: MeasureOn): Promise<void> {
  const world = await deployBridgeWorld(home, remote);
  for (let count = 0; count < 3; count++) await transfers(world, world.home, world.remote);
  await transfers(world, world.remote, world.home);
  const out = await transfers(world, world.home, world.remote);
  await measureOn(world.home)('bridge-out', out.outHash);
  await measureOn(world.remote)('bridge-in-t3', out.inHash);
  const back = await transfers(world, world.remote, world.home);
  await measureOn(world.home)('bridge-return-t3', back.inHash);
  const { committee } = world.remote;
  const next = { generation: 2n, threshold: 3, signers: [11, 12, 13, 14].map((seed) => signerOf(seed).address) };
  const digest = await committee.read.handoverDigest([next]);
  const held = await proofOf(digest, { 0: 11, 1: 12, 2: 13 });
  await measureOn(world.remote)(
    'remote-handover-4',
    await committee.write.handOver([next, await signed(world, digest), held]),
  );
}

/** The same with five signatures of seven members. */
export async function measureLargerBridgeGas(
  home: Connection,
  remote: Connection,
  measureOn: MeasureOn,
): Promise<void> {
  const world = await deployBridgeWorld(home, remote, 7, 5);
  await transfers(world, world.home, world.remote);
  await measureOn(world.remote)('bridge-in-t5', (await transfers(world, world.home, world.remote)).inHash);
}

async function transfers(world: BridgeWorld, from: Side, to: Side) {
  const envelope = await sendPha(from, parseEther('10'));
  const inHash = await deliver(world, to, envelope);
  assert.equal((await to.bridge.read.arrivalOf([envelope.id])).status, 1);
  return { outHash: envelope.hash, inHash };
}
