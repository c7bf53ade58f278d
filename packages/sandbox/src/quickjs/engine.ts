import { execFile } from 'node:child_process';
import { createHash } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { extname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { SandboxError } from '../sandboxError.ts';
import { guestSource } from './generated/guestSource.ts';
import type { EngineHead } from './host/engineImage.ts';

/** quickjs-ng 0.17.0 in WebAssembly, as the package "quickjs-wasi" 3.6.2 brings it. Another file is refused. */
export const engineSha256 = '0xd4c9375f2b1ca4dc95f72c8aa2982a7a9951ac8011490d79c6582df732b4bbd9';

/** What runs beside an app's code: sha256 over the engine's hash and that of the script that makes its world. Receipts name it. */
export const quickJsRuntimeId: `0x${string}` = `0x${createHash('sha256')
  .update(Buffer.from(engineSha256.slice(2), 'hex'))
  .update(createHash('sha256').update(guestSource).digest())
  .digest('hex')}`;

const run = promisify(execFile);
const makeDeadlineMs = 30_000;
const maxEngineBytes = 16 * 1024 * 1024;
/** Each is some three megabytes. */
const maxKept = 16;

/** The engine's file. Throws START_FAILED where it is missing or is another one. */
export async function findEngine(
  path = createRequire(import.meta.url).resolve('quickjs-wasi/quickjs.wasm'),
): Promise<string> {
  const found = `0x${createHash('sha256')
    .update(await readFile(path))
    .digest('hex')}`;
  if (found === engineSha256) return path;
  throw new SandboxError({
    code: 'START_FAILED',
    message: `The engine of deterministic functions is "${found}", not "${engineSha256}"`,
    hint: 'Run "npm ci": workers with another engine give other answers',
  });
}

/** The engine with the walls in it and its world made, ready for a process. */
export type EngineImage = { readonly head: EngineHead; readonly bytes: Uint8Array };

/** Engines for each size of memory. One takes a third of a second, so a process of its own makes it, and the last ones are kept. */
export class Engines {
  readonly #file: string;
  readonly #made = new Map<number, Promise<EngineImage>>();

  constructor(file: string) {
    this.#file = file;
  }

  /** Throws START_FAILED. */
  of(memoryBytes: number): Promise<EngineImage> {
    const known = this.#made.get(memoryBytes) ?? this.#make(memoryBytes);
    this.#made.delete(memoryBytes);
    this.#made.set(memoryBytes, known);
    const [oldest] = this.#made.keys();
    if (this.#made.size > maxKept && oldest !== undefined) this.#made.delete(oldest);
    return known;
  }

  #make(memoryBytes: number): Promise<EngineImage> {
    const own = fileURLToPath(import.meta.url);
    const printer = join(own, '..', `printEngine${extname(own)}`);
    const args = ['--no-warnings', printer, this.#file, `${memoryBytes}`];
    const options = { env: {}, timeout: makeDeadlineMs, maxBuffer: maxEngineBytes, encoding: 'buffer' } as const;
    return run(process.execPath, args, options).then(
      ({ stdout }) => readImage(stdout),
      (cause) => {
        this.#made.delete(memoryBytes);
        throw new SandboxError({
          code: 'START_FAILED',
          message: `The engine of deterministic functions can't be made for ${memoryBytes} bytes`,
          hint: 'Run it with the Node.js release that this package names',
          cause,
        });
      },
    );
  }
}

function readImage(message: Buffer): EngineImage {
  const end = 4 + message.readUInt32BE(0);
  return { head: JSON.parse(message.subarray(4, end).toString('utf8')) as EngineHead, bytes: message.subarray(end) };
}
