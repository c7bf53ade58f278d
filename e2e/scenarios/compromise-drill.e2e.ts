import assert from 'node:assert/strict';
import fs from 'node:fs';
import path from 'node:path';
import { blockPlatformCall, gatekeeperCommitteeAbi } from '@cloister/chain';
import { randomBytes, toHex, utf8 } from '@cloister/crypto';
import type { Scenario } from '../scenario.ts';
import { accountsOf } from '../support/accounts.ts';
import { clientOf, handler, textOf } from '../support/apps.ts';
import { ChainControl } from '../support/chainControl.ts';
import { cloisterJson } from '../support/programs.ts';
import { until } from '../support/until.ts';

const fresh = () => `pass-${toHex(randomBytes(8)).slice(2)}`;

// The sequence of docs/compromise-drill.md, step by step.
export const scenario: Scenario = {
  title:
    'A broken machine is refused, evicted and left out of the committee, keys and secrets are changed, and clients go on',
  needs: 'own-network',
  onlyLong: true,
  timeoutMs: 240_000,
  async run({ startNetwork, folder, note, signal }) {
    const network = await startNetwork({ args: ['--workers', '3', '--epoch', '30'] });
    const control = new ChainControl(network);
    const { developer } = accountsOf(network);
    const client = clientOf(network);
    const { contracts } = network.network;
    const cli = async (...args: readonly string[]) => {
      const { code, json } = await cloisterJson<Record<string, unknown>>(
        [...args, '--network', network.file],
        folder,
        signal,
      );
      assert.equal(code, 0, `${args.join(' ')}: ${JSON.stringify(json)}`);
      return json;
    };
    const code = utf8(handler('return new Response((await request.text()) === env.PASSWORD ? "right" : "wrong");'));
    const [known, changed] = [fresh(), fresh()];
    const { app } = await client.deploy({
      account: developer.privateKey,
      code,
      name: 'drilled',
      secrets: { PASSWORD: known },
      manifest: { placement: { replicas: 3, teeTypes: ['tdx'], minTcbEvaluationDataNumber: 0, distinct: [] } },
    });
    const ask = async (password: string) =>
      textOf(await clientOf(network).call(app, { method: 'POST', body: utf8(password) }, { idempotent: true }));
    assert.equal(await ask(known), 'right');
    const before = await client.committee.status();

    note('1: a platform is reported: governance refuses it, and clients and gatekeepers do at once');
    const victim = (await client.workers())[0]?.verified ?? assert.fail('no worker verifies');
    const record = await client.registry.workerRecord(victim.workerId);
    await control.govern(blockPlatformCall(contracts.imageRegistry, record.platformId, 'opened on a bench'));
    const refused = (await clientOf(network).workers()).find(
      ({ announcement }) => announcement.workerId === victim.workerId,
    );
    assert.equal(refused?.refusal?.code, 'WORKER_NOT_ACCEPTED');
    const { number } = await client.registry.view.head();
    assert.equal((await client.registry.standing(record, number)).platformAllowed, false);

    note('2: anybody evicts it, by the command line');
    await cli('evict', victim.workerId);
    assert.equal((await client.registry.workerStatus(victim.workerId)).state, 'evicted');
    assert.ok(!(await client.placement(app)).hosts.includes(victim.workerId));

    note('3: the same for a gatekeeper on a reported platform, which the next handover leaves out');
    const member = before.generation.members[3] ?? assert.fail('no fourth member');
    const events = await client.registry.view.events({
      address: contracts.gatekeeperCommittee,
      abi: gatekeeperCommitteeAbi,
      eventName: 'GatekeeperRegistered',
      args: { operator: member.operator },
    });
    const { record: ofMember } = events.at(-1) as { record: { platformId: `0x${string}` } };
    const images = await client.registry.view.read({
      address: contracts.gatekeeperCommittee,
      abi: gatekeeperCommitteeAbi,
      functionName: 'imageRegistry',
      args: [],
    });
    await control.govern(blockPlatformCall(images, ofMember.platformId, 'opened on a bench'));
    await control.account(developer).write({
      address: contracts.gatekeeperCommittee,
      abi: gatekeeperCommitteeAbi,
      functionName: 'evict',
      args: [member.operator, ofMember as never],
    });
    const after = await until(
      'the shares are dealt anew without it',
      async () => {
        const status = await client.committee.status();
        const isIn = status.generation.members.some(({ operator }) => operator === member.operator);
        return status.generation.number > before.generation.number && !isIn && status;
      },
      { signal, withinMs: 100_000, everyMs: 500 },
    );
    assert.equal(after.generation.members.length, 3);
    assert.deepEqual(after.keys, before.keys);

    note('4: the secret is changed at its source and sealed to new keys; the old ones are given to nobody');
    const file = path.join(folder, 'secrets.json');
    fs.writeFileSync(file, JSON.stringify({ PASSWORD: changed }));
    const rotated = await cli('secrets', 'rotate', 'drilled', '--secrets-file', file);
    assert.equal(rotated.keyVersion, 2);
    const { fields } = await client.registry.currentApp(app);
    assert.deepEqual([fields.keyVersion, fields.minKeyVersion], [2, 2]);

    note('5: clients go on, with the new secret alone');
    await until('the hosts have it', async () => (await ask(changed)) === 'right', {
      signal,
      withinMs: 60_000,
      everyMs: 500,
    });
    assert.equal(await ask(known), 'wrong');
    const result = await clientOf(network).call(app, { method: 'POST', body: utf8(changed) });
    assert.notEqual(result.worker.workerId, victim.workerId);
    assert.equal(result.receipt.receipt.keyVersion, 2n);
  },
};
