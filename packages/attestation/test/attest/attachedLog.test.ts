import { fromHex } from '@cloister/crypto';
import { describe, expect, test } from 'vitest';
import { ccelPaths, dstackDriver, registersFolder, tsmDriver } from '../../src/attest/index.ts';
import { mintQuote } from '../../src/unsafe-simulated/index.ts';
import { type EvidenceDocument, parseEvidence, type Registers, serialiseEvidence } from '../../src/verify/index.ts';
import { boot, ccel, dstackLog, guestEvents, registersOfBoot, table } from '../eventLogWorld.ts';
import { collateralAt, never, padded, platform, registers } from './attestWorld.ts';
import { goodAnswer, quoteReply, reply, reportDataOf, startFakeDstackAgent } from './fakeDstackAgent.ts';
import { FakeKernel, systemError } from './fakeKernel.ts';

const collateral = { collateralFor: async () => collateralAt() };
const reportData = new Uint8Array(64).fill(1);
const asked = { signal: never, eventLog: true };

function quoteWith({ rtmr0, rtmr1, rtmr2, rtmr3 }: Registers, over: Uint8Array): Uint8Array {
  const values = { rtmr0: fromHex(rtmr0), rtmr1: fromHex(rtmr1), rtmr2: fromHex(rtmr2), rtmr3: fromHex(rtmr3) };
  return mintQuote(platform, { ...registers, ...values, reportData: over });
}

const logOf = (document: EvidenceDocument) => (document.teeType === 'tdx' ? document.eventLog : undefined);

describe("the firmware's log", () => {
  const whole = ccel(boot, {}, 5000);
  const cut = ccel(boot, {}, 0);
  function machine(of: Registers = registersOfBoot(boot)): FakeKernel {
    const report = async ({ inblob }: { inblob: Uint8Array }) => ({ outblob: padded(quoteWith(of, inblob), 8000) });
    const kernel = new FakeKernel({ name: 'tdx_guest', report });
    kernel.plain.set(ccelPaths.table, table());
    kernel.plain.set(ccelPaths.log, whole);
    return kernel;
  }
  const deviceOn = (kernel: FakeKernel) => tsmDriver({ files: kernel.files, collateral }).open({ signal: never });

  test('goes with the evidence where it is asked for, without its padding, and travels', async () => {
    const document = await (await deviceOn(machine())).quote(reportData, asked);
    expect(logOf(document)).toEqual({ kind: 'ccel', log: Buffer.from(cut).toString('base64') });
    expect(parseEvidence(serialiseEvidence(document))).toEqual(document);
  });

  test('is not read where nobody asks for it', async () => {
    const kernel = machine();
    const read: string[] = [];
    kernel.onAccess = (operation, path) => {
      if (operation === 'read') read.push(path);
    };
    expect(logOf(await (await deviceOn(kernel)).quote(reportData, { signal: never }))).toBeUndefined();
    expect(read).not.toContain(ccelPaths.log);
  });

  test('is left out where something else extended a register too', async () => {
    const measured = registersOfBoot([...boot, { register: 3, type: 13, data: Buffer.from('by the kernel') }]);
    expect(logOf(await (await deviceOn(machine(measured))).quote(reportData, asked))).toBeUndefined();
  });

  test('is left out where there is none, where it is broken, or may not be read', async () => {
    const none = machine();
    none.plain.delete(ccelPaths.log);
    const broken = machine();
    broken.plain.set(ccelPaths.log, whole.subarray(10));
    const closed = machine();
    closed.onAccess = (operation, path) => {
      if (operation === 'read' && path === ccelPaths.log) throw systemError('EACCES');
    };
    for (const kernel of [none, broken, closed])
      expect(logOf(await (await deviceOn(kernel)).quote(reportData, asked))).toBeUndefined();
  });

  test('says nothing of the registers that the kernel shows, which are read beside it', async () => {
    const kernel = machine();
    const names = ['mrtd:sha384', ...[0, 1, 2, 3].map((index) => `rtmr${index}:sha384`)];
    for (const name of [...names, 'mrconfigid', 'mrowner', 'mrownerconfig'])
      kernel.plain.set(`${registersFolder}/${name}`, new Uint8Array(48).fill(2));
    expect((await (await deviceOn(kernel)).registers?.())?.rtmr0).toBe(`0x${'02'.repeat(48)}`);
  });
});

describe("a dstack guest's log", () => {
  async function documentWith(log: string, of: Registers, eventLog = true): Promise<EvidenceDocument> {
    const agent = await startFakeDstackAgent();
    agent.answer = (path, body, response) => {
      if (path !== '/GetQuote') return goodAnswer(path, body, response);
      const over = reportDataOf(body);
      const quote = Buffer.from(quoteWith(of, over)).toString('hex');
      reply(response, { ...quoteReply(over), quote, event_log: log });
    };
    const device = await dstackDriver({ collateral, endpoint: agent.socket }).open({ signal: never });
    const document = await device.quote(reportData, { signal: never, eventLog });
    await agent.stop();
    return document;
  }
  const good = dstackLog(guestEvents());

  test('goes with the evidence where it is asked for', async () => {
    const document = await documentWith(good.log, good.registers);
    expect(logOf(document)).toEqual({ kind: 'dstack', log: good.log });
    expect(parseEvidence(serialiseEvidence(document))).toEqual(document);
    expect(logOf(await documentWith(good.log, good.registers, false))).toBeUndefined();
  });

  test('is left out where it is of another guest, or none', async () => {
    const other = dstackLog(guestEvents().slice(0, -1));
    for (const log of [other.log, '[]', 'no log', ''])
      expect(logOf(await documentWith(log, good.registers))).toBeUndefined();
  });
});
