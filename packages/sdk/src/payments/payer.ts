import type { PaymentsReader } from '@cloister/chain';
import {
  type Address,
  type BareReceipt,
  type Bytes32,
  type Channel,
  type ChannelOffer,
  channelId,
  type Hex,
  isHexOf,
  type PaymentStanding,
  type PaymentsDomain,
  type SignedReceipt,
  voucherDigest,
  schema as z,
  zeroBytes32,
} from '@cloister/core';
import {
  addressOf,
  fromHex,
  generateSecp256k1,
  recoverAddress,
  SecretBytes,
  signDigest,
  toHex,
} from '@cloister/crypto';
import { ChannelLedger, PaymentError } from './channelLedger.ts';
import { type Charge, memoryPayerStore, type PayerStore } from './payerStore.ts';

/** Bounds on what a key promises, whatever is deposited: for agents that spend by themselves. PHA's smallest unit. */
export type SpendingLimits = {
  readonly perCall?: bigint;
  /** Of all channels of the key together. */
  readonly inAll?: bigint;
};

export type PayerInit = {
  /** Whose deposits pay. Its own key is not needed for calls. */
  readonly payer: Address;
  /** Signs vouchers, 32 bytes; its own for each process. Default: a new one. */
  readonly key?: SecretBytes | Hex;
  /** Default: the process's memory. */
  readonly store?: PayerStore;
  readonly limits?: SpendingLimits;
};

/** Whom a call pays: the operator of its worker, and the gateway that carries it. */
export type Payee = { readonly operator: Address; readonly gateway: Address; readonly signer: Address };

/** Is told of each signer's last receipt that the store has. */
export type LastReceipts = (signer: Address, last: BareReceipt) => void;

const maxHistory = 1_000;
const maxFundsAgeMs = 20_000;
const stateJson = z.strictObject({
  format: z.literal('cloister-payer-1'),
  payerKey: z.address,
  channels: z.array(z.jsonObject).check(z.refineArray(0, 1_024)),
  history: z
    .array(
      z.strictObject({
        atMs: z.uint(),
        app: z.bytes32,
        workerId: z.bytes32,
        channel: z.bytes32,
        sequence: z.uintString(64),
        fee: z.uintString(128),
      }),
    )
    .check(z.refineArray(0, maxHistory)),
});

/** Signs vouchers for calls, and keeps count of what they promised and what receipts say was spent. */
export class Payer {
  readonly payer: Address;
  readonly keyAddress: Address;
  readonly limits: SpendingLimits;
  readonly #key: SecretBytes;
  readonly #payments: PaymentsDomain;
  readonly #reader: Pick<PaymentsReader, 'channel'>;
  readonly #store: PayerStore;
  readonly #receipts: LastReceipts | undefined;
  readonly #ledgers = new Map<Bytes32, ChannelLedger>();
  readonly #funds = new Map<Bytes32, { readonly bearable: bigint; readonly atMs: number }>();
  #history: Charge[] = [];
  #loading: Promise<void> | undefined;
  #saving: Promise<void> = Promise.resolve();

  constructor(
    components: {
      readonly payments: PaymentsDomain;
      readonly reader: Pick<PaymentsReader, 'channel'>;
      readonly receipts?: LastReceipts;
    },
    init: PayerInit,
  ) {
    this.payer = init.payer.toLowerCase() as Address;
    this.limits = init.limits ?? {};
    this.#key = secretOf(init.key);
    this.keyAddress = addressOf(this.#key);
    this.#payments = components.payments;
    this.#reader = components.reader;
    this.#store = init.store ?? memoryPayerStore();
    this.#receipts = components.receipts;
  }

  /** The channel in which this key pays an operator by way of a gateway. */
  channelFor({ operator, gateway }: Pick<Payee, 'operator' | 'gateway'>): { id: Bytes32; channel: Channel } {
    const channel = { payer: this.payer, payerKey: this.keyAddress, operator, gateway, salt: zeroBytes32 };
    return { id: channelId(this.#payments, channel), channel };
  }

  /** All channels that this key promised something in. */
  async ledgers(): Promise<readonly ChannelLedger[]> {
    await this.#load();
    return [...this.#ledgers.values()];
  }

  /** The newest charges, oldest first. */
  async history(): Promise<readonly Charge[]> {
    await this.#load();
    return this.#history;
  }

  /** Why a call that may cost so much can't be paid for to this worker; undefined where it can. Throws ChainError. */
  async whyNot(payee: Payee, call: string, maxFee: bigint, signal: AbortSignal): Promise<PaymentError | undefined> {
    await this.#load();
    const { id } = this.channelFor(payee);
    const needed = this.#ledgers.get(id)?.neededFor(payee.signer, call, maxFee) ?? maxFee;
    const limited = this.#beyondLimits(id, needed, maxFee);
    if (limited !== undefined) return limited;
    const bearable = await this.#bearable(id, needed, signal);
    if (bearable >= needed) return undefined;
    return new PaymentError(
      'PAYMENT_NO_FUNDS',
      bearable === 0n
        ? `No money is deposited for operator "${payee.operator}"`
        : `The channel of operator "${payee.operator}" has "${bearable}"; with this call "${needed}" are promised`,
      'Deposit PHA with "cloister fund APP AMOUNT", or client.payments.fund',
    );
  }

  #beyondLimits(id: Bytes32, needed: bigint, maxFee: bigint): PaymentError | undefined {
    const { perCall, inAll } = this.limits;
    if (perCall !== undefined && maxFee > perCall)
      return limitReached(`A call may cost "${maxFee}", the limit of a call is "${perCall}"`);
    if (inAll !== undefined) {
      let promised = needed;
      for (const ledger of this.#ledgers.values()) if (ledger.id !== id) promised += ledger.promised;
      if (promised > inAll)
        return limitReached(`With this call "${promised}" are promised in all, the limit is "${inAll}"`);
    }
    return undefined;
  }

  /** Promises a call's highest fee and answers the offer. The state is kept before anybody sees the voucher. Throws PAYMENT_LIMIT_REACHED. */
  async offer(payee: Payee, call: string, maxFee: bigint): Promise<ChannelOffer> {
    await this.#load();
    const { id, channel } = this.channelFor(payee);
    // Asked again here, with no await before the promise is counted: calls side by side share the limits.
    const needed = this.#ledgers.get(id)?.neededFor(payee.signer, call, maxFee) ?? maxFee;
    const limited = this.#beyondLimits(id, needed, maxFee);
    if (limited !== undefined) throw limited;
    let ledger = this.#ledgers.get(id);
    if (ledger === undefined) {
      ledger = new ChannelLedger(id, channel);
      this.#ledgers.set(id, ledger);
    }
    const { maxClaimableAmount, totals, receipts } = ledger.begin(payee.signer, call, maxFee);
    await this.#save();
    const digest = voucherDigest(this.#payments, { channelId: id, maxClaimableAmount });
    const signature = toHex(signDigest(this.#key, fromHex(digest)));
    return { scheme: 'channel', channel, maxClaimableAmount, signature, totals, receipts };
  }

  /** Counts the receipt of a call. Throws PAYMENT_OVERCHARGED; the receipt was verified before. */
  async settle(payee: Payee, call: string, signed: SignedReceipt): Promise<void> {
    const { id } = this.channelFor(payee);
    const ledger = this.#ledgers.get(id);
    if (ledger === undefined) return;
    const { receipt, signature, workerId } = signed;
    if (receipt.channel === zeroBytes32) {
      ledger.release(payee.signer, call);
      return this.#save();
    }
    try {
      ledger.settle(payee.signer, call, { receipt, signature });
      const { app, channel, sequence, fee } = receipt;
      this.#history.push({ atMs: Date.now(), app, workerId, channel, sequence, fee });
      if (this.#history.length > maxHistory) this.#history = this.#history.slice(-maxHistory);
    } finally {
      await this.#save();
    }
  }

  /** A call ended without a receipt. */
  async lose(payee: Payee, call: string): Promise<void> {
    this.#ledgers.get(this.channelFor(payee).id)?.lose(payee.signer, call);
    await this.#save();
  }

  /**
   * Learns from a worker that refused a voucher what this key has promised before: only what the key itself has signed. Answers whether a
   * further try makes sense.
   */
  async recover(payee: Payee, standing: PaymentStanding): Promise<boolean> {
    await this.#load();
    const { id, channel } = this.channelFor(payee);
    if (standing.channel !== id || standing.voucher === null) return false;
    const { maxClaimableAmount, signature } = standing.voucher;
    const digest = voucherDigest(this.#payments, { channelId: id, maxClaimableAmount });
    if (signerOf(digest, signature) !== this.keyAddress) return false;
    const ledger = this.#ledgers.get(id) ?? new ChannelLedger(id, channel);
    this.#ledgers.set(id, ledger);
    const learnt = ledger.adopt(standing, maxClaimableAmount);
    await this.#save();
    return learnt;
  }

  /** Money was deposited or taken back: the chain is asked anew. */
  forgetFunds(): void {
    this.#funds.clear();
  }

  /** No more vouchers by this key in this process. */
  wipe(): void {
    this.#key.wipe();
  }

  async #bearable(id: Bytes32, needed: bigint, signal: AbortSignal): Promise<bigint> {
    const known = this.#funds.get(id);
    if (known !== undefined && known.bearable >= needed && Date.now() - known.atMs < maxFundsAgeMs)
      return known.bearable;
    const { opened, closed, deposited, withdrawing } = await this.#reader.channel(id, undefined, signal);
    const bearable = opened && !closed ? deposited - withdrawing : 0n;
    this.#funds.set(id, { bearable, atMs: Date.now() });
    return bearable;
  }

  #load(): Promise<void> {
    this.#loading ??= this.#store.load().then((state) => {
      if (state === undefined) return;
      const { payerKey, channels, history } = z.parseWith(stateJson, state, 'payer state');
      if (payerKey !== this.keyAddress)
        throw new PaymentError(
          'PAYMENT_STATE_MALFORMED',
          `The state is of payer key "${payerKey}", not of "${this.keyAddress}"`,
          'Give each key a store of its own',
        );
      for (const json of channels) {
        const ledger = ChannelLedger.fromJson(json, (channel) => channelId(this.#payments, channel));
        this.#ledgers.set(ledger.id, ledger);
        for (const [signer, last] of ledger.lastReceipts()) this.#receipts?.(signer, last);
      }
      this.#history = [...history] as Charge[];
    });
    return this.#loading;
  }

  /** One after the other; the last has everything. */
  #save(): Promise<void> {
    const run = () =>
      this.#store.save({
        format: 'cloister-payer-1',
        payerKey: this.keyAddress,
        channels: [...this.#ledgers.values()].map((ledger) => ledger.toJson()),
        history: this.#history.map(({ sequence, fee, ...charge }) => ({
          ...charge,
          sequence: sequence.toString(),
          fee: fee.toString(),
        })),
      });
    this.#saving = this.#saving.then(run, run);
    return this.#saving;
  }
}

function secretOf(key: PayerInit['key']): SecretBytes {
  if (key === undefined) return generateSecp256k1();
  if (typeof key !== 'string') return key;
  if (!isHexOf(key, 32))
    throw new PaymentError('PAYMENT_STATE_MALFORMED', 'The payer key is not 0x and 64 hexadecimal digits');
  return new SecretBytes(fromHex(key));
}

function signerOf(digest: Bytes32, signature: Hex): Address | undefined {
  try {
    return recoverAddress(fromHex(digest), fromHex(signature));
  } catch {
    return undefined;
  }
}

function limitReached(message: string): PaymentError {
  return new PaymentError(
    'PAYMENT_LIMIT_REACHED',
    message,
    'Raise the limits of this payer, or deposit for another key',
  );
}
