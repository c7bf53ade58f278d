import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import type { Hex } from '@cloister/core';
import { concatBytes, engine, fromHex, keccak256, sha256, toHex } from '@cloister/crypto';
import { expect, test } from 'vitest';
import { digestOfFiles, endorsedBytes, extendRtmr } from '../src/unsafe-simulated/index.ts';
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
  readonly endorsement: {
    readonly rootPublicKey: { readonly x: Hex; readonly y: Hex };
    readonly chainId: string;
    readonly signedPart: Hex;
    readonly signedPartHash: Hex;
    readonly platformId: Hex;
    readonly validUntil: string;
    readonly digest: Hex;
    readonly r: Hex;
    readonly s: Hex;
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
  expect(await new EvidenceVerifier({ roots: [root] }).verify(parseEvidence(document), at)).toEqual(claims);
});

test('the endorsement of the vectors holds', async () => {
  const { rootPublicKey, chainId, signedPart, signedPartHash, platformId, validUntil, digest, r, s } =
    vectors.endorsement;
  const signed = endorsedBytes(fromHex(signedPart), platformId, BigInt(chainId), BigInt(validUntil));
  expect(toHex(keccak256(fromHex(signedPart)))).toBe(signedPartHash);
  expect(toHex(sha256(signed))).toBe(digest);
  const publicKey = concatBytes(fromHex(rootPublicKey.x), fromHex(rootPublicKey.y));
  expect(await engine.verifyP256(publicKey, signed, concatBytes(fromHex(r), fromHex(s)))).toBe(true);
  expect(toHex(quoteOf(parseEvidence(vectors.evidence.document)).subarray(0, 632))).toBe(signedPart);
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
