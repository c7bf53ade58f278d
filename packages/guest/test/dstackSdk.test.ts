// The unmodified SDK of dstack against our socket: every method that it has.

import { X509Certificate } from 'node:crypto';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { connect as connectTls, createServer as createTlsServer } from 'node:tls';
import { parseEvidence, verifyGuestAttestation } from '@cloister/attestation/verify';
import {
  guestAppKeyDigest,
  guestInstanceId,
  manifestId,
  parseGuestAttestation,
  workerReportData,
} from '@cloister/core';
import { fromHex, keccak256, toHex } from '@cloister/crypto';
import { addressOf, recoverAddress } from '@cloister/crypto/native-secp256k1';
import { certificateReportData, type GuestSocket, serveGuest } from '@cloister/guest';
import { ed25519 } from '@noble/curves/ed25519';
import { secp256k1 } from '@noble/curves/secp256k1';
import { sha256 } from '@noble/hashes/sha2';
import { DstackClient, getComposeHash, TappdClient } from '@phala/dstack-sdk';
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest';
import { agentInit, agentWith, b32, domain, manifest, now, receiptSigner, signal, verifier } from './guestParts.ts';

const folder = mkdtempSync(join(tmpdir(), 'cloister-guest-'));
const path = join(folder, 'dstack.sock');
const { instance } = agentInit();
const text = (value: string) => new TextEncoder().encode(value);
const bare = (bytes: Uint8Array) => toHex(bytes).slice(2);

let socket: GuestSocket;
let client: DstackClient;
beforeAll(async () => {
  socket = await serveGuest({ path, agent: await agentWith(), signal });
  client = new DstackClient(path);
});
afterAll(async () => {
  await socket.close();
  rmSync(folder, { recursive: true, force: true });
});

/** Who signed over a digest, by the signature with a recovery id that dstack writes. */
function signerOf(digest: Uint8Array, signature: Uint8Array): string {
  const recovered = secp256k1.Signature.fromCompact(signature.slice(0, 64)).addRecoveryBit(signature[64] ?? 9);
  return recovered.recoverPublicKey(digest).toHex(true);
}

/** The app's key, as the last two links of a chain vouch for it: the second for `publicKey`, the last for the app's key. */
function appKeyOf(purpose: string, publicKey: Uint8Array, [byApp, byWorker]: readonly Uint8Array[]): string {
  const appKey = signerOf(keccak256(text(`${purpose}:${bare(publicKey)}`)), byApp as Uint8Array);
  const said = { ...instance, publicKey: fromHex(`0x${appKey}`) };
  const ethereum = (byWorker as Uint8Array).slice();
  ethereum[64] = (ethereum[64] ?? 0) + 27;
  expect(recoverAddress(fromHex(guestAppKeyDigest(domain, said)), ethereum)).toBe(addressOf(receiptSigner));
  return appKey;
}

test('version and reach', async () => {
  expect(await client.version()).toMatchObject({ version: '0.5.8' });
  // It gives up after half a second, which a busy machine may need for its first quote.
  await expect.poll(() => client.isReachable(), { timeout: 15_000 }).toBe(true);
});

describe('keys', () => {
  test.each(['secp256k1', 'ed25519'])('%s: the same for the same path, with a chain up to the worker', async (kind) => {
    const first = await client.getKey('wallet/ethereum', 'mainnet', kind);
    const again = await client.getKey('wallet/ethereum', 'mainnet', kind);
    expect(again.key).toEqual(first.key);
    const publicKey = kind === 'ed25519' ? ed25519.getPublicKey(first.key) : secp256k1.getPublicKey(first.key, true);
    const appKey = appKeyOf('mainnet', publicKey, first.signature_chain);
    const other = await client.getKey('other', 'mainnet', kind);
    const otherKey = kind === 'ed25519' ? ed25519.getPublicKey(other.key) : secp256k1.getPublicKey(other.key, true);
    expect(appKeyOf('mainnet', otherKey, other.signature_chain)).toBe(appKey);
  });

  test('path, purpose and algorithm each make another key', async () => {
    const asked = [[], ['a'], ['a', 'p'], ['ap'], ['', 'ap'], ['a', 'p', 'ed25519'], ['a', '', 'ed25519']] as const;
    const keys = await Promise.all(asked.map(async (arguments_) => bare((await client.getKey(...arguments_)).key)));
    expect(new Set(keys).size).toBe(keys.length);
    expect((await client.getKey('a', 'p', 'k256')).key).toEqual((await client.getKey('a', 'p')).key);
  });

  test('an algorithm that there is not fails', async () => {
    await expect(client.getKey('a', 'b', 'rsa')).rejects.toThrow('failed to parse response');
  });
});

describe('signatures', () => {
  const data = 'Grüße';

  test('secp256k1 over SHA-256, of a digest, and Ed25519, judged by another library', async () => {
    const ecdsa = await client.sign('secp256k1', data);
    expect(secp256k1.verify(ecdsa.signature, sha256(text(data)), ecdsa.public_key)).toBe(true);
    const digest = keccak256(text(data));
    const prehashed = await client.sign('secp256k1_prehashed', digest);
    expect(prehashed.public_key).toEqual(ecdsa.public_key);
    expect(secp256k1.verify(prehashed.signature, digest, prehashed.public_key)).toBe(true);
    const eddsa = await client.sign('ed25519', data);
    expect(ed25519.verify(eddsa.signature, text(data), eddsa.public_key)).toBe(true);
    for (const { signature, signature_chain, public_key } of [ecdsa, eddsa]) {
      expect(signature_chain).toHaveLength(3);
      expect(signature_chain[0]).toEqual(signature);
      appKeyOf('signing', public_key, signature_chain.slice(1));
    }
  });

  test('no key that can be got signs like it', async () => {
    const { public_key } = await client.sign('secp256k1', data);
    for (const [path, purpose] of [['vms', 'signing'], ['', 'signing'], ['']] as const) {
      const { key } = await client.getKey(path, purpose);
      expect(secp256k1.getPublicKey(key, true)).not.toEqual(public_key);
    }
  });

  test.each(['secp256k1', 'secp256k1_prehashed', 'ed25519'])('%s: verify knows what is signed', async (kind) => {
    const message = kind === 'secp256k1_prehashed' ? keccak256(text(data)) : text(data);
    const { signature, public_key } = await client.sign(kind, message);
    expect(await client.verify(kind, message, signature, public_key)).toMatchObject({ valid: true });
    const changed = signature.slice();
    changed[5] = (changed[5] ?? 0) ^ 1;
    expect(await client.verify(kind, message, changed, public_key)).toMatchObject({ valid: false });
    expect(await client.verify(kind, message, signature.slice(1), public_key)).toMatchObject({ valid: false });
    expect(await client.verify(kind, message, signature, public_key.slice(1))).toMatchObject({ valid: false });
    const other = message.slice();
    other[0] = (other[0] ?? 0) ^ 1;
    expect(await client.verify(kind, other, signature, public_key)).toMatchObject({ valid: false });
  });
});

describe('quotes and events', () => {
  test('a quote is bound to app, instance and what was chosen, and its log replays', async () => {
    const before = (await client.info()).tcb_info.event_log.length;
    await client.emitEvent('model-loaded', 'weights');
    const answer = await client.getQuote('nonce of somebody');
    const chosen = `${bare(text('nonce of somebody'))}`.padEnd(128, '0');
    expect(answer.report_data).toBe(chosen);
    const events = JSON.parse(answer.event_log);
    expect(events).toHaveLength(before + 1);
    expect(events.at(-1)).toMatchObject({ imr: 3, event: 'model-loaded', event_payload: bare(text('weights')) });
    const { tcb_info } = await client.info();
    const replayed = answer.replayRtmrs();
    expect(replayed[3]).toBe(tcb_info.rtmr3);
    // What the hardware signed is not what the app chose.
    expect(answer.quote).not.toContain(chosen.slice(0, 34));
    expect(answer.quote).toContain(tcb_info.mrtd);
    expect(JSON.parse(answer.vm_config ?? '')).toMatchObject({
      app: instance.app,
      manifest: instance.manifest,
      log: { register: `0x${tcb_info.rtmr3}` },
    });
  });

  test('an attestation carries everything that a stranger needs', async () => {
    await client.emitEvent('ready', Uint8Array.of(1, 2));
    const { attestation } = await client.attest(Uint8Array.of(5, 6));
    const parsed = parseGuestAttestation(fromHex(`0x${attestation}`));
    const expected = { ...domain, app: instance.app, reportData: Uint8Array.of(5, 6) };
    const verified = await verifyGuestAttestation(verifier, parsed, expected, now);
    expect(verified.events.at(-1)).toEqual({ name: 'ready', payload: Uint8Array.of(1, 2) });
    expect(verified.claims.simulated).toBe(true);
  });

  test('the report data of a worker, asked for by a guest, does not come into the quote, not even by half', async () => {
    const binding = {
      ...domain,
      operator: b32(2).slice(0, 42) as `0x${string}`,
      receiptSigner: instance.receiptSigner,
    };
    const wanted = workerReportData({ ...binding, networkKeysHash: b32(4) }, b32(5));
    const { attestation, ...answer } = { ...(await client.getQuote(wanted)), ...(await client.attest(wanted)) };
    expect(answer.report_data).toBe(bare(wanted));
    const { evidence } = parseGuestAttestation(fromHex(`0x${attestation}`));
    const { reportData } = await verifier.verify(parseEvidence(evidence), now);
    expect(reportData?.slice(0, 66)).not.toBe(toHex(wanted.subarray(0, 32)));
    // No block has this hash.
    expect(reportData?.slice(66)).toBe('0'.repeat(64));
    for (const half of [wanted.subarray(0, 32), wanted.subarray(32)]) expect(answer.quote).not.toContain(bare(half));
  });

  test('an event that is refused is not taken for one that was emitted', async () => {
    await expect(client.emitEvent('a:b', '')).rejects.toThrow('failed to parse response');
    await expect(client.emitEvent('large', new Uint8Array(1_025))).rejects.toThrow('failed to parse response');
  });
});

test('info names app, instance and manifest; its hash is the one that the SDK computes', async () => {
  const info = await client.info();
  expect(info).toMatchObject({
    app_id: instance.app.slice(2),
    instance_id: guestInstanceId(instance).slice(2),
    app_name: 'asking',
    compose_hash: manifestId(manifest).slice(2),
    cloud_vendor: 'simulated',
  });
  expect(JSON.parse(info.tcb_info.app_compose)).toEqual(manifest);
  expect(getComposeHash(JSON.parse(info.tcb_info.app_compose))).toBe(info.compose_hash);
  expect(new X509Certificate(info.app_cert).subject).toBe(`CN=${instance.app.slice(2)}`);
  expect(JSON.parse(info.key_provider_info)).toMatchObject({ name: 'cloister-committee' });
});

describe('TLS', () => {
  test('a fresh key with a certificate of the app', async () => {
    const options = { subject: 'db', altNames: ['db.example', '*.db.example', '10.0.0.7'], usageClientAuth: true };
    const one = await client.getTlsKey(options);
    const two = await client.getTlsKey(options);
    expect(one.key).not.toBe(two.key);
    const [leaf, ca] = one.certificate_chain.map((pem) => new X509Certificate(pem));
    expect(leaf?.subjectAltName).toBe('DNS:db.example, DNS:*.db.example, IP Address:10.0.0.7');
    expect(leaf?.verify((ca as X509Certificate).publicKey)).toBe(true);
    expect(ca?.raw.equals(new X509Certificate((await client.info()).app_cert).raw)).toBe(true);
    expect(one.asUint8Array(32)).toHaveLength(32);
  });

  test('serves, and is served by, whoever pins the app’s root; another app’s certificate is refused', async () => {
    const other = await serveGuest({ path: `${path}-2`, agent: await agentWith({ rootByte: 8 }), signal });
    const ca = (await client.info()).app_cert;
    const options = { altNames: ['db.example'], usageRaTls: true };
    const times = { notBefore: Math.floor(Date.now() / 1_000) - 60, notAfter: Math.floor(Date.now() / 1_000) + 3_600 };
    const ofServer = await client.getTlsKey({ ...options, ...times });
    const server = createTlsServer({
      key: ofServer.key,
      cert: ofServer.certificate_chain.join(''),
      ca,
      requestCert: true,
      rejectUnauthorized: true,
    });
    server.on('secureConnection', (accepted) => accepted.end('welcome'));
    server.on('tlsClientError', () => {});
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    const { port } = server.address() as { readonly port: number };
    const greeting = async (of: DstackClient, servername = 'db.example') => {
      const { key, certificate_chain } = await of.getTlsKey({ usageClientAuth: true, ...times });
      return new Promise<string>((resolve, reject) => {
        const cert = certificate_chain.join('');
        const connection = connectTls({ host: '127.0.0.1', port, servername, key, cert, ca });
        connection.on('data', (said) => resolve(String(said)));
        connection.on('error', reject);
        connection.on('close', () => reject(new Error('hung up')));
      });
    };
    expect(await greeting(client)).toBe('welcome');
    await expect(greeting(new DstackClient(`${path}-2`))).rejects.toThrow();
    await expect(greeting(client, 'other.example')).rejects.toThrow(/does not match/);
    server.close();
    await other.close();
  });

  test('with a quote over its key', async () => {
    const { certificate_chain } = await client.getTlsKey({ usageRaTls: true, withAppInfo: true });
    const leaf = new X509Certificate(certificate_chain[0] as string);
    const json = leaf.raw.toString('latin1');
    const begin = json.indexOf('{"format":"cloister-guest-attestation-1"');
    // The last extension: the signature after it is no JSON.
    const end = json.lastIndexOf('}}') + 2;
    const parsed = parseGuestAttestation(Buffer.from(json.slice(begin, end), 'latin1'));
    const reportData = certificateReportData(leaf.publicKey.export({ format: 'der', type: 'spki' }));
    const expected = { ...domain, app: instance.app, reportData };
    expect(await verifyGuestAttestation(verifier, parsed, expected, now)).toMatchObject({
      statement: { manifest: instance.manifest },
    });
  });

  test('times are bounded', async () => {
    const day = 86_400;
    const { certificate_chain } = await client.getTlsKey({ notBefore: now, notAfter: now + 10 * day });
    expect(new X509Certificate(certificate_chain[0] as string).validToDate.getTime()).toBe((now + 10 * day) * 1_000);
    const long = (await client.getTlsKey({ notBefore: now, notAfter: now + 3_000 * day }).catch(String)) as string;
    expect(long).toContain('failed to parse response');
  });
});

test('the SDK of before 0.5: a key by its path, a quote over data of any length', async () => {
  vi.spyOn(console, 'warn').mockImplementation(() => {});
  const legacy = new TappdClient(path);
  await expect.poll(() => legacy.isReachable(), { timeout: 15_000 }).toBe(true);
  const [one, same, other] = await Promise.all(['a', 'a', 'b'].map((of) => legacy.deriveKey(of)));
  expect(one?.key).toBe(same?.key);
  expect(other?.key).not.toBe(one?.key);
  const hashed = await legacy.tdxQuote('x'.repeat(500), 'sha256');
  const digest = bare(sha256(text(`app-data:${'x'.repeat(500)}`)));
  expect(hashed.report_data).toBe(digest.padEnd(128, '0'));
  expect((await legacy.tdxQuote('x', 'raw')).report_data).toBe('78'.padStart(128, '0'));
  await expect(legacy.tdxQuote('x', 'keccak512')).rejects.toThrow('GUEST_ALGORITHM_UNKNOWN');
});
