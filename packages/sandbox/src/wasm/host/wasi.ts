import { randomFillSync } from 'node:crypto';
import { BadAddress, GuestMemory } from './guestMemory.ts';
import { wasiNames } from './wasiNames.ts';

/** What a module ends itself with. */
export class ModuleExit extends Error {
  override readonly name = 'ModuleExit';
  readonly code: number;

  constructor(code: number) {
    super(`The module ended with the code ${code}`);
    this.code = code;
  }
}

/** The world of one run. */
export type WasiWorld = {
  readonly args: readonly string[];
  readonly env: readonly string[];
  readonly input: Uint8Array;
  /** Descriptors 1, 2 and 3: the answer's body, the log, the answer's head. */
  readonly output: (descriptor: 1 | 2 | 3, bytes: Uint8Array) => void;
  /** The clock stands still at 0 and there is nothing random: the same input gives the same output. */
  readonly deterministic: boolean;
  /** Pays for work of the host; throws where the fuel is used up. */
  readonly charge: (units: number) => void;
};

/** Errors of WASI preview 1. */
const errno = { success: 0, badf: 8, fault: 21, inval: 28, nosys: 52, spipe: 70 } as const;
/** What one call of the host costs, and one more for each 64 bytes that it moves. */
const callUnits = 100;
const maxVectors = 1024;
/** How much one call moves at most: the rest takes another call. */
const maxMovedBytes = 1024 * 1024;
const maxSubscriptions = 64;
const millisecond = 1_000_000n;
const characterDevice = 2;

type Call = (...values: readonly never[]) => number;

/** WASI preview 1 for a program with a standard input, output and error, and nothing else: no files, no network. */
export class Wasi {
  readonly #world: WasiWorld;
  readonly #startedMs = performance.now();
  readonly #sleeper = new Int32Array(new SharedArrayBuffer(4));
  #read = 0;
  #memory = new GuestMemory(new WebAssembly.Memory({ initial: 0 }));

  constructor(world: WasiWorld) {
    this.#world = world;
  }

  /** To be called before the module runs. */
  attach(memory: WebAssembly.Memory): void {
    this.#memory = new GuestMemory(memory);
  }

  get imports(): { readonly [name: string]: Call } {
    const offered = this.#offered();
    const entries = wasiNames.map((name): [string, Call] => [name, this.#guarded(offered[name] ?? refusal(name))]);
    return Object.fromEntries(entries);
  }

  #guarded(call: Call): Call {
    return (...values) => {
      this.#world.charge(callUnits);
      try {
        return call(...values);
      } catch (error) {
        if (error instanceof BadAddress) return errno.fault;
        throw error;
      }
    };
  }

  #offered(): { readonly [name: string]: Call } {
    const { args, env } = this.#world;
    return {
      args_sizes_get: (count: number, size: number) => this.#sizes(args, count, size),
      args_get: (pointers: number, text: number) => this.#strings(args, pointers, text),
      environ_sizes_get: (count: number, size: number) => this.#sizes(env, count, size),
      environ_get: (pointers: number, text: number) => this.#strings(env, pointers, text),
      clock_res_get: (clock: number, result: number) => this.#clock(clock, result, () => millisecond),
      clock_time_get: (clock: number, _precision: bigint, result: number) =>
        this.#clock(clock, result, () => this.#now(clock)),
      fd_read: (fd: number, vectors: number, count: number, result: number) =>
        this.#readInput(fd, vectors, count, result),
      fd_write: (fd: number, vectors: number, count: number, result: number) =>
        this.#writeOutput(fd, vectors, count, result),
      fd_close: (fd: number) => (isOpen(fd) ? errno.success : errno.badf),
      fd_fdstat_get: (fd: number, result: number) => this.#status(fd, result),
      fd_filestat_get: (fd: number, result: number) => this.#fileStatus(fd, result),
      fd_seek: (fd: number) => (isOpen(fd) ? errno.spipe : errno.badf),
      fd_tell: (fd: number) => (isOpen(fd) ? errno.spipe : errno.badf),
      poll_oneoff: (subscriptions: number, events: number, count: number, result: number) =>
        this.#poll(subscriptions, events, count, result),
      proc_exit: (code: number) => {
        throw new ModuleExit(code >>> 0);
      },
      random_get: (address: number, length: number) => this.#random(address, length),
      sched_yield: () => errno.success,
    } as { readonly [name: string]: Call };
  }

  #sizes(values: readonly string[], count: number, size: number): number {
    this.#memory.setU32(count, values.length);
    this.#memory.setU32(
      size,
      values.reduce((sum, value) => sum + Buffer.byteLength(value) + 1, 0),
    );
    return errno.success;
  }

  #strings(values: readonly string[], pointers: number, text: number): number {
    let [pointer, place] = [pointers >>> 0, text >>> 0];
    for (const value of values) {
      const bytes = Buffer.from(`${value}\0`);
      this.#move(bytes.length);
      this.#memory.setU32(pointer, place);
      this.#memory.write(place, bytes);
      pointer += 4;
      place += bytes.length;
    }
    return errno.success;
  }

  #clock(clock: number, result: number, read: () => bigint): number {
    if (clock >>> 0 > 3) return errno.inval;
    this.#memory.setU64(result, read());
    return errno.success;
  }

  /** Nanoseconds, in whole milliseconds: nothing here measures what others do. */
  #now(clock: number): bigint {
    if (this.#world.deterministic) return 0n;
    const elapsed = performance.now() - this.#startedMs;
    return BigInt(Math.floor(clock === 0 ? Date.now() : elapsed)) * millisecond;
  }

  #readInput(fd: number, vectors: number, count: number, result: number): number {
    if (fd !== 0) return errno.badf;
    let moved = 0;
    for (const [address, length] of this.#vectors(vectors, count)) {
      const { input } = this.#world;
      const part = input.subarray(this.#read, this.#read + Math.min(length, maxMovedBytes - moved));
      this.#memory.view(address, length);
      this.#memory.write(address, part);
      this.#read += part.length;
      moved += part.length;
    }
    this.#move(moved);
    this.#memory.setU32(result, moved);
    return errno.success;
  }

  #writeOutput(fd: number, vectors: number, count: number, result: number): number {
    if (fd !== 1 && fd !== 2 && fd !== 3) return errno.badf;
    const parts: Uint8Array[] = [];
    let moved = 0;
    for (const [address, length] of this.#vectors(vectors, count)) {
      const part = this.#memory.view(address, length).subarray(0, maxMovedBytes - moved);
      parts.push(part);
      moved += part.length;
    }
    this.#move(moved);
    this.#memory.setU32(result, moved);
    // Together and as a copy: the module's memory is its own again when this returns.
    if (moved > 0) this.#world.output(fd, new Uint8Array(Buffer.concat(parts)));
    return errno.success;
  }

  *#vectors(vectors: number, count: number): Generator<readonly [address: number, length: number]> {
    if (count >>> 0 > maxVectors) throw new BadAddress();
    for (let index = 0; index < count; index += 1) {
      const at = (vectors >>> 0) + index * 8;
      yield [this.#memory.u32(at), this.#memory.u32(at + 4)];
    }
  }

  /** A character device without rights to seek, so that libraries take it for a stream. */
  #status(fd: number, result: number): number {
    if (!isOpen(fd)) return errno.badf;
    this.#memory.view(result, 24).fill(0);
    this.#memory.setU8(result, characterDevice);
    // Rights to read (bit 1) and to write (bit 6).
    this.#memory.setU64(result + 8, fd === 0 ? 2n : 64n);
    return errno.success;
  }

  #fileStatus(fd: number, result: number): number {
    if (!isOpen(fd)) return errno.badf;
    this.#memory.view(result, 64).fill(0);
    this.#memory.setU8(result + 16, characterDevice);
    return errno.success;
  }

  #random(address: number, length: number): number {
    if (this.#world.deterministic) return errno.nosys;
    const bytes = this.#memory.view(address, length);
    this.#move(bytes.length);
    randomFillSync(bytes);
    return errno.success;
  }

  /** Waits until the first of some clocks; streams are always ready. */
  #poll(subscriptions: number, events: number, count: number, result: number): number {
    if (count < 1 || count >>> 0 > maxSubscriptions) return errno.inval;
    const memory = this.#memory;
    const asked = Array.from({ length: count }, (_, index) => {
      const at = (subscriptions >>> 0) + index * 48;
      const [userdata, tag] = [memory.u64(at), memory.u8(at + 8)];
      if (tag !== 0) return { userdata, tag, waitMs: 0, error: isOpen(memory.u32(at + 16)) ? 0 : errno.badf };
      const absolute = (memory.u16(at + 40) & 1) === 1;
      const left = memory.u64(at + 24) - (absolute ? this.#now(memory.u32(at + 16)) : 0n);
      return { userdata, tag, waitMs: left <= 0n ? 0 : Number(left / millisecond) + 1, error: 0 };
    });
    memory.view(events, count * 32).fill(0);
    const waitMs = Math.min(...asked.map((each) => each.waitMs));
    if (waitMs > 0 && !this.#world.deterministic) Atomics.wait(this.#sleeper, 0, 0, waitMs);
    const ready = asked.filter((each) => each.waitMs <= waitMs);
    for (const [index, { userdata, tag, error }] of ready.entries()) {
      const at = (events >>> 0) + index * 32;
      memory.setU64(at, userdata);
      memory.setU16(at + 8, error);
      memory.setU8(at + 10, tag);
    }
    memory.setU32(result, ready.length);
    return errno.success;
  }

  #move(bytes: number): void {
    this.#world.charge(bytes >>> 6);
  }
}

function isOpen(fd: number): boolean {
  return fd >= 0 && fd <= 3;
}

/** What isn't offered: no directory is open and there are no sockets, so their descriptors are bad ones. */
function refusal(name: string): Call {
  const code = /^(?:fd_prestat|fd_readdir|path_)/.test(name) ? errno.badf : errno.nosys;
  return () => code;
}
