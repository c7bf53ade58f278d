import { nitroEvidenceDocument, snpEvidenceDocument } from '@cloister/attestation/verify';
import {
  type Bytes32,
  networkFileId,
  nitroImageId,
  snpImageId,
  teeTypes,
  type WorkerAnnouncement,
  workerReportData,
  zeroBytes32,
} from '@cloister/core';
import { fromHex } from '@cloister/crypto';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import {
  awsRoot,
  cbor,
  makeNitroDocument,
  type NitroWorldOptions,
  pcr,
  pcrsOf,
} from '../../attestation/test/nitro/syntheticNitro.ts';
import { amdRoot, makeSnpWorld, type SnpWorldOptions } from '../../attestation/test/snp/syntheticSnp.ts';
import { WorkerVerifier } from '../src/verifyWorker.ts';
import { address, bytes32, nowSeconds, SimulatedNetwork, type StubWorker } from './simulatedNetwork.ts';

let network: SimulatedNetwork;
let worker: StubWorker;

beforeEach(async () => {
  network = await SimulatedNetwork.start({
    trustRoots: [
      { tee: 'sev-snp', spkiSha256: amdRoot.spkiSha256, simulated: true, name: 'DEV AMD' },
      { tee: 'nitro', spkiSha256: awsRoot.spkiSha256, simulated: true, name: 'DEV AWS' },
    ],
  });
  const { registries } = network;
  registries.attestedBy = 2;
  for (const teeType of [teeTypes['sev-snp'], teeTypes.nitro]) registries.teeTypes.add(teeType);
  registries.images.add(snpImageId(new Uint8Array(48).fill(0xa1)));
  registries.images.add(nitroImageId(pcr(0xa0), pcr(0xa1), pcr(0xa2)));
  worker = await network.addWorker();
});
afterEach(() => network.stop());

type Bound = Partial<Parameters<typeof workerReportData>[0]>;

function reportData(bound: Bound = {}, blockHash = network.rpc.blocks[2]?.hash ?? zeroBytes32): Uint8Array {
  const { operator, receiptSigner } = worker;
  return workerReportData(
    { ...network.domain, operator, receiptSigner, networkKeysHash: zeroBytes32, ...bound },
    blockHash,
  );
}

type Parts = { readonly reportData?: Uint8Array; readonly configId?: Bytes32 };
type Announced = (parts?: Parts) => WorkerAnnouncement;

function announcing(evidence: object): WorkerAnnouncement {
  return { ...worker.announcement, evidence: evidence as WorkerAnnouncement['evidence'] };
}

function snp(parts: Parts = {}, options: SnpWorldOptions = {}): WorkerAnnouncement {
  const dates = { notBefore: nowSeconds() - 86_400, notAfter: nowSeconds() + 86_400 };
  const { report, certificates } = makeSnpWorld({
    ...options,
    ark: dates,
    ask: dates,
    leaf: dates,
    crl: { thisUpdate: nowSeconds() - 3_600, nextUpdate: nowSeconds() + 3_600, ...options.crl },
    edit: (bytes) => {
      bytes.set(parts.reportData ?? reportData(), 0x50);
      bytes.set(fromHex(parts.configId ?? networkFileId(network.file)), 0xc0);
      options.edit?.(bytes);
    },
  });
  return announcing(snpEvidenceDocument(report, certificates));
}

function nitro(parts: Parts = {}, payload: NitroWorldOptions['payload'] = {}): WorkerAnnouncement {
  const dates = { notBefore: nowSeconds() - 86_400, notAfter: nowSeconds() + 86_400 };
  const document = makeNitroDocument({
    root: dates,
    region: dates,
    instance: dates,
    leaf: dates,
    payload: {
      timestamp: cbor.number((nowSeconds() - 60) * 1_000),
      user_data: cbor.bytes(parts.reportData ?? reportData()),
      nonce: cbor.bytes(fromHex(parts.configId ?? networkFileId(network.file))),
      ...payload,
    },
  });
  return announcing(nitroEvidenceDocument(document));
}

const verify = (announcement: WorkerAnnouncement) =>
  new WorkerVerifier({ network: network.file, registry: network.reader() }).verify(announcement);

describe.each<['sev-snp' | 'nitro', Announced]>([
  ['sev-snp', (parts) => snp(parts)],
  ['nitro', (parts) => nitro(parts)],
])('a worker with %s evidence', (teeType, announced) => {
  test('is verified here, in full, and who checked it for the registry is said beside', async () => {
    const verified = await verify(announced());
    expect(verified).toMatchObject({ attestedBy: 'committee', claims: { teeType, simulated: true } });
    expect(verified.steps.map(({ id }) => id)).toEqual(
      ['chain-fresh', 'evidence', 'policy', 'image', 'network-file', 'binding', 'block'].concat([
        'registered',
        'lease',
        'accepted',
        'key',
      ]),
    );
    expect(verified.steps.every(({ ok }) => ok)).toBe(true);
    expect(verified.steps.find(({ id }) => id === 'evidence')?.title).toContain('SIMULATED');
    expect(verified.steps.find(({ id }) => id === 'registered')?.detail).toContain(
      "checked by the network's committee",
    );
  });

  test.each<[string, string, string, () => WorkerAnnouncement]>([
    ['an image that is not allowed', 'image', 'WORKER_IMAGE_NOT_ALLOWED', () => withoutImages()],
    ['another network file', 'network-file', 'WORKER_OTHER_NETWORK', () => announced({ configId: bytes32(0x66) })],
    ['another operator', 'binding', 'WORKER_BINDING_MISMATCH', () => bound({ operator: address(0x66) })],
    ['another signer', 'binding', 'WORKER_BINDING_MISMATCH', () => bound({ receiptSigner: address(0x66) })],
    ['another chain', 'binding', 'WORKER_BINDING_MISMATCH', () => bound({ chainId: 1 })],
    ['another registry', 'binding', 'WORKER_BINDING_MISMATCH', () => bound({ registry: address(0x66) })],
    ['another block', 'block', 'WORKER_BLOCK_MISMATCH', () => announced({ reportData: reportData({}, bytes32(0x66)) })],
  ])('is refused with %s, whatever the committee said', async (_, step, code, arrange) => {
    await expect(verify(arrange())).rejects.toMatchObject({ code, meta: { step } });
  });

  function withoutImages(): WorkerAnnouncement {
    network.registries.images.clear();
    return announced();
  }

  function bound(changes: Bound): WorkerAnnouncement {
    return announced({ reportData: reportData(changes) });
  }

  test('is refused where the registry asks for newer TCB data than this client knows', async () => {
    network.registries.teePolicy.minimumTcbEvaluationDataNumber = teeType === 'nitro' ? 0 : 1;
    await verify(announced());
    network.registries.teePolicy.minimumTcbEvaluationDataNumber += 1;
    await expect(verify(announced())).rejects.toMatchObject({
      code: 'WORKER_EVIDENCE_REFUSED',
      meta: { step: 'policy' },
    });
  });
});

describe('is refused', () => {
  test.each<[string, string, () => WorkerAnnouncement]>([
    ['an SNP guest in debug mode', 'policy', () => snp({}, { edit: (report) => report.set([0x0b], 0x0a) })],
    ['an SNP guest whose chip is revoked', 'evidence', () => snp({}, { crl: { revoked: [Uint8Array.of(0)] } })],
    ['an SNP guest under a list that is over', 'evidence', () => snp({}, { crl: { nextUpdate: nowSeconds() - 60 } })],
    ['a Nitro enclave in debug mode', 'policy', () => nitro({}, { pcrs: pcrsOf({ 0: pcr(0), 1: pcr(0), 2: pcr(0) }) })],
    [
      'a Nitro document of this morning',
      'evidence',
      () => nitro({}, { timestamp: cbor.number((nowSeconds() - 11_000) * 1_000) }),
    ],
  ])('%s', async (_, step, arrange) => {
    await expect(verify(arrange())).rejects.toMatchObject({ code: 'WORKER_EVIDENCE_REFUSED', meta: { step } });
  });

  test('a Nitro enclave that states no network file, or no report data', async () => {
    await expect(verify(nitro({}, { nonce: cbor.null }))).rejects.toMatchObject({ code: 'WORKER_OTHER_NETWORK' });
    await expect(verify(nitro({}, { user_data: cbor.null }))).rejects.toMatchObject({
      code: 'WORKER_BINDING_MISMATCH',
    });
    const short = cbor.bytes(reportData().subarray(0, 63));
    await expect(verify(nitro({}, { user_data: short }))).rejects.toMatchObject({ code: 'WORKER_BINDING_MISMATCH' });
  });

  test('an enclave of Intel: no worker runs in one', async () => {
    const { collateral } = worker.evidence();
    const evidence = { format: 'cloister-evidence-1', teeType: 'sgx', quote: 'AAAA', collateral };
    await expect(verify(announcing(evidence))).rejects.toMatchObject({
      code: 'WORKER_EVIDENCE_REFUSED',
      meta: { step: 'evidence' },
    });
  });
});
