/** What a {@link CloisterError} is made of. */
export type CloisterErrorInit<Code extends string = string> = {
  /** One of the closed union of codes of the throwing package, in upper snake case. */
  readonly code: Code;
  /** One sentence: what happened, with the offending value in double quotes, no final period. */
  readonly message: string;
  /** The values behind the message, for programs. Never secrets. */
  readonly meta?: Readonly<Record<string, unknown>> | undefined;
  /** What to do next, one sentence. */
  readonly hint?: string | undefined;
  /** Whether the same call may succeed later without any change. Default false. */
  readonly retry?: boolean | undefined;
  readonly cause?: unknown;
};

/**
 * The base of every error that Cloister throws on purpose: a code to switch on, the values, and what to do next.
 * Anything else that escapes is a defect.
 */
export class CloisterError<Code extends string = string> extends Error {
  override readonly name: string = 'CloisterError';
  readonly code: Code;
  readonly meta: Readonly<Record<string, unknown>>;
  readonly hint: string | undefined;
  readonly retry: boolean;

  constructor(init: CloisterErrorInit<Code>) {
    super(init.message, init.cause === undefined ? undefined : { cause: init.cause });
    this.code = init.code;
    this.meta = init.meta ?? {};
    this.hint = init.hint;
    this.retry = init.retry ?? false;
  }

  /** The error as plain data, for JSON output and logs. */
  toJSON(): Record<string, unknown> {
    return {
      name: this.name,
      code: this.code,
      message: this.message,
      ...(Object.keys(this.meta).length > 0 ? { meta: jsonSafe(this.meta) } : {}),
      ...(this.hint === undefined ? {} : { hint: this.hint }),
      retry: this.retry,
    };
  }
}

/** The message of anything thrown, with its hint where it has one. Never throws itself, whatever it is given. */
export function describeError(thrown: unknown): string {
  if (thrown instanceof CloisterError)
    return thrown.hint === undefined ? thrown.message : `${thrown.message}. ${thrown.hint}`;
  if (thrown instanceof Error) return thrown.message;
  return typeof thrown === 'string' ? thrown : 'An unknown value was thrown';
}

function jsonSafe(value: unknown): unknown {
  if (typeof value === 'bigint') return value.toString();
  if (value instanceof Uint8Array) return `${value.length} bytes`;
  if (Array.isArray(value)) return value.map(jsonSafe);
  if (typeof value === 'object' && value !== null && Object.getPrototypeOf(value) === Object.prototype)
    return Object.fromEntries(Object.entries(value).map(([key, inner]) => [key, jsonSafe(inner)]));
  return value;
}
