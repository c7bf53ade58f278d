import assert from 'node:assert/strict';
import { ChainView, CommitteeReader, RegistryHistory, RegistryReader } from '@cloister/chain';
import { ProvenView } from '@cloister/chain-proof';
import type { Scenario } from '../scenario.ts';
import { clientOf, deployFunction, handler } from '../support/apps.ts';
import { LyingRpc } from '../support/lyingRpc.ts';
import { refusedWith } from '../support/refusals.ts';

export const scenario: Scenario = {
  title:
    'What a gatekeeper reads of the running network, proven and run by itself, is what the node says; a lie in it is refused',
  async run({ network: start, note }) {
    const running = await start();
    const { network } = running;
    const { app } = await deployFunction(running, 'proven-hello', handler("return new Response('hello')"));
    const rpc = await LyingRpc.start(network.rpcs[0] ?? '');
    const { chainId, contracts } = network;
    try {
      const told = new ChainView({ chainId, rpcs: network.rpcs });
      const proven = new ProvenView({ chainId, rpcs: [rpc.url] });
      await proven.assertProofs(contracts.workerRegistry);
      const head = await told.head();
      assert.deepEqual(await proven.blockAt(head.number), head);

      note('workers with their standing by real collateral, apps, and the committee, as of one block');
      const workers = (await clientOf(running).workers()).map(({ announcement }) => announcement);
      assert.ok(workers.length > 0);
      const everything = async (view: ChainView): Promise<readonly unknown[]> => {
        const registry = new RegistryReader(view, contracts);
        const committee = new CommitteeReader(view, contracts);
        const { generation, next, keys } = await committee.status(head.number);
        const read: unknown[] = [
          await registry.networkKeysHash(head.number),
          await registry.currentApp(app, head.number),
          await registry.appCreatedAt(app, head.number),
          await registry.isImagePinned(app, app, head.number),
          { generation, next, keys },
        ];
        for (const { operator } of generation.members) read.push(await committee.gatekeeper(operator, head.number));
        for (const { workerId, receiptSigner } of workers) {
          const record = await registry.workerRecord(workerId, head.number);
          const standing = await registry.standing(record, head.number);
          assert.equal(standing.tcbAccepted, true);
          read.push(await registry.activeSigner(receiptSigner, head.number), record, standing);
        }
        return read;
      };
      assert.deepEqual(await everything(proven), await everything(told));

      note('the workers of every block so far, by events that are proven to be all');
      const workersSince = async (view: ChainView) => {
        const history = new RegistryHistory(view, contracts);
        return [await history.workersAt(head), await history.networkKeysHashAt(head), await history.evictedAt(head)];
      };
      assert.deepEqual(await workersSince(proven), await workersSince(told));
      rpc.lie = ({ method }, result) =>
        method === 'eth_getBlockReceipts'
          ? (result as { logs: unknown[] }[]).map((receipt) => ({ ...receipt, logs: receipt.logs.slice(1) }))
          : result;
      await refusedWith('CHAIN_RECEIPTS_INVALID', workersSince(new ProvenView({ chainId, rpcs: [rpc.url] })));

      note('an RPC that lies about one word of storage');
      rpc.lie = ({ method }, result) =>
        method === 'eth_getProof'
          ? JSON.parse(JSON.stringify(result).replaceAll(/"value":"0x[^"]*"/g, '"value":"0x7"'))
          : result;
      const misled = new RegistryReader(new ProvenView({ chainId, rpcs: [rpc.url] }), contracts);
      await refusedWith('CHAIN_PROOF_INVALID', misled.currentApp(app, head.number));

      note('and one that lies in its answers to calls, which nobody asks');
      rpc.lie = ({ method }, result) => (method === 'eth_call' ? `0x${'ff'.repeat(64)}` : result);
      const other = new RegistryReader(new ProvenView({ chainId, rpcs: [rpc.url] }), contracts);
      assert.deepEqual(
        await other.currentApp(app, head.number),
        await new RegistryReader(told, contracts).currentApp(app, head.number),
      );
    } finally {
      await rpc.stop();
    }
  },
};
