import assert from 'node:assert/strict';
import { existsSync, readFileSync } from 'node:fs';
import { before, describe, it } from 'node:test';
import { network } from 'hardhat';
import { concatHex, encodeAbiParameters, getAddress, type Hex, keccak256, sliceHex, toHex, zeroHash } from 'viem';
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

const committeeFile = new URL('../../../vectors/committee.json', import.meta.url);

type CommitteeVectors = {
  readonly domain: { readonly chainId: number; readonly registry: Hex };
  readonly evictions: readonly {
    readonly root: Hex;
    readonly absent: readonly { readonly proof: { readonly lo: Hex; readonly hi: Hex; readonly siblings: Hex[] } }[];
  }[];
  readonly epochRecord: {
    readonly record: Record<EpochField, string> & {
      readonly attempt: number;
      readonly totals: Record<'stake' | 'work' | 'rewards', string> & { members: number; workers: number };
    };
    readonly digest: Hex;
  };
};
type EpochField = 'epoch' | 'block' | 'blockHash' | 'beacon' | EpochRoot;
type EpochRoot = 'measurementsRoot' | 'directoryRoot' | 'rewardsRoot' | 'evictionRoot' | 'releaseLogRoot';

describe('vectors/committee.json', () => {
  const vectors = JSON.parse(readFileSync(committeeFile, 'utf8')) as CommitteeVectors;
  const deploy = () => connection.viem.deployContract('VectorHarness', []);

  it('epoch record', async () => {
    const harness = await deploy();
    const { chainId, registry } = vectors.domain;
    const { record, digest } = vectors.epochRecord;
    const { attempt, totals } = record;
    const hashes = Object.fromEntries(
      Object.entries(record).filter(([, value]) => typeof value === 'string' && value.startsWith('0x')),
    ) as Record<'blockHash' | 'beacon' | EpochRoot, Hex>;
    const separator = await harness.read.domainSeparator([BigInt(chainId), registry]);
    const onChain = {
      ...hashes,
      epoch: BigInt(record.epoch),
      attempt,
      blockNumber: BigInt(record.block),
      members: totals.members,
      workers: totals.workers,
      stake: BigInt(totals.stake),
      work: BigInt(totals.work),
      rewards: BigInt(totals.rewards),
    };
    assert.equal(await harness.read.epochRecordDigest([onChain, separator]), digest);
  });

  it('gaps between evicted signers', async () => {
    const harness = await deploy();
    for (const { root, absent } of vectors.evictions)
      for (const { proof } of absent) {
        const { lo, hi, siblings } = proof;
        const leaf = keccak256(encodeAbiParameters([{ type: 'address' }, { type: 'address' }], [lo, hi]));
        assert.equal(await harness.read.holdsLeaf([root, leaf, siblings]), true);
        assert.equal(await harness.read.holdsLeaf([root, keccak256(leaf), siblings]), false);
        assert.equal(await harness.read.holdsLeaf([root, leaf, [...siblings, zeroHash]]), false);
      }
  });

  it('reads no proof of more siblings than any tree has', async () => {
    const harness = await deploy();
    const node = (one: Hex, other: Hex) =>
      keccak256(concatHex(one < other ? ['0x01', one, other] : ['0x01', other, one]));
    for (const length of [32, 33]) {
      const proof = Array.from({ length }, (_, index) => toHex(index + 1, { size: 32 }));
      const root = proof.reduce(node, zeroHash as Hex);
      assert.equal(await harness.read.holdsLeaf([root, zeroHash, proof]), length === 32);
    }
  });
});

const paymentFile = new URL('../../../vectors/payments.json', import.meta.url);

describe('vectors/payments.json', () => {
  const vectors = JSON.parse(readFileSync(paymentFile, 'utf8'));
  const deploy = () => connection.viem.deployContract('PaymentRecordsHarness', []);

  it('channels and vouchers', async () => {
    const harness = await deploy();
    const { chainId, payments } = vectors.domain;
    for (const { channel, id } of vectors.channels) {
      assert.equal(await harness.read.channelId([BigInt(chainId), payments, channel]), id);
      assert.equal(await harness.read.operatorChannelId([BigInt(chainId), payments, channel.operator, channel]), id);
    }
    const separator = await harness.read.voucherDomainSeparator([BigInt(chainId), payments]);
    assert.equal(separator, vectors.voucherDomainSeparator);
    const { voucher, digest } = vectors.voucher;
    assert.equal(
      await harness.read.voucherDigest([voucher.channelId, BigInt(voucher.maxClaimableAmount), separator]),
      digest,
    );
  });

  it('settlement statements, with or without channels that they leave out', async () => {
    const harness = await deploy();
    const { domain, pairs, pairsHash, block, digest } = vectors.statement;
    const ids: Hex[] = pairs.map(({ channel }: { channel: Hex }) => channel);
    const { packedTotals } = vectors.statement;
    for (const [allIds, allTotals] of [
      [ids, packedTotals],
      [[...ids, `0x${'ff'.repeat(32)}` as Hex], `${packedTotals}${'00'.repeat(16)}`],
    ] as const)
      assert.deepEqual(
        await harness.read.statementDigest([allIds, allTotals, BigInt(block), BigInt(domain.chainId), domain.registry]),
        [pairsHash, digest],
      );
  });

  it('anchored leaves', async () => {
    const harness = await deploy();
    for (const { digest, leaf } of vectors.anchored.leaves)
      assert.equal(await harness.read.anchoredLeaf([digest]), leaf);
  });
});

const bridgeFile = new URL('../../../vectors/bridge.json', import.meta.url);

describe('vectors/bridge.json', () => {
  const vectors = JSON.parse(readFileSync(bridgeFile, 'utf8'));
  const deploy = () => connection.viem.deployContract('VectorHarness', []);

  it('routes, messages and void statements', async () => {
    const harness = await deploy();
    assert.ok(vectors.messages.length >= 2);
    for (const { source, destination, message, id, void: voided } of vectors.messages) {
      const [from, to] = [BigInt(source.chainId), BigInt(destination.chainId)];
      const route = await harness.read.bridgeRoute([from, source.bridge, message.sender, to, destination.bridge]);
      assert.equal(route, message.route);
      const onChain = { ...message, number: BigInt(message.number), expiry: BigInt(message.expiry) };
      const there = await harness.read.domainSeparator([to, destination.bridge]);
      assert.equal(await harness.read.bridgeMessageId([onChain, there]), id);
      const here = await harness.read.domainSeparator([from, source.bridge]);
      assert.equal(await harness.read.bridgeVoidDigest([message.route, onChain.number, id, here]), voided);
    }
  });

  it('addresses by ERC-7930', async () => {
    const harness = await deploy();
    for (const { chainId, account, address } of vectors.interoperable)
      assert.equal(await harness.read.interoperable([BigInt(chainId), account]), address);
  });
});
