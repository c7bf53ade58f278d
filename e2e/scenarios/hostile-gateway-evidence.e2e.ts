import assert from 'node:assert/strict';
import { announcementToJson, parseNetworkFile, type WorkerAnnouncement } from '@cloister/core';
import { addressOf, fromHex, generateSecp256k1, toHex } from '@cloister/crypto';
import { createClient, type WorkerRefusedErrorCode } from '@cloister/sdk';
import type { Scenario } from '../scenario.ts';
import { clientOf, counterSource, deployFunction } from '../support/apps.ts';
import { type Answered, HostileGateway, jsonAnswer, type Relayed } from '../support/hostileGateway.ts';
import { verifiedWorker } from '../support/rawCalls.ts';
import { refusedWith } from '../support/refusals.ts';
import { flipped } from '../support/sealedAnswer.ts';
import { UnsafeForge } from '../support/unsafeForge.ts';

type Case = {
  readonly name: string;
  readonly code: WorkerRefusedErrorCode;
  /** The step of the verification that does not hold. */
  readonly step: string;
  readonly announcement: WorkerAnnouncement;
};

export const scenario: Scenario = {
  title: 'Nothing is sealed to a worker whose evidence a gateway has changed, swapped or invented',
  async run({ network: start, note }) {
    const network = await start();
    const { app } = await deployFunction(network, 'evidence-counter', counterSource);
    const gateway = await HostileGateway.start(network.network.gateways[0] ?? '');
    try {
      const genuine = await verifiedWorker(clientOf(network));
      const forge = await UnsafeForge.open(network, genuine);
      for (const { name, code, step, announcement } of await falseAnnouncements(genuine.announcement, forge)) {
        note(name);
        await gateway.during({ request: offering(announcement) }, async () => {
          const client = clientOf(network, { gateways: [gateway.url] });
          const [listed, ...others] = await client.workers();
          assert.deepEqual(others, []);
          assert.equal(listed?.refusal?.code, code, `${name}: ${listed?.refusal?.message ?? 'it was accepted'}`);
          assert.deepEqual(listed.refusal.steps.at(-1)?.id, step, name);
          await refusedWith('CALL_NO_WORKER', client.call(app));
          assert.equal(gateway.sealed.length, 0, `${name}: something was sealed and sent`);
        });
      }

      note('a genuine worker, to a client of another network file');
      const other = parseNetworkFile({ ...network.network, name: 'another network' });
      const stranger = createClient({ network: other, gateways: [gateway.url] });
      const refusals = (await stranger.workers()).map(({ refusal }) => refusal?.code);
      assert.deepEqual([...new Set(refusals)], ['WORKER_OTHER_NETWORK']);
      await refusedWith('CALL_NO_WORKER', stranger.call(app));

      note('malformed announcements are passed over, and the genuine one is used');
      const mixed = [null, 5, {}, { announcement: null }, { announcement: { format: 'cloister-worker-1' } }];
      const serve = (request: Relayed): Relayed | Answered =>
        isDirectory(request)
          ? jsonAnswer([...mixed, { announcement: announcementToJson(genuine.announcement) }])
          : request;
      await gateway.during({ request: serve }, async () => {
        const result = await clientOf(network, { gateways: [gateway.url] }).call(app);
        assert.equal(result.outcome, 'ok');
        assert.equal(result.worker.workerId, genuine.workerId);
        assert.equal(gateway.calls.length, 1);
      });
    } finally {
      await gateway.stop();
    }
  },
};

/** Everything that a gateway could put in the place of a genuine announcement, and how each is told apart. */
async function falseAnnouncements(genuine: WorkerAnnouncement, forge: UnsafeForge): Promise<readonly Case[]> {
  const { operator, receiptSigner } = genuine;
  const [key] = genuine.keyConfigs;
  assert.ok(key !== undefined);
  const forged = async (change: Partial<Parameters<UnsafeForge['evidence']>[0]>): Promise<WorkerAnnouncement> => ({
    ...genuine,
    ...(await forge.evidence({ operator, receiptSigner, ...change })),
  });
  const own = await forge.registerOwnWorker();
  const [ownKey] = own.announcement.keyConfigs;
  assert.ok(ownKey !== undefined);
  const stranger = generateSecp256k1();
  const zeros = toHex(new Uint8Array(48));
  const image = { mrtd: zeros, rtmr0: zeros, rtmr1: zeros, rtmr2: zeros };
  const other = toHex(Uint8Array.of(1, ...new Uint8Array(31)));
  const badKey = (name: string, announcement: WorkerAnnouncement): Case => ({
    name,
    code: 'WORKER_KEY_INVALID',
    step: 'key',
    announcement,
  });
  const badEvidence = (name: string, announcement: WorkerAnnouncement): Case => ({
    name,
    code: 'WORKER_EVIDENCE_REFUSED',
    step: 'evidence',
    announcement,
  });
  return [
    badEvidence('evidence under another root named DEV', await forged({ root: UnsafeForge.foreignRoot() })),
    ...[0, 60, 300, 700, 2_000].map((at) => badEvidence(`a quote with byte ${at} changed`, changedQuote(genuine, at))),
    badEvidence(
      'a quote cut short',
      withQuote(genuine, (quote) => quote.subarray(0, 600)),
    ),
    badEvidence('no collateral', {
      ...genuine,
      evidence: { ...genuine.evidence, collateral: {} },
    }),
    badEvidence('an evidence document with a field more', {
      ...genuine,
      evidence: { ...genuine.evidence, trustMe: true },
    }),
    {
      name: 'an image that the network does not allow',
      code: 'WORKER_IMAGE_NOT_ALLOWED',
      step: 'image',
      announcement: await forged({ image }),
    },
    {
      name: "another network file's worker",
      code: 'WORKER_OTHER_NETWORK',
      step: 'network-file',
      announcement: await forged({ configId: other }),
    },
    {
      name: "another chain's worker",
      code: 'WORKER_BINDING_MISMATCH',
      step: 'binding',
      announcement: await forged({ chainId: 1 }),
    },
    {
      name: 'genuine evidence beside the signer of somebody else',
      code: 'WORKER_BINDING_MISMATCH',
      step: 'binding',
      announcement: { ...genuine, receiptSigner: addressOf(stranger) },
    },
    {
      name: "genuine evidence beside another worker's operator",
      code: 'WORKER_BINDING_MISMATCH',
      step: 'binding',
      announcement: { ...genuine, operator: own.announcement.operator },
    },
    {
      name: 'a quote over a block that never was',
      code: 'WORKER_BLOCK_MISMATCH',
      step: 'block',
      announcement: await forged({ blockHash: other }),
    },
    {
      name: 'a quote over another block than it says',
      code: 'WORKER_BLOCK_MISMATCH',
      step: 'block',
      announcement: { ...genuine, attestedBlock: genuine.attestedBlock - 1n },
    },
    {
      name: 'a quote over a block that is still to come',
      code: 'WORKER_BLOCK_MISMATCH',
      step: 'block',
      announcement: { ...genuine, attestedBlock: genuine.attestedBlock + 1_000_000n },
    },
    {
      name: 'evidence for a signer that was never registered',
      code: 'WORKER_NOT_REGISTERED',
      step: 'registered',
      announcement: await signedFor(genuine, forge, stranger),
    },
    {
      name: "a registered worker's evidence under the id of another",
      code: 'WORKER_NOT_REGISTERED',
      step: 'registered',
      announcement: { ...own.announcement, workerId: genuine.workerId },
    },
    badKey('a key configuration with one bit changed', {
      ...genuine,
      keyConfigs: [{ ...key, config: toHex(flipped(fromHex(key.config), 10)) }],
    }),
    badKey('a key of the gateway, signed by a signer of its own', {
      ...genuine,
      keyConfigs: [await forge.keyConfig(stranger, key.notBefore, key.notAfter)],
    }),
    badKey('a key of another worker, genuinely signed by that one', { ...genuine, keyConfigs: [ownKey] }),
    badKey('a key whose end was put off', { ...genuine, keyConfigs: [{ ...key, notAfter: key.notAfter + 3_600n }] }),
    badKey('a key that has expired', {
      ...own.announcement,
      keyConfigs: [await forge.keyConfig(own.signer, ownKey.notBefore - 60n, ownKey.notBefore - 1n)],
    }),
    badKey('a key that is not valid yet', {
      ...own.announcement,
      keyConfigs: [await forge.keyConfig(own.signer, ownKey.notBefore + 900n, ownKey.notAfter)],
    }),
    badKey('a key that outlives the lease', {
      ...own.announcement,
      keyConfigs: [await forge.keyConfig(own.signer, ownKey.notBefore, ownKey.notAfter + 1n)],
    }),
  ];
}

/** Evidence whose every part is genuine but that nobody registered: it names a signer of our own. */
async function signedFor(
  genuine: WorkerAnnouncement,
  forge: UnsafeForge,
  signer: ReturnType<typeof generateSecp256k1>,
): Promise<WorkerAnnouncement> {
  const receiptSigner = addressOf(signer);
  const [key] = genuine.keyConfigs;
  return {
    ...genuine,
    receiptSigner,
    ...(await forge.evidence({ operator: genuine.operator, receiptSigner })),
    keyConfigs: [await forge.keyConfig(signer, key?.notBefore ?? 0n, key?.notAfter ?? 0n)],
  };
}

function changedQuote(genuine: WorkerAnnouncement, at: number): WorkerAnnouncement {
  return withQuote(genuine, (quote) => flipped(quote, at));
}

function withQuote(genuine: WorkerAnnouncement, change: (quote: Uint8Array) => Uint8Array): WorkerAnnouncement {
  const quote = Uint8Array.from(Buffer.from(String(genuine.evidence.quote), 'base64'));
  return {
    ...genuine,
    evidence: { ...genuine.evidence, quote: Buffer.from(change(quote)).toString('base64') },
  };
}

/** A gateway that offers this worker alone, and is otherwise faithful. */
function offering(announcement: WorkerAnnouncement): (request: Relayed) => Relayed | Answered {
  const { workerId } = announcement;
  const entry = { workerId, announcement: announcementToJson(announcement) };
  return (request) => (isDirectory(request) ? jsonAnswer([entry]) : request);
}

function isDirectory({ path }: Relayed): boolean {
  return path.split('?')[0] === '/v1/workers';
}
