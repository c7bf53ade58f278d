import { fullEvidence, knownKeyEvidence, platformOfQuote, rememberingEvidence } from '@cloister/attestation/onchain';
import { fromHex, keccak256, toHex } from '@cloister/crypto';
import { describe, expect, test } from 'vitest';
import { mintQuote } from '../src/unsafe-simulated/index.ts';
import { AttestationError, parseQuote } from '../src/verify/index.ts';
import { makeWorld, measurements } from './synthetic.ts';

const { platform, quote } = makeWorld();
const parsed = parseQuote(quote);

/** The next bytes of evidence, field by field. */
function fieldsOf(evidence: `0x${string}`, lengths: readonly number[]): readonly string[] {
  const bytes = fromHex(evidence);
  let at = 0;
  const fields = lengths.map((length) => {
    at += length;
    return toHex(bytes.subarray(at - length, at));
  });
  return [...fields, toHex(bytes.subarray(at))];
}

describe('a quote for the chain', () => {
  test('in full: the layout of IQuoteVerifier, without certificates', () => {
    const evidence = fullEvidence(quote);
    expect(fieldsOf(evidence, [1, 64, 64, 384, 64, 2, 64, 32])).toEqual([
      '0x01',
      toHex(platform.pck.key.publicKey),
      toHex(parsed.signature),
      toHex(parsed.qeReport.bytes),
      toHex(parsed.qeReportSignature),
      '0x0020',
      toHex(platform.attestationKey.publicKey),
      toHex(parsed.qeAuthData),
      toHex(parsed.signedPart),
    ]);
    expect(rememberingEvidence(quote)).toBe(`0x02${evidence.slice(4)}`);
  });

  test('by a known key: what was proven is repeated, the rest is left out', () => {
    const { mrSigner, attributes, miscSelect } = parsed.qeReport;
    expect(fieldsOf(knownKeyEvidence(quote), [1, 32, 64, 64, 32, 16, 4, 2, 2])).toEqual([
      '0x03',
      toHex(keccak256(platform.pck.key.publicKey)),
      toHex(parsed.signature),
      toHex(platform.attestationKey.publicKey),
      toHex(mrSigner),
      toHex(attributes),
      toHex(miscSelect),
      '0x0200',
      '0x0400',
      toHex(parsed.signedPart),
    ]);
  });

  test('of version 5 carries its longer body whole', () => {
    const longer = mintQuote(platform, measurements, { version: 5, tdVersion: '1.5' });
    expect(fullEvidence(longer).endsWith(toHex(longer.subarray(0, 48 + 6 + 648)).slice(2))).toBe(true);
  });

  test('padded with zeros is the same', () => {
    const padded = new Uint8Array(8000);
    padded.set(quote);
    expect(fullEvidence(padded)).toBe(fullEvidence(quote));
    expect(knownKeyEvidence(padded)).toBe(knownKeyEvidence(quote));
  });
});

test('the platform of a quote, by its certificate', () => {
  expect(platformOfQuote(quote)).toEqual({
    certificate: platform.pck.certificate,
    publicKey: platform.pck.key.publicKey,
    platformKey: keccak256(platform.pck.key.publicKey),
    fmspc: '0xde5100000000',
    pceId: '0x0000',
  });
});

test.each([
  ['nothing', new Uint8Array(0), 'MALFORMED_QUOTE'],
  ['half a quote', quote.subarray(0, 1000), 'MALFORMED_QUOTE'],
  ['a quote without certificates', mintQuote(platform, measurements, { chain: [] }), 'CHAIN_LENGTH'],
  [
    'a quote with what is no certificate',
    mintQuote(platform, measurements, { chain: [Uint8Array.of(1)] }),
    'MALFORMED_DER',
  ],
  [
    "a quote with its CA's certificate in the first place",
    mintQuote(platform, measurements, { chain: [platform.root.pckCa.certificate] }),
    'MALFORMED_CERTIFICATE',
  ],
] as const)('refuses %s, in every form', (_what, bytes, code) => {
  for (const read of [fullEvidence, rememberingEvidence, knownKeyEvidence, platformOfQuote]) {
    expect(() => read(bytes)).toThrow(AttestationError);
    expect(() => read(bytes)).toThrow(expect.objectContaining({ code }));
  }
});
