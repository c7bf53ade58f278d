import { readFileSync } from 'node:fs';
import { ChainError } from '@cloister/chain';
import type { Address, Bytes32, ChainPolicy, Hex } from '@cloister/core';
import { fromHex, SecretBytes, toHex, utf8 } from '@cloister/crypto';
import { StateError } from '@cloister/state';
import { keccak256, parseTransaction, recoverTransactionAddress, verifyMessage } from 'viem';
import { privateKeyToAccount } from 'viem/accounts';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { code, signal } from '../../../packages/state/test/helpers.ts';
import { AccountKeys, chainAccountKey } from '../src/account/accountKeys.ts';
import { AppAccounts } from '../src/account/appAccounts.ts';
import { app, type Host, HostsTown } from './hostsTown.ts';

const chainId = 31_337;
const to: Address = `0x${'aa'.repeat(20)}`;
const policy: ChainPolicy = {
  chainId,
  calls: [{ to, selectors: ['0x', '0xa9059cbb'] }],
  maxValueWei: '10',
  maxFeeWei: '1000000',
  maxPerDay: 5,
  messages: true,
};
const { seal } = JSON.parse(readFileSync(new URL('../../../vectors/committee.json', import.meta.url), 'utf8'));
const signatureOf = (keyVersion: number) => {
  const bytes = fromHex(seal.signature as Hex).slice();
  bytes[0] = (bytes[0] as number) ^ (keyVersion - 1);
  return new SecretBytes(bytes);
};

/** A chain that takes what comes in the order of its nonces, and makes blocks when it is told to. */
class Chain {
  readonly sent: Hex[] = [];
  readonly mined: Hex[] = [];
  isAway = false;
  baseFee = 7n;
  timestamp = 86_400n * 20_000n;
  finalCount = 0;
  tried: object[] = [];
  reverts = false;

  async send(raw: Hex): Promise<void> {
    if (this.isAway) throw new ChainError('CHAIN_SEND_NOT_TAKEN', 'nobody answers', {});
    const { nonce = 0 } = parseTransaction(raw);
    if (nonce > this.mined.length) throw new Error(`A gap before nonce ${nonce}`);
    if (!this.sent.includes(raw)) this.sent.push(raw);
    if (nonce === this.mined.length) this.mined.push(raw);
  }
  async price(call: object) {
    this.tried.push(call);
    if (this.reverts) throw new ChainError('CHAIN_SEND_REVERTED', 'it would fail', {});
    return { gas: 21_000n, baseFee: this.baseFee, tip: 1n };
  }
  head = async () => ({ number: 9n, hash: '0x' as Hex, timestamp: this.timestamp });
  finalized = async () => ({ number: 5n, hash: '0x' as Hex, timestamp: this.timestamp });
  transactionCount = async (_: Address, block: bigint) => (block === 5n ? this.finalCount : this.mined.length);
}

let town: HostsTown;
let chain: Chain;
let keys: AccountKeys[];
beforeEach(() => {
  town = new HostsTown(1_000, ['a', 'b'], { chain: policy });
  chain = new Chain();
  keys = [];
});
afterEach(() => {
  for (const one of keys) one.close();
  return town.stop();
});

const accountsOf = (host: Host): AppAccounts => {
  const own = new AccountKeys({ chainId, signature: async ({ keyVersion }) => signatureOf(keyVersion) });
  keys.push(own);
  return new AppAccounts({ chainId, view: chain, relay: chain, states: host.states, keys: own });
};
const host = (index: number): Host => town.hosts[index] as Host;
const owner = (changes: Partial<ChainPolicy> = {}, keyVersion = 1) => ({
  ...{ app, manifest: town.version.manifestId, keyVersion },
  policy: { ...policy, ...changes },
});
const wish = (valueWei = 1n, data: Hex = '0x') => ({ to, data, valueWei });
const nonces = () => chain.sent.map((raw) => parseTransaction(raw).nonce ?? 0);

// The key by Node.js' own HKDF, the address and the signatures by viem.
test('the address and every signature are those of a key that is derived so', async () => {
  const accounts = accountsOf(host(0));
  const secret = toHex((await chainAccountKey(signatureOf(1), chainId)).reveal());
  expect(secret).toBe('0x1f4e8c12d7bc8dd7f57983f3e96feea0648edfbe2d59f54c07c5918f61a44b76');
  const known = privateKeyToAccount(secret);
  expect(await accounts.address(owner())).toBe(known.address.toLowerCase());
  expect(known.address).toBe('0x3f671E8c8477f5D68AE0957EA66eE3188973B205');
  expect(await accounts.address(owner({}, 2))).not.toBe(known.address.toLowerCase());
  await accounts.send(owner(), 'one', wish(3n, '0xa9059cbb'), signal);
  const [raw = '0x'] = chain.sent;
  const same = { chainId, nonce: 0, to, value: 3n, data: '0xa9059cbb', gas: 21_000n } as const;
  const fees = { maxFeePerGas: 15n, maxPriorityFeePerGas: 1n, type: 'eip1559' } as const;
  expect(raw).toBe(await known.signTransaction({ ...same, ...fees }));
  const message = 'one statement';
  const signature = await accounts.signMessage(owner(), utf8(message));
  expect(await verifyMessage({ address: known.address, message, signature })).toBe(true);
});

describe('refuses, and signs nothing', () => {
  test.each<[string, Partial<ChainPolicy>, ReturnType<typeof wish>, string]>([
    ['another contract', { calls: [] }, wish(), 'CHAIN_CONTRACT_NOT_ALLOWED'],
    ['another function', {}, wish(1n, '0x12345678'), 'CHAIN_FUNCTION_NOT_ALLOWED'],
    ['a wei too much', {}, wish(11n), 'CHAIN_VALUE_TOO_HIGH'],
    ['gas beyond what it may cost', { maxFeeWei: '167999' }, wish(), 'CHAIN_FEE_TOO_HIGH'],
    ['another chain', { chainId: 1 }, wish(), 'CHAIN_OTHER_CHAIN'],
    ['any today', { maxPerDay: 0 }, wish(), 'CHAIN_DAY_FULL'],
  ])('%s', async (_, changes, wished, refusal) => {
    await expect(accountsOf(host(0)).send(owner(changes), 'x', wished, signal)).rejects.toEqual(code(refusal));
    expect(chain.sent).toEqual([]);
    await accountsOf(host(0)).send(owner(), 'y', wish(), signal);
    expect(nonces()).toEqual([0]);
  });

  test('what would fail on the chain', async () => {
    chain.reverts = true;
    await expect(accountsOf(host(0)).send(owner(), 'x', wish(), signal)).rejects.toEqual(code('CHAIN_SEND_REVERTED'));
    chain.reverts = false;
    expect((await accountsOf(host(0)).send(owner(), 'x', wish(), signal)).nonce).toBe(0);
  });

  test('messages that the policy does not allow, or that are too long', async () => {
    const accounts = accountsOf(host(0));
    const none = accounts.signMessage(owner({ messages: false }), utf8('hi'));
    await expect(none).rejects.toEqual(code('CHAIN_MESSAGES_NOT_ALLOWED'));
    await expect(accounts.signMessage(owner(), new Uint8Array(8_193))).rejects.toEqual(code('CHAIN_MESSAGE_TOO_LARGE'));
  });

  test('more than its number for a day, on all hosts together; the next day has its own', async () => {
    const [one, two] = [accountsOf(host(0)), accountsOf(host(1))];
    for (let index = 0; index < 5; index++)
      await (index % 2 === 0 ? one : two).send(owner(), `${index}`, wish(), signal);
    for (const accounts of [one, two])
      await expect(accounts.send(owner(), 'more', wish(), signal)).rejects.toEqual(code('CHAIN_DAY_FULL'));
    chain.timestamp += 86_400n;
    await two.send(owner(), 'more', wish(), signal);
    // Of a host whose chain is a day behind, today counts all the same.
    chain.timestamp -= 86_400n;
    for (let index = 6; index < 10; index++) await one.send(owner(), `${index}`, wish(), signal);
    await expect(one.send(owner(), 'again', wish(), signal)).rejects.toEqual(code('CHAIN_DAY_FULL'));
    expect(nonces()).toEqual([0, 1, 2, 3, 4, 5, 6, 7, 8, 9]);
  });

  test('a new one while too many wait to be final', async () => {
    const accounts = accountsOf(host(0));
    const many = owner({ maxPerDay: 1_000 });
    for (let index = 0; index < 64; index++) await accounts.send(many, `${index}`, wish(), signal);
    await expect(accounts.send(many, 'x', wish(), signal)).rejects.toEqual(code('CHAIN_SENDS_PENDING'));
    chain.finalCount = 2;
    await accounts.send(many, 'x', wish(), signal);
    await accounts.send(many, 'y', wish(), signal);
    await expect(accounts.send(many, 'z', wish(), signal)).rejects.toEqual(code('CHAIN_SENDS_PENDING'));
  });
});

describe('one id is one transaction', () => {
  test('on each host, and to be asked for again costs nothing of the day', async () => {
    const sent: Bytes32[] = [];
    for (const accounts of [accountsOf(host(0)), accountsOf(host(1)), accountsOf(host(0))])
      sent.push((await accounts.send(owner({ maxPerDay: 1 }), 'same', wish(), signal)).hash);
    expect(new Set(sent).size).toBe(1);
    expect(chain.mined.map((raw) => keccak256(raw))).toEqual(sent.slice(0, 1));
  });

  test('and no other', async () => {
    const accounts = accountsOf(host(0));
    await accounts.send(owner(), 'same', wish(1n), signal);
    for (const other of [wish(2n), wish(1n, '0xa9059cbb')])
      await expect(accounts.send(owner(), 'same', other, signal)).rejects.toEqual(code('CHAIN_SEND_ID_REUSED'));
    expect(nonces()).toEqual([0]);
  });

  test('of hosts that race for it too', async () => {
    const all = [accountsOf(host(0)), accountsOf(host(1))];
    const sent = await Promise.all(all.map((accounts) => accounts.send(owner(), 'same', wish(), signal)));
    expect(new Set(sent.map(({ hash }) => hash)).size).toBe(1);
    expect(chain.mined).toHaveLength(1);
  });
});

test('two hosts that send at once share no nonce', async () => {
  const all = [accountsOf(host(0)), accountsOf(host(1))];
  const wished = Array.from({ length: 4 }, (_, index) => index);
  const many = owner({ maxPerDay: 9 });
  await Promise.all(
    wished.flatMap((index) => all.map((accounts, at) => accounts.send(many, `${at}/${index}`, wish(), signal))),
  );
  expect([...new Set(nonces())].sort()).toEqual([0, 1, 2, 3, 4, 5, 6, 7]);
  expect(chain.mined).toHaveLength(8);
  const known = privateKeyToAccount(toHex((await chainAccountKey(signatureOf(1), chainId)).reveal()));
  for (const raw of chain.mined)
    expect(await recoverTransactionAddress({ serializedTransaction: raw as `0x02${string}` })).toBe(known.address);
});

describe('where a host is lost', () => {
  test('between signing and sending, another sends the very same, and before its own', async () => {
    const [one, two] = [accountsOf(host(0)), accountsOf(host(1))];
    chain.isAway = true;
    await expect(one.send(owner(), 'lost', wish(1n), signal)).rejects.toEqual(code('CHAIN_SEND_NOT_TAKEN'));
    host(0).kill();
    town.now += 60;
    chain.isAway = false;
    await two.send(owner(), 'next', wish(2n), signal);
    expect(chain.mined.map((raw) => parseTransaction(raw).value)).toEqual([1n, 2n]);
    const again = await two.send(owner(), 'lost', wish(1n), signal);
    expect(again.hash).toBe(keccak256(chain.mined[0] as Hex));
    expect(chain.mined).toHaveLength(2);
  });

  test.each([true, false])('before it could hear whether the book has it: it sends one (%s)', async (signs) => {
    const accounts = accountsOf(host(0));
    await accounts.send(owner(), 'first', wish(), signal);
    town.committee.fails = { error: new StateError('STATE_HEAD_UNAVAILABLE', 'too few answered'), signs };
    expect((await accounts.send(owner(), 'unknown', wish(), signal)).nonce).toBe(1);
    expect(nonces()).toEqual([0, 1]);
  });

  test('before the book has it, nobody ever sees what it signed', async () => {
    const accounts = accountsOf(host(0));
    town.blobs.put = async () => {
      throw new StateError('STATE_BLOB_UNSTORED', 'no store');
    };
    await expect(accounts.send(owner(), 'x', wish(), signal)).rejects.toEqual(code('STATE_BLOB_UNSTORED'));
    expect(chain.sent).toEqual([]);
  });
});

test('keys are asked for once, kept apart by app and version, and gone at the end', async () => {
  const asked: string[] = [];
  const given: SecretBytes[] = [];
  const own = new AccountKeys({
    chainId,
    async signature({ app: of, keyVersion, class: as }) {
      asked.push(`${of.slice(0, 4)} ${keyVersion} ${as}`);
      const signature = signatureOf(keyVersion);
      given.push(signature);
      return signature;
    },
  });
  const of = { app, manifest: town.version.manifestId, keyVersion: 1 };
  const [first, again] = await Promise.all([own.of(of), own.of(of)]);
  expect(first.address).toBe(again.address);
  await own.of({ ...of, keyVersion: 2 });
  expect(asked).toEqual(['0x01 1 signing', '0x01 2 signing']);
  for (const signature of given) expect(() => signature.reveal()).toThrow(code('SECRET_WIPED'));
  own.close();
  await Promise.resolve();
  expect(() => first.sign(new Uint8Array(32))).toThrow(code('SECRET_WIPED'));
});
