import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { network } from 'hardhat';
import { type Address, concatHex, encodeFunctionData, type Hex, toHex } from 'viem';
import {
  abstain,
  against,
  deployGovernorWorld,
  type GovernorWorld,
  governorRules,
  inFavour,
  openPoolOf,
  openVote,
  ordinaryAct,
  type Pair,
  pairs,
  proposalOf,
  propose,
  proposing,
  type Staker,
  selfDelegate,
  split,
  splitSupport,
  stakeIn,
  tallyOf,
  vote,
} from '../support/governorWorld.ts';
import { refused } from '../support/refused.ts';
import { ask, claim, day, pha, phaShares } from '../support/stakeWorld.ts';

const connection = await network.create();
const { networkHelpers } = connection;
const { time } = networkHelpers;

/** Alice: 9 million PHA of her own, a million in two pools; Bob: nothing of his own votes, 100,000 in the operator's pool. */
async function world() {
  const loaded = await deployGovernorWorld(connection);
  const { alice, bob, stranger, otherOperator } = loaded;
  const second = await openPoolOf(loaded, otherOperator);
  await stakeIn(loaded, alice, '700000');
  await stakeIn(loaded, alice, '300000', second);
  await stakeIn(loaded, bob, '100000');
  await selfDelegate(loaded, alice, stranger);
  return { ...loaded, second };
}
const load = () => networkHelpers.loadFixture(world);
type Loaded = Awaited<ReturnType<typeof world>>;

const mine = ({ account }: Staker, pool: Address): Pair => [account.address, pool];

/** A proposal whose votes count now. */
async function voting(loaded: GovernorWorld) {
  const proposal = await propose(loaded, [ordinaryAct(loaded)]);
  await openVote(loaded);
  return proposal;
}

/** What a voter's ballot would weigh with these stakes. */
async function weightOf(loaded: GovernorWorld, by: Staker, named: Hex = '0x') {
  const before = BigInt(await time.latest()) - 1n;
  return loaded.governor.read.getVotesWithParams([by.account.address, before, named]);
}

describe('PoolVotes: weight', () => {
  it('the PHA delegated to a voter, alone', async () => {
    const loaded = await load();
    const { alice, bob, token } = loaded;
    const proposal = await voting(loaded);
    await vote(loaded, proposal, alice, inFavour);
    assert.deepEqual(await tallyOf(loaded, proposal), [0n, pha('9000000'), 0n]);
    assert.equal(await loaded.governor.read.hasVoted([proposal.id, alice.account.address]), true);
    assert.equal(await loaded.governor.read.hasVoted([proposal.id, bob.account.address]), false);
    await token.write.delegate([alice.account.address], { account: bob.account });
    await time.increase(1);
    assert.equal(
      await loaded.governor.read.getVotes([alice.account.address, BigInt(await time.latest()) - 1n]),
      pha('18900000'),
    );
  });

  it('and the worth of each stake that it names', async () => {
    const loaded = await load();
    const { alice, pool, second } = loaded;
    const proposal = await voting(loaded);
    await vote(loaded, proposal, alice, against, pairs(mine(alice, pool), mine(alice, second)));
    assert.deepEqual(await tallyOf(loaded, proposal), [pha('10000000'), 0n, 0n]);
  });

  it('what was asked back votes until it is claimed', async () => {
    const loaded = await load();
    const { bob, pool } = loaded;
    const requestId = await ask(loaded, bob, phaShares('40000'));
    await time.increase(7 * day);
    assert.equal(await weightOf(loaded, bob, pairs(mine(bob, pool))), pha('100000'));
    await claim(loaded, bob, requestId);
    await time.increase(2);
    assert.equal(await weightOf(loaded, bob, pairs(mine(bob, pool))), pha('60000'));
    const rest = await ask(loaded, bob, phaShares('60000'));
    await time.increase(7 * day);
    const proposal = await propose(loaded, [ordinaryAct(loaded)]);
    await claim(loaded, bob, rest);
    await openVote(loaded);
    const snapshot = await loaded.governor.read.proposalSnapshot([proposal.id]);
    await refused(vote(loaded, proposal, bob, inFavour, pairs(mine(bob, pool))), 'PoolVotesNothingStaked', [
      bob.account.address,
      pool,
      snapshot,
    ]);
  });

  it('claimed after the snapshot it votes still, and as PHA no second time', async () => {
    const loaded = await load();
    const { bob, pool } = loaded;
    const requestId = await ask(loaded, bob, phaShares('100000'));
    await time.increase(7 * day);
    const proposal = await voting(loaded);
    await claim(loaded, bob, requestId);
    await selfDelegate(loaded, bob);
    await vote(loaded, proposal, bob, inFavour, pairs(mine(bob, pool)));
    assert.deepEqual(await tallyOf(loaded, proposal), [0n, pha('100000'), 0n]);
  });

  it('what lies in escrow of a slash votes nowhere; a slash after the snapshot changes nothing', async () => {
    const loaded = await load();
    const { bob, alice, pool, bonds } = loaded;
    await bonds.write.reserve([pool, pha('800000')]);
    await bonds.write.seize([pool, pha('400000')]);
    const proposal = await voting(loaded);
    await bonds.write.seize([pool, pha('400000')]);
    await vote(loaded, proposal, bob, inFavour, pairs(mine(bob, pool)));
    const [, counted] = await tallyOf(loaded, proposal);
    // Half of 800,000 PHA is left, of which an eighth is Bob's.
    assert.ok(counted <= pha('50000') && counted >= pha('50000') - 2n, `${counted}`);
    assert.equal(await loaded.token.read.getVotes([bonds.address]), 0n);
    await vote(loaded, proposal, alice, against, pairs(mine(alice, pool)));
    const [no] = await tallyOf(loaded, proposal);
    assert.ok(no <= pha('9350000') && no >= pha('9350000') - 2n, `${no}`);
  });

  it('a slash that is given back votes again', async () => {
    const loaded = await load();
    const { bob, pool, bonds } = loaded;
    await bonds.write.reserve([pool, pha('400000')]);
    await bonds.write.seize([pool, pha('400000')]);
    await bonds.write.restore([0n]);
    await time.increase(2);
    const weight = await weightOf(loaded, bob, pairs(mine(bob, pool)));
    assert.ok(weight <= pha('100000') && weight >= pha('100000') - 2n, `${weight}`);
  });

  it('pools never delegate the PHA that they hold', async () => {
    const { token, pools } = await load();
    assert.equal(BigInt(await token.read.delegates([pools.address])), 0n);
    assert.equal(await token.read.getVotes([pools.address]), 0n);
    const delegating = ['delegate(address)', 'delegateBySig', 'execute', 'multicall', 'relay'];
    const written = pools.abi.flatMap((item) => (item.type === 'function' ? [item.name] : []));
    assert.deepEqual(
      written.filter((name) => delegating.some((other) => other.startsWith(name))),
      [],
    );
  });

  it('is never more than all PHA there is', async () => {
    const loaded = await load();
    const { alice, bob, stranger, operator, otherOperator, pool, second, token } = loaded;
    await selfDelegate(loaded, bob, operator, otherOperator);
    const proposal = await voting(loaded);
    await vote(loaded, proposal, alice, inFavour, pairs(mine(alice, pool), mine(alice, second)));
    await vote(loaded, proposal, bob, inFavour, pairs(mine(bob, pool)));
    for (const other of [stranger, operator, otherOperator]) await vote(loaded, proposal, other, inFavour);
    assert.deepEqual(await tallyOf(loaded, proposal), [0n, await token.read.totalSupply(), 0n]);
  });
});

describe('PoolVotes: counting', () => {
  it('in parts, by amount: never more than there is', async () => {
    const loaded = await load();
    const { alice, governor } = loaded;
    const proposal = await voting(loaded);
    const ballot = [proposal.id, alice.account.address] as const;
    assert.deepEqual(await governor.read.ballotOf(ballot), [false, 0n]);
    await vote(loaded, proposal, alice, splitSupport, split({ for: pha('4000000'), against: pha('1000000') }));
    assert.deepEqual(await governor.read.ballotOf(ballot), [true, pha('4000000')]);
    await refused(
      vote(loaded, proposal, alice, splitSupport, split({ abstain: pha('4000000') + 1n })),
      'PoolVotesSplitTooLarge',
      [alice.account.address, pha('4000000') + 1n, pha('4000000')],
    );
    await vote(loaded, proposal, alice, splitSupport, split({ abstain: pha('1000000') }));
    await vote(loaded, proposal, alice, against);
    assert.deepEqual(await tallyOf(loaded, proposal), [pha('4000000'), pha('4000000'), pha('1000000')]);
    await refused(vote(loaded, proposal, alice, against), 'GovernorAlreadyCastVote', [alice.account.address]);
    await refused(vote(loaded, proposal, alice, splitSupport, split({ for: 1n })), 'GovernorAlreadyCastVote', [
      alice.account.address,
    ]);
  });

  it('in several transactions that name different stakes: each once', async () => {
    const loaded = await load();
    const { alice, pool, second, governor } = loaded;
    const proposal = await voting(loaded);
    const named = pairs(mine(alice, pool));
    await vote(loaded, proposal, alice, inFavour, named);
    assert.equal(await governor.read.isStakeCounted([proposal.id, alice.account.address, pool]), true);
    assert.equal(await governor.read.isStakeCounted([proposal.id, alice.account.address, second]), false);
    for (const again of [named, pairs(mine(alice, pool), mine(alice, second))])
      await refused(vote(loaded, proposal, alice, inFavour, again), 'PoolVotesStakeCounted', [
        proposal.id,
        alice.account.address,
        pool,
      ]);
    await vote(loaded, proposal, alice, splitSupport, split({ abstain: pha('100000') }, pairs(mine(alice, second))));
    await vote(loaded, proposal, alice, against);
    assert.deepEqual(await tallyOf(loaded, proposal), [pha('200000'), pha('9700000'), pha('100000')]);
  });

  it('a stake counts in each proposal anew', async () => {
    const loaded = await load();
    const { alice, pool } = loaded;
    const first = await propose(loaded, [ordinaryAct(loaded, 1)]);
    const other = await propose(loaded, [ordinaryAct(loaded, 2)]);
    await openVote(loaded);
    for (const proposal of [first, other]) {
      await vote(loaded, proposal, alice, inFavour, pairs(mine(alice, pool)));
      assert.deepEqual(await tallyOf(loaded, proposal), [0n, pha('9700000'), 0n]);
    }
  });

  it('refuses a pool named twice, and stakes out of order', async () => {
    const loaded = await load();
    const { alice, pool, second } = loaded;
    const proposal = await voting(loaded);
    const [one, other] = [pairs(mine(alice, pool)), pairs(mine(alice, second))];
    const sorted = pairs(mine(alice, pool), mine(alice, second));
    const reversed = sorted === concatHex([one, other]) ? concatHex([other, one]) : concatHex([one, other]);
    const lastPool = sorted.endsWith(pool.slice(2).toLowerCase()) ? second : pool;
    await refused(vote(loaded, proposal, alice, inFavour, concatHex([one, one])), 'PoolVotesNotAscending', [
      alice.account.address,
      pool,
    ]);
    await refused(vote(loaded, proposal, alice, inFavour, reversed), 'PoolVotesNotAscending', [
      alice.account.address,
      lastPool,
    ]);
  });

  it('and accounts out of order', async () => {
    const loaded = await load();
    const { alice, bob, stranger, pool, delegates } = loaded;
    for (const { account } of [alice, bob]) await delegates.write.delegate([stranger.account.address], { account });
    const proposal = await voting(loaded);
    const [first, last] = [alice, bob].sort((a, b) =>
      a.account.address.toLowerCase() < b.account.address.toLowerCase() ? -1 : 1,
    ) as [Staker, Staker];
    const reversed = concatHex([pairs(mine(last, pool)), pairs(mine(first, pool))]);
    await refused(vote(loaded, proposal, stranger, inFavour, reversed), 'PoolVotesNotAscending', [
      first.account.address,
      pool,
    ]);
    await vote(loaded, proposal, stranger, inFavour, pairs(mine(first, pool), mine(last, pool)));
    assert.deepEqual(await tallyOf(loaded, proposal), [0n, pha('10800000'), 0n]);
  });

  it('refuses params that are none, by their length', async () => {
    const loaded = await load();
    const { alice, pool } = loaded;
    const proposal = await voting(loaded);
    const one = pairs(mine(alice, pool));
    for (const [support, params] of [
      [inFavour, one.slice(0, -2) as Hex],
      [inFavour, concatHex([one, '0x00'])],
      [inFavour, toHex(0, { size: 8 })],
      [splitSupport, split({ for: 1n }).slice(0, -2) as Hex],
      [splitSupport, concatHex([split({ for: 1n }), '0x00'])],
    ] as const)
      await refused(vote(loaded, proposal, alice, support, params), 'PoolVotesParamsLength', [(params.length - 2) / 2]);
    for (const [support, params] of [
      [inFavour, split({ for: 1n }, one)],
      [splitSupport, one],
      [splitSupport, '0x'],
    ] as const)
      await refused(vote(loaded, proposal, alice, support, params), 'PoolVotesSupportMismatch', [
        support,
        (params.length - 2) / 2,
      ]);
    for (const support of [3, 254]) await refused(vote(loaded, proposal, alice, support), 'GovernorInvalidVoteType');
    await refused(vote(loaded, proposal, alice, splitSupport, split({})), 'PoolVotesSplitEmpty', [
      alice.account.address,
    ]);
  });

  it('takes 64 stakes at once, and refuses one more', async () => {
    const loaded = await load();
    const { alice, pool } = loaded;
    const proposal = await voting(loaded);
    const many = (count: number) =>
      concatHex(
        Array.from({ length: count }, (_, index) => concatHex([alice.account.address, toHex(index + 1, { size: 20 })])),
      );
    await refused(vote(loaded, proposal, alice, inFavour, many(65)), 'PoolVotesTooManyStakes', [65n, 64n]);
    // The first of 64 is looked at.
    await refused(vote(loaded, proposal, alice, inFavour, many(64)), 'PoolVotesNothingStaked');
    await refused(vote(loaded, proposal, alice, splitSupport, split({ for: 1n }, many(65))), 'PoolVotesTooManyStakes', [
      65n,
      64n,
    ]);
    assert.equal(await loaded.governor.read.isStakeCounted([proposal.id, alice.account.address, pool]), false);
  });

  it('refuses who has nothing, and the stake of somebody else', async () => {
    const loaded = await load();
    const { alice, bob, operator, pool, second, governor } = loaded;
    const proposal = await voting(loaded);
    const snapshot = await governor.read.proposalSnapshot([proposal.id]);
    await refused(vote(loaded, proposal, bob, inFavour), 'PoolVotesNothingToCast', [bob.account.address, snapshot]);
    await refused(vote(loaded, proposal, bob, inFavour, pairs(mine(alice, pool))), 'PoolVotesNotEntitled', [
      bob.account.address,
      alice.account.address,
      alice.account.address,
    ]);
    await refused(vote(loaded, proposal, bob, inFavour, pairs(mine(bob, second))), 'PoolVotesNothingStaked', [
      bob.account.address,
      second,
      snapshot,
    ]);
    await refused(vote(loaded, proposal, operator, inFavour, pairs(mine(operator, pool))), 'PoolVotesNothingStaked');
  });

  it('by signature too, once', async () => {
    const loaded = await load();
    const { bob, pool, governor, stranger } = loaded;
    const proposal = await voting(loaded);
    const params = pairs(mine(bob, pool));
    const signature = await bob.signTypedData({
      domain: { name: 'Cloister', version: '1', chainId: 31337, verifyingContract: governor.address },
      types: {
        ExtendedBallot: [
          { name: 'proposalId', type: 'uint256' },
          { name: 'support', type: 'uint8' },
          { name: 'voter', type: 'address' },
          { name: 'nonce', type: 'uint256' },
          { name: 'reason', type: 'string' },
          { name: 'params', type: 'bytes' },
        ],
      },
      primaryType: 'ExtendedBallot',
      message: {
        proposalId: proposal.id,
        support: inFavour,
        voter: bob.account.address,
        nonce: 0n,
        reason: '',
        params,
      },
    });
    const args = [proposal.id, inFavour, bob.account.address, '', params, signature] as const;
    const { account } = stranger;
    await governor.write.castVoteWithReasonAndParamsBySig(args, { account });
    assert.deepEqual(await tallyOf(loaded, proposal), [0n, pha('100000'), 0n]);
    await refused(governor.write.castVoteWithReasonAndParamsBySig(args, { account }), 'GovernorInvalidSignature', [
      bob.account.address,
    ]);
  });

  it('says how it counts', async () => {
    const { governor, token, pools, delegates } = await load();
    assert.equal(
      await governor.read.COUNTING_MODE(),
      'support=bravo,fractional&quorum=for,abstain&params=fractional,stakes',
    );
    assert.equal(await governor.read.CLOCK_MODE(), await token.read.CLOCK_MODE());
    assert.equal(await governor.read.clock(), await pools.read.clock());
    assert.equal(BigInt(await governor.read.token()), BigInt(token.address));
    assert.equal(BigInt(await governor.read.stakePools()), BigInt(pools.address));
    assert.equal(BigInt(await governor.read.stakeDelegates()), BigInt(delegates.address));
  });
});

describe('StakeDelegates', () => {
  const delegateTo = ({ delegates }: Loaded, by: Staker, to: Staker) =>
    delegates.write.delegate([to.account.address], { account: by.account });

  it('somebody else casts a stake, its holder then can’t', async () => {
    const loaded = await load();
    const { alice, bob, pool, second, delegates } = loaded;
    await delegateTo(loaded, alice, bob);
    assert.equal(BigInt(await delegates.read.voterOf([alice.account.address])), BigInt(bob.account.address));
    const proposal = await voting(loaded);
    await refused(vote(loaded, proposal, alice, against, pairs(mine(alice, pool))), 'PoolVotesNotEntitled', [
      alice.account.address,
      alice.account.address,
      bob.account.address,
    ]);
    await vote(loaded, proposal, bob, inFavour, pairs(mine(alice, pool), mine(bob, pool), mine(alice, second)));
    await vote(loaded, proposal, alice, against);
    assert.deepEqual(await tallyOf(loaded, proposal), [pha('9000000'), pha('1100000'), 0n]);
  });

  it('who takes it back before the snapshot votes by itself; after it, the next time', async () => {
    const loaded = await load();
    const { alice, bob, pool, delegates } = loaded;
    await delegateTo(loaded, bob, alice);
    const proposal = await propose(loaded, [ordinaryAct(loaded, 1)]);
    await delegateTo(loaded, bob, bob);
    await openVote(loaded);
    await refused(vote(loaded, proposal, alice, inFavour, pairs(mine(bob, pool))), 'PoolVotesNotEntitled', [
      alice.account.address,
      bob.account.address,
      bob.account.address,
    ]);
    await delegateTo(loaded, bob, alice);
    await vote(loaded, proposal, bob, inFavour, pairs(mine(bob, pool)));
    assert.deepEqual(await tallyOf(loaded, proposal), [0n, pha('100000'), 0n]);
    assert.equal(
      BigInt(
        await delegates.read.pastVoterOf([
          bob.account.address,
          await loaded.governor.read.proposalSnapshot([proposal.id]),
        ]),
      ),
      BigInt(bob.account.address),
    );
  });

  it('is not passed on', async () => {
    const loaded = await load();
    const { alice, bob, stranger, pool } = loaded;
    await delegateTo(loaded, alice, bob);
    await delegateTo(loaded, bob, stranger);
    const proposal = await voting(loaded);
    await refused(vote(loaded, proposal, stranger, inFavour, pairs(mine(alice, pool))), 'PoolVotesNotEntitled', [
      stranger.account.address,
      alice.account.address,
      bob.account.address,
    ]);
    await vote(loaded, proposal, bob, inFavour, pairs(mine(alice, pool)));
    assert.deepEqual(await tallyOf(loaded, proposal), [0n, pha('700000'), 0n]);
  });

  it('refuses what changes nothing, and the future', async () => {
    const loaded = await load();
    const { alice, bob, delegates } = loaded;
    const to = (voter: Address) => delegates.write.delegate([voter], { account: alice.account });
    const present = alice.account.address;
    for (const voter of [present, toHex(0, { size: 20 })])
      await refused(to(voter), 'StakeDelegatesUnchanged', [present, present]);
    await to(bob.account.address);
    await refused(to(bob.account.address), 'StakeDelegatesUnchanged', [present, bob.account.address]);
    const now = BigInt(await time.latest());
    await refused(delegates.read.pastVoterOf([present, now]), 'StakeDelegatesFutureLookup', [now, now]);
  });
});

describe('PoolVotes: attacks', () => {
  it('borrowed votes: not after the snapshot, not in its very second, not to propose', async () => {
    const loaded = await load();
    const { viem, token, governor, stranger, pools, pool } = loaded;
    const batch = await viem.deployContract('Batch');
    const lender = stranger.account.address;
    await token.write.approve([batch.address, pha('50000000')], { account: stranger.account });
    const call = (target: Address, data: Hex) => ({ target, data });
    const borrowed = (...inside: readonly { target: Address; data: Hex }[]) => [
      call(
        token.address,
        encodeFunctionData({
          abi: token.abi,
          functionName: 'transferFrom',
          args: [lender, batch.address, pha('5000000')],
        }),
      ),
      call(token.address, encodeFunctionData({ abi: token.abi, functionName: 'delegate', args: [batch.address] })),
      ...inside,
      call(
        token.address,
        encodeFunctionData({ abi: token.abi, functionName: 'transfer', args: [lender, pha('5000000')] }),
      ),
    ];
    const proposal = await propose(loaded, [ordinaryAct(loaded)]);
    const other = await proposalOf(loaded, [ordinaryAct(loaded, 2)]);
    const proposes = encodeFunctionData({ abi: governor.abi, functionName: 'propose', args: proposing(other) });
    await refused(
      batch.write.execute([borrowed(call(governor.address, proposes))]),
      'GovernorInsufficientProposerVotes',
      [batch.address, 0n, governorRules.proposalThreshold],
    );
    const snapshot = await governor.read.proposalSnapshot([proposal.id]);
    await time.setNextBlockTimestamp(snapshot);
    await batch.write.execute([borrowed()]);
    await time.increase(1);
    assert.equal(await token.read.getPastVotes([batch.address, snapshot]), 0n);
    const votes = encodeFunctionData({ abi: governor.abi, functionName: 'castVote', args: [proposal.id, inFavour] });
    await refused(batch.write.execute([borrowed(call(governor.address, votes))]), 'PoolVotesNothingToCast', [
      batch.address,
      snapshot,
    ]);
    // Staked for a moment it does not vote either, and does not come back in the same transaction.
    const staked = [
      call(
        token.address,
        encodeFunctionData({ abi: token.abi, functionName: 'approve', args: [pools.address, pha('1')] }),
      ),
      call(
        pools.address,
        encodeFunctionData({ abi: pools.abi, functionName: 'deposit', args: [pool, pha('1'), batch.address] }),
      ),
      call(
        governor.address,
        encodeFunctionData({
          abi: governor.abi,
          functionName: 'castVoteWithReasonAndParams',
          args: [proposal.id, inFavour, '', pairs([batch.address, pool])],
        }),
      ),
    ];
    await refused(batch.write.execute([borrowed(...staked)]), 'PoolVotesNothingStaked', [
      batch.address,
      pool,
      snapshot,
    ]);
  });

  it('PHA or shares that move after the snapshot count where they were', async () => {
    const loaded = await load();
    const { alice, bob, token, pools, pool } = loaded;
    await selfDelegate(loaded, bob);
    const proposal = await voting(loaded);
    await vote(loaded, proposal, alice, inFavour, pairs(mine(alice, pool)));
    await token.write.transfer([bob.account.address, pha('9000000')], { account: alice.account });
    await pools.write.transferShares([pool, bob.account.address, phaShares('700000')], { account: alice.account });
    await vote(loaded, proposal, bob, inFavour, pairs(mine(bob, pool)));
    assert.deepEqual(await tallyOf(loaded, proposal), [0n, pha('19700000'), 0n]);
    assert.equal(await token.read.totalSupply(), pha('50000000'));
  });

  it('a stake and its account’s delegated PHA are counted by whom each was given, never twice', async () => {
    const loaded = await load();
    const { alice, bob, token, delegates, pool } = loaded;
    await token.write.delegate([bob.account.address], { account: alice.account });
    await delegates.write.delegate([bob.account.address], { account: alice.account });
    const proposal = await voting(loaded);
    await vote(loaded, proposal, bob, inFavour, pairs(mine(alice, pool)));
    assert.deepEqual(await tallyOf(loaded, proposal), [0n, pha('9700000'), 0n]);
    await refused(vote(loaded, proposal, alice, abstain), 'PoolVotesNothingToCast');
    await refused(vote(loaded, proposal, bob, inFavour, pairs(mine(alice, pool))), 'PoolVotesStakeCounted');
  });

  it('a made-up pool has no votes, whoever it is', async () => {
    const loaded = await load();
    const { alice, token, governor, pools } = loaded;
    const proposal = await voting(loaded);
    for (const pool of [token.address, governor.address, pools.address, alice.account.address])
      await refused(vote(loaded, proposal, alice, inFavour, pairs(mine(alice, pool))), 'PoolVotesNothingStaked');
  });
});
