import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { network } from 'hardhat';
import {
  type Address,
  encodeAbiParameters,
  type Hex,
  hexToBytes,
  keccak256,
  parseSignature,
  serializeSignature,
  toHex,
  zeroAddress,
} from 'viem';
import { deployCommitteeWorld, join, joinAll } from '../support/committeeWorld.ts';
import { deployEpochRecords, recordDigest, recordWith } from '../support/epochRecords.ts';
import { type Receipt, receiptDigest, receiptWith, signReceipt } from '../support/receipts.ts';
import { refused } from '../support/refused.ts';
import {
  ask,
  claim,
  conserved,
  day,
  deployStakeWorld,
  k,
  minimumBond,
  pha,
  phaShares,
  poolTimes,
  type StakeWorld,
  sharesOf,
  stake,
  startWorkers,
  treasury,
  windows,
  worthOf,
} from '../support/stakeWorld.ts';
import { chainId, enroll, register, signerOf } from '../support/world.ts';

const connection = await network.create();
const { networkHelpers } = connection;
const { time } = networkHelpers;
const load = () => networkHelpers.loadFixture(withWorker);
const loadGatekeepers = () => networkHelpers.loadFixture(withGatekeepers);

const offences = { equivocation: 0, twoRecords: 1, wrongResult: 2, silence: 3, downtime: 4 } as const;
const states = { open: 1, settled: 2, vetoed: 3 } as const;
const evidence = toHex('what the judge saw');

/** A running worker whose receipts signer 1 signs; Bob judges and the other operator guards. */
async function withWorker() {
  const world = await deployStakeWorld(connection);
  const [workerId] = await startWorkers(world, 1);
  assert(workerId !== undefined);
  await register(world, workerId);
  await world.govern(world.slashing, 'setJudge', [world.bob.account.address, true]);
  await world.govern(world.slashing, 'setGuardian', [world.otherOperator.account.address]);
  return { ...world, workerId, domain: { chainId, registry: world.workers.address } };
}
type World = Awaited<ReturnType<typeof withWorker>>;

type ProofChanges = {
  readonly first?: Partial<Receipt>;
  readonly second?: Partial<Receipt>;
  readonly seeds?: readonly [number, number];
  readonly domain?: { readonly chainId: number; readonly registry: Address };
};

/** Two receipts of one signer, channel and sequence that differ in what they answer, but for the changes. */
async function proof({ domain }: World, changes: ProofChanges = {}) {
  const channel = toHex(0xc4a, { size: 32 });
  const first = receiptWith({ channel, sequence: 7n, outputCommitment: toHex(1, { size: 32 }), ...changes.first });
  const second = receiptWith({ channel, sequence: 7n, outputCommitment: toHex(2, { size: 32 }), ...changes.second });
  const [one, two] = changes.seeds ?? [1, 1];
  const signed = changes.domain ?? domain;
  return [
    first,
    await signReceipt(first, signed, signerOf(one)),
    second,
    await signReceipt(second, signed, signerOf(two)),
  ] as const;
}

async function report(world: World, changes: ProofChanges = {}): Promise<Hex> {
  const { slashing, stranger } = world;
  await slashing.write.reportEquivocation(await proof(world, changes), { account: stranger.account });
  const [event] = await slashing.getEvents.CaseOpened();
  assert(event?.args.caseId !== undefined);
  return event.args.caseId;
}

type Judgement = {
  readonly offence?: number;
  readonly workerId?: Hex;
  readonly occurredAt?: number;
  readonly reporter?: Address;
  readonly evidence?: Hex;
  readonly by?: StakeWorld['bob'];
};

async function judge(world: World, changes: Judgement = {}): Promise<Hex> {
  const { slashing, bob, stranger, workerId } = world;
  const offence = changes.offence ?? offences.wrongResult;
  const subject = changes.workerId ?? workerId;
  const shown = changes.evidence ?? evidence;
  await slashing.write.reportJudged(
    [
      offence,
      subject,
      BigInt(changes.occurredAt ?? (await time.latest())),
      changes.reporter ?? stranger.account.address,
      shown,
    ],
    { account: (changes.by ?? bob).account },
  );
  return slashing.read.caseIdOf([offence, subject, keccak256(shown)]);
}

describe('Slashing: equivocation', () => {
  it('takes the whole bond at once; later the reporter gets a tenth, the treasury the rest', async () => {
    const world = await load();
    const { slashing, bonds, pools, pool, token, operator, alice, stranger, workerId, domain } = world;
    const before = await token.read.balanceOf([stranger.account.address]);
    const [first, firstSignature, second, secondSignature] = await proof(world);
    await slashing.write.reportEquivocation([first, firstSignature, second, secondSignature], {
      account: stranger.account,
    });
    const settleFrom = (await time.latest()) + windows.vetoWindow;
    const digests = [receiptDigest(first, domain), receiptDigest(second, domain)] as const;
    const [shown] = await slashing.getEvents.ProofShown();
    const { caseId } = shown?.args ?? {};
    assert(caseId !== undefined);
    assert.deepEqual(
      [shown?.args.signer, shown?.args.firstDigest, shown?.args.secondDigest],
      [signerOf(1).address, ...digests],
    );
    const sorted = [...digests].sort() as [Hex, Hex];
    const kept = await slashing.read.caseOf([caseId]);
    assert.deepEqual(
      [kept.offence, kept.state, kept.settleFrom, kept.subject, kept.amount, kept.evidenceHash],
      [
        offences.equivocation,
        states.open,
        settleFrom,
        workerId,
        minimumBond,
        keccak256(encodeAbiParameters([{ type: 'bytes32' }, { type: 'bytes32' }], sorted)),
      ],
    );
    assert.equal(kept.operator.toLowerCase(), pool);
    assert.equal(await token.read.balanceOf([slashing.address]), minimumBond);
    assert.equal(await bonds.read.isRunning([workerId]), false);
    // Its own shares burnt; who backed it lost nothing.
    assert.equal(await worthOf(world, operator), pha('900'));
    assert.equal(await worthOf(world, alice), pha('2000'));
    await conserved(world);

    await time.setNextBlockTimestamp(settleFrom - 1);
    await refused(slashing.write.settle([caseId]), 'SlashingWindowRuns', [settleFrom, settleFrom - 1]);
    await time.increaseTo(settleFrom);
    await slashing.write.settle([caseId], { account: alice.account });
    assert.equal((await token.read.balanceOf([stranger.account.address])) - before, pha('10'));
    assert.equal(await token.read.balanceOf([treasury]), pha('90'));
    assert.equal((await pools.read.poolOf([pool])).openSeizures, 0);
    await refused(slashing.write.settle([caseId]), 'SlashingNotOpen', [caseId, states.settled]);
    await refused(world.govern(slashing, 'veto', [caseId]), 'SlashingNotOpen', [caseId, states.settled]);
  });

  it('each signer once, the same proof in the other order or another proof', async () => {
    const world = await load();
    const { slashing, workerId } = world;
    const [a, signedA, b, signedB] = await proof(world);
    const caseId = await report(world);
    const before = [caseId, states.open];
    await refused(slashing.write.reportEquivocation([a, signedA, b, signedB]), 'SlashingReportedBefore', before);
    await refused(slashing.write.reportEquivocation([b, signedB, a, signedA]), 'SlashingReportedBefore', before);
    await refused(report(world, { first: { sequence: 9n }, second: { sequence: 9n } }), 'SlashingReportedBefore');
    await world.govern(slashing, 'veto', [caseId]);
    await refused(report(world), 'SlashingReportedBefore', [caseId, states.vetoed]);
    assert.equal(await world.bonds.read.isRunning([workerId]), false);
  });

  it('the same statement twice is none, however it is signed', async () => {
    const world = await load();
    const { slashing, domain } = world;
    const [receipt, signature] = await proof(world);
    const twice = [receipt, signature, receipt, signature] as const;
    await refused(slashing.write.reportEquivocation(twice), 'SlashingSameDigest', [receiptDigest(receipt, domain)]);
    // n − s signs the same; only as a signature of the other form, which nothing here reads.
    const { r, s, yParity } = parseSignature(signature);
    const order = 0xfffffffffffffffffffffffffffffffebaaedce6af48a03bbfd25e8cd0364141n;
    const high = toHex(order - BigInt(s), { size: 32 });
    const malleated = serializeSignature({ r, s: high, yParity: yParity === 0 ? 1 : 0 });
    await refused(slashing.write.reportEquivocation([receipt, signature, receipt, malleated]), 'SlashingSameDigest');
    const [, , other, otherSignature] = await proof(world);
    await refused(
      slashing.write.reportEquivocation([receipt, malleated, other, otherSignature]),
      'ECDSAInvalidSignatureS',
      [high],
    );
    const short = toHex(hexToBytes(signature).slice(0, 64));
    await refused(
      slashing.write.reportEquivocation([receipt, signature, other, short]),
      'ECDSAInvalidSignatureLength',
      [64n],
    );
  });

  it('needs one signer, channel and sequence, of this chain and registry, and a worker of the registry', async () => {
    const world = await load();
    const { slashing, apps, domain } = world;
    const call = async (changes: ProofChanges) => slashing.write.reportEquivocation(await proof(world, changes));
    await refused(call({ second: { sequence: 8n } }), 'SlashingNotSameSequence');
    await refused(call({ second: { channel: toHex(0xc4b, { size: 32 }) } }), 'SlashingNotSameSequence');
    await refused(call({ seeds: [1, 2] }), 'SlashingSignersDiffer', [signerOf(1).address, signerOf(2).address]);
    await refused(call({ seeds: [2, 2] }), 'SlashingSignerUnknown', [signerOf(2).address]);
    // What another network's worker signed recovers to nobody here.
    for (const other of [
      { ...domain, chainId: 1 },
      { ...domain, registry: apps.address },
    ])
      await refused(call({ domain: other }), 'SlashingSignersDiffer');
    await call({});
  });

  it('reaches a worker whose signer was replaced, and one that stopped, until its bond is free', async () => {
    const world = await load();
    const { bonds, workerId, operator } = world;
    await register(world, workerId, { signer: signerOf(5).address });
    await bonds.write.stop([workerId], { account: operator.account });
    await time.increase(7 * day - 60);
    await report(world);
    assert.equal(await bonds.read.bondOf([workerId]), 0n);
    const nothing = 'SlashingNothingAtStake';
    await refused(report(world, { seeds: [5, 5] }), nothing, [workerId]);
    // Nothing was marked: when it has a bond again, the proof counts.
    await time.increase(7 * day);
    await bonds.write.start([workerId], { account: operator.account });
    await report(world, { seeds: [5, 5] });
  });

  it('a worker that never had a bond, or whose bond is free, has nothing to lose', async () => {
    const world = await load();
    const { bonds, workerId, operator } = world;
    const idle = await enroll(world);
    await register(world, idle, { signer: signerOf(6).address });
    await refused(report(world, { seeds: [6, 6] }), 'SlashingNothingAtStake', [idle]);
    await bonds.write.stop([workerId], { account: operator.account });
    await time.increase(7 * day);
    await refused(report(world), 'SlashingNothingAtStake', [workerId]);
  });

  it('is vetoed by the timelock alone, in its window: everything is as it was, but the worker stands', async () => {
    const world = await load();
    const { slashing, token, operator, otherOperator, alice, govern } = world;
    const requestId = await ask(world, alice, phaShares('500'));
    const caseId = await report(world);
    const shares = await sharesOf(world, operator);
    for (const { account } of [otherOperator, operator])
      await refused(slashing.write.veto([caseId], { account }), 'SlashingCallerMayNotVeto', [
        account.address,
        offences.equivocation,
      ]);
    await govern(slashing, 'veto', [caseId]);
    assert.equal((await slashing.read.caseOf([caseId])).state, states.vetoed);
    assert.equal((await sharesOf(world, operator)) - shares, phaShares('100'));
    assert.equal(await worthOf(world, operator), pha('1000'));
    assert.equal(await token.read.balanceOf([slashing.address]), 0n);
    assert.equal((await world.pools.read.claimableRedeem([world.pool, requestId]))[0], pha('500'));
    await refused(slashing.write.settle([caseId]), 'SlashingNotOpen', [caseId, states.vetoed]);
    await conserved(world);
  });

  it('to the second: a judge’s time, the guardian’s veto, the settlement', async () => {
    const world = await load();
    const { slashing, otherOperator } = world;
    const now = (await time.latest()) + 100;
    await time.setNextBlockTimestamp(now);
    await judge(world, { occurredAt: now });
    await time.setNextBlockTimestamp(now + 10);
    const caseId = await judge(world, { occurredAt: now + 10 - 3 * day, evidence: toHex('old') });
    const { settleFrom } = await slashing.read.caseOf([caseId]);
    await time.setNextBlockTimestamp(settleFrom);
    await refused(slashing.write.veto([caseId], { account: otherOperator.account }), 'SlashingWindowOver', [
      settleFrom,
      settleFrom,
    ]);
    const another = await judge(world, { evidence: toHex('another'), occurredAt: settleFrom });
    const last = (await slashing.read.caseOf([another])).settleFrom;
    await time.setNextBlockTimestamp(last - 1);
    await slashing.write.veto([another], { account: otherOperator.account });
    await judge(world, { evidence: toHex('a third') });
    const third = await slashing.read.caseIdOf([offences.wrongResult, world.workerId, keccak256(toHex('a third'))]);
    await time.setNextBlockTimestamp((await slashing.read.caseOf([third])).settleFrom);
    await slashing.write.settle([third]);
  });

  it('names its evidence alike in either order', async () => {
    const world = await load();
    const [a, signedA, b, signedB] = await proof(world);
    const sorted = [receiptDigest(a, world.domain), receiptDigest(b, world.domain)].sort() as [Hex, Hex];
    const expected = keccak256(encodeAbiParameters([{ type: 'bytes32' }, { type: 'bytes32' }], sorted));
    for (const shown of [
      [a, signedA, b, signedB],
      [b, signedB, a, signedA],
    ] as const) {
      const snapshot = await networkHelpers.takeSnapshot();
      await world.slashing.write.reportEquivocation(shown);
      const [event] = await world.slashing.getEvents.CaseOpened();
      assert.equal(event?.args.evidenceHash, expected);
      await snapshot.restore();
    }
  });

  it('not after the window', async () => {
    const world = await load();
    const { slashing, govern } = world;
    const caseId = await report(world);
    const { settleFrom } = await slashing.read.caseOf([caseId]);
    await time.increaseTo(settleFrom);
    await refused(govern(slashing, 'veto', [caseId]), 'SlashingWindowOver');
    const none = toHex(0, { size: 32 });
    await refused(slashing.write.settle([none]), 'SlashingNotOpen', [none, 0]);
  });
});

describe('Slashing: whom it reaches', () => {
  it('who asked to leave ahead of it bears it, and is paid what is left once it is settled', async () => {
    const world = await load();
    const { slashing, pools, pool, alice, operator, govern, bonds } = world;
    await govern(bonds, 'setBondRule', [0n, pha('1500')]);
    await bonds.write.refresh([world.workerId]);
    const own = await ask(world, operator, phaShares('500'));
    const requestId = await ask(world, alice, phaShares('1000'));
    await time.increase(6 * day);
    const caseId = await report(world);
    // 1,500 of 3,000: the operator's 1,000, then a quarter of Alice's.
    assert.deepEqual(
      [await worthOf(world, alice), (await pools.read.claimableRedeem([pool, requestId]))[0]],
      [pha('750'), pha('750')],
    );
    await time.increase(2 * day);
    await refused(claim(world, alice, requestId), 'StakePoolsPaused');
    await refused(stake(world, alice, '1'), 'StakePoolsSeizureOpen', [pool, 1]);
    await time.increase(2 * day);
    await slashing.write.settle([caseId]);
    assert.equal(await claim(world, alice, requestId), pha('750'));
    assert.equal(await claim(world, operator, own), 0n);
    await conserved(world);
  });

  it('several cases of one worker never take more than its bond', async () => {
    const world = await load();
    const { token, slashing, bonds, workerId } = world;
    await judge(world);
    await judge(world, { evidence: toHex('another') });
    assert.equal(await bonds.read.bondOf([workerId]), pha('49'));
    await report(world);
    assert.equal(await token.read.balanceOf([slashing.address]), minimumBond);
    await refused(judge(world, { evidence: toHex('a third') }), 'SlashingNothingAtStake', [workerId]);
    await conserved(world);
  });
});

describe('Slashing: what is judged', () => {
  it('a share of the bond each; the worker goes on', async () => {
    const world = await load();
    const { slashing, bonds, bob, stranger, workerId, token } = world;
    const parts = [
      [offences.wrongResult, pha('30')],
      [offences.silence, pha('5')],
      [offences.downtime, pha('0.5')],
    ] as const;
    let left = minimumBond;
    for (const [offence, part] of parts) {
      const occurredAt = await time.latest();
      const caseId = await judge(world, { offence, occurredAt });
      const taken = (part * left) / minimumBond;
      const kept = await slashing.read.caseOf([caseId]);
      assert.deepEqual(
        [kept.amount, kept.evidenceHash, kept.reporter.toLowerCase()],
        [taken, keccak256(evidence), stranger.account.address],
      );
      const [shown] = await slashing.getEvents.JudgementShown();
      assert.deepEqual(
        [shown?.args.judge?.toLowerCase(), shown?.args.occurredAt, shown?.args.evidence],
        [bob.account.address, BigInt(occurredAt), evidence],
      );
      left -= taken;
    }
    assert.equal(await bonds.read.bondOf([workerId]), left);
    assert.equal(await bonds.read.isRunning([workerId]), true);
    // Without a reporter the treasury gets all.
    const caseId = await judge(world, { reporter: zeroAddress, evidence: toHex('z') });
    const { amount } = await slashing.read.caseOf([caseId]);
    await time.increase(4 * day);
    const before = await token.read.balanceOf([treasury]);
    await slashing.write.settle([caseId]);
    assert.equal((await token.read.balanceOf([treasury])) - before, amount);
  });

  it('by judges alone, in time, with evidence of bounded length, each once', async () => {
    const world = await load();
    const { slashing, alice, bob, govern, workerId } = world;
    await refused(judge(world, { by: alice }), 'SlashingCallerNotJudge', [alice.account.address]);
    for (const offence of [offences.equivocation, offences.twoRecords])
      await refused(judge(world, { offence }), 'SlashingNotJudged', [offence]);
    const now = await time.latest();
    const out = 'SlashingOutOfTime';
    await time.setNextBlockTimestamp(now + 10);
    await refused(judge(world, { occurredAt: now + 11 }), out, [now + 11, now + 10 - 3 * day, now + 10]);
    await time.setNextBlockTimestamp(now + 20);
    await refused(judge(world, { occurredAt: now + 19 - 3 * day }), out);
    await refused(judge(world, { evidence: '0x' }), 'SlashingEvidenceLength', [0n, 8192n]);
    const most = toHex(new Uint8Array(8192));
    await refused(judge(world, { evidence: `${most}00` }), 'SlashingEvidenceLength', [8193n, 8192n]);
    await judge(world, { evidence: most });
    const caseId = await judge(world);
    await refused(judge(world), 'SlashingReportedBefore', [caseId, states.open]);
    await judge(world, { offence: offences.silence });
    await govern(slashing, 'setJudge', [bob.account.address, false]);
    await refused(judge(world, { evidence: toHex('late') }), 'SlashingCallerNotJudge', [bob.account.address]);
    assert.equal(await world.bonds.read.isRunning([workerId]), true);
  });

  it('may be vetoed by the guardian too', async () => {
    const world = await load();
    const { slashing, otherOperator, bob, operator } = world;
    const caseId = await judge(world);
    await refused(slashing.write.veto([caseId], { account: bob.account }), 'SlashingCallerMayNotVeto', [
      bob.account.address,
      offences.wrongResult,
    ]);
    await slashing.write.veto([caseId], { account: otherOperator.account });
    assert.equal(await worthOf(world, operator), pha('1000'));
    await world.bonds.write.refresh([world.workerId]);
    assert.equal(await world.bonds.read.bondOf([world.workerId]), minimumBond);
    const another = await judge(world, { evidence: toHex('b') });
    await world.govern(slashing, 'veto', [another]);
  });
});

/** Three of four gatekeepers with 100 PHA each, their records, and Slashing as their bonds' slasher. */
async function withGatekeepers() {
  const world = await deployCommitteeWorld(connection);
  const { viem, timelock, token, bond, workers, govern, operators } = world;
  await token.write.approve([bond.address, pha('300')]);
  for (const { account } of operators.slice(0, 3)) await bond.write.deposit([account.address, pha('100')]);
  await joinAll(world);
  const records = await deployEpochRecords(world);
  const pools = await viem.deployContract('StakePools', [
    { timelock: timelock.address, token: token.address, ...poolTimes },
  ]);
  const bonds = await viem.deployContract('WorkerBonds', [
    timelock.address,
    pools.address,
    workers.address,
    k,
    minimumBond,
  ]);
  const slashing = await viem.deployContract('Slashing', [
    { timelock: timelock.address, workerBonds: bonds.address, ...windows, treasury, reporterBps: 1000 },
  ]);
  await govern(bond, 'setSlasher', [slashing.address]);
  return { ...world, records, pools, bonds, slashing };
}
type Gatekeepers = Awaited<ReturnType<typeof withGatekeepers>>;

/** Two records that one gatekeeper signed for one epoch and attempt, but for the changes. */
async function twoRecords(
  world: Gatekeepers,
  changes: { second?: object; seeds?: readonly [number, number]; onChain?: number } = {},
) {
  const first = await recordWith(world, 3n);
  const second = await recordWith(world, 3n, { work: 701n, ...changes.second });
  const [one, two] = changes.seeds ?? [1, 1];
  const sign = (record: typeof first, seed: number) =>
    signerOf(seed).sign({ hash: recordDigest(record, world.workers.address, changes.onChain) });
  return [first, await sign(first, one), second, await sign(second, two)] as const;
}

describe('Slashing: two records', () => {
  it('takes a gatekeeper’s bond, what it asked back too; by its signer, replaced since or not', async () => {
    const world = await loadGatekeepers();
    const { slashing, records, bond, token, govern, operators, committee, stranger } = world;
    await refused(slashing.write.reportTwoRecords(await twoRecords(world)), 'SlashingWithoutCode', [zeroAddress]);
    await govern(slashing, 'setGatekeeperSources', [records.address, bond.address]);
    assert.equal((await slashing.read.committee()).toLowerCase(), committee.address.toLowerCase());
    const operator = operators[0]?.account;
    assert(operator !== undefined);
    await bond.write.requestWithdrawal([pha('40')], { account: operator });
    await join(world, 0, { seed: 50 });
    const [a, signedA, b, signedB] = await twoRecords(world);
    await slashing.write.reportTwoRecords([a, signedA, b, signedB], { account: stranger.account });
    const caseId = (await slashing.getEvents.CaseOpened())[0]?.args.caseId;
    assert(caseId !== undefined);
    assert.equal(await token.read.balanceOf([slashing.address]), pha('100'));
    const { amount, leaving } = await bond.read.depositOf([operator.address]);
    assert.deepEqual([amount, leaving], [0n, 0n]);
    await refused(slashing.write.reportTwoRecords([b, signedB, a, signedA]), 'SlashingReportedBefore', [caseId, 1]);
    await refused(
      slashing.write.reportTwoRecords(await twoRecords(world, { seeds: [50, 50] })),
      'SlashingNothingAtStake',
    );
    await time.increase(4 * day);
    await slashing.write.settle([caseId]);
    assert.deepEqual(
      [await token.read.balanceOf([stranger.account.address]), await token.read.balanceOf([treasury])],
      [pha('10'), pha('90')],
    );
  });

  it('a veto of the timelock puts it back as a bond', async () => {
    const world = await loadGatekeepers();
    const { slashing, records, bond, govern, operators, token } = world;
    await govern(slashing, 'setGatekeeperSources', [records.address, bond.address]);
    await govern(slashing, 'setOffenceShare', [offences.twoRecords, 5000]);
    await slashing.write.reportTwoRecords(await twoRecords(world));
    const caseId = (await slashing.getEvents.CaseOpened())[0]?.args.caseId;
    assert(caseId !== undefined);
    const operator = operators[0]?.account.address as Address;
    assert.equal(await bond.read.bondOf([operator]), pha('50'));
    await govern(slashing, 'veto', [caseId]);
    assert.equal(await bond.read.bondOf([operator]), pha('100'));
    assert.equal(await token.read.balanceOf([slashing.address]), 0n);
  });

  it('needs one signer of the committee, epoch and attempt, on this chain', async () => {
    const world = await loadGatekeepers();
    const { slashing, records, bond, govern } = world;
    await govern(slashing, 'setGatekeeperSources', [records.address, bond.address]);
    const call = async (changes: Parameters<typeof twoRecords>[1]) =>
      slashing.write.reportTwoRecords(await twoRecords(world, changes));
    await refused(call({ second: { epoch: 4n } }), 'SlashingNotSameAttempt');
    await refused(call({ second: { attempt: 1 } }), 'SlashingNotSameAttempt');
    await refused(call({ second: { work: 700n } }), 'SlashingSameDigest');
    await refused(call({ seeds: [1, 2] }), 'SlashingSignersDiffer');
    await refused(call({ seeds: [9, 9] }), 'SlashingSignerUnknown', [signerOf(9).address]);
    await refused(call({ onChain: 1 }), 'SlashingSignersDiffer');
    await refused(call({ seeds: [4, 4] }), 'SlashingNothingAtStake');
    await call({});
  });

  it('its sources hold code, the same token, and bonds that stay long enough', async () => {
    const world = await loadGatekeepers();
    const { slashing, records, bond, govern, viem, timelock, token, deployer } = world;
    const set = (at: Address, from: Address) => govern(slashing, 'setGatekeeperSources', [at, from]);
    await refused(set(zeroAddress, bond.address), 'SlashingWithoutCode', [zeroAddress]);
    await refused(set(records.address, zeroAddress), 'SlashingWithoutCode', [zeroAddress]);
    const other = await viem.deployContract('PhaToken', [[deployer.account.address], [1n]]);
    const delay = BigInt(7 * day);
    const deploy = (of: Address, seconds: bigint) =>
      viem.deployContract('DepositBond', [timelock.address, of, seconds]);
    await refused(set(records.address, (await deploy(other.address, delay)).address), 'SlashingTokenMismatch');
    await refused(
      set(records.address, (await deploy(token.address, delay - 1n)).address),
      'SlashingUnbondingTooShort',
      [delay, delay - 1n],
    );
    await set(records.address, (await deploy(token.address, delay)).address);
  });
});

describe('Slashing: the rules', () => {
  it('stake stays longer than all windows together, and the pause longer than the veto’s', async () => {
    const { viem, timelock, bonds, pools, workers, token } = await load();
    const settings = {
      timelock: timelock.address,
      workerBonds: bonds.address,
      ...windows,
      treasury,
      reporterBps: 1000,
    };
    const deploy = (changes: object) => viem.deployContract('Slashing', [{ ...settings, ...changes }]);
    for (const window of ['detectionWindow', 'proofWindow', 'vetoWindow'])
      await refused(deploy({ [window]: 0 }), 'SlashingWindowMissing');
    await refused(deploy({ proofWindow: day + 1 }), 'SlashingUnbondingTooShort', [7 * day + 1, 7 * day]);
    await refused(deploy({ workerBonds: zeroAddress }), 'SlashingWithoutCode', [zeroAddress]);
    await refused(deploy({ treasury: zeroAddress }), 'SlashingTreasuryMissing');
    await refused(deploy({ reporterBps: 1001 }), 'SlashingShareOutOfRange', [1001, 0, 1000]);
    const short = await viem.deployContract('StakePools', [
      { timelock: timelock.address, token: token.address, ...poolTimes, maxPause: 4 * day - 1 },
    ]);
    const theirs = await viem.deployContract('WorkerBonds', [
      timelock.address,
      short.address,
      workers.address,
      k,
      minimumBond,
    ]);
    await refused(deploy({ workerBonds: theirs.address }), 'SlashingPauseTooShort', [4 * day, 4 * day - 1]);
    await deploy({ workerBonds: theirs.address, vetoWindow: 4 * day - 1 });
    assert.ok((await pools.read.unbonding()) >= 7 * day);
  });

  it('the timelock sets them within bounds', async () => {
    const { slashing, govern, operator, deployer, timelock, bob } = await load();
    for (const { account } of [operator, deployer])
      for (const call of [
        () => slashing.write.setOffenceShare([0, 10_000], { account }),
        () => slashing.write.setJudge([account.address, true], { account }),
        () => slashing.write.setGuardian([account.address], { account }),
        () => slashing.write.setTreasury([account.address], { account }),
        () => slashing.write.setReporterShare([0], { account }),
        () => slashing.write.setGatekeeperSources([account.address, account.address], { account }),
      ])
        await refused(call(), 'GovernedCallerNotTimelock', [account.address, timelock.address]);
    const bounds = [
      [offences.equivocation, 5000, 10_000],
      [offences.twoRecords, 5000, 10_000],
      [offences.wrongResult, 1, 5000],
      [offences.silence, 1, 2000],
      [offences.downtime, 1, 200],
    ] as const;
    for (const [offence, minimum, maximum] of bounds) {
      assert.deepEqual(await slashing.read.shareBounds([offence]), [minimum, maximum]);
      for (const bps of [minimum - 1, maximum + 1])
        await refused(govern(slashing, 'setOffenceShare', [offence, bps]), 'SlashingShareOutOfRange', [
          bps,
          minimum,
          maximum,
        ]);
      for (const bps of [minimum, maximum]) {
        await govern(slashing, 'setOffenceShare', [offence, bps]);
        assert.equal(await slashing.read.offenceShare([offence]), bps);
      }
    }
    await refused(govern(slashing, 'setReporterShare', [1001]), 'SlashingShareOutOfRange', [1001, 0, 1000]);
    await govern(slashing, 'setReporterShare', [0]);
    await refused(govern(slashing, 'setTreasury', [zeroAddress]), 'SlashingTreasuryMissing');
    await govern(slashing, 'setTreasury', [bob.account.address]);
    assert.equal((await slashing.read.treasury()).toLowerCase(), bob.account.address);
  });
});
