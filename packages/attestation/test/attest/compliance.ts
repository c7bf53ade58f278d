import { toHex, utf8 } from '@cloister/crypto';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import type { AttestationDevice, AttestationDriver } from '../../src/attest/index.ts';
import {
  type EvidenceDocument,
  EvidenceVerifier,
  parseEvidence,
  serialiseEvidence,
  type TrustRoot,
} from '../../src/verify/index.ts';
import { codeOf, gate, never, now } from './attestWorld.ts';

/** What a driver brings to the suite: itself on a machine that has its device, and ways to look at that machine. */
export type ComplianceSubject = {
  readonly name: string;
  readonly kind: AttestationDevice['kind'];
  readonly simulated: boolean;
  readonly setup: () => Promise<{
    readonly driver: AttestationDriver;
    /** The claims of evidence that holds. */
    readonly verify: (document: EvidenceDocument) => Promise<ComplianceClaims>;
    /** The same driver where there is no such device; undefined where it is everywhere. */
    readonly elsewhere: AttestationDriver | undefined;
    /** How often the machine was asked for evidence. */
    readonly asked: () => number;
    /** What requests left behind on the machine. */
    readonly traces: () => readonly string[];
    /** Lets the machine answer only when the returned promise is settled; undefined where it answers at once. */
    readonly hold: ((until: Promise<void>) => void) | undefined;
    readonly teardown: () => Promise<void>;
  }>;
};

/** What evidence of every kind says. */
export type ComplianceClaims = { readonly reportData: string; readonly debug: boolean };

/** Verifies TDX evidence up to these roots. */
export function tdxClaims(roots: readonly TrustRoot[]): (document: EvidenceDocument) => Promise<ComplianceClaims> {
  const verifier = new EvidenceVerifier({ roots });
  return async (document) => {
    if (document.teeType !== 'tdx') throw new RangeError(`Expected TDX evidence, got ${document.teeType}`);
    const claims = await verifier.verify(document, now);
    expect(claims.tcbStatus).toBe('UpToDate');
    return claims;
  };
}

const dataOf = (byte: number) => new Uint8Array(64).fill(byte);

/** What every device must do, whatever stands behind it. */
export function deviceCompliance(subject: ComplianceSubject): void {
  describe(`${subject.name}: compliance`, () => {
    let machine: Awaited<ReturnType<ComplianceSubject['setup']>>;
    let device: AttestationDevice;
    const open = () => machine.driver.open({ signal: never });
    const reportDataIn = async (document: EvidenceDocument) => (await machine.verify(document)).reportData;

    beforeAll(async () => {
      machine = await subject.setup();
      device = await open();
    });
    afterEach(() => expect(machine.traces()).toEqual([]));
    afterAll(() => machine.teardown());

    test('says what it is', () => {
      expect(device).toMatchObject({ name: machine.driver.name, kind: subject.kind, simulated: subject.simulated });
      expect(machine.driver.simulated).toBe(subject.simulated);
      for (const text of [machine.driver.about, device.provider, device.sealing])
        expect(text).toMatch(/^.{4,100}[^.]$/);
      expect(device.sealing.startsWith('No')).toBe(!device.sealsAtRest);
      expect(subject.simulated).toBe(/unsafe/.test(device.name));
    });

    test('what it seals opens for its own purpose alone, unchanged, and shows nothing', async () => {
      expect(device.sealsAtRest).toBe(device.atRest !== undefined);
      if (device.atRest === undefined) return;
      const text = utf8('what nobody else may read');
      const sealed = await device.atRest.seal('one', text);
      expect(toHex(sealed)).not.toContain(toHex(text).slice(2));
      expect(await device.atRest.open('one', sealed)).toEqual(text);
      const changed = sealed.slice();
      changed[changed.length - 1] = (changed.at(-1) ?? 0) ^ 1;
      for (const [purpose, bytes] of [
        ['two', sealed],
        ['one', changed],
        ['one', sealed.subarray(0, 5)],
      ] as const)
        await expect(device.atRest.open(purpose, bytes)).rejects.toMatchObject({ code: 'SEALED_ELSEWHERE' });
    });

    test('is found, as often as one looks', async () => {
      for (let times = 0; times < 3; times++)
        expect(await machine.driver.unavailable({ signal: never })).toBeUndefined();
    });

    test('elsewhere it says why it is not, and opens nothing', async () => {
      if (machine.elsewhere === undefined) return;
      const why = await machine.elsewhere.unavailable({ signal: never });
      expect(why).toMatchObject({
        code: expect.stringMatching(/^[A-Z_]+$/),
        reason: expect.stringMatching(/^.*[^.]$/),
      });
      expect(await codeOf(machine.elsewhere.open({ signal: never }))).toMatch(/^DEVICE_/);
    });

    test('gives evidence that verifies, over exactly what was asked', async () => {
      const asked = Uint8Array.from({ length: 64 }, (_, index) => index * 3);
      const document = await device.quote(asked, { signal: never });
      expect(document.teeType).toBe(subject.kind);
      const claims = await machine.verify(document);
      expect(claims.reportData).toBe(`0x${Buffer.from(asked).toString('hex')}`);
      expect(claims.debug).toBe(false);
    });

    test('its evidence travels', async () => {
      const document = await device.quote(dataOf(1), { signal: never });
      expect(parseEvidence(serialiseEvidence(document))).toEqual(document);
    });

    test('answers many at once, each with its own', async () => {
      const documents = await Promise.all(
        Array.from({ length: 8 }, (_, index) => device.quote(dataOf(index), { signal: never })),
      );
      const found = await Promise.all(documents.map(reportDataIn));
      expect(found).toEqual(Array.from({ length: 8 }, (_, index) => `0x${`0${index}`.repeat(64)}`));
    });

    test("does not look at the caller's bytes again", async () => {
      const asked = dataOf(5);
      const answer = device.quote(asked, { signal: never });
      asked.fill(6);
      expect(await reportDataIn(await answer)).toBe(`0x${'05'.repeat(64)}`);
    });

    test.each([0, 32, 63, 65, 128])('refuses %d bytes of report data without asking', async (length) => {
      const before = machine.asked();
      expect(await codeOf(device.quote(new Uint8Array(length), { signal: never }))).toBe('INVALID_REPORT_DATA');
      expect(machine.asked()).toBe(before);
    });

    test('asked with a signal that has aborted, it rejects with its reason and asks nothing', async () => {
      const before = machine.asked();
      const reason = new Error('changed my mind');
      const signal = AbortSignal.abort(reason);
      await expect(device.quote(dataOf(1), { signal })).rejects.toBe(reason);
      expect(machine.asked()).toBe(before);
    });

    test('an abort ends the wait at once, and the next request is answered', async () => {
      if (machine.hold === undefined) return;
      const held = gate();
      machine.hold(held.opened);
      const controller = new AbortController();
      const reason = new Error('no longer');
      const waiting = expect(device.quote(dataOf(1), { signal: controller.signal })).rejects.toBe(reason);
      const behind = expect(device.quote(dataOf(3), { signal: controller.signal })).rejects.toBe(reason);
      setImmediate(() => controller.abort(reason));
      await waiting;
      await behind;
      held.open();
      machine.hold(Promise.resolve());
      expect(await reportDataIn(await device.quote(dataOf(2), { signal: never }))).toBe(`0x${'02'.repeat(64)}`);
    });

    test('two devices of one driver do not disturb each other', async () => {
      const other = await open();
      const documents = await Promise.all([
        device.quote(dataOf(7), { signal: never }),
        other.quote(dataOf(8), { signal: never }),
      ]);
      expect(await Promise.all(documents.map(reportDataIn))).toEqual([`0x${'07'.repeat(64)}`, `0x${'08'.repeat(64)}`]);
    });
  });
}
