import assert from 'node:assert/strict';
import { toHex } from 'viem';
import type { Connection } from '../test/support/accounts.ts';
import { receiptWith, signReceipt } from '../test/support/receipts.ts';
import { ask, day, deployStakeWorld, pha, phaShares, type StakeWorld } from '../test/support/stakeWorld.ts';
import { chainId, enroll, register, signerOf } from '../test/support/world.ts';
import type { Measure } from './measureAttestationGas.ts';

/**
 * A pool that opens; a backer's first stake in a pool that others have staked in and that has earned; its request for half of
 * it, and the claim; a worker that starts beside another; two receipts of one sequence, shown and settled, while others leave.
 */
export async function measureStakeGas(
  connection: Connection,
  measureOn: (world: StakeWorld) => Measure,
): Promise<void> {
  const world = await deployStakeWorld(connection);
  const measure = measureOn(world);
  const { pools, bonds, slashing, pool, operator, otherOperator, alice, bob, stranger } = world;
  const { provider } = connection;
  const wait = (seconds: number) => provider.request({ method: 'evm_increaseTime', params: [seconds] });
  await measure(
    'pool-create',
    await pools.write.createPool([500, pha('1000'), false], { account: otherOperator.account }),
  );
  await pools.write.addFees([pool, pha('10')], { account: stranger.account });
  await measure('stake', await pools.write.deposit([pool, pha('100'), bob.account.address], { account: bob.account }));
  await ask(world, alice, phaShares('1'));
  await measure('unstake-request', await pools.write.requestRedeem([pool, phaShares('50')], { account: bob.account }));
  const [first, second] = [await enroll(world), await enroll(world)];
  await bonds.write.start([first], { account: operator.account });
  await measure('worker-start', await bonds.write.start([second], { account: operator.account }));
  await register(world, second);
  await wait(7 * day);
  const claimed = [pool, 1n, bob.account.address] as const;
  await measure('unstake-claim', await pools.write.claimRedeem(claimed, { account: bob.account }));

  const domain = { chainId, registry: world.workers.address };
  const receipt = (output: number) => receiptWith({ sequence: 7n, outputCommitment: toHex(output, { size: 32 }) });
  const signed = (output: number) => signReceipt(receipt(output), domain, signerOf(1));
  const proof = [receipt(1), await signed(1), receipt(2), await signed(2)] as const;
  await measure('slash', await slashing.write.reportEquivocation(proof, { account: stranger.account }));
  const caseId = (await slashing.getEvents.CaseOpened())[0]?.args.caseId;
  assert(caseId !== undefined);
  await wait(4 * day);
  await measure('slash-settle', await slashing.write.settle([caseId], { account: stranger.account }));
}
