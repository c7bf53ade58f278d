import { type ChainView, phaTokenAbi } from '@cloister/chain';
import {
  type Address,
  type NetworkFile,
  paymentOfferText,
  type SignedTransfer,
  type TokenDomain,
  type TransferAuthorization,
} from '@cloister/core';
import { randomBytes, toHex } from '@cloister/crypto';
import type { Hex, TypedDataDefinition } from 'viem';
import type { Route } from '../route.ts';
import type { CallPaymentMethod } from './callPaymentMethod.ts';
import { PaymentError } from './channelLedger.ts';

/** Who authorizes transfers: a viem account, or a wallet that signs typed data. */
export type TransferSigner = {
  readonly address: Hex;
  signTypedData(data: TypedDataDefinition): Promise<Hex>;
};

/** How long an authorization that this client makes is valid, by the chain's clock. */
export const transferValiditySeconds = 300;
const settlingMs = 60_000;

/** The token's EIP-712 domain, read once, and authorizations in it. */
export class Transfers {
  readonly #network: NetworkFile;
  readonly #view: Pick<ChainView, 'read' | 'head'>;
  #domain: Promise<TokenDomain> | undefined;

  constructor(components: { readonly network: NetworkFile; readonly view: Pick<ChainView, 'read' | 'head'> }) {
    this.#network = components.network;
    this.#view = components.view;
  }

  /** As the token states it. Throws ChainError. */
  domain(signal?: AbortSignal): Promise<TokenDomain> {
    const { chainId, contracts } = this.#network;
    const token = contracts.phaToken;
    this.#domain ??= this.#view
      .read({ address: token, abi: phaTokenAbi, functionName: 'eip712Domain', args: [] }, signal)
      .then(([, name, version]) => ({ chainId, token, name, version }));
    this.#domain.catch(() => {
      this.#domain = undefined;
    });
    return this.#domain;
  }

  /** A new authorization for exactly so much. Throws ChainError, and what the signer throws. */
  async authorize(signer: TransferSigner, to: Address, value: bigint, signal?: AbortSignal): Promise<SignedTransfer> {
    const [{ chainId, token, name, version }, { timestamp }] = await Promise.all([
      this.domain(signal),
      this.#view.head(signal),
    ]);
    const authorization: TransferAuthorization = {
      from: signer.address.toLowerCase() as Address,
      to,
      value,
      validAfter: 0n,
      validBefore: timestamp + BigInt(transferValiditySeconds),
      nonce: toHex(randomBytes(32)),
    };
    const signature = await signer.signTypedData({
      domain: { name, version, chainId, verifyingContract: token },
      types: {
        TransferWithAuthorization: [
          { name: 'from', type: 'address' },
          { name: 'to', type: 'address' },
          { name: 'value', type: 'uint256' },
          { name: 'validAfter', type: 'uint256' },
          { name: 'validBefore', type: 'uint256' },
          { name: 'nonce', type: 'bytes32' },
        ],
      },
      primaryType: 'TransferWithAuthorization',
      message: authorization,
    });
    return { authorization, signature: signature.toLowerCase() as Hex };
  }
}

/** Pays for one call by one transfer: authorized before, or for the first worker that is asked. Nobody else is asked then but its operator's. */
export class TransferPayment implements CallPaymentMethod {
  readonly settlingMs = settlingMs;
  readonly #authorize: (to: Address, value: bigint) => Promise<SignedTransfer>;
  #signed: SignedTransfer | undefined;

  constructor(of: SignedTransfer | ((to: Address, value: bigint) => Promise<SignedTransfer>)) {
    if (typeof of === 'function') this.#authorize = of;
    else {
      this.#signed = of;
      this.#authorize = async () => of;
    }
  }

  get transfer(): TransferAuthorization | undefined {
    return this.#signed?.authorization;
  }

  async whyNot({ worker }: Route, _call: string, maxFee: bigint): Promise<PaymentError | undefined> {
    if (this.#signed === undefined) return undefined;
    const { to, value } = this.#signed.authorization;
    if (to !== worker.operator)
      return new PaymentError(
        'PAYMENT_OTHER_PAYEE',
        `The transfer pays "${to}", worker "${worker.workerId}" is of operator "${worker.operator}"`,
      );
    if (value < maxFee)
      return new PaymentError('PAYMENT_NOT_ALLOWED', `The transfer is of "${value}", a call may cost "${maxFee}"`);
    return undefined;
  }

  async offer(route: Route, call: string, maxFee: bigint): Promise<string> {
    const refusal = await this.whyNot(route, call, maxFee);
    if (refusal !== undefined) throw refusal;
    this.#signed ??= await this.#authorize(route.worker.operator, maxFee);
    return paymentOfferText({ scheme: 'exact', ...this.#signed });
  }

  async channelOf(): Promise<undefined> {
    return undefined;
  }

  /** The transfer was made, or nobody carries it to the chain: there is nothing to count. */
  async settle(): Promise<void> {}
  async lose(): Promise<void> {}
}
