import { isUtf8 } from 'node:buffer';
import { createHash } from 'node:crypto';
import { type AnswerHead, maxHeadBytes, parseAnswerHead } from '../../wasm/host/answerHead.ts';
import { frame, frameKinds, jsonFrame, maxFrameBytes, type RunReport } from '../../wasm/host/frames.ts';
import { printLine } from '../../wasm/host/guestLog.ts';
import type { GuestRequest } from '../../wasm/host/metaVariables.ts';
import type { Run } from '../../wasm/host/runThread.ts';
import { guestSource } from '../generated/guestSource.ts';
import { judge } from './judge.ts';
import { EngineFailure, type Handle, QuickJs, type Snapshot } from './quickJs.ts';
import { readRound, SeededBytes } from './round.ts';

/** A function that is ready to run. */
export type PreparedApp = {
  /** The engine with the walls in it. */
  readonly module: WebAssembly.Module;
  /** The engine with its world, before any app. */
  readonly base: Begun;
  /** An ES module, in UTF-8. */
  readonly source: Uint8Array<ArrayBuffer>;
  readonly env: { readonly [name: string]: string };
  /** Of one call; the module itself may take as much, once. */
  readonly fuel: number;
};

/** An engine after something ran in it, from where others begin: its world, or an app's module. */
export type Begun = {
  readonly snapshot: Snapshot;
  /** The kernel's function that takes the host's calls. */
  readonly entry: Handle;
};

/** What hashing costs, in fuel. */
const unitsPerHashedByte = 4;
const maxRandomBytes = 65_536;
const digests: { readonly [name: string]: string } = {
  'SHA-1': 'sha1',
  'SHA-256': 'sha256',
  'SHA-384': 'sha384',
  'SHA-512': 'sha512',
};
const logLevels = ['debug', 'log', 'info', 'warn', 'error'];

/** The engine with what every function finds around it. Throws EngineFailure. */
export function beginWorld(module: WebAssembly.Module): Begun {
  const operations = new Operations(undefined);
  const world = { nowMs: 0, operation: operations.run.bind(operations) };
  const engine = QuickJs.start(module, Number.MAX_SAFE_INTEGER, world);
  engine.evaluate(new TextEncoder().encode(guestSource), 'cloister:kernel');
  const { entry } = operations;
  if (entry === undefined) throw new EngineFailure('The kernel did not start');
  return { snapshot: engine.snapshot(), entry };
}

/** Runs the app's module. Throws nothing: a report says why there is none. */
export function loadApp({ module, base, source, env, fuel }: PreparedApp): Begun | RunReport {
  const operations = new Operations(undefined);
  const world = { nowMs: 0, operation: operations.run.bind(operations) };
  let engine: QuickJs | undefined;
  try {
    engine = QuickJs.restore(module, base.snapshot, fuel, world);
    const exported = engine.evaluateModule(source, 'app.js');
    engine.runJobs(logFailure);
    const state = engine.stateOf(exported);
    if (state === 'pending')
      throw new EngineFailure('The module waits at its top level for something that never comes');
    const result = engine.resultOf(exported);
    if (state === 'rejected') throw new EngineFailure(engine.errorTextOf(result));
    engine.call(base.entry, [engine.text('bind'), result, engine.text(JSON.stringify(env))]);
    if (operations.failure !== undefined) throw new EngineFailure(operations.failure);
    return { snapshot: engine.snapshot(), entry: base.entry };
  } catch (error) {
    return judge(engine, fuel, error);
  }
}

/** One call in one new instance. Its answer goes to `send` whole, when all that it began has ended. */
export class AppRun implements Run {
  readonly #prepared: PreparedApp;
  readonly #loaded: Begun;
  readonly #request: GuestRequest;
  readonly #send: (frame: Uint8Array<ArrayBuffer>) => void;
  memoryBytes = 0;

  constructor(
    prepared: PreparedApp,
    loaded: Begun,
    request: GuestRequest,
    send: (frame: Uint8Array<ArrayBuffer>) => void,
  ) {
    this.#prepared = prepared;
    this.#loaded = loaded;
    this.#request = request;
    this.#send = send;
  }

  /** @inheritdoc */
  run(): void {
    this.#send(jsonFrame(frameKinds.report, this.#run()));
  }

  #run(): RunReport {
    const { module, fuel } = this.#prepared;
    const round = readRound(this.#request.headers);
    const operations = new Operations(round?.seed);
    const world = { nowMs: round?.timeMs ?? 0, operation: operations.run.bind(operations) };
    let engine: QuickJs | undefined;
    try {
      engine = QuickJs.restore(module, this.#loaded.snapshot, fuel, world);
      const head = engine.text(JSON.stringify(callHead(this.#request)));
      engine.call(this.#loaded.entry, [engine.text('call'), head, engine.bytes(this.#request.body)]);
      engine.runJobs(logFailure);
      this.#answer(operations);
      return judge(engine, fuel);
    } catch (error) {
      return judge(engine, fuel, error);
    } finally {
      this.memoryBytes = engine?.memoryBytes ?? 0;
    }
  }

  #answer({ answer, failure }: Operations): void {
    if (failure !== undefined) throw new EngineFailure(failure);
    if (answer === undefined) throw new EngineFailure('The handler waits for something that never comes');
    this.#send(jsonFrame(frameKinds.head, answer.head));
    for (let at = 0; at < answer.body.length; at += maxFrameBytes)
      this.#send(frame(frameKinds.data, answer.body.subarray(at, at + maxFrameBytes)));
  }
}

/** What the kernel asks for, in one engine. An app may take its place: nothing here trusts what it says. */
class Operations {
  readonly #random: SeededBytes | undefined;
  entry: Handle | undefined;
  answer: { readonly head: AnswerHead; readonly body: Uint8Array } | undefined;
  failure: string | undefined;

  constructor(seed: Uint8Array | undefined) {
    this.#random = seed && new SeededBytes(seed);
  }

  run(engine: QuickJs, [operation = 0, ...values]: readonly Handle[]): Handle | undefined {
    const name = engine.textOf(operation);
    const [first, second] = values;
    if (first === undefined) throw new EngineFailure(`An operation "${name.slice(0, 40)}" came without its values`);
    if (name === 'ready') this.entry ??= engine.keep(first);
    else if (name === 'failed') this.failure ??= engine.textOf(first);
    else if (name === 'encode') return engine.bytes(engine.utf8Of(first));
    else if (name === 'random') return this.#randomBytes(engine, engine.numberOf(first));
    else if (second === undefined)
      throw new EngineFailure(`An operation "${name.slice(0, 40)}" came without its values`);
    else if (name === 'decode') return decode(engine, engine.bytesOf(first), engine.isTrue(second));
    else if (name === 'digest') return digest(engine, engine.textOf(first), engine.bytesOf(second));
    else if (name === 'log') log(engine.textOf(first), engine.textOf(second));
    else if (name === 'answer') this.answer ??= { head: headOf(engine.utf8Of(first)), body: engine.bytesOf(second) };
    else throw new EngineFailure(`There is no operation "${name.slice(0, 40)}"`);
    return undefined;
  }

  #randomBytes(engine: QuickJs, length: number): Handle | undefined {
    if (this.#random === undefined) return undefined;
    if (!(length >= 0 && length <= maxRandomBytes))
      throw new EngineFailure(`No operation gives ${length} random bytes`);
    engine.charge(Math.ceil(length) * unitsPerHashedByte);
    return engine.bytes(this.#random.next(Math.floor(length)));
  }
}

function decode(engine: QuickJs, bytes: Uint8Array, fatal: boolean): Handle | undefined {
  if (isUtf8(bytes)) return engine.textFrom(bytes);
  return fatal ? undefined : engine.text(new TextDecoder('utf-8', { ignoreBOM: true }).decode(bytes));
}

function digest(engine: QuickJs, name: string, bytes: Uint8Array): Handle {
  const algorithm = digests[name];
  if (algorithm === undefined) throw new EngineFailure(`There is no digest "${name.slice(0, 40)}"`);
  engine.charge(bytes.length * unitsPerHashedByte);
  return engine.bytes(createHash(algorithm).update(bytes).digest());
}

function log(level: string, text: string): void {
  printLine(logLevels.includes(level) ? level : 'log', text);
}

function logFailure(why: string): void {
  printLine('error', `A job of the app failed: ${why}`);
}

function headOf(bytes: Uint8Array): AnswerHead {
  if (bytes.length > maxHeadBytes)
    throw new EngineFailure(`The head of the answer is longer than ${maxHeadBytes} bytes`);
  const head = parseAnswerHead(new TextDecoder().decode(bytes));
  if (head === undefined) throw new EngineFailure('The answer has a header that no app may set');
  return head;
}

/** The URL that the handler sees: whoever calls, the way to here was sealed. */
function callHead({ method, path, headers }: GuestRequest): object {
  const host = headers.find(([name]) => name.toLowerCase() === 'host')?.[1] ?? 'app.cloister.invalid';
  return { method, url: `https://${host}${path}`, headers };
}
