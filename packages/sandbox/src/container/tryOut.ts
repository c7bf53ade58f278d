import { readFileSync, readlinkSync } from 'node:fs';
import type { Workload } from '../sandbox.ts';
import { SandboxError } from '../sandboxError.ts';
import { type ContainerParts, ContainerProcess } from './containerProcess.ts';

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

/** What the kernel must say of a process in a container (proc(5), /proc/PID/status). */
const held: Readonly<Record<string, RegExp>> = { CapBnd: /^0+$/, CapEff: /^0+$/, NoNewPrivs: /^1$/, Seccomp: /^2$/ };

/** Starts a relay without an app, and looks at the walls around it from outside. Throws PROCESS_FAILED where one is not there. */
export async function tryOut(parts: ContainerParts, signal: AbortSignal): Promise<void> {
  const { confined } = await ContainerProcess.start(parts, nobody, { services: [], port: 1 }, signal);
  try {
    const pid = confined.programPid ?? 0;
    const status = readFileSync(`/proc/${pid}/status`, 'utf8');
    for (const [name, wanted] of Object.entries(held)) {
      const value = new RegExp(`^${name}:\\s+(\\S+)$`, 'm').exec(status)?.[1] ?? '';
      if (!wanted.test(value)) throw notHeld(`${name} is "${value}"`);
    }
    for (const space of ['net', 'pid', 'mnt', 'ipc', 'uts'])
      if (readlinkSync(`/proc/${pid}/ns/${space}`) === readlinkSync(`/proc/self/ns/${space}`))
        throw notHeld(`it shares the namespace "${space}"`);
  } finally {
    confined.kill();
    await confined.removed;
  }
}

function notHeld(what: string): SandboxError {
  return new SandboxError({ code: 'PROCESS_FAILED', message: `A container is not held as it must be: ${what}` });
}
