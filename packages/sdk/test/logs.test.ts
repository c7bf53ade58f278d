import { logRequestDigest, logsPath, zeroBytes32 } from '@cloister/core';
import { fromHex, recoverAddress, utf8 } from '@cloister/crypto';
import { createClient } from '@cloister/sdk';
import { generatePrivateKey, privateKeyToAccount, toAccount } from 'viem/accounts';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { address, SimulatedNetwork, type StubWorker } from './simulatedNetwork.ts';

let network: SimulatedNetwork;
let worker: StubWorker;
let app: `0x${string}`;
beforeEach(async () => {
  network = await SimulatedNetwork.start();
  worker = await network.addWorker();
  app = network.addApp().app;
});
afterEach(() => network.stop());

const account = privateKeyToAccount(generatePrivateKey());
const logs = () => createClient({ network: network.file, fetch: network.gateway.fetch }).logs(app, account);

describe('logs', () => {
  test('are asked for sealed, signed for one worker and a few minutes, and answered by the worker itself', async () => {
    const line = { timeMs: 1, level: 'log', message: 'hello' };
    worker.run = ({ call, request }) => {
      expect(request).toMatchObject({ method: 'POST', path: logsPath });
      expect(call.app).toBe(app);
      const { notAfter, nonce, signature } = JSON.parse(new TextDecoder().decode(request.body));
      expect(BigInt(notAfter)).toBe(network.rpc.head.timestamp + 300n);
      const wish = { app, workerId: worker.workerId, notAfter: BigInt(notAfter), nonce };
      expect(recoverAddress(fromHex(logRequestDigest(network.domain, wish)), fromHex(signature))).toBe(
        account.address.toLowerCase(),
      );
      return { manifest: zeroBytes32, body: [utf8(JSON.stringify({ lines: [line] }))] };
    };
    expect(await logs()).toEqual([{ workerId: worker.workerId, lines: [line] }]);
    expect(worker.runs).toBe(1);
  });

  test('come from every worker', async () => {
    const second = await network.addWorker(address(0x0c));
    for (const one of [worker, second]) one.run = () => ({ manifest: zeroBytes32, body: [utf8('{}')] });
    const found = await logs();
    expect(found.map(({ workerId }) => workerId).sort()).toEqual([worker.workerId, second.workerId].sort());
    expect(found.flatMap(({ lines }) => lines)).toEqual([]);
  });

  test('of those that can be reached come, and why the others are missing', async () => {
    const second = await network.addWorker(address(0x0c));
    worker.run = () => ({ manifest: zeroBytes32, body: [utf8('{}')] });
    network.gateway.faults.push(undefined, undefined);
    second.serve = () => Promise.reject(new Error('broken'));
    const found = await logs();
    expect(found.find(({ workerId }) => workerId === worker.workerId)).toEqual({
      workerId: worker.workerId,
      lines: [],
    });
    expect(found.find(({ workerId }) => workerId === second.workerId)).toMatchObject({
      lines: [],
      unavailable: expect.stringMatching(/./),
    });
    worker.serve = second.serve;
    await expect(logs()).rejects.toMatchObject({ code: expect.stringMatching(/^CALL_/) });
  });

  test('are refused by name', async () => {
    worker.run = () => ({
      manifest: zeroBytes32,
      outcome: 'refused',
      status: 403,
      body: [utf8('{"error":"not yours"}')],
    });
    await expect(logs()).rejects.toMatchObject({ code: 'LOGS_REFUSED', message: expect.stringContaining('not yours') });
  });

  test("an app's own answer at that path is not taken for them", async () => {
    worker.run = () => ({ body: [utf8('{"lines":[]}')] });
    await expect(logs()).rejects.toMatchObject({ code: 'RECEIPT_REFUSED', meta: { step: 'receipt-manifest' } });
  });

  test('need an account that can sign', async () => {
    const remote = toAccount({
      address: account.address,
      signMessage: account.signMessage,
      signTransaction: account.signTransaction,
      signTypedData: account.signTypedData,
    });
    const client = createClient({ network: network.file, fetch: network.gateway.fetch });
    await expect(client.logs(app, remote as never)).rejects.toMatchObject({ code: 'LOGS_ACCOUNT_CANT_SIGN' });
    expect(worker.runs).toBe(0);
  });
});
