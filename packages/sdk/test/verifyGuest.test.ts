import { createSimulatedPlatform, type SimulatedPlatform } from '@cloister/attestation/unsafe-simulated';
import { replay, runtimeDigest, runtimeEventType } from '@cloister/attestation/verify';
import {
  type Bytes32,
  type GuestAttestation,
  type GuestInstance,
  guestAttestationBytes,
  guestInstanceId,
  guestLogDigest,
  guestReportData,
} from '@cloister/core';
import { addressOf, fromHex, generateSecp256k1, type SecretBytes, signDigest, toHex, utf8 } from '@cloister/crypto';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { verifyGuest } from '../src/verifyGuest.ts';
import { bytes32, image, nowSeconds, SimulatedNetwork, type StubWorker } from './simulatedNetwork.ts';

let network: SimulatedNetwork;
let worker: StubWorker;
let platform: SimulatedPlatform;
beforeEach(async () => {
  network = await SimulatedNetwork.start();
  worker = await network.addWorker();
  platform = createSimulatedPlatform(network.root, { now: nowSeconds() });
  worker.platformId = toHex(platform.tcb.ppid).padEnd(66, '0') as Bytes32;
  await worker.register();
});
afterEach(() => network.stop());

const app = bytes32(0xa9);
const nonce = utf8('nonce');
const padded = (bytes: Uint8Array) => {
  const filled = new Uint8Array(64);
  filled.set(bytes);
  return filled;
};

type Changes = {
  readonly evidence?: Parameters<StubWorker['evidence']>[0];
  readonly instance?: Partial<GuestInstance>;
  /** By whom the log is signed. */
  readonly signer?: SecretBytes;
  readonly events?: readonly (readonly [name: string, payload: Uint8Array])[];
  readonly edit?: (attestation: GuestAttestation) => GuestAttestation;
};

/** What a worker's guest agent answers to `attest`, but for the changes. */
function attestation({
  evidence,
  instance: other,
  signer = worker.signer,
  events,
  edit = (same) => same,
}: Changes = {}) {
  const { domain } = network;
  const manifest = bytes32(0x3a);
  const instance = { receiptSigner: worker.receiptSigner, app, manifest, keyVersion: 1, nonce: bytes32(9), ...other };
  const log = events ?? [
    ['app-id', fromHex(instance.app)],
    ['compose-hash', fromHex(manifest)],
    ['system-ready', new Uint8Array()],
    ['emitted', utf8('by the app')],
  ];
  const json = log.map(([name, payload]) => ({
    imr: 3,
    event_type: runtimeEventType,
    digest: toHex(runtimeDigest({ name, payload, version: 1 })).slice(2),
    event: name,
    event_payload: toHex(payload).slice(2),
  }));
  const register = replay(
    log.map(([name, payload]) => ({ register: 'rtmr3', digest: runtimeDigest({ name, payload, version: 1 }) })),
  ).rtmr3;
  const id = guestInstanceId(instance);
  const said = { instance: id, events: log.length, register: fromHex(register) };
  const signature = toHex(signDigest(signer, fromHex(guestLogDigest(domain, said))));
  const reportData = guestReportData({ ...domain, app: instance.app, instance: id }, padded(nonce));
  return guestAttestationBytes(
    edit({
      format: 'cloister-guest-attestation-1',
      reportData: toHex(padded(nonce)),
      statement: {
        format: 'cloister-guest-1',
        ...domain,
        ...instance,
        log: { events: log.length, register, signature },
      },
      eventLog: JSON.stringify(json),
      evidence: worker.evidence({ reportData, platform, ...evidence }),
    }),
  );
}

const verify = (bytes: Uint8Array, expected: { readonly app?: Bytes32; readonly reportData?: Uint8Array } = {}) =>
  verifyGuest({ network: network.file, registry: network.reader() }, bytes, { app, reportData: nonce, ...expected });
const refused = (code: string) => expect.objectContaining({ code });

test('an app on a registered worker is believed, with what it emitted', async () => {
  const verified = await verify(attestation());
  expect(verified).toMatchObject({
    workerId: worker.workerId,
    statement: { manifest: bytes32(0x3a), receiptSigner: worker.receiptSigner },
    claims: { simulated: true },
  });
  expect(verified.events).toEqual([{ name: 'emitted', payload: utf8('by the app') }]);
});

describe('is refused', () => {
  test('for another app, another question, another network', async () => {
    const good = attestation();
    await expect(verify(good, { app: bytes32(1) })).rejects.toEqual(refused('GUEST_EVIDENCE_REFUSED'));
    for (const reportData of [utf8('other'), utf8('nonce\u0001'), new Uint8Array(65)])
      await expect(verify(good, { reportData })).rejects.toEqual(refused('GUEST_EVIDENCE_REFUSED'));
    const other = { network: { ...network.file, chainId: 5 }, registry: network.reader() };
    await expect(verifyGuest(other, good, { app, reportData: nonce })).rejects.toEqual(
      refused('GUEST_EVIDENCE_REFUSED'),
    );
  });

  test.each<[string, (good: GuestAttestation) => GuestAttestation]>([
    ['another manifest', (good) => ({ ...good, statement: { ...good.statement, manifest: bytes32(7) } })],
    [
      'another signer',
      (good) => ({ ...good, statement: { ...good.statement, receiptSigner: `0x${'33'.repeat(20)}` } }),
    ],
    ['another key version', (good) => ({ ...good, statement: { ...good.statement, keyVersion: 2 } })],
    ['another nonce of the instance', (good) => ({ ...good, statement: { ...good.statement, nonce: bytes32(8) } })],
    ['an event left out', (good) => ({ ...good, eventLog: JSON.stringify(JSON.parse(good.eventLog).slice(0, -1)) })],
    [
      'an event changed',
      (good) => ({ ...good, eventLog: good.eventLog.replace(toHex(utf8('by the app')).slice(2), 'ff') }),
    ],
    [
      'a log cut together with its count',
      (good) => ({
        ...good,
        statement: { ...good.statement, log: { ...good.statement.log, events: 3 } },
        eventLog: JSON.stringify(JSON.parse(good.eventLog).slice(0, 3)),
      }),
    ],
  ])('with %s', async (_, edit) => {
    await expect(verify(attestation({ edit }))).rejects.toEqual(refused('GUEST_EVIDENCE_REFUSED'));
  });

  test('with a log that another signed, or that is not of this app', async () => {
    const strangers = attestation({ signer: generateSecp256k1() });
    await expect(verify(strangers)).rejects.toEqual(refused('GUEST_EVIDENCE_REFUSED'));
    const foreign = [['app-id', fromHex(bytes32(1))] as const, ['system-ready', new Uint8Array()] as const];
    await expect(verify(attestation({ events: foreign }))).rejects.toEqual(refused('GUEST_EVIDENCE_REFUSED'));
    await expect(verify(attestation({ events: [] }))).rejects.toEqual(refused('GUEST_EVIDENCE_REFUSED'));
  });

  test('with the evidence of the worker itself', async () => {
    const edit = (good: GuestAttestation) => ({ ...good, evidence: worker.evidence({ platform }) });
    await expect(verify(attestation({ edit }))).rejects.toEqual(refused('GUEST_EVIDENCE_REFUSED'));
  });

  test('of a signer that no worker has', async () => {
    const signer = generateSecp256k1();
    const instance = { receiptSigner: addressOf(signer) };
    await expect(verify(attestation({ signer, instance }))).rejects.toEqual(refused('GUEST_WORKER_NOT_REGISTERED'));
  });

  test('of another machine than the worker is registered with', async () => {
    const other = createSimulatedPlatform(network.root, { now: nowSeconds() });
    await expect(verify(attestation({ evidence: { platform: other } }))).rejects.toEqual(
      refused('GUEST_MACHINE_OTHER'),
    );
  });

  test('of another image than the worker is registered with', async () => {
    const other = { ...image, rtmr1: new Uint8Array(48).fill(9) };
    await expect(verify(attestation({ evidence: { image: other } }))).rejects.toEqual(refused('GUEST_MACHINE_OTHER'));
  });

  test('once the chain accepts the worker no more', async () => {
    const good = attestation();
    network.registries.images.clear();
    await expect(verify(good)).rejects.toEqual(refused('GUEST_WORKER_NOT_ACCEPTED'));
  });

  test('by a chain that has stopped', async () => {
    const late = { network: network.file, registry: network.reader(), clockMs: () => Date.now() + 3_600_000 };
    await expect(verifyGuest(late, attestation(), { app, reportData: nonce })).rejects.toEqual(
      refused('GUEST_CHAIN_STALE'),
    );
  });

  test('as what it is not: cut off, of another form', async () => {
    for (const bytes of [attestation().slice(0, -1), utf8('{}'), new Uint8Array()])
      await expect(verify(bytes)).rejects.toEqual(refused('GUEST_EVIDENCE_REFUSED'));
  });
});
