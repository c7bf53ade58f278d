import { type Address, evictionTreeOf, provesAbsence, roundStatementToJson, zeroBytes32 } from '@cloister/core';
import { silentLogger } from '@cloister/service';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { RoundStatements } from '../src/roundStatements.ts';
import { TestGateway } from './testGateway.ts';

const address = (byte: number): Address => `0x${byte.toString(16).padStart(2, '0').repeat(20)}`;
const evicted = [address(0x22), address(0x44)];
const signed = (round: bigint, signers: readonly Address[] = evicted) => ({
  round,
  time: round * 30n,
  block: round * 3n,
  blockHash: zeroBytes32,
  evictionRoot: evictionTreeOf(signers).root,
  signature: `0x${'5a'.repeat(96)}` as const,
});

/** Gatekeepers, of whom a test says what they hold and how they answer. */
let hall: Record<
  string,
  { round: bigint; signers: readonly Address[]; serve?: (path: string) => Response | Promise<never> }
>;
let members: () => Promise<readonly string[]>;
let asked: string[];
let nowMs: number;
let statements: RoundStatements;

beforeEach(() => {
  hall = {};
  for (const name of ['a', 'b', 'c', 'd']) hall[name] = { round: 7n, signers: evicted };
  members = async () => Object.keys(hall).map((name) => `http://${name}`);
  asked = [];
  nowMs = 0;
  statements = new RoundStatements({
    members: () => members(),
    clockMs: () => nowMs,
    log: silentLogger,
    fetch: (async (input: string | URL | Request) => {
      const { hostname, pathname } = new URL(String(input));
      asked.push(`${hostname}${pathname}`);
      const member = hall[hostname];
      if (member === undefined) throw new Error('connection refused');
      if (member.serve !== undefined) return member.serve(pathname);
      return pathname === '/v1/rounds/latest'
        ? Response.json(roundStatementToJson(signed(member.round, member.signers)))
        : Response.json(member.signers);
    }) as typeof fetch,
  });
});

const unavailable = expect.objectContaining({ code: 'statement-unavailable', status: 503 });
const later = (): void => {
  nowMs += 5_000;
};
const change = (names: string, what: Partial<(typeof hall)[string]>): void => {
  for (const name of names) Object.assign(hall[name] as object, what);
};

describe('a signer’s statement', () => {
  test('is the newest that gatekeepers give, with the proof that it was not evicted', async () => {
    const { statement, absence } = await statements.for(address(0x33));
    expect(statement).toEqual(signed(7n));
    expect(absence && provesAbsence(statement.evictionRoot, address(0x33), absence)).toBe(true);
  });

  test('has no such proof where it was', async () => {
    expect((await statements.for(address(0x44))).absence).toBeNull();
  });

  test('is fetched once for all who ask, and anew after a while; the list of signers only where it has changed', async () => {
    await Promise.all([address(0x33), address(0x55)].map((signer) => statements.for(signer)));
    expect(asked.filter((path) => path === 'a/v1/rounds/latest')).toHaveLength(1);
    expect(asked.filter((path) => path.endsWith('/evicted'))).toEqual(['a/v1/rounds/7/evicted']);
    change('abcd', { round: 8n });
    expect((await statements.for(address(0x33))).statement.round).toBe(7n);
    later();
    expect((await statements.for(address(0x33))).statement.round).toBe(8n);
    expect(asked.filter((path) => path.endsWith('/evicted'))).toHaveLength(1);
    change('abcd', { round: 9n, signers: [address(0x33)] });
    later();
    expect((await statements.for(address(0x33))).absence).toBeNull();
  });
});

describe('gatekeepers that lie, lag or are away', () => {
  test('outvote nobody: what most of them give is served, and the newer of two that as many give', async () => {
    change('a', { round: 1_000n, signers: [] });
    expect((await statements.for(address(0x33))).statement).toEqual(signed(7n));
    change('a', { round: 7n, signers: evicted });
    change('cd', { round: 8n });
    later();
    expect((await statements.for(address(0x33))).statement.round).toBe(8n);
  });

  test.each<[string, (path: string) => Response | Promise<never>]>([
    ['fails', () => new Response('no', { status: 500 })],
    ['is away', () => Promise.reject(new Error('connection refused'))],
    ['serves no JSON', () => new Response('{')],
    ['serves another thing', () => Response.json({ round: '7' })],
    ['serves too much', () => new Response('x'.repeat(5_000))],
  ])('cost nothing: one that %s', async (_, serve) => {
    change('a', { serve });
    expect((await statements.for(address(0x33))).statement).toEqual(signed(7n));
    later();
    change('bcd', { serve });
    expect((await statements.for(address(0x33))).statement, 'what was held is served on').toEqual(signed(7n));
  });

  test('can’t pass off another list of signers: the next one is asked, or the next statement is taken', async () => {
    const honest = (path: string) =>
      Response.json(path.endsWith('latest') ? roundStatementToJson(signed(7n)) : evicted);
    const lies: unknown[] = [[], [address(0x22)], ['no address'], { evicted }, [address(0)]];
    for (const lie of lies) {
      change('a', { serve: (path) => (path.endsWith('evicted') ? Response.json(lie) : honest(path)) });
      expect((await statements.for(address(0x44))).absence).toBeNull();
    }
    change('abc', {
      serve: (path) => Response.json(path.endsWith('latest') ? roundStatementToJson(signed(9n, [])) : [1]),
    });
    later();
    expect((await statements.for(address(0x33))).statement.round, 'three with a list that is none').toBe(7n);
  });

  test('all of them: there is no statement, and a gateway says so; and there is one as soon as they are back', async () => {
    const serve = () => new Response('no', { status: 503 });
    change('abcd', { serve });
    await expect(statements.for(address(0x33))).rejects.toEqual(unavailable);
    for (const name of 'abcd') delete (hall[name] as { serve?: unknown }).serve;
    await expect(statements.for(address(0x33)), 'nobody is asked at once again').rejects.toEqual(unavailable);
    later();
    expect((await statements.for(address(0x33))).statement).toEqual(signed(7n));
  });
});

describe('while the chain can’t be read', () => {
  test('the gatekeepers that were read last are asked', async () => {
    await statements.for(address(0x33));
    members = () => Promise.reject(new Error('the chain is away'));
    nowMs += 120_000;
    change('abcd', { round: 9n });
    expect((await statements.for(address(0x33))).statement.round).toBe(9n);
  });

  test('from the start, there is none until it can', async () => {
    const read = members;
    members = () => Promise.reject(new Error('the chain is away'));
    await expect(statements.for(address(0x33))).rejects.toEqual(unavailable);
    members = read;
    later();
    expect((await statements.for(address(0x33))).statement).toEqual(signed(7n));
  });
});

describe('GET /v1/statements/SIGNER', () => {
  let gateway: TestGateway;
  afterEach(() => gateway.stop());

  test('answers as asked, and names what it can’t', async () => {
    gateway = await new TestGateway().start();
    const get = async (path: string) => {
      const response = await fetch(`${gateway.url}/v1/statements/${path}`);
      return [response.status, ((await response.json()) as { code?: string }).code];
    };
    expect(await get(address(0x33))).toEqual([503, 'statement-unavailable']);
    for (const path of ['0x33', address(0), address(0xff), 'x', `${address(0x33)}00`])
      expect(await get(path), path).toEqual([400, 'bad-request']);
    expect(await get(`${address(0x33)}/more`)).toEqual([404, 'not-found']);
    expect((await fetch(`${gateway.url}/v1/statements/${address(0x33)}`, { method: 'POST' })).status).toBe(405);
  });
});
