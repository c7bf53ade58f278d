import {
  channelId,
  freePrice,
  functionManifest,
  parsePaymentOffer,
  paymentOfferText,
  voucherDigest,
  zeroBytes32,
} from '@cloister/core';
import { fromHex, generateSecp256k1, randomBytes, toHex } from '@cloister/crypto';
import { addressOf, signDigest } from '@cloister/crypto/native-secp256k1';
import { recoverTypedDataAddress } from 'viem';
import { Cashier } from '../../apps/worker/src/payments/cashier.ts';
import { PaymentDesk } from '../../apps/worker/src/payments/paymentDesk.ts';
import { type BenchLine, interleaved } from './measure.ts';

const chainId = 31337;
const payments = { chainId, payments: `0x${'d1'.repeat(20)}` } as const;
const [operator, signer] = [`0x${'0a'.repeat(20)}`, `0x${'0b'.repeat(20)}`] as const;
const perCall = 1_000n;
const offers = 4_096;

/**
 * voucher-check: what a worker does before a paid call runs, from the offer's text to the reservation, against viem's recovery of the same
 * voucher's signer, which is a part of it.
 */
export async function benchVoucherCheck(): Promise<BenchLine> {
  const key = generateSecp256k1();
  const payerKey = addressOf(key);
  const channel = { payer: `0x${'01'.repeat(20)}`, payerKey, operator, gateway: operator, salt: zeroBytes32 } as const;
  const id = channelId(payments, channel);
  // Each voucher is another: nothing may be answered from what was checked before.
  const texts = Array.from({ length: offers }, (_, index) => {
    const maxClaimableAmount = perCall * BigInt(index + 1);
    const digest = voucherDigest(payments, { channelId: id, maxClaimableAmount });
    const signature = toHex(signDigest(key, fromHex(digest)));
    return paymentOfferText({ scheme: 'channel', channel, maxClaimableAmount, signature, totals: [], receipts: [] });
  });
  const desk = new PaymentDesk({
    domain: { chainId, registry: operator },
    payments,
    operator,
    signer,
    funds: { of: async () => ({ bearable: 1n << 80n, earned: 0n, isWithdrawing: false }) },
    isOperators: async () => false,
    book: { cumulative: () => 0n, last: () => undefined },
  });
  const cashier = new Cashier({ channels: desk, exact: undefined, prices: undefined });
  const manifest = functionManifest({
    name: 'sample',
    code: { sha256: zeroBytes32, bytes: 1 },
    price: { ...freePrice, perCall: perCall.toString() },
  });
  const call = toHex(randomBytes(32));
  const { signal } = new AbortController();
  let at = 0;
  const next = () => texts[at++ % offers] ?? '';
  const ours = async () => {
    const payment = await cashier.take(manifest, { voucher: next(), maxFee: perCall, id: call }, signal);
    if (payment?.scheme !== 'channel') throw new Error('Expected a reservation');
    payment.reservation.release();
  };
  const domain = { name: 'x402 Batch Settlement', version: '1', chainId, verifyingContract: payments.payments };
  const types = {
    Voucher: [
      { name: 'channelId', type: 'bytes32' },
      { name: 'maxClaimableAmount', type: 'uint128' },
    ],
  };
  const peer = async () => {
    const offer = parsePaymentOffer(next());
    if (offer.scheme !== 'channel') throw new Error('Expected an offer from a channel');
    const { maxClaimableAmount, signature } = offer;
    const message = { channelId: id, maxClaimableAmount };
    const by = await recoverTypedDataAddress({ domain, types, primaryType: 'Voucher', message, signature });
    if (by.toLowerCase() !== payerKey) throw new Error('Expected the payer key to have signed');
  };
  return interleaved({ id: 'voucher-check', ours, peer, runs: 40, callsPerRun: 100, warmUps: 10 });
}
