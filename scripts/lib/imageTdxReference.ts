import { tdxImageId } from '@cloister/core';
import { fromHex, sha256, toHex } from '@cloister/crypto';
import type { GuestOptions, TdxOptions } from './imageGuestOptions.ts';
import { hashInput, maxKernelBytes, readInput } from './imageInput.ts';
import { readTdxSections, tdxMrtd } from './imageTdxFirmware.ts';
import { tdxRtmr1, tdxRtmr2 } from './imageTdxRegisters.ts';
import { ScriptError } from './scriptError.ts';

/** What a firmware's log of such a machine leads to. */
export type LoggedRegisters = { readonly rtmr0: string; readonly rtmr1: string; readonly rtmr2: string };

/**
 * What a TD that is started so reports. RTMR0 is the machine's, and comes from a log of one, as does the image id, which needs
 * all four; the log must agree in what is computed here. Throws ScriptError, IMAGE_LOG_DIFFERS among it.
 */
export function tdxReference(guest: GuestOptions, tdx: TdxOptions, logged: LoggedRegisters | undefined) {
  const firmware = readInput(tdx.firmware);
  const mrtd = tdxMrtd(readTdxSections(firmware));
  const rtmr1 = tdxRtmr1(readInput(guest.kernel, maxKernelBytes));
  const rtmr2 = tdxRtmr2(guest.append, hashInput(tdx.initrd).sha384);
  if (logged !== undefined) {
    assertLogged('rtmr1', toHex(rtmr1), logged, 'the kernel');
    assertLogged('rtmr2', toHex(rtmr2), logged, 'command line and initrd');
  }
  const imageId = logged === undefined ? null : tdxImageId({ mrtd, rtmr0: fromHex(logged.rtmr0), rtmr1, rtmr2 });
  return {
    imageId,
    mrtd: toHex(mrtd),
    rtmr0: logged?.rtmr0 ?? null,
    rtmr1: toHex(rtmr1),
    rtmr2: toHex(rtmr2),
    firmware: { sha256: toHex(sha256(firmware)) },
    append: guest.append,
  };
}

function assertLogged(name: 'rtmr1' | 'rtmr2', computed: string, logged: LoggedRegisters, of: string): void {
  if (logged[name] === computed) return;
  throw new ScriptError({
    code: 'IMAGE_LOG_DIFFERS',
    message: `By ${of} ${name.toUpperCase()} would be "${computed}", and the log leads to "${logged[name]}"`,
    hint: 'The log is of another kernel, command line or initrd, or of software that measures otherwise than what is known here',
  });
}
