import { type Address, type Bytes32, CloisterError, type Hex, withDeadline } from '@cloister/core';
import {
  type Abi,
  BaseError,
  type ContractFunctionArgs,
  type ContractFunctionName,
  ContractFunctionRevertedError,
  concat,
  createPublicClient,
  createWalletClient,
  decodeErrorResult,
  defineChain,
  encodeFunctionData,
  getContractError,
  http,
  type LocalAccount,
  type TransactionReceipt,
  type TypedDataDefinition,
} from 'viem';
import { privateKeyToAccount } from 'viem/accounts';
import { contractErrorsAbi } from './generated/index.ts';

export type AccountInit = {
  readonly chainId: number;
  readonly rpc: string;
  /** A viem local account, or a private key. */
  readonly account: LocalAccount | Hex;
  readonly timeoutMs?: number;
};

/** A contract call to send. */
export type Call<abi extends Abi, name extends ContractFunctionName<abi, 'nonpayable' | 'payable'>> = {
  readonly address: Address;
  readonly abi: abi;
  readonly functionName: name;
  readonly args: ContractFunctionArgs<abi, 'nonpayable' | 'payable', name>;
  /** Stands behind the arguments, where contracts do not look: tells transactions apart that would otherwise be the same. */
  readonly dataSuffix?: Hex;
};

/** No chain takes a transaction that may use more (EIP-7825). */
const maxTransactionGas = 16_777_216n;

/**
 * Sends transactions of one account, one after the other, each tried first so that a refusal comes back by its name,
 * and waits until each is mined.
 */
export class ChainAccount {
  readonly address: Address;
  readonly #account: LocalAccount;
  readonly #timeoutMs: number;
  readonly #public;
  readonly #wallet;
  #queue: Promise<unknown> = Promise.resolve();

  constructor(init: AccountInit) {
    this.#account = typeof init.account === 'string' ? privateKeyToAccount(init.account) : init.account;
    this.address = this.#account.address.toLowerCase() as Address;
    this.#timeoutMs = init.timeoutMs ?? 60_000;
    const chain = defineChain({
      id: init.chainId,
      name: `chain ${init.chainId}`,
      nativeCurrency: { name: 'Ether', symbol: 'ETH', decimals: 18 },
      rpcUrls: { default: { http: [init.rpc] } },
    });
    const transport = http(init.rpc, { timeout: 10_000, retryCount: 2 });
    this.#public = createPublicClient({ chain, transport, pollingInterval: 100, cacheTime: 0 });
    this.#wallet = createWalletClient({ chain, transport, account: this.#account });
  }

  /** The viem account itself. */
  get local(): LocalAccount {
    return this.#account;
  }

  /** A signature over a digest, 65 bytes: of records, never of transactions. Throws ACCOUNT_CANNOT_SIGN. */
  async signDigest(hash: Bytes32): Promise<Hex> {
    if (this.#account.sign === undefined)
      throw new TransactionError(
        'ACCOUNT_CANNOT_SIGN',
        `The account "${this.address}" signs no digests`,
        {},
        undefined,
      );
    return this.#account.sign({ hash });
  }

  /** A signature over typed data (EIP-712), 65 bytes: permits and authorizations of tokens. */
  async signTypedData(data: TypedDataDefinition): Promise<Hex> {
    return this.#account.signTypedData(data);
  }

  /**
   * Calls a contract and waits for the transaction. Throws TRANSACTION_REFUSED with the contract's own error in `meta`,
   * TRANSACTION_REVERTED when it failed only once mined, TRANSACTION_REPLACED when another transaction of this account took its place,
   * TRANSACTION_FAILED for everything else.
   */
  async write<const abi extends Abi, name extends ContractFunctionName<abi, 'nonpayable' | 'payable'>>(
    call: Call<abi, name>,
    signal?: AbortSignal,
  ): Promise<TransactionReceipt> {
    const what = `Transaction ${call.functionName}`;
    const erased = call as unknown as {
      address: Address;
      abi: Abi;
      functionName: string;
      args: readonly unknown[];
      dataSuffix?: Hex;
    };
    return this.#next(what, signal, async () => {
      // On "pending": the newest block's hash is known to the contract only in the block after it.
      await this.#public.simulateContract({ ...erased, account: this.#account, blockTag: 'pending' });
      const data = concat([encodeFunctionData(erased), call.dataSuffix ?? '0x']);
      const request = { to: call.address, data };
      // What held a moment ago may hold no more: another's transaction can come in between, and the contract says why.
      const gas = await this.#public.estimateGas({ account: this.#account, ...request }).catch((cause: BaseError) => {
        throw getContractError(cause, erased);
      });
      return this.#wallet.sendTransaction({ ...request, gas: withMargin(gas) });
    });
  }

  /** Sends raw data, as deployments do. */
  async send(to: Address, data: Hex, what: string, signal?: AbortSignal, valueWei = 0n): Promise<TransactionReceipt> {
    return this.#next(what, signal, () => this.#wallet.sendTransaction({ to, data, value: valueWei }));
  }

  /** Creates a contract, at the address that the account's number of transactions gives it. Tried first, so that a refusal uses up none. */
  async create(initCode: Hex, what: string, signal?: AbortSignal): Promise<TransactionReceipt> {
    return this.#next(what, signal, () => this.#wallet.sendTransaction({ data: initCode }));
  }

  #next(what: string, signal: AbortSignal | undefined, submit: () => Promise<Hex>): Promise<TransactionReceipt> {
    const run = () =>
      withDeadline({ timeoutMs: this.#timeoutMs, signal, what }, async () => {
        try {
          const hash = await submit();
          const receipt = await this.#public.waitForTransactionReceipt({
            hash,
            timeout: this.#timeoutMs,
            retryCount: 20,
          });
          // viem follows replacements; what another process did with this account's nonce is not what was asked for.
          if (receipt.transactionHash !== hash)
            throw new TransactionError(
              'TRANSACTION_REPLACED',
              `${what} was replaced by transaction "${receipt.transactionHash}" of the same account`,
              { hash, by: receipt.transactionHash },
            );
          if (receipt.status !== 'success')
            throw new TransactionError('TRANSACTION_REVERTED', `${what} failed in block "${receipt.blockNumber}"`, {
              hash,
            });
          return receipt;
        } catch (cause) {
          throw asTransactionError(what, cause);
        }
      });
    const result = this.#queue.then(run, run);
    this.#queue = result.catch(() => {});
    return result;
  }
}

/** In the block that takes it a call may cost more than now: what flows by the second has flowed since. */
export function withMargin(gas: bigint): bigint {
  const more = gas + gas / 4n;
  return more < maxTransactionGas ? more : gas > maxTransactionGas ? gas : maxTransactionGas;
}

function asTransactionError(what: string, cause: unknown): Error {
  if (cause instanceof CloisterError) return cause;
  if (!(cause instanceof BaseError)) return cause instanceof Error ? cause : new Error(String(cause));
  const reverted = cause.walk((error) => error instanceof ContractFunctionRevertedError);
  if (reverted instanceof ContractFunctionRevertedError) {
    const known = reverted.data ?? errorOfOtherContract(reverted.raw);
    const name = known?.errorName ?? reverted.signature ?? reverted.reason ?? 'without a reason';
    const args = known?.args ?? [];
    return new TransactionError(
      'TRANSACTION_REFUSED',
      `${what} was refused: ${name}(${args.map(String).join(', ')})`,
      { errorName: name, args: args.map(String) },
      cause,
    );
  }
  return new TransactionError('TRANSACTION_FAILED', `${what} failed: ${cause.shortMessage.split('\n')[0]}`, {}, cause);
}

/** An error that passed through the contract that was called, as by a batch or a registry from its verifier. */
function errorOfOtherContract(
  data: Hex | undefined,
): { readonly errorName: string; readonly args?: readonly unknown[] } | undefined {
  if (data === undefined) return undefined;
  try {
    return decodeErrorResult({ abi: contractErrorsAbi, data });
  } catch {
    return undefined; // an error that none of our contracts has
  }
}

export type TransactionErrorCode =
  | 'TRANSACTION_REFUSED'
  | 'TRANSACTION_REVERTED'
  | 'TRANSACTION_REPLACED'
  | 'TRANSACTION_FAILED'
  | 'ACCOUNT_CANNOT_SIGN';

export class TransactionError extends CloisterError<TransactionErrorCode> {
  override readonly name = 'TransactionError';
  constructor(code: TransactionErrorCode, message: string, meta: Readonly<Record<string, unknown>>, cause?: unknown) {
    super({ code, message, meta, cause, retry: code === 'TRANSACTION_FAILED' || code === 'TRANSACTION_REPLACED' });
  }
}
