import { addedNames, deterministicStackSlots } from '../meter/addedNames.ts';
import { maxHeadBytes, parseAnswerHead } from './answerHead.ts';
import { commandName, type Entry, reactorNames } from './entry.ts';
import { frame, frameKinds, jsonFrame, maxFrameBytes, type RunReport } from './frames.ts';
import { GuestLog } from './guestLog.ts';
import { GuestMemory } from './guestMemory.ts';
import { type GuestRequest, headText, metaVariables } from './metaVariables.ts';
import { ModuleExit, Wasi } from './wasi.ts';
import { wasiModule } from './wasiNames.ts';

/** A module that is ready to run: compiled with the walls in it. */
export type PreparedModule = {
  readonly module: WebAssembly.Module;
  readonly entry: Entry;
  readonly env: { readonly [name: string]: string };
  readonly fuel: number | undefined;
  readonly deterministic: boolean;
};

/** One call in one new instance. Everything that the module answers goes to `send` as frames, the last of them the report. */
export class ModuleRun {
  readonly #prepared: PreparedModule;
  readonly #request: GuestRequest;
  readonly #send: (frame: Uint8Array<ArrayBuffer>) => void;
  readonly #log = new GuestLog();
  readonly #head: Uint8Array[] = [];
  #headBytes = 0;
  #headSent = false;
  #exports: WebAssembly.Exports = {};
  /** Bytes of memory that the instance had at its end. */
  memoryBytes = 0;

  constructor(prepared: PreparedModule, request: GuestRequest, send: (frame: Uint8Array<ArrayBuffer>) => void) {
    this.#prepared = prepared;
    this.#request = request;
    this.#send = send;
  }

  /** Runs to the end. Throws nothing. */
  run(): void {
    const report = this.#run();
    this.#log.end();
    this.#send(jsonFrame(frameKinds.report, report));
  }

  #run(): RunReport {
    let failure: unknown;
    try {
      this.#execute();
    } catch (error) {
      if (!(error instanceof ModuleExit && error.code === 0)) failure = error;
    }
    const report = this.#judge(failure);
    if (report.status !== 'ok' || this.#headSent) return report;
    try {
      this.#sendHead();
      return report;
    } catch (error) {
      return { ...report, status: 'app-error', message: messageOf(error) };
    }
  }

  #execute(): void {
    const { module, entry, env, deterministic } = this.#prepared;
    const wasi = new Wasi({
      args: ['app', this.#request.method, this.#request.path],
      env: metaVariables(this.#request, env),
      input: this.#request.body,
      output: (descriptor, bytes) => this.#output(descriptor, bytes),
      deterministic,
      charge: (units) => this.#charge(units),
    });
    const { exports } = new WebAssembly.Instance(module, { [wasiModule]: wasi.imports });
    this.#exports = exports;
    const memory = exports.memory as WebAssembly.Memory;
    wasi.attach(memory);
    try {
      call(exports, addedNames.start);
      if (entry === 'command') call(exports, commandName);
      else this.#handle(new GuestMemory(memory));
    } finally {
      this.memoryBytes = memory.buffer.byteLength;
    }
  }

  #handle(memory: GuestMemory): void {
    const exports = this.#exports;
    call(exports, reactorNames.initialize);
    const place = (bytes: Uint8Array): number => {
      const address = Number(call(exports, reactorNames.allocate, bytes.length));
      this.#charge(bytes.length >>> 6);
      memory.write(address, bytes);
      return address;
    };
    const head = new TextEncoder().encode(headText(this.#request));
    const { body } = this.#request;
    const [headAt, bodyAt] = [place(head), place(body)];
    const answer = BigInt.asUintN(
      64,
      call(exports, reactorNames.handle, headAt, head.length, bodyAt, body.length) as bigint,
    );
    const length = Number(answer & 0xffff_ffffn);
    this.#charge(length >>> 6);
    const bytes = memory.view(Number(answer >> 32n), length);
    for (let at = 0; at < length; at += maxFrameBytes) this.#output(1, bytes.slice(at, at + maxFrameBytes));
  }

  #output(descriptor: 1 | 2 | 3, bytes: Uint8Array): void {
    if (descriptor === 2) this.#log.add(bytes);
    else if (descriptor === 1) {
      if (!this.#headSent) this.#sendHead();
      this.#send(frame(frameKinds.data, bytes));
    } else {
      if (this.#headSent)
        throw new AnswerError('The module wrote to the head of its answer after the answer had begun');
      this.#headBytes += bytes.length;
      if (this.#headBytes > maxHeadBytes)
        throw new AnswerError(`The head of the answer is longer than ${maxHeadBytes} bytes`);
      this.#head.push(bytes);
    }
  }

  #sendHead(): void {
    const head = parseAnswerHead(Buffer.concat(this.#head).toString('latin1'));
    if (head === undefined) throw new AnswerError('The head of the answer is not made of lines "Name: value"');
    this.#headSent = true;
    this.#send(jsonFrame(frameKinds.head, head));
  }

  #charge(units: number): void {
    const global = this.#exports[addedNames.fuel];
    if (!(global instanceof WebAssembly.Global)) return;
    global.value -= BigInt(units);
    if (global.value < 0n) throw new AnswerError('The fuel is used up');
  }

  #judge(failure: unknown): RunReport {
    const left = countOf(this.#exports[addedNames.fuel]);
    const { fuel: given } = this.#prepared;
    const fuel = given === undefined ? {} : { fuel: left === undefined ? 0 : Math.min(given, given - Number(left)) };
    const limit = (name: 'memory' | 'fuel' | 'stack', message: string): RunReport => ({
      ...fuel,
      status: 'limit',
      limit: name,
      message,
    });
    if (left !== undefined && left < 0n) return limit('fuel', `The call needs more than ${given} units of fuel`);
    if (failure === undefined) return { ...fuel, status: 'ok' };
    if ((countOf(this.#exports[addedNames.stack]) ?? 0n) < 0n)
      return limit('stack', `The calls are nested deeper than ${deterministicStackSlots} values`);
    if (countOf(this.#exports[addedNames.memoryRefused]) === 1n || isOutOfMemory(failure))
      return limit('memory', 'The app passed its memory limit');
    return { ...fuel, status: 'app-error', message: messageOf(failure) };
  }
}

/** What the answer of a module breaks, rather than its code. */
class AnswerError extends Error {
  override readonly name = 'AnswerError';
}

/** Calls an export that may be missing. */
function call(exports: WebAssembly.Exports, name: string, ...values: readonly number[]): unknown {
  const found = exports[name];
  return typeof found === 'function' ? found(...values) : undefined;
}

function countOf(global: WebAssembly.ExportValue | undefined): bigint | undefined {
  return global instanceof WebAssembly.Global ? BigInt(global.value) : undefined;
}

/** What engines say that get no memory for an instance. */
function isOutOfMemory(error: unknown): boolean {
  return error instanceof RangeError && /memory/i.test(error.message);
}

function messageOf(error: unknown): string {
  if (error instanceof ModuleExit || error instanceof AnswerError) return error.message;
  if (error instanceof RangeError) return 'The calls of the module are nested too deeply';
  if (error instanceof WebAssembly.RuntimeError) return `The module trapped: ${error.message}`;
  return error instanceof Error ? `The module failed: ${error.message}` : 'The module failed';
}
