import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import hre, { network } from 'hardhat';
import { encodeAbiParameters, getAddress, type Hex, keccak256, padHex, toHex, zeroAddress, zeroHash } from 'viem';
import {
  defaultImageId,
  defaultMrtd,
  networkFileId,
  otherRoot,
  platformId,
  workerBinding,
} from '../support/evidence.ts';
import { history2935Code, slotOf2935 } from '../support/history.ts';
import { refused } from '../support/refused.ts';
import {
  chainId,
  deployWorld,
  enroll,
  farFuture,
  hour,
  lastRecord,
  register,
  registration,
  signerOf,
  teeTdx,
} from '../support/world.ts';

const connection = await network.create();
const { networkHelpers, viem } = connection;
const load = () => networkHelpers.loadFixture(withWorker);

async function withWorker() {
  const world = await deployWorld(connection);
  return { ...world, id: await enroll(world) };
}

describe('WorkerRegistry.enroll', () => {
  it('gives each operator ids counted from 0', async () => {
    const world = await load();
    const { workers, operator, otherOperator, id } = world;
    const second = await enroll(world);
    const others = await enroll(world, otherOperator);
    assert.equal(new Set([id, second, others]).size, 3);
    const expected = keccak256(
      encodeAbiParameters(
        [{ type: 'string' }, { type: 'uint256' }, { type: 'address' }, { type: 'address' }, { type: 'uint256' }],
        ['cloister/worker-id: v1', BigInt(chainId), workers.address, operator.account.address, 1n],
      ),
    );
    assert.equal(second, expected);
    assert.equal(await workers.read.enrolledCount([operator.account.address]), 2n);
    const status = await workers.read.statusOf([id]);
    assert.equal(status.state, 1);
    assert.equal(status.operator, getAddress(operator.account.address));
    const events = await workers.getEvents.WorkerEnrolled({ workerId: others }, { fromBlock: 0n });
    assert.deepEqual(events[0]?.args, {
      workerId: others,
      operator: getAddress(otherOperator.account.address),
      index: 0n,
    });
  });
});

describe('WorkerRegistry.register', () => {
  it('registers on evidence that holds and records all of it', async () => {
    const world = await load();
    const { workers, operator, id, publicClient } = world;
    const attested = await publicClient.getBlock();
    const signer = signerOf(1).address;
    const args = await registration(world, id, { kinds: 0b1010 });
    await workers.write.register(args, { account: operator.account });

    const { timestamp } = await publicClient.getBlock();
    const record = await lastRecord(world, id);
    assert.deepEqual(record, {
      operator: getAddress(operator.account.address),
      receiptSigner: signer,
      teeType: teeTdx,
      kinds: 0b1010,
      simulated: true,
      imageId: defaultImageId,
      configId: networkFileId,
      platformId: padHex(platformId, { size: 32, dir: 'right' }),
      evidenceHash: keccak256(quotePartIn(args[5])),
      networkKeysHash: zeroHash,
      attestedBlock: attested.number,
      leaseUntil: timestamp + BigInt(6 * hour),
    });
    const status = await workers.read.statusOf([id]);
    assert.deepEqual(
      { ...status, recordHash: undefined },
      {
        operator: getAddress(operator.account.address),
        receiptSigner: signer,
        leaseUntil: record.leaseUntil,
        state: 2,
        kinds: 0b1010,
        teeType: teeTdx,
        simulated: true,
        recordHash: undefined,
      },
    );
    assert.equal(await workers.read.workerOf([signer]), id);
    assert.deepEqual(await workers.read.isActiveSigner([signer]), [true, id]);
  });

  it('ends the lease with the collateral where that is sooner', async () => {
    const world = await load();
    const { timestamp } = await world.publicClient.getBlock();
    await register(world, world.id, { validUntil: timestamp + 600n });
    assert.equal((await world.workers.read.statusOf([world.id])).leaseUntil, timestamp + 600n);
  });

  it('stops counting a signer the second its lease ends', async () => {
    const world = await load();
    await register(world, world.id);
    const { leaseUntil } = await world.workers.read.statusOf([world.id]);
    const signer = signerOf(1).address;
    await networkHelpers.time.increaseTo(leaseUntil - 1n);
    assert.deepEqual(await world.workers.read.isActiveSigner([signer]), [true, world.id]);
    await networkHelpers.time.increaseTo(leaseUntil);
    assert.deepEqual(await world.workers.read.isActiveSigner([signer]), [false, world.id]);
  });

  it('renews a lease under the same signer, lapsed or not', async () => {
    const world = await load();
    await register(world, world.id);
    const first = await world.workers.read.statusOf([world.id]);
    await networkHelpers.time.increase(hour);
    await register(world, world.id);
    const renewed = await world.workers.read.statusOf([world.id]);
    assert.ok(renewed.leaseUntil >= first.leaseUntil + BigInt(hour));
    await networkHelpers.time.increase(10 * hour);
    await register(world, world.id);
    assert.deepEqual(await world.workers.read.isActiveSigner([signerOf(1).address]), [true, world.id]);
  });

  it('replaces the signer after a restart; the old one never comes back', async () => {
    const world = await load();
    const [first, second] = [signerOf(1).address, signerOf(2).address];
    await register(world, world.id, { signer: first });
    await register(world, world.id, { signer: second });
    assert.deepEqual(await world.workers.read.isActiveSigner([first]), [false, world.id]);
    assert.deepEqual(await world.workers.read.isActiveSigner([second]), [true, world.id]);
    await refused(register(world, world.id, { signer: first }), 'WorkerRegistrySignerUsed', [first, world.id]);
  });

  it('refuses a signer that another worker has or had', async () => {
    const world = await load();
    const otherId = await enroll(world, world.otherOperator);
    const [first, second] = [signerOf(1).address, signerOf(2).address];
    await register(world, world.id, { signer: first });
    await register(world, world.id, { signer: second });
    for (const signer of [first, second])
      await refused(register(world, otherId, { operator: world.otherOperator, signer }), 'WorkerRegistrySignerUsed', [
        signer,
        world.id,
      ]);
  });

  it('refuses unknown ids, other callers, no signer and impossible kinds', async () => {
    const world = await load();
    const unknown = toHex(7, { size: 32 });
    await refused(register(world, unknown), 'WorkerRegistryWorkerUnknown', [unknown]);
    await refused(register(world, world.id, { operator: world.otherOperator }), 'WorkerRegistryCallerNotOperator', [
      world.otherOperator.account.address,
      world.operator.account.address,
    ]);
    await refused(register(world, world.id, { signer: zeroAddress }), 'WorkerRegistrySignerMissing', []);
    for (const kinds of [0, 16, 255])
      await refused(register(world, world.id, { kinds }), 'WorkerRegistryKindsInvalid', [kinds]);
  });

  it('refuses evidence bound to anything else', async () => {
    const world = await load();
    const other = world.stranger.account.address;
    const mismatches = [
      { boundChainId: chainId + 1 },
      { boundRegistry: other },
      { boundOperator: other },
      { boundSigner: other },
      { networkKeysHash: toHex(1, { size: 32 }) },
    ];
    const expected = workerBinding(chainId, world.workers.address, world.operator.account.address, signerOf(1).address);
    for (const changes of mismatches) {
      const args = await registration(world, world.id, changes);
      const reported: Hex = `0x${quotePartIn(args[5]).slice(2 + 2 * 568, 2 + 2 * 600)}`;
      const call = world.workers.write.register(args, { account: world.operator.account });
      await refused(call, 'WorkerRegistryBindingMismatch', [expected, reported]);
    }
  });

  it('demands the network keys once they are known', async () => {
    const world = await load();
    const keysHash = toHex(0xbeac0, { size: 32 });
    await register(world, world.id);
    await world.govern(world.workers, 'setNetworkKeysHash', [keysHash]);
    assert.equal(
      (await world.workers.read.isActiveSigner([signerOf(1).address]))[0],
      true,
      'a zero-bound lease runs on',
    );
    await refused(register(world, world.id), 'WorkerRegistryBindingMismatch');
    await register(world, world.id, { networkKeysHash: keysHash });
    assert.equal((await lastRecord(world, world.id)).networkKeysHash, keysHash);
  });

  it('refuses a hash that is not the stated block’s', async () => {
    const world = await load();
    const block = await world.publicClient.getBlock();
    const previous = await world.publicClient.getBlock({ blockNumber: block.number - 1n });
    await refused(register(world, world.id, { blockHash: previous.hash }), 'WorkerRegistryBlockHashMismatch', [
      block.number,
      block.hash,
      previous.hash,
    ]);
    await refused(register(world, world.id, { blockHash: zeroHash }), 'WorkerRegistryBlockHashMismatch');
  });

  it('refuses a block of the present or the future', async () => {
    const world = await load();
    const [id, signer, kinds, block, teeType, evidence] = await registration(world, world.id);
    for (const ahead of [1n, 2n, 1_000_000n, 2n ** 64n - 1n - block]) {
      const call = world.workers.write.register([id, signer, kinds, block + ahead, teeType, evidence], {
        account: world.operator.account,
      });
      await refused(call, 'WorkerRegistryBlockUnknown', [block + ahead, block + 1n]);
    }
  });

  it('refuses blocks beyond the age, and those it has no hash of', async () => {
    const world = await load();
    const attestedBlock = await world.publicClient.getBlockNumber();
    await networkHelpers.mine(255);
    await register(world, world.id, { attestedBlock });
    await networkHelpers.mine(3);
    // The chain's own history contract refuses here, so the hash is unknown beyond 256 blocks.
    const next = (await world.publicClient.getBlockNumber()) + 1n;
    await refused(register(world, world.id, { attestedBlock }), 'WorkerRegistryBlockUnknown', [attestedBlock, next]);
    await networkHelpers.mine(50);
    const oldest = (await world.publicClient.getBlockNumber()) + 1n - 300n;
    await refused(register(world, world.id, { attestedBlock }), 'WorkerRegistryBlockTooOld', [attestedBlock, oldest]);
  });

  it('finds older hashes in the history contract of EIP-2935', async () => {
    const world = await load();
    const { address, code } = history2935Code;
    const block = await world.publicClient.getBlock();
    await networkHelpers.setCode(address, code);
    await networkHelpers.setStorageAt(address, slotOf2935(block.number), block.hash);
    await networkHelpers.mine(290);
    await register(world, world.id, { attestedBlock: block.number });
    const unwritten = block.number + 1n;
    await refused(register(world, world.id, { attestedBlock: unwritten }), 'WorkerRegistryBlockUnknown');
  });

  it('refuses a TEE type without a verifier', async () => {
    const world = await load();
    await refused(register(world, world.id, { teeType: 3 }), 'WorkerRegistryVerifierMissing', [3]);
    await world.govern(world.workers, 'setVerifier', [teeTdx, zeroAddress]);
    await refused(register(world, world.id), 'WorkerRegistryVerifierMissing', [teeTdx]);
  });

  it('refuses evidence of another type than stated', async () => {
    const world = await load();
    await world.govern(world.workers, 'setVerifier', [3, world.verifier.address]);
    await refused(register(world, world.id, { teeType: 3 }), 'WorkerRegistryTeeTypeMismatch', [3, teeTdx]);
  });

  it('lets the verifier refuse by its own name', async () => {
    const world = await load();
    await refused(register(world, world.id, { root: otherRoot }), 'UnsafeSimulatedVerifierSignature');
    await refused(register(world, world.id, { quote: { tdAttributes: 1n } }), 'UnsafeSimulatedVerifierDebug', [1n]);
  });

  it('refuses images and network files that are not allowed', async () => {
    const world = await load();
    const mrtd = `0xa1${defaultMrtd.slice(4)}` as Hex;
    await refused(register(world, world.id, { quote: { mrtd } }), 'WorkerRegistryImageNotAllowed');
    const config = toHex(0xbad, { size: 32 });
    await refused(
      register(world, world.id, { quote: { mrConfigId: padHex(config, { size: 48, dir: 'right' }) } }),
      'WorkerRegistryConfigNotAllowed',
      [config],
    );
    await world.govern(world.images, 'revoke', [defaultImageId]);
    await refused(register(world, world.id), 'WorkerRegistryImageNotAllowed', [defaultImageId]);
  });

  it('refuses evidence whose collateral has ended', async () => {
    const world = await load();
    const { timestamp } = await world.publicClient.getBlock();
    await networkHelpers.time.setNextBlockTimestamp(timestamp + 100n);
    await refused(register(world, world.id, { validUntil: timestamp + 100n }), 'WorkerRegistryEvidenceExpired', [
      timestamp + 100n,
      timestamp + 100n,
    ]);
  });

  it('refuses simulated evidence for ever where the network was deployed so', async () => {
    const world = await load();
    const strict = await viem.deployContract('WorkerRegistry', [{ ...world.settings, simulatedAllowed: false }]);
    await world.govern(strict, 'setVerifier', [teeTdx, world.verifier.address]);
    const id = await enroll(world, world.operator, strict);
    await refused(register(world, id, { registry: strict }), 'WorkerRegistrySimulatedRefused', []);
    assert.equal(await strict.read.simulatedAllowed(), false);
  });

  it('appraises what a verifier claims: debug, genuine evidence', async () => {
    const world = await load();
    const scripted = await viem.deployContract('UnsafeScriptedVerifier', []);
    const strict = await viem.deployContract('WorkerRegistry', [{ ...world.settings, simulatedAllowed: false }]);
    await world.govern(strict, 'setVerifier', [3, scripted.address]);
    const id = await enroll(world, world.operator, strict);
    const block = await world.publicClient.getBlock();
    const signer = signerOf(1).address;
    const claims = {
      teeType: 3,
      simulated: false,
      debug: false,
      validUntil: farFuture,
      imageId: defaultImageId,
      configId: networkFileId,
      platformId: toHex(1, { size: 32 }),
      evidenceHash: toHex(2, { size: 32 }),
      reportDataHead: workerBinding(chainId, strict.address, world.operator.account.address, signer),
      reportDataTail: block.hash,
    };
    const send = (changes: Partial<typeof claims>) =>
      strict.write.register([id, signer, 1, block.number, 3, encodeClaims({ ...claims, ...changes })], {
        account: world.operator.account,
      });
    await refused(send({ debug: true }), 'WorkerRegistryDebugRefused', []);
    await refused(send({ simulated: true }), 'WorkerRegistrySimulatedRefused', []);
    await refused(send({ validUntil: 0n }), 'WorkerRegistryEvidenceExpired');
    await send({});
    assert.equal((await strict.read.statusOf([id])).simulated, false);
  });

  const skip = hre.globalOptions.coverage ? 'instrumented code costs more' : false;
  it('stays within the gas it promises', { skip }, async () => {
    const world = await load();
    const gasOf = async (hash: Hex) => (await world.publicClient.getTransactionReceipt({ hash })).gasUsed;
    const first = await gasOf(await register(world, world.id));
    const renewal = await gasOf(await register(world, world.id));
    assert.ok(first <= 150_000n, `first registration: ${first}`);
    assert.ok(renewal <= 100_000n, `renewal: ${renewal}`);
  });
});

/** The quote part inside the evidence of the simulated verifier. */
function quotePartIn(evidence: Hex): Hex {
  return `0x${evidence.slice(2 + 2 * 192, 2 + 2 * (192 + 632))}`;
}

type Claims = {
  teeType: number;
  simulated: boolean;
  debug: boolean;
  validUntil: bigint;
  imageId: Hex;
  configId: Hex;
  platformId: Hex;
  evidenceHash: Hex;
  reportDataHead: Hex;
  reportDataTail: Hex;
};

function encodeClaims(claims: Claims): Hex {
  const bytes32 = ['imageId', 'configId', 'platformId', 'evidenceHash', 'reportDataHead', 'reportDataTail'] as const;
  const components = [
    { name: 'teeType', type: 'uint8' },
    { name: 'simulated', type: 'bool' },
    { name: 'debug', type: 'bool' },
    { name: 'validUntil', type: 'uint64' },
    ...bytes32.map((name) => ({ name, type: 'bytes32' }) as const),
  ] as const;
  return encodeAbiParameters([{ type: 'tuple', components }], [claims as never]);
}
