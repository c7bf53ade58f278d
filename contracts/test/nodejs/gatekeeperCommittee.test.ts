import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { network } from 'hardhat';
import {
  concatHex,
  encodeAbiParameters,
  getAddress,
  type Hex,
  hexToBytes,
  keccak256,
  parseEther,
  toHex,
  zeroAddress,
  zeroHash,
} from 'viem';
import {
  appsPublicKey,
  beaconPublicKey,
  type CommitteeWorld,
  deployCommitteeWorld,
  endpoint,
  gatekeeperBinding,
  handing,
  handOver,
  hpkeKeyOf,
  join,
  joinAll,
  joining,
  lastGatekeeper,
  networkKeysHash,
  proofOf,
} from '../support/committeeWorld.ts';
import { defaultImageId, networkFileId, platformKey, tcb } from '../support/evidence.ts';
import { refused } from '../support/refused.ts';
import { farFuture, hour, noRecipe, signerOf, someClaims, teePolicy, teeTdx } from '../support/world.ts';

const connection = await network.create();
const { networkHelpers } = connection;
const fresh = () => networkHelpers.loadFixture(freshCommittee);
const founded = () => networkHelpers.loadFixture(foundedCommittee);
const digest = keccak256('0xd16e57');

async function freshCommittee() {
  return deployCommitteeWorld(connection);
}

async function foundedCommittee() {
  const world = await deployCommitteeWorld(connection);
  await joinAll(world);
  await handOver(world);
  return world;
}

const operatorOf = (world: CommitteeWorld, index: number) => world.operators[index]?.account.address as Hex;

describe('GatekeeperCommittee, deployed', () => {
  it('refuses settings that can never work', async () => {
    const { viem, timelock, images, workers } = await fresh();
    const settings = {
      timelock: timelock.address,
      imageRegistry: images.address,
      workerRegistry: workers.address,
      maxAttestedBlockAge: 300,
      simulatedAllowed: true,
      diversityWaived: false,
    };
    const deploy = (changes: Partial<typeof settings>) =>
      viem.deployContract('GatekeeperCommittee', [{ ...settings, ...changes }]);
    await refused(deploy({ timelock: zeroAddress }), 'GovernedTimelockWithoutCode');
    await refused(deploy({ imageRegistry: zeroAddress }), 'EvidenceImageRegistryWithoutCode');
    await refused(deploy({ workerRegistry: zeroAddress }), 'GatekeeperCommitteeRegistryWithoutCode', [zeroAddress]);
    await refused(deploy({ maxAttestedBlockAge: 0 }), 'EvidenceBlockAgeOutOfRange', [0, 8191]);
    await refused(deploy({ maxAttestedBlockAge: 8192 }), 'EvidenceBlockAgeOutOfRange', [8192, 8191]);
    await deploy({ maxAttestedBlockAge: 8191 });
  });

  it('is governed by the timelock alone', async () => {
    const { committee, bond, timelock, operators, verifier } = await fresh();
    const account = operators[0]?.account;
    const caller = account?.address as Hex;
    const args = [caller, timelock.address];
    await refused(committee.write.setEligible([caller, false], { account }), 'GovernedCallerNotTimelock', args);
    await refused(committee.write.setThreshold([2], { account }), 'GovernedCallerNotTimelock', args);
    await refused(committee.write.setBondRule([bond.address, 1n], { account }), 'GovernedCallerNotTimelock', args);
    await refused(
      committee.write.setTeePolicy([teeTdx, teePolicy(verifier.address)], { account }),
      'GovernedCallerNotTimelock',
      args,
    );
  });

  it('keeps eligible operators in ascending order, at most 32', async () => {
    const { committee, govern, operators } = await fresh();
    const ascending = operators.map(({ account }) => getAddress(account.address));
    assert.deepEqual(await committee.read.eligibleOperators(), ascending);
    await refused(govern(committee, 'setEligible', [ascending[0], true]), 'GatekeeperCommitteeEligibilityUnchanged');
    await govern(committee, 'setEligible', [ascending[1], false]);
    await refused(govern(committee, 'setEligible', [ascending[1], false]), 'GatekeeperCommitteeEligibilityUnchanged');
    assert.deepEqual(await committee.read.eligibleOperators(), [ascending[0], ascending[2], ascending[3]]);
    await govern(committee, 'setEligible', [ascending[1], true]);
    assert.deepEqual(await committee.read.eligibleOperators(), ascending);
    for (let index = 1; index <= 28; index++)
      await govern(committee, 'setEligible', [toHex(index * 7, { size: 20 }), true]);
    const all = await committee.read.eligibleOperators();
    assert.deepEqual(
      all,
      [...all].sort((left, right) => (left.toLowerCase() < right.toLowerCase() ? -1 : 1)),
    );
    await refused(govern(committee, 'setEligible', [signerOf(99).address, true]), 'GatekeeperCommitteeFull', [32]);
  });

  it('refuses thresholds, bonds and policies out of range', async () => {
    const { committee, govern, verifier } = await fresh();
    await refused(govern(committee, 'setThreshold', [0]), 'GatekeeperCommitteeThresholdOutOfRange', [0, 32]);
    await refused(govern(committee, 'setThreshold', [33]), 'GatekeeperCommitteeThresholdOutOfRange', [33, 32]);
    await refused(govern(committee, 'setBondRule', [zeroAddress, 1n]), 'GatekeeperCommitteeBondWithoutCode');
    const policy = (changes: object) =>
      govern(committee, 'setTeePolicy', [2, { ...teePolicy(verifier.address), ...changes }]);
    await refused(policy({ verifier: signerOf(1).address }), 'EvidenceVerifierWithoutCode', [signerOf(1).address]);
    await refused(policy({ leaseDuration: 59 }), 'EvidenceLeaseDurationOutOfRange', [59, 60, 2_592_000]);
    await refused(policy({ leaseDuration: 2_592_001 }), 'EvidenceLeaseDurationOutOfRange');
    await refused(policy({ acceptedTcbStatuses: 0 }), 'EvidenceTcbStatusesInvalid', [0]);
    await refused(policy({ acceptedTcbStatuses: 0x80 }), 'EvidenceTcbStatusesInvalid', [0x80]);
    await refused(policy({ acceptedTcbStatuses: 0x01 }), 'EvidenceTcbStatusesInvalid', [0x01]);
    for (const changes of [{ leaseDuration: 60 }, { leaseDuration: 2_592_000 }, { verifier: zeroAddress }]) {
      await policy(changes);
      assert.deepEqual(await committee.read.teePolicyOf([2]), {
        ...teePolicy(getAddress(verifier.address)),
        ...changes,
      });
    }
  });
});

describe('GatekeeperCommittee.register', () => {
  it('takes an eligible operator whose evidence holds, and renews its lease by a small event', async () => {
    const world = await fresh();
    const { committee, publicClient } = world;
    await join(world, 0);
    const [registered] = await committee.getEvents.GatekeeperRegistered();
    const { timestamp } = await publicClient.getBlock();
    const status = await committee.read.statusOf([operatorOf(world, 0)]);
    assert.equal(status.signer, signerOf(1).address);
    assert.equal(status.hpkeKey, hpkeKeyOf(1));
    assert.equal(status.leaseUntil, timestamp + 6n * BigInt(hour));
    assert.equal(status.eligible && status.simulated, true);
    assert.equal(registered?.args.endpoint, endpoint);
    assert.equal(registered?.args.record?.endpointHash, keccak256(toHex(endpoint)));
    await networkHelpers.time.increase(hour);
    await join(world, 0);
    assert.equal((await committee.getEvents.GatekeeperRenewed()).length, 1);
    assert.equal((await committee.getEvents.GatekeeperRegistered()).length, 0);
    const later = await committee.read.statusOf([operatorOf(world, 0)]);
    assert.equal(later.leaseUntil > status.leaseUntil, true);
    assert.equal(later.recordHash, status.recordHash);
    await join(world, 0, { endpoint: 'https://elsewhere.example' });
    assert.equal((await committee.getEvents.GatekeeperRegistered()).length, 1);
  });

  it('refuses whoever may not join', async () => {
    const world = await fresh();
    const { committee, bond, govern, deployer } = world;
    const outsider = await joining(world, 0);
    await refused(committee.write.register(outsider, { account: deployer.account }), 'GatekeeperCommitteeNotEligible', [
      deployer.account.address,
    ]);
    await govern(committee, 'setBondRule', [bond.address, 5n]);
    await refused(join(world, 0), 'GatekeeperCommitteeBondTooSmall', [operatorOf(world, 0), 0n, 5n]);
    await world.token.write.approve([bond.address, 5n]);
    await bond.write.deposit([operatorOf(world, 0), 5n]);
    await join(world, 0);
  });

  it('refuses an enclave without keys, or another’s, and addresses that are none', async () => {
    const world = await fresh();
    await join(world, 0);
    await refused(join(world, 1, { signer: zeroAddress }), 'GatekeeperCommitteeSignerMissing');
    await refused(join(world, 1, { hpkeKey: zeroHash }), 'GatekeeperCommitteeHpkeKeyMissing');
    await refused(join(world, 1, { seed: 1 }), 'GatekeeperCommitteeSignerUsed', [
      signerOf(1).address,
      operatorOf(world, 0),
    ]);
    await join(world, 0, { seed: 11 });
    await refused(join(world, 0, { seed: 1 }), 'GatekeeperCommitteeSignerUsed');
    await refused(join(world, 1, { endpoint: '' }), 'GatekeeperCommitteeEndpointLength', [0, 256]);
    await refused(join(world, 1, { endpoint: 'x'.repeat(257) }), 'GatekeeperCommitteeEndpointLength', [257, 256]);
  });

  it('refuses evidence that is bound to anything else', async () => {
    const world = await fresh();
    const { committee } = world;
    const expected = gatekeeperBinding(
      committee.address,
      operatorOf(world, 0),
      signerOf(1).address,
      hpkeKeyOf(1),
      zeroHash,
    );
    for (const changes of [
      { boundCommittee: world.workers.address },
      { boundOperator: operatorOf(world, 1) },
      { boundHpkeKey: hpkeKeyOf(9) },
      { networkKeysHash: toHex(7, { size: 32 }) },
    ]) {
      const reported = gatekeeperBinding(
        changes.boundCommittee ?? committee.address,
        changes.boundOperator ?? operatorOf(world, 0),
        signerOf(1).address,
        changes.boundHpkeKey ?? hpkeKeyOf(1),
        changes.networkKeysHash ?? zeroHash,
      );
      await refused(join(world, 0, changes), 'EvidenceBindingMismatch', [expected, reported]);
    }
    await refused(join(world, 0, { blockHash: toHex(1, { size: 32 }) }), 'EvidenceBlockHashMismatch');
    await refused(
      join(world, 0, { attestedBlock: 0n, blockHash: toHex(1, { size: 32 }) }),
      'EvidenceBlockHashMismatch',
    );
  });

  it('refuses evidence of old or unknown blocks', async () => {
    const world = await fresh();
    const { committee, publicClient } = world;
    const [signer, hpkeKey, url, , teeType, evidence] = await joining(world, 0);
    const account = world.operators[0]?.account;
    const ahead = (await publicClient.getBlockNumber()) + 5n;
    await refused(
      committee.write.register([signer, hpkeKey, url, ahead, teeType, evidence], { account }),
      'EvidenceBlockUnknown',
    );
    const old = await publicClient.getBlockNumber();
    await networkHelpers.mine(301);
    await refused(
      committee.write.register([signer, hpkeKey, url, old, teeType, evidence], { account }),
      'EvidenceBlockTooOld',
    );
  });

  it('refuses evidence that breaks the policy', async () => {
    const world = await fresh();
    const { publicClient, govern, images } = world;
    await refused(join(world, 0, { teeType: 3 }), 'EvidenceVerifierMissing', [3]);
    await refused(join(world, 0, { claims: { teeType: 1 } }), 'EvidenceTeeTypeMismatch', [2, 1]);
    await refused(join(world, 0, { claims: { debug: true } }), 'EvidenceDebugRefused');
    await refused(join(world, 0, { claims: { tcbStatus: tcb.outOfDate } }), 'EvidenceTcbNotAccepted', [5, 6]);
    await refused(join(world, 0, { claims: { tcbEvaluationDataNumber: 9 } }), 'EvidenceTcbEvaluationTooOld', [9, 10]);
    await join(world, 1, { claims: { tcbEvaluationDataNumber: 10 } });
    await refused(join(world, 0, { claims: { imageId: toHex(1, { size: 32 }) } }), 'EvidenceImageNotAllowed');
    await refused(join(world, 0, { claims: { configId: toHex(1, { size: 32 }) } }), 'EvidenceConfigNotAllowed');
    const { timestamp } = await publicClient.getBlock();
    await refused(join(world, 0, { claims: { validUntil: timestamp } }), 'EvidenceExpired');
    await join(world, 0, { claims: { validUntil: timestamp + 100n } });
    assert.equal((await world.committee.read.statusOf([operatorOf(world, 0)])).leaseUntil, timestamp + 100n);
    const later = timestamp + 5000n;
    const arguments_ = await joining(world, 0, { claims: { validUntil: later } });
    await networkHelpers.time.setNextBlockTimestamp(later);
    const joined = world.committee.write.register(arguments_, { account: world.operators[0]?.account });
    await refused(joined, 'EvidenceExpired', [later, later]);
    await govern(images, 'revoke', [defaultImageId]);
    await refused(join(world, 0), 'EvidenceImageNotAllowed', [defaultImageId]);
    const real = await deployCommitteeWorld(connection, 4, 3, { simulatedAllowed: false });
    await refused(join(real, 0), 'EvidenceSimulatedRefused');
    await join(real, 0, { claims: { simulated: false } });
  });
});

describe('GatekeeperCommittee, leaving', () => {
  it('lets a gatekeeper retire: it is out of the next generation', async () => {
    const world = await founded();
    const { committee, operators } = world;
    await committee.write.retire({ account: operators[3]?.account });
    const [next] = await committee.read.nextMembers();
    assert.equal(next.length, 3);
    await refused(committee.write.retire({ account: operators[3]?.account }), 'GatekeeperCommitteeNotRegistered');
    assert.equal((await committee.read.members())[0].length, 4, 'its share counts until the next handover');
  });

  it('lets anyone evict for cause, and never without', async () => {
    const world = await founded();
    const { committee, images, govern, verifier } = world;
    const operator = operatorOf(world, 0);
    const record = await lastGatekeeper(world, operator);
    await refused(committee.write.evict([operator, record]), 'GatekeeperCommitteeNoCause', [operator]);
    await refused(committee.write.evict([operator, { ...record, teeType: 1 }]), 'GatekeeperCommitteeRecordMismatch');
    await govern(images, 'revokeConfig', [networkFileId]);
    await committee.write.evict([operator, record]);
    const [evicted] = await committee.getEvents.GatekeeperEvicted();
    assert.equal(evicted?.args.cause, 1);
    await refused(committee.write.evict([operator, record]), 'GatekeeperCommitteeNotRegistered', [operator]);
    await govern(images, 'allowConfig', [networkFileId]);
    await refused(join(world, 0), 'GatekeeperCommitteeSignerEvicted', [signerOf(1).address]);
    await join(world, 0, { seed: 21 });
    const again = await lastGatekeeper(world, operator);
    await govern(images, 'revoke', [defaultImageId]);
    await committee.write.evict([operator, again]);
    assert.equal((await committee.getEvents.GatekeeperEvicted())[0]?.args.cause, 0);
    await govern(images, 'allow', [defaultImageId, 0n, farFuture, 'gatekeeper', noRecipe]);
    await join(world, 0, { seed: 22 });
    const third = await lastGatekeeper(world, operator);
    await govern(images, 'blockPlatform', [third.platformId, 'opened']);
    await refused(join(world, 0, { seed: 23 }), 'EvidencePlatformBlocked', [third.platformId]);
    await committee.write.evict([operator, third]);
    assert.equal((await committee.getEvents.GatekeeperEvicted())[0]?.args.cause, 3);
    await govern(images, 'unblockPlatform', [third.platformId]);
    const other = operatorOf(world, 1);
    const ofOther = await lastGatekeeper(world, other);
    await govern(committee, 'setTeePolicy', [
      teeTdx,
      { ...teePolicy(verifier.address), minimumTcbEvaluationDataNumber: 4_000_000 },
    ]);
    await committee.write.evict([other, ofOther]);
    assert.equal((await committee.getEvents.GatekeeperEvicted())[0]?.args.cause, 2);
  });

  it('goes by status and data of now, where its type takes registrations', async () => {
    const { tcbEvaluationDataNumber } = someClaims;
    for (const [status, evaluation, cause] of [
      [tcb.upToDate, tcbEvaluationDataNumber, undefined],
      [tcb.upToDate, tcbEvaluationDataNumber - 1, 2],
      [tcb.outOfDate, tcbEvaluationDataNumber, 2],
    ] as const) {
      const world = await founded();
      const { committee, govern, verifier } = world;
      const operator = operatorOf(world, 0);
      const record = await lastGatekeeper(world, operator);
      const strict = { ...teePolicy(verifier.address), minimumTcbEvaluationDataNumber: tcbEvaluationDataNumber };
      await govern(committee, 'setTeePolicy', [teeTdx, strict]);
      const verdict = { tcbStatus: status, tcbEvaluationDataNumber: evaluation, validUntil: farFuture };
      await verifier.write.script([platformKey, verdict]);
      if (cause === undefined) {
        await refused(committee.write.evict([operator, record]), 'GatekeeperCommitteeNoCause', [operator]);
        await govern(committee, 'setTeePolicy', [teeTdx, teePolicy(zeroAddress)]);
        await refused(committee.write.evict([operator, record]), 'GatekeeperCommitteeNoCause', [operator]);
      } else {
        await committee.write.evict([operator, record]);
        assert.equal((await committee.getEvents.GatekeeperEvicted())[0]?.args.cause, cause);
      }
    }
  });

  it('a lease that ended is nobody’s to end, and no member of the next generation', async () => {
    const world = await founded();
    const operator = operatorOf(world, 0);
    const record = await lastGatekeeper(world, operator);
    await networkHelpers.time.increase(7 * hour);
    await refused(world.committee.write.evict([operator, record]), 'GatekeeperCommitteeNotRegistered');
    assert.deepEqual((await world.committee.read.nextMembers())[0], []);
  });
});

describe('GatekeeperCommittee.handOver', () => {
  it('founds the committee: keys, members and what the founding rests on stand for ever', async () => {
    const world = await fresh();
    const { committee, publicClient } = world;
    await joinAll(world);
    const { record, digest: signed } = await handing(world);
    await handOver(world);
    const generation = await committee.read.generation();
    const { timestamp } = await publicClient.getBlock();
    assert.deepEqual(generation, {
      number: 1n,
      since: timestamp,
      threshold: 3,
      digest: signed,
      publicSharesHash: record.publicSharesHash,
    });
    assert.equal(await committee.read.networkKeysHash(), networkKeysHash);
    assert.equal(await committee.read.appsPublicKey(), appsPublicKey);
    assert.equal(await committee.read.beaconPublicKey(), beaconPublicKey);
    const [operators, signers, hpkeKeys] = await committee.read.members();
    assert.deepEqual(
      operators,
      world.operators.map(({ account }) => getAddress(account.address)),
    );
    assert.deepEqual(
      signers,
      [1, 2, 3, 4].map((seed) => signerOf(seed).address),
    );
    assert.deepEqual(hpkeKeys, [1, 2, 3, 4].map(hpkeKeyOf));
    const evidenceHashes = [1, 2, 3, 4].map((seed) => toHex(0xe000 + seed, { size: 32 }));
    const founding = keccak256(
      encodeAbiParameters([{ type: 'bytes32' }, { type: 'bytes32[]' }], [record.transcriptHash, evidenceHashes]),
    );
    assert.equal(await committee.read.foundingHash(), founding);
    await join(world, 0, { seed: 31 });
    await handOver(world, { oldSigners: { 1: 2, 2: 3, 3: 4 }, newSigners: { 0: 31, 1: 2, 2: 3 } });
    assert.equal((await committee.read.generation()).number, 2n);
    assert.equal(await committee.read.foundingHash(), founding);
  });

  it('asks for signatures of both: those who hand over, and those who hold', async () => {
    const world = await founded();
    await join(world, 0, { seed: 31 });
    const { digest: signed } = await handing(world);
    const oldOnes = { 1: 2, 2: 3, 3: 4 };
    const newOnes = { 0: 31, 1: 2, 2: 3 };
    const notMembers = [
      { 0: 31, 1: 2, 2: 3 },
      { 1: 2, 2: 3 },
      { 0: 1, 1: 2, 2: 3, 3: 4 },
      { 1: 2, 2: 3, 4: 5 },
    ];
    for (const oldSigners of notMembers)
      await refused(handOver(world, { oldSigners, newSigners: newOnes }), 'GatekeeperCommitteeNotSignedByMembers', [
        signed,
      ]);
    for (const newSigners of [
      { 0: 1, 1: 2, 2: 3 },
      { 0: 31, 1: 2 },
      { 0: 31, 1: 2, 3: 3 },
    ])
      await refused(handOver(world, { oldSigners: oldOnes, newSigners }), 'GatekeeperCommitteeNotSignedByHolders', [
        signed,
      ]);
    await handOver(world, { oldSigners: oldOnes, newSigners: newOnes });
  });

  it('takes each generation once, in order', async () => {
    const world = await founded();
    const arguments_ = (await handing(world)).arguments;
    await refused(handOver(world, { generation: 1n }), 'GatekeeperCommitteeGenerationMismatch', [2, 1]);
    await refused(handOver(world, { generation: 3n }), 'GatekeeperCommitteeGenerationMismatch', [2, 3]);
    await world.committee.write.handOver(arguments_);
    await refused(world.committee.write.handOver(arguments_), 'GatekeeperCommitteeGenerationMismatch', [3, 2]);
  });

  it('takes the members and the threshold of now, and no others', async () => {
    const world = await founded();
    const { committee, govern, operators } = world;
    const before = (await handing(world)).arguments;
    await join(world, 2, { seed: 32 });
    await refused(committee.write.handOver(before), 'GatekeeperCommitteeMembersMismatch');
    await committee.write.retire({ account: operators[2]?.account });
    await refused(committee.write.handOver(before), 'GatekeeperCommitteeMembersMismatch');
    await refused(handOver(world, { threshold: 2 }), 'GatekeeperCommitteeThresholdMismatch', [3, 2]);
    await govern(committee, 'setThreshold', [4]);
    await refused(handOver(world), 'GatekeeperCommitteeThresholdOutOfRange', [4, 3]);
    await govern(committee, 'setThreshold', [1]);
    await refused(handOver(world), 'GatekeeperCommitteeThresholdOutOfRange', [1, 3]);
    await govern(committee, 'setThreshold', [2]);
    await handOver(world, { oldSigners: { 0: 1, 1: 2, 3: 4 }, newSigners: { 0: 1, 2: 4 }, dealers: 0b1011 });
    assert.equal((await committee.read.generation()).threshold, 2);
  });

  it('asks for enough dealers, all of them members', async () => {
    const world = await founded();
    await refused(handOver(world, { dealers: 0b0011 }), 'GatekeeperCommitteeDealersInvalid', [0b0011, 4, 3]);
    await refused(handOver(world, { dealers: 0b10111 }), 'GatekeeperCommitteeDealersInvalid', [0b10111, 4, 3]);
    await handOver(world, { dealers: 0b1101 });
    const first = await fresh();
    await joinAll(first);
    await refused(handOver(first, { dealers: 0b0101 }), 'GatekeeperCommitteeDealersInvalid', [0b0101, 4, 3]);
  });

  it('keeps the keys, and takes only what has the form of keys', async () => {
    const world = await founded();
    const other = `0x97${'ac'.repeat(47)}` as const;
    await refused(handOver(world, { appsPublicKey: other }), 'GatekeeperCommitteeKeysChanged');
    await refused(
      handOver(world, { appsPublicKey: beaconPublicKey, beaconPublicKey: appsPublicKey }),
      'GatekeeperCommitteeKeysChanged',
    );
    const first = await fresh();
    await joinAll(first);
    for (const bad of ['0x', `0x97${'aa'.repeat(46)}`, `0x17${'aa'.repeat(47)}`, `0xc0${'00'.repeat(47)}`] as Hex[]) {
      await refused(handOver(first, { appsPublicKey: bad }), 'GatekeeperCommitteeKeyInvalid', [bad]);
      await refused(handOver(first, { beaconPublicKey: bad }), 'GatekeeperCommitteeKeyInvalid', [bad]);
    }
  });

  it('lets no vendor reach the threshold, unless that was waived for ever', async () => {
    const world = await deployCommitteeWorld(connection, 4, 3, { diversityWaived: false });
    const { committee, govern, verifier } = world;
    for (const teeType of [1, 3, 4]) await govern(committee, 'setTeePolicy', [teeType, teePolicy(verifier.address)]);
    await join(world, 0, { teeType: 2, claims: { teeType: 2 } });
    await join(world, 1, { teeType: 1, claims: { teeType: 1 } });
    await join(world, 2, { teeType: 3, claims: { teeType: 3 } });
    await join(world, 3, { teeType: 2, claims: { teeType: 2 } });
    await refused(handOver(world), 'GatekeeperCommitteeVendorTooStrong', [1, 3, 3]);
    await join(world, 3, { seed: 41, teeType: 4, claims: { teeType: 4 } });
    await handOver(world, { newSigners: { 0: 1, 1: 2, 2: 3 } });
    assert.equal(await committee.read.diversityWaived(), false);
  });

  it('leaves out who has lost its bond', async () => {
    const world = await fresh();
    const { committee, bond, token, govern, operators } = world;
    await token.write.approve([bond.address, parseEther('100')]);
    for (const { account } of operators) await bond.write.deposit([account.address, 10n]);
    await govern(committee, 'setBondRule', [bond.address, 10n]);
    await joinAll(world);
    assert.equal((await committee.read.nextMembers())[0].length, 4);
    await bond.write.requestWithdrawal([1n], { account: operators[1]?.account });
    assert.equal((await committee.read.nextMembers())[0].length, 3);
    assert.equal((await committee.read.nextMembers())[4], 4n);
  });
});

describe('GatekeeperCommittee.verify', () => {
  it('holds for exactly threshold signatures of members in their order', async () => {
    const { committee } = await founded();
    for (const signers of [
      { 0: 1, 1: 2, 2: 3 },
      { 0: 1, 2: 3, 3: 4 },
      { 1: 2, 2: 3, 3: 4 },
    ])
      assert.equal(await committee.read.verify([digest, await proofOf(digest, signers)]), true);
  });

  it('is false for everything else, and never an error', async () => {
    const { committee } = await founded();
    const good = await proofOf(digest, { 0: 1, 1: 2, 2: 3 });
    const bytes = hexToBytes(good);
    const changed = (at: number, by: number) => {
      const copy = bytes.slice();
      copy[at] = (copy[at] ?? 0) ^ by;
      return toHex(copy);
    };
    const wrong: Record<string, Hex> = {
      nothing: '0x',
      'too few': await proofOf(digest, { 0: 1, 1: 2 }),
      'too many': await proofOf(digest, { 0: 1, 1: 2, 2: 3, 3: 4 }),
      'one member twice': concatHex(['0x00000007', ...[1, 1, 2].map((seed) => signatureOf(seed))]),
      'a stranger': await proofOf(digest, { 0: 1, 1: 2, 2: 9 }),
      'another order': await proofOf(digest, { 0: 2, 1: 1, 2: 3 }),
      'a member that there is not': await proofOf(digest, { 0: 1, 1: 2, 4: 3 }),
      'an index far outside': await proofOf(digest, { 0: 1, 1: 2, 31: 3 }),
      'a byte more': `${good}00`,
      'a byte less': good.slice(0, -2) as Hex,
      'a bitmap alone': '0x00000007',
      'a flipped bit in a signature': changed(30, 1),
      'a flipped bit in the bitmap': changed(3, 8),
      'another v': changed(68, 7),
    };
    for (const [name, proof] of Object.entries(wrong))
      assert.equal(await committee.read.verify([digest, proof]), false, name);
    assert.equal(await committee.read.verify([keccak256('0x00'), good]), false, 'another digest');

    function signatureOf(seed: number): Hex {
      return signatures.get(seed) as Hex;
    }
  });

  it('is false before there is a committee', async () => {
    const { committee } = await fresh();
    for (const proof of ['0x', '0x00000000', await proofOf(digest, { 0: 1, 1: 2, 2: 3 })] as Hex[])
      assert.equal(await committee.read.verify([digest, proof]), false);
  });

  it('is false for the members of the generation before', async () => {
    const world = await founded();
    await join(world, 0, { seed: 31 });
    await handOver(world, { oldSigners: { 1: 2, 2: 3, 3: 4 }, newSigners: { 0: 31, 1: 2, 2: 3 } });
    assert.equal(await world.committee.read.verify([digest, await proofOf(digest, { 0: 1, 1: 2, 2: 3 })]), false);
    assert.equal(await world.committee.read.verify([digest, await proofOf(digest, { 0: 31, 1: 2, 2: 3 })]), true);
  });
});

const signatures = new Map(
  await Promise.all([1, 2].map(async (seed) => [seed, await signerOf(seed).sign({ hash: digest })] as const)),
);
