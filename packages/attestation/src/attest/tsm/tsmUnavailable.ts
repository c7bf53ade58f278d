import type { Unavailable } from '../device.ts';
import { DeviceError } from '../deviceError.ts';
import type { SystemFiles } from '../systemFiles.ts';

const configFolder = '/sys/kernel/config';
const releaseFile = '/proc/sys/kernel/osrelease';
/** Some kB for each processor. */
const maxProcessorBytes = 4 * 1024 * 1024;
/** The first Linux with configfs-tsm. */
const needed = [6, 7] as const;

/** Why there is no folder for reports: no TEE, a kernel that is too old, nothing mounted, or no module that brings it. */
export async function whyNoReportFolder(files: SystemFiles): Promise<Unavailable> {
  const guest = await signOfGuest(files);
  if (guest === undefined)
    return {
      code: 'NOT_THIS_MACHINE',
      reason: 'the kernel knows no TEE here: no /dev/tdx_guest, no /dev/sev-guest',
      hint: 'On a guest that is one, load the module tdx_guest or sev-guest',
    };
  const release = await kernelRelease(files);
  if (release !== undefined && isOlder(release))
    return {
      code: 'KERNEL_TOO_OLD',
      reason: `${guest} is here, but Linux ${release} gives reports only to native code`,
      hint: `Run Linux ${needed.join('.')} or later`,
    };
  if (!(await files.exists(configFolder)))
    return {
      code: 'NOT_MOUNTED',
      reason: `${guest} is here, but nothing at ${configFolder}`,
      hint: 'Mount it: mount -t configfs none /sys/kernel/config',
    };
  return {
    code: 'MODULE_MISSING',
    reason: `${guest} is here, but no ${configFolder}/tsm/report`,
    hint: 'Load the module of the guest (modprobe tdx_guest or sev-guest), or run a kernel with CONFIG_TSM_REPORTS',
  };
}

/** What an entry that could not be made or read says about this machine. Rethrows what is not about it. */
export function whyNoEntry(error: unknown): Unavailable {
  if (!(error instanceof DeviceError)) throw error;
  const hint = error.hint === undefined ? {} : { hint: error.hint };
  const { code, message } = error;
  if (code === 'DEVICE_FORBIDDEN') return { code: 'NO_PERMISSION', reason: message, ...hint };
  if (code === 'DEVICE_GONE') return { code: 'MODULE_MISSING', reason: message, ...hint };
  if (code === 'DEVICE_UNSUPPORTED') return { code: 'NOT_THIS_MACHINE', reason: message, ...hint };
  return { code: 'NOT_ANSWERING', reason: message, ...hint };
}

/** Device nodes of guest drivers, and what the processor says to a TD whose driver is not loaded. */
async function signOfGuest(files: SystemFiles): Promise<string | undefined> {
  for (const path of ['/dev/tdx_guest', '/dev/sev-guest']) if (await files.exists(path)) return path;
  const processors = await textOf(files, '/proc/cpuinfo', maxProcessorBytes);
  return processors !== undefined && /^flags\s*:.*\btdx_guest\b/m.test(processors) ? 'a TD' : undefined;
}

async function kernelRelease(files: SystemFiles): Promise<string | undefined> {
  const text = (await textOf(files, releaseFile, 256))?.trim() ?? '';
  return /^[0-9]+\.[0-9]+[\x21-\x7e]*$/.test(text) ? text : undefined;
}

/** Undefined where it can't be read: then the reason is told less exactly. */
async function textOf(files: SystemFiles, path: string, maxBytes: number): Promise<string | undefined> {
  try {
    return Buffer.from(await files.read(path, maxBytes)).toString('latin1');
  } catch {
    return undefined;
  }
}

function isOlder(release: string): boolean {
  const [major = 0, minor = 0] = release.split('.').map((part) => Number.parseInt(part, 10));
  return major < needed[0] || (major === needed[0] && minor < needed[1]);
}
