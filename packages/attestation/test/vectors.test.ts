import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import type { Hex } from '@cloister/core';
import { fromHex, keccak256, toHex } from '@cloister/crypto';
import { expect, test } from 'vitest';
import { fullEvidence, knownKeyEvidence, platformOfQuote, rememberingEvidence } from '../src/onchain/index.ts';
import { digestOfFiles, extendRtmr } from '../src/unsafe-simulated/index.ts';
import {
  EvidenceVerifier,
  parseEvidence,
  quoteOf,
  type TdxClaims,
  trustRootOfCertificate,
} from '../src/verify/index.ts';

type Vectors = {
  readonly fileSetDigest: {
    readonly files: readonly { readonly path: string; readonly contents: string }[];
    readonly digest: Hex;
    readonly extendedOverZero: Hex;
  };
  readonly onchain: {
    readonly platformKey: Hex;
    readonly fmspc: Hex;
    readonly pceId: Hex;
    readonly full: Hex;
    readonly remembering: Hex;
    readonly knownKey: Hex;
  };
  readonly evidence: {
    readonly at: number;
    readonly rootCertificate: Hex;
    readonly rootSpkiSha256: Hex;
    readonly document: object;
    readonly claims: TdxClaims;
  };
};

const vectors = JSON.parse(
  await readFile(join(import.meta.dirname, '../../../vectors/attestation.json'), 'utf8'),
) as Vectors;

test('the evidence of the vectors has its claims', async () => {
  const { at, rootCertificate, rootSpkiSha256, document, claims } = vectors.evidence;
  const root = trustRootOfCertificate(fromHex(rootCertificate));
  expect(root.spkiSha256).toBe(rootSpkiSha256);
  expect(await new EvidenceVerifier({ roots: [root] }).verify(parseEvidence(document), at)).toMatchObject(claims);
});

test('the evidence of the vectors has its forms for the chain', () => {
  const { full, remembering, knownKey, platformKey, fmspc, pceId } = vectors.onchain;
  const quote = quoteOf(parseEvidence(vectors.evidence.document));
  expect([fullEvidence(quote), rememberingEvidence(quote), knownKeyEvidence(quote)]).toEqual([
    full,
    remembering,
    knownKey,
  ]);
  const platform = platformOfQuote(quote);
  expect([toHex(platform.platformKey), platform.fmspc, platform.pceId]).toEqual([platformKey, fmspc, pceId]);
  expect(toHex(keccak256(platform.publicKey))).toBe(platformKey);
});

test('the file set of the vectors has its digest', async () => {
  const { files, digest, extendedOverZero } = vectors.fileSetDigest;
  const root = await mkdtemp(join(tmpdir(), 'cloister-vectors-'));
  try {
    for (const { path, contents } of files) {
      await mkdir(dirname(join(root, path)), { recursive: true });
      await writeFile(join(root, path), contents);
    }
    const set = { root, files: files.map(({ path }) => path) };
    const measured = await digestOfFiles(set, AbortSignal.timeout(10_000));
    expect(toHex(measured)).toBe(digest);
    expect(toHex(extendRtmr(new Uint8Array(48), measured))).toBe(extendedOverZero);
  } finally {
    await rm(root, { recursive: true, force: true });
  }
});
