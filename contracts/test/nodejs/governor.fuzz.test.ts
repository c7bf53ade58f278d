import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { network } from 'hardhat';
import { type Address, concatHex, type Hex } from 'viem';
import { BallotModel, type Cast } from '../support/ballotModel.ts';
import {
  deployGovernorWorld,
  openPoolOf,
  ordinaryAct,
  type Proposal,
  propose,
  type Staker,
  selfDelegate,
  split,
  tallyOf,
  vote,
} from '../support/governorWorld.ts';
import { refusalOf } from '../support/refused.ts';
import { day, pha } from '../support/stakeWorld.ts';

const [rounds, steps, casts] = process.env.CLOISTER_LONG === '1' ? [60, 60, 80] : [3, 20, 30];
const connection = await network.create();
const { networkHelpers } = connection;
const { time } = networkHelpers;

async function world() {
  const loaded = await deployGovernorWorld(connection);
  const { operator, otherOperator, alice, bob, stranger } = loaded;
  const actors = [operator, otherOperator, alice, bob, stranger];
  const pools = [loaded.pool, await openPoolOf(loaded, otherOperator)];
  await selfDelegate(loaded, ...actors);
  return { ...loaded, actors, bothPools: pools };
}
type Loaded = Awaited<ReturnType<typeof world>>;

/** Numbers from a seed (mulberry32): the same everywhere. */
function randomOf(seed: number) {
  let state = seed;
  const next = () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return (mixed ^ (mixed >>> 14)) >>> 0;
  };
  const below = (bound: number) => next() % bound;
  const pick = <T>(items: readonly T[]): T => items[below(items.length)] as T;
  const part = (amount: bigint) => (amount * BigInt(below(1_000_001))) / 1_000_000n;
  return { below, pick, part };
}
type Random = ReturnType<typeof randomOf>;

/** Something that moves PHA, stake or votes; what the contracts refuse by name just does not happen. */
async function step(loaded: Loaded, { below, pick, part }: Random): Promise<void> {
  const { pools, token, bonds, delegates, actors, bothPools } = loaded;
  const [actor, other, pool] = [pick(actors), pick(actors), pick(bothPools)];
  const { account } = actor;
  const shares = await pools.read.sharesOf([pool, account.address]);
  const held = await token.read.balanceOf([account.address]);
  const acts: readonly (() => Promise<unknown>)[] = [
    () => pools.write.deposit([pool, part(held / 4n), account.address], { account }),
    () => pools.write.deposit([pool, part(held / 4n), other.account.address], { account }),
    () => pools.write.requestRedeem([pool, part(shares)], { account }),
    () => pools.write.transferShares([pool, other.account.address, part(shares)], { account }),
    () => token.write.transfer([other.account.address, part(held / 4n)], { account }),
    () => token.write.delegate([other.account.address], { account }),
    () => delegates.write.delegate([other.account.address], { account }),
    async () => pools.write.claimRedeem([pool, BigInt(below(6)), account.address], { account }),
    async () => {
      const { assets } = await pools.read.poolOf([pool]);
      await bonds.write.reserve([pool, part(assets / 2n)]);
      await bonds.write.seize([pool, (await pools.read.poolOf([pool])).reserved]);
    },
    () => bonds.write.settle([BigInt(below(3))]),
    () => bonds.write.restore([BigInt(below(3))]),
    () => time.increase(below(3 * day)),
  ];
  await refusalOf(pick(acts)()).catch((error: unknown) => {
    // A seizure that there is not: the array's own check.
    if (!/array accessed at an out-of-bounds/.test(String(error))) throw error;
  });
}

/** What a rate is a part of: so many shares at once are worth a unit more or less by its last digit. */
const rateScale = 10n ** 24n;

/**
 * What everybody holds now, by what pools have now and not by their histories: of accounts the PHA delegated to them, of stakes their
 * worth and how fine a rate can tell it.
 */
async function holdings({ pools, token, delegates, actors, bothPools }: Loaded) {
  const own = new Map<Address, bigint>();
  const voters = new Map<Address, Address>();
  const worth = new Map<string, { readonly exact: bigint; readonly finest: bigint }>();
  const names = new Map(actors.map(({ account }) => [account.address.toLowerCase(), account.address]));
  for (const { account } of actors) {
    const delegate = names.get((await token.read.delegates([account.address])).toLowerCase()) as Address;
    own.set(delegate, (own.get(delegate) ?? 0n) + (await token.read.balanceOf([account.address])));
    voters.set(account.address, names.get((await delegates.read.voterOf([account.address])).toLowerCase()) as Address);
  }
  for (const pool of bothPools) {
    const { assets, shares, leaving, ownLeaving } = await pools.read.poolOf([pool]);
    const units = await Promise.all(actors.map(({ account }) => pools.read.unitsOf([pool, account.address])));
    const ofOthers = units.reduce((sum, one, index) => (actors[index]?.account.address === pool ? sum : sum + one), 0n);
    for (const [index, { account }] of actors.entries()) {
      const held = await pools.read.sharesOf([pool, account.address]);
      const mine = units[index] ?? 0n;
      const [lane, all] = account.address === pool ? [ownLeaving, mine] : [leaving, ofOthers];
      const exact = (held * (assets + 1n)) / (shares + 1_000_000n) + (mine * (lane + 1n)) / (all + 1_000_000n);
      worth.set(`${account.address}${pool}`, { exact, finest: (held + mine) / rateScale });
    }
  }
  return { own, voters, worth };
}

/** Any vote, now and then one that is none. */
function anyCast({ actors, bothPools }: Loaded, { below, pick, part }: Random): Cast {
  const voter = pick(actors).account.address;
  const every = actors.flatMap(({ account }) => bothPools.map((pool) => [account.address, pool] as const));
  const named = every.filter(() => below(8) === 0);
  if (below(12) === 0) named.push(pick(every));
  if (below(12) !== 0) named.sort((a, b) => (a.join('').toLowerCase() < b.join('').toLowerCase() ? -1 : 1));
  const support = below(20) === 0 ? 3 : pick([0, 1, 2, 255, 255]);
  if ((support === 255) !== (below(20) !== 0)) return { voter, support, stakes: named };
  const most = pick([0n, 1n, pha('1000000'), pha('9000000')]);
  return { voter, support, stakes: named, amounts: [part(most), part(most), part(most)] };
}

function paramsOf({ stakes, amounts }: Cast): Hex {
  const packed = stakes.map(([account, pool]) => concatHex([account, pool]));
  const named: Hex = packed.length === 0 ? '0x' : concatHex(packed);
  return amounts === undefined ? named : split({ against: amounts[0], for: amounts[1], abstain: amounts[2] }, named);
}

async function proposeByTheRichest(loaded: Loaded): Promise<Proposal> {
  const votes = await Promise.all(loaded.actors.map(({ account }) => loaded.token.read.getVotes([account.address])));
  const richest = votes.indexOf(votes.reduce((a, b) => (a > b ? a : b)));
  await time.increase(1);
  return propose(loaded, [ordinaryAct(loaded)], loaded.actors[richest] as Staker);
}

describe('CloisterGovernor against a model, in random order', () => {
  for (let round = 1; round <= rounds; round += 1)
    it(`seed ${round}`, async () => {
      const loaded = await networkHelpers.loadFixture(world);
      const { governor, pools, token, actors, bothPools } = loaded;
      const random = randomOf(round);
      for (let count = 0; count < steps; count += 1) await step(loaded, random);
      const proposal = await proposeByTheRichest(loaded);
      for (let count = 0; count < 3; count += 1) await step(loaded, random);
      const snapshot = await governor.read.proposalSnapshot([proposal.id]);
      const latest = BigInt(await time.latest());
      // Steps may have gone beyond it: then what was held at it is in the histories alone.
      const exact = latest < snapshot;
      if (exact) await time.increaseTo(snapshot);
      const held = await holdings(loaded);
      if (exact) await time.increase(1);

      const worth = new Map<string, bigint>();
      const own = new Map<Address, bigint>();
      const voters = new Map<Address, Address>();
      for (const { account } of actors) {
        own.set(account.address, await token.read.getPastVotes([account.address, snapshot]));
        const voter = await loaded.delegates.read.pastVoterOf([account.address, snapshot]);
        const found = actors.find((actor) => actor.account.address.toLowerCase() === voter.toLowerCase());
        voters.set(account.address, found?.account.address as Address);
        for (const pool of bothPools)
          worth.set(`${account.address}${pool}`, await pools.read.getPastVotes([account.address, pool, snapshot]));
      }
      if (exact) {
        assert.deepEqual([...voters], [...held.voters]);
        for (const [account, votes] of own) assert.equal(votes, held.own.get(account) ?? 0n, account);
        for (const [stake, votes] of worth) {
          const { exact: now, finest } = held.worth.get(stake) as { exact: bigint; finest: bigint };
          // A rate is rounded down, and what each way in or out leaves in the pool, at most a unit, shows in the next one.
          assert.ok(
            votes <= now && votes + finest + BigInt(steps) + 5n >= now,
            `${stake}: ${votes} voted, ${now} held`,
          );
        }
      }

      const model = new BallotModel({
        own: (voter) => own.get(voter) ?? 0n,
        voterOf: (account) => voters.get(account) as Address,
        worth: (account, pool) => worth.get(`${account}${pool}`) ?? 0n,
      });
      let refusals = 0;
      for (let count = 0; count < casts; count += 1) {
        if (random.below(4) === 0) await step(loaded, random).then(() => undefined);
        if ((await governor.read.state([proposal.id])) !== 1) break;
        const cast = anyCast(loaded, random);
        const by = actors.find(({ account }) => account.address === cast.voter) as Staker;
        const expected = model.cast(cast);
        const got = await refusalOf(vote(loaded, proposal, by, cast.support, paramsOf(cast)));
        assert.equal(
          got,
          expected,
          JSON.stringify(cast, (_, value) => (typeof value === 'bigint' ? `${value}` : value)),
        );
        if (expected !== undefined) refusals += 1;
        assert.deepEqual(await tallyOf(loaded, proposal), model.tally);
        const hat = model.hats.get(cast.voter);
        assert.deepEqual(await governor.read.ballotOf([proposal.id, cast.voter]), [hat !== undefined, hat ?? 0n]);
      }
      const [against, inFavour, abstained] = await tallyOf(loaded, proposal);
      assert.ok(against + inFavour + abstained <= (await token.read.totalSupply()));
      assert.ok(against + inFavour + abstained > 0n && refusals > 0, 'nothing was counted, or nothing refused');
    });
});
