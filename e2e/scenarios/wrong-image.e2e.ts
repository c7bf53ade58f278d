import assert from 'node:assert/strict';
import fs from 'node:fs';
import path from 'node:path';
import type { Scenario } from '../scenario.ts';
import { AppEndedError } from '../support/appProcess.ts';
import { clientOf } from '../support/apps.ts';
import { changeOneByte, copyWorker } from '../support/copyWorker.ts';
import { startWorker } from '../support/privateWorker.ts';
import { verifiedWorker } from '../support/rawCalls.ts';

export const scenario: Scenario = {
  title:
    'One changed byte of worker code is refused at registration; the same code in another folder is the same image',
  async run({ network: start, folder, signal, note }) {
    const network = await start();
    const client = clientOf(network);
    const { claims } = await verifiedWorker(client);
    const root = path.join(folder, 'elsewhere', 'copy');
    await copyWorker(root);

    note('an unchanged copy');
    const same = await startWorker(network, { folder, signal, root });
    try {
      const copied = await verifiedWorker(client, String(same.ready.workerId));
      assert.equal(copied.claims.imageId, claims.imageId);
    } finally {
      await same.stop();
    }

    for (const file of ['apps/worker/src/receiptBook.ts', 'packages/crypto/src/secretBytes.ts']) {
      note(`a copy with one byte changed in ${file}`);
      const original = fs.readFileSync(path.join(root, file));
      changeOneByte(path.join(root, file));
      const changed = fs.readFileSync(path.join(root, file));
      assert.equal(changed.filter((byte, index) => byte !== original[index]).length, 1);
      await assert.rejects(startWorker(network, { folder, signal, root }), (error: unknown) => {
        assert.ok(error instanceof AppEndedError, String(error));
        assert.equal(error.exitCode, 1);
        assert.match(error.log, /WorkerRegistryImageNotAllowed/);
        assert.doesNotMatch(error.log, new RegExp(claims.imageId), 'another image is refused, not the genuine one');
        return true;
      });
      fs.writeFileSync(path.join(root, file), original);
    }
  },
};
