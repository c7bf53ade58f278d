import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import {
  createSimulatedRoot,
  createSimulatedSnpRoot,
  loadSimulatedRoot,
  mintQuote,
} from '@cloister/attestation/unsafe-simulated';
import { parseEvidence } from '@cloister/attestation/verify';
import { fromHex } from '@cloister/crypto';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test, vi } from 'vitest';
import {
  collateralAt,
  now,
  padded,
  platform,
  quoteOver,
  registers,
  root,
} from '../../../packages/attestation/test/attest/attestWorld.ts';
import {
  type FakeDstackAgent,
  startFakeDstackAgent,
} from '../../../packages/attestation/test/attest/fakeDstackAgent.ts';
import { FakeKernel, systemError } from '../../../packages/attestation/test/attest/fakeKernel.ts';
import { type FakePccs, startFakePccs } from '../../../packages/attestation/test/attest/fakePccs.ts';
import { boot, ccel, registersOfBoot, table } from '../../../packages/attestation/test/eventLogWorld.ts';
import { attestCommand } from '../src/commands/attest.ts';
import { runCommand } from './runCommand.ts';

let folder = '';
let kernel: FakeKernel;
let pccs: FakePccs;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'cloister-attest-'));
  await writeFile(join(folder, 'root.der'), root.root.certificate);
  await writeFile(join(folder, 'collateral.json'), JSON.stringify(collateralAt()));
});
afterAll(() => rm(folder, { recursive: true, force: true }));
beforeEach(async () => {
  pccs = await startFakePccs(collateralAt());
  kernel = new FakeKernel({
    name: 'tdx_guest',
    report: async ({ inblob }) => ({ outblob: padded(quoteOver(inblob), 8000) }),
  });
});
afterEach(() => pccs.stop());

const file = (name: string) => join(folder, name);
const trusting = () => ['--root', file('root.der')];
const served = () => [...trusting(), '--collateral-service', pccs.url];

const run = (...argv: string[]) =>
  runCommand((program) => attestCommand(program, { files: kernel.files, now: () => now }), ['attest', ...argv]);

async function json(...argv: string[]) {
  const { out, exitCode, error } = await run('--json', ...argv);
  if (error !== undefined) throw error;
  expect(out.trim().split('\n')).toHaveLength(1);
  return { result: JSON.parse(out), exitCode };
}

describe('on a TDX guest', () => {
  test('makes evidence over what was asked, verifies it, writes it down', async () => {
    const reportData = '5a'.repeat(64);
    const { result, exitCode } = await json(...served(), '--report-data', reportData, '--out', file('evidence.json'));
    expect(exitCode).toBe(0);
    expect(result).toMatchObject({
      ok: true,
      device: {
        name: 'configfs-tsm',
        kind: 'tdx',
        provider: 'tdx_guest',
        simulated: false,
        sealsAtRest: false,
        sealing: 'No: a TD has no key of its own that outlives it',
      },
      reportData: `0x${reportData}`,
      registers: null,
      evidence: { ok: true, teeType: 'tdx', tcbStatus: 'UpToDate', advisories: [], claims: { simulated: true } },
      error: null,
      out: file('evidence.json'),
    });
    expect(Object.keys(result)).toEqual([
      ...['ok', 'drivers', 'device', 'reportData', 'registers', 'eventLog', 'evidence', 'error', 'out'],
    ]);
    expect(
      result.drivers.map(({ name, available }: { name: string; available: boolean }) => [name, available]),
    ).toEqual([
      ['dstack', false],
      ['configfs-tsm', true],
    ]);
    expect(parseEvidence(await readFile(file('evidence.json'))).teeType).toBe('tdx');
    expect(kernel.entries.size).toBe(0);
  });

  test('asks over something else each time where nothing is named', async () => {
    const first = await json(...served());
    const second = await json(...served());
    expect(first.result.reportData).toMatch(/^0x[0-9a-f]{128}$/);
    expect(first.result.reportData).not.toBe(second.result.reportData);
  });

  test('shows the registers where the kernel does', async () => {
    const names = ['mrtd:sha384', ...[0, 1, 2, 3].map((index) => `rtmr${index}:sha384`)];
    for (const name of [...names, 'mrconfigid', 'mrowner', 'mrownerconfig'])
      kernel.plain.set(`/sys/devices/virtual/misc/tdx_guest/measurements/${name}`, new Uint8Array(48).fill(0xa1));
    expect((await json(...served())).result.registers.mrtd).toBe(`0x${'a1'.repeat(48)}`);
    expect((await run(...served())).out).toContain(`Registers, as the kernel shows them:\n  mrtd          0xa1a1`);
  });

  test('the event log goes with the evidence where it replays', async () => {
    const { rtmr0, rtmr1, rtmr2, rtmr3 } = registersOfBoot(boot);
    const values = { rtmr0: fromHex(rtmr0), rtmr1: fromHex(rtmr1), rtmr2: fromHex(rtmr2), rtmr3: fromHex(rtmr3) };
    kernel.provider = {
      name: 'tdx_guest',
      report: async ({ inblob }) => ({
        outblob: mintQuote(platform, { ...registers, ...values, reportData: inblob }),
      }),
    };
    expect((await json(...served())).result).toMatchObject({ ok: true, eventLog: null });
    kernel.plain.set('/sys/firmware/acpi/tables/CCEL', table());
    kernel.plain.set('/sys/firmware/acpi/tables/data/CCEL', ccel(boot));
    expect((await json(...served())).result).toMatchObject({ ok: true, eventLog: 'ccel' });
    expect((await run(...served())).out).toContain("\nEvent log: the firmware's, and it replays\n");
  });

  test('takes collateral from a file, and asks no service then', async () => {
    const { result, exitCode } = await json(...trusting(), '--collateral', file('collateral.json'));
    expect([exitCode, result.ok]).toEqual([0, true]);
    expect(pccs.asked).toEqual([]);
  });

  test('tells people', async () => {
    const { out, exitCode } = await run(...served(), '--out', file('told.json'));
    expect(exitCode).toBe(0);
    expect(out).toContain('  ✓ configfs-tsm — TDX and SEV-SNP guests on Linux 6.7 or later\n');
    expect(out).toContain('Device: configfs-tsm, tdx by tdx_guest\nSeals at rest: No: a TD has no key');
    expect(out).toContain('Evidence: tdx, SIMULATED, TCB UpToDate\n');
    expect(out).toContain(`\n  rtmr1         0x${'b1'.repeat(48)}\n`);
    expect(out).toMatch(
      /\nImage: 0x[0-9a-f]{64}\nWritten: .*told\.json\nHolds: the evidence verifies and is acceptable\n$/,
    );
  });

  test('evidence that leads to no root that is trusted gives exit code 1', async () => {
    const { result, exitCode } = await json('--collateral-service', pccs.url);
    expect(exitCode).toBe(1);
    expect(result).toMatchObject({ ok: false, evidence: null, error: { code: 'ROOT_UNTRUSTED' } });
  });

  test('evidence that the policy refuses gives exit code 1, and is written down all the same', async () => {
    await writeFile(file('policy.json'), JSON.stringify({ unsafeAllowSimulated: true, tcbStatuses: ['OutOfDate'] }));
    const { result, exitCode } = await json(
      ...served(),
      '--policy',
      file('policy.json'),
      '--out',
      file('refused.json'),
    );
    expect(exitCode).toBe(1);
    expect(result).toMatchObject({ ok: false, evidence: { refusal: { code: 'TCB_STATUS_REFUSED' } }, error: null });
    expect(parseEvidence(await readFile(file('refused.json'))).teeType).toBe('tdx');
    const { out } = await run(...served(), '--policy', file('policy.json'));
    expect(out).toMatch(/Refused: Expected TCB status "OutOfDate", got "UpToDate" \(TCB_STATUS_REFUSED\)\n$/);
  });

  test('a service that lies or is away gives exit code 1', async () => {
    pccs.collateral = collateralAt(now - 40 * 86_400);
    expect((await json(...served())).result.error.code).toBe('EXPIRED');
    const away = [...trusting(), '--collateral', file('nothing.json')];
    const { result, exitCode } = await json(...away);
    expect([exitCode, result.error.code]).toEqual([1, 'COLLATERAL_FILE_UNREADABLE']);
    expect((await run(...away)).out).toMatch(
      /No evidence: Could not read collateral .*\n {2}Name a file of collateral/,
    );
  });

  test('no permission is told, and how to get it', async () => {
    kernel.onAccess = (operation) => {
      if (operation === 'makeFolder') throw systemError('EACCES');
    };
    const { out, exitCode } = await run(...served());
    expect(exitCode).toBe(1);
    expect(out).toMatch(/✗ configfs-tsm — Could not use ".*": this process may not use it \(EACCES\)\n {6}Run as root/);
    expect(out).toMatch(/No evidence: this machine has no such device \(DEVICE_NOT_FOUND\)\n$/);
  });
});

describe('in a dstack CVM', () => {
  let agent: FakeDstackAgent;
  beforeEach(async () => {
    agent = await startFakeDstackAgent();
  });
  afterEach(() => agent.stop());

  test('the agent comes before the kernel, unless the other is named', async () => {
    const { result, exitCode } = await json(...served(), '--dstack-endpoint', agent.socket);
    expect(exitCode).toBe(0);
    expect(result.device).toMatchObject({ name: 'dstack', provider: 'dstack guest agent 0.5.4' });
    const named = await json(...served(), '--dstack-endpoint', agent.socket, '--device', 'configfs-tsm');
    expect(named.result.device.name).toBe('configfs-tsm');
  });
});

describe('the simulated device', () => {
  const dir = () => file('unsafe-dev-tee');
  const asked = () => ['--device', 'unsafe-simulated-tdx', '--unsafe-simulated-root', dir()];
  beforeAll(async () => {
    await mkdir(dir());
    await createSimulatedRoot(dir(), now);
  });

  test('is no driver unless it is named', async () => {
    kernel.provider = undefined;
    const { result, exitCode } = await json('--unsafe-simulated-root', dir());
    expect(exitCode).toBe(1);
    expect(result.drivers.map(({ name }: { name: string }) => name)).toEqual(['dstack', 'configfs-tsm']);
    expect(result.error.code).toBe('DEVICE_NOT_FOUND');
  });

  test('named, it gives evidence of its own root, and says what it is', async () => {
    kernel.provider = undefined;
    const { result, exitCode } = await json(...asked());
    expect(exitCode).toBe(0);
    expect(result).toMatchObject({
      ok: true,
      device: { name: 'unsafe-simulated-tdx', simulated: true, sealsAtRest: true },
      evidence: { claims: { simulated: true } },
    });
    expect((await loadSimulatedRoot(dir())).trustRoot.simulated).toBe(true);
    const { out } = await run(...asked());
    expect(out).toContain('✓ unsafe-simulated-tdx — unsafe: a TDX device that is none');
    expect(out).toContain('Device: unsafe-simulated-tdx, tdx by unsafe-simulated, SIMULATED');
  });

  test('named as a SEV-SNP guest, it gives evidence of that kind, held against what networks ask', async () => {
    kernel.provider = undefined;
    const snp = ['--device', 'unsafe-simulated-snp', '--unsafe-simulated-root', dir()];
    expect((await run(...snp)).error).toMatchObject({ code: 'SIMULATED_ROOT_MISSING' });
    await createSimulatedSnpRoot(dir(), now);
    const { result, exitCode } = await json(...snp);
    expect(exitCode).toBe(0);
    expect(result).toMatchObject({
      ok: true,
      device: { name: 'unsafe-simulated-snp', kind: 'sev-snp', simulated: true, sealsAtRest: false },
      evidence: { teeType: 'sev-snp', tcbStatus: null, claims: { simulated: true, product: 'Genoa' } },
    });
    const { out } = await run(...snp);
    expect(out).toContain('Device: unsafe-simulated-snp, sev-snp by unsafe-simulated, SIMULATED');
    expect(out).toContain(`Image: ${result.evidence.claims.imageId}`);
    const policy = file('without-floors.json');
    await writeFile(policy, '{"unsafeAllowSimulated":true}');
    const refused = await json(...snp, '--policy', policy);
    expect([refused.exitCode, refused.result.evidence.refusal.code]).toEqual([1, 'TCB_FLOOR_MISSING']);
  });

  test('is refused beside a real one', async () => {
    const { result, exitCode } = await json(...asked());
    expect([exitCode, result.error.code]).toEqual([1, 'SIMULATED_BESIDE_REAL']);
  });

  test('without its folder is refused by name', async () => {
    expect((await run('--device', 'unsafe-simulated-tdx')).error).toMatchObject({ code: 'OPTION_VALUE_INVALID' });
    const missing = await run('--device', 'unsafe-simulated-tdx', '--unsafe-simulated-root', file('not-here'));
    expect(missing.error).toMatchObject({ code: 'SIMULATED_ROOT_MISSING' });
  });
});

describe('nothing is made', () => {
  test.each([
    ['--report-data', 'xyz'],
    ['--report-data', '00'],
    ['--report-data', 'ab'.repeat(65)],
    ['--timeout', '0'],
    ['--timeout', 'soon'],
  ])('for %s %s', async (option, value) => {
    expect((await run(option, value)).error).toMatchObject({
      code: 'OPTION_VALUE_INVALID',
      message: expect.stringContaining(option),
    });
    expect(kernel.made).toEqual([]);
  });

  test('for a device that is unknown', async () => {
    const { result, exitCode } = await json('--device', 'sgx');
    expect([exitCode, result.error.code]).toEqual([1, 'DEVICE_UNKNOWN']);
    expect((await run('--device', 'sgx')).out).toContain(
      'Expected a device named "dstack" or "configfs-tsm", got "sgx"',
    );
  });

  test('when the time is over', async () => {
    const controller = new AbortController();
    const report = () => {
      controller.abort(new DOMException('late', 'TimeoutError'));
      return new Promise<never>(() => undefined);
    };
    kernel.provider = { name: 'tdx_guest', report };
    const timeout = vi.spyOn(AbortSignal, 'timeout').mockReturnValueOnce(controller.signal);
    const { result, exitCode } = await json(...served(), '--timeout', '7');
    expect(timeout).toHaveBeenCalledWith(7000);
    timeout.mockRestore();
    expect([exitCode, result.error.code]).toEqual([1, 'TIMEOUT']);
  });
});
