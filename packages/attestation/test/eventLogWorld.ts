import { createHash } from 'node:crypto';
import { AttestationError, type Registers } from '../src/verify/index.ts';

/** Writers of event logs that share nothing with the readers under test. */
export const hash = (...parts: readonly Uint8Array[]): Buffer => {
  const stream = createHash('sha384');
  for (const part of parts) stream.update(part);
  return stream.digest();
};

export const u16 = (value: number): Buffer => {
  const bytes = Buffer.alloc(2);
  bytes.writeUInt16LE(value);
  return bytes;
};

export const u32 = (value: number): Buffer => {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32LE(value);
  return bytes;
};

export type LoggedEvent = {
  /** 1 to 4 for RTMR0 to 3. */
  readonly register: number;
  readonly type: number;
  readonly data: Uint8Array;
  readonly digest?: Uint8Array;
};

export type Algorithm = { readonly id: number; readonly length: number };

export const sha384: Algorithm = { id: 12, length: 48 };
export const sha256: Algorithm = { id: 11, length: 32 };

export type HeaderOptions = {
  readonly algorithms?: readonly Algorithm[];
  readonly type?: number;
  readonly signature?: string;
  readonly digest?: Uint8Array;
  readonly count?: number;
  readonly vendor?: Uint8Array;
  readonly behind?: Uint8Array;
};

export function header(options: HeaderOptions = {}): Buffer {
  const { algorithms = [sha384], vendor = Buffer.alloc(0), behind = Buffer.alloc(0) } = options;
  const data = Buffer.concat([
    Buffer.from(options.signature ?? 'Spec ID Event03\0', 'latin1'),
    Buffer.from('0000000000020002', 'hex'),
    u32(options.count ?? algorithms.length),
    ...algorithms.flatMap(({ id, length }) => [u16(id), u16(length)]),
    Buffer.of(vendor.length),
    vendor,
    behind,
  ]);
  return Buffer.concat([u32(1), u32(options.type ?? 3), options.digest ?? Buffer.alloc(20), u32(data.length), data]);
}

export function event(logged: LoggedEvent, algorithms: readonly Algorithm[] = [sha384]): Buffer {
  const digest = logged.digest ?? hash(logged.data);
  const digests = algorithms.flatMap(({ id, length }) => [u16(id), id === 12 ? digest : Buffer.alloc(length, id)]);
  return Buffer.concat([
    u32(logged.register),
    u32(logged.type),
    u32(algorithms.length),
    ...digests,
    u32(logged.data.length),
    logged.data,
  ]);
}

export const ascii = (text: string): Buffer => Buffer.from(text, 'latin1');

/** A boot: every register but RTMR3 is extended, one event informs only, one has a digest that is not of its data. */
export const boot: readonly LoggedEvent[] = [
  { register: 1, type: 0x8000000b, data: ascii('TdxTable') },
  { register: 0, type: 3, data: ascii('StartupLocality'), digest: Buffer.alloc(48) },
  { register: 1, type: 4, data: Buffer.alloc(4) },
  { register: 2, type: 0x80000003, data: ascii('path of a file'), digest: hash(ascii('the file')) },
  { register: 3, type: 13, data: ascii('kernel_cmdline: quiet') },
  { register: 2, type: 0x80000007, data: ascii('Exit Boot Services Invocation') },
  { register: 4, type: 0x7777, data: ascii('of a type that nobody named') },
];

export function ccel(events: readonly LoggedEvent[], options: HeaderOptions = {}, padding = 64): Uint8Array {
  const written = events.map((logged) => event(logged, options.algorithms));
  return Uint8Array.from(Buffer.concat([header(options), ...written, Buffer.alloc(padding, 0xff)]));
}

export function registersOf(extensions: readonly { readonly rtmr: number; readonly digest: Uint8Array }[]): Registers {
  const values = [0, 1, 2, 3].map((rtmr) =>
    extensions
      .filter((extension) => extension.rtmr === rtmr)
      .reduce((value: Buffer, { digest }) => hash(value, digest), Buffer.alloc(48)),
  );
  const [rtmr0 = '', rtmr1 = '', rtmr2 = '', rtmr3 = ''] = values.map((value) => value.toString('hex'));
  return { rtmr0: `0x${rtmr0}`, rtmr1: `0x${rtmr1}`, rtmr2: `0x${rtmr2}`, rtmr3: `0x${rtmr3}` };
}

export function registersOfBoot(events: readonly LoggedEvent[]): Registers {
  return registersOf(
    events
      .filter(({ type }) => type !== 3)
      .map(({ register, data, digest }) => ({ rtmr: register - 1, digest: digest ?? hash(data) })),
  );
}

export type TableOptions = {
  readonly signature?: string;
  readonly length?: number;
  readonly type?: number;
  readonly area?: bigint;
  readonly checksum?: number;
};

export function table(options: TableOptions = {}): Buffer {
  const bytes = Buffer.alloc(56);
  bytes.write(options.signature ?? 'CCEL', 'latin1');
  bytes.writeUInt32LE(options.length ?? 56, 4);
  bytes[8] = 1;
  bytes[36] = options.type ?? 2;
  bytes.writeBigUInt64LE(options.area ?? 65_536n, 40);
  bytes.writeBigUInt64LE(0xbedbf000n, 48);
  const sum = bytes.reduce((total, byte) => total + byte, 0);
  bytes[9] = (0x100 - (sum & 0xff) + (options.checksum ?? 0)) & 0xff;
  return bytes;
}

export type DstackEntry = {
  imr: number;
  event_type: number;
  digest?: string;
  event: string;
  event_payload: string;
  version?: number;
};

export const runtimeType = 0x08000001;

/** Version 1 of dstack's digest, written out. */
export function runtimeDigest(name: string, payload: Uint8Array): Buffer {
  return hash(Buffer.from('01000008', 'hex'), ascii(':'), Buffer.from(name), ascii(':'), payload);
}

export function runtimeEntry(name: string, payload: Uint8Array = Buffer.alloc(0)): DstackEntry {
  const digest = runtimeDigest(name, payload).toString('hex');
  return {
    imr: 3,
    event_type: runtimeType,
    digest,
    event: name,
    event_payload: Buffer.from(payload).toString('hex'),
  };
}

export const keyProvider = ascii('{"name":"kms","id":"3059"}');

/** The runtime events of a guest with one of each kind, and one of its app. */
export function guestEvents(): DstackEntry[] {
  return [
    runtimeEntry('system-preparing'),
    runtimeEntry('app-id', Buffer.alloc(20, 0xa1)),
    runtimeEntry('compose-hash', Buffer.alloc(32, 0xc0)),
    runtimeEntry('init-script-hash', Buffer.alloc(32, 0x51)),
    runtimeEntry('init-script-hash', Buffer.alloc(32, 0x52)),
    runtimeEntry('gpu-policy-hash', Buffer.alloc(32, 0x60)),
    runtimeEntry('gpu-attestation', ascii('{}')),
    runtimeEntry('instance-id', Buffer.alloc(20, 0x1d)),
    runtimeEntry('boot-mr-done'),
    runtimeEntry('os-image-hash', Buffer.alloc(32, 0x05)),
    runtimeEntry('key-provider', keyProvider),
    runtimeEntry('storage-fs', ascii('zfs')),
    runtimeEntry('system-ready'),
    runtimeEntry('of-the-app', ascii('anything')),
  ];
}

export function firmwareEntries(): DstackEntry[] {
  return [0, 1, 2].map((imr) => ({
    imr,
    event_type: 0x80000001,
    digest: Buffer.alloc(48, 0xf0 + imr).toString('hex'),
    event: '',
    event_payload: '0102',
  }));
}

/** A log as text with the registers that it gives. */
export function dstackLog(runtime: readonly DstackEntry[]): { readonly log: string; readonly registers: Registers } {
  const entries = [...firmwareEntries(), ...runtime];
  const registers = registersOf(
    entries.map((entry) => ({
      rtmr: entry.imr,
      digest:
        entry.event_type === runtimeType && entry.version !== 2
          ? runtimeDigest(entry.event, Buffer.from(entry.event_payload, 'hex'))
          : Buffer.from(entry.digest ?? '', 'hex'),
    })),
  );
  return { log: JSON.stringify(entries), registers };
}

/** `ok`, or `CODE at place`. Anything that is not ours escapes. */
export function refusal(action: () => unknown): string {
  try {
    action();
    return 'ok';
  } catch (error) {
    if (error instanceof AttestationError) return `${error.code} at ${error.place}`;
    throw error;
  }
}
