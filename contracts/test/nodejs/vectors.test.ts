import assert from 'node:assert/strict';
import { existsSync, readFileSync } from 'node:fs';
import { before, describe, it } from 'node:test';
import { network } from 'hardhat';
import { concatHex, getAddress, type Hex, sliceHex, zeroHash } from 'viem';
import type { Receipt } from '../support/receipts.ts';

const file = new URL('../../../vectors/records.json', import.meta.url);
const skip = existsSync(file) ? false : 'vectors/records.json is not there';
const connection = await network.create();

type Vectors = {
  readonly ids: {
    readonly input: { chainId: number; registry: Hex; operator: Hex; index: string; owner: Hex; salt: Hex };
    readonly workerId: Hex;
    readonly appId: Hex;
    readonly context: {
      input: { chainId: number; consumer: Hex; subject: Hex; purpose: Hex; nonce: string };
      hash: Hex;
    };
  };
  readonly binding: {
    input: { chainId: number; registry: Hex; operator: Hex; receiptSigner: Hex; networkKeysHash: Hex };
    hash: Hex;
  };
  readonly image: { input: { mrtd: Hex; rtmr0: Hex; rtmr1: Hex; rtmr2: Hex }; imageId: Hex };
  readonly dstackImage: {
    input: { mrtd: Hex; rtmr0: Hex; rtmr1: Hex; rtmr2: Hex; composeHash: Hex };
    imageId: Hex;
  };
  readonly mrConfigIds: readonly { mrConfigId: Hex; configId: Hex | null; composeHash: Hex | null }[];
  readonly commitment: { salt: Hex; body: Hex; commitment: Hex };
  readonly receipt: {
    signed: { chainId: number; registry: Hex; receipt: Record<keyof Receipt, string | number>; signature: Hex };
    domainSeparator: Hex;
    digest: Hex;
    signer: Hex;
  };
  readonly keyConfig: {
    domain: { chainId: number; registry: Hex };
    statement: { configHash: Hex; notBefore: string; notAfter: string };
    digest: Hex;
  };
};

/** The contracts compute what vectors/records.json fixes, as the packages' own tests show for TypeScript. */
describe('vectors/records.json', { skip }, () => {
  let vectors: Vectors;
  let harness: Awaited<ReturnType<typeof deploy>>;
  const deploy = () => connection.viem.deployContract('VectorHarness', []);
  before(async () => {
    vectors = JSON.parse(readFileSync(file, 'utf8'));
    harness = await deploy();
  });

  it('ids', async () => {
    const { input, workerId, appId, context } = vectors.ids;
    assert.equal(
      await harness.read.workerId([BigInt(input.chainId), input.registry, input.operator, BigInt(input.index)]),
      workerId,
    );
    assert.equal(await harness.read.appId([input.owner, input.salt]), appId);
    const { chainId, consumer, subject, purpose, nonce } = context.input;
    assert.equal(
      await harness.read.context([BigInt(chainId), consumer, subject, purpose, BigInt(nonce)]),
      context.hash,
    );
  });

  it('binding', async () => {
    const { chainId, registry, operator, receiptSigner, networkKeysHash } = vectors.binding.input;
    assert.equal(
      await harness.read.workerBinding([BigInt(chainId), registry, operator, receiptSigner, networkKeysHash]),
      vectors.binding.hash,
    );
  });

  it('image', async () => {
    const { mrtd, rtmr0, rtmr1, rtmr2 } = vectors.image.input;
    assert.equal(await harness.read.tdxImageId([mrtd, concatHex([rtmr0, rtmr1, rtmr2])]), vectors.image.imageId);
  });

  it('image of a dstack CVM', async () => {
    const { mrtd, rtmr0, rtmr1, rtmr2, composeHash } = vectors.dstackImage.input;
    assert.equal(
      await harness.read.dstackImageId([mrtd, concatHex([rtmr0, rtmr1, rtmr2]), composeHash]),
      vectors.dstackImage.imageId,
    );
    assert.notEqual(vectors.dstackImage.imageId, vectors.image.imageId);
  });

  it('both forms of MRCONFIGID, and what is neither', async () => {
    assert.ok(vectors.mrConfigIds.length > 8);
    for (const { mrConfigId, configId, composeHash } of vectors.mrConfigIds)
      assert.deepEqual(
        await harness.read.tdxConfig([sliceHex(mrConfigId, 0, 32), sliceHex(mrConfigId, 32, 48)]),
        [configId !== null, composeHash !== null, configId ?? zeroHash],
        mrConfigId,
      );
  });

  it('commitment', async () => {
    const { salt, body, commitment } = vectors.commitment;
    assert.equal(await harness.read.commitment([salt, body]), commitment);
  });

  it('receipt', async () => {
    const { signed, domainSeparator, digest, signer } = vectors.receipt;
    const receipt = signed.receipt as unknown as Receipt;
    assert.equal(await harness.read.domainSeparator([BigInt(signed.chainId), signed.registry]), domainSeparator);
    assert.equal(await harness.read.receiptDigest([receipt, domainSeparator]), digest);
    assert.equal(await harness.read.recoverReceipt([receipt, signed.signature, domainSeparator]), getAddress(signer));
  });

  it('key configuration', async () => {
    const { domain, statement, digest } = vectors.keyConfig;
    const separator = await harness.read.domainSeparator([BigInt(domain.chainId), domain.registry]);
    const { configHash, notBefore, notAfter } = statement;
    assert.equal(
      await harness.read.keyConfigDigest([configHash, BigInt(notBefore), BigInt(notAfter), separator]),
      digest,
    );
  });
});
