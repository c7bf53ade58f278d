import {
  bearersOf,
  emptyShareLedger,
  isWorthless,
  type ShareLedger,
  splitCommission,
  toAssetsDown,
  toAssetsUp,
  toSharesDown,
  toSharesUp,
} from '@cloister/economics';
import { phaUnit } from '../units.ts';

/** Whoever holds shares: the operator itself, or a delegator by its number. */
export type Holder = 'own' | number;

type Request = { readonly holder: Holder; readonly units: bigint; readonly turn: bigint; readonly at: number };
type Lane = { ledger: ShareLedger; requested: bigint; served: bigint; requests: Request[] };
type Stopping = { readonly count: number; bond: bigint; readonly freeAt: number };

export type PoolRules = {
  readonly ownStakeBps: bigint;
  /** Seconds. */
  readonly unbonding: number;
};

/** The longest pause by slashes, and the time without one after it; seconds. */
const maxPause = 10 * 86_400;
const pauseGap = 2 * 86_400;
/** A unit in each of four terms: it stops no worker. */
const rounding = 4n;

/**
 * One operator's pool, counted as `StakePools` and `WorkerBonds` count: staked, what leaves in two lanes (others' first), and bonds of
 * workers that run or stopped. All of its workers have the same bond. Earnings flow in at once, not over an epoch.
 */
export class Pool {
  commissionBps: number;
  /** Deposits go up to this; earnings may go beyond. */
  capacity = 0n;
  staked: ShareLedger = emptyShareLedger;
  readonly shares = new Map<Holder, bigint>();
  /** Workers that run, and the bond of each. */
  running = 0;
  bond = 0n;
  openSeizures = 0;
  readonly #rules: PoolRules;
  readonly #lanes: { readonly own: Lane; readonly backers: Lane } = { own: newLane(), backers: newLane() };
  #stopping: Stopping[] = [];
  /** Came while less than 1 PHA was staked. */
  #waiting = 0n;
  #pausedUntil = 0;

  constructor(rules: PoolRules, commissionBps: number) {
    this.#rules = rules;
    this.commissionBps = commissionBps;
  }

  /** All PHA in the pool's custody. */
  get held(): bigint {
    return this.staked.assets + this.leaving + this.#waiting;
  }

  get leaving(): bigint {
    return this.#lanes.own.ledger.assets + this.#lanes.backers.ledger.assets;
  }

  get runningBonds(): bigint {
    return this.bond * BigInt(this.running);
  }

  /** Bonds of workers that run, and of those that stopped less than `unbonding` ago. */
  get reserved(): bigint {
    return this.#stopping.reduce((sum, { bond }) => sum + bond, this.runningBonds);
  }

  get closed(): boolean {
    return isWorthless(this.staked) || isWorthless(this.#lanes.backers.ledger);
  }

  worthOf(holder: Holder): bigint {
    return toAssetsDown(this.staked, this.shares.get(holder) ?? 0n);
  }

  /** What the operator has at stake that it can't claim. */
  get ownAtStake(): bigint {
    const { own } = this.#lanes;
    const left = this.worthOf('own') + own.ledger.assets - servedAssets(own);
    return left > 0n ? left : 0n;
  }

  /** Whether a deposit is taken: not while a slash is open, nor by a closed pool. */
  get isOpen(): boolean {
    return this.openSeizures === 0 && !this.closed;
  }

  /** What deposits may still come to. */
  get room(): bigint {
    return this.isOpen && this.capacity > this.staked.assets ? this.capacity - this.staked.assets : 0n;
  }

  deposit(holder: Holder, assets: bigint): void {
    const shares = toSharesDown(this.staked, assets);
    this.staked = { assets: this.staked.assets + assets, shares: this.staked.shares + shares };
    this.shares.set(holder, (this.shares.get(holder) ?? 0n) + shares);
  }

  /** Takes shares of a holder, at most what it has, out of what earns. Nothing is paid yet. */
  requestRedeem(holder: Holder, shares: bigint, now: number): void {
    const has = this.shares.get(holder) ?? 0n;
    const taken = shares < has ? shares : has;
    const assets = toAssetsDown(this.staked, taken);
    const lane = holder === 'own' ? this.#lanes.own : this.#lanes.backers;
    const units = toSharesDown(lane.ledger, assets);
    if (units === 0n) return;
    this.shares.set(holder, has - taken);
    this.staked = { assets: this.staked.assets - assets, shares: this.staked.shares - taken };
    lane.ledger = { assets: lane.ledger.assets + assets, shares: lane.ledger.shares + units };
    lane.requested += units;
    lane.requests.push({ holder, units, turn: lane.requested, at: now });
  }

  /** What whose turn was served gets now, `unbonding` after they asked. */
  claim(now: number): { readonly holder: Holder; readonly assets: bigint }[] {
    if (this.openSeizures > 0 && now < this.#pausedUntil) return [];
    this.#serve();
    return [this.#lanes.backers, this.#lanes.own].flatMap((lane) => {
      const isDue = ({ turn, at }: Request) => turn <= lane.served && now >= at + this.#rules.unbonding;
      const due = lane.requests.filter(isDue);
      if (due.length === 0) return [];
      lane.requests = lane.requests.filter((request) => !isDue(request));
      return due.map(({ holder, units }) => {
        const assets = toAssetsDown(lane.ledger, units);
        lane.ledger = { assets: lane.ledger.assets - assets, shares: lane.ledger.shares - units };
        return { holder, assets };
      });
    });
  }

  /** Earnings come in; the operator's commission of them is returned, to be paid to it. */
  earn(amount: bigint): bigint {
    const { commission, stakers } = splitCommission(amount, BigInt(this.commissionBps));
    this.#waiting += stakers;
    if (this.staked.assets >= phaUnit) {
      this.staked = { ...this.staked, assets: this.staked.assets + this.#waiting };
      this.#waiting = 0n;
    }
    return commission;
  }

  /** Workers of this bond that the stake would cover besides those that run, with the operator's own part; and for that part alone. */
  roomFor(bond: bigint): { readonly workers: number; readonly byOwnStake: number } {
    const bps = this.#rules.ownStakeBps;
    const reserved = this.reserved;
    const byStake = this.staked.assets - reserved;
    const byOwn = bps === 0n ? byStake : (this.worthOf('own') * 10_000n) / bps - reserved;
    const count = (free: bigint) => (bond === 0n || free <= 0n ? 0 : Number(free / bond));
    return { workers: Math.min(count(byStake), count(byOwn)), byOwnStake: count(byOwn) };
  }

  /** Starts workers, all of which have this bond. */
  start(count: number, bond: bigint): void {
    this.bond = bond;
    this.running += count;
  }

  /** Stops the newest; their bonds come free after `unbonding`. */
  stop(count: number, now: number): void {
    const stopped = Math.min(count, this.running);
    if (stopped === 0) return;
    this.running -= stopped;
    this.#stopping.push({ count: stopped, bond: this.bond * BigInt(stopped), freeAt: now + this.#rules.unbonding });
  }

  /** Frees bonds whose time is over, and stops workers that stake no longer covers, or that keep whoever asked `unbonding` ago. Returns how many. */
  settleBonds(now: number): number {
    this.#stopping = this.#stopping.filter(({ freeAt }) => freeAt > now);
    if (this.running === 0) return 0;
    const { backers, own } = this.#lanes;
    const overdue = backers.requests.reduce(
      (turn, request) => (now >= request.at + this.#rules.unbonding && request.turn > turn ? request.turn : turn),
      backers.served,
    );
    const total = this.staked.assets + this.leaving;
    const byStake = total - assetsUpTo(backers, overdue) - servedAssets(own);
    const bps = this.#rules.ownStakeBps;
    const byOwn = bps === 0n ? byStake : ((this.ownAtStake + rounding) * 10_000n) / bps;
    const cover = lesser(byStake + rounding, byOwn);
    if (this.closed) return this.#stopAll(now);
    if (this.runningBonds <= cover) return 0;
    const kept = cover <= 0n ? 0 : Number(cover / this.bond);
    const stopped = this.running - kept;
    this.stop(stopped, now);
    return stopped;
  }

  /** Takes so much out of the pool, as a slash. The bonds of `workers` that run are gone with it. Returns what was taken, and of it the operator's. */
  seize(amount: bigint, workers: number, now: number): { readonly moved: bigint; readonly own: bigint } {
    const { own, backers } = this.#lanes;
    const has = this.shares.get('own') ?? 0n;
    const ownWorth = this.worthOf('own');
    const borne = bearersOf(amount, {
      ownStaked: ownWorth,
      ownLeaving: own.ledger.assets,
      staked: this.staked.assets - ownWorth,
      leaving: backers.ledger.assets,
    });
    const burnt = borne.ownStaked < ownWorth ? lesser(has, toSharesUp(this.staked, borne.ownStaked)) : has;
    this.staked = { assets: this.staked.assets - borne.ownStaked - borne.staked, shares: this.staked.shares - burnt };
    this.shares.set('own', has - burnt);
    own.ledger = { ...own.ledger, assets: own.ledger.assets - borne.ownLeaving };
    backers.ledger = { ...backers.ledger, assets: backers.ledger.assets - borne.leaving };
    this.running -= Math.min(workers, this.running);
    this.openSeizures += 1;
    if (now >= this.#pausedUntil + pauseGap) this.#pausedUntil = now + maxPause;
    const ownPart = borne.ownStaked + borne.ownLeaving;
    return { moved: ownPart + borne.staked + borne.leaving, own: ownPart };
  }

  settleSeizure(): void {
    this.openSeizures -= 1;
  }

  #stopAll(now: number): number {
    const count = this.running;
    this.stop(count, now);
    return count;
  }

  /** Others first, the operator once nobody waits there, and never below the own part that its bonds ask for. */
  #serve(): void {
    const { backers, own } = this.#lanes;
    const reserved = this.reserved;
    if (reserved === 0n) {
      [backers.served, own.served] = [backers.requested, own.requested];
      return;
    }
    const total = this.staked.assets + this.leaving;
    let free = total - servedAssets(backers) - servedAssets(own) - reserved;
    if (free <= 0n) return;
    free -= serve(backers, free);
    if (own.requested === own.served) return;
    const needed = (reserved * this.#rules.ownStakeBps + 9_999n) / 10_000n;
    const ownFree = this.ownAtStake - needed;
    if (ownFree > 0n) serve(own, lesser(free, ownFree));
  }
}

function newLane(): Lane {
  return { ledger: emptyShareLedger, requested: 0n, served: 0n, requests: [] };
}

/** Serves as many units as `free` covers; returns what that took of it. */
function serve(lane: Lane, free: bigint): bigint {
  const waiting = lane.requested - lane.served;
  const used = toAssetsDown(lane.ledger, waiting);
  if (used <= free) {
    lane.served += waiting;
    return used;
  }
  lane.served += lesser(waiting, toSharesDown(lane.ledger, free));
  return free;
}

function servedAssets(lane: Lane): bigint {
  return assetsUpTo(lane, lane.served);
}

/** What requests up to a turn are worth that were not claimed, rounded up. */
function assetsUpTo(lane: Lane, turn: bigint): bigint {
  const claimed = lane.requested - lane.ledger.shares;
  return turn <= claimed ? 0n : toAssetsUp(lane.ledger, turn - claimed);
}

function lesser(left: bigint, right: bigint): bigint {
  return left < right ? left : right;
}
