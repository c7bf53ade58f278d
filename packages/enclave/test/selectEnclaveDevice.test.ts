import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import {
  createSimulatedPlatform,
  makeSimulatedRoot,
  mintCollateral,
  mintQuote,
  simulatedTdxDriver,
} from '@cloister/attestation/unsafe-simulated';
import { EvidenceVerifier } from '@cloister/attestation/verify';
import type { NetworkFile } from '@cloister/core';
import type { LogFields, Logger } from '@cloister/service';
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest';
import {
  type FakeDstackAgent,
  goodAnswer,
  quoteReply,
  reply,
  reportDataOf,
  startFakeDstackAgent,
} from '../../../packages/attestation/test/attest/fakeDstackAgent.ts';
import { type EnclaveDeviceInit, selectEnclaveDevice } from '../src/selectEnclaveDevice.ts';

const now = Math.floor(Date.now() / 1000);
const root = makeSimulatedRoot(now);
const platform = createSimulatedPlatform(root, { now });
const image = {
  mrtd: new Uint8Array(48),
  rtmr0: new Uint8Array(48),
  rtmr1: new Uint8Array(48),
  rtmr2: new Uint8Array(48),
};
const network = { trustRoots: [{ ...root.trustRoot, name: 'DEV' }] } as unknown as NetworkFile;
const signal = AbortSignal.timeout(60_000);

let folder = '';
let agent: FakeDstackAgent;
let lines: { level: string; message: string; fields: LogFields | undefined }[] = [];
const say = (level: string) => (message: string, fields?: LogFields) => void lines.push({ level, message, fields });
const log = { debug: say('debug'), info: say('info'), warn: say('warn'), error: say('error') } as unknown as Logger;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'cloister-worker-device-'));
  await writeFile(join(folder, 'collateral.json'), JSON.stringify(mintCollateral(root, { issuedAt: now - 3600 })));
  agent = await startFakeDstackAgent();
  agent.answer = (path, body, response) => {
    if (path !== '/GetQuote') return goodAnswer(path, body, response);
    const reportData = reportDataOf(body);
    const quote = Buffer.from(mintQuote(platform, { ...image, reportData })).toString('hex');
    reply(response, { ...quoteReply(reportData), quote });
  };
});
afterAll(async () => {
  await agent.stop();
  await rm(folder, { recursive: true, force: true });
});
beforeEach(() => {
  lines = [];
});

function select(init: Partial<EnclaveDeviceInit> = {}) {
  return selectEnclaveDevice(
    {
      network,
      wanted: undefined,
      collateral: { path: join(folder, 'collateral.json') },
      dstackEndpoint: join(folder, 'nobody.sock'),
      simulated: [simulatedTdxDriver({ platform, image, configId: `0x${'c0'.repeat(32)}` })],
      log,
      ...init,
    },
    signal,
  );
}

test('takes the device that is here, says which, and its evidence leads to a root of the network', async () => {
  const device = await select({ dstackEndpoint: agent.socket });
  expect(device.name).toBe('dstack');
  expect(lines).toEqual([
    {
      level: 'info',
      message: 'device: chosen',
      fields: {
        device: 'dstack',
        kind: 'tdx',
        provider: 'dstack guest agent 0.5.4',
        simulated: false,
        sealsAtRest: false,
      },
    },
  ]);
  const document = await device.quote(new Uint8Array(64).fill(7), { signal });
  if (document.teeType !== 'tdx') throw new Error(`got ${document.teeType}`);
  const claims = await new EvidenceVerifier({ roots: [root.trustRoot] }).verify(document, now);
  expect(claims.reportData).toBe(`0x${'07'.repeat(64)}`);
});

test("collateral of a root that is not the network's is refused", async () => {
  const stranger = { trustRoots: [{ ...makeSimulatedRoot(now).trustRoot, name: 'DEV' }] } as unknown as NetworkFile;
  const device = await select({ dstackEndpoint: agent.socket, network: stranger });
  await expect(device.quote(new Uint8Array(64), { signal })).rejects.toMatchObject({
    code: 'ROOT_UNTRUSTED',
  });
});

test('takes the simulated device by its name only, warns, and never beside a real one', async () => {
  await expect(select()).rejects.toMatchObject({ code: 'DEVICE_NOT_FOUND' });
  expect(lines).toEqual([]);
  expect((await select({ wanted: 'unsafe-simulated-tdx' })).simulated).toBe(true);
  expect(lines).toMatchObject([{ level: 'warn', fields: { device: 'unsafe-simulated-tdx', simulated: true } }]);
  await expect(select({ wanted: 'unsafe-simulated-tdx', dstackEndpoint: agent.socket })).rejects.toMatchObject({
    code: 'SIMULATED_BESIDE_REAL',
  });
});

test('a named device that is not here is an error, never another', async () => {
  await expect(select({ wanted: 'configfs-tsm', dstackEndpoint: agent.socket })).rejects.toMatchObject({
    code: 'DEVICE_NOT_FOUND',
    message: expect.stringContaining('configfs-tsm: '),
  });
});
