import assert from 'node:assert/strict';
import fs from 'node:fs';
import path from 'node:path';
import { slashingAbi } from '@cloister/chain';
import { signedReceiptToJson } from '@cloister/core';
import { randomBytes, toHex } from '@cloister/crypto';
import { type CloisterClient, EquivocationError, equivocationToJson, type Receipt } from '@cloister/sdk';
import { parseEther } from 'viem';
import type { Scenario } from '../scenario.ts';
import { accountsOf, spareOperator } from '../support/accounts.ts';
import { clientOf, counterSource, deployFunction } from '../support/apps.ts';
import { ChainControl } from '../support/chainControl.ts';
import { HostileGateway } from '../support/hostileGateway.ts';
import { LyingWorker } from '../support/lyingWorker.ts';
import { verifiedWorker } from '../support/rawCalls.ts';
import { type ShownSlash, Staker } from '../support/staker.ts';
import { UnsafeForge } from '../support/unsafeForge.ts';
import { until } from '../support/until.ts';

const pha = (amount: string) => parseEther(amount).toString();

export const scenario: Scenario = {
  title:
    'A worker that signs two receipts for one place is noticed by its caller and loses its bond to whoever shows them: backers see why, and after the window reporter and treasury are paid',
  needs: 'own-network',
  onlyLong: true,
  async run({ startNetwork, folder, note, signal }) {
    const network = await startNetwork();
    const client = clientOf(network);
    const chain = new ChainControl(network);
    const { developer } = accountsOf(network);
    const operator = new Staker(network, spareOperator(network), folder, signal);
    const backer = new Staker(network, developer, folder, signal);
    const reporter = new Staker(network, spareOperator(network, 1), folder, signal);
    const { app } = await deployFunction(network, 'equivocating-worker', counterSource);
    const forge = await UnsafeForge.open(network, await verifiedWorker(client));
    const worker = await LyingWorker.register(network, forge);
    const { workerId } = worker.announcement;

    note('the operator stakes, somebody backs it, and the worker is bonded');
    await operator.run('pool', 'create', '--commission', '5', '--capacity', '1000');
    await operator.run('stake', operator.address, '60');
    await backer.run('stake', operator.address, '50');
    const bond = await operator.run<{ state: string; bond: string }>('worker', 'start-bond', workerId);
    assert.deepEqual([bond.state, bond.bond], ['running', pha('100')]);

    note('two callers each get a receipt of one signer, channel and sequence, and notice nothing');
    const gateway = await HostileGateway.start(network.network.gateways[0] ?? '');
    const caller = () => clientOf(network, { gateways: [gateway.url] });
    const call = (by: CloisterClient) =>
      gateway.during({ request: worker.serve }, () => by.call(app, { path: '/' }, { context: toHex(randomBytes(32)) }));
    const one = caller();
    const first = await call(one);
    const second = await call(caller());
    const file = (name: string, json: unknown) => {
      fs.writeFileSync(path.join(folder, name), JSON.stringify(json));
      return path.join(folder, name);
    };
    const proofs = [first, second].map((result, index) =>
      file(`proof-${index}.json`, one.proof(result, { answer: false })),
    );
    const [proof = '', otherProof = ''] = proofs;

    note('whoever gets two notices by itself, gives out no answer, and holds the evidence');
    const caught = await call(one).then(
      () => assert.fail('the second receipt was taken'),
      (error: unknown) => error,
    );
    await gateway.stop();
    assert.ok(caught instanceof EquivocationError, String(caught));
    assert.equal(caught.equivocation.signer, worker.announcement.receiptSigner);
    const evidenceFile = file('equivocation.json', equivocationToJson(caught.equivocation));

    note('one receipt twice proves nothing, nor do two of different places');
    const refused = (...files: string[]) => reporter.refused('slashes', 'report', ...files);
    assert.match(await refused(proof, proof), /same receipt/);
    const changed = (fields: Partial<Receipt>) => {
      const signed = { ...second.receipt, receipt: { ...second.receipt.receipt, ...fields } };
      return file('changed.json', signedReceiptToJson(signed));
    };
    assert.match(await refused(proof, changed({ sequence: 2n })), /sequence "1" .* "2"/);
    assert.match(await refused(proof, changed({ fee: 1n })), /signed by|made by no key/);

    note('anybody shows both, of one caller or of two: the bond is gone at once, and the pool waits');
    const opened = await reporter.run<ShownSlash>('slashes', 'report', evidenceFile);
    assert.equal(opened.amount, pha('100'));
    const hurt = await backer.pool(operator.address);
    assert.deepEqual([hurt.openSlashes, hurt.runningWorkers, hurt.reserved], [1, '0', '0']);
    assert.notEqual(hurt.pausedUntil, null);
    // The operator's own 60 burn first.
    assert.ok(BigInt(hurt.yours.worth) <= parseEther('10') && BigInt(hurt.yours.worth) > parseEther('9.99'));
    assert.match(await backer.refused('stake', operator.address, '1'), /StakePoolsSeizureOpen/);
    assert.match(await operator.refused('worker', 'start-bond', workerId), /WorkerBonds|StakePools/);
    assert.match(await refused(proof, otherProof), /is open already/);

    note('backers see why');
    const [shown, ...more] = await backer.run<readonly ShownSlash[]>('slashes', operator.address);
    assert.equal(more.length, 0);
    const { evidence, ...slash } = shown ?? assert.fail('no case is shown');
    assert.deepEqual(
      [slash.caseId, slash.offence, slash.state, slash.subject, slash.amount, slash.reporter],
      [opened.caseId, 'equivocation', 'open', workerId, pha('100'), reporter.address],
    );
    assert.ok(evidence?.kind === 'proof');
    assert.equal(evidence.signer, worker.announcement.receiptSigner);
    assert.notEqual(evidence.digests[0], evidence.digests[1]);

    note(
      'after the window gatekeepers settle it, where nobody else does: a tenth for who reported it, the rest for the treasury',
    );
    const phaOf = (account: `0x${string}`) => client.payments.reader.phaOf(account, signal);
    const before = await phaOf(reporter.address);
    const settle = ['slashes', 'settle', opened.caseId] as const;
    assert.match(await backer.refused(...settle), /can be vetoed until/);
    await chain.passSeconds(240);
    const state = async () => (await backer.run<readonly ShownSlash[]>('slashes', operator.address))[0]?.state;
    await until('gatekeepers settle what is due', async () => (await state()) === 'settled', {
      signal,
      withinMs: 90_000,
      everyMs: 1_000,
    });
    assert.equal((await backer.run<ShownSlash>(...settle)).state, 'settled');
    assert.equal((await phaOf(reporter.address)) - before, parseEther('10'));
    // Of the event: the treasury has other income meanwhile.
    const slashing = { address: network.network.contracts.slashing, abi: slashingAbi };
    const args = { caseId: opened.caseId };
    const [paidOut] = await client.registry.view.events({ ...slashing, eventName: 'CaseSettled', args }, signal);
    assert.deepEqual(paidOut, { ...args, toReporter: parseEther('10'), toTreasury: parseEther('90') });
    const [settled] = await backer.run<readonly ShownSlash[]>('slashes');
    assert.equal(settled?.state, 'settled');
    const after = await backer.pool(operator.address);
    assert.deepEqual([after.openSlashes, after.pausedUntil], [0, null]);

    note('what is left is the backer’s, and can go');
    await backer.run('unstake', operator.address, 'all');
    await chain.passSeconds(600);
    const [paid] = await backer.run<readonly { what: string; amount: string }[]>('claim');
    assert.equal(paid?.what, 'unstaked');
    assert.equal(paid?.amount, after.yours.worth);
  },
};
