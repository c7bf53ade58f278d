import { paymentsAbi, phaTokenAbi } from '@cloister/chain';
import type { OpenedRequest } from '@cloister/channel/worker';
import {
  type ExactOffer,
  exactPaymentToJson,
  freePrice,
  type PaymentStanding,
  parsePaymentOffer,
  paymentStandingToJson,
  x402HeaderText,
  zeroBytes32,
} from '@cloister/core';
import { utf8 } from '@cloister/crypto';
import { getAddress } from 'viem';
import { dispatch } from '../../chain/test/stubDispatch.ts';
import type { SimulatedNetwork, StubAnswer } from './simulatedNetwork.ts';

export const price = { ...freePrice, perCall: '20' };
export const transaction = `0x${'7a'.repeat(32)}` as const;

/** The token's domain, and every channel with so much money in it. */
export function stubMoney(network: SimulatedNetwork, channels: { deposited: bigint }): void {
  const { phaToken, payments } = network.file.contracts;
  const { contracts } = network.rpc;
  network.rpc.contracts = (call) => {
    if (call.to === phaToken)
      return dispatch(phaTokenAbi, call, {
        eip712Domain: () => ['0x0f', 'Phala', '1', BigInt(network.file.chainId), getAddress(phaToken), zeroBytes32, []],
      });
    if (call.to !== payments) return contracts(call);
    return dispatch(paymentsAbi, call, {
      withdrawalDelay: () => 900n,
      channelOf: () => ({
        opened: channels.deposited > 0n,
        closed: false,
        deposited: channels.deposited,
        voucher: 0n,
        earned: 0n,
        claimed: 0n,
        withdrawing: 0n,
        withdrawableAt: 0n,
      }),
    });
  };
}

export function offerIn({ call }: OpenedRequest) {
  if (call.voucher === undefined) throw new Error('The call carries no payment');
  return parsePaymentOffer(call.voucher);
}

/** An answer as a worker gives it that has settled the offered transfer. */
export function settledAnswer(opened: OpenedRequest, answer: StubAnswer = {}): StubAnswer {
  const { authorization } = offerIn(opened) as ExactOffer;
  const amount = authorization.value;
  const network = 'eip155:31337';
  const settlement = { success: true, transaction, network, payer: authorization.from, amount: amount.toString() };
  return {
    body: [utf8('paid '), utf8('answer')],
    ...answer,
    headers: [...(answer.headers ?? []), ['payment-response', x402HeaderText(settlement)]],
    details: { payment: exactPaymentToJson({ amount, transaction }) },
  };
}

/** A worker's own refusal of a payment. */
export function refusedPayment(code: string, standing?: PaymentStanding): StubAnswer {
  const payment = standing === undefined ? {} : { payment: paymentStandingToJson(standing) };
  return {
    status: 402,
    outcome: 'refused',
    manifest: zeroBytes32,
    code,
    headers: [['content-type', 'application/json']],
    body: [utf8(JSON.stringify({ refusedBy: 'worker', code, message: `No: ${code}`, ...payment }))],
  };
}
