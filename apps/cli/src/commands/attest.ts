import { randomBytes } from 'node:crypto';
import { readFile, writeFile } from 'node:fs/promises';
import {
  type AttestationDevice,
  type AttestationDriver,
  chooseDriver,
  collateralFetchers,
  DeviceError,
  intelPcsUrl,
  type MachineDriversInit,
  machineDrivers,
  type SurveyedDriver,
  surveyDevices,
  type TdxRegisters,
} from '@cloister/attestation/attest';
import {
  type AppraisalPolicy,
  type EvidenceResult,
  networkPolicy,
  parsePolicy,
  pinnedRoots,
  serialiseEvidence,
  type TrustRoot,
  trustRootOfCertificate,
  verifyEvidenceFile,
} from '@cloister/attestation/verify';
import { CloisterError, describeError, isHexOf } from '@cloister/core';
import { fromHex, toHex } from '@cloister/crypto';
import type { Command } from 'commander';
import { OptionValueError } from '../optionValues.ts';
import { print } from '../output.ts';

type Options = {
  device?: string;
  reportData?: string;
  out?: string;
  collateralService?: string;
  collateral?: string;
  dstackEndpoint?: string;
  unsafeSimulatedRoot?: string;
  root?: string;
  policy?: string;
  timeout?: string;
  json?: boolean;
};

/** What tests put in place of this machine. */
export type AttestSetup = Partial<Pick<MachineDriversInit, 'files' | 'now'>>;

type Survey = {
  readonly name: string;
  readonly about: string;
  readonly simulated: boolean;
  readonly available: boolean;
  /** Null where it is available. */
  readonly unavailable: { readonly code: string; readonly reason: string; readonly hint: string | null } | null;
};

/** What `cloister attest --json` prints; fields are added, never changed. */
type AttestResult = {
  readonly ok: boolean;
  readonly drivers: readonly Survey[];
  readonly device: Pick<
    AttestationDevice,
    'name' | 'kind' | 'provider' | 'simulated' | 'sealsAtRest' | 'sealing'
  > | null;
  /** What the evidence was asked over. */
  readonly reportData: string;
  /** As the machine shows them without a signature; null where it shows none. */
  readonly registers: TdxRegisters | null;
  /** Whose event log goes with the evidence; null where none does. */
  readonly eventLog: 'ccel' | 'dstack' | null;
  /** Evidence verified and appraised, in the form of verify-evidence; null where there is none. */
  readonly evidence: EvidenceResult | null;
  /** Why there is no evidence; null where there is. */
  readonly error: { readonly code: string; readonly message: string; readonly hint: string | null } | null;
  /** The file that holds the evidence document; null without --out. */
  readonly out: string | null;
};

export function attestCommand(program: Command, setup: AttestSetup = {}): void {
  program
    .command('attest')
    .description('what TEE this machine is, and why not: makes evidence, verifies and appraises it')
    .option(
      '--device <name>',
      'dstack, configfs-tsm, unsafe-simulated-tdx or unsafe-simulated-snp (default: the one that is here)',
    )
    .option('--report-data <hex>', 'what the evidence is over: 64 bytes in hexadecimal (default: random)')
    .option('--out <file>', 'write the evidence document to a file')
    .option('--collateral-service <url>', `service with the API of Intel's PCS (default: ${intelPcsUrl})`)
    .option('--collateral <file>', 'file or folder of collateral, asked before the service')
    .option('--dstack-endpoint <path>', "the dstack agent's socket, or the URL of dstack's simulator")
    .option('--unsafe-simulated-root <dir>', 'folder with the DEV root of the simulated device')
    .option('--root <file>', 'trust this root certificate instead of the pinned ones; makes evidence simulated')
    .option(
      '--policy <file>',
      'appraisal policy (default: what networks ask: UpToDate or SWHardeningNeeded, of SEV-SNP the floors, no debug)',
    )
    .option('--timeout <seconds>', 'give up after so long', '120')
    .addHelpText(
      'after',
      '\nExit code: 0 only if a device of this machine gave evidence that holds under the policy. Simulated evidence counts\nonly where --device or --root asks for it.',
    )
    .action(async (_: unknown, command: Command) => {
      const options = command.optsWithGlobals<Options>();
      const result = await attest(options, setup);
      print(options, result, () => prose(result));
      process.exitCode = result.ok ? 0 : 1;
    });
}

async function attest(options: Options, setup: AttestSetup): Promise<AttestResult> {
  const reportData = readReportData(options.reportData);
  const simulated = await simulatedDevice(options, setup);
  const roots =
    options.root === undefined
      ? (simulated?.roots ?? pinnedRoots)
      : [trustRootOfCertificate(await readFile(options.root))];
  const policy: AppraisalPolicy =
    options.policy === undefined
      ? networkPolicy({ simulated: roots.some((root) => root.simulated) })
      : parsePolicy(await readFile(options.policy));
  const drivers: readonly AttestationDriver[] = [
    ...machineDrivers({
      roots,
      fetchers: collateralFetchers({
        path: options.collateral,
        service: options.collateralService ?? (options.collateral === undefined ? intelPcsUrl : undefined),
      }),
      dstackEndpoint: options.dstackEndpoint,
      ...setup,
    }),
    ...(simulated === undefined ? [] : [simulated.driver]),
  ];
  const signal = AbortSignal.timeout(readTimeout(options.timeout) * 1000);
  const survey = await surveyDevices(drivers, { signal });
  const found: { -readonly [Key in keyof AttestResult]: AttestResult[Key] } = {
    ok: false,
    drivers: survey.map(surveyed),
    device: null,
    reportData: toHex(reportData),
    registers: null,
    eventLog: null,
    evidence: null,
    error: null,
    out: null,
  };
  try {
    const device = await chooseDriver(survey, options.device).open({ signal });
    const { name, kind, provider, sealsAtRest, sealing } = device;
    found.device = { name, kind, provider, simulated: device.simulated, sealsAtRest, sealing };
    found.registers = await registersOf(device);
    const given = await device.quote(reportData, { signal, eventLog: true });
    found.eventLog = given.teeType === 'tdx' ? (given.eventLog?.kind ?? null) : null;
    const document = serialiseEvidence(given);
    found.evidence = await verifyEvidenceFile({
      evidenceBytes: document,
      at: setup.now?.() ?? Math.floor(Date.now() / 1000),
      roots,
      policy: { ...policy, reportData: toHex(reportData) },
    });
    found.ok = found.evidence.ok;
    if (options.out !== undefined) {
      await writeFile(options.out, document);
      found.out = options.out;
    }
  } catch (error) {
    found.error = described(error);
  }
  return found;
}

/** The simulated device, only where it is asked for by its name. */
async function simulatedDevice(
  options: Options,
  setup: AttestSetup,
): Promise<{ readonly driver: AttestationDriver; readonly roots: readonly TrustRoot[] } | undefined> {
  if (options.device === undefined || !options.device.startsWith('unsafe-')) return undefined;
  if (options.unsafeSimulatedRoot === undefined)
    throw new OptionValueError('--unsafe-simulated-root', '', 'the folder unsafe-dev-tee of a development network');
  const { openUnsafeSimulatedDriver } = await import('../unsafeSimulatedDriver.ts');
  return openUnsafeSimulatedDriver(options.device, options.unsafeSimulatedRoot, setup.now);
}

/** They only inform, so not being able to read them is no reason to give no evidence. */
async function registersOf(device: AttestationDevice): Promise<TdxRegisters | null> {
  try {
    return (await device.registers?.()) ?? null;
  } catch (error) {
    if (error instanceof DeviceError) return null;
    throw error;
  }
}

function readReportData(text: string | undefined): Uint8Array {
  if (text === undefined) return Uint8Array.from(randomBytes(64));
  const prefixed = text.startsWith('0x') ? text : `0x${text}`;
  if (!isHexOf(prefixed, 64)) throw new OptionValueError('--report-data', text, '64 bytes in hexadecimal');
  return fromHex(prefixed);
}

function readTimeout(text = '120'): number {
  if (/^[1-9][0-9]{0,4}$/.test(text)) return Number(text);
  throw new OptionValueError('--timeout', text, 'a whole number of seconds');
}

function surveyed({ driver, unavailable }: SurveyedDriver): Survey {
  const { name, about, simulated } = driver;
  return {
    name,
    about,
    simulated,
    available: unavailable === undefined,
    unavailable:
      unavailable === undefined
        ? null
        : { code: unavailable.code, reason: unavailable.reason, hint: unavailable.hint ?? null },
  };
}

function described(error: unknown): NonNullable<AttestResult['error']> {
  if (error instanceof CloisterError) return { code: error.code, message: error.message, hint: error.hint ?? null };
  if (error instanceof Error && error.name === 'TimeoutError')
    return { code: 'TIMEOUT', message: 'The device gave no evidence in time', hint: 'Give it longer with --timeout' };
  return { code: 'FAILED', message: describeError(error), hint: null };
}

function prose({ drivers, device, registers, eventLog, evidence, error, out }: AttestResult): string {
  const lines = ['Devices:'];
  for (const { name, about, available, unavailable } of drivers) {
    lines.push(available ? `  ✓ ${name} — ${about}` : `  ✗ ${name} — ${unavailable?.reason}`);
    if (unavailable !== null && unavailable.hint !== null) lines.push(`      ${unavailable.hint}`);
  }
  if (device !== null) {
    lines.push(
      `Device: ${device.name}, ${device.kind} by ${device.provider}${device.simulated ? ', SIMULATED' : ''}`,
      `Seals at rest: ${device.sealing}`,
    );
  }
  if (registers !== null) lines.push(...measurementLines('Registers, as the kernel shows them:', registers));
  if (evidence?.claims !== undefined && evidence.claims !== null) {
    const { claims } = evidence;
    const tcb = evidence.tcbStatus === null ? '' : `, TCB ${evidence.tcbStatus}`;
    lines.push(
      `Evidence: ${claims.teeType}${claims.simulated ? ', SIMULATED' : ''}${tcb}${['', ...evidence.advisories].join(' ')}`,
    );
    if (claims.teeType === 'tdx') {
      const { mrtd, rtmr0, rtmr1, rtmr2, rtmr3, mrConfigId } = claims;
      lines.push(...measurementLines('Measurements:', { mrtd, rtmr0, rtmr1, rtmr2, rtmr3, mrConfigId }));
      lines.push(`Image: ${claims.imageId}`);
      if (claims.composeHash !== null) lines.push(`dstack app: ${claims.composeHash}, part of the image`);
    } else if (claims.teeType === 'sev-snp') {
      const { measurement, hostData } = claims;
      lines.push(...measurementLines('Measurements:', { measurement, hostData }), `Image: ${claims.imageId}`);
    }
  }
  if (eventLog !== null)
    lines.push(`Event log: ${eventLog === 'ccel' ? "the firmware's" : "the dstack guest's"}, and it replays`);
  if (out !== null) lines.push(`Written: ${out}`);
  if (evidence?.ok === true) lines.push('Holds: the evidence verifies and is acceptable');
  else if (evidence !== null) lines.push(`Refused: ${evidence.refusal?.message} (${evidence.refusal?.code})`);
  if (error?.code === 'DEVICE_NOT_FOUND') lines.push('No evidence: this machine has no such device (DEVICE_NOT_FOUND)');
  else if (error !== null) {
    lines.push(`No evidence: ${error.message} (${error.code})`);
    if (error.hint !== null) lines.push(`  ${error.hint}`);
  }
  return lines.join('\n');
}

function measurementLines(title: string, values: Readonly<Record<string, string>>): string[] {
  return [title, ...Object.entries(values).map(([name, value]) => `  ${name.padEnd(13)} ${value}`)];
}
