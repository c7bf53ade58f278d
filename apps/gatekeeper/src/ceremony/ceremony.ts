import { type Address, type Bytes32, ceremonyMessageDigest, type Hex } from '@cloister/core';
import { concatBytes, fromHex, keccak256, type SecretBytes, toHex } from '@cloister/crypto';
import { type Combined, combineFresh, combineResharing, combineShares, deal } from '@cloister/threshold/dkg';
import { type SharePair, sealShares, secretsOf } from '../shares/sharePair.ts';
import type { Agreed, Agreement, CeremonyInit, Made } from './agreement.ts';
import type { CeremonyBody, CeremonyKind, CeremonyMessage } from './ceremonyMessage.ts';
import { receiverIndex, type Seen, seeDealing, sharesShown } from './seenDealing.ts';

/** Why a dealer does not count, for people and for the record. */
export type Fault =
  | 'absent'
  | 'committed too late'
  | 'said two different things'
  | 'showed another dealing than it committed to'
  | 'dealt what is no dealing'
  | 'left a complaint open'
  | 'met too many complaints';

type Said = {
  commit?: CeremonyMessage<'commit'>;
  dealing?: CeremonyMessage<'dealing'>;
  verdict?: CeremonyMessage<'verdict'>;
  proposal?: CeremonyMessage<'proposal'>;
  signature?: CeremonyMessage<'signature'>;
  readonly answers: Map<Address, CeremonyMessage<'answer'>>;
};

/**
 * One attempt at making or moving the committee's two keys, as one member takes part in it: commit, deal, judge, answer
 * complaints in the open, agree, sign. It sends nothing itself: what it says stands in {@link messages}, for whoever carries
 * messages in any order, twice, or not at all.
 */
export class Ceremony {
  readonly #init: CeremonyInit;
  readonly #dealers: readonly Address[];
  readonly #said = new Map<Address, Said>();
  readonly #all = new Map<string, CeremonyMessage>();
  readonly #ids = new WeakMap<CeremonyMessage, string>();
  readonly #twoFaced = new Set<Address>();
  readonly #seen = new Map<Address, Seen | 'broken'>();
  #myDealing: { readonly body: CeremonyBody['dealing']; readonly shares: readonly SharePair[] } | undefined;
  /** Who had committed when this member showed its own dealing: later ones could have chosen theirs to fit. */
  #committedInTime: ReadonlySet<Address> | undefined;
  #agreement: Agreement | undefined;
  #objection: string | undefined;
  #queue: Promise<unknown> = Promise.resolve();

  constructor(init: CeremonyInit) {
    this.#init = init;
    this.#dealers = init.previous?.signers ?? init.receivers.map(({ signer }) => signer);
    for (const signer of [...this.#dealers, ...init.receivers.map((receiver) => receiver.signer)])
      if (!this.#said.has(signer)) this.#said.set(signer, { answers: new Map() });
  }

  get session(): Bytes32 {
    return this.#init.session;
  }

  /** Everything said so far, this member's words included, by id. */
  get messages(): ReadonlyMap<string, CeremonyMessage> {
    return this.#all;
  }

  /** Why this member does not sign what was proposed. */
  get objection(): string | undefined {
    return this.#objection;
  }

  /** Takes in a message whose signature was checked. Anything that has no place here is left out without a word. */
  receive(message: CeremonyMessage): Promise<void> {
    return this.#next(async () => this.#take(message));
  }

  /** Does what is due. `elapsedMs`: since the attempt began. */
  step(elapsedMs: number): Promise<void> {
    return this.#next(async () => {
      const { phaseMs } = this.#init;
      await this.#commit();
      if (this.#everyDealer('commit') || elapsedMs >= phaseMs) this.#deal();
      if (this.#everyDealer('dealing') || elapsedMs >= 2 * phaseMs) await this.#judge();
      this.#answer();
      await this.#takeAnswers();
      if (this.#isQuiet(elapsedMs)) this.#propose();
      await this.#agree();
    });
  }

  /** Done once enough old and enough new members signed the same; signatures that come later are in it too. */
  get agreed(): Agreed | undefined {
    const agreement = this.#agreement;
    if (agreement === undefined) return undefined;
    const signatures = new Map<Address, Hex>();
    for (const [signer, { signature }] of this.#said)
      if (signature?.body.digest === agreement.digest) signatures.set(signer, signature.body.signature);
    const signed = (signers: readonly Address[]) => signers.filter((signer) => signatures.has(signer)).length;
    const { previous, threshold, receivers } = this.#init;
    if (signed(receivers.map(({ signer }) => signer)) < threshold) return undefined;
    if (previous !== undefined && signed(previous.signers) < previous.threshold) return undefined;
    return { ...agreement, signatures };
  }

  /** Whether everybody who could sign has: nothing more is to be waited for. */
  get everybodySigned(): boolean {
    return [...this.#said.values()].every(({ signature }) => signature !== undefined);
  }

  /** Who does not count as a dealer in this member's eyes, and why. */
  faults(): Map<Address, Fault> {
    const faults = new Map<Address, Fault>();
    for (const dealer of this.#dealers) {
      const fault = this.#faultOf(dealer);
      if (fault !== undefined) faults.set(dealer, fault);
    }
    return faults;
  }

  /** Overwrites every share that this attempt still holds but those handed out as agreed. */
  dispose(): void {
    const kept = this.#agreement?.shares;
    const held = [...this.#seen.values()].flatMap((seen) => (seen === 'broken' || !seen.mine ? [] : [seen.mine]));
    for (const pair of [...held, ...(this.#myDealing?.shares ?? [])])
      if (pair !== kept) for (const share of secretsOf(pair)) share.wipe();
  }

  /* WHAT THIS MEMBER SAYS */

  async #commit(): Promise<void> {
    const { previous, receivers, threshold, me, session } = this.#init;
    if (this.#myDealing !== undefined || !this.#dealers.includes(me.signer)) return;
    if (previous !== undefined && previous.shares === undefined) return;
    const count = receivers.length;
    const apps = deal({ threshold, count, ...(previous?.shares && { secret: previous.shares.apps }) });
    const beacon = deal({ threshold, count, ...(previous?.shares && { secret: previous.shares.beacon }) });
    const shares = receivers.map((_, index) => ({
      apps: apps.shares[index] as SecretBytes,
      beacon: beacon.shares[index] as SecretBytes,
    }));
    const body = {
      apps: apps.commitments.map((point) => toHex(point)),
      beacon: beacon.commitments.map((point) => toHex(point)),
      shares: await Promise.all(
        receivers.map(({ signer, hpkeKey }, index) =>
          sealShares(shares[index] as SharePair, { session, dealer: me.signer, receiver: signer }, hpkeKey),
        ),
      ),
    };
    this.#myDealing = { body, shares };
    this.#say('commit', { dealing: this.#dealingHash(body) });
  }

  #deal(): void {
    const { me } = this.#init;
    if (this.#committedInTime === undefined)
      this.#committedInTime = new Set(this.#dealers.filter((dealer) => this.#said.get(dealer)?.commit !== undefined));
    if (this.#myDealing !== undefined && this.#said.get(me.signer)?.dealing === undefined)
      this.#say('dealing', this.#myDealing.body);
  }

  async #judge(): Promise<void> {
    const { me } = this.#init;
    if (this.#receiverIndex(me.signer) === 0 || this.#said.get(me.signer)?.verdict !== undefined) return;
    const against: Address[] = [];
    for (const dealer of this.#dealers) {
      const seen = await this.#look(dealer);
      if (seen !== undefined && seen !== 'broken' && seen.mine === undefined) against.push(dealer);
    }
    this.#say('verdict', { against });
  }

  #answer(): void {
    const mine = this.#myDealing;
    const own = this.#said.get(this.#init.me.signer);
    const complaints = this.#complaintsAgainst(this.#init.me.signer);
    // As many answers as the threshold would show everybody what this member deals.
    if (mine === undefined || own === undefined || complaints.length >= this.#init.threshold) return;
    for (const to of complaints) {
      const pair = mine.shares[this.#receiverIndex(to) - 1];
      if (pair === undefined || own.answers.has(to)) continue;
      this.#say('answer', {
        to,
        apps: toHex(pair.apps.reveal()) as Bytes32,
        beacon: toHex(pair.beacon.reveal()) as Bytes32,
      });
    }
  }

  #propose(): void {
    const { me, proposer } = this.#init;
    if (me.signer !== proposer || this.#said.get(me.signer)?.proposal !== undefined) return;
    const dealers = this.#dealers.filter((dealer) => this.#faultOf(dealer) === undefined);
    if (dealers.length >= this.#neededDealers) this.#say('proposal', { dealers });
  }

  async #agree(): Promise<void> {
    const { me, proposer, digestOf } = this.#init;
    const own = this.#said.get(me.signer);
    const proposal = this.#said.get(proposer)?.proposal;
    if (proposal === undefined || own === undefined || own.signature !== undefined) return;
    const dealers = this.#dealers.filter((dealer) => proposal.body.dealers.includes(dealer));
    if (dealers.length < this.#neededDealers || dealers.length !== proposal.body.dealers.length)
      return this.#object(`it names "${proposal.body.dealers.length}" dealers, "${this.#neededDealers}" are needed`);
    for (const dealer of dealers) {
      await this.#look(dealer);
      const fault = this.#faultOf(dealer);
      if (fault !== undefined) return this.#object(`its dealer ${dealer} ${fault}`);
    }
    // Whoever may choose among good dealings could choose the key; moving a key gives no such choice.
    const left = this.#dealers.find((dealer) => !dealers.includes(dealer) && this.#faultOf(dealer) === undefined);
    if (this.#init.previous === undefined && left !== undefined)
      return this.#object(`it leaves out ${left}, whose dealing is good`);
    const made = this.#make(dealers);
    const shares = this.#sharesFrom(dealers, made.weights);
    if (this.#receiverIndex(me.signer) !== 0 && shares === undefined)
      return this.#object('this member has no good shares by it');
    this.#objection = undefined;
    const digest = digestOf(made);
    const agreement = { made, digest, shares };
    await this.#init.keep(agreement);
    this.#agreement = agreement;
    this.#say('signature', { digest, signature: me.sign(digest) });
  }

  #say<Kind extends CeremonyKind>(kind: Kind, body: CeremonyBody[Kind]): void {
    const { domain, session, me } = this.#init;
    const signature = me.sign(ceremonyMessageDigest(domain, session, kind, body));
    this.#keep({ session, from: me.signer, kind, body, signature } as unknown as CeremonyMessage);
  }

  #object(why: string): void {
    this.#objection = `The proposal can't be signed: ${why}`;
  }

  /* WHAT OTHERS SAY */

  #take(message: CeremonyMessage): void {
    const { session, proposer } = this.#init;
    if (message.session !== session || !this.#said.has(message.from)) return;
    const { kind, from } = message;
    const isDealer = this.#dealers.includes(from);
    const isReceiver = this.#receiverIndex(from) !== 0;
    if ((kind === 'commit' || kind === 'dealing' || kind === 'answer') && !isDealer) return;
    if (kind === 'verdict' && !isReceiver) return;
    if (kind === 'proposal' && from !== proposer) return;
    if (kind === 'answer' && this.#receiverIndex(message.body.to) === 0) return;
    this.#keep(message);
  }

  /** Keeps the first of each kind; a second, different one is kept once, as proof that its sender has two faces. */
  #keep(message: CeremonyMessage): void {
    const said = this.#said.get(message.from);
    const id = this.#idOf(message);
    if (said === undefined || this.#all.has(id)) return;
    const before = message.kind === 'answer' ? said.answers.get(message.body.to) : said[message.kind];
    if (before === undefined) {
      if (message.kind === 'answer') said.answers.set(message.body.to, message);
      else Object.assign(said, { [message.kind]: message });
      this.#all.set(id, message);
    } else if (!this.#twoFaced.has(message.from)) {
      this.#twoFaced.add(message.from);
      this.#all.set(id, message);
    }
  }

  /** By content: the same words signed again are the same message. */
  #idOf(message: CeremonyMessage): string {
    const known = this.#ids.get(message);
    if (known !== undefined) return known;
    const { from, kind, body, session } = message;
    const id = `${from}:${ceremonyMessageDigest(this.#init.domain, session, kind, body)}`;
    this.#ids.set(message, id);
    return id;
  }

  /** A dealer's dealing as far as it can be seen; undefined while it has not shown one. */
  async #look(dealer: Address): Promise<Seen | 'broken' | undefined> {
    const known = this.#seen.get(dealer);
    if (known !== undefined) return known;
    const dealing = this.#said.get(dealer)?.dealing;
    if (dealing === undefined) return undefined;
    const seen = await seeDealing(this.#init, dealer, dealing.body);
    this.#seen.set(dealer, seen);
    return seen;
  }

  /** Where this member complained and the dealer showed shares that fit, it holds those. */
  async #takeAnswers(): Promise<void> {
    const index = this.#receiverIndex(this.#init.me.signer);
    if (index === 0) return;
    for (const dealer of this.#dealers) {
      const seen = await this.#look(dealer);
      if (seen === undefined || seen === 'broken' || seen.mine !== undefined) continue;
      seen.mine = this.#shownTo(dealer, this.#init.me.signer, seen);
    }
  }

  /** The shares that a dealer showed to all for a receiver, where they fit. */
  #shownTo(dealer: Address, receiver: Address, seen: Seen): SharePair | undefined {
    const answer = this.#said.get(dealer)?.answers.get(receiver);
    return answer && sharesShown(seen, this.#receiverIndex(receiver), answer.body);
  }

  #complaintsAgainst(dealer: Address): Address[] {
    return this.#init.receivers
      .map(({ signer }) => signer)
      .filter((signer) => !this.#twoFaced.has(signer))
      .filter((signer) => this.#said.get(signer)?.verdict?.body.against.includes(dealer));
  }

  #faultOf(dealer: Address): Fault | undefined {
    const said = this.#said.get(dealer);
    if (this.#twoFaced.has(dealer)) return 'said two different things';
    if (said?.commit === undefined) return 'absent';
    if (this.#init.previous === undefined && this.#committedInTime?.has(dealer) === false) return 'committed too late';
    if (said.dealing === undefined) return 'absent';
    if (this.#dealingHash(said.dealing.body) !== said.commit.body.dealing)
      return 'showed another dealing than it committed to';
    const seen = this.#seen.get(dealer);
    if (seen === 'broken') return 'dealt what is no dealing';
    const complaints = this.#complaintsAgainst(dealer);
    // With the threshold's number of shares in the open the dealer's secret would be in the open too.
    if (complaints.length >= this.#init.threshold) return 'met too many complaints';
    if (complaints.some((to) => seen === undefined || this.#shownTo(dealer, to, seen) === undefined))
      return 'left a complaint open';
    return undefined;
  }

  /** Whether nothing more is to be waited for before proposing. */
  #isQuiet(elapsedMs: number): boolean {
    const { receivers, phaseMs } = this.#init;
    const judged = receivers.every(({ signer }) => this.#said.get(signer)?.verdict !== undefined);
    const open = this.#dealers.some((dealer) => this.#faultOf(dealer) === 'left a complaint open');
    return (judged && !open) || elapsedMs >= 3 * phaseMs;
  }

  #everyDealer(kind: 'commit' | 'dealing'): boolean {
    return this.#dealers.every((dealer) => this.#said.get(dealer)?.[kind] !== undefined);
  }

  /* WHAT COMES OF IT */

  get #neededDealers(): number {
    return this.#init.previous?.threshold ?? this.#init.threshold;
  }

  #make(dealers: readonly Address[]): Made & { readonly weights: readonly bigint[] } {
    const { previous } = this.#init;
    const combine = (key: 'apps' | 'beacon'): Combined => {
      const dealings = dealers.map((dealer) => (this.#seen.get(dealer) as Seen)[key]);
      if (previous === undefined) return combineFresh(dealings);
      return combineResharing(
        dealings,
        dealers.map((dealer) => previous.signers.indexOf(dealer) + 1),
      );
    };
    const [apps, beacon] = [combine('apps'), combine('beacon')];
    const digests = dealers.flatMap((dealer) => {
      const { commit, dealing } = this.#said.get(dealer) as Required<Said>;
      return [commit, dealing].map(({ session, kind, body }) =>
        fromHex(ceremonyMessageDigest(this.#init.domain, session, kind, body)),
      );
    });
    return {
      dealers,
      transcriptHash: toHex(keccak256(concatBytes(...digests))),
      apps: apps.commitments,
      beacon: beacon.commitments,
      weights: apps.weights,
    };
  }

  #sharesFrom(dealers: readonly Address[], weights: readonly bigint[]): SharePair | undefined {
    const pairs = dealers.map((dealer) => (this.#seen.get(dealer) as Seen).mine);
    if (this.#receiverIndex(this.#init.me.signer) === 0 || !pairs.every((pair) => pair !== undefined)) return undefined;
    return {
      apps: combineShares(
        pairs.map(({ apps }) => apps),
        weights,
      ),
      beacon: combineShares(
        pairs.map(({ beacon }) => beacon),
        weights,
      ),
    };
  }

  /** A receiver's index, from 1; 0 for whoever is none. */
  #receiverIndex(signer: Address): number {
    return receiverIndex(this.#init.receivers, signer);
  }

  #dealingHash(body: CeremonyBody['dealing']): Bytes32 {
    return ceremonyMessageDigest(this.#init.domain, this.#init.session, 'dealing', body);
  }

  /** One thing at a time: what is looked at must not change under the look. */
  #next<T>(work: () => Promise<T>): Promise<T> {
    const result = this.#queue.then(work, work);
    this.#queue = result.catch(() => {});
    return result;
  }
}
