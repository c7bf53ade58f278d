import { type Bytes32, freePrice, type Json, type Receipt, type SignedReceipt, zeroBytes32 } from '@cloister/core';
import { generateSecp256k1, toHex } from '@cloister/crypto';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import {
  createClient,
  type Equivocation,
  EquivocationError,
  equivocationFromJson,
  equivocationOf,
  equivocationToJson,
  type FoundEquivocation,
  type KeptEvidence,
  memoryPayerStore,
  type ReceiptStore,
  ReceiptWatch,
  type ReceiptWatchInit,
  receiptsIn,
} from '../src/index.ts';
import { Payer } from '../src/payments/payer.ts';
import { address, bytes32, SimulatedNetwork, type StubWorker, sealedResponse } from './simulatedNetwork.ts';

let network: SimulatedNetwork;
let worker: StubWorker;
let app: Bytes32;
let told: FoundEquivocation[];

beforeEach(async () => {
  network = await SimulatedNetwork.start();
  worker = await network.addWorker();
  app = network.addApp().app;
  told = [];
});
afterEach(() => network.stop());

const watch = (init: ReceiptWatchInit = {}) =>
  new ReceiptWatch({ onEquivocation: (found) => void told.push(found), ...init });
const client = (receipts = watch()) => createClient({ network: network.file, fetch: network.gateway.fetch, receipts });
/** From now on the worker signs every receipt for one place. */
const equivocate = () => {
  worker.editReceipt = (receipt) => ({ ...receipt, sequence: 1n });
};
const equivocation = { code: 'RECEIPT_EQUIVOCATION', retry: false };

/** A store as a disk is one: what was kept is there for the next process. */
class Disk implements ReceiptStore {
  receipts: unknown[] = [];
  readonly evidence: KeptEvidence[] = [];
  isFull = false;
  load = async () => ({ receipts: [...this.receipts], evidence: [...this.evidence] });
  keep = async (receipt: Json) => void this.receipts.push(JSON.parse(JSON.stringify(receipt)));
  keepEvidence = async (json: Json) => {
    if (this.isFull) throw new Error('disk full');
    this.evidence.push({ json: JSON.parse(JSON.stringify(json)), keptAt: `disk ${this.evidence.length}` });
    return `disk ${this.evidence.length - 1}`;
  };
}

describe('a worker that signs two receipts for one place', () => {
  test('is caught by the second call, which gives out no answer and holds the evidence', async () => {
    equivocate();
    const one = client();
    const first = await one.call(app);
    const error = await one.call(app).then(
      () => expect.fail('it was answered'),
      (thrown: unknown) => thrown,
    );
    expect(error).toBeInstanceOf(EquivocationError);
    expect(error).toMatchObject({ ...equivocation, meta: { signer: worker.receiptSigner, sequence: 1n } });
    const { equivocation: found } = error as EquivocationError;
    expect(found).toMatchObject({ signer: worker.receiptSigner, domain: network.domain });
    expect(found.receipts[0]).toEqual({ receipt: first.receipt.receipt, signature: first.receipt.signature });
    expect(found.receipts[1].receipt).toMatchObject({ sequence: 1n, channel: zeroBytes32 });
    expect(told.map(({ equivocation: one }) => one)).toEqual([found]);
  });

  test('is asked nothing more', async () => {
    equivocate();
    const one = client();
    await one.call(app);
    await expect(one.call(app)).rejects.toMatchObject(equivocation);
    const { runs } = worker;
    await expect(one.call(app)).rejects.toMatchObject({
      code: 'CALL_NO_WORKER',
      message: expect.stringContaining('it has signed two different receipts'),
    });
    expect(worker.runs).toBe(runs);
    expect(told).toHaveLength(1);
    // Another worker is none the worse for it.
    const other = await network.addWorker(address(0x0c));
    expect((await one.call(app)).worker.workerId).toBe(other.workerId);
  });

  test('breaks a streamed answer off before its end', async () => {
    equivocate();
    const fetch = client().fetchFor(app);
    expect(await (await fetch('http://app/')).text()).toBe('answer');
    await expect((await fetch('http://app/')).text()).rejects.toMatchObject(equivocation);
  });

  test('is noticed by a receipt that is refused for something else', async () => {
    const one = client();
    await one.call(app);
    worker.editReceipt = (receipt) => ({ ...receipt, sequence: 1n, context: bytes32(9) });
    await expect(one.call(app)).rejects.toMatchObject({ code: 'RECEIPT_REFUSED', meta: { step: 'receipt-context' } });
    expect(told).toHaveLength(1);
  });

  test('is noticed by clients that share what they see, and by none that has forgotten', async () => {
    equivocate();
    const shared = watch();
    await client(shared).call(app);
    await expect(client(shared).call(app)).rejects.toMatchObject(equivocation);
    const forgetful = client(watch({ maxReceipts: 1 }));
    await forgetful.call(app);
    worker.editReceipt = (receipt) => receipt;
    await forgetful.call(app);
    equivocate();
    await forgetful.call(app);
    expect(told).toHaveLength(1);
  });
});

describe('a worker that does not, is not accused', () => {
  test('of the answer that it kept, whose receipt comes twice', async () => {
    const one = client();
    network.gateway.faults.push(async (to, bytes) => sealedResponse((await to.serve(bytes)).slice(0, -1)));
    await one.call(app);
    await one.call(app);
    expect(told).toEqual([]);
  });

  test('of a receipt that another key has signed', async () => {
    const one = client();
    await one.call(app);
    equivocate();
    worker.editSigned = ({ receipt, details }) => worker.sign(receipt, details, generateSecp256k1());
    await expect(one.call(app)).rejects.toMatchObject({ meta: { step: 'receipt-signature' } });
    expect(told).toEqual([]);
  });

  test('of what a store holds that it never signed', async () => {
    const disk = new Disk();
    await client(watch({ store: disk })).call(app);
    const [kept] = disk.receipts as [{ receipt: object; signature: string }];
    const forged = { ...kept, receipt: { ...kept.receipt, sequence: '2' } };
    disk.receipts = ['half a li', { ...kept, more: 1 }, forged, 7];
    disk.evidence.push({ json: { ...forgedEvidence(kept) }, keptAt: 'somewhere' });
    const later = client(watch({ store: disk }));
    await later.call(app);
    await later.call(app);
    expect(told).toEqual([]);
  });

  function forgedEvidence(kept: { receipt: object; signature: string }): object {
    const [one, two] = ['1', '2'].map((time) => ({ receipt: { ...kept.receipt, time }, signature: kept.signature }));
    return { format: 'cloister-equivocation-1', ...network.domain, signer: worker.receiptSigner, receipts: [one, two] };
  }
});

describe('what outlives the process', () => {
  test('is read before anything is sent, and again where that failed', async () => {
    const disk = new Disk();
    const load = vi.spyOn(disk, 'load').mockRejectedValueOnce(new Error('disk away'));
    const one = client(watch({ store: disk }));
    await expect(one.call(app)).rejects.toThrow('disk away');
    expect(worker.runs).toBe(0);
    for (const _ of [1, 2]) await one.call(app);
    expect(load).toHaveBeenCalledTimes(2);
  });

  test('receipts, and the evidence: the next process calls the worker no more', async () => {
    equivocate();
    const disk = new Disk();
    await client(watch({ store: disk })).call(app);
    await expect(client(watch({ store: disk })).call(app)).rejects.toMatchObject({
      ...equivocation,
      meta: { evidence: 'disk 0' },
      hint: expect.stringContaining('"cloister slashes report disk 0"'),
    });
    expect(equivocationFromJson(disk.evidence[0]?.json).signer).toBe(worker.receiptSigner);
    disk.receipts = [];
    worker.editReceipt = (receipt) => receipt;
    const { runs } = worker;
    await expect(client(watch({ store: disk })).call(app)).rejects.toMatchObject({ code: 'CALL_NO_WORKER' });
    expect([worker.runs, disk.evidence.length]).toEqual([runs, 1]);
    expect(told).toHaveLength(1);
  });

  test('the evidence is in the error where it can not be kept', async () => {
    equivocate();
    const disk = new Disk();
    disk.isFull = true;
    const one = client(watch({ store: disk }));
    await one.call(app);
    await expect(one.call(app)).rejects.toMatchObject({
      ...equivocation,
      equivocation: { signer: worker.receiptSigner },
      keptAt: undefined,
      cause: { message: 'disk full' },
    });
  });

  test('the last receipt of each channel that pays, in the payer’s own store', async () => {
    const payer = address(0x77);
    const key = toHex(new Uint8Array(32).fill(0x5a));
    const domain = { chainId: network.file.chainId, payments: network.file.contracts.payments };
    const channelOf = { operator: worker.operator, gateway: address(0) };
    const { id } = new Payer(
      { payments: domain, reader: { channel: () => Promise.reject() } },
      { payer, key },
    ).channelFor(channelOf);
    network.registries.channels.set(id, { deposited: 1_000n });
    const paid = network.addApp({ name: 'paid', price: { ...freePrice, perCall: '10' } }).app;
    worker.run = () => ({ metering: { wallMs: 5, cpuMs: 2, outputKiB: 1, peakMemoryMiB: 40 } });
    let total = 0n;
    worker.editReceipt = (receipt) => {
      total += 10n;
      return { ...receipt, channel: id, sequence: 1n, fee: 10n, cumulativeFee: total };
    };
    const store = memoryPayerStore();
    const { network: file, gateway } = { network: network.file, gateway: network.gateway };
    const open = () =>
      createClient({ network: file, fetch: gateway.fetch, payer: { payer, key, store }, receipts: watch() });
    await open().call(paid, {}, { maxFee: 10n });
    const later = open();
    await expect(later.call(paid, {}, { maxFee: 10n })).rejects.toMatchObject(equivocation);
    // What the second cost is counted: its receipt can be claimed with.
    expect((await later.payments.history()).map(({ fee }) => fee)).toEqual([10n, 10n]);
    expect(told).toHaveLength(1);
  });
});

describe('two receipts', () => {
  const base: Receipt = {
    ...{ app: bytes32(1), manifest: bytes32(2), keyVersion: 1n, epoch: 5n, channel: zeroBytes32, sequence: 3n },
    ...{ context: zeroBytes32, requestHash: bytes32(3), inputCommitment: bytes32(4), outputCommitment: bytes32(5) },
    ...{ status: 0, fee: 0n, cumulativeFee: 0n, blockNumber: 2n, blockHash: bytes32(6), time: 7n },
    detailsHash: bytes32(7),
  };
  const signed = (changes: Partial<Receipt> = {}, signer = worker.signer): SignedReceipt =>
    worker.sign({ ...base, ...changes }, { kind: 'function' }, signer);
  const shown = (receipt: SignedReceipt) => receiptsIn(JSON.parse(JSON.stringify(toJson(receipt))))[0] ?? expect.fail();
  const toJson = (receipt: SignedReceipt) => ({
    ...receipt,
    receipt: Object.fromEntries(
      Object.entries(receipt.receipt).map(([name, value]) => [name, typeof value === 'bigint' ? `${value}` : value]),
    ),
  });
  const codeOf = (first: SignedReceipt, second: SignedReceipt) => {
    try {
      equivocationOf(shown(first), shown(second));
      return 'equivocation';
    } catch (error) {
      return (error as { code?: unknown }).code;
    }
  };

  test('of one place prove it, by any word in which they differ', () => {
    for (const changes of [{ time: 8n }, { app: bytes32(9) }, { fee: 1n }, { outputCommitment: bytes32(9) }])
      expect(codeOf(signed(), signed(changes))).toBe('equivocation');
  });

  test('that don’t, say why', () => {
    const [one, other] = [signed(), signed({ time: 8n })];
    expect(codeOf(one, one)).toBe('EQUIVOCATION_SAME_RECEIPT');
    expect(codeOf(one, signed({ sequence: 4n }))).toBe('EQUIVOCATION_OTHER_PLACE');
    expect(codeOf(one, signed({ channel: bytes32(8) }))).toBe('EQUIVOCATION_OTHER_PLACE');
    expect(codeOf(one, signed({ time: 8n }, generateSecp256k1()))).toBe('EQUIVOCATION_SIGNERS_DIFFER');
    expect(codeOf(one, { ...other, signature: `0x${'11'.repeat(65)}` })).toBe('EQUIVOCATION_SIGNATURE_INVALID');
    expect(codeOf({ ...one, signature: `0x${'11'.repeat(65)}` }, other)).toBe('EQUIVOCATION_SIGNATURE_INVALID');
    expect(codeOf(one, { ...other, chainId: 1 })).toBe('EQUIVOCATION_OTHER_NETWORK');
    expect(codeOf(one, { ...other, registry: address(9) })).toBe('EQUIVOCATION_OTHER_NETWORK');
    // Changed after it was signed: some other key's signature, which is nobody's.
    const changed = { ...other, receipt: { ...other.receipt, fee: 1n } };
    expect(codeOf(one, changed)).toMatch(/^EQUIVOCATION_SIGN(ERS_DIFFER|ATURE_INVALID)$/);
  });

  test('are a file without what the details say, which is checked again when it is read', () => {
    const found = equivocationOf(shown(signed()), shown(signed({ time: 8n })));
    const json = JSON.parse(JSON.stringify(equivocationToJson(found))) as { receipts: { signature: string }[] };
    expect(equivocationFromJson(json)).toEqual(found satisfies Equivocation);
    expect(receiptsIn(json)).toHaveLength(2);
    expect(JSON.stringify(json)).not.toContain('function');
    const [one] = json.receipts;
    expect(() => equivocationFromJson({ ...json, receipts: [one, one] })).toThrow(/same receipt/);
    expect(() => equivocationFromJson({ ...json, receipts: [one] })).toThrow();
    expect(() => equivocationFromJson(toJson(signed()))).toThrow(/one receipt/);
  });

  test.each([
    ['nothing', null],
    ['a settlement statement', { pairsHash: bytes32(1), block: '7', signature: `0x${'11'.repeat(65)}` }],
    ['another format', { format: 'cloister-worker-1' }],
  ])('are not in %s', (_, json) => {
    expect(() => receiptsIn(json)).toThrow(expect.objectContaining({ code: 'EQUIVOCATION_FILE_OTHER' }));
  });

  test('are in proofs, one each', async () => {
    const one = client();
    const [proof] = receiptsIn(one.proof(await one.call(app), { answer: true }));
    expect(proof).toMatchObject({ domain: network.domain, bare: { receipt: { sequence: 1n } } });
  });
});
