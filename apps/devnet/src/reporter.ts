import { CloisterError, describeError } from '@cloister/core';

export type StepFields = Readonly<Record<string, unknown>>;

/** Tells what happens: prose for people, one JSON line a step for programs. */
export class Reporter {
  readonly #json: boolean;
  readonly #write: (text: string) => void;
  readonly #startedMs = Date.now();

  constructor(json: boolean, write: (text: string) => void = (text) => process.stdout.write(text)) {
    this.#json = json;
    this.#write = write;
  }

  /** Runs one step and reports it with its time. */
  async step<T>(
    id: string,
    title: string,
    work: () => Promise<T>,
    describe: (result: T) => string = () => '',
  ): Promise<T> {
    const started = Date.now();
    const result = await work();
    this.done(id, title, Date.now() - started, describe(result));
    return result;
  }

  done(id: string, title: string, ms: number, detail: string): void {
    if (this.#json) this.line({ step: id, ok: true, ms, title, ...(detail === '' ? {} : { detail }) });
    else
      this.#write(
        `  ✓ ${title}${detail === '' ? '' : `: ${detail}`}${ms >= 100 ? ` (${(ms / 1000).toFixed(1)} s)` : ''}\n`,
      );
  }

  /** Something that happened by itself. */
  event(id: string, message: string, fields: StepFields = {}): void {
    if (this.#json) this.line({ step: id, ok: true, ms: Date.now() - this.#startedMs, message, ...fields });
    else this.#write(`  · ${message}\n`);
  }

  /** Prose that programs don't need. */
  say(text: string): void {
    if (!this.#json) this.#write(`${text}\n`);
  }

  fail(error: unknown): void {
    if (this.#json)
      this.line({
        step: 'failed',
        ok: false,
        ms: Date.now() - this.#startedMs,
        error: error instanceof CloisterError ? error.toJSON() : { message: describeError(error) },
      });
    else process.stderr.write(`cloister: ${describeError(error)}\n`);
  }

  line(fields: StepFields): void {
    if (this.#json) this.#write(`${JSON.stringify(fields)}\n`);
  }

  get elapsedMs(): number {
    return Date.now() - this.#startedMs;
  }
}
