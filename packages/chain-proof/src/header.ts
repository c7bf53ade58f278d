import type { Hex } from '@cloister/core';
import { fromHex, keccak256, toHex } from '@cloister/crypto';
import { ProofError } from './proofError.ts';
import { encodeRlp, integerBytes } from './rlp.ts';

/** The forks that a header's fields tell apart. Osaka brings none: it reads as prague. */
export type HeaderFork = 'london' | 'shanghai' | 'cancun' | 'prague';

/** A block's header, as far as a read needs it; every field follows from the block's hash. */
export type Header = {
  readonly hash: Hex;
  readonly parentHash: Hex;
  readonly number: bigint;
  /** Unix seconds. */
  readonly timestamp: bigint;
  readonly stateRoot: Hex;
  readonly receiptsRoot: Hex;
  readonly logsBloom: Hex;
  readonly coinbase: Hex;
  readonly prevRandao: Hex;
  readonly difficulty: bigint;
  readonly gasLimit: bigint;
  readonly baseFeePerGas: bigint;
  readonly fork: HeaderFork;
};

type Field = { readonly name: string; readonly bytes: number | 'integer' | 'any' };

/** All fields in the header's order (Yellow Paper 4.4.3), with what later forks added at its end. */
const londonFields: readonly Field[] = [
  { name: 'parentHash', bytes: 32 },
  { name: 'sha3Uncles', bytes: 32 },
  { name: 'miner', bytes: 20 },
  { name: 'stateRoot', bytes: 32 },
  { name: 'transactionsRoot', bytes: 32 },
  { name: 'receiptsRoot', bytes: 32 },
  { name: 'logsBloom', bytes: 256 },
  { name: 'difficulty', bytes: 'integer' },
  { name: 'number', bytes: 'integer' },
  { name: 'gasLimit', bytes: 'integer' },
  { name: 'gasUsed', bytes: 'integer' },
  { name: 'timestamp', bytes: 'integer' },
  { name: 'extraData', bytes: 'any' },
  { name: 'mixHash', bytes: 32 },
  { name: 'nonce', bytes: 8 },
  // EIP-1559
  { name: 'baseFeePerGas', bytes: 'integer' },
];
const laterForks: readonly { readonly fork: HeaderFork; readonly fields: readonly Field[] }[] = [
  // EIP-4895
  { fork: 'shanghai', fields: [{ name: 'withdrawalsRoot', bytes: 32 }] },
  {
    // EIP-4844, EIP-4788
    fork: 'cancun',
    fields: [
      { name: 'blobGasUsed', bytes: 'integer' },
      { name: 'excessBlobGas', bytes: 'integer' },
      { name: 'parentBeaconBlockRoot', bytes: 32 },
    ],
  },
  // EIP-7685
  { fork: 'prague', fields: [{ name: 'requestsHash', bytes: 32 }] },
];
/** Fields of forks to come, which this reader does not know the place of. */
const unknownFields = ['blockAccessListHash', 'balHash', 'slotNumber'];
const maxExtraBytes = 32_768;

/**
 * The header of a block as an RPC tells it (the answer of eth_getBlockByHash), proven by the block's hash: keccak256 over the RLP
 * of all its fields. Throws CHAIN_HEADER_INVALID, and CHAIN_FORK_UNKNOWN for headers of forks before London and after Prague.
 */
export function provenHeader(told: unknown, hash: Hex): Header {
  if (typeof told !== 'object' || told === null) throw invalid(hash, 'it is no object');
  const json = told as Readonly<Record<string, unknown>>;
  const strange = unknownFields.find((name) => has(json, name));
  if (strange !== undefined || !has(json, 'baseFeePerGas'))
    throw new ProofError('CHAIN_FORK_UNKNOWN', `The header of block "${hash}" is of a fork that is not known here`, {
      hash,
      field: strange ?? 'baseFeePerGas',
    });
  const fields = [...londonFields];
  let fork: HeaderFork = 'london';
  for (const later of laterForks) {
    if (!later.fields.some(({ name }) => has(json, name))) break;
    fields.push(...later.fields);
    fork = later.fork;
  }
  const values = new Map(fields.map((field) => [field.name, fieldBytes(json[field.name], field, hash)]));
  const found = toHex(keccak256(encodeRlp([...values.values()])));
  if (found !== hash) throw invalid(hash, `its fields give "${found}"`);
  const hex = (name: string) => toHex(values.get(name) as Uint8Array);
  const integer = (name: string) =>
    (values.get(name) as Uint8Array).reduce((sum, byte) => (sum << 8n) | BigInt(byte), 0n);
  return {
    hash,
    parentHash: hex('parentHash'),
    number: integer('number'),
    timestamp: integer('timestamp'),
    stateRoot: hex('stateRoot'),
    receiptsRoot: hex('receiptsRoot'),
    logsBloom: hex('logsBloom'),
    coinbase: hex('miner'),
    prevRandao: hex('mixHash'),
    difficulty: integer('difficulty'),
    gasLimit: integer('gasLimit'),
    baseFeePerGas: integer('baseFeePerGas'),
    fork,
  };
}

function has(json: Readonly<Record<string, unknown>>, name: string): boolean {
  return json[name] !== undefined && json[name] !== null;
}

function fieldBytes(value: unknown, { name, bytes }: Field, hash: Hex): Uint8Array {
  if (typeof value !== 'string') throw invalid(hash, `"${name}" is missing`);
  if (bytes === 'integer') {
    if (!/^0x[0-9a-f]{1,64}$/i.test(value)) throw invalid(hash, `"${name}" is no number`);
    return integerBytes(BigInt(value));
  }
  const digits = value.length - 2;
  const isRight = bytes === 'any' ? digits % 2 === 0 && digits <= maxExtraBytes * 2 : digits === bytes * 2;
  if (!isRight || !/^0x[0-9a-f]*$/i.test(value)) throw invalid(hash, `"${name}" has another length`);
  return fromHex(value as Hex);
}

function invalid(hash: Hex, why: string): ProofError {
  return new ProofError('CHAIN_HEADER_INVALID', `The header told of block "${hash}" is not its own: ${why}`, { hash });
}
