import { GuestMemory } from '../../wasm/host/guestMemory.ts';
import { addedNames } from '../../wasm/meter/addedNames.ts';

/** Where a value of the engine lies in its memory. */
export type Handle = number;

/** What one instance asks of its host. */
export type QuickJsWorld = {
  /** The time that its clock stands at, in milliseconds since 1970. */
  readonly nowMs: number;
  /** An operation of the kernel with its values; a Handle is the answer, which the engine then owns. */
  readonly operation: (engine: QuickJs, values: readonly Handle[]) => Handle | undefined;
};

/** All that makes an instance what it is: the engine keeps nothing outside of its memory and one global. */
export type Snapshot = {
  readonly memory: Uint8Array<ArrayBuffer>;
  readonly stackPointer: number;
  readonly runtime: number;
  readonly context: number;
};

type Call = (...values: readonly number[]) => number;
type Exports = {
  readonly memory: WebAssembly.Memory;
  readonly __stack_pointer: WebAssembly.Global;
} & { readonly [name: string]: Call };

/** Bits of `qjs_init2`: all but WeakRef with FinalizationRegistry, which show when memory is collected, and `performance`. */
const intrinsics = 0x1fff & ~(1 << 9) & ~(1 << 10);
/** Of the megabyte that the engine's stack has: a script that nests deeper gets a RangeError. */
const maxStackBytes = 768 * 1024;
const evalFlags = { script: 0, module: 1 } as const;
const promiseStates = ['pending', 'fulfilled', 'rejected'] as const;
/** What a call of the host costs, and one more for each 64 bytes that it moves. */
const callUnits = 100;
const maxValues = 4;
const errno = { success: 0, badf: 8 } as const;

/** One instance of the engine: QuickJS behind the counting of fuel. Throws EngineFailure, and what its code traps with. */
export class QuickJs {
  readonly #world: QuickJsWorld;
  readonly #exports: Exports;
  readonly #memory: GuestMemory;
  /** A number for lengths that the engine gives beside a result. */
  #lengthAt = 0;

  private constructor(module: WebAssembly.Module, world: QuickJsWorld) {
    this.#world = world;
    this.#exports = new WebAssembly.Instance(module, this.#imports()).exports as unknown as Exports;
    this.#memory = new GuestMemory(this.#exports.memory);
  }

  /** A new engine, with a function `cloisterHost` in its global scope. */
  static start(module: WebAssembly.Module, fuel: number, world: QuickJsWorld): QuickJs {
    const engine = new QuickJs(module, world);
    engine.fuelLeft = BigInt(fuel);
    const { _initialize: initialize, qjs_init2: init, qjs_set_max_stack_size: setMaxStack } = engine.#exports;
    initialize?.();
    if (init?.(intrinsics) !== 0) throw new EngineFailure('The engine did not start');
    setMaxStack?.(maxStackBytes);
    const [name, length] = engine.#place(new TextEncoder().encode('cloisterHost'));
    const operation = engine.#made('qjs_new_host_function', name, length, 0);
    engine.#call('qjs_set_prop_string', engine.#made('qjs_get_global'), name, operation);
    return engine;
  }

  /** The engine as it was, in a new instance. */
  static restore(module: WebAssembly.Module, snapshot: Snapshot, fuel: number, world: QuickJsWorld): QuickJs {
    const engine = new QuickJs(module, world);
    const { memory, __stack_pointer: stackPointer } = engine.#exports;
    memory.grow((snapshot.memory.length - memory.buffer.byteLength) / 65_536);
    new Uint8Array(memory.buffer).set(snapshot.memory);
    stackPointer.value = snapshot.stackPointer;
    engine.#call('qjs_set_runtime_and_context', snapshot.runtime, snapshot.context);
    engine.fuelLeft = BigInt(fuel);
    return engine;
  }

  snapshot(): Snapshot {
    this.#call('qjs_run_gc');
    return {
      memory: new Uint8Array(this.#exports.memory.buffer as ArrayBuffer).slice(),
      stackPointer: this.#exports.__stack_pointer.value,
      runtime: this.#call('qjs_get_runtime_ptr'),
      context: this.#call('qjs_get_context_ptr'),
    };
  }

  get fuelLeft(): bigint {
    return this.#global(addedNames.fuel);
  }

  set fuelLeft(value: bigint) {
    (this.#exports[addedNames.fuel] as unknown as WebAssembly.Global<'i64'>).value = value;
  }

  /** Whether a frame did not fit any more. */
  get stackPassed(): boolean {
    return this.#global(addedNames.stack) < 0n;
  }

  /** Whether the engine ever asked for more memory than there is. */
  get memoryRefused(): boolean {
    return this.#global(addedNames.memoryRefused) !== 0n;
  }

  get memoryBytes(): number {
    return this.#exports.memory.buffer.byteLength;
  }

  /** Takes fuel for work of the host. Throws where it is used up. */
  charge(units: number): void {
    this.fuelLeft -= BigInt(units);
    if (this.fuelLeft < 0n) throw new EngineFailure('The fuel is used up');
  }

  /** The completion value of a script. Throws what the script throws, as an EngineFailure. */
  evaluate(source: Uint8Array, name: string): Handle {
    return this.#checked(this.#evaluate(source, name, evalFlags.script));
  }

  /** A promise of a module's exports. Throws an EngineFailure where it can't be read. */
  evaluateModule(source: Uint8Array, name: string): Handle {
    return this.#checked(this.#evaluate(source, name, evalFlags.module));
  }

  call(target: Handle, values: readonly Handle[]): void {
    const at = this.#allocate(values.length * 4);
    for (const [index, value] of values.entries()) this.#memory.setU32(at + index * 4, value);
    this.#checked(this.#made('qjs_call', target, this.#made('qjs_get_undefined'), values.length, at));
    this.#call('wasm_free', at);
  }

  /** Runs what waits in the queue of jobs, until nothing does. `failed` gets what a job throws. */
  runJobs(failed: (why: string) => void): void {
    while (this.#call('qjs_is_job_pending') !== 0)
      if (this.#call('qjs_execute_pending_job') < 0) failed(this.#exceptionText());
  }

  stateOf(promise: Handle): (typeof promiseStates)[number] {
    return promiseStates[this.#call('qjs_promise_state', promise)] ?? 'pending';
  }

  resultOf(promise: Handle): Handle {
    return this.#made('qjs_promise_result', promise);
  }

  /** Keeps a value beyond the operation that brought it. */
  keep(value: Handle): Handle {
    return this.#made('qjs_dup_value', value);
  }

  text(value: string): Handle {
    return this.textFrom(new TextEncoder().encode(value));
  }

  /** The text of well-formed UTF-8. */
  textFrom(bytes: Uint8Array): Handle {
    const [at, length] = this.#place(bytes);
    const made = this.#made('qjs_new_string', at, length);
    this.#call('wasm_free', at);
    return this.#checked(made);
  }

  bytes(value: Uint8Array): Handle {
    const [at, length] = this.#place(value);
    const made = this.#made('qjs_new_array_buffer', at, length);
    this.#call('wasm_free', at);
    return this.#checked(made);
  }

  /** UTF-8 of a value as text. */
  utf8Of(value: Handle): Uint8Array<ArrayBuffer> {
    const at = this.#call('qjs_get_string_len', value, this.#length());
    if (at === 0) throw new EngineFailure(this.#exceptionText());
    const bytes = this.#read(at);
    this.#call('qjs_free_cstring', at);
    return bytes;
  }

  textOf(value: Handle): string {
    return new TextDecoder().decode(this.utf8Of(value));
  }

  /** What was thrown, in words; of an error with the places that it came through. */
  errorTextOf(error: Handle): string {
    const at = this.#call('qjs_get_string_len', error, this.#length());
    const text = at === 0 ? 'Something that has no text was thrown' : new TextDecoder().decode(this.#read(at));
    if (this.#call('qjs_is_error', error) === 0) return text;
    const [name] = this.#place(new TextEncoder().encode('stack'));
    const stack = this.#call('qjs_get_string_len', this.#made('qjs_get_prop_string', error, name), this.#length());
    const lines = stack === 0 ? [] : new TextDecoder().decode(this.#read(stack)).split('\n');
    return [text, ...lines.filter((line) => line !== '' && !line.includes('cloister:kernel'))].join('\n');
  }

  bytesOf(value: Handle): Uint8Array<ArrayBuffer> {
    if (this.#call('qjs_is_array_buffer', value) === 0) throw new EngineFailure('An operation was given no bytes');
    const at = this.#call('qjs_get_array_buffer', value, this.#length());
    return this.#read(at);
  }

  numberOf(value: Handle): number {
    return this.#call('qjs_get_float64', value);
  }

  isTrue(value: Handle): boolean {
    return this.#call('qjs_get_bool', value) === 1;
  }

  #evaluate(source: Uint8Array, name: string, flags: number): Handle {
    const [at, length] = this.#place(source);
    const [nameAt] = this.#place(new TextEncoder().encode(name));
    const made = this.#made('qjs_eval', at, length, nameAt, flags);
    this.#call('wasm_free', at);
    this.#call('wasm_free', nameAt);
    return made;
  }

  #checked(value: Handle): Handle {
    if (this.#call('qjs_is_exception', value) !== 0) throw new EngineFailure(this.#exceptionText());
    return value;
  }

  #exceptionText(): string {
    return this.errorTextOf(this.#made('qjs_get_exception'));
  }

  /** Bytes in the engine's memory, with a 0 behind them. */
  #place(bytes: Uint8Array): readonly [address: number, length: number] {
    this.charge(callUnits + (bytes.length >>> 6));
    const at = this.#allocate(bytes.length + 1);
    this.#memory.write(at, bytes);
    this.#memory.setU8(at + bytes.length, 0);
    return [at, bytes.length];
  }

  /** The bytes at the address, as many as the last length says. */
  #read(at: number): Uint8Array<ArrayBuffer> {
    const bytes = this.#memory.view(at, this.#memory.u32(this.#lengthAt)).slice();
    this.charge(callUnits + (bytes.length >>> 6));
    return bytes;
  }

  #length(): number {
    this.#lengthAt ||= this.#allocate(4);
    this.#memory.setU32(this.#lengthAt, 0);
    return this.#lengthAt;
  }

  #allocate(bytes: number): number {
    const at = this.#call('wasm_malloc', bytes);
    if (at === 0) throw new EngineFailure('The app passed its memory limit');
    return at;
  }

  /** A value that the engine makes. */
  #made(name: string, ...values: readonly number[]): Handle {
    const handle = this.#call(name, ...values);
    if (handle === 0) throw new EngineFailure('The app passed its memory limit');
    return handle;
  }

  #call(name: string, ...values: readonly number[]): number {
    const target = this.#exports[name];
    if (target === undefined) throw new TypeError(`The engine has no "${name}"`);
    return target(...values);
  }

  #global(name: string): bigint {
    return BigInt((this.#exports[name] as unknown as WebAssembly.Global).value);
  }

  #imports(): WebAssembly.Imports {
    const refused = (): number => errno.badf;
    const none = (): number => 0;
    return {
      env: {
        host_call: (_name: number, _length: number, _receiver: number, count: number, at: number) => {
          this.charge(callUnits);
          if (count > 0 && at === 0) throw new EngineFailure('The app passed its memory limit');
          const values = Array.from({ length: Math.min(count, maxValues) }, (_, index) =>
            this.#memory.u32(at + index * 4),
          );
          return this.#world.operation(this, values) ?? this.#made('qjs_get_undefined');
        },
        host_get_timezone_offset: none,
        // None of these is ever asked for: no handler of their kind is set.
        host_interrupt: none,
        host_promise_rejection: none,
        host_module_normalize: none,
        host_module_load: none,
      },
      wasi_snapshot_preview1: {
        clock_time_get: (_clock: number, _precision: bigint, result: number) => {
          this.#memory.setU64(result, BigInt(this.#world.nowMs) * 1_000_000n);
          return errno.success;
        },
        // What the engine takes for random when it starts are zeros.
        random_get: (at: number, length: number) => {
          this.#memory.view(at, length).fill(0);
          return errno.success;
        },
        fd_close: refused,
        fd_fdstat_get: refused,
        fd_seek: refused,
        fd_write: refused,
      },
    };
  }
}

/** The engine, or the code in it, can't go on. The message is for the app's owner. */
export class EngineFailure extends Error {
  override readonly name = 'EngineFailure';
}
