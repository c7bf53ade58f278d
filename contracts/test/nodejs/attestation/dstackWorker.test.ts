import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { fullEvidence } from '@cloister/attestation/onchain';
import { dstackImageId, dstackMrConfigId, mrConfigIdOf } from '@cloister/core';
import { network } from 'hardhat';
import { type Hex, hexToBytes, toHex } from 'viem';
import { deployAttestationWorld } from '../../support/attestationWorld.ts';
import { defaultImageId, defaultMrtd, defaultRtmrs, networkFileId } from '../../support/evidence.ts';
import { recordedAt } from '../../support/recordedPlatform.ts';
import { refused } from '../../support/refused.ts';
import { enroll, farFuture, lastRecord, noRecipe, signerOf } from '../../support/world.ts';

const connection = await network.create({ override: { initialDate: new Date(recordedAt * 1000) } });
const { networkHelpers } = connection;
const load = () => networkHelpers.loadFixture(withEnrolledWorker);
const signer = signerOf(1).address;
const composeHash = toHex(0xc5, { size: 32 });
const [rtmr0, rtmr1, rtmr2] = defaultRtmrs.map((register) => hexToBytes(register)) as [
  Uint8Array,
  Uint8Array,
  Uint8Array,
];
const imageOf = (hash: Hex) => dstackImageId({ mrtd: hexToBytes(defaultMrtd), rtmr0, rtmr1, rtmr2 }, hash);

/** Verification by the contracts; the registers of the recorded quote stand for dstack's own system. */
async function withEnrolledWorker() {
  const world = await deployAttestationWorld(connection);
  await world.makeKnown();
  const id = await enroll(world);
  const { images, govern } = world;
  return {
    ...world,
    id,
    registerDstack: (hash: Hex = composeHash) => world.register(0n, signer, fullEvidence, dstackMrConfigId(hash)),
    allowApp: async (hash: Hex = composeHash) => {
      await govern(images, 'allow', [imageOf(hash), 0n, farFuture, 'worker 1 in dstack', noRecipe]);
      await govern(images, 'allowConfig', [hash]);
    },
  };
}

describe('a worker in a dstack CVM', () => {
  it('registers where its app is allowed on that system, and says so in its record', async () => {
    const world = await load();
    const { workers, id, allowApp, registerDstack } = world;
    await allowApp();
    await registerDstack();
    assert.deepEqual(await workers.read.isActiveSigner([signer]), [true, id]);
    const record = await lastRecord(world, id);
    assert.deepEqual([record.imageId, record.configId], [imageOf(composeHash), composeHash]);
  });

  it('does not by the system alone, whichever configurations are allowed', async () => {
    // The system's registers in the first form are allowed from the start: what no governance should do.
    const { images, govern, registerDstack } = await load();
    await refused(registerDstack(), 'WorkerRegistryImageNotAllowed', [imageOf(composeHash)]);
    await govern(images, 'allowConfig', [composeHash]);
    await refused(registerDstack(), 'WorkerRegistryImageNotAllowed', [imageOf(composeHash)]);
  });

  it('does not with another app than the allowed one', async () => {
    const { allowApp, registerDstack } = await load();
    await allowApp();
    const other = toHex(0xc6, { size: 32 });
    await refused(registerDstack(other), 'WorkerRegistryImageNotAllowed', [imageOf(other)]);
  });

  it('does not with an image whose configuration is not allowed', async () => {
    const { images, govern, registerDstack } = await load();
    await govern(images, 'allow', [imageOf(composeHash), 0n, farFuture, 'worker 1 in dstack', noRecipe]);
    await refused(registerDstack(), 'WorkerRegistryConfigNotAllowed', [composeHash]);
  });

  it('does not where the compose hash can’t be told from a network file: it reads as one', async () => {
    const { allowApp, registerDstack, images, govern } = await load();
    const hash: Hex = `0x${'c5'.repeat(31)}00`;
    await allowApp(hash);
    await refused(registerDstack(hash), 'WorkerRegistryConfigNotAllowed', [`0x01${'c5'.repeat(31)}`]);
    await govern(images, 'revoke', [defaultImageId]);
    await refused(registerDstack(hash), 'WorkerRegistryImageNotAllowed', [defaultImageId]);
  });

  it('is evicted where its app is taken back, by either id', async () => {
    for (const take of ['revoke', 'revokeConfig'] as const) {
      const world = await load();
      await world.allowApp();
      await world.registerDstack();
      const record = await lastRecord(world, world.id);
      await refused(world.workers.write.evict([world.id, record]), 'WorkerRegistryNoCause');
      await world.govern(world.images, take, [take === 'revoke' ? imageOf(composeHash) : composeHash]);
      await world.workers.write.evict([world.id, record]);
      assert.notEqual(await world.workers.read.evictionBlockOf([signer]), 0n);
    }
  });

  it('changes nothing for a TD that was started with a network file, one whose id begins with 01 too', async () => {
    const { images, govern, register, workers, id } = await load();
    const beginsWithOne: Hex = `0x01${'1a'.repeat(31)}`;
    const mrConfigId = mrConfigIdOf(beginsWithOne);
    await refused(register(0n, signer, fullEvidence, mrConfigId), 'WorkerRegistryConfigNotAllowed', [beginsWithOne]);
    await govern(images, 'allowConfig', [beginsWithOne]);
    await register(0n, signer, fullEvidence, mrConfigId);
    await register(0n, signer, fullEvidence, mrConfigIdOf(networkFileId));
    assert.deepEqual(await workers.read.isActiveSigner([signer]), [true, id]);
  });
});
