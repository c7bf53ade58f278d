import { toBase64 } from '@cloister/attestation/verify';
import { announcementToJson, type Json, receiptStatuses, signedReceiptToJson, zeroBytes32 } from '@cloister/core';
import { fromHex, generateSecp256k1, toBase64Url, utf8 } from '@cloister/crypto';
import { type CallResult, type CloisterClient, createClient, type ProofFile } from '@cloister/sdk';
import { afterAll, beforeEach, describe, expect, test } from 'vitest';
import { address, bytes32, image, SimulatedNetwork, type StubWorker } from './simulatedNetwork.ts';

let network: SimulatedNetwork;
let worker: StubWorker;
let app: `0x${string}`;
let client: CloisterClient;
let result: CallResult;
let proof: ProofFile;
let stop = async (): Promise<void> => {};

// One network for all tests; one that changes it says so, and the next test gets a new one.
let spoilt = true;
const spoil = () => {
  spoilt = true;
};
beforeEach(async () => {
  if (!spoilt) return;
  spoilt = false;
  await stop();
  network = await SimulatedNetwork.start();
  stop = () => network.stop();
  worker = await network.addWorker();
  app = network.addApp().app;
  client = createClient({ network: network.file, fetch: network.gateway.fetch });
  result = await client.call(app, {}, { context: bytes32(0x77) });
  proof = throughFile(client.proof(result, { answer: true }));
});
afterAll(() => stop());

/** As it is after it was written and read. */
const throughFile = (written: ProofFile): ProofFile => JSON.parse(JSON.stringify(written));

const order = [
  ...['network', 'receipt-block', 'evidence', 'policy', 'image', 'network-file', 'binding', 'block'],
  ...['receipt-signature', 'registered', 'app', 'context', 'details', 'manifest', 'output', 'outcome', 'only-receipt'],
];

/** Where verification stops; everything before it held. */
async function stopsAt(changed: unknown, options: Parameters<CloisterClient['verify']>[1] = {}): Promise<string> {
  const verified = await client.verify(changed, options);
  if (verified.ok) return 'nowhere';
  const last = verified.steps.at(-1);
  expect(last?.ok).toBe(false);
  expect(verified.steps.slice(0, -1).every(({ ok }) => ok)).toBe(true);
  expect(verified.outcome).toBe('unproven');
  return last?.id ?? '';
}

/** The proof with one member of its receipt, worker or whatever changed, by path. */
function edited(path: string, value: unknown): ProofFile {
  const copy = throughFile(proof);
  const names = path.split('.');
  const last = names.pop() ?? '';
  const place = names.reduce<Record<string, unknown>>(
    (at, name) => at[name] as Record<string, unknown>,
    copy as unknown as Record<string, unknown>,
  );
  expect(Object.keys(place)).toContain(last);
  place[last] = value;
  return copy;
}

/** A proof around a receipt that the worker really signed, but otherwise. */
function resigned(changes: Partial<CallResult['receipt']['receipt']>, signer = worker.signer): ProofFile {
  const { receipt, details } = result.receipt;
  return { ...proof, receipt: signedReceiptToJson(worker.sign({ ...receipt, ...changes }, details, signer)) };
}

const withWorker = (changes: object): ProofFile => ({
  ...proof,
  worker: announcementToJson({ ...worker.announcement, ...changes }),
});

describe('a proof', () => {
  test('survives its file, and every step of it holds', async () => {
    const verified = await client.verify(proof, { app, context: bytes32(0x77) });
    expect(verified).toMatchObject({ ok: true, outcome: 'ok', simulated: true });
    expect(verified.steps.map(({ id }) => id)).toEqual(order);
    expect(verified.steps.find(({ id }) => id === 'manifest')?.detail).toContain('function "sample"');
    const registered = verified.steps.find(({ id }) => id === 'registered');
    expect(registered?.detail).toContain('evidence checked by the chain itself');
  });

  test('can be given away without the answer', async () => {
    const closed = throughFile(client.proof(result, { answer: false }));
    expect(closed.opened).toBeNull();
    expect(JSON.stringify(closed)).not.toContain(result.attempt.outputSalt);
    expect(JSON.stringify(closed)).not.toContain(toBase64Url(result.body));
    const verified = await client.verify(closed);
    expect(verified.ok).toBe(true);
    expect(verified.steps.map(({ id }) => id)).toEqual(order.filter((id) => id !== 'output'));
  });

  test('never holds the question, nor the salt that opens its commitment', () => {
    expect(JSON.stringify(proof)).not.toContain(result.attempt.inputSalt);
  });

  test('of a failure is a proof too', async () => {
    spoil();
    worker.run = () => ({ status: 500, outcome: 'app-error' });
    const failed = await client.call(app);
    expect(await client.verify(client.proof(failed, { answer: true }))).toMatchObject({
      ok: true,
      outcome: 'app-error',
    });
    worker.run = () => ({ status: 422, outcome: 'refused', manifest: zeroBytes32 });
    const refused = await client.verify(client.proof(await client.call(app), { answer: false }));
    expect(refused).toMatchObject({ ok: true, outcome: 'refused' });
    expect(refused.steps.find(({ id }) => id === 'manifest')?.title).toContain('no code of the app');
  });

  test('outlives the lease and the signer, not an eviction', async () => {
    spoil();
    const { registries } = network;
    const registered = registries.workers.get(worker.workerId) ?? expect.fail();
    registries.freeze(result.receipt.receipt.blockNumber);
    registered.leaseUntil = 1n;
    expect(await stopsAt(proof)).toBe('nowhere');
    registered.receiptSigner = address(0x66);
    expect(await stopsAt(proof)).toBe('nowhere');
    // The worker may register anew after an eviction: the signer that was evicted stays so.
    registries.evictionBlocks.set(worker.receiptSigner, 3n);
    expect(await stopsAt(proof)).toBe('registered');
  });

  test('is no worse for a manifest that no gateway has any more', async () => {
    spoil();
    network.gateway.blobs.clear();
    const verified = await client.verify(proof);
    expect(verified.ok).toBe(true);
    expect(verified.steps.find(({ id }) => id === 'manifest')?.detail).toContain('no gateway has its text');
  });
});

describe('one part that was changed stops the verification at its step', () => {
  const cases: readonly [string, string, () => unknown | Promise<unknown>][] = [
    ['network', 'the network', () => edited('network', bytes32(1))],
    ['evidence', 'the quote', () => edited('worker.evidence.quote', toBase64(new Uint8Array(700)))],
    ['evidence', 'evidence of another root', async () => withWorker({ evidence: await foreignEvidence() })],
    [
      'policy',
      'evidence of a TD under debug',
      () => withWorker({ evidence: worker.evidence({ quote: { tdAttributes: fromHex('0100001000000000') } }) }),
    ],
    [
      'image',
      'evidence of another image',
      () => withWorker({ evidence: worker.evidence({ image: { ...image, rtmr1: new Uint8Array(48) } }) }),
    ],
    [
      'network-file',
      'evidence of another network file',
      () => withWorker({ evidence: worker.evidence({ mrConfigId: new Uint8Array(48) }) }),
    ],
    ['binding', 'the operator', () => edited('worker.operator', address(0x66))],
    ['binding', 'the receipt signer', () => edited('worker.receiptSigner', address(0x66))],
    ['block', 'the attested block', () => edited('worker.attestedBlock', '3')],
    ['block', 'an attested block that does not exist', () => edited('worker.attestedBlock', '99999999999')],
    ['registered', 'the worker', () => ({ ...resignedAs(bytes32(0x31)) })],
    ['receipt-signature', 'the worker beside the receipt', () => edited('receipt.workerId', bytes32(0x31))],
    ['receipt-signature', 'the chain beside the receipt', () => edited('receipt.chainId', 1)],
    ['receipt-signature', 'the registry beside the receipt', () => edited('receipt.registry', address(0x31))],
    ['receipt-signature', 'the signature', () => edited('receipt.signature', `0x${'11'.repeat(65)}`)],
    ['receipt-signature', 'the signer', () => resigned({}, generateSecp256k1())],
    ['receipt-block', 'the block in the receipt', () => resigned({ blockHash: bytes32(0x31) })],
    ['receipt-block', 'a block in the receipt that does not exist', () => resigned({ blockNumber: 99_999_999n })],
    ['details', 'the details', () => edited('receipt.details', { kind: 'function', httpStatus: 201 })],
    ['manifest', 'an answer of the worker itself that says "ok"', () => resigned({ manifest: zeroBytes32 })],
    ['output', 'the answer', () => edited('opened.answer', toBase64Url(utf8('another answer')))],
    ['output', 'the salt', () => edited('opened.outputSalt', bytes32(0x31))],
    ['outcome', 'a status nobody knows', () => resigned({ status: 9 })],
    [
      'only-receipt',
      'another receipt for the place of one that this client has seen',
      () => {
        spoil();
        return resigned({ time: 31n });
      },
    ],
  ];

  test.each(cases)('%s: %s', async (step, _, change) => {
    expect(await stopsAt(await change())).toBe(step);
  });

  test.each([
    ...['app', 'manifest', 'context', 'requestHash', 'inputCommitment', 'outputCommitment', 'detailsHash', 'channel'],
  ])('receipt-signature: field %s of the receipt', async (field) => {
    expect(await stopsAt(edited(`receipt.receipt.${field}`, bytes32(0x31)))).toBe('receipt-signature');
  });

  test.each(['keyVersion', 'epoch', 'sequence', 'fee', 'cumulativeFee'])(
    'receipt-signature: number %s of the receipt',
    async (field) => {
      expect(await stopsAt(edited(`receipt.receipt.${field}`, '31'))).toBe('receipt-signature');
    },
  );

  test('receipt-signature: the status of the receipt', async () => {
    expect(await stopsAt(edited('receipt.receipt.status', receiptStatuses.refused))).toBe('receipt-signature');
  });

  test('the time that the receipt claims decides nothing; it is signed all the same', async () => {
    expect(await stopsAt(resigned({ time: 31n, sequence: 31n }))).toBe('nowhere');
    expect(await stopsAt(edited('receipt.receipt.time', '31'))).toBe('receipt-signature');
  });

  test.each([
    ['blockHash', bytes32(0x31)],
    ['blockNumber', '31'],
  ])('receipt-block: %s of the receipt', async (field, value) => {
    expect(await stopsAt(edited(`receipt.receipt.${field}`, value))).toBe('receipt-block');
  });

  test('a lease that had ended at the block of the receipt', async () => {
    spoil();
    const registered = network.registries.workers.get(worker.workerId) ?? expect.fail();
    registered.leaseUntil = 1n;
    network.registries.freeze(result.receipt.receipt.blockNumber);
    registered.leaseUntil = 1n << 40n;
    expect(await stopsAt(proof)).toBe('registered');
  });

  test('app and context are the expected ones', async () => {
    expect(await stopsAt(proof, { app: bytes32(1) })).toBe('app');
    expect(await stopsAt(proof, { context: bytes32(1) })).toBe('context');
  });

  test('every step but those of the caller has a case', () => {
    const covered = new Set([...cases.map(([step]) => step), 'app', 'context']);
    expect(order.filter((step) => !covered.has(step))).toEqual([]);
  });

  test('a signer that the chain never knew', async () => {
    spoil();
    network.registries.workers.clear();
    expect(await stopsAt(proof)).toBe('registered');
  });

  async function foreignEvidence(): Promise<Json> {
    const other = await SimulatedNetwork.start();
    try {
      return (await other.addWorker()).announcement.evidence;
    } finally {
      await other.stop();
    }
  }

  /** Receipt and announcement agree on a worker that the chain knows otherwise. */
  function resignedAs(workerId: `0x${string}`): ProofFile {
    const copy = edited('worker.workerId', workerId);
    return { ...copy, receipt: { ...(copy.receipt as Record<string, Json>), workerId } };
  }
});

describe('what is no proof', () => {
  test.each<[string, () => unknown]>([
    ['nothing', () => null],
    ['a text', () => 'proof'],
    ['another format', () => ({ ...proof, format: 'cloister-proof-2' })],
    ['a field more', () => ({ ...proof, more: 1 })],
    ['no network', () => ({ ...proof, network: 'x' })],
    ['an opening that is none', () => ({ ...proof, opened: 'x' })],
    ['an opening without a salt', () => ({ ...proof, opened: { answer: 'AA' } })],
    ['an answer that is no base64url', () => edited('opened.answer', '+/==')],
    ['an answer that is no text', () => edited('opened.answer', 5)],
    ['no opening at all', () => ({ ...proof, opened: undefined })],
  ])('%s', async (_, change) => {
    await expect(client.verify(change())).rejects.toMatchObject({ code: 'PROOF_MALFORMED' });
  });

  test.each<[string, () => unknown]>([
    ['a receipt with a field more', () => ({ ...proof, receipt: { ...(proof.receipt as object), more: 1 } })],
    ['a receipt without a signature', () => edited('receipt.signature', '0x')],
    ['a number that is too large', () => edited('receipt.receipt.sequence', (1n << 64n).toString())],
    ['a worker that is none', () => ({ ...proof, worker: {} })],
  ])('%s', async (_, change) => {
    await expect(client.verify(change())).rejects.toMatchObject({ code: 'SCHEMA_MISMATCH' });
  });

  test('an RPC that is away proves and disproves nothing', async () => {
    spoil();
    network.rpc.intercept = () => {
      throw new Error('away');
    };
    const fresh = createClient({ network: network.file, fetch: network.gateway.fetch });
    await expect(fresh.verify(proof)).rejects.toMatchObject({ code: 'CHAIN_UNREACHABLE', retry: true });
  });
});
