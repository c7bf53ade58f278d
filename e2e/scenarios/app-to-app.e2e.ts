import assert from 'node:assert/strict';
import { blockPlatformCall } from '@cloister/chain';
import { callerAppHeader } from '@cloister/core';
import { generateSecp256k1, type SecretBytes, signDigest } from '@cloister/crypto';
import type { CallerWitness } from '@cloister/sdk';
import { AppCalls } from '../../apps/worker/src/appCalls.ts';
import type { Scenario } from '../scenario.ts';
import { accountsOf } from '../support/accounts.ts';
import { clientOf, deployFunction, handler, textOf } from '../support/apps.ts';
import { ChainControl } from '../support/chainControl.ts';
import { verifiedWorker } from '../support/rawCalls.ts';
import { UnsafeForge } from '../support/unsafeForge.ts';

export const scenario: Scenario = {
  title:
    'An app calls another, each worker verifying the other: the called app learns which app calls, and nobody else can say to be it',
  timeoutMs: 120_000,
  async run({ network: start, signal, note }) {
    const network = await start();
    const client = clientOf(network);
    const genuine = await verifiedWorker(client);
    const caller = await deployFunction(network, 'calling-app', handler('return new Response("unused");'));
    const told = `return new Response(request.headers.get("${callerAppHeader}") ?? "nobody");`;
    const callee = await deployFunction(network, 'called-app', handler(told));
    const other = await deployFunction(network, 'called-app-too', handler(told));

    note('a registered worker that runs the caller, its signer in our hands, so that it can be made to lie');
    const forge = await UnsafeForge.open(network, genuine);
    const { signer, announcement } = await forge.registerOwnWorker();
    const calls = (by: SecretBytes) => new AppCalls({ client, sign: (digest) => signDigest(by, digest) });
    const request = { method: 'POST', body: new TextEncoder().encode('question') };
    const answer = await calls(signer).call(caller, callee.app, request, { signal });
    assert.equal(textOf(answer), caller.app);
    assert.equal(answer.receipt.receipt.app, callee.app);

    const refused = async (code: string, work: ReturnType<typeof client.call>) => {
      const { outcome, receipt } = await work;
      assert.deepEqual([outcome, receipt.details.code], ['refused', code]);
    };

    note('who is no registered worker can say what he likes');
    assert.equal(textOf(await client.call(callee.app)), 'nobody');
    assert.equal(textOf(await client.call(callee.app, { headers: [[callerAppHeader, caller.app]] })), 'nobody');
    await refused('CALLER_NOT_REGISTERED', calls(generateSecp256k1()).call(caller, callee.app, request, { signal }));

    note('nor can a worker vouch for what does not serve, or is placed elsewhere');
    const forMissing = { ...caller, app: callee.manifestId };
    await refused('CALLER_UNKNOWN', calls(signer).call(forMissing, callee.app, request, { signal }));
    const forOther = { ...caller, manifestId: callee.manifestId };
    await refused('CALLER_OTHER_MANIFEST', calls(signer).call(forOther, callee.app, request, { signal }));

    note('a statement is good for one call of one app');
    let kept = '';
    const witness = calls(signer).witness(caller, signal);
    const keeping: CallerWitness = async (about) => {
      kept = await witness(about);
      return kept;
    };
    assert.equal(textOf(await client.call(callee.app, request, { caller: keeping })), caller.app);
    const replayed: CallerWitness = async () => kept;
    await refused('CALLER_OTHER_CALLEE', client.call(other.app, request, { caller: replayed }));
    const { worker } = answer;
    const atOne = { caller: keeping, worker: worker.workerId };
    assert.equal(textOf(await client.call(callee.app, request, atOne)), caller.app);
    await refused('CALLER_OTHER_CALL', client.call(callee.app, request, { ...atOne, caller: replayed }));
    await refused('CALLER_STATEMENT_MALFORMED', client.call(callee.app, request, { caller: async () => '{}' }));

    note('of a worker on a refused machine, and of an evicted one, nothing is believed any more');
    const { contracts } = network.network;
    const record = await client.registry.workerRecord(announcement.workerId);
    const block = blockPlatformCall(contracts.imageRegistry, record.platformId, 'opened on a bench');
    await new ChainControl(network).govern(block);
    await refused('CALLER_NOT_ACCEPTED', calls(signer).call(caller, callee.app, request, { signal }));
    await new ChainControl(network).evict(announcement.workerId, accountsOf(network).developer);
    await refused('CALLER_NOT_REGISTERED', calls(signer).call(caller, callee.app, request, { signal }));
  },
};
