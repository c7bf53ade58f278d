import type { PaymentsReader } from '@cloister/chain';
import { type NetworkFile, x402Network } from '@cloister/core';
import { PaymentError } from '../payments/channelLedger.ts';
import type { ChannelPromises } from './channelPromises.ts';
import { voucherPayload } from './voucherPayload.ts';
import type { PaymentAnswered, PaymentPayload, PaymentRequirements } from './x402Types.ts';

/** How long the chain may take to say what a voucher needs. */
const timeoutMs = 20_000;

/**
 * x402's `batch-settlement` over Cloister's channels, for an unmodified client of x402: `x402.register('eip155:*', client.channelScheme())`.
 * Headers and types are x402's; the contract in the vouchers' domain is the network's own. It pays calls of its own client's `fetchFor` and nothing
 * else, out of the same channels and the same account of them as `call` does.
 */
export class ChannelScheme {
  readonly scheme = 'batch-settlement';
  readonly #network: NetworkFile;
  readonly #promises: ChannelPromises;
  readonly #reader: Pick<PaymentsReader, 'withdrawalDelay'>;
  #withdrawDelay: Promise<bigint> | undefined;

  constructor(components: {
    readonly network: NetworkFile;
    readonly promises: ChannelPromises;
    readonly reader: Pick<PaymentsReader, 'withdrawalDelay'>;
  }) {
    this.#network = components.network;
    this.#promises = components.promises;
    this.#reader = components.reader;
  }

  /** The voucher. Throws PAYMENT_REQUIREMENTS_FOREIGN for what this client did not ask for itself; PaymentError, ChainError. */
  async createPaymentPayload(x402Version: number, requirements: PaymentRequirements): Promise<PaymentPayload> {
    const { chainId, contracts } = this.#network;
    const { network, asset, extra } = requirements;
    const isOurs =
      network === x402Network(chainId) &&
      asset.toLowerCase() === contracts.phaToken &&
      extra.verifyingContract === contracts.payments;
    if (!isOurs || typeof extra.quote !== 'string')
      throw new PaymentError(
        'PAYMENT_REQUIREMENTS_FOREIGN',
        `The price is in "${asset.slice(0, 80)}" on "${network.slice(0, 80)}", for a contract that is not this network's`,
        'Register x402\'s own "batch-settlement" for other servers',
      );
    const signal = AbortSignal.timeout(timeoutMs);
    const promised = await this.#promises.promise(extra.quote, signal);
    const { id, route, ...offer } = promised;
    const payload = voucherPayload(
      { offer, channel: id, quote: extra.quote },
      {
        receiverAuthorizer: route.worker.receiptSigner,
        token: contracts.phaToken,
        withdrawDelay: Number(await this.withdrawDelay(signal)),
      },
    );
    return { x402Version, payload };
  }

  /** Seconds; fixed at the contract's deployment. */
  withdrawDelay(signal?: AbortSignal): Promise<bigint> {
    this.#withdrawDelay ??= this.#reader.withdrawalDelay(signal);
    this.#withdrawDelay.catch(() => {
      this.#withdrawDelay = undefined;
    });
    return this.#withdrawDelay;
  }

  /** Where the worker knew of more promises than this client remembered, one more try is made. */
  readonly schemeHooks = {
    onPaymentResponse: async ({ requirements }: PaymentAnswered): Promise<{ recovered: true } | undefined> => {
      const { quote } = requirements.extra;
      return typeof quote === 'string' && this.#promises.takeRecovered(quote) ? { recovered: true } : undefined;
    },
  };
}
