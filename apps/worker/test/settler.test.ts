import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { type Address, type Bytes32, type Channel, pairsHash, settlementStatementDigest } from '@cloister/core';
import { addressOf, fromHex, generateSecp256k1, recoverAddress, signDigest } from '@cloister/crypto';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { Claims } from '../src/payments/claims.ts';
import type { KnownChannel } from '../src/payments/paymentDesk.ts';
import { SettlementJournal } from '../src/payments/settlementJournal.ts';
import { Settler } from '../src/payments/settler.ts';
import { maxStatementPairs, type SignedStatement, signStatements } from '../src/payments/statements.ts';

const address = (byte: string): Address => `0x${byte.repeat(20)}`;
const idOf = (n: number): Bytes32 => `0x${n.toString(16).padStart(64, '0')}`;
const domain = { chainId: 31337, registry: address('04') };
const contracts = { payments: address('d1'), registry: domain.registry };
const parties: Channel = {
  payer: address('01'),
  payerKey: address('02'),
  operator: address('03'),
  gateway: address('05'),
  salt: idOf(0),
};
const signature = `0x${'ab'.repeat(65)}` as const;
const quiet = { info: () => {}, warn: () => {}, error: () => {}, debug: () => {} } as never;

/** A Payments in memory, as far as a settler sees it. */
class StubPayments {
  readonly deposited = new Map<Bytes32, bigint>();
  readonly withdrawing = new Set<Bytes32>();
  readonly vouchers = new Map<Bytes32, bigint>();
  readonly totals = new Map<string, bigint>();
  readonly evicted = new Set<Address>();
  readonly anchored: Bytes32[] = [];
  /** Evictions are in block 5. */
  anchoredIn = 4n;
  readonly asked: string[] = [];
  refuse: string | undefined;

  earned(id: Bytes32): bigint {
    return [...this.totals].reduce((sum, [key, total]) => (key.startsWith(id) ? sum + total : sum), 0n);
  }

  claimed(id: Bytes32): bigint {
    const all = [this.deposited.get(id) ?? 0n, this.vouchers.get(id) ?? 0n, this.earned(id)];
    return all.reduce((least, one) => (one < least ? one : least));
  }

  readonly reader = {
    view: { latest: { number: 9n }, finalized: async () => ({ number: 9n }) },
    channel: async (id: Bytes32) => ({
      deposited: this.deposited.get(id) ?? 0n,
      voucher: this.vouchers.get(id) ?? 0n,
      earned: this.earned(id),
      claimed: this.claimed(id),
      withdrawableAt: this.withdrawing.has(id) ? 1n : 0n,
    }),
    anchoredAt: async (root: Bytes32) => (this.anchored.includes(root) ? this.anchoredIn : 0n),
    totalOf: async (id: Bytes32, signer: Address) => this.totals.get(`${id} ${signer}`) ?? 0n,
  } as never;
  readonly registry = { evictionBlockOf: async (signer: Address) => (this.evicted.has(signer) ? 5n : 0n) };

  readonly claims = {
    byStatements: async (
      channels: readonly { id: Bytes32; voucher: { maxClaimableAmount: bigint } }[],
      statements: readonly SignedStatement[],
    ) => {
      this.#try('statements');
      for (const { signer } of statements) if (this.evicted.has(signer)) throw new Error('PaymentsSignerEvicted');
      this.#count(channels, statements);
    },
    byAnchored: async (
      channels: readonly { id: Bytes32; voucher: { maxClaimableAmount: bigint } }[],
      { root, statements }: { root: Bytes32; statements: readonly SignedStatement[] },
    ) => {
      this.#try('anchored');
      if (!this.anchored.includes(root)) throw new Error('AnchorsRootUnknown');
      this.#count(channels, statements);
    },
    byReceipts: async () => this.#try('receipts'),
    anchor: async () => {
      this.#try('anchor');
      const root = idOf(0x1000 + this.anchored.length);
      this.anchored.push(root);
      return root;
    },
    distribute: async () => this.#try('distribute'),
    collect: async () => this.#try('collect'),
  } as unknown as Claims;

  #try(what: string): void {
    this.asked.push(what);
    if (this.refuse === what) throw new Error(`no ${what}`);
  }

  #count(
    channels: readonly { id: Bytes32; voucher: { maxClaimableAmount: bigint } }[],
    statements: readonly SignedStatement[],
  ): void {
    for (const { id, voucher } of channels)
      if (voucher.maxClaimableAmount > (this.vouchers.get(id) ?? 0n)) this.vouchers.set(id, voucher.maxClaimableAmount);
    for (const { signer, pairs } of statements)
      for (const { channel, cumulative } of pairs) {
        const known = this.totals.get(`${channel} ${signer}`) ?? 0n;
        if (cumulative > known) this.totals.set(`${channel} ${signer}`, cumulative);
      }
  }
}

let folder: string;
let chain: StubPayments;
const stops: (() => Promise<void>)[] = [];
beforeEach(async () => {
  folder = await mkdtemp(path.join(tmpdir(), 'cloister-settler-'));
  chain = new StubPayments();
});
afterEach(async () => {
  for (const stop of stops.splice(0)) await stop();
  await rm(folder, { recursive: true, force: true });
});

/** One worker's life: its signer, what it earned, and the settler of it. */
async function life(init: { collectAtLeast?: bigint; anchorMs?: number } = {}) {
  const secret = generateSecp256k1();
  const channels = new Map<Bytes32, KnownChannel>();
  const totals = new Map<Bytes32, bigint>();
  const journal = new SettlementJournal(path.join(folder, 'settlements.json'), contracts);
  const settler = new Settler(
    {
      domain,
      signer: addressOf(secret),
      sign: (digest) => signDigest(secret, digest),
      channels: () => channels.values(),
      totals: () => [...totals].map(([channel, cumulative]) => ({ channel, cumulative })),
      reader: chain.reader,
      registry: chain.registry,
      journal,
      claims: chain.claims,
      log: quiet,
    },
    { collectAtLeast: init.collectAtLeast ?? 100n, keepMs: 10, anchorMs: init.anchorMs ?? 1_000_000, watchMs: 30 },
  );
  const abort = new AbortController();
  await settler.start(abort.signal);
  stops.push(async () => abort.abort());
  return {
    signer: addressOf(secret),
    journal,
    earn(id: Bytes32, total: bigint, voucher: bigint, deposit = 1_000n) {
      chain.deposited.set(id, deposit);
      channels.set(id, {
        id,
        parties,
        voucher: { maxClaimableAmount: voucher, signature },
        others: new Map(),
        receipts: new Map(),
      });
      totals.set(id, total);
    },
    async stop(signal = new AbortController().signal) {
      abort.abort();
      await settler.stop(signal);
    },
    kill: async () => abort.abort(),
  };
}

async function soon(what: () => boolean | Promise<boolean>): Promise<void> {
  for (let tries = 0; tries < 400; tries++) {
    if (await what()) return;
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
  throw new Error('It did not come to pass');
}
const [one, two] = [idOf(1), idOf(2)];
const written = async () =>
  JSON.parse(await readFile(path.join(folder, 'settlements.json'), 'utf8')) as {
    statements: unknown[];
    channels: { id: string }[];
  };

describe('what was earned', () => {
  test('is claimed once it is worth the gas, and not before', async () => {
    const worker = await life();
    worker.earn(one, 99n, 200n);
    await soon(async () => (await written().catch(() => ({ statements: [] }))).statements.length === 1);
    await new Promise((resolve) => setTimeout(resolve, 80));
    expect(chain.claimed(one)).toBe(0n);
    worker.earn(two, 1n, 1n);
    await soon(() => chain.claimed(one) === 99n && chain.claimed(two) === 1n);
  });

  test('is claimed at once where the payer asks for its money back', async () => {
    const worker = await life();
    worker.earn(one, 5n, 10n);
    worker.earn(two, 5n, 10n);
    chain.withdrawing.add(two);
    await soon(() => chain.claimed(two) === 5n);
    expect(chain.claimed(one)).toBe(0n);
  });

  test('is claimed at the end', async () => {
    const worker = await life();
    worker.earn(one, 5n, 10n);
    await worker.stop();
    expect(chain.claimed(one)).toBe(5n);
    expect(chain.asked).toEqual(['statements', 'distribute', 'collect']);
  });

  test('beyond voucher or deposit is not claimed in vain', async () => {
    const worker = await life({ collectAtLeast: 1n });
    worker.earn(one, 50n, 20n);
    worker.earn(two, 50n, 50n, 10n);
    await soon(() => chain.claimed(one) === 20n && chain.claimed(two) === 10n);
    const claims = chain.asked.length;
    await new Promise((resolve) => setTimeout(resolve, 100));
    expect(chain.asked.length).toBe(claims);
    worker.earn(one, 50n, 45n);
    await soon(() => chain.claimed(one) === 45n);
  });

  test('is claimed later where the chain does not take it now', async () => {
    const worker = await life({ collectAtLeast: 1n });
    chain.refuse = 'statements';
    worker.earn(one, 50n, 50n);
    await soon(() => chain.asked.includes('statements'));
    chain.refuse = undefined;
    await soon(() => chain.claimed(one) === 50n);
  });
});

describe('a worker that is killed', () => {
  test('has its earnings claimed by the next, from the journal', async () => {
    const first = await life();
    first.earn(one, 60n, 70n);
    await soon(async () => (await written().catch(() => ({ statements: [] }))).statements.length === 1);
    await first.kill();
    const second = await life();
    second.earn(two, 40n, 50n);
    await soon(() => chain.claimed(one) === 60n && chain.claimed(two) === 40n);
    // Once the final chain has seen them, the earlier signer's are forgotten.
    await soon(async () => (await written()).statements.length === 1);
    await soon(async () => (await written()).channels.map(({ id }) => id).join() === two);
  });

  test('and was evicted is paid what was anchored before', async () => {
    const first = await life({ anchorMs: 1 });
    first.earn(one, 60n, 70n);
    await soon(() => chain.anchored.length === 1);
    await soon(
      async () =>
        (JSON.parse(await readFile(path.join(folder, 'settlements.json'), 'utf8')) as { anchored: unknown[] }).anchored
          .length === 1,
    );
    await first.kill();
    chain.evicted.add(first.signer);
    const second = await life({ collectAtLeast: 10n });
    await soon(() => chain.claimed(one) === 60n);
    expect(chain.asked).toContain('anchored');
    expect(chain.asked).not.toContain('statements');
    await second.kill();
  });
});

describe('a signer that was evicted', () => {
  test('while its worker runs is paid what was anchored before, at once', async () => {
    const worker = await life({ anchorMs: 1, collectAtLeast: 10n });
    chain.refuse = 'statements';
    worker.earn(one, 60n, 70n);
    await soon(() => chain.anchored.length === 1 && chain.asked.includes('statements'));
    chain.evicted.add(worker.signer);
    await soon(() => chain.claimed(one) === 60n);
  });

  test('and had anchored too late costs no transaction in vain, and holds up nobody else', async () => {
    const first = await life({ anchorMs: 1 });
    first.earn(one, 60n, 70n);
    await soon(() => chain.anchored.length === 1);
    await new Promise((resolve) => setTimeout(resolve, 50));
    await first.kill();
    chain.evicted.add(first.signer);
    chain.anchoredIn = 5n;
    const second = await life({ collectAtLeast: 10n });
    second.earn(two, 40n, 50n);
    await soon(() => chain.claimed(two) === 40n);
    const made = chain.asked.length;
    await new Promise((resolve) => setTimeout(resolve, 120));
    expect(chain.asked.length).toBe(made);
    expect(chain.claimed(one)).toBe(0n);
    expect(chain.asked).not.toContain('anchored');
  });
});

describe('the journal', () => {
  const journal = () => new SettlementJournal(path.join(folder, 'settlements.json'), contracts);

  test('of another network is refused, and left as it is', async () => {
    await journal().write({ channels: [], statements: [], receipts: [], anchored: [] });
    const other = new SettlementJournal(path.join(folder, 'settlements.json'), {
      ...contracts,
      payments: address('d9'),
    });
    await expect(other.read()).rejects.toMatchObject({ code: 'SETTLEMENTS_OF_ANOTHER_NETWORK' });
  });

  test.each(['', '{', '{}', 'null', '{"format":"cloister-settlements-1"}'])(
    'that holds %j is refused',
    async (text) => {
      await writeFile(path.join(folder, 'settlements.json'), text);
      await expect(journal().read()).rejects.toMatchObject({ code: 'SETTLEMENTS_MALFORMED' });
      expect(await readFile(path.join(folder, 'settlements.json'), 'utf8')).toBe(text);
    },
  );
});

describe('statements', () => {
  test('are over ascending channels, without zeros, each of a bounded number', () => {
    const secret = generateSecp256k1();
    const signer = addressOf(secret);
    const totals = Array.from({ length: maxStatementPairs + 2 }, (_, n) => ({
      channel: idOf(1_000 - n),
      cumulative: BigInt(n),
    }));
    const statements = signStatements({ domain, signer, sign: (digest) => signDigest(secret, digest) }, totals, 7n);
    expect(statements.map(({ pairs }) => pairs.length)).toEqual([maxStatementPairs, 1]);
    for (const { pairs, block, signature: made } of statements) {
      const digest = settlementStatementDigest(domain, { pairsHash: pairsHash(pairs), block });
      expect(recoverAddress(fromHex(digest), fromHex(made))).toBe(signer);
    }
  });
});
