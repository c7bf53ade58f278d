import type { PaymentsReader, RegistryReader } from '@cloister/chain';
import {
  type Address,
  type BareReceipt,
  type Bytes32,
  type ChannelTotal,
  CloisterError,
  type RecordDomain,
  sleep,
} from '@cloister/core';
import type { Logger } from '@cloister/service';
import type { SignDigest } from '../receiptBook.ts';
import type { Claims } from './claims.ts';
import type { KnownChannel } from './paymentDesk.ts';
import type { AnchoredStatements, ClaimableChannel, Journal, Settlements } from './settlementJournal.ts';
import { type SignedStatement, signStatements } from './statements.ts';

export type SettlerComponents = {
  readonly domain: RecordDomain;
  readonly signer: Address;
  readonly sign: SignDigest;
  /** The channels that paid here, with their newest vouchers. */
  readonly channels: () => Iterable<KnownChannel>;
  /** What this signer earned. */
  readonly totals: () => Iterable<ChannelTotal>;
  readonly reader: Pick<PaymentsReader, 'channel' | 'totalOf' | 'anchoredAt' | 'view'>;
  readonly registry: Pick<RegistryReader, 'evictionBlockOf'>;
  readonly journal: Journal;
  readonly claims: Claims;
  readonly log: Logger;
};

export type SettlerInit = {
  /** Claims once so much is due in all, in PHA's smallest unit: what makes the gas worth it. */
  readonly collectAtLeast: bigint;
  /** How often what was earned is put on record, here and, where it grew since, on the chain. Milliseconds. */
  readonly keepMs: number;
  readonly anchorMs: number;
  /** How often channels are looked at whose payers may have asked for money back; far below the shortest delay, 15 minutes. */
  readonly watchMs: number;
};

type Claimable = Pick<Settlements, 'statements' | 'receipts' | 'anchored'> & { readonly isOwnEvicted: boolean };
type Due = { readonly channel: ClaimableChannel; readonly amount: bigint; readonly isWithdrawing: boolean };

const maxReceiptsInClaim = 32;
const maxAnchored = 8;

/**
 * Gets the operator paid: writes down what every signer earned, anchors it, and claims it once it is worth the gas, at once where a payer
 * asks for money back, and at the end. Whatever stops it in between loses nothing: claiming twice pays once.
 */
export class Settler {
  readonly #components: SettlerComponents;
  readonly #init: SettlerInit;
  #kept: Settlements = { channels: [], statements: [], receipts: [], anchored: [] };
  #own: { readonly key: string; readonly statements: readonly SignedStatement[] } = { key: '', statements: [] };
  #looked = { key: '', atMs: 0 };
  #anchoredKey = '';
  #anchoredAtMs = 0;
  #loop: Promise<void> | undefined;

  constructor(components: SettlerComponents, init: SettlerInit) {
    this.#components = components;
    this.#init = init;
  }

  /** Reads what earlier signers left, and begins. Throws what the journal throws. */
  async start(signal: AbortSignal): Promise<void> {
    this.#kept = await this.#components.journal.read();
    this.#loop = this.#run(signal);
  }

  /** Ends: what is due is claimed, as far as `signal` allows. The caller has aborted the signal of `start`. */
  async stop(signal: AbortSignal): Promise<void> {
    await this.#loop;
    await this.#keep();
    await this.settle(signal, 1n).catch((error: unknown) =>
      this.#components.log.warn('payments: not claimed at the end', { error }),
    );
  }

  async #run(signal: AbortSignal): Promise<void> {
    let failing = false;
    for (;;) {
      try {
        await sleep(this.#init.keepMs, signal);
        await this.#keep();
        await this.#anchorIfGrown(signal);
        await this.#settleIfChanged(signal);
        failing = false;
      } catch (error) {
        if (signal.aborted) return;
        if (!failing) this.#components.log.warn('payments: waiting', { error });
        failing = true;
      }
    }
  }

  /** Writes down vouchers, totals and receipts as they are now. */
  async #keep(): Promise<void> {
    const { journal, signer } = this.#components;
    const channels = new Map(this.#kept.channels.map((channel) => [channel.id, channel]));
    const receipts = new Map(this.#kept.receipts.map((one) => [`${one.signer} ${one.receipt.channel}`, one]));
    for (const { id, parties, voucher, receipts: shown } of this.#components.channels()) {
      const known = channels.get(id)?.voucher.maxClaimableAmount ?? -1n;
      if (voucher.maxClaimableAmount > known) channels.set(id, { id, parties, voucher });
      for (const [other, bare] of shown) keepHigher(receipts, other, bare);
    }
    const earlier = this.#kept.statements.filter((statement) => statement.signer !== signer);
    this.#kept = {
      ...this.#kept,
      channels: [...channels.values()],
      statements: [...earlier, ...this.#ownStatements()],
      receipts: [...receipts.values()],
    };
    await journal.write(this.#kept);
  }

  #ownStatements(): readonly SignedStatement[] {
    const totals = [...this.#components.totals()];
    const key = keyOf(totals);
    if (key !== this.#own.key) {
      const block = this.#components.reader.view.latest?.number ?? 0n;
      this.#own = { key, statements: signStatements(this.#components, totals, block) };
    }
    return this.#own.statements;
  }

  /** What was earned since the last time gets a root on the chain: after an eviction only that counts. */
  async #anchorIfGrown(signal: AbortSignal): Promise<void> {
    const { statements, key } = this.#own;
    if (statements.length === 0 || key === this.#anchoredKey) return;
    if (Date.now() - this.#anchoredAtMs < this.#init.anchorMs) return;
    const { claims, journal } = this.#components;
    const root = await claims.anchor(statements, signal);
    this.#anchoredKey = key;
    this.#anchoredAtMs = Date.now();
    const anchored: AnchoredStatements = { root, statements };
    this.#kept = { ...this.#kept, anchored: [...this.#kept.anchored, anchored].slice(-maxAnchored) };
    await journal.write(this.#kept);
  }

  async #settleIfChanged(signal: AbortSignal): Promise<void> {
    const { channels, receipts } = this.#kept;
    const key = `${this.#own.key} ${receipts.length} ${channels.map(({ voucher }) => voucher.maxClaimableAmount).join(' ')}`;
    if (key === this.#looked.key && Date.now() - this.#looked.atMs < this.#init.watchMs) return;
    this.#looked = { key, atMs: Date.now() };
    await this.settle(signal, this.#init.collectAtLeast);
    await this.#forgetShown(signal);
  }

  /** Claims everything if at least so much is due, or whatever is due of channels that are being emptied. */
  async settle(signal: AbortSignal, atLeast: bigint): Promise<void> {
    const claimable = await this.#claimable(signal);
    const due: Due[] = [];
    for (const channel of this.#kept.channels) {
      const one = await this.#dueOf(channel, claimable, signal);
      if (one.amount > 0n) due.push(one);
    }
    const sum = due.reduce((all, { amount }) => all + amount, 0n);
    const wanted = sum >= atLeast ? due : due.filter(({ isWithdrawing }) => isWithdrawing);
    if (wanted.length === 0) return;
    const ids = new Set(wanted.map(({ channel }) => channel.id));
    await this.#claim(ids, claimable, signal);
    const { claims, log } = this.#components;
    for (const gateway of new Set(wanted.map(({ channel }) => channel.parties.gateway)))
      await unlessDone(claims.distribute(gateway, signal));
    await unlessDone(claims.collect(signal));
    const amount = wanted.reduce((all, one) => all + one.amount, 0n);
    log.info('payments: claimed', { channels: wanted.length, amount });
  }

  /** What the contract takes: of a signer that was evicted for cause only what was anchored before, else everything. */
  async #claimable(signal: AbortSignal): Promise<Claimable> {
    const { reader, registry, signer: own } = this.#components;
    const { statements, receipts, anchored } = this.#kept;
    const signers = new Set([
      own,
      ...statements.map(({ signer }) => signer),
      ...receipts.map(({ signer }) => signer),
      ...anchored.flatMap((one) => one.statements.map(({ signer }) => signer)),
    ]);
    const evictedIn = new Map<Address, bigint>();
    for (const signer of signers) {
      const block = await registry.evictionBlockOf(signer, undefined, signal);
      if (block > 0n) evictedIn.set(signer, block);
    }
    const inTime: AnchoredStatements[] = [];
    for (const one of anchored) {
      const evictions = one.statements.flatMap(({ signer }) => evictedIn.get(signer) ?? []);
      if (evictions.length === 0) continue;
      const at = await reader.anchoredAt(one.root, signal);
      if (at > 0n && evictions.every((block) => at < block)) inTime.push(one);
    }
    return {
      statements: statements.filter(({ signer }) => !evictedIn.has(signer)),
      receipts: receipts.filter(({ signer }) => !evictedIn.has(signer)),
      anchored: inTime,
      isOwnEvicted: evictedIn.has(own),
    };
  }

  /** What a claim would pay of one channel now. */
  async #dueOf(channel: ClaimableChannel, claimable: Claimable, signal: AbortSignal): Promise<Due> {
    const { reader } = this.#components;
    const local = totalsOf(channel.id, claimable);
    if (local.size === 0) return { channel, amount: 0n, isWithdrawing: false };
    const status = await reader.channel(channel.id, undefined, signal);
    let earned = status.earned;
    for (const [signer, total] of local) {
      const shown = await reader.totalOf(channel.id, signer, undefined, signal);
      if (total > shown) earned += total - shown;
    }
    const promised = larger(channel.voucher.maxClaimableAmount, status.voucher);
    const bearable = smaller(smaller(promised, earned), status.deposited);
    return { channel, amount: bearable - status.claimed, isWithdrawing: status.withdrawableAt > 0n };
  }

  /** Every statement and receipt that names one of these channels, each in a claim that it fits. */
  async #claim(ids: ReadonlySet<Bytes32>, claimable: Claimable, signal: AbortSignal): Promise<void> {
    const { claims } = this.#components;
    const channels = new Map(this.#kept.channels.map((channel) => [channel.id, channel]));
    const channelsOf = (wanted: Iterable<Bytes32>) =>
      [...new Set(wanted)].flatMap((id) => {
        const channel = channels.get(id);
        return channel === undefined ? [] : [channel];
      });
    const names = ({ pairs }: SignedStatement) => pairs.some(({ channel }) => ids.has(channel));
    for (const statement of this.#statementsOn(ids, claimable))
      await claims.byStatements(channelsOf(statement.pairs.map(({ channel }) => channel)), [statement], signal);
    for (const anchored of claimable.anchored) {
      if (!anchored.statements.some(names)) continue;
      const all = anchored.statements.flatMap(({ pairs }) => pairs.map(({ channel }) => channel));
      await claims.byAnchored(channelsOf(all), anchored, signal);
    }
    const receipts = claimable.receipts.filter(({ receipt }) => ids.has(receipt.channel));
    for (let from = 0; from < receipts.length; from += maxReceiptsInClaim) {
      const part = receipts.slice(from, from + maxReceiptsInClaim);
      await claims.byReceipts(channelsOf(part.map(({ receipt }) => receipt.channel)), part, signal);
    }
  }

  /** Statements to claim these channels by: this signer's are made for them, earlier ones are as they are. */
  #statementsOn(ids: ReadonlySet<Bytes32>, { statements, isOwnEvicted }: Claimable): readonly SignedStatement[] {
    const { signer } = this.#components;
    const block = this.#components.reader.view.latest?.number ?? 0n;
    const own = isOwnEvicted ? [] : [...this.#components.totals()].filter(({ channel }) => ids.has(channel));
    const earlier = statements.filter(
      (statement) => statement.signer !== signer && statement.pairs.some(({ channel }) => ids.has(channel)),
    );
    return [...signStatements(this.#components, own, block), ...earlier];
  }

  /** What earlier signers earned, receipts, and channels that nothing names any more are forgotten once the finalised chain has seen them. */
  async #forgetShown(signal: AbortSignal): Promise<void> {
    const { reader, signer: own } = this.#components;
    const isShown = async (signer: Address, channel: Bytes32, total: bigint) => {
      const { number } = await reader.view.finalized(signal);
      return (await reader.totalOf(channel, signer, number, signal)) >= total;
    };
    const isStatementShown = async ({ signer, pairs }: SignedStatement) => {
      if (signer === own) return false;
      const shown = await Promise.all(pairs.map(({ channel, cumulative }) => isShown(signer, channel, cumulative)));
      return !shown.includes(false);
    };
    const statements: SignedStatement[] = [];
    for (const statement of this.#kept.statements) if (!(await isStatementShown(statement))) statements.push(statement);
    const anchored: AnchoredStatements[] = [];
    for (const one of this.#kept.anchored) {
      const shown = await Promise.all(one.statements.map(isStatementShown));
      if (shown.includes(false)) anchored.push(one);
    }
    const receipts: Settlements['receipts'][number][] = [];
    for (const one of this.#kept.receipts)
      if (!(await isShown(one.signer, one.receipt.channel, one.receipt.cumulativeFee))) receipts.push(one);
    // Of a channel that nothing is owed by any more, the voucher has served its time.
    const named = new Set([
      ...statements.flatMap(({ pairs }) => pairs.map(({ channel }) => channel)),
      ...receipts.map(({ receipt }) => receipt.channel),
      ...anchored.flatMap((one) => one.statements.flatMap(({ pairs }) => pairs.map(({ channel }) => channel))),
      ...[...this.#components.channels()].map(({ id }) => id),
    ]);
    const channels = this.#kept.channels.filter(({ id }) => named.has(id));
    this.#kept = { channels, statements, receipts, anchored };
  }
}

/** What each signer earned in a channel, as far as a claim can show it. */
function totalsOf(channel: Bytes32, { statements, receipts, anchored }: Claimable): Map<Address, bigint> {
  const totals = new Map<Address, bigint>();
  const raise = (signer: Address, total: bigint) => totals.set(signer, larger(totals.get(signer) ?? 0n, total));
  for (const { signer, pairs } of [...statements, ...anchored.flatMap((one) => one.statements)])
    for (const pair of pairs) if (pair.channel === channel) raise(signer, pair.cumulative);
  for (const { signer, receipt } of receipts) if (receipt.channel === channel) raise(signer, receipt.cumulativeFee);
  return totals;
}

/** Another of the operator's workers may have done it already: then the contract finds nothing to do. */
async function unlessDone(work: Promise<void>): Promise<void> {
  await work.catch((error: unknown) => {
    if (!(error instanceof CloisterError && error.code === 'TRANSACTION_REFUSED')) throw error;
  });
}

function keepHigher(
  receipts: Map<string, BareReceipt & { readonly signer: Address }>,
  signer: Address,
  bare: BareReceipt,
): void {
  const key = `${signer} ${bare.receipt.channel}`;
  const known = receipts.get(key)?.receipt.cumulativeFee ?? 0n;
  if (bare.receipt.cumulativeFee > known) receipts.set(key, { signer, ...bare });
}

function keyOf(totals: readonly ChannelTotal[]): string {
  return totals.map(({ channel, cumulative }) => `${channel.slice(2, 18)}${cumulative.toString(36)}`).join(' ');
}

const larger = (left: bigint, right: bigint): bigint => (left > right ? left : right);
const smaller = (left: bigint, right: bigint): bigint => (left < right ? left : right);
