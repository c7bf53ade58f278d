import { DeviceError, type DeviceErrorCode } from '../deviceError.ts';
import { systemErrorCode } from '../systemFiles.ts';

type Meaning = { readonly code: DeviceErrorCode; readonly says: string; readonly hint?: string };

const busy: Meaning = { code: 'DEVICE_BUSY', says: 'another request is under way', hint: 'Ask again later' };
const forbidden: Meaning = {
  code: 'DEVICE_FORBIDDEN',
  says: 'this process may not use it',
  hint: 'Run as root, with the configfs of the machine mounted writable',
};
const gone: Meaning = {
  code: 'DEVICE_GONE',
  says: 'the kernel has no provider for it',
  hint: 'Load the module tdx_guest or sev-guest; outside a TEE there is none',
};

/** What the kernel's refusals mean below configfs-tsm (Linux, `drivers/virt/coco/`: tsm, tdx-guest, sev-guest). */
const meanings: Readonly<Record<string, Meaning>> = {
  EACCES: forbidden,
  EPERM: forbidden,
  EROFS: forbidden,
  EBUSY: busy,
  EAGAIN: busy,
  EINTR: busy,
  EEXIST: busy,
  ENXIO: gone,
  ENODEV: gone,
  ENOTTY: gone,
  ENOENT: {
    code: 'DEVICE_UNSUPPORTED',
    says: 'it is not there',
    hint: 'Run a kernel of 6.7 or later with CONFIG_TSM_REPORTS',
  },
  EINVAL: { code: 'DEVICE_REFUSED', says: 'the kernel refused the request' },
  EFBIG: {
    code: 'DEVICE_REPLY_TOO_LARGE',
    says: 'the report is larger than this kernel passes on',
    hint: 'Run a newer kernel',
  },
  ETIMEDOUT: { code: 'DEVICE_TIMEOUT', says: 'the host gave no quote in time', hint: "See the host's quoting service" },
};
const failed: Meaning = {
  code: 'DEVICE_FAILED',
  says: 'the kernel or the host failed',
  hint: "See the host's quoting service",
};

/** A system error at a path below configfs-tsm as a DeviceError; what is none of these is returned as it is. */
export function tsmError(error: unknown, path: string): unknown {
  const code = systemErrorCode(error);
  if (code === undefined) return error;
  const { code: ours, says, hint } = meanings[code] ?? failed;
  return new DeviceError({
    code: ours,
    message: `Could not use "${path}": ${says} (${code})`,
    hint,
    meta: { path, systemError: code },
    cause: error,
  });
}
