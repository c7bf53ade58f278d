import { readFileSync } from 'node:fs';
import {
  appId,
  blobClaimDigest,
  canonicalJson,
  commitBody,
  contextHash,
  domainSeparator,
  dstackImageId,
  gatewayHelloDigest,
  type Hex,
  imageRecipeId,
  keyConfigDigest,
  manifestFromJson,
  manifestId,
  networkFileId,
  type PriceQuote,
  parseImageRecipe,
  parseNetworkFile,
  priceParts,
  priceQuoteDigest,
  type RecordDomain,
  readMrConfigId,
  receiptDigest,
  referencedImageId,
  signedReceiptFromJson,
  tdxImageId,
  workerBindingHash,
  workerId,
} from '@cloister/core';
import { fromHex, recoverAddress } from '@cloister/crypto';
import { hashTypedData } from 'viem';
import { describe, expect, test } from 'vitest';

const vectors = JSON.parse(readFileSync(new URL('../../../vectors/records.json', import.meta.url), 'utf8'));

// The same file is read by the contract tests: what is equal here and there is equal on and off the chain.
describe('vectors/records.json', () => {
  test('ids', () => {
    const { input, workerId: expectedWorker, appId: expectedApp, context } = vectors.ids;
    expect(workerId(input.chainId, input.registry, input.operator, BigInt(input.index))).toBe(expectedWorker);
    expect(appId(input.owner, input.salt)).toBe(expectedApp);
    const { chainId, consumer, subject, purpose, nonce } = context.input;
    expect(contextHash({ chainId, consumer, subject, purpose, nonce: BigInt(nonce) })).toBe(context.hash);
  });

  test('binding', () => {
    expect(workerBindingHash(vectors.binding.input)).toBe(vectors.binding.hash);
  });

  test('TDX image', () => {
    const { mrtd, rtmr0, rtmr1, rtmr2 } = vectors.image.input;
    const image = { mrtd: fromHex(mrtd), rtmr0: fromHex(rtmr0), rtmr1: fromHex(rtmr1), rtmr2: fromHex(rtmr2) };
    expect(tdxImageId(image)).toBe(vectors.image.imageId);
    const { composeHash, ...same } = vectors.dstackImage.input;
    expect(same).toEqual(vectors.image.input);
    expect(dstackImageId(image, composeHash)).toBe(vectors.dstackImage.imageId);
  });

  test('image recipe', () => {
    const { json, id, imageIds } = vectors.imageRecipe;
    const recipe = parseImageRecipe(new TextEncoder().encode(canonicalJson(json)));
    expect(imageRecipeId(recipe)).toBe(id);
    expect(recipe.references.map(referencedImageId)).toEqual(imageIds);
  });

  test('MRCONFIGID', () => {
    expect(vectors.mrConfigIds.length).toBeGreaterThan(8);
    for (const { mrConfigId, configId, composeHash } of vectors.mrConfigIds)
      expect(readMrConfigId(fromHex(mrConfigId)) ?? { configId: null, composeHash: null }, mrConfigId).toEqual({
        configId,
        composeHash,
      });
  });

  test('commitment', () => {
    expect(commitBody(vectors.commitment.salt, fromHex(vectors.commitment.body))).toBe(vectors.commitment.commitment);
  });

  test('receipt digest, and its signature names the signer', () => {
    const signed = signedReceiptFromJson(vectors.receipt.signed);
    expect(domainSeparator({ chainId: signed.chainId, registry: signed.registry })).toBe(
      vectors.receipt.domainSeparator,
    );
    const digest = receiptDigest({ chainId: signed.chainId, registry: signed.registry }, signed.receipt);
    expect(digest).toBe(vectors.receipt.digest);
    expect(recoverAddress(fromHex(digest), fromHex(signed.signature))).toBe(vectors.receipt.signer);
  });

  test('price quote', () => {
    const { domain, quote, digest } = vectors.priceQuote;
    const numbers = Object.fromEntries(
      Object.entries(quote as Record<string, string>).map(([name, value]) => [name, BigInt(value)]),
    );
    expect(priceQuoteDigest(domain as RecordDomain, numbers as unknown as PriceQuote)).toBe(digest);
    const names = priceParts.map((name) => ({ name, type: 'uint128' }));
    expect(
      hashTypedData({
        domain: { name: 'Cloister', version: '1', chainId: domain.chainId, verifyingContract: domain.registry as Hex },
        types: { PriceQuote: [...names, { name: 'notAfter', type: 'uint64' }] },
        primaryType: 'PriceQuote',
        message: numbers as never,
      }),
    ).toBe(digest);
  });

  test('key configuration and gateway hello', () => {
    const { domain, statement, digest } = vectors.keyConfig;
    expect(
      keyConfigDigest(domain, {
        ...statement,
        notBefore: BigInt(statement.notBefore),
        notAfter: BigInt(statement.notAfter),
      }),
    ).toBe(digest);
    const { domain: claimDomain, claim, digest: claimDigest } = vectors.blobClaim;
    expect(blobClaimDigest(claimDomain, claim)).toBe(claimDigest);
    expect(
      hashTypedData({
        domain: {
          name: 'Cloister',
          version: '1',
          chainId: claimDomain.chainId,
          verifyingContract: claimDomain.registry,
        },
        types: {
          BlobClaim: [
            { name: 'app', type: 'bytes32' },
            { name: 'blobs', type: 'bytes32[]' },
            { name: 'gateway', type: 'string' },
            { name: 'epoch', type: 'uint64' },
            { name: 'keep', type: 'bool' },
          ],
        },
        primaryType: 'BlobClaim',
        message: { ...claim, epoch: BigInt(claim.epoch) },
      }),
    ).toBe(claimDigest);
    expect(gatewayHelloDigest(vectors.gatewayHello.domain, vectors.gatewayHello.hello)).toBe(
      vectors.gatewayHello.digest,
    );
  });

  test('manifest and network file ids', () => {
    expect(manifestId(manifestFromJson(vectors.manifest.json))).toBe(vectors.manifest.id);
    expect(networkFileId(parseNetworkFile(vectors.networkFile.json))).toBe(vectors.networkFile.id);
  });
});
