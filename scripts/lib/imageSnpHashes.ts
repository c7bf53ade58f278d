import { guidToBytes, pageBytes } from './imageFirmware.ts';
import { hashTableBytes } from './imageSnpFirmware.ts';

/** SHA-256 of what QEMU is given beside the firmware. */
export type KernelHashes = {
  readonly kernel: Uint8Array;
  /** Of no bytes where there is none. */
  readonly initrd: Uint8Array;
  /** With the zero byte at its end. */
  readonly commandLine: Uint8Array;
};

const tableGuid = '9438d606-4f22-4cc9-b479-a793d411fd21';
const entryGuids = {
  commandLine: '97d02dd8-bd20-4c94-aa78-e7714d36ab2a',
  initrd: '44baf731-3a2f-4bd7-9af1-41e29169781d',
  kernel: '4de79437-abd2-427f-b835-d5b172d2045b',
} as const;
const entryBytes = 16 + 2 + 32;
const tableBytes = 16 + 2 + 3 * entryBytes;

/**
 * The page with the hashes by which the firmware checks kernel, initrd and command line, as QEMU writes it (target/i386/sev.c,
 * `PaddedSevHashTable`): a GUID and the length, then in this order for each a GUID, a length, the hash; zeros around it.
 */
export function snpHashesPage(hashes: KernelHashes, offset: number): Uint8Array {
  const page = Buffer.alloc(pageBytes);
  const put = (guid: string, length: number, at: number) => {
    guidToBytes(guid).copy(page, at);
    page.writeUInt16LE(length, at + 16);
    return at + 18;
  };
  let at = put(tableGuid, tableBytes, offset);
  for (const name of ['commandLine', 'initrd', 'kernel'] as const) {
    page.set(hashes[name], put(entryGuids[name], entryBytes, at));
    at += entryBytes;
  }
  if (at > offset + hashTableBytes) throw new RangeError('The table of hashes outgrew its place');
  return page;
}
