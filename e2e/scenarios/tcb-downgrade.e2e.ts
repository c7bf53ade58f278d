import assert from 'node:assert/strict';
import fs from 'node:fs';
import path from 'node:path';
import { collateralSubmissions } from '@cloister/attestation/onchain';
import {
  loadSimulatedRoot,
  type MintCollateralOptions,
  mintCollateral,
  openSimulatedPlatform,
} from '@cloister/attestation/unsafe-simulated';
import { collateralStoreAbi, type GovernedCall, intelContractsOf } from '@cloister/chain';
import { type Address, announcementToJson, teeTypes } from '@cloister/core';
import { toHex } from '@cloister/crypto';
import type { VerifiedWorker } from '@cloister/sdk';
import { encodeFunctionData } from 'viem';
import type { RunningDevnet } from '../devnet.ts';
import type { Scenario } from '../scenario.ts';
import { spareOperator } from '../support/accounts.ts';
import { clientOf, deployFunction, handler } from '../support/apps.ts';
import { ChainControl } from '../support/chainControl.ts';
import { HostileGateway, jsonAnswer, type Relayed } from '../support/hostileGateway.ts';
import { refusedByContract, refusedWith, refusedWorker } from '../support/refusals.ts';
import { until } from '../support/until.ts';

export const scenario: Scenario = {
  title:
    'A revoked platform and a TCB downgrade, each submitted with the eviction in one transaction, end the workers they hit; no client seals to them whatever the gateway says',
  needs: 'own-network',
  onlyLong: true,
  async run({ startNetwork, note, signal }) {
    const network = await startNetwork({ args: ['--workers', '2'] });
    const control = new ChainControl(network);
    const anyone = spareOperator(network);
    const { app } = await deployFunction(network, 'downgraded-hello', handler("return new Response('hello')"));
    const client = clientOf(network);
    const store = await collateralStoreOf(network);
    const [first, second] = await workersByPlatform(network);
    assert.ok(first !== undefined && second !== undefined, 'two workers on two platforms');

    note('the platform of one worker is revoked: nobody could evict it before, anyone can in the same transaction');
    await refusedByContract('WorkerRegistryNoCause', control.evict(first.workerId, anyone));
    const { serial } = (await openSimulatedPlatform(devTee(network), 'platform-0')).pck;
    const revocation = await submissionCall(network, store, 'pck-crl', { revokedPcks: [serial] });
    await refusedByContract(
      'WorkerRegistryNoCause',
      control.batch(anyone, revocation, await control.evictCall(second.workerId)),
    );
    await control.batch(anyone, revocation, await control.evictCall(first.workerId));
    assert.equal((await client.registry.workerStatus(first.workerId)).state, 'evicted');
    await notSealedTo(network, first, app);

    note('its process cannot register again; the worker on the other platform goes on');
    await refusedInLog(network, 'worker-0', 'QuoteVerifierRevoked', signal);
    const answer = await clientOf(network).call(app, {});
    assert.equal(answer.worker.workerId, second.workerId);

    note('TCB info says that the level of all these platforms is out of date');
    const downgrade = await submissionCall(network, store, 'tcb-info', {
      editTcbInfo: (tcbInfo) => ({
        ...tcbInfo,
        tcbEvaluationDataNumber: 21,
        tcbLevels: (tcbInfo.tcbLevels as readonly object[]).map((level) => ({
          ...level,
          tcbStatus: 'OutOfDate',
          advisoryIDs: ['DEV-SA-00004'],
        })),
      }),
    });
    await control.batch(anyone, downgrade, await control.evictCall(second.workerId));
    assert.equal((await client.registry.workerStatus(second.workerId)).state, 'evicted');
    await notSealedTo(network, second, app);
    await refusedWith('CALL_NO_WORKER', clientOf(network).call(app, {}));
    await refusedInLog(network, 'worker-1', 'WorkerRegistryTcbNotAccepted', signal);

    note('what Intel said before does not come back');
    const before = await submissionCall(network, store, 'tcb-info', { issuedAt: nowSeconds() - 10 });
    await refusedByContract('CollateralStoreEvaluationLowered', control.batch(anyone, before));
    const older = await submissionCall(network, store, 'pck-crl', { issuedAt: nowSeconds() - 86_400 });
    await refusedByContract('CollateralStoreNotNewer', control.batch(anyone, older));
  },
};

const devTee = (network: RunningDevnet) => path.join(network.data, 'unsafe-dev-tee');
const nowSeconds = () => Math.floor(Date.now() / 1000);

async function collateralStoreOf(network: RunningDevnet): Promise<Address> {
  const { registry } = clientOf(network);
  const policy = await registry.teePolicy(teeTypes.tdx);
  assert.ok(policy !== undefined, 'TDX workers can register');
  return (await intelContractsOf(registry.view, policy.verifier)).collateralStore;
}

/** The call that brings one part of collateral, signed by the network's DEV root, to the chain. */
async function submissionCall(
  network: RunningDevnet,
  store: Address,
  what: 'pck-crl' | 'tcb-info',
  options: Partial<MintCollateralOptions>,
): Promise<GovernedCall> {
  const root = await loadSimulatedRoot(devTee(network));
  const collateral = mintCollateral(root, { issuedAt: nowSeconds() - 60, ...options });
  const submission = collateralSubmissions(collateral).find((one) => one.what === what);
  assert.ok(submission !== undefined, `a submission of ${what}`);
  const data =
    'der' in submission
      ? encodeFunctionData({ abi: collateralStoreAbi, functionName: 'submitPckCrl', args: [submission.der] })
      : encodeFunctionData({
          abi: collateralStoreAbi,
          functionName: 'submitTcbInfo',
          args: [submission.json, submission.r, submission.s],
        });
  return { target: store, data };
}

/** The verified workers, those of platform-0 first. */
async function workersByPlatform(network: RunningDevnet): Promise<readonly VerifiedWorker[]> {
  const ppid = toHex((await openSimulatedPlatform(devTee(network), 'platform-0')).tcb.ppid);
  const verified = (await clientOf(network).workers()).flatMap((worker) => worker.verified ?? []);
  return verified.toSorted(
    (left, right) => Number(right.claims.platformId === ppid) - Number(left.claims.platformId === ppid),
  );
}

/** That a worker's process, started again by the launcher, was refused by the contract for this reason. */
async function refusedInLog(network: RunningDevnet, name: string, errorName: string, signal: AbortSignal) {
  const log = path.join(network.data, 'logs', `${name}.log`);
  await until(`${name} is refused by ${errorName}`, () => fs.readFileSync(log, 'utf8').includes(errorName), { signal });
}

/** That a gateway which goes on offering the worker, as it announced itself, gets nothing sealed to it. */
async function notSealedTo(network: RunningDevnet, worker: VerifiedWorker, app: `0x${string}`): Promise<void> {
  const gateway = await HostileGateway.start(network.network.gateways[0] ?? '');
  try {
    const entry = { workerId: worker.workerId, announcement: announcementToJson(worker.announcement) };
    const offer = (asked: Relayed) => (asked.path === '/v1/workers' ? jsonAnswer([entry]) : asked);
    await gateway.during({ request: offer }, async () => {
      const misled = clientOf(network, { gateways: [gateway.url] });
      const [listed] = await misled.workers();
      await refusedWorker('WORKER_NOT_REGISTERED', 'registered', Promise.reject(listed?.refusal));
      await refusedWith('CALL_NO_WORKER', misled.call(app, {}));
      assert.equal(gateway.sealed.length, 0, 'something was sealed and sent');
    });
  } finally {
    await gateway.stop();
  }
}
