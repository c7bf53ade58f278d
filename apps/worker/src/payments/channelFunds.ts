import type { ChannelStatus, PaymentsReader } from '@cloister/chain';
import type { Bytes32 } from '@cloister/core';

/** What a channel's deposit bears now, by the chain. */
export type Funds = {
  /** Deposited and not asked back: what all claims together may come to. */
  readonly bearable: bigint;
  /** What the operator's signers have earned by what the chain was shown. */
  readonly earned: bigint;
  /** The payer asked for money back: claim now. */
  readonly isWithdrawing: boolean;
};

/** Far below the shortest delay of a withdrawal, which is 15 minutes. */
const maxAgeMs = 20_000;
/** Between two reads of one channel, whoever asks for it. */
const minAgeMs = 1_000;
const maxKnown = 10_000;

type Known = { readonly funds: Funds; readonly atMs: number };

/** Reads channels, and remembers each for a while: a deposit only shrinks with the delay of a withdrawal. */
export class ChannelFunds {
  readonly #payments: Pick<PaymentsReader, 'channel'>;
  readonly #known = new Map<Bytes32, Known>();
  readonly #reading = new Map<Bytes32, Promise<Funds>>();

  constructor(payments: Pick<PaymentsReader, 'channel'>) {
    this.#payments = payments;
  }

  /** What is known, read anew where it is old, or where it does not bear `wanted`. Throws ChainError. */
  async of(channel: Bytes32, wanted: bigint, signal: AbortSignal): Promise<Funds> {
    const known = this.#known.get(channel);
    const ageMs = known === undefined ? Number.POSITIVE_INFINITY : Date.now() - known.atMs;
    if (known !== undefined && ageMs < (known.funds.bearable < wanted ? minAgeMs : maxAgeMs)) return known.funds;
    return this.read(channel, signal);
  }

  /** Reads it now; who asks meanwhile shares the read. */
  read(channel: Bytes32, signal: AbortSignal): Promise<Funds> {
    const running = this.#reading.get(channel);
    if (running !== undefined) return running;
    const reading = this.#payments
      .channel(channel, undefined, signal)
      .then((status) => {
        const funds = fundsOf(status);
        this.#known.delete(channel);
        this.#known.set(channel, { funds, atMs: Date.now() });
        if (this.#known.size > maxKnown) this.#known.delete(this.#known.keys().next().value as Bytes32);
        return funds;
      })
      .finally(() => this.#reading.delete(channel));
    this.#reading.set(channel, reading);
    return reading;
  }
}

function fundsOf({ opened, closed, deposited, withdrawing, earned, withdrawableAt }: ChannelStatus): Funds {
  const bearable = opened && !closed ? deposited - withdrawing : 0n;
  return { bearable, earned, isWithdrawing: withdrawableAt > 0n };
}
