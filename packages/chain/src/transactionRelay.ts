import { type Address, type Bytes32, type Hex, withDeadline } from '@cloister/core';
import {
  BaseError,
  createPublicClient,
  http,
  keccak256,
  type PublicClient,
  TransactionReceiptNotFoundError,
} from 'viem';
import { withMargin } from './account.ts';
import { ChainError } from './chainView.ts';

export type TransactionRelayInit = {
  readonly chainId: number;
  readonly rpcs: readonly string[];
  /** For each question. @default 10_000 */
  readonly timeoutMs?: number;
};

/** What a transaction of a type that has fees by EIP-1559 would take, by the word of one RPC: bound it before you sign. */
export type GasPrice = {
  /** With a margin. */
  readonly gas: bigint;
  /** Of the newest block, in wei for a unit of gas. */
  readonly baseFee: bigint;
  /** What goes to who makes the block, on top. */
  readonly tip: bigint;
};

export type MinedTransaction = {
  readonly status: 'success' | 'reverted';
  readonly blockNumber: bigint;
  readonly blockHash: Hex;
};

/** Brings transactions that are signed already to the RPCs of a network, and tells what became of them. */
export class TransactionRelay {
  readonly #clients: readonly { readonly url: string; readonly client: PublicClient }[];
  readonly #timeoutMs: number;

  constructor({ rpcs, timeoutMs = 10_000 }: TransactionRelayInit) {
    this.#timeoutMs = timeoutMs;
    this.#clients = rpcs.map((url) => ({
      url,
      client: createPublicClient({
        transport: http(url, { timeout: timeoutMs, retryCount: 1 }),
        cacheTime: 0,
      }) as PublicClient,
    }));
  }

  /** Tries a call. Throws CHAIN_SEND_REVERTED where it would fail, CHAIN_UNREACHABLE. */
  async price(
    call: { readonly from: Address; readonly to: Address; readonly data: Hex; readonly valueWei: bigint },
    signal?: AbortSignal,
  ): Promise<GasPrice> {
    const [first] = this.#clients;
    if (first === undefined) throw unreachable('what a transaction takes', 'no RPC is named');
    const { from, to, data, valueWei } = call;
    return this.#within('pricing a transaction', signal, async () => {
      const [gas, { baseFeePerGas }, tip] = await Promise.all([
        first.client.estimateGas({ account: from, to, data, value: valueWei }).catch(revertedOr(first.url)),
        first.client.getBlock().catch(unreachableBy(first.url)),
        first.client.estimateMaxPriorityFeePerGas().catch(unreachableBy(first.url)),
      ]);
      if (baseFeePerGas === null || baseFeePerGas === undefined)
        throw unreachable('what gas costs', `the chain behind ${first.url} has no fees by EIP-1559`);
      return { gas: withMargin(gas), baseFee: baseFeePerGas, tip };
    });
  }

  /** Hands a signed transaction to every RPC; done when one of them has it, from now or from before. Throws CHAIN_SEND_NOT_TAKEN. */
  async send(raw: Hex, signal?: AbortSignal): Promise<void> {
    const hash = keccak256(raw);
    await this.#within('sending a transaction', signal, async () => {
      const sent = await Promise.allSettled(this.#clients.map(({ client }) => sendOrFind(client, raw, hash)));
      if (sent.some(({ status }) => status === 'fulfilled')) return;
      const why = sent.map((one) => (one.status === 'rejected' ? shortOf(one.reason) : '')).join('; ');
      throw new ChainError('CHAIN_SEND_NOT_TAKEN', `No RPC took the transaction "${hash}": ${why}`, { hash });
    });
  }

  /** What became of a transaction, alike on all RPCs; undefined while one has it in no block. Throws CHAIN_UNREACHABLE. */
  async mined(hash: Bytes32, signal?: AbortSignal): Promise<MinedTransaction | undefined> {
    const found = await this.#within('reading a receipt', signal, () =>
      Promise.all(
        this.#clients.map(({ url, client }) =>
          client.getTransactionReceipt({ hash }).catch((cause: unknown) => {
            if (cause instanceof TransactionReceiptNotFoundError) return undefined;
            return unreachableBy(url)(cause);
          }),
        ),
      ),
    );
    const [first] = found;
    if (first === undefined || found.some((one) => one?.blockHash !== first.blockHash || one.status !== first.status))
      return undefined;
    const { status, blockNumber, blockHash } = first;
    return { status, blockNumber, blockHash };
  }

  #within<T>(what: string, signal: AbortSignal | undefined, work: () => Promise<T>): Promise<T> {
    return withDeadline({ timeoutMs: 2 * this.#timeoutMs, signal, what: `The chain (${what})` }, work);
  }
}

/** Texts of refusals differ from node to node: whether it has the transaction all the same, it can be asked. */
async function sendOrFind(client: PublicClient, raw: Hex, hash: Hex): Promise<void> {
  try {
    await client.sendRawTransaction({ serializedTransaction: raw });
  } catch (refused) {
    await client.getTransaction({ hash }).catch(() => {
      throw refused;
    });
  }
}

function revertedOr(url: string) {
  return (cause: unknown): never => {
    // What a node says before it runs anything ("insufficient funds") is no refusal of the contract's, and as final.
    if (cause instanceof BaseError && /revert|insufficient funds|exceeds allowance/i.test(cause.message))
      throw new ChainError('CHAIN_SEND_REVERTED', `The transaction would fail: ${shortOf(cause)}`, {}, cause);
    return unreachableBy(url)(cause);
  };
}

function unreachableBy(url: string) {
  return (cause: unknown): never => {
    throw new ChainError('CHAIN_UNREACHABLE', `The RPC ${url} failed: ${shortOf(cause)}`, { url }, cause);
  };
}

function unreachable(what: string, why: string): ChainError {
  return new ChainError('CHAIN_UNREACHABLE', `Nobody says ${what}: ${why}`, {});
}

function shortOf(cause: unknown): string {
  const text = cause instanceof BaseError ? `${cause.shortMessage} ${cause.details ?? ''}` : String(cause);
  return text.split('\n').join(' ').trim().slice(0, 300);
}
