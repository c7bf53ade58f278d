import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { network } from 'hardhat';
import { type Address, encodeFunctionData, type Hex, toHex, zeroAddress, zeroHash } from 'viem';
import {
  type Act,
  abstain,
  act,
  against,
  closeVote,
  dangerousAct,
  deployGovernorWorld,
  type GovernorWorld,
  governorRules,
  inFavour,
  openVote,
  operationOf,
  ordinaryAct,
  type Proposal,
  pairs,
  proposalOf,
  proposalStates,
  propose,
  proposing,
  roles,
  selfDelegate,
  split,
  splitSupport,
  stakeIn,
  vote,
} from '../support/governorWorld.ts';
import { refusalOf, refused } from '../support/refused.ts';
import { day, pha } from '../support/stakeWorld.ts';
import { noRecipe } from '../support/world.ts';

const connection = await network.create();
const { networkHelpers } = connection;
const { time } = networkHelpers;
const days = (count: number) => count * day;
/** Twice a pool's unbonding of 7 days, a pause of 10, and a day. */
const stakeDays = 25;

/** Everybody votes with all they hold, 10 million PHA each; Alice has a million of hers at stake. */
async function world() {
  const loaded = await deployGovernorWorld(connection);
  const { operator, otherOperator, alice, bob, stranger } = loaded;
  await stakeIn(loaded, alice, '1000000');
  await selfDelegate(loaded, operator, otherOperator, alice, bob, stranger);
  return loaded;
}
const load = () => networkHelpers.loadFixture(world);

const stateOf = ({ governor }: GovernorWorld, { id }: Proposal) => governor.read.state([id]);
const waits = (seconds: number) => time.increase(seconds);

/** Proposes, and lets these amounts of PHA be cast by Bob. */
async function decided(
  world: GovernorWorld,
  acts: readonly Act[],
  parts: { for?: string; against?: string; abstain?: string } = { for: '9000000' },
  description?: string,
): Promise<Proposal> {
  const proposal = await propose(world, acts, world.stranger, description);
  await openVote(world);
  const amounts = Object.fromEntries(Object.entries(parts).map(([side, amount]) => [side, pha(amount)]));
  await vote(world, proposal, world.bob, splitSupport, split(amounts));
  await closeVote(world);
  return proposal;
}

async function queue({ governor }: GovernorWorld, proposal: Proposal) {
  return governor.write.queue(operationOf(proposal));
}
async function execute({ governor, bob }: GovernorWorld, proposal: Proposal) {
  return governor.write.execute(operationOf(proposal), { account: bob.account });
}

/** The whole way of an act, waiting as long as it asks for. */
async function enact(world: GovernorWorld, acts: readonly Act[], description?: string): Promise<Proposal> {
  const proposal = await decided(world, acts, { for: '9000000' }, description);
  await queue(world, proposal);
  await waits(Number((await world.governor.read.termsOf([proposal.id])).delay));
  await execute(world, proposal);
  return proposal;
}

/** The timelock's id of a proposal. */
async function timelockIdOf({ timelock, governor }: GovernorWorld, proposal: Proposal) {
  const [targets, values, calldatas, descriptionHash] = operationOf(proposal);
  const salt = toHex(BigInt(descriptionHash) ^ (BigInt(governor.address) << 96n), { size: 32 });
  return { id: await timelock.read.hashOperationBatch([targets, values, calldatas, zeroHash, salt]), salt };
}

describe('CloisterGovernor: the timelock’s one proposer', () => {
  it('takes over its roles, nothing else changes; who proposed before no longer does', async () => {
    const loaded = await load();
    const { timelock, governor, deployer, images, pools, token } = loaded;
    for (const role of [roles.proposer, roles.canceller]) {
      assert.equal(await timelock.read.hasRole([role, governor.address]), true);
      assert.equal(await timelock.read.hasRole([role, deployer.account.address]), false);
    }
    const admin = await timelock.read.DEFAULT_ADMIN_ROLE();
    for (const account of [governor.address, deployer.account.address])
      assert.equal(await timelock.read.hasRole([admin, account]), false);
    assert.equal(await timelock.read.hasRole([admin, timelock.address]), true);
    for (const contract of [images, pools])
      assert.equal(BigInt(await contract.read.timelock()), BigInt(timelock.address));
    assert.equal(BigInt(await governor.read.timelock()), BigInt(timelock.address));
    assert.equal(BigInt(await token.read.delegates([timelock.address])), 0n);
    const { target, data } = ordinaryAct(loaded);
    await refused(
      timelock.write.schedule([target, 0n, data, zeroHash, zeroHash, 0n], { account: deployer.account }),
      'AccessControlUnauthorizedAccount',
      [deployer.account.address, roles.proposer],
    );
  });

  it('a proposal goes its whole way', async () => {
    const loaded = await load();
    const { governor, images, bob } = loaded;
    const proposal = await propose(loaded, [ordinaryAct(loaded)]);
    const terms = await governor.read.termsOf([proposal.id]);
    assert.deepEqual(terms, { dangerous: false, delay: days(2), needed: pha('2000000') });
    assert.equal(await stateOf(loaded, proposal), proposalStates.pending);
    await refused(vote(loaded, proposal, bob, inFavour), 'GovernorUnexpectedProposalState');
    await openVote(loaded);
    assert.equal(await stateOf(loaded, proposal), proposalStates.active);
    await vote(loaded, proposal, bob, inFavour);
    await refused(queue(loaded, proposal), 'GovernorUnexpectedProposalState');
    await closeVote(loaded);
    assert.equal(await stateOf(loaded, proposal), proposalStates.succeeded);
    await refused(vote(loaded, proposal, loaded.alice, against), 'GovernorUnexpectedProposalState');
    await queue(loaded, proposal);
    assert.equal(await stateOf(loaded, proposal), proposalStates.queued);
    assert.equal(await governor.read.proposalNeedsQueuing([proposal.id]), true);
    assert.equal(await governor.read.proposalEta([proposal.id]), BigInt((await time.latest()) + days(2)));
    await waits(days(2) - 2);
    await refused(execute(loaded, proposal), 'TimelockUnexpectedOperationState');
    await waits(2);
    await execute(loaded, proposal);
    assert.equal(await stateOf(loaded, proposal), proposalStates.executed);
    assert.equal(await images.read.isConfigAllowed([toHex(1, { size: 32 })]), true);
    await refused(execute(loaded, proposal), 'GovernorUnexpectedProposalState');
    await refused(propose(loaded, [ordinaryAct(loaded)]), 'GovernorUnexpectedProposalState');
  });

  it('what is executed at the timelock itself counts as executed, after the same delay', async () => {
    const loaded = await load();
    const { timelock, images, bob } = loaded;
    const proposal = await decided(loaded, [ordinaryAct(loaded)]);
    await queue(loaded, proposal);
    const { salt, id } = await timelockIdOf(loaded, proposal);
    assert.equal(await timelock.read.isOperationPending([id]), true);
    const [targets, values, calldatas] = operationOf(proposal);
    const directly = () =>
      timelock.write.executeBatch([targets, values, calldatas, zeroHash, salt], { account: bob.account });
    await waits(days(2) - 2);
    await refused(directly(), 'TimelockUnexpectedOperationState');
    await waits(2);
    await directly();
    assert.equal(await stateOf(loaded, proposal), proposalStates.executed);
    assert.equal(await images.read.isConfigAllowed([toHex(1, { size: 32 })]), true);
  });

  it('waits the timelock’s own delay where that is longer', async () => {
    const loaded = await load();
    const { timelock } = loaded;
    await enact(loaded, [act(timelock, 'updateDelay', [BigInt(days(9))])], 'Slower');
    const proposal = await decided(loaded, [ordinaryAct(loaded)]);
    await queue(loaded, proposal);
    assert.equal(await loaded.governor.read.proposalEta([proposal.id]), BigInt((await time.latest()) + days(9)));
  });
});

describe('CloisterGovernor: who proposes what', () => {
  it('who has enough votes: of PHA, or of stake', async () => {
    const loaded = await load();
    const { governor, token, alice, bob, operator, pool, delegates } = loaded;
    const proposal = await proposalOf(loaded, [ordinaryAct(loaded)]);
    const send = (stakes?: Hex) =>
      stakes === undefined
        ? governor.write.propose(proposing(proposal), { account: alice.account })
        : governor.write.proposeWithStake([...proposing(proposal), stakes], { account: alice.account });
    await token.write.delegate([operator.account.address], { account: alice.account });
    await refused(send(), 'GovernorInsufficientProposerVotes', [alice.account.address, 0n, pha('100000')]);
    await refused(send('0x'), 'GovernorInsufficientProposerVotes', [alice.account.address, 0n, pha('100000')]);
    const own = pairs([alice.account.address, pool]);
    await delegates.write.delegate([bob.account.address], { account: alice.account });
    await waits(2);
    await refused(send(own), 'PoolVotesNotEntitled');
    await delegates.write.delegate([alice.account.address], { account: alice.account });
    await waits(2);
    await send(own);
    assert.equal(BigInt(await governor.read.proposalProposer([proposal.id])), BigInt(alice.account.address));
  });

  it('exactly enough', async () => {
    const loaded = await load();
    const { governor, token, alice } = loaded;
    const proposal = await proposalOf(loaded, [ordinaryAct(loaded)]);
    await token.write.transfer([loaded.bob.account.address, pha('9000000') - pha('100000') + 1n], {
      account: alice.account,
    });
    await waits(2);
    for (const send of [
      () => governor.write.propose(proposing(proposal), { account: alice.account }),
      () => governor.write.proposeWithStake([...proposing(proposal), '0x'], { account: alice.account }),
    ])
      await refused(send(), 'GovernorInsufficientProposerVotes');
    await token.write.transfer([alice.account.address, 1n], { account: loaded.bob.account });
    await waits(2);
    await governor.write.proposeWithStake([...proposing(proposal), '0x'], { account: alice.account });
  });

  it('a description that names its proposer is that one’s', async () => {
    const loaded = await load();
    const { governor, alice, bob } = loaded;
    const proposal = await proposalOf(loaded, [ordinaryAct(loaded)], `Mine#proposer=${alice.account.address}`);
    const { account } = bob;
    for (const send of [
      () => governor.write.propose(proposing(proposal), { account }),
      () => governor.write.proposeWithStake([...proposing(proposal), '0x'], { account }),
    ])
      await refused(send(), 'GovernorRestrictedProposer', [bob.account.address]);
    await governor.write.proposeWithStake([...proposing(proposal), '0x'], { account: alice.account });
  });

  it('within bounds of size', async () => {
    const loaded = await load();
    const acts = (count: number) => Array.from({ length: count }, (_, seed) => ordinaryAct(loaded, seed + 1));
    await propose(loaded, acts(32));
    await refused(propose(loaded, acts(33)), 'CloisterGovernorTooManyActs', [33n, 32n]);
    await refused(propose(loaded, []), 'GovernorInvalidProposalLength');
    await propose(loaded, acts(1), loaded.stranger, 'x'.repeat(16_384));
    await refused(propose(loaded, acts(1), loaded.stranger, 'x'.repeat(16_385)), 'CloisterGovernorDescriptionTooLong', [
      16_385n,
      16_384n,
    ]);
    const long = (size: number): Act => ({ target: loaded.images.address, data: toHex(0, { size }) });
    await propose(loaded, [long(32_000), long(768)]);
    await refused(propose(loaded, [long(32_000), long(769)]), 'CloisterGovernorCallsTooLong', [32_769n, 32_768n]);
    const { governor, stranger } = loaded;
    const [one] = acts(1);
    assert.ok(one);
    for (const [values, data] of [
      [[], [one.data]],
      [[0n], []],
    ] as const)
      await refused(
        governor.write.propose([[one.target], values, data, 'Odd'], { account: stranger.account }),
        'GovernorInvalidProposalLength',
      );
  });

  it('never that the treasury votes, or that the timelock waits for ever', async () => {
    const loaded = await load();
    const { token, timelock, bob } = loaded;
    await refused(propose(loaded, [act(token, 'delegate', [bob.account.address])]), 'ActRulesTreasuryDelegates');
    const delay = (seconds: number) => act(timelock, 'updateDelay', [BigInt(seconds)]);
    await refused(propose(loaded, [ordinaryAct(loaded), delay(days(60) + 1)]), 'ActRulesTimelockDelayTooLong', [
      BigInt(days(60) + 1),
      BigInt(days(60)),
    ]);
    await propose(loaded, [delay(days(60))]);
    // Too short to be a call of that function: the timelock would refuse it.
    await propose(loaded, [{ target: timelock.address, data: delay(1).data.slice(0, -2) as Hex }]);
    // Of another contract they mean nothing.
    await propose(loaded, [{ ...delay(days(61)), target: token.address }]);
    await propose(loaded, [{ ...act(token, 'delegate', [bob.account.address]), target: timelock.address }]);
  });

  it('and what the treasury holds or stakes is cast by nobody', async () => {
    const loaded = await load();
    const { token, pools, pool, timelock, governor, bob, delegates } = loaded;
    await token.write.transfer([timelock.address, pha('1000000')], { account: bob.account });
    await enact(
      loaded,
      [
        act(token, 'approve', [pools.address, pha('1000')]),
        act(pools, 'deposit', [pool, pha('1000'), timelock.address]),
        act(delegates, 'delegate', [bob.account.address]),
      ],
      'Stake the treasury',
    );
    const other = await propose(loaded, [ordinaryAct(loaded, 5)]);
    await openVote(loaded);
    const stakes = pairs([timelock.address, pool]);
    await refused(vote(loaded, other, bob, inFavour, stakes), 'PoolVotesTreasury', [timelock.address]);
    await refused(governor.read.getVotes([timelock.address, BigInt((await time.latest()) - 1)]), 'PoolVotesTreasury', [
      timelock.address,
    ]);
  });
});

describe('CloisterGovernor: what it takes', () => {
  it('a quorum of all PHA, abstentions included, and more for than against', async () => {
    const loaded = await load();
    for (const [parts, state] of [
      [{ for: '1999999' }, proposalStates.defeated],
      [{ for: '1', abstain: '1999999' }, proposalStates.succeeded],
      [{ for: '1', against: '5000000' }, proposalStates.defeated],
      [{ for: '2000000', against: '2000000' }, proposalStates.defeated],
      [{ for: '2000001', against: '2000000' }, proposalStates.succeeded],
      [{ abstain: '5000000' }, proposalStates.defeated],
      [{ for: '2000000' }, proposalStates.succeeded],
    ] as const) {
      const proposal = await decided(loaded, [ordinaryAct(loaded)], parts, JSON.stringify(parts));
      assert.equal(await stateOf(loaded, proposal), state, JSON.stringify(parts));
    }
  });

  it('for a dangerous act a super quorum of those in favour, and two thirds', async () => {
    const loaded = await load();
    for (const [parts, state] of [
      [{ for: '7499999' }, proposalStates.defeated],
      [{ for: '7499999', abstain: '2000000' }, proposalStates.defeated],
      [{ for: '7500000' }, proposalStates.succeeded],
    ] as const) {
      const proposal = await decided(loaded, [ordinaryAct(loaded), dangerousAct(loaded)], parts, JSON.stringify(parts));
      const terms = await loaded.governor.read.termsOf([proposal.id]);
      assert.deepEqual(terms, { dangerous: true, delay: days(7), needed: pha('7500000') });
      assert.equal(await stateOf(loaded, proposal), state, JSON.stringify(parts));
    }
    for (const [more, state] of [
      [0n, proposalStates.succeeded],
      [1n, proposalStates.defeated],
    ] as const) {
      const proposal = await propose(loaded, [dangerousAct(loaded)], loaded.stranger, `Two thirds ${more}`);
      await openVote(loaded);
      await vote(loaded, proposal, loaded.bob, splitSupport, split({ for: pha('8000000') }));
      await vote(loaded, proposal, loaded.alice, splitSupport, split({ against: pha('4000000') + more }));
      await closeVote(loaded);
      assert.equal(await stateOf(loaded, proposal), state);
    }
  });

  it('longer than any way out, for what touches stake; the longest of all acts counts', async () => {
    const loaded = await load();
    const { pools, payments, workers, timelock, governor, actRules, gatekeeperImages, images, token } = loaded;
    assert.equal(await actRules.read.longestExit(), BigInt(days(24)));
    assert.equal(await actRules.read.longestPayout(), 3600n);
    const shares = { gateway: 1, gatekeepers: 1, treasury: 1 };
    const rows: readonly (readonly [readonly Act[], boolean, number])[] = [
      [[ordinaryAct(loaded)], false, days(2)],
      [[act(pools, 'setOwnStakeShare', [1])], false, days(stakeDays)],
      [[ordinaryAct(loaded), act(pools, 'setOwnStakeShare', [1])], false, days(stakeDays)],
      [[act(workers, 'setNetworkKeysHash', [zeroHash])], true, days(7)],
      [[act(pools, 'setOwnStakeShare', [1]), dangerousAct(loaded)], true, days(stakeDays)],
      [[act(timelock, 'updateDelay', [0n])], true, days(stakeDays)],
      [[act(timelock, 'grantRole', [roles.proposer, timelock.address])], true, days(stakeDays)],
      [[act(governor, 'setQuorums', [500, 2000])], true, days(stakeDays)],
      [[act(payments, 'setFeeShares', [shares])], false, days(2)],
      [[act(images, 'allow', [zeroHash, 0n, 1n, 'image', noRecipe])], false, days(2)],
      [[act(gatekeeperImages, 'allow', [zeroHash, 0n, 1n, 'image', noRecipe])], true, days(7)],
      [[act(gatekeeperImages, 'revoke', [zeroHash])], false, days(2)],
      [[act(gatekeeperImages, 'shorten', [zeroHash, 0n])], false, days(2)],
      [[act(gatekeeperImages, 'retire', [zeroHash, zeroHash, 0n])], false, days(2)],
      [[act(images, 'setGuardian', [timelock.address, 1n])], true, days(7)],
      [[act(token, 'transfer', [timelock.address, 1n])], true, days(7)],
      [[act(token, 'burn', [1n])], true, days(7)],
      [[act(token, 'approve', [timelock.address, 1n])], true, days(stakeDays)],
      [[{ target: images.address, data: '0x' }], true, days(stakeDays)],
      [[{ target: images.address, data: '0x123456' }], true, days(stakeDays)],
      [[{ target: images.address, data: '0x12345678' }], true, days(stakeDays)],
    ];
    for (const [index, [acts, dangerous, delay]] of rows.entries()) {
      const proposal = await propose(loaded, acts, loaded.stranger, `Row ${index}`);
      const terms = await governor.read.termsOf([proposal.id]);
      assert.deepEqual([terms.dangerous, terms.delay], [dangerous, delay], `row ${index}`);
    }
  });

  it('stands fast from the proposal on, whatever changes later', async () => {
    const loaded = await load();
    const { governor } = loaded;
    const changing = await decided(loaded, [act(governor, 'setQuorums', [2000, 4000])]);
    await queue(loaded, changing);
    await waits(days(stakeDays));
    const early = await propose(loaded, [ordinaryAct(loaded)]);
    await execute(loaded, changing);
    await waits(2);
    const late = await propose(loaded, [ordinaryAct(loaded)], loaded.stranger, 'Late');
    assert.equal((await governor.read.termsOf([early.id])).needed, pha('2000000'));
    assert.equal((await governor.read.termsOf([late.id])).needed, pha('10000000'));
    assert.equal(await governor.read.quorum([BigInt((await time.latest()) - 1)]), pha('10000000'));
    assert.equal(await governor.read.superQuorum([BigInt((await time.latest()) - 1)]), pha('20000000'));
  });

  it('a quorum that comes late keeps the vote open', async () => {
    const loaded = await load();
    const { governor, alice, bob } = loaded;
    const proposal = await propose(loaded, [ordinaryAct(loaded)]);
    await openVote(loaded);
    await vote(loaded, proposal, bob, splitSupport, split({ for: pha('1999999') }));
    const deadline = await governor.read.proposalDeadline([proposal.id]);
    await time.increaseTo(deadline - 10n);
    await vote(loaded, proposal, bob, splitSupport, split({ for: pha('1') }));
    const extended = await governor.read.proposalDeadline([proposal.id]);
    assert.equal(extended, BigInt((await time.latest()) + governorRules.voteExtension));
    assert.ok(extended > deadline);
    await time.increaseTo(deadline + 10n);
    await vote(loaded, proposal, alice, against);
    await time.increaseTo(extended + 1n);
    assert.equal(await stateOf(loaded, proposal), proposalStates.defeated);
  });

  it('of a dangerous act the super quorum does', async () => {
    const loaded = await load();
    const { governor, bob } = loaded;
    const proposal = await propose(loaded, [dangerousAct(loaded)]);
    await openVote(loaded);
    await vote(loaded, proposal, bob, splitSupport, split({ for: pha('7000000') }));
    const deadline = await governor.read.proposalDeadline([proposal.id]);
    await time.increaseTo(deadline - 10n);
    await vote(loaded, proposal, bob, splitSupport, split({ abstain: pha('1000000') }));
    assert.equal(await governor.read.proposalDeadline([proposal.id]), deadline);
    await vote(loaded, proposal, bob, splitSupport, split({ for: pha('500000') }));
    assert.ok((await governor.read.proposalDeadline([proposal.id])) > deadline);
  });
});

describe('CloisterGovernor: old and withdrawn proposals', () => {
  it('its proposer withdraws it before the vote, nobody else ever', async () => {
    const loaded = await load();
    const { governor, stranger, bob } = loaded;
    const proposal = await propose(loaded, [ordinaryAct(loaded)]);
    const cancel = (by: typeof bob, which = proposal) =>
      governor.write.cancel(operationOf(which), { account: by.account });
    await refused(cancel(bob), 'GovernorUnableToCancel', [proposal.id, bob.account.address]);
    await cancel(stranger);
    assert.equal(await stateOf(loaded, proposal), proposalStates.canceled);
    const other = await decided(loaded, [ordinaryAct(loaded)], undefined, 'Other');
    await refused(cancel(stranger, other), 'GovernorUnableToCancel');
    await queue(loaded, other);
    await refused(cancel(stranger, other), 'GovernorUnableToCancel');
  });

  it('what nobody queued in 14 days has expired', async () => {
    const loaded = await load();
    const proposal = await decided(loaded, [ordinaryAct(loaded)]);
    const deadline = await loaded.governor.read.proposalDeadline([proposal.id]);
    await time.increaseTo(deadline + BigInt(days(14)));
    assert.equal(await stateOf(loaded, proposal), proposalStates.succeeded);
    await time.increase(1);
    assert.equal(await stateOf(loaded, proposal), proposalStates.expired);
    await refused(queue(loaded, proposal), 'GovernorUnexpectedProposalState');
  });

  it('what nobody executed in 14 days anyone may cancel, in the timelock too', async () => {
    const loaded = await load();
    const { governor, bob, timelock } = loaded;
    const proposal = await decided(loaded, [ordinaryAct(loaded)]);
    await queue(loaded, proposal);
    const eta = await governor.read.proposalEta([proposal.id]);
    const cancel = () => governor.write.cancel(operationOf(proposal), { account: bob.account });
    await time.setNextBlockTimestamp(eta + BigInt(days(14)));
    await refused(cancel(), 'GovernorUnableToCancel', [proposal.id, bob.account.address]);
    await time.setNextBlockTimestamp(eta + BigInt(days(14)) + 1n);
    await cancel();
    assert.equal(await stateOf(loaded, proposal), proposalStates.canceled);
    const { id } = await timelockIdOf(loaded, proposal);
    assert.equal(await timelock.read.isOperation([id]), false);
    await refused(execute(loaded, proposal), 'GovernorUnexpectedProposalState');
  });

  it('what was cancelled at the timelock is cancelled', async () => {
    const loaded = await load();
    const { timelock, bob } = loaded;
    await enact(loaded, [act(timelock, 'grantRole', [roles.canceller, bob.account.address])], 'A canceller');
    const proposal = await decided(loaded, [ordinaryAct(loaded)]);
    await queue(loaded, proposal);
    const { id } = await timelockIdOf(loaded, proposal);
    await timelock.write.cancel([id], { account: bob.account });
    assert.equal(await stateOf(loaded, proposal), proposalStates.canceled);
  });
});

describe('CloisterGovernor: changes of itself', () => {
  it('by a proposal of its own, within bounds', async () => {
    const loaded = await load();
    const { governor } = loaded;
    await enact(
      loaded,
      [
        act(governor, 'setVotingDelay', [days(3)]),
        act(governor, 'setVotingPeriod', [days(6)]),
        act(governor, 'setLateQuorumVoteExtension', [days(3)]),
        act(governor, 'setProposalThreshold', [pha('5000')]),
        act(governor, 'setQuorums', [300, 1000]),
      ],
      'New rules',
    );
    assert.equal(await governor.read.votingDelay(), BigInt(days(3)));
    assert.equal(await governor.read.votingPeriod(), BigInt(days(6)));
    assert.equal(await governor.read.lateQuorumVoteExtension(), days(3));
    assert.equal(await governor.read.proposalThreshold(), pha('5000'));
    assert.deepEqual([await governor.read.quorumBps(), await governor.read.superQuorumBps()], [300, 1000]);
  });

  it('beyond the bounds a proposal fails when it is executed', async () => {
    const loaded = await load();
    const { governor } = loaded;
    const proposal = await decided(loaded, [act(governor, 'setQuorums', [100, 1000])]);
    await queue(loaded, proposal);
    await waits(days(stakeDays));
    await refused(execute(loaded, proposal), 'CloisterGovernorRuleOutOfRange', [
      toHex('quorumBps', { size: 32 }).replace(/^0x0+/, '0x').padEnd(66, '0'),
      100n,
      200n,
      2000n,
    ]);
  });

  it('nobody else: not an account, not the timelock without its proposal', async () => {
    const loaded = await load();
    const { governor, timelock, bob } = loaded;
    const { data } = act(governor, 'setQuorums', [300, 1000]);
    for (const caller of [bob.account.address, timelock.address]) {
      await networkHelpers.impersonateAccount(caller);
      await networkHelpers.setBalance(caller, 10n ** 18n);
      const call = governor.write.setQuorums([300, 1000], { account: caller });
      if (caller === timelock.address) await assert.rejects(call);
      else await refused(call, 'GovernorOnlyExecutor', [caller]);
    }
    // Accepted, but executed past the Governor: it does not know of it.
    const proposal = await decided(loaded, [{ target: governor.address, data }]);
    await queue(loaded, proposal);
    await waits(days(stakeDays));
    const { salt } = await timelockIdOf(loaded, proposal);
    const [targets, values, calldatas] = operationOf(proposal);
    await assert.rejects(timelock.write.executeBatch([targets, values, calldatas, zeroHash, salt]));
    assert.equal(await governor.read.quorumBps(), 400);
    await execute(loaded, proposal);
    assert.equal(await governor.read.quorumBps(), 300);
  });

  it('it relays nothing and takes nothing', async () => {
    const loaded = await load();
    const { governor, timelock, bob } = loaded;
    const { target, data } = act(timelock, 'updateDelay', [0n]);
    await refused(governor.write.relay([target, 0n, data], { account: bob.account }), 'CloisterGovernorRelaysNothing');
    const proposal = await decided(loaded, [act(governor, 'relay', [target, 0n, data])]);
    await queue(loaded, proposal);
    await waits(days(stakeDays));
    await refused(execute(loaded, proposal), 'CloisterGovernorRelaysNothing');
    await refused(bob.sendTransaction({ to: governor.address, value: 1n }), 'GovernorDisabledDeposit');
  });

  it('another Governor takes over by a proposal, and this one then proposes nothing', async () => {
    const loaded = await load();
    const { viem, governor, timelock, actRules, delegates } = loaded;
    const next = await viem.deployContract('CloisterGovernor', [actRules.address, delegates.address, governorRules]);
    const waiting = await decided(loaded, [ordinaryAct(loaded)], undefined, 'Too late');
    await enact(
      loaded,
      [roles.proposer, roles.canceller].flatMap((role) => [
        act(timelock, 'grantRole', [role, next.address]),
        act(timelock, 'revokeRole', [role, governor.address]),
      ]),
      'Another Governor',
    );
    const last = await decided(loaded, [ordinaryAct(loaded, 3)], undefined, 'Powerless');
    await refused(queue(loaded, last), 'AccessControlUnauthorizedAccount', [governor.address, roles.proposer]);
    assert.equal(await stateOf(loaded, waiting), proposalStates.expired);
    assert.equal(await timelock.read.hasRole([roles.proposer, next.address]), true);
  });
});

describe('CloisterGovernor: a target that calls back', () => {
  it('does not execute twice, nor vote, nor cancel', async () => {
    const loaded = await load();
    const { viem, governor, deployer } = loaded;
    const calling = await viem.deployContract('UnsafeCallingToken', [deployer.account.address]);
    const acts = [act(calling, 'transfer', [deployer.account.address, 0n])];
    const proposal = await decided(loaded, acts);
    await queue(loaded, proposal);
    await waits(days(7));
    const operation = operationOf(proposal);
    for (const data of [
      encodeFunctionData({ abi: governor.abi, functionName: 'execute', args: operation }),
      encodeFunctionData({ abi: governor.abi, functionName: 'cancel', args: operation }),
      encodeFunctionData({ abi: governor.abi, functionName: 'queue', args: operation }),
      encodeFunctionData({ abi: governor.abi, functionName: 'castVote', args: [proposal.id, inFavour] }),
    ]) {
      await calling.write.arm([governor.address, data]);
      const before = await networkHelpers.takeSnapshot();
      await execute(loaded, proposal);
      assert.equal(await calling.read.called(), false);
      assert.equal(await stateOf(loaded, proposal), proposalStates.executed);
      await before.restore();
    }
  });
});

describe('CloisterGovernor: PHA on other chains', () => {
  const answers = { amount: 0, refusal: 1, allGas: 2, nothing: 3, twoWords: 4, refusalOfAWord: 5 } as const;

  async function bridged(loaded: GovernorWorld) {
    const bridge = await loaded.viem.deployContract('UnsafeBridgedSupply');
    await enact(loaded, [act(loaded.governor, 'setBridgedSupply', [bridge.address])], 'Count what is out');
    return bridge;
  }
  const past = async () => BigInt((await time.latest()) - 1);

  it('counts for quorums, at most what can ever be', async () => {
    const loaded = await load();
    const { governor } = loaded;
    const bridge = await bridged(loaded);
    assert.equal(BigInt(await governor.read.bridgedSupply()), BigInt(bridge.address));
    await bridge.write.set([answers.amount, pha('50000000')]);
    assert.equal(await governor.read.allPha([await past()]), pha('100000000'));
    const proposal = await propose(loaded, [ordinaryAct(loaded)]);
    assert.equal((await governor.read.termsOf([proposal.id])).needed, pha('4000000'));
    for (const amount of [pha('950000000'), pha('950000001'), 2n ** 256n - 1n]) {
      await bridge.write.set([answers.amount, amount]);
      assert.equal(await governor.read.allPha([await past()]), pha('1000000000'));
    }
  });

  it('is counted by the token itself: who sends PHA out or brings it back changes no quorum', async () => {
    const loaded = await load();
    const { governor, token, alice } = loaded;
    await enact(loaded, [act(governor, 'setBridgedSupply', [token.address])], 'Count what is out');
    const all = await governor.read.allPha([await past()]);
    const amount = pha('1000');
    await token.write.crosschainBurn([alice.account.address, amount], { account: alice.account });
    await time.increase(10);
    assert.equal(await token.read.bridgedOutAt([await past()]), amount);
    assert.equal(await governor.read.allPha([await past()]), all);
    await token.write.crosschainMint([alice.account.address, amount], { account: alice.account });
    await time.increase(10);
    assert.equal(await governor.read.allPha([await past()]), all);
  });

  it('a bridge that fails makes quorums as high as they get, and stops no proposal', async () => {
    const loaded = await load();
    const { governor, stranger } = loaded;
    const bridge = await bridged(loaded);
    const { amount, ...failing } = answers;
    assert.equal(amount, 0);
    for (const answer of Object.values(failing)) {
      await bridge.write.set([answer, 0n]);
      const proposal = await proposalOf(loaded, [ordinaryAct(loaded)], `Answer ${answer}`);
      await governor.write.propose(proposing(proposal), { account: stranger.account, gas: 5_000_000n });
      assert.equal((await governor.read.termsOf([proposal.id])).needed, pha('40000000'), `${answer}`);
    }
  });

  it('nobody makes it fail by giving too little gas', async () => {
    const loaded = await load();
    const { governor } = loaded;
    await bridged(loaded);
    const asking = encodeFunctionData({ abi: governor.abi, functionName: 'allPha', args: [await past()] });
    const proposal = await proposalOf(loaded, [ordinaryAct(loaded)]);
    const doing = encodeFunctionData({ abi: governor.abi, functionName: 'propose', args: proposing(proposal) });
    const send = (data: Hex, gas: bigint) =>
      loaded.publicClient.call({ account: loaded.stranger.account, to: governor.address, data, gas });
    const right = toHex(pha('50000000'), { size: 32 });
    const outcomes = new Set<string | undefined>();
    for (let gas = 100_000n; gas < 2_000_000n; gas += 50_000n) {
      // With any gas it is refused or right, never taken for a bridge that fails.
      const answer = await send(asking, gas).catch(() => undefined);
      assert.ok(answer === undefined || answer.data === right, `${gas} gas`);
      outcomes.add(await refusalOf(send(doing, gas)).catch(() => 'out of gas'));
    }
    assert.ok(outcomes.has('CloisterGovernorTooLittleGas') && outcomes.has(undefined), [...outcomes].join());
    assert.equal((await send(asking, 2_000_000n)).data, right);
  });

  it('is a contract or none', async () => {
    const loaded = await load();
    const { governor, bob } = loaded;
    const someone: Address = bob.account.address;
    const proposal = await decided(loaded, [act(governor, 'setBridgedSupply', [someone])]);
    await queue(loaded, proposal);
    await waits(days(stakeDays));
    await refused(execute(loaded, proposal), 'CloisterGovernorWithoutCode', [someone]);
    await bridged(loaded);
    await enact(loaded, [act(governor, 'setBridgedSupply', [zeroAddress])], 'None');
    assert.equal(await governor.read.allPha([await past()]), pha('50000000'));
  });
});

describe('CloisterGovernor: abstaining', () => {
  it('counts for the quorum of ordinary acts alone', async () => {
    const loaded = await load();
    const proposal = await propose(loaded, [ordinaryAct(loaded)]);
    await openVote(loaded);
    await vote(loaded, proposal, loaded.alice, abstain);
    await vote(loaded, proposal, loaded.bob, splitSupport, split({ for: 1n }));
    await closeVote(loaded);
    assert.equal(await stateOf(loaded, proposal), proposalStates.succeeded);
  });
});
