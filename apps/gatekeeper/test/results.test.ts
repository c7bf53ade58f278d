import { evidenceDocument, evidenceJson, serialiseEvidence, sgxEvidenceDocument } from '@cloister/attestation/verify';
import {
  attestationResultDigest,
  nitroImageId,
  parseSignedAttestationResult,
  snpImageId,
  teeTypes,
  zeroBytes32,
} from '@cloister/core';
import { fromHex, keccak256, recoverAddress, toHex } from '@cloister/crypto';
import { beforeAll, describe, expect, test } from 'vitest';
import { fixture, hasFixtures } from '../../../packages/attestation/test/fixtures.ts';
import { cbor, pcr, pcrsOf } from '../../../packages/attestation/test/nitro/syntheticNitro.ts';
import { makeWorld } from '../../../packages/attestation/test/synthetic.ts';
import { ResultRules } from '../src/results/resultRules.ts';
import { domain, makePeople, type Person } from './ceremonyRoom.ts';
import {
  attested,
  b32,
  binding,
  blockHash,
  configId,
  type FactsChanges,
  factsOf,
  nitroEvidence,
  now,
  serviceOf,
  simulatedNetwork,
  snpEvidence,
} from './resultWorld.ts';

const signal = () => AbortSignal.timeout(10_000);
const day = 86_400n;

let people: Person[];
beforeAll(async () => {
  people = await makePeople(2);
});

const judge = (document: Parameters<ResultRules['judge']>[0], facts: FactsChanges = {}) =>
  new ResultRules(simulatedNetwork).judge(document, factsOf(facts), signal());

describe('a result', () => {
  test('of an SNP guest says what the evidence says, and until when', async () => {
    const document = snpEvidence({ crl: { nextUpdate: now + 30 * 86_400 } });
    expect(await judge(document)).toEqual({
      teeType: teeTypes['sev-snp'],
      simulated: true,
      tcbStatus: 1,
      tcbEvaluationDataNumber: 1,
      validUntil: attested.timestamp + day,
      imageId: snpImageId(new Uint8Array(48).fill(0xa1)),
      configId,
      platformId: expect.stringMatching(/^0x[0-9a-f]{32}0{32}$/),
      evidenceHash: toHex(keccak256(serialiseEvidence(document))),
      reportDataHead: binding,
      reportDataTail: blockHash,
    });
  });

  test('ends with its collateral where that ends first', async () => {
    const document = snpEvidence({ crl: { nextUpdate: now + 600 } });
    expect((await judge(document)).validUntil).toBe(BigInt(now + 600));
  });

  test('of a Nitro enclave names no machine, and the network file that the enclave states', async () => {
    const result = await judge(nitroEvidence());
    expect(result).toMatchObject({
      teeType: teeTypes.nitro,
      tcbEvaluationDataNumber: 0,
      imageId: nitroImageId(pcr(0xa0), pcr(0xa1), pcr(0xa2)),
      configId,
      platformId: zeroBytes32,
      reportDataHead: binding,
      reportDataTail: blockHash,
    });
    // A document counts for three hours from its signing on.
    expect(result.validUntil).toBe(BigInt(now + 3 * 3_600));
  });

  test('is the same whenever a member is asked, and whichever block it has seen', async () => {
    for (const document of [snpEvidence(), nitroEvidence()]) {
      const results = await Promise.all(
        [0, 1, 29, 300].map((later) => judge(document, { time: BigInt(now + later), block: 110n + BigInt(later) })),
      );
      for (const result of results) expect(result).toEqual(results[0]);
    }
  });

  test('is another for another certificate, list or report', async () => {
    const one = await judge(snpEvidence());
    const otherList = await judge(snpEvidence({ crl: { thisUpdate: now - 7_200 } }));
    expect(otherList.evidenceHash).not.toBe(one.evidenceHash);
    expect({ ...otherList, evidenceHash: one.evidenceHash }).toEqual(one);
  });
});

describe('evidence gets no result', () => {
  test.each<[string, string, () => Promise<unknown>]>([
    ['of a guest in debug mode', 'DEBUG_REFUSED', () => judge(snpEvidence({ edit: (r) => r.set([0x0b], 0x0a) }))],
    ['of an enclave in debug mode', 'DEBUG_REFUSED', () => judge(nitroEvidence({ pcrs: pcrsOf(zeroPcrs) }))],
    [
      'of a guest that may be moved',
      'ATTRIBUTES_REFUSED',
      () => judge(snpEvidence({ edit: (r) => r.set([0x07], 0x0a) })),
    ],
    ['asked for from a lower level', 'ATTRIBUTES_REFUSED', () => judge(snpEvidence({ edit: (r) => r.set([1], 0x30) }))],
    ['whose chip is on the list', 'REVOKED', () => judge(snpEvidence({ crl: { revoked: [Uint8Array.of(0)] } }))],
    ['with a list that is over', 'EXPIRED', () => judge(snpEvidence({ crl: { nextUpdate: now - 1 } }))],
    ['below another root', 'ROOT_UNTRUSTED', () => judgeBelow()],
    ['that was changed', 'SIGNATURE_INVALID', () => judge(flipped())],
    ['too old', 'TOO_OLD', () => judge(nitroEvidence(), { time: BigInt(now + 3 * 3_600 + 1) })],
    ['of a TD', 'RESULT_TYPE_REFUSED', () => judge(evidenceDocument(world.quote, world.collateral))],
    ['of an enclave of Intel', 'RESULT_TYPE_REFUSED', () => judge(sgxEvidenceDocument(world.quote, world.collateral))],
    ['where the type can’t register', 'RESULT_TYPE_REFUSED', () => judge(snpEvidence(), { policies: {} })],
    ['where newer floors are asked for', 'RESULT_POLICY_UNMET', () => judge(snpEvidence(), { policies: asking(2) })],
    ['where UpToDate is not taken', 'RESULT_POLICY_UNMET', () => judge(snpEvidence(), { policies: asking(1, []) })],
    ['with no report data', 'RESULT_UNBOUND', () => judge(nitroEvidence({ user_data: cbor.null }))],
    ['with no network file', 'RESULT_UNBOUND', () => judge(nitroEvidence({ nonce: cbor.null }))],
    ['that names another chain’s block', 'RESULT_BLOCK_UNKNOWN', () => judge(snpEvidence(), { blocks: {} })],
    ['that names a block of long ago', 'RESULT_BLOCK_UNKNOWN', () => judge(snpEvidence(), { block: 8_292n })],
    ['that names a block to come', 'RESULT_BLOCK_UNKNOWN', () => judge(snpEvidence(), { block: 99n })],
  ])('%s: %s', async (_, code, judged) => {
    await expect(judged()).rejects.toMatchObject({ code });
  });

  test('where the registry asks for just these floors, and the block is just recent enough, it does', async () => {
    expect(await judge(snpEvidence(), { policies: asking(1) })).toMatchObject({ tcbEvaluationDataNumber: 1 });
    expect(await judge(snpEvidence(), { block: 8_291n })).toMatchObject({ reportDataTail: blockHash });
  });

  test('under a list that somebody showed a newer one of, two days later', async () => {
    const rules = new ResultRules(simulatedNetwork);
    const listOf = (thisUpdate: number) => snpEvidence({ crl: { thisUpdate, nextUpdate: now + 30 * 86_400 } });
    const [old, recent] = [listOf(now - 7_200), listOf(now - 3_600)];
    const at = (document: typeof old, seconds: number) =>
      rules.judge(document, factsOf({ time: BigInt(now + seconds) }), signal());
    await at(old, 0);
    await at(recent, 1);
    await at(old, 2 * 86_400 + 1);
    await expect(at(old, 2 * 86_400 + 2)).rejects.toMatchObject({ code: 'RESULT_LIST_SUPERSEDED' });
    await at(recent, 2 * 86_400 + 2);
  });

  test('a network that is not simulated takes no simulated evidence, whoever made it', () => {
    expect(() => new ResultRules({ ...simulatedNetwork, simulated: false })).not.toThrow();
    return expect(
      new ResultRules({ ...simulatedNetwork, simulated: false }).judge(snpEvidence(), factsOf(), signal()),
    ).rejects.toMatchObject({ code: 'SIMULATED_REFUSED' });
  });
});

describe('a member', () => {
  test('signs its result for this chain and registry, in a form that anybody can check', async () => {
    const me = people[0] as Person;
    const json = await serviceOf(me).answer(evidenceJson(snpEvidence()), signal());
    const { signature, ...result } = parseSignedAttestationResult(JSON.parse(JSON.stringify(json)));
    expect(recoverAddress(fromHex(attestationResultDigest(domain, result)), fromHex(signature))).toBe(me.signer);
    expect(result).toEqual(
      await judge(snpEvidence()).then(({ evidenceHash: _, ...rest }) => expect.objectContaining(rest)),
    );
  });

  test('signs nothing that is no evidence', async () => {
    const service = serviceOf(people[0] as Person);
    const good = evidenceJson(snpEvidence());
    const certificates = good.certificates as Record<string, string>;
    const { crl: _, ...withoutList } = good;
    for (const json of [
      null,
      'text',
      [],
      {},
      { ...good, more: 1 },
      { ...good, report: String(good.report).slice(0, -4) },
      { ...good, report: `${good.report}AAAA` },
      { ...good, certificates: { ...certificates, leaf: String(certificates.leaf).slice(0, 400) } },
      { ...good, certificates: { ...certificates, more: 'AA==' } },
      { ...good, crl: '' },
      withoutList,
      { ...good, teeType: 'nitro' },
      evidenceJson(nitroEvidence({ pcrs: undefined })),
    ])
      await expect(service.answer(json, signal())).rejects.toMatchObject({
        code: expect.stringMatching(/^(MALFORMED_\w+|SCHEMA_MISMATCH|COLLATERAL_MISSING|UNSUPPORTED_\w+)$/),
      });
  });

  test('signs nothing while the chain can’t be read', async () => {
    const { ChainError } = await import('@cloister/chain');
    const facts = factsOf();
    const split = new ChainError('CHAIN_SPLIT', 'They differ', {});
    const service = serviceOf(people[0] as Person, { ...facts, policy: () => Promise.reject(split) });
    await expect(service.answer(evidenceJson(snpEvidence()), signal())).rejects.toBe(split);
  });

  test('answers each address so often, and others all the same', async () => {
    let atMs = 0;
    const service = serviceOf(people[0] as Person, factsOf(), () => atMs);
    for (let count = 0; count < 16; count++) service.admit('203.0.113.7');
    const limited = expect.objectContaining({ code: 'RESULT_RATE_LIMITED', retry: true });
    expect(() => service.admit('203.0.113.7')).toThrow(limited);
    service.admit('203.0.113.8');
    atMs = 2_000;
    service.admit('203.0.113.7');
    expect(() => service.admit('203.0.113.7')).toThrow(limited);
  });
});

describe.skipIf(!hasFixtures)('real Nitro evidence', () => {
  const load = (name: string): Uint8Array => {
    const file = fixture(`nitro/${name}.bin`).slice(4);
    const payloadLength = ((file[8] ?? 0) << 8) | (file[9] ?? 0);
    return file.subarray(0, 10 + payloadLength + 2 + 96);
  };
  test.each([
    ['dstack', 1_766_678_659, 'RESULT_UNBOUND'],
    ['dstack-nsm', 1_766_668_537, 'RESULT_UNBOUND'],
    ['dstack-debug', 1_766_650_846, 'DEBUG_REFUSED'],
  ] as const)('%s verifies up to the pinned root, and is bound to no worker', async (name, signedAt, code) => {
    const { awsNitroRoot, nitroEvidenceDocument } = await import('@cloister/attestation/verify');
    const trustRoots = [{ tee: 'nitro' as const, spkiSha256: awsNitroRoot.spkiSha256, simulated: false, name: 'AWS' }];
    const rules = new ResultRules({ simulated: false, trustRoots });
    const at = (seconds: number) =>
      rules.judge(nitroEvidenceDocument(load(name)), factsOf({ time: BigInt(signedAt + seconds) }), signal());
    await expect(at(60)).rejects.toMatchObject({ code });
    await expect(at(86_400)).rejects.toMatchObject({ code: 'TOO_OLD' });
  });
});

const world = makeWorld();
const zeroPcrs = { 0: pcr(0), 1: pcr(0), 2: pcr(0) };

const asking = (minimumTcbEvaluationDataNumber: number, acceptedTcbStatuses: readonly string[] = ['UpToDate']) => ({
  [teeTypes['sev-snp']]: { acceptedTcbStatuses, minimumTcbEvaluationDataNumber },
});

/** Judged where AMD's root is not named. */
function judgeBelow() {
  const trustRoots = simulatedNetwork.trustRoots.map((root) => ({ ...root, spkiSha256: b32(0x11) }));
  return new ResultRules({ simulated: true, trustRoots }).judge(snpEvidence(), factsOf(), signal());
}

function flipped() {
  const document = snpEvidence();
  const report = Buffer.from(document.report, 'base64');
  report[0x90] = (report[0x90] ?? 0) ^ 1;
  return { ...document, report: report.toString('base64') };
}
