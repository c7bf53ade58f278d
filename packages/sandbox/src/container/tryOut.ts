import { readFileSync, readlinkSync, realpathSync, statSync } from 'node:fs';
import type { ContainerService, Workload } from '../sandbox.ts';
import { SandboxError } from '../sandboxError.ts';
import { TenantLog } from '../tenantLog.ts';
import { type ContainerParts, ContainerProcess } from './containerProcess.ts';
import type { ImageConfig } from './image/imageConfig.ts';

const MiB = 1024 * 1024;
const nobody: Workload = {
  tenant: `0x${'0'.repeat(64)}`,
  version: `0x${'0'.repeat(64)}`,
  kind: 'container',
  code: new Uint8Array(),
  env: {},
  outboundHosts: [],
  limits: { memoryBytes: 64 * MiB, wallMs: 1_000, outputBytes: 0, maxConcurrent: 1 },
};

/** Of an image with nothing in it: what runs are files of this machine. */
const emptyConfig: ImageConfig = {
  entrypoint: [],
  command: [],
  environment: [],
  workingDir: '',
  volumes: [],
  diffIds: [],
};
const trialPort = 8_080;
const pausedLookMs = 300;
const trialDeadlineMs = 20_000;

type Held = Readonly<Record<string, RegExp>>;

/** What the kernel must say of a process in a container (proc(5), /proc/PID/status). */
const held: Held = { CapBnd: /^0+$/, CapEff: /^0+$/, NoNewPrivs: /^1$/, Seccomp: /^2$/ };
/** Of gVisor's kernel, which may trace its own processes (bit 19, capabilities(7)) and see no others. */
const heldGvisor: Held = { ...held, CapBnd: /^0*80000$/, CapEff: /^0*80000$/ };
const spaces = ['net', 'pid', 'mnt', 'ipc', 'uts'];
/** It traces processes of its own by their numbers on this machine, and may trace none that are not in its user namespace. */
const spacesGvisor = ['user', 'net', 'mnt', 'ipc', 'uts'];

/** Starts a relay without an app, and looks at the walls around it from outside. Throws PROCESS_FAILED where one is not there. */
export async function tryOut(parts: ContainerParts, signal: AbortSignal): Promise<void> {
  const { confined } = await ContainerProcess.start(parts, nobody, { services: [], port: 1 }, signal);
  try {
    assertHeld(confined.programPid ?? 0, held, spaces);
  } finally {
    confined.kill();
    await confined.removed;
  }
}

/** What the program in a trial answers: success where the kernel that it sees is gVisor's, and holds it. */
const trialProgram = `
  const { readFileSync } = require('node:fs');
  const status = readFileSync('/proc/self/status', 'utf8');
  const field = (name) => status.split('\\n').find((line) => line.startsWith(name + ':'))?.slice(name.length + 1).trim();
  const isHeld = readFileSync('/proc/version', 'utf8').startsWith('Linux version 4.4.0 ') && process.getuid() !== 0 &&
    field('Seccomp') === '2' && /^0+$/.test(field('CapBnd') ?? '1');
  require('node:http').createServer((_, answer) => answer.writeHead(isHeld ? 204 : 500).end()).listen(${trialPort});
`;

/**
 * Starts a program of ours as an app's, in gVisor, and looks at it from outside and from inside. Throws PROCESS_FAILED where
 * it does not run, is not held as it must be, or can't be stopped between calls.
 * @param runsc the program that must be around it
 */
export async function tryOutGvisor(parts: ContainerParts, runsc: string, signal: AbortSignal): Promise<void> {
  const { image, mounts, command } = parts.relay;
  const [program = ''] = command;
  const service: ContainerService = {
    ...{ name: 'trial', image: { id: `0x${image.slice('sha256:'.length)}`, config: emptyConfig } },
    ...{ entrypoint: [program, '--no-warnings', '-e', trialProgram], environment: {}, tmpfs: [] },
  };
  const files = { ...parts, appMounts: mounts.filter(({ target }) => target !== '/relay') };
  const process = await ContainerProcess.start(files, nobody, { services: [service], port: trialPort }, signal);
  const { confined } = process;
  try {
    const log = new TenantLog();
    await process.load(nobody, '', log, () => {}, signal);
    if (!(await process.appAnswers(trialDeadlineMs, signal)))
      throw notHeld(`a program in it does not answer: ${log.lines().at(-1)?.message ?? 'it says nothing'}`);
    const pid = confined.lastPid ?? 0;
    if (realpathSync(`/proc/${pid}/exe`) !== realpathSync(runsc)) throw notHeld(`"${runsc}" is not around it`);
    assertHeld(pid, heldGvisor, spacesGvisor);
    if (readlinkSync(`/proc/${pid}/ns/net`) !== readlinkSync(`/proc/${confined.programPid}/ns/net`))
      throw notHeld("it is not in its app's network");
    const [root, own] = [statSync(`/proc/${pid}/root/`), statSync('/')];
    if (root.dev === own.dev && root.ino === own.ino) throw notHeld('it sees the files of the machine');
    confined.pause();
    if (await process.appAnswers(pausedLookMs, signal)) throw notHeld('it goes on while it is to rest');
    confined.resume();
    if (!(await process.appAnswers(trialDeadlineMs, signal))) throw notHeld('it does not go on after a rest');
  } finally {
    confined.kill();
    await confined.removed;
  }
}

function assertHeld(pid: number, wanted: Held, own: readonly string[]): void {
  const status = readFileSync(`/proc/${pid}/status`, 'utf8');
  for (const [name, form] of Object.entries(wanted)) {
    const value = new RegExp(`^${name}:\\s+(\\S+)$`, 'm').exec(status)?.[1] ?? '';
    if (!form.test(value)) throw notHeld(`${name} is "${value}"`);
  }
  for (const space of own)
    if (readlinkSync(`/proc/${pid}/ns/${space}`) === readlinkSync(`/proc/self/ns/${space}`))
      throw notHeld(`it shares the namespace "${space}"`);
}

function notHeld(what: string): SandboxError {
  return new SandboxError({ code: 'PROCESS_FAILED', message: `A container is not held as it must be: ${what}` });
}
