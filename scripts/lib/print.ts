import { styleText } from 'node:util';

type Style = Parameters<typeof styleText>[0];

/** Text in a colour, where the terminal shows colours. */
export function paint(style: Style, text: string): string {
  return styleText(style, text, { stream: process.stdout });
}

export function say(line = ''): void {
  process.stdout.write(`${line}\n`);
}

export function heading(title: string): void {
  say(`\n${paint('bold', title)}`);
}

/** One checked thing: a tick or a cross, its name, and the time it took. */
export function resultLine(ok: boolean, name: string, ms: number, note = ''): void {
  const mark = ok ? paint('green', '✓') : paint('red', '✗');
  say(`  ${mark} ${name}${note === '' ? '' : ` ${note}`} ${paint('dim', duration(ms))}`);
}

/** Text of a failure below its line, indented, with its end kept where it is long. */
export function failureText(text: string, maxLines = 60): void {
  const lines = text.trimEnd().split('\n');
  if (lines.length > maxLines) say(paint('dim', `    … ${lines.length - maxLines} lines above`));
  for (const line of lines.slice(-maxLines)) say(`    ${line}`);
}

/** Milliseconds as people say them. */
export function duration(ms: number): string {
  if (ms < 1000) return `${Math.round(ms)} ms`;
  if (ms < 60_000) return `${(ms / 1000).toFixed(1)} s`;
  return `${Math.floor(ms / 60_000)} min ${Math.round((ms % 60_000) / 1000)} s`;
}
