import type { Hex } from '@cloister/core';
import { fromHex, keccak256, sha256, toHex } from '@cloister/crypto';
import { describe, expect, test } from 'vitest';
import {
  type CallState,
  emptyCodeHash,
  emptyStorageRoot,
  type Header,
  type HeaderFork,
  runLocalCall,
} from '../src/index.ts';

const contract: Hex = `0x${'c0'.repeat(20)}`;
const other: Hex = `0x${'0e'.repeat(20)}`;
const word = (value: bigint) => value.toString(16).padStart(64, '0');
/** Gives back the word on the stack: PUSH0 MSTORE PUSH1 32 PUSH0 RETURN. */
const giveBack = '5f5260205ff3';
/** A static call of a precompile with 32 bytes of zeros, 32 bytes back at 0, and its answer given back. */
const callPrecompile = (address: string) => `60205f60205f61${address}5afa5060205ff3`;

function header(fork: HeaderFork): Header {
  const hash: Hex = `0x${'11'.repeat(32)}`;
  return {
    hash,
    parentHash: hash,
    number: 1_000n,
    timestamp: 1_700_000_000n,
    stateRoot: hash,
    receiptsRoot: hash,
    logsBloom: `0x${'00'.repeat(256)}`,
    coinbase: other,
    prevRandao: hash,
    difficulty: 0n,
    gasLimit: 30_000_000n,
    baseFeePerGas: 7n,
    fork,
  };
}

/** Runs code that stands at `contract`. */
async function run(code: string, { fork = 'prague', data = '0x' as Hex, slots = {} as Record<string, bigint> } = {}) {
  const read: string[] = [];
  const state: CallState = {
    account: async (address) =>
      address === contract
        ? { nonce: 1n, balance: 5n, storageRoot: emptyStorageRoot, codeHash: toHex(keccak256(fromHex(code))) }
        : address === other
          ? { nonce: 0n, balance: 9n, storageRoot: emptyStorageRoot, codeHash: emptyCodeHash }
          : undefined,
    code: async (address) => (address === contract ? fromHex(code) : new Uint8Array()),
    slot: async (address, slot) => {
      read.push(`${address} ${slot}`);
      return slots[String(slot)] ?? 0n;
    },
  };
  const call = { chainId: 31337, header: header(fork as HeaderFork), to: contract, data };
  return { ...(await runLocalCall(call, state)), read };
}

describe('a call', () => {
  test.each([
    ['reads storage', `600754${giveBack}`, 0x1234n],
    ['knows the chain', `46${giveBack}`, 31337n],
    ['knows the block’s number', `43${giveBack}`, 1_000n],
    ['knows the block’s time', `42${giveBack}`, 1_700_000_000n],
    ['comes from the contract itself', `33${giveBack}`, BigInt(contract)],
    ['knows balances', `73${other.slice(2)}31${giveBack}`, 9n],
    ['sees no storage that is not there', `600854${giveBack}`, 0n],
    ['keeps for its own time', `5f5c${giveBack}`, 0n],
  ])('%s', async (_, code, value) => {
    expect(await run(code, { slots: { 7: 0x1234n } })).toMatchObject({ reverted: false, data: `0x${word(value)}` });
  });

  test('reads words without zeros in front and with them', async () => {
    for (const value of [1n, 255n, 256n, 2n ** 255n, 2n ** 256n - 1n])
      expect((await run(`600754${giveBack}`, { slots: { 7: value } })).data).toBe(`0x${word(value)}`);
  });

  test('gives back what it refuses with', async () => {
    expect(await run('6001600052601f6001fd')).toMatchObject({ reverted: true });
    expect(await run('5f5ffd')).toMatchObject({ reverted: true, data: '0x' });
  });

  test('hashes by the precompile', async () => {
    expect((await run(callPrecompile('0002'))).data).toBe(toHex(sha256(new Uint8Array(32))));
    expect((await run(callPrecompile('0004'))).data).toBe(`0x${word(0n)}`);
  });

  test('runs the rules of the header’s fork', async () => {
    // MCOPY and TLOAD are Cancun's, PUSH0 is Shanghai's.
    expect(await run(`5f5c${giveBack}`, { fork: 'cancun' })).toMatchObject({ reverted: false });
    await expect(run(`5f5c${giveBack}`, { fork: 'shanghai' })).rejects.toMatchObject({
      code: 'CHAIN_CALL_UNSUPPORTED',
    });
    await expect(run(`5f54${giveBack}`, { fork: 'london' })).rejects.toMatchObject({ code: 'CHAIN_CALL_UNSUPPORTED' });
  });
});

describe('refused as CHAIN_CALL_UNSUPPORTED is a call that', () => {
  test.each([
    ['verifies P-256, which not every fork has', callPrecompile('0100')],
    ['calls a precompile of big numbers', callPrecompile('0005')],
    ['calls one that a fork may bring', callPrecompile('0fff')],
    ['calls one from within a call that may fail', `${callPrecompile('0100').slice(0, -10)}5f5ff3`],
    ['asks for the hash of an earlier block', `6103e740${giveBack}`],
    ['asks for the price of blobs', `4a${giveBack}`],
    ['writes storage', '60015f5500'],
    ['makes a contract', '5f5f5ff0'],
    ['logs', '5f5fa0'],
    ['destroys itself', '5fff'],
    ['ends with an unknown instruction', 'fe'],
    ['takes from an empty stack', '01'],
    ['never ends', '5b620100005f20505f56'],
  ])('%s', async (_, code) => {
    await expect(run(code)).rejects.toMatchObject({ name: 'ProofError', code: 'CHAIN_CALL_UNSUPPORTED' });
  });
});

test('what the state throws comes through, from however deep a call', async () => {
  const lost = new Error('no proof came');
  const code = `5f54${giveBack}`;
  const state: CallState = {
    account: async () => ({
      nonce: 1n,
      balance: 0n,
      storageRoot: emptyStorageRoot,
      codeHash: toHex(keccak256(fromHex(code))),
    }),
    // A contract that calls another one, and goes on if that fails.
    code: async (address) => fromHex(address === contract ? `5f5f5f5f73${other.slice(2)}5afa${giveBack}` : code),
    slot: async () => {
      throw lost;
    },
  };
  await expect(
    runLocalCall({ chainId: 31337, header: header('prague'), to: contract, data: '0x' }, state),
  ).rejects.toBe(lost);
});
