import { TransactionError } from '@cloister/chain';
import {
  type Address,
  type Bytes32,
  exactPaymentTag,
  type Hex,
  type SignedTransfer,
  type TransferAuthorization,
  transferAuthorizationDigest,
} from '@cloister/core';
import { addressOf, fromHex, generateSecp256k1, type SecretBytes, signDigest, toHex } from '@cloister/crypto';
import { beforeEach, describe, expect, test } from 'vitest';
import { ExactDesk } from '../src/payments/exactDesk.ts';

const address = (byte: string): Address => `0x${byte.repeat(20)}`;
const b32 = (byte: string): Bytes32 => `0x${byte.repeat(32)}`;
const domain = { chainId: 31_337, token: address('a1'), name: 'Phala', version: '1' };
const operator = address('0a');
const payer = generateSecp256k1();
const signal = new AbortController().signal;
const call = b32('ca');

type Sent = { readonly args: readonly unknown[]; readonly dataSuffix?: Hex };

/** The token and the chain's clock: each nonce of an account once, as ERC-3009 has it. */
class Token {
  now = 1_000_000n;
  balance = 1_000n;
  domainReads = 0;
  readonly usedNonces = new Set<string>();
  readonly sent: Sent[] = [];
  /** What stands between a transaction and its block. */
  mining: (transaction: Sent) => Promise<void> = async () => {};

  readonly view = {
    head: async () => ({ number: 1n, hash: b32('01'), timestamp: this.now }),
    read: async ({ functionName, args }: { functionName: string; args: readonly unknown[] }) => {
      if (functionName === 'eip712Domain') {
        this.domainReads += 1;
        return ['0x0f', domain.name, domain.version, 31_337n, domain.token, b32('00'), []];
      }
      return functionName === 'balanceOf' ? this.balance : this.usedNonces.has(args.join(' '));
    },
  };

  readonly account = {
    address: operator,
    write: async (transaction: Sent) => {
      this.sent.push(transaction);
      await this.mining(transaction);
      const [from, , value, , , nonce] = transaction.args as [Address, Address, bigint, bigint, bigint, Bytes32];
      if (this.usedNonces.has(`${from} ${nonce}`)) throw refusedBy('ERC3009UsedAuthorization');
      this.usedNonces.add(`${from} ${nonce}`);
      this.balance -= value;
      return { transactionHash: b32('7a') };
    },
  };
}

let token: Token;
let desk: ExactDesk;
const deskOf = (signer: string, init?: ConstructorParameters<typeof ExactDesk>[1]) =>
  new ExactDesk(
    {
      chainId: 31_337,
      phaToken: domain.token,
      view: token.view as never,
      operator: token.account as never,
      receiptSigner: address(signer),
    },
    init,
  );
beforeEach(() => {
  token = new Token();
  desk = deskOf('51');
});

function refusedBy(name: string): TransactionError {
  return new TransactionError('TRANSACTION_REFUSED', `Transaction was refused: ${name}()`, { errorName: name });
}

function authorized(changes: Partial<TransferAuthorization> = {}, key: SecretBytes = payer): SignedTransfer {
  const authorization: TransferAuthorization = {
    from: addressOf(payer),
    to: operator,
    value: 100n,
    validAfter: 0n,
    validBefore: token.now + 300n,
    nonce: b32('11'),
    ...changes,
  };
  const digest = transferAuthorizationDigest(domain, authorization);
  return { authorization, signature: toHex(signDigest(key, fromHex(digest))) };
}

const settle = (offer: SignedTransfer, highest = 100n, by = desk) => by.settle(offer, highest, call, signal);
const refusedAs = (code: string) => expect.objectContaining({ code });

describe('a transfer for a call', () => {
  test('is carried to the chain, under the tag of this call and signer, before anything is answered', async () => {
    await expect(settle(authorized())).resolves.toEqual({
      chainId: 31_337,
      from: addressOf(payer),
      amount: 100n,
      transaction: b32('7a'),
    });
    expect(token.balance).toBe(900n);
    expect(token.sent).toMatchObject([
      { functionName: 'transferWithAuthorization', dataSuffix: exactPaymentTag(address('51'), call) },
    ]);
  });

  test('of more than the call may cost is taken', async () => {
    await expect(settle(authorized({ value: 101n }))).resolves.toMatchObject({ amount: 101n });
  });

  test('whose signature ends in 0 or 1, as some wallets make it, is taken', async () => {
    const { authorization, signature } = authorized();
    const parity = Number.parseInt(signature.slice(-2), 16) - 27;
    await settle({ authorization, signature: `${signature.slice(0, -2)}0${parity}` as Hex });
    expect([27, 28]).toContain(token.sent[0]?.args[6]);
  });

  test.each<[string, () => SignedTransfer, string]>([
    ['goes to somebody else', () => authorized({ to: address('0b') }), 'PAYMENT_OTHER_OPERATOR'],
    ['is too low', () => authorized({ value: 99n }), 'PAYMENT_TRANSFER_TOO_LOW'],
    ['is signed by another key', () => authorized({}, generateSecp256k1()), 'PAYMENT_AUTHORIZATION_FORGED'],
    [
      'was signed for less',
      () => ({ ...authorized({ value: 1n }), authorization: authorized().authorization }),
      'PAYMENT_AUTHORIZATION_FORGED',
    ],
    [
      'has no signature at all',
      () => ({ ...authorized(), signature: `0x${'00'.repeat(65)}` }),
      'PAYMENT_AUTHORIZATION_FORGED',
    ],
    ['is not valid yet', () => authorized({ validAfter: token.now }), 'PAYMENT_AUTHORIZATION_NOT_VALID'],
    [
      'ends before it would be mined',
      () => authorized({ validBefore: token.now + 30n }),
      'PAYMENT_AUTHORIZATION_NOT_VALID',
    ],
    ['is beyond what the payer has', () => authorized({ value: 1_001n }), 'PAYMENT_NO_FUNDS'],
    [
      'was settled before, by whomever',
      () => {
        token.usedNonces.add(`${addressOf(payer)} ${b32('11')}`);
        return authorized();
      },
      'PAYMENT_AUTHORIZATION_USED',
    ],
  ])('that %s is refused, and no transaction is sent', async (_, offer, code) => {
    await expect(settle(offer())).rejects.toEqual(refusedAs(code));
    expect(token.sent).toEqual([]);
  });

  test('pays one call, however often it is shown', async () => {
    const offer = authorized();
    await settle(offer);
    await expect(settle(offer)).rejects.toEqual(refusedAs('PAYMENT_AUTHORIZATION_USED'));
    // A process that started again knows nothing; the token does.
    await expect(settle(offer, 100n, deskOf('52'))).rejects.toEqual(refusedAs('PAYMENT_AUTHORIZATION_USED'));
    expect(token.balance).toBe(900n);
  });

  test('pays one of two calls that show it at once, at one worker', async () => {
    const offer = authorized();
    const results = await Promise.allSettled([settle(offer), settle(offer), settle(offer)]);
    expect(results.map(({ status }) => status).sort()).toEqual(['fulfilled', 'rejected', 'rejected']);
    expect(token.sent).toHaveLength(1);
  });

  test('pays one of two calls that show it at once at two workers of one operator, which send different transactions', async () => {
    const offer = authorized();
    let release: () => void = () => {};
    const both = new Promise<void>((resolve) => {
      release = resolve;
    });
    token.mining = async () => {
      if (token.sent.length === 2) release();
      await both;
    };
    const results = await Promise.allSettled([settle(offer), settle(offer, 100n, deskOf('52'))]);
    expect(results.filter(({ status }) => status === 'fulfilled')).toHaveLength(1);
    expect(results.find(({ status }) => status === 'rejected')).toMatchObject({
      reason: { code: 'PAYMENT_NOT_SETTLED' },
    });
    expect(new Set(token.sent.map(({ dataSuffix }) => dataSuffix)).size).toBe(2);
  });

  test.each([
    ['is refused by the token', refusedBy('ERC20InsufficientBalance'), /refuses the transfer/],
    ['is replaced', new TransactionError('TRANSACTION_REPLACED', 'replaced', {}), /look on the chain whether nonce/],
    [
      'is not mined in time',
      new TransactionError('TRANSACTION_FAILED', 'timed out', {}),
      /look on the chain whether nonce/,
    ],
    ['is reverted', new TransactionError('TRANSACTION_REVERTED', 'failed', {}), /look on the chain/],
  ])('that %s when it is carried leaves the call unpaid', async (_, error, message) => {
    token.mining = () => Promise.reject(error);
    await expect(settle(authorized())).rejects.toEqual(refusedAs('PAYMENT_NOT_SETTLED'));
    await expect(settle(authorized())).rejects.toThrow(message);
  });

  test('waits for no more than a few others; it is not touched then', async () => {
    let release: () => void = () => {};
    token.mining = () =>
      new Promise((resolve) => {
        release = resolve;
      });
    const small = deskOf('51', { leastValiditySeconds: 30n, maxAtOnce: 1 });
    const first = settle(authorized(), 100n, small);
    await expect.poll(() => token.sent.length).toBe(1);
    await expect(settle(authorized({ nonce: b32('12') }), 100n, small)).rejects.toEqual(
      refusedAs('PAYMENT_EXACT_BUSY'),
    );
    release();
    await first;
    token.mining = async () => {};
    await settle(authorized({ nonce: b32('12') }), 100n, small);
  });

  test('the token is asked once for its domain, and again where it did not answer', async () => {
    const { read } = token.view;
    let isAway = true;
    token.view.read = async (query) => {
      if (isAway && query.functionName === 'eip712Domain') throw new Error('away');
      return read(query);
    };
    await expect(settle(authorized())).rejects.toThrow('away');
    isAway = false;
    await settle(authorized());
    await settle(authorized({ nonce: b32('12') }));
    expect(token.domainReads).toBe(1);
  });
});
