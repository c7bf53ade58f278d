import { guidToBytes } from '../../scripts/lib/imageFirmware.ts';

export type OvmfParts = {
  readonly bytes?: number;
  /** What stands in it before anything else does. */
  readonly fill?: (index: number) => number;
  /** Entries of its table of GUIDs, in the order of the file. */
  readonly entries: readonly (readonly [guid: string, data: Uint8Array])[];
  /** Other parts, by their distance from its end. */
  readonly parts?: Readonly<Record<number, Uint8Array>>;
  /** Behind the table. */
  readonly end?: number;
};

export const footerGuid = '96b582de-1fb2-45f7-baea-a366c55a082d';

/** An image with the table that OVMF has at its end. */
export function ovmf({ bytes = 4096, fill = () => 0xff, entries, parts = {}, end = 0 }: OvmfParts): Buffer {
  const firmware = Buffer.from(Array.from({ length: bytes }, (_, index) => fill(index) & 0xff));
  for (const [distance, part] of Object.entries(parts)) firmware.set(part, bytes - Number(distance));
  const body = Buffer.concat(entries.map(([guid, data]) => entry(guid, data, data.length + 18)));
  const table = Buffer.concat([body, entry(footerGuid, Buffer.alloc(0), body.length + 18), Buffer.alloc(32, end)]);
  firmware.set(table, bytes - table.length);
  return firmware;
}

function entry(guid: string, data: Uint8Array, length: number): Buffer {
  return Buffer.concat([data, u16(length), guidToBytes(guid)]);
}

export function u16(value: number): Buffer {
  const bytes = Buffer.alloc(2);
  bytes.writeUInt16LE(value);
  return bytes;
}

export function u32(...values: readonly number[]): Buffer {
  const bytes = Buffer.alloc(4 * values.length);
  values.forEach((value, index) => {
    bytes.writeUInt32LE(value, 4 * index);
  });
  return bytes;
}
