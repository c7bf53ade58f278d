import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { network } from 'hardhat';
import { encodeFunctionData, zeroAddress } from 'viem';
import { platformKey, tcb } from '../support/evidence.ts';
import { refused } from '../support/refused.ts';
import { deployWorld, enroll, farFuture, lastRecord, register, signerOf } from '../support/world.ts';

const connection = await network.create();
const { networkHelpers, viem } = connection;
const load = () => networkHelpers.loadFixture(withBatch);

async function withBatch() {
  const world = await deployWorld(connection);
  const id = await enroll(world);
  await register(world, id);
  const { workers, verifier } = world;
  const record = await lastRecord(world, id);
  const downgrade = (tcbStatus: number) => ({
    target: verifier.address,
    data: encodeFunctionData({
      abi: verifier.abi,
      functionName: 'script',
      args: [platformKey, { tcbStatus, tcbEvaluationDataNumber: 18, validUntil: farFuture }],
    }),
  });
  const evict = {
    target: workers.address,
    data: encodeFunctionData({ abi: workers.abi, functionName: 'evict', args: [id, record] }),
  };
  return { ...world, id, downgrade, evict, batch: await viem.deployContract('Batch', []) };
}

describe('Batch', () => {
  it('brings a downgrade and the eviction that follows into one transaction', async () => {
    const { batch, workers, downgrade, evict, id, stranger } = await load();
    await batch.write.execute([[downgrade(tcb.outOfDate), evict]], { account: stranger.account });
    assert.deepEqual(await workers.read.isActiveSigner([signerOf(1).address]), [false, id]);
  });

  it('does all or nothing, and passes the refusal on by its name', async () => {
    const { batch, workers, verifier, downgrade, evict, id } = await load();
    await refused(batch.write.execute([[downgrade(tcb.upToDate), evict]]), 'WorkerRegistryNoCause', [id]);
    assert.equal((await verifier.read.recheck([platformKey, platformKey]))[1], 17, 'the first call left nothing');
    assert.deepEqual(await workers.read.isActiveSigner([signerOf(1).address]), [true, id]);
    await batch.write.execute([[]]);
  });

  it('names the call that fails without an error of its own, or that goes nowhere', async () => {
    const { batch, workers, downgrade, stranger } = await load();
    const first = downgrade(tcb.upToDate);
    const dumb = { target: workers.address, data: '0x12345678' } as const;
    await refused(batch.write.execute([[first, dumb]]), 'BatchCallFailed', [1, workers.address]);
    for (const target of [zeroAddress, stranger.account.address])
      await refused(batch.write.execute([[{ target, data: '0x' }]]), 'BatchTargetWithoutCode', [0, target]);
  });
});
