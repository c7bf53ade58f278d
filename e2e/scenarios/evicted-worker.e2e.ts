import assert from 'node:assert/strict';
import { allowImageCall, revokeImageCall } from '@cloister/chain';
import { announcementToJson } from '@cloister/core';
import type { Scenario } from '../scenario.ts';
import { accountsOf, spareOperator } from '../support/accounts.ts';
import { clientOf } from '../support/apps.ts';
import { ChainControl } from '../support/chainControl.ts';
import {
  CreditLine,
  conspicuousFile,
  creditRequest,
  deployCreditScore,
  newBorrower,
  newNonce,
} from '../support/creditScore.ts';
import { HostileGateway, jsonAnswer, problemAnswer, type Relayed } from '../support/hostileGateway.ts';
import { LyingRpc } from '../support/lyingRpc.ts';
import { verifiedWorker } from '../support/rawCalls.ts';
import { refusedByContract, refusedWith, refusedWorker } from '../support/refusals.ts';
import { until } from '../support/until.ts';

export const scenario: Scenario = {
  title:
    'Anyone evicts a worker whose image is taken back; clients, contracts and old announcements then hold nothing of it',
  needs: 'own-network',
  onlyLong: true,
  async run({ startNetwork, note, signal }) {
    const network = await startNetwork({ args: ['--workers', '1'] });
    const control = new ChainControl(network);
    const { imageRegistry } = network.network.contracts;
    const { issuer, deployed } = await deployCreditScore(network, 'evicted-credit-score');
    const { app, manifestId } = deployed;
    const line = await CreditLine.deploy(network, { app, manifests: [manifestId], maxAgeBlocks: 10_000n });
    const borrower = await newBorrower(network);
    const request = creditRequest(await issuer.sign(conspicuousFile(borrower.address)), '/decision');
    const nonce = newNonce();
    const context = line.contextFor(borrower.address, nonce);
    const [url = ''] = network.network.gateways;
    const gateway = await HostileGateway.start(url);
    const rpc = await LyingRpc.start(network.network.rpcs[0] ?? '');
    try {
      const client = clientOf(network);
      const before = await verifiedWorker(client);
      const cutOff = clientOf(network, { gateways: [gateway.url], rpcs: [rpc.url] });
      assert.equal((await cutOff.call(app, request)).outcome, 'ok');
      const answer = await client.call(app, request, { context });
      const proof = client.proof(answer, { answer: true });
      assert.equal((await client.verify(proof)).ok, true);
      const { imageId } = before.claims;

      note('nobody is evicted without cause');
      await refusedByContract('WorkerRegistryNoCause', control.evict(before.workerId, spareOperator(network)));

      note('the image is taken back: clients refuse at once, before any eviction');
      await control.govern(revokeImageCall(imageRegistry, imageId));
      await gateway.during({}, async () => {
        const [listed] = await clientOf(network, { gateways: [gateway.url] }).workers();
        await refusedWorker('WORKER_IMAGE_NOT_ALLOWED', 'image', Promise.reject(listed?.refusal));
        await refusedWith('CALL_NO_WORKER', clientOf(network, { gateways: [gateway.url] }).call(app, request));
        assert.equal(gateway.sealed.length, 0, 'something was sealed and sent');
      });

      note('anyone evicts it, once');
      await control.evict(before.workerId, accountsOf(network).developer);
      await refusedByContract('WorkerRegistryNoLease', control.evict(before.workerId, spareOperator(network)));
      assert.equal((await client.registry.workerStatus(before.workerId)).state, 'evicted');
      await refusedByContract('CloisterConsumerSignerNotActive', line.open(borrower, answer, nonce));
      const disproved = await clientOf(network).verify(proof);
      assert.deepEqual([disproved.ok, disproved.steps.at(-1)?.id], [false, 'registered']);

      const entry = { workerId: before.workerId, announcement: announcementToJson(before.announcement) };
      const offerOld = (asked: Relayed) => (asked.path === '/v1/workers' ? jsonAnswer([entry]) : asked);

      note('the committee says so, and a client whose RPC is away seals nothing to it');
      const absence = async () =>
        ((await (await fetch(`${url}/v1/statements/${before.receiptSigner}`)).json()) as { absence: unknown }).absence;
      await until('the statement of a round names the signer', async () => (await absence()) === null, {
        signal,
        withinMs: 60_000,
        everyMs: 500,
      });
      await rpc.stop();
      const loseCalls = (asked: Relayed) => (asked.method === 'POST' ? problemAnswer(502) : offerOld(asked));
      await gateway.during({ request: loseCalls }, async () => {
        await refusedWith('CHAIN_UNREACHABLE', cutOff.call(app, request));
        assert.equal(
          gateway.sealed.length,
          1,
          'it looked again after the first call was lost, and sealed nothing more',
        );
      });

      note('it can not register with that image');
      await until('the launcher starts it again', () => /"step":"restarting"/.test(network.log()), { signal });

      note('the image is allowed again: it comes back with another signer');
      await control.govern(allowImageCall(imageRegistry, imageId, 'allowed again'));
      const after = await until('the worker is back', () => verifiedWorker(clientOf(network)), {
        signal,
        withinMs: 60_000,
        everyMs: 250,
      });
      assert.equal(after.workerId, before.workerId);
      assert.notEqual(after.receiptSigner, before.receiptSigner);
      const again = await clientOf(network).call(app, request, { context });
      assert.equal(again.receipt.workerId, before.workerId);

      note('the announcement of before does not help the gateway');
      await gateway.during({ request: offerOld }, async () => {
        const fresh = clientOf(network, { gateways: [gateway.url] });
        const [listed] = await fresh.workers();
        await refusedWorker('WORKER_NOT_REGISTERED', 'registered', Promise.reject(listed?.refusal));
        await refusedWith('CALL_NO_WORKER', fresh.call(app, request));
        assert.equal(gateway.sealed.length, 0, 'something was sealed and sent');
      });

      note('what the evicted signer signed counts for nothing, for ever; what the new one signs counts');
      const evicted = await clientOf(network).verify(proof);
      assert.deepEqual([evicted.ok, evicted.steps.at(-1)?.id], [false, 'registered']);
      await refusedByContract('CloisterConsumerSignerNotActive', line.open(borrower, answer, nonce));
      await line.open(borrower, again, nonce);
    } finally {
      await rpc.stop().catch(() => {});
      await gateway.stop();
    }
  },
};
