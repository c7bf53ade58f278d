import type { ChainView, GasPrice, Head, TransactionRelay } from '@cloister/chain';
import { type SignedTransaction, signTransaction } from '@cloister/chain';
import {
  type Address,
  assertPolicyAllows,
  type Bytes32,
  type ChainPolicy,
  type Hex,
  tagHash,
  type WishedTransaction,
} from '@cloister/core';
import { concatBytes, fromHex, keccak256, toHex, utf8 } from '@cloister/crypto';
import type { AppStates, StateOwner } from '../state/appStates.ts';
import { HostsBook } from '../state/hostsBook.ts';
import {
  type AccountRecord,
  accountBookKey,
  accountRecordBytes,
  maxPending,
  maxRemembered,
  readAccountRecord,
  type SentRecord,
  transactionKey,
} from './accountBook.ts';
import { AccountError } from './accountError.ts';
import type { AccountKeys, AppAccount } from './accountKeys.ts';

export type AppAccountsComponents = {
  readonly chainId: number;
  readonly view: Pick<ChainView, 'head' | 'finalized' | 'transactionCount'>;
  readonly relay: Pick<TransactionRelay, 'price' | 'send'>;
  readonly states: Pick<AppStates, 'ask'>;
  readonly keys: Pick<AccountKeys, 'of'>;
};

/** Whose account, and what it may sign. */
export type AccountOwner = StateOwner & { readonly policy: ChainPolicy };

const daySeconds = 86_400n;
const maxMessageBytes = 8_192;

/**
 * The accounts of apps on the network's chain. A transaction is written into the book of the app's hosts before anybody hears of it: that gives
 * it its nonce, which no other gets, whichever host signs. So it can be sent again by each of them, and nothing else in its place.
 */
export class AppAccounts {
  readonly #components: AppAccountsComponents;
  /** Turns of those who send from here: they would only get in each other's way in the book. */
  readonly #turns = new Map<Bytes32, Promise<unknown>>();

  constructor(components: AppAccountsComponents) {
    this.#components = components;
  }

  /** Throws CHAIN_OTHER_CHAIN, KeyClientError. */
  async address(owner: AccountOwner): Promise<Address> {
    return (await this.#accountOf(owner)).address;
  }

  /**
   * Signs a transaction and sends it; with the id of one before, sends that one again. Throws ChainPolicyError, AccountError,
   * CHAIN_SEND_REVERTED with nothing signed; CHAIN_SEND_NOT_TAKEN, where it is signed and goes out with the next one or when it is asked
   * for again; what the book throws.
   */
  send(owner: AccountOwner, id: string, wished: WishedTransaction, signal: AbortSignal): Promise<SentRecord> {
    const before = this.#turns.get(owner.app) ?? Promise.resolve();
    const mine = before.then(() => this.#send(owner, id, wished, signal));
    const turn = mine
      .catch(() => {})
      .finally(() => {
        if (this.#turns.get(owner.app) === turn) this.#turns.delete(owner.app);
      });
    this.#turns.set(owner.app, turn);
    return mine;
  }

  /** A signature by EIP-191 (version 0x45), 65 bytes: nothing that begins so is a transaction or a record of the network. */
  async signMessage(owner: AccountOwner, message: Uint8Array): Promise<Hex> {
    if (!owner.policy.messages)
      throw new AccountError('CHAIN_MESSAGES_NOT_ALLOWED', 'The manifest\'s "chain" does not allow messages');
    if (message.length > maxMessageBytes)
      throw new AccountError(
        'CHAIN_MESSAGE_TOO_LARGE',
        `A message has at most "${maxMessageBytes}" bytes, got "${message.length}"`,
      );
    const { sign } = await this.#accountOf(owner);
    const head = utf8(`\x19Ethereum Signed Message:\n${message.length}`);
    return toHex(sign(keccak256(concatBytes(head, message))));
  }

  async #send(owner: AccountOwner, id: string, wished: WishedTransaction, signal: AbortSignal): Promise<SentRecord> {
    const { view, states } = this.#components;
    signal.throwIfAborted();
    assertPolicyAllows(owner.policy, wished);
    const account = await this.#accountOf(owner);
    const { policy, ...version } = owner;
    const book = new HostsBook({ states, owner: version });
    const key = accountBookKey(account.address);
    const known = readAccountRecord((await book.read([key], signal)).get(key));
    const head = await view.head(signal);
    const final = await view.finalized(signal);
    const finalNonce = await view.transactionCount(account.address, final.number, signal);
    const wish = wishHash(wished);
    let sent = sameId(known, id, wish);
    if (sent === undefined) {
      const fees = await this.#fees(policy, account.address, wished, signal);
      sent = await book.change(
        [key],
        (values) => {
          const record = readAccountRecord(values.get(key));
          // By another host meanwhile, or by this one, which could not hear whether it held.
          const again = sameId(record, id, wish);
          if (again !== undefined) return { changes: [], result: again };
          const next = nextRecord(record, policy, head, finalNonce);
          const { chainId } = this.#components;
          const signed = signTransaction({ chainId, nonce: record.nextNonce, ...wished, ...fees }, account.sign);
          const result = { id, nonce: record.nextNonce, hash: signed.hash, wish };
          const written = { ...next, sent: [...record.sent, result].slice(-maxRemembered) };
          return { changes: changesOf(account, record, written, signed), result };
        },
        signal,
      );
    }
    await this.#sendPending(book, account.address, sent.nonce, head, signal);
    return sent;
  }

  /** Everything signed that no block has, up to this one: a node passes none on before those of a lower nonce. */
  async #sendPending(book: HostsBook, address: Address, last: number, head: Head, signal: AbortSignal): Promise<void> {
    const { view, relay } = this.#components;
    const mined = await view.transactionCount(address, head.number, signal);
    const nonces = Array.from({ length: Math.max(0, last + 1 - mined) }, (_, index) => mined + index);
    const keys = nonces.map((nonce) => transactionKey(address, nonce));
    const raws = await book.read(keys, signal);
    for (const raw of raws.values()) if (raw !== undefined) await relay.send(toHex(raw), signal);
  }

  /** What the policy leaves for gas, twice the price of now at most. */
  async #fees(policy: ChainPolicy, from: Address, { to, data, valueWei }: WishedTransaction, signal: AbortSignal) {
    const price: GasPrice = await this.#components.relay.price({ from, to, data, valueWei }, signal);
    const { gas, baseFee, tip } = price;
    const affordable = gas === 0n ? 0n : BigInt(policy.maxFeeWei) / gas;
    if (affordable < baseFee + tip)
      throw new AccountError(
        'CHAIN_FEE_TOO_HIGH',
        `A transaction of this app may cost "${policy.maxFeeWei}" wei of gas, and this one would take "${gas * (baseFee + tip)}"`,
      );
    const wanted = 2n * baseFee + tip;
    return { gas, maxFeePerGas: wanted < affordable ? wanted : affordable, maxPriorityFeePerGas: tip };
  }

  async #accountOf(owner: AccountOwner): Promise<AppAccount> {
    const { chainId, keys } = this.#components;
    if (owner.policy.chainId !== chainId)
      throw new AccountError(
        'CHAIN_OTHER_CHAIN',
        `The manifest's "chain" is for chain "${owner.policy.chainId}", this network's is "${chainId}"`,
      );
    return keys.of(owner);
  }
}

/** What stands for a transaction that an app wishes. */
function wishHash({ to, data, valueWei }: WishedTransaction): Bytes32 {
  return tagHash('cloister/wished-transaction: v1', to, toHex(keccak256(fromHex(data))), valueWei);
}

/** The transaction of an id. Throws CHAIN_SEND_ID_REUSED where it is another than the wished one. */
function sameId({ sent }: AccountRecord, id: string, wish: Bytes32): SentRecord | undefined {
  const known = sent.find((one) => one.id === id);
  if (known !== undefined && known.wish !== wish)
    throw new AccountError('CHAIN_SEND_ID_REUSED', `The id "${id}" stands for the transaction "${known.hash}" already`);
  return known;
}

/** The record with one more transaction. Throws CHAIN_DAY_FULL, CHAIN_SENDS_PENDING. */
function nextRecord(record: AccountRecord, { maxPerDay }: ChainPolicy, head: Head, finalNonce: number): AccountRecord {
  // A host whose chain is behind does not begin yesterday anew.
  const day = Math.max(record.day, Number(head.timestamp / daySeconds));
  const sentToday = day === record.day ? record.sentToday : 0;
  if (sentToday >= maxPerDay)
    throw new AccountError('CHAIN_DAY_FULL', `This app may send "${maxPerDay}" transactions on a day of UTC`);
  const final = Math.min(Math.max(record.finalNonce, finalNonce), record.nextNonce);
  if (record.nextNonce - final >= maxPending)
    throw new AccountError('CHAIN_SENDS_PENDING', `"${maxPending}" transactions of this app wait to be final`);
  return { ...record, nextNonce: record.nextNonce + 1, finalNonce: final, day, sentToday: sentToday + 1 };
}

/** The new record, its transaction, and without those that need not be sent any more. */
function changesOf({ address }: AppAccount, before: AccountRecord, after: AccountRecord, { raw }: SignedTransaction) {
  const over = Array.from({ length: after.finalNonce - before.finalNonce }, (_, index) => before.finalNonce + index);
  return [
    [accountBookKey(address), accountRecordBytes(after)] as const,
    [transactionKey(address, before.nextNonce), fromHex(raw)] as const,
    ...over.map((nonce) => [transactionKey(address, nonce), undefined] as const),
  ];
}
