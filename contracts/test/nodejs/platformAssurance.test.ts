import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { network } from 'hardhat';
import { getAddress, toHex, zeroAddress, zeroHash } from 'viem';
import { platformId } from '../support/evidence.ts';
import { refused } from '../support/refused.ts';
import { deployWorld, enroll, hour, lastRecord, register, signerOf } from '../support/world.ts';

const connection = await network.create();
const { networkHelpers, viem } = connection;
const load = () => networkHelpers.loadFixture(withWorker);
const levels = { none: 0, selfAsserted: 1, ownerEndorsed: 2, audited: 3 } as const;
const report = toHex(0x5e, { size: 32 });
const year = 365n * 86_400n;

async function withWorker() {
  const world = await deployWorld(connection);
  const assurance = await viem.deployContract('PlatformAssurance', [world.timelock.address, world.workers.address]);
  const id = await enroll(world);
  await register(world, id);
  const record = await lastRecord(world, id);
  const now = async () => (await world.publicClient.getBlock()).timestamp;
  const level = (operator = world.operator) => assurance.read.levelOf([platformId, operator.account.address]);
  return { ...world, assurance, id, record, now, level };
}

describe('PlatformAssurance', () => {
  it('climbs from an operator’s word over the owner’s to an auditor’s, and back when they end', async () => {
    const { assurance, operator, owner, stranger: auditor, id, record, govern, level, now } = await load();
    assert.equal(await level(), levels.none);
    await assurance.write.nameOwner([id, record, owner.account.address], { account: operator.account });
    assert.equal(await level(), levels.selfAsserted);

    const endorsedUntil = (await now()) + 10n * BigInt(hour);
    await assurance.write.endorse([platformId, operator.account.address, endorsedUntil], { account: owner.account });
    assert.equal(await level(), levels.ownerEndorsed);
    assert.deepEqual(await assurance.read.ownershipOf([platformId, operator.account.address]), {
      owner: getAddress(owner.account.address),
      endorsedUntil,
    });

    await govern(assurance, 'setAuditor', [auditor.account.address, true]);
    const auditedUntil = (await now()) + 5n * BigInt(hour);
    await assurance.write.audit([platformId, auditedUntil, report], { account: auditor.account });
    assert.equal(await level(), levels.audited);
    assert.deepEqual(await assurance.read.auditOf([platformId]), {
      auditor: getAddress(auditor.account.address),
      until: auditedUntil,
      report,
    });

    await networkHelpers.time.increaseTo(auditedUntil);
    assert.equal(await level(), levels.ownerEndorsed);
    await networkHelpers.time.increaseTo(endorsedUntil);
    assert.equal(await level(), levels.selfAsserted);
  });

  it('counts what an operator and its owner say for that operator alone, an audit for the machine', async () => {
    const { assurance, operator, otherOperator, owner, deployer, id, record, govern, level, now } = await load();
    await assurance.write.nameOwner([id, record, owner.account.address], { account: operator.account });
    assert.equal(await level(otherOperator), levels.none);
    await govern(assurance, 'setAuditor', [deployer.account.address, true]);
    await assurance.write.audit([platformId, (await now()) + year, report]);
    assert.equal(await level(otherOperator), levels.audited);
  });

  it('drops what an auditor stated once it is removed, and an endorsement once another owner is named', async () => {
    const { assurance, operator, owner, deployer, stranger, id, record, govern, level, now } = await load();
    await assurance.write.nameOwner([id, record, owner.account.address], { account: operator.account });
    const until = (await now()) + year;
    await assurance.write.endorse([platformId, operator.account.address, until], { account: owner.account });
    await govern(assurance, 'setAuditor', [deployer.account.address, true]);
    await assurance.write.audit([platformId, until, report]);
    await govern(assurance, 'setAuditor', [deployer.account.address, false]);
    assert.equal(await level(), levels.ownerEndorsed);
    await assurance.write.nameOwner([id, record, stranger.account.address], { account: operator.account });
    assert.equal(await level(), levels.selfAsserted);
    const former = assurance.write.endorse([platformId, operator.account.address, until], { account: owner.account });
    await refused(former, 'PlatformAssuranceCallerNotOwner', [owner.account.address, stranger.account.address]);
  });

  it('lets owner and auditor take back their word', async () => {
    const { assurance, operator, owner, deployer, id, record, govern, level, now } = await load();
    await assurance.write.nameOwner([id, record, owner.account.address], { account: operator.account });
    const until = (await now()) + year;
    const endorse = (time: bigint) =>
      assurance.write.endorse([platformId, operator.account.address, time], { account: owner.account });
    await endorse(until);
    await govern(assurance, 'setAuditor', [deployer.account.address, true]);
    await assurance.write.audit([platformId, until, report]);
    await assurance.write.audit([platformId, 0n, zeroHash]);
    assert.equal(await level(), levels.ownerEndorsed);
    await endorse(0n);
    assert.equal(await level(), levels.selfAsserted);
  });

  it('takes an owner’s name only from the operator of an active worker on that machine', async () => {
    const { assurance, workers, operator, owner, stranger, id, record } = await load();
    const name = (caller: typeof operator, changes = {}, to = owner.account.address) =>
      assurance.write.nameOwner([id, { ...record, ...changes }, to], { account: caller.account });
    await refused(name(operator, {}, zeroAddress), 'PlatformAssuranceZeroOwner', []);
    await refused(name(stranger), 'PlatformAssuranceCallerNotOperator', [
      stranger.account.address,
      operator.account.address,
    ]);
    await refused(name(stranger, { operator: stranger.account.address }), 'PlatformAssuranceRecordMismatch');
    await refused(name(operator, { platformId: toHex(1, { size: 32 }) }), 'PlatformAssuranceRecordMismatch');
    await workers.write.retire([id], { account: operator.account });
    await refused(name(operator), 'PlatformAssuranceWorkerNotActive', [id, 4]);
  });

  it('does not take it from a worker whose lease is over', async () => {
    const { assurance, workers, operator, owner, id, record } = await load();
    const { leaseUntil } = await workers.read.statusOf([id]);
    await networkHelpers.time.increaseTo(leaseUntil);
    const call = assurance.write.nameOwner([id, record, owner.account.address], { account: operator.account });
    await refused(call, 'PlatformAssuranceWorkerNotActive', [id, 2]);
  });

  it('refuses times that are over or too far away', async () => {
    const { assurance, deployer, govern, now } = await load();
    await govern(assurance, 'setAuditor', [deployer.account.address, true]);
    const next = (await now()) + 10n;
    for (const until of [1n, next, next + 2n * year + 1n]) {
      await networkHelpers.time.setNextBlockTimestamp(next);
      const call = assurance.write.audit([platformId, until, report]);
      await refused(call, 'PlatformAssuranceUntilOutOfRange', [until, next + 1n, next + 2n * year]);
    }
  });

  it('lets elected auditors alone audit, and none over a running audit of another', async () => {
    const { assurance, deployer, stranger, owner, govern, now, level } = await load();
    const by = async (caller: typeof stranger) =>
      assurance.write.audit([platformId, (await now()) + year, report], { account: caller.account });
    await refused(by(stranger), 'PlatformAssuranceCallerNotAuditor', [stranger.account.address]);
    await refused(
      assurance.write.setAuditor([stranger.account.address, true], { account: deployer.account }),
      'GovernedCallerNotTimelock',
    );
    for (const one of [stranger, owner]) await govern(assurance, 'setAuditor', [one.account.address, true]);
    await by(stranger);
    await refused(by(owner), 'PlatformAssuranceAuditedByOther', [platformId, stranger.account.address]);
    await govern(assurance, 'setAuditor', [stranger.account.address, false]);
    assert.equal(await level(), levels.none);
    await by(owner);
    assert.equal(await level(), levels.audited);
  });

  it('elects a bounded number of auditors, each once', async () => {
    const { assurance, govern } = await load();
    for (let seed = 1; seed <= 32; seed++) await govern(assurance, 'setAuditor', [signerOf(seed).address, true]);
    assert.equal(await assurance.read.auditorCount(), 32n);
    await refused(
      govern(assurance, 'setAuditor', [signerOf(33).address, true]),
      'PlatformAssuranceTooManyAuditors',
      [32],
    );
    for (const [seed, elected] of [
      [1, true],
      [33, false],
    ] as const)
      await refused(
        govern(assurance, 'setAuditor', [signerOf(seed).address, elected]),
        'PlatformAssuranceAuditorUnchanged',
        [signerOf(seed).address, elected],
      );
  });

  it('refuses a registry without code', async () => {
    const { timelock, stranger } = await load();
    const nobody = stranger.account.address;
    await refused(
      viem.deployContract('PlatformAssurance', [timelock.address, nobody]),
      'PlatformAssuranceRegistryWithoutCode',
      [nobody],
    );
  });
});
