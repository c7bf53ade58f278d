import { sgxImageId } from '@cloister/core';
import { utf8 } from '@cloister/crypto';
import { describe, expect, test } from 'vitest';
import { mintQuote } from '../src/unsafe-simulated/index.ts';
import {
  AttestationError,
  type EvidenceDocument,
  EvidenceVerifier,
  evidenceDocument,
  evidenceJson,
  nitroEvidenceDocument,
  parseEvidence,
  pinnedRoots,
  quoteOf,
  type Registers,
  serialiseEvidence,
  sgxEvidenceDocument,
  snpEvidenceDocument,
  toBase64,
  verifyEvidenceFile,
} from '../src/verify/index.ts';
import { boot, ccel, dstackLog, guestEvents, registersOfBoot } from './eventLogWorld.ts';
import { awsRoot, makeNitroDocument } from './nitro/syntheticNitro.ts';
import { amdRoot, makeSnpWorld } from './snp/syntheticSnp.ts';
import { makeWorld, measurements, now } from './synthetic.ts';
import { sgxCollateral, sgxQuote, sgxWorld } from './syntheticSgx.ts';

const tdx = makeWorld();
const snp = makeSnpWorld();
const documents: readonly EvidenceDocument[] = [
  evidenceDocument(tdx.quote, tdx.collateral),
  evidenceDocument(tdx.quote, tdx.collateral, { kind: 'dstack', log: '[]' }),
  sgxEvidenceDocument(sgxQuote(), sgxCollateral()),
  snpEvidenceDocument(snp.report, snp.certificates),
  nitroEvidenceDocument(makeNitroDocument()),
];
const roots = [tdx.root.trustRoot, amdRoot, awsRoot];

function refusal(action: () => unknown): string {
  try {
    action();
    return 'ok';
  } catch (error) {
    if (!(error instanceof AttestationError)) throw error;
    return `${error.code} at ${error.place}`;
  }
}

describe('documents of every type', () => {
  test.each(documents)('$teeType comes back as it was, always as the same bytes', (document) => {
    const bytes = serialiseEvidence(document);
    const parsed = parseEvidence(bytes);
    expect(parsed).toEqual(document);
    expect(serialiseEvidence(parsed)).toEqual(bytes);
    const shuffled = Object.fromEntries(Object.entries(document).reverse());
    expect(serialiseEvidence(parseEvidence(shuffled))).toEqual(bytes);
    expect(parseEvidence(evidenceJson(document))).toEqual(document);
    expect(JSON.stringify(evidenceJson(document))).toBe(Buffer.from(bytes).toString('utf8'));
  });

  test.each(documents)('$teeType: members of another type are refused', (document) => {
    const members = ['quote', 'collateral', 'report', 'certificates', 'crl', 'document', 'eventLog'];
    for (const member of members.filter((name) => !(name in document))) {
      if (document.teeType === 'tdx' && member === 'eventLog') continue;
      expect(
        refusal(() => parseEvidence({ ...document, [member]: '' })),
        member,
      ).toBe('MALFORMED_EVIDENCE at evidence');
    }
  });

  test.each(documents)('$teeType: a prototype is no member', (document) => {
    const text = JSON.stringify(document).replace('{', '{"__proto__":{},');
    expect(refusal(() => parseEvidence(utf8(text)))).toBe('MALFORMED_EVIDENCE at evidence');
  });

  test('only those of Intel have a quote', () => {
    expect(documents.map((document) => refusal(() => quoteOf(document)))).toEqual([
      'ok',
      'ok',
      'ok',
      'TEE_TYPE_MISMATCH at evidence.teeType',
      'TEE_TYPE_MISMATCH at evidence.teeType',
    ]);
  });

  test('one verifier verifies all, under roots of all vendors', async () => {
    const verifier = new EvidenceVerifier({ roots });
    for (const document of documents.filter((each) => !('eventLog' in each)))
      expect(await verifier.verify(document, now)).toMatchObject({ teeType: document.teeType, simulated: true });
  });

  test("a vendor's root vouches for its own evidence alone", async () => {
    const renamed = [
      { ...tdx.root.trustRoot, vendor: 'amd' },
      { ...amdRoot, vendor: 'aws' },
      { ...awsRoot, vendor: 'intel' },
    ] as const;
    const verifier = new EvidenceVerifier({ roots: renamed });
    for (const document of documents)
      await expect(verifier.verify(document, now)).rejects.toMatchObject({ code: 'ROOT_UNTRUSTED' });
  });

  test('simulated evidence of no type passes the pinned roots', async () => {
    const verifier = new EvidenceVerifier({ roots: pinnedRoots });
    for (const document of documents)
      await expect(verifier.verify(document, now)).rejects.toMatchObject({ code: 'ROOT_UNTRUSTED' });
  });

  test('a document that calls itself another type', async () => {
    const verifier = new EvidenceVerifier({ roots });
    const sgx = sgxEvidenceDocument(tdx.quote, tdx.collateral);
    await expect(verifier.verify(sgx, now)).rejects.toMatchObject({
      code: 'TEE_TYPE_MISMATCH',
      place: 'quote.teeType',
    });
    const asTdx = evidenceDocument(sgxQuote(), sgxCollateral());
    await expect(verifier.verify(asTdx, now)).rejects.toMatchObject({ code: 'TEE_TYPE_MISMATCH' });
  });
});

describe("Intel's collateral beside evidence of others", () => {
  test('is refused, not passed over', async () => {
    const collateral = utf8(JSON.stringify(tdx.collateral));
    for (const evidenceBytes of [
      serialiseEvidence(snpEvidenceDocument(snp.report, snp.certificates)),
      serialiseEvidence(nitroEvidenceDocument(makeNitroDocument())),
      makeNitroDocument(),
    ])
      expect(await verifyEvidenceFile({ evidenceBytes, collateral, at: now, roots })).toMatchObject({
        ok: false,
        refusal: { code: 'TEE_TYPE_MISMATCH', place: 'collateral' },
      });
  });
});

describe('SGX files', () => {
  test('a document, and a bare quote with collateral', async () => {
    const collateral = sgxCollateral();
    const quote = sgxQuote();
    for (const options of [
      { evidenceBytes: serialiseEvidence(sgxEvidenceDocument(quote, collateral)) },
      { evidenceBytes: quote, collateral: utf8(JSON.stringify(collateral)) },
    ])
      expect(await verifyEvidenceFile({ ...options, at: now, roots: [sgxWorld.root.trustRoot] })).toMatchObject({
        ok: true,
        teeType: 'sgx',
        claims: { imageId: sgxImageId(new Uint8Array(32).fill(0x11)), configId: `0x${'00'.repeat(32)}` },
      });
  });
});

describe('the configuration of an enclave', () => {
  const configured = async (edit: (report: Uint8Array) => void) => {
    const { claims } = await verifyEvidenceFile({
      evidenceBytes: serialiseEvidence(sgxEvidenceDocument(sgxQuote(0x05, edit), sgxCollateral())),
      at: now,
      roots: [sgxWorld.root.trustRoot],
    });
    return claims?.configId;
  };

  test('stands in the first half of CONFIGID, the second being zero', async () => {
    expect(await configured((report) => void report.fill(0xc0, 192, 224))).toBe(`0x${'c0'.repeat(32)}`);
    expect(await configured((report) => void report.fill(0xc0, 192, 225))).toBeNull();
    expect(await configured((report) => void report.fill(0xc0, 255, 256))).toBeNull();
  });
});

describe('an event log in a document', () => {
  const bytesOf = (hex: string): Uint8Array => Uint8Array.from(Buffer.from(hex.replace(/^0x/, ''), 'hex'));
  const quoteWith = ({ rtmr0, rtmr1, rtmr2, rtmr3 }: Registers): Uint8Array =>
    mintQuote(tdx.platform, {
      ...measurements,
      rtmr0: bytesOf(rtmr0),
      rtmr1: bytesOf(rtmr1),
      rtmr2: bytesOf(rtmr2),
      rtmr3: bytesOf(rtmr3),
    });
  const quote = quoteWith(registersOfBoot(boot));
  const verify = async (document: EvidenceDocument) =>
    verifyEvidenceFile({
      evidenceBytes: serialiseEvidence(document),
      at: now,
      roots: [tdx.root.trustRoot],
      tree: true,
    });

  test('of the firmware is replayed', async () => {
    const log = toBase64(ccel(boot));
    const result = await verify(evidenceDocument(quote, tdx.collateral, { kind: 'ccel', log }));
    expect(result).toMatchObject({ ok: true });
    expect(result.tree?.[0]?.children.at(-1)).toMatchObject({
      id: 'event-log',
      ok: true,
      detail: expect.stringMatching(/^ccel, \d+ events$/),
    });
  });

  test('of a dstack guest is replayed', async () => {
    const { log, registers } = dstackLog(guestEvents());
    const document = evidenceDocument(quoteWith(registers), tdx.collateral, { kind: 'dstack', log });
    expect(await verify(document)).toMatchObject({ ok: true });
    const other = evidenceDocument(quote, tdx.collateral, { kind: 'dstack', log });
    expect(await verify(other)).toMatchObject({ ok: false, refusal: { code: 'EVENT_LOG_MISMATCH' } });
  });

  test('of another boot is refused, though the quote holds', async () => {
    const log = toBase64(ccel([...boot, ...boot]));
    const result = await verify(evidenceDocument(quote, tdx.collateral, { kind: 'ccel', log }));
    expect(result).toMatchObject({ ok: false, claims: null, refusal: { code: 'EVENT_LOG_MISMATCH' } });
    expect(result.tree?.[0]?.children.at(-1)).toMatchObject({ id: 'event-log', ok: false });
  });

  test.each([
    ['no base64', { kind: 'ccel', log: 'a*' }, 'MALFORMED_BASE64'],
    ['no log', { kind: 'ccel', log: '' }, 'MALFORMED_EVENT_LOG'],
    ['no JSON', { kind: 'dstack', log: '{' }, 'MALFORMED_JSON'],
    ['no events of dstack', { kind: 'dstack', log: '[]' }, 'EVENT_LOG_MISMATCH'],
  ] as const)('that is %s is refused', async (_, log, code) => {
    expect(await verify(evidenceDocument(quote, tdx.collateral, log))).toMatchObject({ ok: false, refusal: { code } });
  });

  test.each([
    ['another kind', { kind: 'tpm', log: '' }, 'MALFORMED_EVIDENCE at evidence.eventLog.kind'],
    ['more members', { kind: 'ccel', log: '', table: '' }, 'MALFORMED_EVIDENCE at evidence.eventLog'],
    ['a log that is no text', { kind: 'ccel', log: [] }, 'MALFORMED_EVIDENCE at evidence.eventLog.log'],
    ['a log too long', { kind: 'ccel', log: 'A'.repeat(3_200_000) }, 'MALFORMED_EVIDENCE at evidence.eventLog.log'],
  ])('with %s has no form', (_, eventLog, expected) => {
    expect(refusal(() => parseEvidence({ ...evidenceDocument(quote, tdx.collateral), eventLog }))).toBe(expected);
  });
});
