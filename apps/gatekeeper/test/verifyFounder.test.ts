import { createSimulatedPlatform, mintCollateral, mintQuote } from '@cloister/attestation/unsafe-simulated';
import { evidenceDocument, evidenceJson } from '@cloister/attestation/verify';
import { ChainView, CommitteeReader } from '@cloister/chain';
import {
  type Bytes32,
  gatekeeperReportData,
  mrConfigIdOf,
  networkFileId,
  tdxImageId,
  zeroBytes32,
} from '@cloister/core';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { image, nowSeconds, SimulatedNetwork } from '../../../packages/sdk/test/simulatedNetwork.ts';
import type { Member } from '../src/committeeState.ts';
import { Peers } from '../src/peers/peers.ts';
import { founderVerifier } from '../src/verifyFounder.ts';

const founder: Member = {
  operator: `0x${'0a'.repeat(20)}`,
  signer: `0x${'0b'.repeat(20)}`,
  hpkeKey: `0x${'0c'.repeat(32)}`,
  endpoint: 'http://founder',
};

let network: SimulatedNetwork;
beforeEach(async () => {
  network = await SimulatedNetwork.start();
  network.registries.committee.images.add(tdxImageId(image));
});
afterEach(() => network.stop());

type Parts = {
  readonly bound?: Partial<Parameters<typeof gatekeeperReportData>[0]>;
  readonly blockHash?: Bytes32;
  readonly configId?: Bytes32;
  readonly root?: SimulatedNetwork['root'];
};

/** The evidence that a founder registers with; good unless something of it is another. */
function evidenceOf({ bound, blockHash, configId, root = network.root }: Parts = {}): Record<string, unknown> {
  const { file, rpc } = network;
  const platform = createSimulatedPlatform(root, { now: nowSeconds() });
  const binding = { chainId: file.chainId, committee: file.contracts.gatekeeperCommittee, ...founder };
  const quote = mintQuote(platform, {
    ...image,
    mrConfigId: mrConfigIdOf(configId ?? networkFileId(file)),
    reportData: gatekeeperReportData(
      { ...binding, networkKeysHash: zeroBytes32, ...bound },
      blockHash ?? rpc.blocks[2]?.hash ?? zeroBytes32,
    ),
  });
  const document = evidenceDocument(quote, mintCollateral(root, { issuedAt: nowSeconds() - 3_600 }));
  return evidenceJson(document) as unknown as Record<string, unknown>;
}

/** What becomes of a founder that shows this. */
function verify(shown: unknown, asFounder = founder, file = network.file): Promise<void> {
  const reader = new CommitteeReader(new ChainView({ chainId: file.chainId, rpcs: file.rpcs }), file.contracts);
  const asked: typeof fetch = async (url) => {
    if (String(url) !== 'http://founder/v1/evidence') throw new Error(`Nobody is at ${url}`);
    return shown instanceof Response ? shown : Response.json(shown);
  };
  return founderVerifier({ network: file, reader, peers: new Peers({ fetch: asked }) })(
    asFounder,
    AbortSignal.timeout(15_000),
  );
}

const refusal = (why: RegExp) =>
  expect.objectContaining({
    code: 'FOUNDER_REFUSED',
    message: expect.stringMatching(why),
    meta: { operator: founder.operator, signer: founder.signer },
  });

test('a founder of the allowed image, with this network file, bound to its own keys and a recent block, is taken', async () => {
  await verify(evidenceOf());
});

describe('a founder is refused', () => {
  test.each<[string, RegExp, () => Parts]>([
    ['bound to another signer', /bound to something else/, () => ({ bound: { signer: `0x${'1b'.repeat(20)}` } })],
    ['bound to another HPKE key', /bound to something else/, () => ({ bound: { hpkeKey: zeroBytes32 } })],
    ['bound to another operator', /bound to something else/, () => ({ bound: { operator: `0x${'1a'.repeat(20)}` } })],
    ['bound to another committee', /bound to something else/, () => ({ bound: { committee: `0x${'1c'.repeat(20)}` } })],
    ['bound to another chain', /bound to something else/, () => ({ bound: { chainId: 1 } })],
    ['bound to keys that there already are', /something else/, () => ({ bound: { networkKeysHash: founder.hpkeKey } })],
    ['with another network file', /another network file/, () => ({ configId: founder.hpkeKey })],
    ['that names no block of this chain', /no recent block/, () => ({ blockHash: founder.hpkeKey })],
  ])('%s', async (_, why, parts) => {
    await expect(verify(evidenceOf(parts()))).rejects.toEqual(refusal(why));
  });

  test('with an image that the gatekeepers’ registry does not allow, whatever the workers’ does', async () => {
    network.registries.committee.images.clear();
    await expect(verify(evidenceOf())).rejects.toEqual(refusal(/its image "0x[0-9a-f]{64}" is not allowed/));
  });

  test('with evidence below another root', async () => {
    const other = await SimulatedNetwork.start();
    await other.stop();
    await expect(verify(evidenceOf({ root: other.root }))).rejects.toEqual(refusal(/./));
  });

  test('with evidence that was changed, or of another TEE, or that is none', async () => {
    const good = evidenceOf();
    const quote = Buffer.from(String(good.quote), 'base64');
    quote[200] = (quote[200] ?? 0) ^ 1;
    await expect(verify({ ...good, quote: quote.toString('base64') })).rejects.toEqual(refusal(/./));
    await expect(verify({ ...good, teeType: 'sgx' })).rejects.toEqual(refusal(/of a "sgx"/));
    for (const nonsense of [{}, null, 'text', { ...good, more: 1 }])
      await expect(verify(nonsense)).rejects.toEqual(refusal(/./));
  });

  test('with simulated evidence on a network that is not simulated', async () => {
    const evidence = evidenceOf();
    await expect(verify(evidence, founder, { ...network.file, simulated: false })).rejects.toEqual(
      refusal(/simulated/),
    );
  });

  test('with a block that is long past', async () => {
    // The evidence names block 2.
    while (network.rpc.head.number < 2n + 4_096n) network.rpc.mine();
    await verify(evidenceOf());
    network.rpc.mine();
    await expect(verify(evidenceOf())).rejects.toEqual(refusal(/no recent block/));
  });
});

test('one that does not answer, or with an error, may be asked again', async () => {
  const unanswered = expect.objectContaining({ code: 'PEER_FAILED', retry: true });
  await expect(verify(new Response('{}', { status: 503 }))).rejects.toEqual(unanswered);
  await expect(verify({}, { ...founder, endpoint: 'http://elsewhere' })).rejects.toEqual(unanswered);
});
