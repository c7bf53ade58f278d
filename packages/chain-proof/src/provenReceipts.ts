import type { Hex } from '@cloister/core';
import { concatBytes, equalBytes, fromHex, toHex } from '@cloister/crypto';
import type { Header } from './header.ts';
import { ProofError } from './proofError.ts';
import { encodeRlp, integerBytes } from './rlp.ts';
import { listTrieRoot } from './trieRoot.ts';

/** An event as a receipt has it. */
export type ReceiptLog = {
  /** In lower case. */
  readonly address: Hex;
  readonly topics: readonly Hex[];
  readonly data: Hex;
};

/** OP-stack deposits: their receipts end in two more fields since the Canyon upgrade. */
const depositType = 0x7e;
const maxReceipts = 65_536;
const maxTopics = 4;

/**
 * All events of a block in their order, as an RPC tells its receipts (the answer of eth_getBlockReceipts), proven by the header: they
 * give its receipts root, whatever else the RPC says of them. Throws CHAIN_RECEIPTS_INVALID.
 */
export function provenLogs(told: unknown, header: Header): readonly ReceiptLog[] {
  if (!Array.isArray(told) || told.length > maxReceipts) throw invalid(header, 'there is no list of them');
  const logs: ReceiptLog[] = [];
  const encoded = told.map((receipt) => {
    const ofReceipt = new ReceiptReader(receipt, header);
    logs.push(...ofReceipt.logs);
    return ofReceipt.encoded();
  });
  if (!equalBytes(listTrieRoot(encoded), fromHex(header.receiptsRoot)))
    throw invalid(header, 'they do not give its receipts root');
  return logs;
}

/** One receipt (Yellow Paper 4.4.1; EIP-658, EIP-2718). */
class ReceiptReader {
  readonly #json: Readonly<Record<string, unknown>>;
  readonly #header: Header;
  readonly logs: readonly ReceiptLog[];

  constructor(receipt: unknown, header: Header) {
    this.#header = header;
    this.#json = this.#object(receipt);
    const { logs } = this.#json;
    if (!Array.isArray(logs)) throw invalid(header, 'one has no events');
    this.logs = logs.map((log) => this.#log(log));
  }

  encoded(): Uint8Array {
    const type = this.#integer('type');
    if (type > 0x7fn) throw invalid(this.#header, `one has the type "${type}"`);
    const logs = this.logs.map(({ address, topics, data }) => [fromHex(address), topics.map(fromHex), fromHex(data)]);
    const fields = [
      integerBytes(this.#integer('status')),
      integerBytes(this.#integer('cumulativeGasUsed')),
      this.#bytes(this.#json.logsBloom, 256),
      logs,
    ];
    const isDeposit = type === BigInt(depositType) && this.#json.depositReceiptVersion !== undefined;
    if (isDeposit)
      for (const name of ['depositNonce', 'depositReceiptVersion']) fields.push(integerBytes(this.#integer(name)));
    const body = encodeRlp(fields);
    return type === 0n ? body : concatBytes(Uint8Array.of(Number(type)), body);
  }

  #log(log: unknown): ReceiptLog {
    const { address, topics, data } = this.#object(log);
    if (!Array.isArray(topics) || topics.length > maxTopics) throw invalid(this.#header, 'an event has no topics');
    return {
      address: toHex(this.#bytes(address, 20)),
      topics: topics.map((topic) => toHex(this.#bytes(topic, 32))),
      data: toHex(this.#bytes(data)),
    };
  }

  #integer(name: string): bigint {
    const value = this.#json[name];
    if (typeof value !== 'string' || !/^0x[0-9a-f]{1,16}$/i.test(value))
      throw invalid(this.#header, `"${name}" of one is no number`);
    return BigInt(value);
  }

  #bytes(value: unknown, length?: number): Uint8Array {
    const isHex = typeof value === 'string' && /^0x([0-9a-f]{2})*$/i.test(value);
    if (!isHex || (length !== undefined && value.length !== 2 + 2 * length))
      throw invalid(this.#header, 'a field of one is malformed');
    return fromHex(value as Hex);
  }

  #object(value: unknown): Readonly<Record<string, unknown>> {
    if (typeof value !== 'object' || value === null) throw invalid(this.#header, 'one is no object');
    return value as Readonly<Record<string, unknown>>;
  }
}

function invalid({ number, hash }: Header, why: string): ProofError {
  const message = `The receipts told of block "${number}" are not its own: ${why}`;
  return new ProofError('CHAIN_RECEIPTS_INVALID', message, { number, hash });
}
