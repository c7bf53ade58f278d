import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import {
  CollateralError,
  type CollateralSourceInit,
  collateralQueryOf,
  collateralSource,
  fileFetcher,
  publishedFetcher,
} from '../../src/attest/index.ts';
import { mintCollateral } from '../../src/unsafe-simulated/index.ts';
import type { Collateral } from '../../src/verify/index.ts';
import { fixture, fixtureJson, hasFixtures } from '../fixtures.ts';
import {
  codeOf,
  collateralAt,
  countingFetcher,
  gate,
  never,
  now,
  otherPlatform,
  quoteOver,
  root,
} from './attestWorld.ts';

const quote = quoteOver(new Uint8Array(64));
const otherQuote = quoteOver(new Uint8Array(64), {}, otherPlatform);
const good = collateralAt();
const away = new CollateralError({ code: 'COLLATERAL_UNAVAILABLE', message: 'The service is away' });
const day = 86_400;

/** A source whose clock and answer the test moves. */
function world(init: Partial<CollateralSourceInit> = {}) {
  const state = { time: now, answer: (): Collateral | Promise<Collateral> => good };
  const fetcher = countingFetcher(() => state.answer());
  const source = collateralSource({ fetchers: [fetcher], roots: [root.trustRoot], now: () => state.time, ...init });
  return { state, fetcher, get: (of = quote, signal = never) => source.collateralFor(of, { signal }) };
}

describe('what is remembered', () => {
  test('is used while it is fresh', async () => {
    const { state, fetcher, get } = world();
    expect(await get()).toEqual(good);
    state.time += 3599;
    expect(await get()).toEqual(good);
    expect(fetcher.asked).toBe(1);
    state.time += 1;
    await get();
    expect(fetcher.asked).toBe(2);
  });

  test('is used while the service is away, as long as it holds and no longer', async () => {
    const { state, get } = world();
    await get();
    state.answer = () => Promise.reject(away);
    state.time = now - 3600 + 30 * day;
    expect(await get()).toEqual(good);
    state.time += 1;
    expect(await codeOf(get())).toBe('COLLATERAL_UNAVAILABLE');
  });

  test('is used while the service lies, as long as it holds', async () => {
    const { state, get } = world();
    await get();
    state.time += 2 * 3600;
    state.answer = () => ({ ...good, tcb_info: good.tcb_info.replace('UpToDate', 'UpToDatE') });
    expect(await get()).toEqual(good);
    state.time += 40 * day;
    expect(await codeOf(get())).toBe('SIGNATURE_INVALID');
  });

  test('gives way to newer, never to older', async () => {
    const { state, get } = world();
    await get();
    state.time += 2 * 3600;
    state.answer = () => collateralAt(now - 7200);
    expect(await get()).toEqual(good);
    const newer = collateralAt(now + 3600);
    state.time += 2 * 3600;
    state.answer = () => newer;
    expect(await get()).toEqual(newer);
  });

  test('is not used by a clock that went back before it was fetched', async () => {
    const { state, fetcher, get } = world();
    await get();
    state.time -= 1;
    await get();
    expect(fetcher.asked).toBe(2);
  });

  test('is bounded: the platform asked for longest ago is forgotten', async () => {
    const { state, fetcher, get } = world({ maxRemembered: 1 });
    const other = mintCollateral(root, {
      issuedAt: now - 3600,
      editTcbInfo: (info) => ({ ...info, fmspc: 'DE5109090909' }),
    });
    await get();
    state.answer = () => other;
    expect(await get(otherQuote)).toEqual(other);
    state.answer = () => good;
    await get();
    expect(fetcher.asked).toBe(3);
  });

  test('is never what does not hold', async () => {
    const { state, fetcher, get } = world();
    state.answer = () => collateralAt(now - 40 * day);
    expect(await codeOf(get())).toBe('EXPIRED');
    state.answer = () => good;
    expect(await get()).toEqual(good);
    expect(fetcher.asked).toBe(2);
  });
});

describe('asking', () => {
  test('many at once ask once', async () => {
    const held = gate();
    const { state, fetcher, get } = world();
    state.answer = () => held.opened.then(() => good);
    const all = Promise.all([get(), get(), get()]);
    held.open();
    expect(await all).toEqual([good, good, good]);
    expect(fetcher.asked).toBe(1);
  });

  test('one that gives up does not take it from the others', async () => {
    const held = gate();
    const { state, get } = world();
    state.answer = () => held.opened.then(() => good);
    const controller = new AbortController();
    const reason = new Error('enough');
    const impatient = expect(get(quote, controller.signal)).rejects.toBe(reason);
    const patient = get();
    controller.abort(reason);
    await impatient;
    held.open();
    expect(await patient).toEqual(good);
    await expect(get(quote, AbortSignal.abort(reason))).rejects.toBe(reason);
  });

  test('a fetcher that never answers is given up on', async () => {
    const { state, get } = world({ timeoutMs: 5 });
    state.answer = () => new Promise(() => undefined);
    expect(await codeOf(get())).toBe('DEVICE_TIMEOUT');
  });

  test('the next is asked where the first fails or lies', async () => {
    const lying = countingFetcher(() => collateralAt(now - 40 * day));
    const missing = countingFetcher(() => Promise.reject(away));
    const honest = countingFetcher(() => good);
    const { get } = world({ fetchers: [missing, lying, honest] });
    expect(await get()).toEqual(good);
    expect([missing.asked, lying.asked, honest.asked]).toEqual([1, 1, 1]);
  });

  test('all reasons are told where none helps, and that nobody was named', async () => {
    const lying = countingFetcher(() => collateralAt(now - 40 * day));
    const missing = countingFetcher(() => Promise.reject(away));
    const error: unknown = await world({ fetchers: [missing, lying] })
      .get()
      .catch((thrown: unknown) => thrown);
    expect(error).toMatchObject({
      code: 'COLLATERAL_UNAVAILABLE',
      message: 'Found collateral of the platform "de5100000000" nowhere (asked "test", "test")',
      cause: { errors: [away, expect.objectContaining({ code: 'EXPIRED' })] },
    });
    expect(await codeOf(world({ fetchers: [] }).get())).toBe('COLLATERAL_UNAVAILABLE');
  });
});

describe('from files', () => {
  let folder = '';
  const other = mintCollateral(root, {
    issuedAt: now - 3600,
    editTcbInfo: (info) => ({ ...info, fmspc: 'DE5109090909' }),
  });
  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'cloister-collateral-'));
    await writeFile(join(folder, 'a.json'), JSON.stringify(other));
    await writeFile(join(folder, 'b.json'), JSON.stringify(good));
    await writeFile(join(folder, 'note.txt'), 'no collateral');
  });
  afterAll(() => rm(folder, { recursive: true, force: true }));
  const from = (path: string) => world({ fetchers: [fileFetcher(join(folder, path))] });

  test('one file, or the right one of a folder', async () => {
    expect(await from('b.json').get()).toEqual(good);
    expect(await from('').get()).toEqual(good);
    expect(await from('').get(otherQuote)).toEqual(other);
  });

  test("a single file of another platform is refused by what doesn't fit", async () => {
    expect(await codeOf(from('a.json').get())).toBe('COLLATERAL_MISMATCH');
  });

  test('a folder without the right one says so', async () => {
    await mkdir(join(folder, 'others'));
    await writeFile(join(folder, 'others', 'a.json'), JSON.stringify(other));
    await writeFile(join(folder, 'others', 'a2.json'), JSON.stringify(other));
    expect(await codeOf(from('others').get())).toBe('COLLATERAL_UNKNOWN_PLATFORM');
  });

  test.each([
    ['nothing there', undefined, 'COLLATERAL_FILE_UNREADABLE'],
    ['no JSON', '{', 'MALFORMED_JSON'],
    ['no UTF-8', Buffer.from([0xff]), 'COLLATERAL_FILE_UNREADABLE'],
    ['a part missing', JSON.stringify({ ...good, pck_crl: undefined }), 'COLLATERAL_MISSING'],
    ['more than collateral', JSON.stringify({ ...good, more: 1 }), 'MALFORMED_COLLATERAL'],
    ['too much', ' '.repeat(5 * 1024 * 1024), 'COLLATERAL_FILE_UNREADABLE'],
  ])('%s is refused by name', async (name, text, code) => {
    const file = `${name.replaceAll(' ', '-')}.file`;
    if (text !== undefined) await writeFile(join(folder, file), text);
    expect(await codeOf(from(file).get())).toBe(code);
  });

  test.runIf(hasFixtures)('real evidence: collateral of its quote, and of no other', async () => {
    const real = 'dcap/tdx-v4-b0c06f';
    await writeFile(join(folder, 'real.file'), fixture(`${real}/collateral.json`));
    const { intelSgxRoot } = await import('../../src/verify/index.ts');
    const source = collateralSource({
      fetchers: [fileFetcher(join(folder, 'real.file'))],
      roots: [intelSgxRoot],
      now: () => 1_750_414_563,
    });
    const held = await source.collateralFor(fixture(`${real}/quote.bin`), { signal: never });
    expect(held.tcb_info).toBe(fixtureJson<Collateral>(`${real}/collateral.json`).tcb_info);
    const foreign = fixture('dcap/tdx-v5-90c06f-outdated/quote.bin');
    expect(await codeOf(source.collateralFor(foreign, { signal: never }))).toBe('COLLATERAL_MISMATCH');
    expect(collateralQueryOf(fixture(`${real}/quote.bin`))).toEqual({
      teeType: 'tdx',
      fmspc: 'b0c06f000000',
      ca: 'platform',
    });
  });
});

describe('what was published', () => {
  test('is verified like everything else', async () => {
    const seen: unknown[] = [];
    const { get } = world({
      fetchers: [
        publishedFetcher('the chain', async (query) => {
          seen.push(query);
          return good;
        }),
      ],
    });
    expect(await get()).toEqual(good);
    expect(seen).toEqual([collateralQueryOf(quote)]);
  });

  test('or is not there, or cannot be read', async () => {
    expect(await codeOf(world({ fetchers: [publishedFetcher('the chain', async () => undefined)] }).get())).toBe(
      'COLLATERAL_UNKNOWN_PLATFORM',
    );
    const broken = publishedFetcher('the chain', () => Promise.reject(new Error('no RPC answers')));
    await expect(world({ fetchers: [broken] }).get()).rejects.toMatchObject({
      code: 'COLLATERAL_UNAVAILABLE',
      message: 'Could not read collateral from "the chain": no RPC answers',
    });
  });
});
