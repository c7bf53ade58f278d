import { createHash } from 'node:crypto';
import {
  createSimulatedPlatform,
  makeSimulatedRoot,
  type SimulatedRoot,
  SimulatedTdxDevice,
} from '@cloister/attestation/unsafe-simulated';
import { type Address, workerReportData } from '@cloister/core';
import { utf8 } from '@cloister/crypto';
import type { Invocation } from '@cloister/sandbox';
import { recoverMessageAddress } from 'viem';
import { beforeAll, expect, test } from 'vitest';
import { AnswerSigner } from '../src/models/redpill/answerSigner.ts';
import { type QuotingDevice, redpillReportData } from '../src/models/redpill/attestationReport.ts';
import { ReportedTenant } from '../src/models/redpill/reportedTenant.ts';
import { metering, StubDriver, type StubRun, StubTenant } from './stubDriver.ts';

const never = new AbortController().signal;
const nonce = 'ab'.repeat(32);
const id = `chatcmpl-${'0f'.repeat(12)}`;
const request = '{"model":"tiny","messages":[]}';
const sha256 = (text: string) => createHash('sha256').update(text).digest('hex');

let root: SimulatedRoot;
let device: QuotingDevice;
beforeAll(() => {
  const now = Math.floor(Date.now() / 1000);
  root = makeSimulatedRoot(now);
  const registers = {
    mrtd: new Uint8Array(48),
    rtmr0: new Uint8Array(48),
    rtmr1: new Uint8Array(48),
    rtmr2: new Uint8Array(48),
  };
  const platform = createSimulatedPlatform(root, { now });
  device = new SimulatedTdxDevice({ platform, image: registers, configId: `0x${'00'.repeat(32)}` });
});

const tenantOf = (run: StubRun = {}, quoting: QuotingDevice = device): ReportedTenant => {
  const driver = new StubDriver('model');
  driver.run = () => run;
  return new ReportedTenant(new StubTenant(driver, {} as never), { device: quoting, model: 'tiny' });
};
const textOf = async ({ body }: Invocation): Promise<string> => {
  let text = '';
  for await (const bytes of body) text += Buffer.from(bytes).toString();
  return text;
};
const get = async (tenant: ReportedTenant, path: string) => {
  const answer = await tenant.invoke({ method: 'GET', path, headers: [], body: new Uint8Array() }, { signal: never });
  const json = JSON.parse(await textOf(answer));
  expect((await answer.finished).status).toBe('ok');
  return { status: answer.status, json };
};
const ask = async (tenant: ReportedTenant, path = '/v1/chat/completions') => {
  const answer = await tenant.invoke({ method: 'POST', path, headers: [], body: utf8(request) }, { signal: never });
  return textOf(answer);
};
const parts = (...texts: string[]): StubRun => ({ body: texts.map(utf8), outcome: { status: 'ok', metering } });

test('a report holds what its verifiers read: the address, padded, and their nonce in a quote', async () => {
  const { status, json } = await get(tenantOf(), `/v1/attestation/report?model=tiny&nonce=${nonce}&signing_algo=ecdsa`);
  expect(status).toBe(200);
  const [first] = json.all_attestations;
  expect(first).toMatchObject({ signing_algo: 'ecdsa', request_nonce: nonce, info: { tcb_info: {} } });
  expect(JSON.parse(first.nvidia_payload)).toEqual({ nonce, evidence_list: [], arch: '' });
  // TDX quote, version 4: a header of 48 bytes, then the report, whose last 64 bytes of 584 are the report data.
  const quote = Buffer.from(first.intel_quote, 'hex');
  const reportData = quote.subarray(48 + 520, 48 + 584).toString('hex');
  expect(reportData).toBe(`${json.signing_address.slice(2).toLowerCase().padEnd(64, '0')}${nonce}`);
  expect((await get(tenantOf(), '/v1/attestation/report')).json.request_nonce).toMatch(/^[0-9a-f]{64}$/);
});

test('no report data of a registration looks like it', () => {
  const address = `0x${'0a'.repeat(20)}` as Address;
  const hash = `0x${nonce}` as const;
  const [ours, registrations] = [
    redpillReportData(address, Buffer.from(nonce, 'hex')),
    workerReportData(
      { chainId: 1, registry: address, operator: address, receiptSigner: address, networkKeysHash: hash },
      hash,
    ),
  ];
  // The second halves may be the same bytes; the first are an address with zeros, and a hash.
  expect(ours.subarray(32)).toEqual(registrations.subarray(32));
  expect(ours.subarray(20, 32).every((byte) => byte === 0)).toBe(true);
  expect(registrations.subarray(20, 32).every((byte) => byte === 0)).toBe(false);
  expect(() => redpillReportData(address, new Uint8Array(31))).toThrow(RangeError);
});

test.each([
  ['whole', [`{"id":"${id}","object":`, '"chat.completion"}'], '/v1/chat/completions'],
  [
    'streamed in small pieces',
    ['data: {"i', `d":"${id}`, '"}\n\n:   \n\n', 'data: [DONE]\n\n'],
    '/v1/chat/completions',
  ],
])('an answer, %s, is signed over just these bytes', async (_, texts, path) => {
  const tenant = tenantOf(parts(...texts));
  const { json: before } = await get(tenant, `/v1/signature/${id}`);
  expect(before.error.code).toBe('not_found');
  const heard = await ask(tenant, path);
  expect(heard).toBe(texts.join(''));
  const { status, json } = await get(tenant, `/v1/signature/${id}?model=tiny&signing_algo=ecdsa`);
  expect(status).toBe(200);
  expect(json.text).toBe(`${sha256(request)}:${sha256(heard)}`);
  const signer = await recoverMessageAddress({ message: json.text, signature: json.signature });
  expect(signer.toLowerCase()).toBe(json.signing_address.toLowerCase());
  const { json: report } = await get(tenant, `/v1/attestation/report?nonce=${nonce}`);
  expect(report.signing_address).toBe(json.signing_address);
});

test('what broke off, failed or has no id of the form is not signed', async () => {
  const whole = `{"id":"${id}"}`;
  const broken: StubRun = { body: [utf8(whole)], outcome: { status: 'limit', limit: 'wall', metering } };
  for (const run of [broken, { ...parts(whole), status: 400 }, parts(' '.repeat(200), whole), parts('{"id":"mine"}')]) {
    const tenant = tenantOf(run);
    await ask(tenant);
    expect((await get(tenant, `/v1/signature/${id}`)).status).toBe(404);
  }
  const other = tenantOf(parts(whole));
  await ask(other, '/v1/embeddings');
  expect((await get(other, `/v1/signature/${id}`)).status).toBe(404);
});

test('ids are kept for ten minutes, the first answer of one stays, and there is a bound', () => {
  const signer = new AnswerSigner();
  signer.keep(id, 'first', 0);
  signer.keep(id, 'second', 1);
  expect(signer.signed(id, 599_999)?.text).toBe('first');
  expect(signer.signed(id, 600_000)).toBe(undefined);
  for (let at = 0; at < 5_000; at += 1) signer.keep(String(at), 'text', 1_000);
  expect(signer.signed('0', 1_000)).toBe(undefined);
  expect(signer.signed('4999', 1_000)?.text).toBe('text');
  signer.close();
  expect(signer.signed('4999', 1_000)).toBe(undefined);
});

test.each([
  ['another model', '/v1/attestation/report?model=gpt-4', 404, 'model_not_found'],
  ['a short nonce', '/v1/attestation/report?nonce=abcd', 400, 'invalid_value'],
  ['another algorithm', `/v1/signature/${id}?signing_algo=ed25519`, 400, 'unsupported_value'],
])('refuses %s by name', async (_, path, status, code) => {
  const answer = await get(tenantOf(), path);
  expect([answer.status, answer.json.error.code]).toEqual([status, code]);
});

test('a machine without Intel quotes says so, and quotes are few at once', async () => {
  const snp = { kind: 'sev-snp' as const, quote: device.quote.bind(device) };
  expect((await get(tenantOf({}, snp), '/v1/attestation/report')).json.error.code).toBe('not_an_intel_quote');
  const gate = Promise.withResolvers<void>();
  const slow: QuotingDevice = {
    kind: 'tdx',
    quote: async (data, options) => {
      await gate.promise;
      return device.quote(data, options);
    },
  };
  const tenant = tenantOf({}, slow);
  const first = Array.from({ length: 4 }, () => get(tenant, '/v1/attestation/report'));
  expect((await get(tenant, '/v1/attestation/report')).status).toBe(503);
  gate.resolve();
  expect((await Promise.all(first)).map(({ status }) => status)).toEqual([200, 200, 200, 200]);
  expect((await get(tenant, '/v1/attestation/report')).status).toBe(200);
});
