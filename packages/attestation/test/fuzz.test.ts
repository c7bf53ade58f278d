import { fromHex } from '@cloister/crypto';
import fc from 'fast-check';
import { describe, expect, test, vi } from 'vitest';
import { parseCertificate } from '../src/verify/certificate.ts';
import { parseCrl } from '../src/verify/crl.ts';
import {
  AttestationError,
  type Collateral,
  evidenceDocument,
  fromBase64,
  parseEvidence,
  parsePolicy,
  parseQuote,
  serialiseEvidence,
  verifyCollateral,
  verifyEvidenceFile,
  verifyTdxQuote,
} from '../src/verify/index.ts';
import { readPckExtension } from '../src/verify/pckExtension.ts';
import { readPemChain } from '../src/verify/pem.ts';
import { parseQeIdentity } from '../src/verify/qeIdentity.ts';
import { parseTcbInfo } from '../src/verify/tcbInfo.ts';
import { makeWorld, now } from './synthetic.ts';

const long = process.env.CLOISTER_LONG === '1';
const numRuns = long ? 20_000 : 400;
vi.setConfig({ testTimeout: long ? 900_000 : 120_000 });
const world = makeWorld();
const { collateral, quote, root, platform } = world;
const roots = [root.trustRoot];

/** Runs a parser; anything but our error is a defect and escapes. */
function survives(action: () => unknown): void {
  try {
    action();
  } catch (error) {
    if (!(error instanceof AttestationError)) throw error;
    expect(error.place).not.toBe('');
    expect(error.message).not.toMatch(/\.$/);
  }
}

/** A good input with some bytes replaced, removed or put in. */
function mutated(good: Uint8Array): fc.Arbitrary<Uint8Array> {
  const edit = fc.record({
    at: fc.nat({ max: good.length }),
    remove: fc.nat({ max: 4 }),
    insert: fc.uint8Array({ maxLength: 4 }),
  });
  return fc.array(edit, { minLength: 1, maxLength: 4 }).map((edits) => {
    let bytes = [...good];
    for (const { at, remove, insert } of edits) bytes = [...bytes.slice(0, at), ...insert, ...bytes.slice(at + remove)];
    return Uint8Array.from(bytes);
  });
}

const parsers: readonly (readonly [string, Uint8Array, (bytes: Uint8Array) => unknown])[] = [
  ['a certificate', platform.pck.certificate, (bytes) => readPckExtension(parseCertificate(bytes, 'it'))],
  ['a CRL', fromHex(collateral.pck_crl), (bytes) => parseCrl(bytes, 'it')],
  ['a quote', quote, parseQuote],
  ['a PEM chain', Buffer.from(collateral.tcb_info_issuer_chain), (bytes) => readPemChain(bytes, 2, 'it')],
  ['TCB info', Buffer.from(collateral.tcb_info), (bytes) => parseTcbInfo(Buffer.from(bytes).toString('utf8'), 'it')],
  [
    'a QE identity',
    Buffer.from(collateral.qe_identity),
    (bytes) => parseQeIdentity(Buffer.from(bytes).toString('utf8'), 'it'),
  ],
  ['a policy', Buffer.from('{"tcbStatuses":["UpToDate"],"imageIds":[]}'), parsePolicy],
  ['an evidence document', serialiseEvidence(evidenceDocument(quote, collateral)), parseEvidence],
  ['base64', Buffer.from('AAECAwQFBgc='), (bytes) => fromBase64(Buffer.from(bytes).toString('latin1'), 'it')],
];

describe('parsers throw only our errors', () => {
  test.each(parsers)('%s, mutated', (_, good, parse) => {
    survives(() => parse(good));
    fc.assert(
      fc.property(mutated(good), (bytes) => survives(() => parse(bytes))),
      { numRuns },
    );
  });

  test.each(parsers)('%s, made of anything', (_, _good, parse) => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 512 }), (bytes) => survives(() => parse(bytes))),
      { numRuns },
    );
  });

  test.each(parsers)('%s, cut at every length', (_, good, parse) => {
    const step = long ? 1 : Math.max(1, Math.floor(good.length / 500));
    for (let length = 0; length < good.length; length += step) survives(() => parse(good.subarray(0, length)));
  });

  test.each([
    ['TCB info', collateral.tcb_info, (text: string) => parseTcbInfo(text, 'it')],
    ['a QE identity', collateral.qe_identity, (text: string) => parseQeIdentity(text, 'it')],
  ])('%s with any JSON in any place', (_, text, parse) => {
    const document = JSON.parse(text) as { [key: string]: unknown };
    const key = fc.constantFrom(...Object.keys(document));
    fc.assert(
      fc.property(key, fc.jsonValue({ maxDepth: 4 }), (name, value) =>
        survives(() => parse(JSON.stringify({ ...document, [name]: value }))),
      ),
      { numRuns },
    );
  });
});

describe('verification of mutated evidence', () => {
  test('whole files, mutated: a result, never an exception', async () => {
    const bytes = serialiseEvidence(evidenceDocument(quote, collateral));
    await fc.assert(
      fc.asyncProperty(mutated(bytes), async (evidenceBytes) => {
        const result = await verifyEvidenceFile({ evidenceBytes, at: now, roots });
        expect(result.ok).toBe(result.refusal === undefined);
      }),
      { numRuns: Math.floor(numRuns / 4) },
    );
  });

  test('every byte of a good quote counts', async () => {
    const verified = await verifyCollateral(collateral, { roots, now });
    expect((await verifyTdxQuote(quote, verified, { now })).tcbStatus).toBe('UpToDate');
    const masks = long ? [0x01, 0x02, 0x04, 0x08, 0x10, 0x20, 0x40, 0x80] : [0x01];
    const accepted: number[] = [];
    for (const mask of masks) {
      for (let at = 0; at < quote.length; at++) {
        const flipped = Uint8Array.from(quote);
        flipped[at] = (flipped[at] ?? 0) ^ mask;
        try {
          await verifyTdxQuote(flipped, verified, { now });
          accepted.push(at);
        } catch (error) {
          if (!(error instanceof AttestationError)) throw error;
        }
      }
    }
    expect(accepted).toEqual([]);
  });

  test.each(Object.keys(collateral) as (keyof Collateral)[])(
    'bytes of %s count',
    async (key) => {
      const text = collateral[key];
      const isHex = /^[0-9a-f]+$/.test(text);
      const step = long ? 1 : Math.max(1, Math.floor(text.length / 60));
      const accepted: number[] = [];
      for (let at = 0; at < text.length; at += step) {
        const character = text.charCodeAt(at);
        // Another digit where the case of a digit says nothing; another character elsewhere.
        const other = isHex
          ? ((Number.parseInt(text.charAt(at), 16) + 1) % 16).toString(16)
          : String.fromCharCode(character ^ 1);
        const changed = { ...collateral, [key]: text.slice(0, at) + other + text.slice(at + 1) };
        try {
          await verifyCollateral(changed, { roots, now });
          accepted.push(at);
        } catch (error) {
          if (!(error instanceof AttestationError)) throw error;
        }
      }
      expect(accepted).toEqual([]);
    },
    120_000,
  );

  test('a quote with anything but zeros after it', async () => {
    const verified = await verifyCollateral(collateral, { roots, now });
    const padded = new Uint8Array(8000);
    padded.set(quote);
    expect((await verifyTdxQuote(padded, verified, { now })).tcbStatus).toBe('UpToDate');
    padded[7999] = 1;
    await expect(verifyTdxQuote(padded, verified, { now })).rejects.toMatchObject({ code: 'MALFORMED_QUOTE' });
    await expect(verifyTdxQuote(new Uint8Array(70_000), verified, { now })).rejects.toMatchObject({
      code: 'TOO_LARGE',
    });
  });
});
