import { spawn } from 'node:child_process';
import { text } from 'node:stream/consumers';
import { fileURLToPath } from 'node:url';
import type { RunReport } from '../../src/wasm/host/frames.ts';

/** One function and one call of it. */
export type Case = {
  readonly source: string;
  readonly env?: { readonly [name: string]: string };
  readonly fuel?: number;
  readonly method?: string;
  readonly path?: string;
  readonly headers?: readonly (readonly [string, string])[];
  readonly body?: string;
};

export type Result = {
  readonly head?: { readonly status: number; readonly headers: readonly (readonly [string, string])[] };
  /** In base64. */
  readonly body?: string;
  readonly report: RunReport;
};

/** What a process is to have of its own. */
export type Machine = { readonly env?: Readonly<Record<string, string>>; readonly nodeArgs?: readonly string[] };

const runner = fileURLToPath(new URL('runner.ts', import.meta.url));

/** Runs the cases one after the other in a process of their own. */
export async function runCases(cases: readonly Case[], { env = {}, nodeArgs = [] }: Machine = {}): Promise<Result[]> {
  const child = spawn(process.execPath, ['--no-warnings', ...nodeArgs, runner], {
    env,
    stdio: ['pipe', 'pipe', 'inherit'],
  });
  child.stdin.end(JSON.stringify(cases));
  return JSON.parse(await text(child.stdout)) as Result[];
}

/** A function that answers with what the body of a function returns, as JSON. */
export function returning(body: string): string {
  return `export default { async fetch(request, env, ctx) { return Response.json(await (async () => { ${body} })()); } };`;
}

/** The JSON of an answer. Throws where there is none. */
export function jsonOf({ report, body = '' }: Result): unknown {
  if (report.status !== 'ok') throw new Error(`Expected an answer, got ${JSON.stringify(report)}`);
  return JSON.parse(Buffer.from(body, 'base64').toString());
}

/** What the same body gives in this process. */
export function inNode(body: string): Promise<unknown> {
  return new Function(`return (async () => { ${body} })();`)() as Promise<unknown>;
}
