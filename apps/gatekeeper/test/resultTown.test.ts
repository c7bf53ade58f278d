import type { EvidenceDocument } from '@cloister/attestation/verify';
import type { CommitteeMember } from '@cloister/chain';
import {
  type AttestationResult,
  attestationResultDigest,
  attestationResultEvidence,
  CloisterError,
  committeeProof,
  type Hex,
  parseSignedAttestationResult,
  signedAttestationResultToJson,
  teeTypes,
} from '@cloister/core';
import { CommitteeChainEvidence } from '@cloister/enclave';
import { silentLogger } from '@cloister/service';
import { beforeEach, describe, expect, test } from 'vitest';
import { ResultRules } from '../src/results/resultRules.ts';
import { domain, makePeople, type Person } from './ceremonyRoom.ts';
import { b32, factsOf, nitroEvidence, now, serviceOf, simulatedNetwork, snpEvidence } from './resultWorld.ts';

const signal = () => AbortSignal.timeout(15_000);
const threshold = 3;

/** What a member's answer becomes on its way; `undefined`: it answers nothing. */
type Way = (answer: () => Promise<Response>, person: Person) => Promise<Response>;

/** Four members whose clocks and chains are not quite the same, and a worker that asks them. */
type Town = {
  readonly people: readonly Person[];
  readonly ways: Map<number, Way>;
  readonly asked: string[];
  of(document: EvidenceDocument): Promise<{ readonly teeType: number; readonly evidence: Hex }>;
};

let town: Town;
let registers: boolean;
let generation: bigint;

beforeEach(async () => {
  registers = true;
  generation = 3n;
  const people = await makePeople(4);
  const ways = new Map<number, Way>();
  const asked: string[] = [];
  const members = people.map(
    ({ signer, hpkeKey }, index): CommitteeMember => ({
      operator: `0x${String(index + 1).padStart(40, '0')}`,
      signer,
      hpkeKey,
      endpoint: `http://member-${index}`,
    }),
  );
  const services = people.map((person, index) =>
    serviceOf(person, factsOf({ time: BigInt(now + index * 7), block: 110n + BigInt(index) })),
  );
  const fetch = (async (input, init) => {
    const url = String(input);
    asked.push(url);
    const index = Number(/^http:\/\/member-(\d)\/v1\/attestations$/.exec(url)?.[1]);
    const [person, service] = [people[index], services[index]];
    if (person === undefined || service === undefined) throw new Error(`Nobody is at ${url}`);
    const answer = () =>
      service.answer(JSON.parse(String(init?.body)), signal()).then(
        (json) => Response.json(json),
        ({ code, message }: CloisterError) => Response.json({ code, message }, { status: 403 }),
      );
    return (ways.get(index) ?? ((good) => good()))(answer, person);
  }) as typeof globalThis.fetch;
  const chainEvidence = new CommitteeChainEvidence({
    registry: {
      view: {} as never,
      teePolicy: async () => (registers ? { verifier: b32(0).slice(0, 42) as Hex } : undefined),
    },
    committee: {
      view: { head: async () => ({ number: 120n }) } as never,
      status: async () => ({ generation: { number: generation, threshold, members } }) as never,
    },
    domain,
    log: silentLogger,
    fetch,
  });
  town = { people, ways, asked, of: (document) => chainEvidence.of(document as never, signal()) };
});

/** What the contract would be given if the members with these indices signed the true result. */
async function evidenceBy(document: EvidenceDocument, indices: readonly number[]): Promise<Hex> {
  const result = await new ResultRules(simulatedNetwork).judge(document, factsOf(), signal());
  const digest = attestationResultDigest(domain, result);
  const signatures = new Map(
    indices.map((index) => {
      const { signer, sign } = town.people[index] as Person;
      return [signer, sign(digest)] as const;
    }),
  );
  const signers = town.people.map(({ signer }) => signer);
  return attestationResultEvidence(result, committeeProof(signers, threshold, signatures) ?? '0x');
}

const away: Way = () => Promise.reject(new Error('connection refused'));
/** Never answers, and is cut off when nobody waits any more. */
const silent: Way = () => new Promise(() => {});
/** Says something else, and signs it. */
const lying =
  (change: Partial<AttestationResult>): Way =>
  async (answer, { sign }) => {
    const { signature: _, ...result } = parseSignedAttestationResult(await (await answer()).json());
    const other = { ...result, ...change };
    const signature = sign(attestationResultDigest(domain, other));
    return Response.json(signedAttestationResultToJson({ ...other, signature }));
  };
const says =
  (body: BodyInit, init?: ResponseInit): Way =>
  async () =>
    new Response(body, init);

describe('a worker gets the committee’s word', () => {
  test.each([
    ['an SNP guest', () => snpEvidence(), 'sev-snp'],
    ['a Nitro enclave', () => nitroEvidence(), 'nitro'],
  ] as const)('for %s, by equal results of the first three members that answer', async (_, document, teeType) => {
    const evidence = document();
    town.ways.set(3, silent);
    expect(await town.of(evidence)).toEqual({
      teeType: teeTypes[teeType],
      evidence: await evidenceBy(evidence, [0, 1, 2]),
    });
    expect(town.asked).toHaveLength(4);
  });

  test.each<[string, Way]>([
    ['is away', away],
    ['never answers', silent],
    ['gives another end', lying({ validUntil: 4_000_000_000n })],
    ['names another image', lying({ imageId: b32(0x66) })],
    ['says that it is real', lying({ simulated: false })],
    ['judges it as of another type', lying({ teeType: 4 })],
    ['answers what is no JSON', says('no')],
    ['answers something else', says('{}')],
    ['answers without end', says('x'.repeat(100_000))],
    ['refuses', says(JSON.stringify({ code: 'DEBUG_REFUSED', message: 'It is not' }), { status: 403 })],
    ['sends it elsewhere', () => Promise.reject(new TypeError('redirect'))],
  ])('though one member %s', async (_, way) => {
    const document = snpEvidence();
    town.ways.set(1, way);
    expect((await town.of(document)).evidence).toBe(await evidenceBy(document, [0, 2, 3]));
  });

  test('though a member shows another one’s signature as its own', async () => {
    const document = snpEvidence();
    const copied = town.people[0] as Person;
    town.ways.set(1, async (answer) => {
      const { signature: _, ...result } = parseSignedAttestationResult(await (await answer()).json());
      const signature = copied.sign(attestationResultDigest(domain, result));
      return Response.json(signedAttestationResultToJson({ ...result, signature }));
    });
    expect((await town.of(document)).evidence).toBe(await evidenceBy(document, [0, 2, 3]));
  });
});

describe('there is none', () => {
  test('where one member lies and another is away: two of three needed say the same', async () => {
    town.ways.set(0, lying({ validUntil: 4_000_000_000n }));
    town.ways.set(1, away);
    await expect(town.of(snpEvidence())).rejects.toMatchObject({
      code: 'RESULT_UNAVAILABLE',
      retry: true,
      message: expect.stringContaining('Of "3" gatekeepers needed, "2" say the same'),
    });
  });

  test('where two lie, each in its own way, or both in the same', async () => {
    town.ways.set(0, lying({ validUntil: 1n }));
    town.ways.set(1, lying({ validUntil: 2n }));
    await expect(town.of(snpEvidence())).rejects.toMatchObject({ code: 'RESULT_UNAVAILABLE' });
    town.ways.set(1, lying({ validUntil: 1n }));
    await expect(town.of(snpEvidence())).rejects.toMatchObject({ code: 'RESULT_UNAVAILABLE' });
  });

  test.each([
    ['debug', 'DEBUG_REFUSED', () => snpEvidence({ edit: (report) => report.set([0x0b], 0x0a) })],
    ['a revoked chip', 'REVOKED', () => snpEvidence({ crl: { revoked: [Uint8Array.of(0)] } })],
  ] as const)('for %s, with the members’ reason', async (_, reason, document) => {
    await expect(town.of(document())).rejects.toMatchObject({
      code: 'RESULT_REFUSED',
      retry: false,
      meta: { codes: Array(4).fill(reason) },
    });
  });

  test('for good only where so many refuse that the others are too few', async () => {
    const refuses = says(JSON.stringify({ code: 'DEBUG_REFUSED', message: 'no' }), { status: 403 });
    town.ways.set(0, refuses);
    town.ways.set(1, says(JSON.stringify({ code: 'CHAIN_SPLIT', message: 'wait' }), { status: 503 }));
    await expect(town.of(snpEvidence())).rejects.toMatchObject({ code: 'RESULT_UNAVAILABLE' });
    town.ways.set(1, refuses);
    await expect(town.of(snpEvidence())).rejects.toMatchObject({ code: 'RESULT_REFUSED' });
  });

  test('before there is a committee, and where the registry takes no such evidence; nobody is asked', async () => {
    generation = 0n;
    await expect(town.of(snpEvidence())).rejects.toMatchObject({ code: 'COMMITTEE_ABSENT', retry: true });
    registers = false;
    await expect(town.of(snpEvidence())).rejects.toMatchObject({ code: 'CHAIN_EVIDENCE_UNSUPPORTED' });
    expect(town.asked).toEqual([]);
  });

  test('once whoever waits for it gives up', async () => {
    for (const index of [0, 1, 2, 3]) town.ways.set(index, silent);
    const ended = new AbortController();
    const waiting = new CommitteeChainEvidence({
      registry: { view: {} as never, teePolicy: async () => ({ verifier: '0x' }) },
      committee: {
        view: { head: async () => ({ number: 1n }) } as never,
        status: async () => ({ generation: { number: 1n, threshold: 1, members: [{ operator: '0x01' }] } }) as never,
      },
      domain,
      log: silentLogger,
      fetch: () => {
        ended.abort();
        return new Promise(() => {});
      },
    }).of(snpEvidence(), ended.signal);
    await expect(waiting).rejects.toBeInstanceOf(CloisterError);
  });
});
