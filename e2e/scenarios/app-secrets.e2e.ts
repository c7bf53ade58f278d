import assert from 'node:assert/strict';
import path from 'node:path';
import { CommitteeReader } from '@cloister/chain';
import { fetchBlob, isCodeOf, maxSecretsBundleBytes, secretsIdentity, sleep } from '@cloister/core';
import { fromHex, randomBytes, signDigest, toHex, utf8 } from '@cloister/crypto';
import { createClient } from '@cloister/sdk';
import { KeyClient } from '../../apps/worker/src/keys/keyClient.ts';
import type { Scenario } from '../scenario.ts';
import { accountsOf } from '../support/accounts.ts';
import { startApp } from '../support/appProcess.ts';
import { clientOf, handler, textOf } from '../support/apps.ts';
import { leaksIn, leaksInFolder } from '../support/leaks.ts';
import { allowNetworkFile, startWorker } from '../support/privateWorker.ts';
import { publish } from '../support/publish.ts';
import { callRaw, verifiedWorker } from '../support/rawCalls.ts';
import { Recorder } from '../support/recorder.ts';
import { refusedWith } from '../support/refusals.ts';
import { UnsafeForge } from '../support/unsafeForge.ts';
import { until } from '../support/until.ts';

export const scenario: Scenario = {
  title:
    'A function uses a secret that only its hosts get, in code that only they can read: neither is in any capture, log or file, and a genuine worker that the app is not placed on gets no key',
  timeoutMs: 300_000,
  async run({ network: start, folder, signal, note }) {
    const network = await start();
    const recorder = await Recorder.start();
    const networkFile = path.join(folder, 'network.json');
    // Everything between client, store and worker goes through the recorder; the members read manifests at the network's own gateway.
    const own = await allowNetworkFile(network, networkFile, [recorder.url, ...network.network.gateways]);
    const gateway = await startApp('gateway', {
      folder,
      signal,
      config: {
        listen: { host: '127.0.0.1', port: 0 },
        publicUrl: recorder.url,
        dataDir: path.join(folder, 'gateway'),
        networkFile,
      },
    });
    recorder.forwardTo(String(gateway.ready.url));
    const worker = await startWorker(network, { folder, signal, networkFile });
    const { developer, operators } = accountsOf(network);
    const client = createClient({ network: own });
    const account = developer.privateKey;
    const password = `pass-${toHex(randomBytes(12)).slice(2)}`;
    const token = `token-${toHex(randomBytes(12)).slice(2)}`;
    const code = utf8(
      handler(
        'const asked = await request.text(); return new Response(asked === env.PASSWORD ? "right, with " + env.TOKEN.length : "wrong");',
      ),
    );
    const recipe = `recipe-${toHex(randomBytes(12)).slice(2)}`;
    const privateCode = utf8(
      handler(`return new Response((await request.text()) === "${recipe}" ? "as in the code" : "not in the code");`),
    );
    const everywhere = { replicas: 64, teeTypes: ['tdx'] as const, minTcbEvaluationDataNumber: 0, distinct: [] };
    const ask = (app: `0x${string}`, body: string) => client.call(app, { method: 'POST', body: utf8(body) });
    try {
      note('a function with two secrets, sealed before any host exists');
      await verifiedWorker(client, String(worker.ready.workerId));
      // Who is placed is as of the first block of the second in which the app is made: the worker must have come before it.
      await sleep(1_100, signal);
      const deployed = await client.deploy({
        account,
        code,
        name: 'with-secrets',
        secrets: { PASSWORD: password, TOKEN: token },
        manifest: { placement: everywhere },
      });
      const { app } = deployed;
      assert.deepEqual(deployed.manifest.secrets, ['PASSWORD', 'TOKEN']);
      assert.equal(deployed.manifest.imagePolicy, 'both');
      assert.equal(deployed.pinned.length, 1);
      assert.equal(textOf(await ask(app, password)), `right, with ${token.length}`);
      assert.equal(textOf(await ask(app, 'guess')), 'wrong');

      note('the same at the worker behind the recorder');
      const recorded = await verifiedWorker(client, String(worker.ready.workerId));
      const raw = await callRaw(client, recorder.url, recorded, {
        app,
        manifest: deployed.manifestId,
        request: { method: 'POST', body: utf8(password) },
      });
      assert.equal(new TextDecoder().decode(raw.body), `right, with ${token.length}`);

      note('code sealed before any host exists runs at its hosts, and no other app can name it');
      const quiet = await client.deploy({
        account,
        code: privateCode,
        name: 'sealed-code',
        sealCode: true,
        manifest: { placement: everywhere },
      });
      assert.equal(quiet.manifest.imagePolicy, 'both');
      assert.equal(textOf(await ask(quiet.app, recipe)), 'as in the code');
      const atRecorder = await callRaw(client, recorder.url, recorded, {
        app: quiet.app,
        manifest: quiet.manifestId,
        request: { method: 'POST', body: utf8(recipe) },
      });
      assert.equal(new TextDecoder().decode(atRecorder.body), 'as in the code');
      assert.ok(isCodeOf(quiet.manifest.code, privateCode, quiet.codeSalt));
      // Under the same name, with its keys for any image: what is left is that it is sealed to another app.
      const copied = await publish(network, {
        manifest: { ...quiet.manifest, imagePolicy: 'network' },
        fields: { replicas: 64 },
      });
      const stolen = await ask(copied.app, recipe);
      assert.deepEqual([stolen.outcome, stolen.receipt.details.code], ['refused', 'APP_CODE_SEAL_INVALID']);

      note('with new keys its code is sealed anew');
      await refusedWith('ROTATE_CODE_MISSING', client.rotateKeys(quiet.app, { account, values: {} }));
      const rotated = await client.rotateKeys(quiet.app, { account, values: {}, code: privateCode });
      const again = await ask(quiet.app, recipe);
      assert.equal(textOf(again), 'as in the code');
      assert.equal(again.receipt.receipt.manifest, rotated.sealed?.manifestId);

      note('a genuine worker that came after the draw is none of its hosts: it gets no key, whatever it asks');
      const forge = await UnsafeForge.open(network, recorded);
      const late = await forge.registerOwnWorker();
      const registry = clientOf(network).registry;
      const keys = new KeyClient({
        network: network.network,
        committee: new CommitteeReader(registry.view, network.network.contracts),
        sign: (digest) => signDigest(late.signer, digest),
        clock: await registry.clock(),
      });
      const wish = { ...secretsIdentity(app, 1), manifest: deployed.manifestId };
      await refusedWith('KEYS_REFUSED', keys.signature(wish, signal));
      const forCode = { ...secretsIdentity(quiet.app, 2), manifest: again.receipt.receipt.manifest };
      await refusedWith('KEYS_REFUSED', keys.signature(forCode, signal));
      const { hosts } = await client.placement(app);
      assert.ok(hosts.includes(recorded.workerId) && !hosts.includes(late.announcement.workerId));

      note('one host alone: the other workers refuse, signed, and the client does not even ask them');
      const main = clientOf(network);
      const workers = (await main.workers()).filter(({ verified }) => verified !== undefined);
      const deployOnce = async (attempt: number) => {
        const single = await main.deploy({
          account,
          code,
          name: `with-secrets-once-${attempt}`,
          secrets: { PASSWORD: password, TOKEN: token },
          manifest: { placement: { ...everywhere, replicas: 1 } },
        });
        const { hosts } = await until('it is placed', () => main.placement(single.app), { signal });
        return { ...single, host: hosts[0] };
      };
      // Workers of other scenarios are registered here too, and answer nobody.
      let single = await deployOnce(0);
      for (let attempt = 1; !workers.some(({ announcement }) => announcement.workerId === single.host); attempt++)
        single = await deployOnce(attempt);
      const answer = await main.call(single.app, { method: 'POST', body: utf8(password) });
      assert.match(textOf(answer), /^right/);
      assert.equal(answer.worker.workerId, single.host);
      const others = workers.filter(({ announcement }) => announcement.workerId !== single.host);
      const [other] = others;
      assert.ok(other?.verified !== undefined);
      const refused = await callRaw(main, other.gateway, other.verified, {
        app: single.app,
        manifest: single.manifestId,
        request: { method: 'POST', body: utf8(password) },
      });
      assert.equal(refused.receipt.details.code, 'APP_NOT_PLACED');

      note('secrets set anew are taken up, and the old ones are gone');
      const changed = `pass-${toHex(randomBytes(12)).slice(2)}`;
      const values = { PASSWORD: changed, TOKEN: token };
      await client.setSecrets(app, { account, values });
      await until('every host knows the new one', async () => (await ask(app, changed)).body.length > 5, { signal });
      assert.equal(textOf(await ask(app, password)), 'wrong');

      note('not for strangers, and not without a value for each name');
      await refusedWith(
        'TRANSACTION_REFUSED',
        client.setSecrets(app, { account: operators[6]?.privateKey ?? '0x', values }),
      );
      await refusedWith('SECRETS_MISSING', client.setSecrets(app, { account, values: { PASSWORD: changed } }));
      await refusedWith(
        'SECRETS_MISSING',
        client.deploy({ account, code, name: 'without-values', manifest: { secrets: ['PASSWORD'] } }),
      );

      note('an image that the owner has not allowed gets no key');
      const strict = await client.deploy({
        account,
        code,
        name: 'with-secrets-elsewhere',
        secrets: { PASSWORD: password, TOKEN: token },
        pinImages: [toHex(randomBytes(32))],
        manifest: { placement: everywhere },
      });
      const unpinned = await ask(strict.app, password);
      assert.deepEqual(
        [unpinned.outcome, unpinned.receipt.details.code],
        ['refused', 'KEYS_REFUSED'],
        textOf(unpinned),
      );

      note('no capture, log or file holds them');
      const secrets = { password, token, changed, recipe, salt: fromHex(quiet.codeSalt ?? '0x') };
      const { bundleId } = await registry.secretsOf(app);
      const bundle = await fetchBlob({ stores: own.gateways, id: bundleId, maxBytes: maxSecretsBundleBytes });
      assert.ok(leaksIn(Buffer.from(bundle), { name: 'PASSWORD' }).length > 0, 'the names are there for everybody');
      const passed = recorder.bytes();
      assert.ok(passed.includes(Buffer.from(bundle).subarray(0, 60)), 'the recorder did not see the sealed secrets');
      assert.deepEqual(leaksIn(passed, secrets), []);
      assert.deepEqual(leaksIn(Buffer.from(gateway.log() + worker.log() + network.log()), secrets), []);
      for (const place of [folder, network.data]) {
        const { leaks, files } = leaksInFolder(place, secrets);
        assert.deepEqual(leaks, []);
        assert.ok(files > 3, `only ${files} files of ${place} were searched`);
      }
      assert.equal(fromHex(bundleId).length, 32);
    } finally {
      await worker.stop();
      await gateway.stop();
      await recorder.stop();
    }
  },
};
