import { type ChainAccount, type ChainView, phaTokenAbi, TransactionError } from '@cloister/chain';
import {
  type Address,
  type Bytes32,
  exactPaymentTag,
  type Hex,
  type SignedTransfer,
  type TokenDomain,
  transferAuthorizationDigest,
} from '@cloister/core';
import { fromHex, toHex } from '@cloister/crypto';
import { recoverAddress } from '@cloister/crypto/native-secp256k1';
import { PaymentRefusedError } from './paymentRefused.ts';

/** A transfer to the operator that is on the chain, for one call. */
export type SettledTransfer = {
  readonly chainId: number;
  readonly from: Address;
  /** In PHA's smallest unit. */
  readonly amount: bigint;
  readonly transaction: Bytes32;
};

export type ExactDeskComponents = {
  readonly chainId: number;
  readonly phaToken: Address;
  readonly view: Pick<ChainView, 'read' | 'head'>;
  readonly operator: Pick<ChainAccount, 'address' | 'write'>;
  /** Of this process: another one has another. */
  readonly receiptSigner: Address;
};

export type ExactDeskInit = {
  /** How long an authorization must be valid yet, so that its transaction is mined in time. Seconds of the chain's clock. */
  readonly leastValiditySeconds: bigint;
  /** Transfers that are settled or wait for it at once: one account sends one transaction after the other. */
  readonly maxAtOnce: number;
};

const defaultInit: ExactDeskInit = { leastValiditySeconds: 30n, maxAtOnce: 16 };

/**
 * Takes x402's `exact`: carries the payer's authorized transfer to the chain, before the call runs. What decides is the token, which takes
 * each nonce once: of all calls, workers and restarts that show one authorization, only the one is paid whose own transaction was mined.
 */
export class ExactDesk {
  readonly #components: ExactDeskComponents;
  readonly #init: ExactDeskInit;
  readonly #underWay = new Set<string>();
  #domain: Promise<TokenDomain> | undefined;

  constructor(components: ExactDeskComponents, init: ExactDeskInit = defaultInit) {
    this.#components = components;
    this.#init = init;
  }

  /**
   * Settles an authorization for a call that costs up to `highestFee`. `call`: the name of its kept answer. Throws PaymentRefusedError where
   * the call is not paid; ChainError.
   */
  async settle(
    offer: SignedTransfer,
    highestFee: bigint,
    call: Bytes32,
    signal: AbortSignal,
  ): Promise<SettledTransfer> {
    const { from, nonce } = offer.authorization;
    const key = `${from} ${nonce}`;
    // No await between the look and the entry: of two calls with one authorization, one goes on.
    if (this.#underWay.has(key)) throw used(offer);
    if (this.#underWay.size >= this.#init.maxAtOnce)
      throw new PaymentRefusedError(
        'PAYMENT_EXACT_BUSY',
        `"${this.#underWay.size}" transfers are being settled already; this one was not touched: try again soon, or pay from a channel`,
      );
    this.#underWay.add(key);
    try {
      await this.#verify(offer, highestFee, signal);
      return await this.#carry(offer, call, signal);
    } finally {
      this.#underWay.delete(key);
    }
  }

  /** All that can be known before the transaction. */
  async #verify(offer: SignedTransfer, highestFee: bigint, signal: AbortSignal): Promise<void> {
    const { view, operator } = this.#components;
    const { authorization, signature } = offer;
    const { from, to, value, validAfter, validBefore, nonce } = authorization;
    if (to !== operator.address)
      throw new PaymentRefusedError(
        'PAYMENT_OTHER_OPERATOR',
        `The transfer goes to "${to}", this worker is of operator "${operator.address}"`,
      );
    if (value < highestFee)
      throw new PaymentRefusedError(
        'PAYMENT_TRANSFER_TOO_LOW',
        `The transfer is of "${value}"; a call of this app costs up to "${highestFee}"`,
      );
    const digest = transferAuthorizationDigest(await this.#tokenDomain(signal), authorization);
    if (signerOf(digest, signature) !== from)
      throw new PaymentRefusedError(
        'PAYMENT_AUTHORIZATION_FORGED',
        `The authorization is not signed by payer "${from}"`,
      );
    const { timestamp } = await view.head(signal);
    if (validAfter >= timestamp || validBefore <= timestamp + this.#init.leastValiditySeconds)
      throw new PaymentRefusedError(
        'PAYMENT_AUTHORIZATION_NOT_VALID',
        `The authorization is valid between "${validAfter}" and "${validBefore}"; the chain's time is "${timestamp}", and "${this.#init.leastValiditySeconds}" seconds must be left`,
      );
    const [isUsed, balance] = await Promise.all([
      view.read({ ...this.#token('authorizationState'), args: [from, nonce] }, signal),
      view.read({ ...this.#token('balanceOf'), args: [from] }, signal),
    ]);
    if (isUsed) throw used(offer);
    if (balance < value)
      throw new PaymentRefusedError(
        'PAYMENT_NO_FUNDS',
        `Payer "${from}" has "${balance}", the transfer is of "${value}"`,
      );
  }

  /** The transaction. Whatever keeps it from being mined as it is leaves the call unpaid. */
  async #carry(
    { authorization, signature }: SignedTransfer,
    call: Bytes32,
    signal: AbortSignal,
  ): Promise<SettledTransfer> {
    const { chainId, operator, receiptSigner } = this.#components;
    const { from, to, value, validAfter, validBefore, nonce } = authorization;
    const { v, r, s } = partsOf(signature);
    try {
      const { transactionHash } = await operator.write(
        {
          ...this.#token('transferWithAuthorization'),
          args: [from, to, value, validAfter, validBefore, nonce, v, r, s],
          dataSuffix: exactPaymentTag(receiptSigner, call),
        },
        signal,
      );
      return { chainId, from, amount: value, transaction: transactionHash };
    } catch (error) {
      if (!(error instanceof Error)) throw error;
      const isRefused = error instanceof TransactionError && error.code === 'TRANSACTION_REFUSED';
      throw new PaymentRefusedError(
        'PAYMENT_NOT_SETTLED',
        isRefused
          ? `The token refuses the transfer: ${error.message}`
          : `The transfer was sent and is not known to be mined (${error.message}): look on the chain whether nonce "${nonce}" of "${from}" was used before you authorize another`,
      );
    }
  }

  /** As the token states it. */
  #tokenDomain(signal: AbortSignal): Promise<TokenDomain> {
    const { view, chainId, phaToken: token } = this.#components;
    this.#domain ??= view
      .read({ ...this.#token('eip712Domain'), args: [] }, signal)
      .then(([, name, version]) => ({ chainId, token, name, version }));
    this.#domain.catch(() => {
      this.#domain = undefined;
    });
    return this.#domain;
  }

  #token<const name extends string>(functionName: name) {
    return { address: this.#components.phaToken, abi: phaTokenAbi, functionName } as const;
  }
}

function used({ authorization: { from, nonce } }: SignedTransfer): PaymentRefusedError {
  return new PaymentRefusedError(
    'PAYMENT_AUTHORIZATION_USED',
    `The authorization "${nonce}" of payer "${from}" was used already: it pays for one call`,
  );
}

function partsOf(signature: Hex): { readonly v: number; readonly r: Bytes32; readonly s: Bytes32 } {
  const bytes = fromHex(signature);
  const parity = bytes[64] as number;
  return {
    // Some wallets give 0 and 1.
    v: parity < 27 ? parity + 27 : parity,
    r: toHex(bytes.subarray(0, 32)),
    s: toHex(bytes.subarray(32, 64)),
  };
}

function signerOf(digest: Bytes32, signature: Hex): Address | undefined {
  const { v, r, s } = partsOf(signature);
  try {
    return recoverAddress(fromHex(digest), fromHex(`${r}${s.slice(2)}${v.toString(16)}`));
  } catch {
    return undefined;
  }
}
