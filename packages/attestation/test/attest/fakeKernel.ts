import type { SystemFiles } from '../../src/attest/index.ts';

/** What a TEE's driver registers with the kernel. */
export type FakeProvider = {
  readonly name: string;
  /** Absent: the provider shows neither privlevel nor its floor, as TDX. */
  readonly privilegeFloor?: number;
  /** Whether auxblob is there. */
  readonly hasAuxblob?: boolean;
  /** Whether service_provider and manifestblob are there. */
  readonly hasServices?: boolean;
  /** Makes a report; a thrown system error is what the read of outblob fails with. */
  readonly report: (
    description: FakeDescription,
  ) => Promise<{ outblob: Uint8Array; auxblob?: Uint8Array; manifestblob?: Uint8Array }>;
};

export type FakeDescription = {
  inblob: Uint8Array;
  privilegeLevel: number;
  serviceProvider: string;
};

type Entry = {
  readonly description: FakeDescription;
  writeGeneration: number;
  readGeneration: number;
  blobs: Awaited<ReturnType<FakeProvider['report']>> | undefined;
};

export const reportFolder = '/sys/kernel/config/tsm/report';
const inblobMax = 64;
const highestPrivilegeLevel = 3;

/**
 * The kernel below configfs-tsm, by the rules of its `drivers/virt/coco/guest/report.c`: an entry counts the writes that it
 * took (`generation`, from 0, of so many bits) and refuses one that would make that count meet the last one read; `inblob` is
 * taken when its file is closed, and whether it was is told to nobody; a report is made when a blob is read after a write, and
 * kept until the next. Files that are not below the report folder are just there.
 */
export class FakeKernel {
  provider: FakeProvider | undefined;
  /** 2^bits generations: small numbers make them wrap. */
  generationBits = 16;
  /** Called before each access, with the operation and the path: to disturb, to delay, to fail. */
  onAccess: (operation: keyof SystemFiles, path: string) => void | Promise<void> = () => undefined;
  /** How many of the next commits of inblob are lost without a word. */
  lostCommits = 0;
  readonly plain = new Map<string, Uint8Array>();
  readonly entries = new Map<string, Entry>();
  readonly made: string[] = [];
  hasReportFolder = true;

  constructor(provider?: FakeProvider) {
    this.provider = provider;
  }

  readonly files: SystemFiles = {
    exists: async (path) => {
      await this.onAccess('exists', path);
      if (this.#isFolder(path)) return true;
      if (this.plain.has(path)) return true;
      const found = this.#attribute(path);
      return found !== undefined && this.#attributes().includes(found.attribute);
    },
    makeFolder: async (path) => {
      await this.onAccess('makeFolder', path);
      const name = this.#entryName(path);
      if (name === undefined || !this.hasReportFolder) throw systemError('ENOENT');
      if (this.provider === undefined) throw systemError('ENXIO');
      if (this.entries.has(name)) throw systemError('EEXIST');
      this.made.push(name);
      const description = { inblob: new Uint8Array(0), privilegeLevel: 0, serviceProvider: '' };
      this.entries.set(name, { description, writeGeneration: 0, readGeneration: 0, blobs: undefined });
    },
    removeFolder: async (path) => {
      await this.onAccess('removeFolder', path);
      if (!this.entries.delete(this.#entryName(path) ?? '')) throw systemError('ENOENT');
    },
    read: async (path, maxBytes) => {
      await this.onAccess('read', path);
      const bytes = this.plain.get(path) ?? (await this.#read(path));
      if (bytes.length > maxBytes) throw Object.assign(new Error('too large'), { code: 'DEVICE_REPLY_TOO_LARGE' });
      return bytes.slice();
    },
    write: async (path, bytes) => {
      await this.onAccess('write', path);
      this.write(path, bytes);
    },
  };

  /** A write by anybody, as the driver's own go too. */
  write(path: string, bytes: Uint8Array): void {
    const { entry, attribute } = this.#present(path);
    const text = Buffer.from(bytes).toString('latin1').trim();
    if (attribute === 'inblob') {
      if (bytes.length > inblobMax) throw systemError('EFBIG');
      // The commit at close: its result goes nowhere.
      if (this.lostCommits > 0) this.lostCommits -= 1;
      else if (this.#advance(entry)) entry.description.inblob = bytes.slice();
    } else if (attribute === 'privlevel') {
      const level = /^[0-9]+$/.test(text) ? Number(text) : -1;
      if (level < (this.provider?.privilegeFloor ?? 0) || level > highestPrivilegeLevel) throw systemError('EINVAL');
      if (!this.#advance(entry)) throw systemError('EBUSY');
      entry.description.privilegeLevel = level;
    } else if (attribute === 'service_provider') {
      if (!this.#advance(entry)) throw systemError('EBUSY');
      entry.description.serviceProvider = text;
    } else throw systemError('EACCES');
  }

  #advance(entry: Entry): boolean {
    const next = (entry.writeGeneration + 1) % 2 ** this.generationBits;
    if (next === entry.readGeneration) return false;
    entry.writeGeneration = next;
    return true;
  }

  async #read(path: string): Promise<Uint8Array> {
    const { entry, attribute } = this.#present(path);
    const line = (value: string | number) => Buffer.from(`${value}\n`);
    if (attribute === 'generation') return line(entry.writeGeneration);
    if (attribute === 'inblob' || attribute === 'privlevel' || attribute === 'service_provider')
      throw systemError('EACCES');
    const { provider } = this;
    if (provider === undefined) throw systemError('ENXIO');
    if (attribute === 'provider') return line(provider.name);
    if (attribute === 'privlevel_floor') return line(provider.privilegeFloor ?? 0);
    if (entry.description.inblob.length === 0) throw systemError('EINVAL');
    if (entry.blobs === undefined || entry.readGeneration !== entry.writeGeneration) {
      entry.blobs = undefined;
      const blobs = await provider.report({ ...entry.description });
      entry.blobs = blobs;
      entry.readGeneration = entry.writeGeneration;
    }
    return entry.blobs[attribute as 'outblob' | 'auxblob' | 'manifestblob'] ?? new Uint8Array(0);
  }

  #attributes(): readonly string[] {
    const { privilegeFloor, hasAuxblob = false, hasServices = false } = this.provider ?? {};
    return [
      'inblob',
      'outblob',
      'generation',
      'provider',
      ...(hasAuxblob ? ['auxblob'] : []),
      ...(privilegeFloor === undefined ? [] : ['privlevel', 'privlevel_floor']),
      ...(hasServices ? ['service_provider', 'manifestblob'] : []),
    ];
  }

  #present(path: string): { entry: Entry; attribute: string } {
    const found = this.#attribute(path);
    if (found === undefined || !this.#attributes().includes(found.attribute)) throw systemError('ENOENT');
    return found;
  }

  #attribute(path: string): { entry: Entry; attribute: string } | undefined {
    const at = path.lastIndexOf('/');
    const entry = this.entries.get(this.#entryName(path.slice(0, at)) ?? '');
    return entry === undefined ? undefined : { entry, attribute: path.slice(at + 1) };
  }

  #entryName(path: string): string | undefined {
    const name = path.slice(reportFolder.length + 1);
    return path.startsWith(`${reportFolder}/`) && name !== '' && !name.includes('/') ? name : undefined;
  }

  #isFolder(path: string): boolean {
    if (this.hasReportFolder && (path === reportFolder || reportFolder.startsWith(`${path}/`))) return true;
    return (
      [...this.plain.keys()].some((file) => file.startsWith(`${path}/`)) ||
      this.entries.has(this.#entryName(path) ?? '')
    );
  }
}

export function systemError(code: string): Error {
  return Object.assign(new Error(`${code}: as the kernel says it`), { code });
}
