import assert from 'node:assert/strict';
import {
  collateralStoreAbi,
  collateralStoreBytecode,
  deployContract,
  intelContractsOf,
  pckRegistryAbi,
  pckRegistryBytecode,
  setTeePolicyCall,
  type TeePolicy,
  tdxVerifierAbi,
  tdxVerifierBytecode,
} from '@cloister/chain';
import { type Address, CloisterError, teeTypes } from '@cloister/core';
import type { CloisterClient, VerifiedWorker } from '@cloister/sdk';
import type { RunningDevnet } from '../devnet.ts';
import type { Scenario } from '../scenario.ts';
import { accountsOf, spareOperator } from '../support/accounts.ts';
import { clientOf, deployFunction, handler } from '../support/apps.ts';
import { ChainControl } from '../support/chainControl.ts';
import { refusedByContract } from '../support/refusals.ts';
import { until } from '../support/until.ts';

const leaseSeconds = 3_600;

/** docs/upgrades.md, played: each step there has its note here. */
export const scenario: Scenario = {
  title:
    'The verifier of evidence is replaced through the timelock while workers run and calls go on; a wrong one harms until it is taken back, and nothing is lost',
  needs: 'own-network',
  onlyLong: true,
  async run({ startNetwork, note, signal }) {
    const network = await startNetwork({ args: ['--workers', '2'] });
    const control = new ChainControl(network);
    const { contracts } = network.network;
    const source = handler("return new Response('hello')");
    const { app, manifestId } = await deployFunction(network, 'replaced-verifier', source);
    const client = clientOf(network);
    const before = await verified(client);
    assert.equal(before.length, 2);
    const answer = await client.call(app, {});
    const proof = client.proof(answer, { answer: true });
    const policy = (await client.registry.teePolicy(teeTypes.tdx)) ?? assert.fail('no policy of TDX');
    const parts = await intelContractsOf(client.registry.view, policy.verifier);
    const swap = (verifier: Address) => {
      const next = { ...policy, verifier } as TeePolicy;
      const places = [contracts.workerRegistry, contracts.gatekeeperCommittee];
      return control.govern(...places.map((place) => setTeePolicyCall(place, teeTypes.tdx, next)));
    };

    note('1: the new verifier is deployed over the collateral and the platforms that stand there');
    const second = await deployVerifier(network, control, 'TdxVerifier, the next one', [
      parts.collateralStore,
      parts.pckRegistry,
    ]);
    assert.notEqual(second, policy.verifier);

    note('2: what is no contract is refused, all of the proposal with it');
    await refusedByContract('WorkerRegistryVerifierWithoutCode', swap(`0x${'de'.repeat(20)}`));
    assert.equal((await client.registry.teePolicy(teeTypes.tdx))?.verifier, policy.verifier);

    note(
      '3: one over empty collateral passes that check, and knows no platform: clients refuse at once, nobody is evicted',
    );
    await swap(await emptyVerifier(network, control));
    const refused = await clientOf(network)
      .call(app, {})
      .then(
        () => undefined,
        (error: unknown) => error,
      );
    assert.ok(refused instanceof CloisterError, 'a call went through by a verifier that knows no platform');
    const [first] = before;
    assert.ok(first !== undefined);
    await assert.rejects(control.evict(first.workerId, spareOperator(network)), CloisterError);
    assert.equal((await client.registry.workerStatus(first.workerId)).state, 'active');

    note('4: the one before takes its place again: all is as it was');
    await swap(policy.verifier);
    assert.equal((await clientOf(network).call(app, {})).outcome, 'ok');
    assert.deepEqual((await verified(clientOf(network))).map(signerOf), before.map(signerOf));

    note('5: the new one takes its place while calls go on');
    let isOver = false;
    let calls = 0;
    const caller = clientOf(network);
    const calling = (async () => {
      for (; !isOver; calls += 1) assert.equal((await caller.call(app, {})).outcome, 'ok');
    })();
    await swap(second);
    assert.equal((await client.registry.teePolicy(teeTypes.tdx))?.verifier, second);
    await refusedByContract('WorkerRegistryNoCause', control.evict(first.workerId, spareOperator(network)));

    note('6: leases renew under it, with the signers of before');
    await control.passSeconds((leaseSeconds * 3) / 4);
    const after = await until(
      'both workers have renewed',
      async () => {
        const now = await verified(clientOf(network));
        const isRenewed = ({ workerId, leaseUntil }: VerifiedWorker) =>
          leaseUntil > (before.find((worker) => worker.workerId === workerId)?.leaseUntil ?? leaseUntil);
        return now.length === 2 && now.every(isRenewed) && now;
      },
      { signal, withinMs: 60_000, everyMs: 500 },
    );
    assert.deepEqual(after.map(signerOf), before.map(signerOf));
    isOver = true;
    await calling;
    assert.ok(calls > 0, 'no call went on meanwhile');

    note('7: nothing is lost: a receipt of before verifies, the app is as it was, and what is deployed now runs');
    assert.equal((await clientOf(network).verify(proof)).ok, true);
    assert.equal((await clientOf(network).app(app)).manifestId, manifestId);
    const next = await deployFunction(network, 'after-the-replacement', source);
    assert.equal((await clientOf(network).call(next.app, {})).outcome, 'ok');
  },
};

/** The workers that this client verifies, in the order of their ids. */
async function verified(client: CloisterClient): Promise<VerifiedWorker[]> {
  const listed = await client.workers();
  return listed
    .flatMap((worker) => worker.verified ?? [])
    .sort((left, right) => (left.workerId < right.workerId ? -1 : 1));
}

function signerOf({ workerId, receiptSigner }: VerifiedWorker): readonly string[] {
  return [workerId, receiptSigner];
}

function deployVerifier(
  network: RunningDevnet,
  control: ChainControl,
  name: string,
  behind: readonly [Address, Address],
): Promise<Address> {
  const deployer = control.account(accountsOf(network).deployer);
  return deployContract(deployer, control.rpcUrl, {
    name,
    abi: tdxVerifierAbi,
    bytecode: tdxVerifierBytecode,
    args: behind,
  });
}

/** A verifier of the right kind whose collateral nobody has brought. */
async function emptyVerifier(network: RunningDevnet, control: ChainControl): Promise<Address> {
  const deployer = control.account(accountsOf(network).deployer);
  const view = clientOf(network).registry.view;
  const policy = await clientOf(network).registry.teePolicy(teeTypes.tdx);
  const { collateralStore } = await intelContractsOf(view, policy?.verifier ?? assert.fail('no policy of TDX'));
  const at = { address: collateralStore, abi: collateralStoreAbi } as const;
  const [x, y] = await Promise.all([
    view.read({ ...at, functionName: 'ROOT_X', args: [] }),
    view.read({ ...at, functionName: 'ROOT_Y', args: [] }),
  ]);
  const put = (
    name: string,
    abi: typeof collateralStoreAbi | typeof pckRegistryAbi,
    bytecode: `0x${string}`,
    args: readonly unknown[],
  ) => deployContract(deployer, control.rpcUrl, { name, abi, bytecode, args });
  const store = await put('CollateralStore, empty', collateralStoreAbi, collateralStoreBytecode, [x, y]);
  const registry = await put('PckRegistry, empty', pckRegistryAbi, pckRegistryBytecode, [store]);
  return deployVerifier(network, control, 'TdxVerifier, empty', [store, registry]);
}
