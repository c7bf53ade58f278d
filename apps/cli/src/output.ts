import type { ProofStep } from '@cloister/sdk';

export type OutputOptions = { readonly json?: boolean };

/** Bigints as decimal strings, bytes left out: for --json. */
export function toJson(value: unknown): string {
  return JSON.stringify(value, (_, inner: unknown) => (typeof inner === 'bigint' ? inner.toString() : inner));
}

/** The result of a command: one JSON line for programs, else what `prose` makes of it. */
export function print(options: OutputOptions, value: unknown, prose: () => string): void {
  process.stdout.write(`${options.json ? toJson(value) : prose()}\n`);
}

/** A checklist for people. */
export function stepLines(steps: readonly ProofStep[]): string {
  return steps.map(({ ok, title, detail }) => `  ${ok ? '✓' : '✗'} ${title} — ${detail}`).join('\n');
}

/** A hint that does not belong to the result. */
export function note(text: string): void {
  process.stderr.write(`${text}\n`);
}
